"""Batches in processes of their own, on terminals, and on executors of somebody else."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from aipipe.batch import Batch
from aipipe.batch.ledger import STATES
from aipipe.batch.pools import ExecutorLost
from aipipe.store import Store
from aipipe.testing import Fault, ModelServer

TEXTS = ["a red flower", "a blue house", "a cat in the rain"]
SLOW = [f"Eine Blume, Nummer {n}" for n in range(6)]


def until(true: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)


def quiet_port() -> int:
    """A free port below those that systems give out: no server of another test can come to stand there meanwhile."""
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port between 20,000 and 30,000")


def slow_models(project: Path, stall: float, port: int = 0) -> ModelServer:
    server = ModelServer(lambda _: ("a torn flower", Fault(stall=stall)), port=port)
    (project / "aipipe.toml").write_text(
        'mode = "eco"\nsafety = "off"\n[modes.eco]\nbackend = "ollama"\n[modes.eco.models]\ntranslation = "tiny"\n'
        f'interception = "tiny"\nsafety = "tiny"\n[modes.eco.outputs]\nimage = "placeholder"\n[backends.ollama]\nurl = "{server.url}"\n'
    )
    return server


def check_once_each(project: Path, batch: Batch) -> None:
    status = batch.status
    assert status.counts["completed"] == status.counts["planned"] == sum(status.counts[name] for name in STATES)
    done = [run for run in Store(project / "runs") if run.status == "completed"]
    keys = [run.record.batch.case_key for run in done if run.record.batch]
    assert sorted(keys) == sorted(case.case_key for case in batch.plan.cases)


PROGRAM = """
import sys
from aipipe.batch import Batch
batch = Batch(["dada"], ["a red flower", "a blue house", "a cat in the rain"], notebook=False)
print(batch.start(workers=2, keep_notebooks="failed", limits={"echo": 1}).batch_id, flush=True)
"""


def test_a_started_batch_outlives_the_process_that_started_it(project: Path) -> None:
    made = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    batch = Batch.open(made.stdout.strip())
    assert made.stderr == ""
    until(lambda: batch.status.done)
    assert batch.status.clean, str(batch.status)
    assert len(batch.runs) == 3
    until((batch.folder / "report.html").exists)
    assert "Traceback" not in (batch.folder / "log.txt").read_text()


def test_a_batch_can_be_started_within_a_living_kernel(project: Path) -> None:
    batch = Batch(["dada"], TEXTS, notebook=False).start()
    until(lambda: batch.status.done)
    assert batch.status.clean
    until((batch.folder / "report.html").exists)
    # Its process was waited for: nothing is left of it but its files.
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "aipipe-child"])


@pytest.mark.skipif(os.name == "nt", reason="needs a terminal of Unix")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_on_a_terminal_drains_and_twice_stops(project: Path, times: int) -> None:
    import pty

    stall = 0.7 if times == 1 else 30.0
    (project / "prompts.txt").write_text("\n".join(SLOW))
    command = [sys.executable, "-m", "aipipe", "batch", "--configs", "dada", "--inputs", "prompts.txt", "--seeds", "1"]
    with slow_models(project, stall) as server:
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [*command, "--workers", "2"])
        said = b""

        def read() -> bytes:
            nonlocal said
            with contextlib.suppress(OSError):  # nothing to read now
                said += os.read(terminal, 65536)
            return said

        os.set_blocking(terminal, False)
        until(lambda: read() is not None and len(server.requests) >= 2)
        kernels = children(pid)
        os.write(terminal, b"\x03")  # the terminal sends SIGINT to all of its foreground processes
        until(lambda: b"draining" in read())
        if times == 2:
            os.write(terminal, b"\x03")
        ended: list[int] = []
        until(lambda: read() is not None and ended.extend(os.waitpid(pid, os.WNOHANG)) is None and ended[-2] == pid)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(ended[-1]) == 130, said.decode(errors="replace")
    assert b"Traceback" not in said, said.decode(errors="replace")
    for child in kernels:
        until(lambda child=child: not alive(child), 20)
    batch = Batch.open("")
    counts = batch.status.counts
    assert counts["planned"] == sum(counts[name] for name in STATES) == 6
    assert counts["failed"] == counts["running"] == 0
    if times == 1:
        assert counts["completed"] >= 2, "those that ran came to their end"
        assert counts["interrupted"] == 0
    else:
        assert counts["interrupted"] == 2, "those that ran were stopped"
    assert counts["waiting"] > 0
    with slow_models(project, 0):
        assert batch.run(workers=2, display=False).clean
    check_once_each(project, batch)


def children(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def alive(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_cases_run_in_a_pool_of_processes(project: Path) -> None:
    batch = Batch(["dada"], TEXTS)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert batch.run(workers=2, executor=pool, display=False).clean
    check_once_each(project, batch)


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_a_broken_pool_is_said_and_the_same_plan_goes_on(project: Path) -> None:
    with slow_models(project, 3):
        batch = Batch(["dada"], SLOW, notebook=False)
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            victim = pool.submit(os.getpid).result()
            watcher = subprocess.Popen(
                [sys.executable, "-c", f"import os, time; time.sleep(4); os.kill({victim}, {int(signal.SIGKILL)})"]
            )
            with pytest.raises(ExecutorLost, match="broke"):
                batch.run(workers=2, executor=pool, display=False)
            watcher.wait()
    counts = batch.status.counts
    assert counts["planned"] == sum(counts[name] for name in STATES)
    assert counts["failed"] == 0
    with slow_models(project, 0):
        assert batch.run(workers=2, max_attempts=1, display=False).clean, "a broken pool is no failure of a case"


def test_loky_runs_cases(project: Path) -> None:
    import loky

    batch = Batch(["dada"], TEXTS, notebook=False)
    assert batch.run(workers=2, executor=loky.get_reusable_executor(max_workers=2), display=False).clean
    loky.get_reusable_executor().shutdown(wait=True)


def test_dask_is_started_and_closed_for_the_batch(project: Path) -> None:
    pytest.importorskip("distributed")
    program = (
        "from aipipe.batch import Batch\nif __name__ == '__main__':\n"
        "    batch = Batch(['dada'], ['a', 'b', 'c'], notebook=False)\n"
        "    print(batch.run(workers=2, executor='dask', display=False).counts['completed'])\n"
    )
    (project / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "program.py"], capture_output=True, text=True, timeout=180, check=False)
    assert done.stdout.strip() == "3", done.stderr[-2000:]


def test_an_outage_is_seen_from_where_the_cases_run(project: Path) -> None:
    """A cluster's workers are asked whether the server answers; its cases wait and go on."""

    class Cluster:
        """An executor as dask's client is one: not of concurrent.futures."""

        def __init__(self) -> None:
            self.pool = ThreadPoolExecutor(2)
            self.looked: list[str] = []

        def submit(self, function: Any, *given: Any) -> Any:
            if function.__name__ == "answers_at":
                self.looked.append(given[1])
            return self.pool.submit(function, *given)

    cluster = Cluster()
    port = quiet_port()
    slow_models(project, 0.0, port).close()
    batch = Batch(["dada"], SLOW[:2], notebook=False)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(batch.run, executor=cluster, display=False)
        until(lambda: cluster.looked)
        with ModelServer(lambda _: "a torn flower", port=port):
            assert running.result(60).clean
    assert "ollama" in cluster.looked
    assert all(state.failures == 0 for state in batch.states.values())


def test_joblib_s_own_executor_works(project: Path) -> None:
    loky = pytest.importorskip("joblib.externals.loky")
    with loky.get_reusable_executor(max_workers=1, timeout=20) as executor:
        assert Batch(["dada"], TEXTS, notebook=False).run(executor=executor, display=False).clean

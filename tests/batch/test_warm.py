"""Forked kernels: warm, and as separate as fresh ones."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from aipipe.batch import Batch, honest, warm
from aipipe.batch.warm import ZYGOTE, WarmSpecs, is_own_kernel
from aipipe.errors import UsageError

pytestmark = [
    pytest.mark.skipif(not warm.CAN_FORK, reason="forked kernels"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning", "ignore::ResourceWarning"),
]
PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


@pytest.fixture(autouse=True, scope="module")
def engine() -> Iterator[None]:
    warm.register()
    yield
    ZYGOTE.stop()


def execute(folder: Path, code: str, **options: Any) -> Any:
    """Run a notebook of one cell; its printed text."""
    source, target = folder / "in.ipynb", folder / "out.ipynb"
    cells = [new_code_cell("n = 0", metadata={"tags": ["parameters"]}), new_code_cell(code)]
    nbformat.write(new_notebook(cells=cells, metadata=PYTHON), source)
    papermill.execute_notebook(source, target, engine_name="aipipe", progress_bar=False, **options)
    cell = nbformat.read(target, as_version=4).cells[-1]
    return "".join(o.get("text", "") for o in cell.outputs if o.get("name") != "stderr")


def facts(folder: Path, code: str, **options: Any) -> Any:
    return json.loads(execute(folder, f"import json, os, sys, threading, random\n{code}", **options))


def test_cases_share_nothing_but_warm_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIPIPE_CASE_INDEX", "1")
    probe = """
import numpy
found = {"pid": os.getpid(), "left": "left" in globals(), "cwd": os.getcwd(), "env": os.environ.get("LEFT"), "n": n,
         "case": os.environ["AIPIPE_CASE_INDEX"], "threads": [t.name for t in threading.enumerate() if t.name == "left"],
         "warm": "pandas" in sys.modules, "chance": random.random(), "chance2": numpy.random.rand(), "patched": hasattr(json, "left"),
         "files": len([f for f in os.listdir("/proc/self/fd")]) if os.path.isdir("/proc/self/fd") else 0}
left, json.left, os.environ["LEFT"] = 1, 1, "1"
threading.Thread(target=threading.Event().wait, name="left", daemon=True).start()
opened = [open(os.devnull) for _ in range(50)]
os.chdir("/")
print(json.dumps(found))
"""
    one = facts(tmp_path, probe, parameters={"n": 7}, cwd=str(tmp_path))
    monkeypatch.setenv("AIPIPE_CASE_INDEX", "2")
    two = facts(tmp_path, probe, parameters={"n": 8}, cwd=str(tmp_path))
    assert one["warm"]
    assert (one["n"], two["n"], one["case"], two["case"]) == (7, 8, "1", "2")
    assert one["pid"] != two["pid"]
    assert (one["chance"], one["chance2"]) != (two["chance"], two["chance2"])
    for found in (one, two):
        assert (found["left"], found["env"], found["patched"], found["threads"]) == (False, None, False, [])
        assert Path(found["cwd"]) == tmp_path
    assert two["files"] <= one["files"] + 2


def test_a_kernel_that_dies_is_told_and_the_next_case_runs(tmp_path: Path) -> None:
    from nbclient.exceptions import DeadKernelError

    with pytest.raises(DeadKernelError):
        execute(tmp_path, "import os; os._exit(9)")
    assert execute(tmp_path, "print(n + 1)").strip() == "1"


def test_a_kernel_that_hangs_is_ended(tmp_path: Path) -> None:
    from nbclient.exceptions import CellTimeoutError

    pid = tmp_path / "pid"
    with pytest.raises(CellTimeoutError):
        execute(
            tmp_path,
            f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)",
            execution_timeout=2,
        )
    gone(int(pid.read_text()))


def test_fifty_megabytes_of_text_pass(tmp_path: Path) -> None:
    assert len(execute(tmp_path, "for _ in range(50):\n    print('x' * (1 << 20))")) == 50 * ((1 << 20) + 1)


def test_memory_is_bounded_for_one_case_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from papermill.exceptions import PapermillExecutionError

    monkeypatch.setenv("AIPIPE_KERNEL_MEMORY_MB", "1500")
    with pytest.raises(PapermillExecutionError, match="MemoryError"):
        execute(tmp_path, "b'x' * (4 << 30)")
    assert execute(tmp_path, "print(len(b'x' * (1 << 20)))").strip() == str(1 << 20)


def test_a_lost_zygote_is_replaced(tmp_path: Path) -> None:
    first = facts(tmp_path, "print(json.dumps(os.getppid()))")
    os.kill(first, signal.SIGKILL)
    gone(first)
    assert facts(tmp_path, "print(json.dumps(os.getppid()))") != first


def test_kernels_end_with_the_process_that_wanted_them(tmp_path: Path) -> None:
    """Kill -9 of the batch process: pipes close, zygote and kernel follow."""
    pid = tmp_path / "pid"
    cells = [
        new_code_cell(
            f"import os, time\nopen({str(pid)!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}}')\ntime.sleep(600)"
        )
    ]
    nbformat.write(new_notebook(cells=cells, metadata=PYTHON), tmp_path / "in.ipynb")
    program = (
        "import papermill, sys\nfrom aipipe.batch import warm\nwarm.register()\n"
        "papermill.execute_notebook(sys.argv[1], None, engine_name='aipipe', progress_bar=False)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "in.ipynb")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (pid.exists() and len(pid.read_text().split()) == 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    for number in pid.read_text().split():
        gone(int(number))


def test_other_kernels_keep_their_own_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    assert is_own_kernel(argv)
    assert is_own_kernel([argv[0], "-Xfrozen_modules=off", *argv[1:]])
    assert not is_own_kernel(["/opt/other/python", *argv[1:]])
    assert not is_own_kernel([*argv, "--debug"])
    assert not is_own_kernel(["julia", "kernel.jl", "{connection_file}"])
    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", lambda *_: KernelSpec(argv=["R", "--slave"]))
    assert "kernel_provisioner" not in WarmSpecs().get_kernel_spec("ir").metadata


def test_a_batch_can_use_fresh_kernels(project: Path) -> None:
    """Warm ones are the default, which the tests of batches use."""
    status = Batch(["dada"], ["a flower"]).run(engine="papermill", display=False)
    assert status.counts["completed"] == 1, str(status)
    with pytest.raises(UsageError, match="engine"):
        Batch(["dada"], ["a flower"]).run(engine="steam", display=False)


def gone(pid: int, seconds: float = 15) -> None:
    """Wait until a process has ended, or is a zombie nobody of ours can reap."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if (
                Path(f"/proc/{pid}/stat").is_file()
                and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
            ):
                return
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")


STATES = "import os, sys, time\nprint('begun', flush=True)\ntime.sleep(1)\n"


@pytest.mark.parametrize(
    ("ends", "options", "says"),
    [
        ("os._exit(9)", {}, "DeadKernelError"),
        ("time.sleep(600)", {"execution_timeout": 2}, "CellTimeoutError"),
        ("1/0", {}, "ZeroDivisionError"),
        ("sys.exit(0)", {}, "SystemExit"),
    ],
)
@pytest.mark.parametrize("name", ["aipipe", warm.FRESH])
def test_the_file_says_what_happened(tmp_path: Path, name: str, ends: str, options: dict[str, Any], says: str) -> None:
    source, target = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    cells = [new_code_cell("first = 1"), new_code_cell(STATES + ends), new_code_cell("never = 1")]
    nbformat.write(new_notebook(cells=cells, metadata=PYTHON), source)
    with contextlib.suppress(Exception):
        papermill.execute_notebook(source, None, engine_name=name, progress_bar=False, save_to=str(target), **options)
    document = nbformat.read(target, as_version=4)
    assert [c.metadata.papermill["status"] for c in document.cells] == ["completed", "failed", "pending"]
    assert [c.metadata.papermill["exception"] for c in document.cells] == [False, True, None]
    assert document.metadata.papermill["exception"] is True
    assert document.metadata["aipipe"]["status"] == "failed"
    assert says in document.metadata["aipipe"]["message"]
    assert "begun" in str(document.cells[1].outputs), "what it said before is kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.ipynb", "out.ipynb"]


def test_ctrl_c_is_told_in_the_file_and_leaves_no_kernel(tmp_path: Path) -> None:
    """The papermill command itself, as a person uses it on a terminal: Ctrl-C reaches the whole process group."""
    pid = tmp_path / "pid"
    wait = f"import os, time\nopen({str(pid)!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}}')\ntime.sleep(600)"
    cells = [new_code_cell("first = 1"), new_code_cell(wait), new_code_cell("never = 1")]
    nbformat.write(new_notebook(cells=cells, metadata=PYTHON), tmp_path / "in.ipynb")
    command = [sys.executable, "-m", "papermill", "--engine", "aipipe", "--no-progress-bar", "in.ipynb", "out.ipynb"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (pid.exists() and len(pid.read_text().split()) == 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) != 0
    for number in pid.read_text().split():
        gone(int(number))
    document = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert [c.metadata.papermill["status"] for c in document.cells] == ["completed", "failed", "pending"]
    assert "KeyboardInterrupt" in document.metadata["aipipe"]["message"]


def test_the_file_is_not_written_anew_for_every_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bool] = []
    real = honest.write
    monkeypatch.setattr(honest, "write", lambda *a, **k: (written.append(k["sync"]), real(*a, **k)))
    cells = [new_code_cell("1") for _ in range(30)]
    nbformat.write(new_notebook(cells=cells, metadata=PYTHON), tmp_path / "in.ipynb")
    papermill.execute_notebook(tmp_path / "in.ipynb", tmp_path / "out.ipynb", engine_name="aipipe", progress_bar=False)
    assert len(written) < 15, "papermill writes 62 times"
    assert written[-1], "the last word is forced to disk"
    status = {c.metadata.papermill["status"] for c in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells}
    assert status == {"completed"}


def test_memory_has_a_bound_where_nobody_names_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIPIPE_KERNEL_MEMORY_MB", raising=False)
    ask = "import json, resource\nprint(json.dumps(resource.getrlimit(resource.RLIMIT_DATA)[0]))"
    bound = json.loads(execute(tmp_path, ask))
    assert 0 < bound < 2**50
    monkeypatch.setenv("AIPIPE_KERNEL_MEMORY_MB", "0")
    assert json.loads(execute(tmp_path, ask)) in (-1, 2**64 - 1)

"""One writer per run, and a frozen and thawed one finds out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aipipe import lease
from aipipe.errors import RunLocked, UsageError
from aipipe.store import Store

WRITER = """
import sys, time
from aipipe.errors import WriterReplaced
from aipipe.store import Store
recorder = Store(sys.argv[1]).create("dada", expected_outputs=["input", "interception"])
recorder.save_entity("input", "by the first writer")
print(recorder.run_id, flush=True)
sys.stdin.readline()
try:
    recorder.save_entity("interception", "by the frozen writer")
    print("saved", flush=True)
except WriterReplaced as error:
    print("replaced", flush=True)
try:
    recorder.finish("failed")
    print("finished", flush=True)
except WriterReplaced:
    print("replaced", flush=True)
"""


def start_writer(root: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_second_writer_is_refused_with_owner_host_and_age(tmp_path: Path) -> None:
    process, run_id = start_writer(tmp_path)
    try:
        store = Store(tmp_path)
        assert store.open(run_id).status == "running"
        with pytest.raises(RunLocked) as refused:
            store.resume(run_id)
        assert refused.value.owner == process.pid
        assert refused.value.host
        assert refused.value.age is not None
    finally:
        process.kill()
        process.communicate()
    assert store.open(run_id).status == "interrupted"


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_a_frozen_writer_that_thaws_is_told_that_it_was_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, run_id = start_writer(tmp_path)
    store = Store(tmp_path)
    try:
        os.kill(process.pid, signal.SIGSTOP)
        # To a successor on another host the frozen process is gone: its lease no longer changes.
        monkeypatch.setattr(lease, "_alive", lambda found, age: found.pid == os.getpid())
        assert store.open(run_id).status == "interrupted"
        recorder = store.resume(run_id)
        recorder.save_entity("interception", "by the successor")
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline().strip() == "replaced"
        assert process.stdout.readline().strip() == "replaced"
        recorder.finish("completed")
    finally:
        process.kill()
        process.communicate()
    run = store.open(run_id)
    assert run["interception"].text == "by the successor"
    assert run.status == "completed"
    assert [a.status for a in run.record.attempts] == ["interrupted", "completed"]
    assert run.verify().clean


def test_of_two_successors_one_wins(tmp_path: Path) -> None:
    process, run_id = start_writer(tmp_path)
    process.kill()
    process.communicate()
    program = (
        "import sys\nfrom aipipe.errors import AipipeError\nfrom aipipe.store import Store\n"
        "sys.stdin.readline()\n"
        "try:\n    r = Store(sys.argv[1]).resume(sys.argv[2]); print('won', flush=True); sys.stdin.readline(); r.close()\n"
        "except AipipeError as error:\n    print(type(error).__name__, flush=True)\n"
    )
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), run_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    time.sleep(0.5)
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    answers = [rival.stdout.readline().strip() for rival in rivals if rival.stdout is not None]
    for rival in rivals:
        rival.communicate("end\n")
    assert answers.count("won") == 1, answers
    assert set(answers) <= {"won", "RunLocked", "WriterReplaced"}


def test_a_reused_process_id_is_not_taken_for_the_writer(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.create("dada") as recorder:
        path = recorder.folder / ".writer-1" / "lease.json"
        known = json.loads(path.read_text())
        path.write_text(json.dumps({**known, "process_start": "1"}))
        assert store.open(recorder.run_id).status == "interrupted"


def test_a_writer_of_another_host_counts_as_gone_after_five_minutes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.create("dada") as recorder:
        path = recorder.folder / ".writer-1" / "lease.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "host": "elsewhere"}))
        assert store.open(recorder.run_id).status == "running"
        old = time.time() - 400
        os.utime(path, (old, old))
        assert store.open(recorder.run_id).status == "interrupted"


@pytest.mark.parametrize("status", ["completed", "blocked"])
def test_what_is_done_is_not_resumed(tmp_path: Path, status: str) -> None:
    store = Store(tmp_path)
    with store.create("dada") as recorder:
        recorder.finish(status)
    with pytest.raises(UsageError, match="nothing to resume"):
        store.resume(recorder.run_id)

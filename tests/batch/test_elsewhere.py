"""Batches that run elsewhere: on a cluster whose driver dies, on other hosts, told what to do from outside, watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aipipe import lease
from aipipe.batch import Batch, claims, work
from aipipe.batch.control import Control, say
from aipipe.batch.ledger import Ledger
from aipipe.batch.scheduling import Place, Schedule
from aipipe.errors import RunLocked, RunNotFound, UnknownName
from aipipe.store import Store
from tests.batch.test_batch import write_notebook
from tests.batch.test_processes import SLOW, check_once_each, slow_models, until


def settled(batch: Batch) -> Batch:
    batch._settle()
    return batch


def task_of(batch: Batch) -> dict[str, Any]:
    schedule = Schedule(batch.plan, Place(batch.folder, batch._lab.store.path, batch._lab.project), options_of())
    schedule.prepare()
    item = schedule.take()
    assert item is not None
    return schedule.task(item)


def options_of() -> Any:
    from aipipe.batch.options import Options

    return Options()


def foreign(path: Path, age: float) -> None:
    """A claim as another host made it, touched so many seconds ago."""
    mine = json.loads(path.read_text())
    path.write_text(json.dumps({**mine, "host": "another", "boot_id": "another"}))
    os.utime(path, (time.time() - age, time.time() - age))


# Claims


def test_a_claim_is_touched_while_its_owner_works(tmp_path: Path) -> None:
    path = tmp_path / "a.1"
    assert claims.take(path)
    foreign(path, 200)
    heart = claims.Heartbeat()
    heart.hold(path)
    heart.beat()
    assert time.time() - path.stat().st_mtime < 5
    heart.let_go(path)
    foreign(path, 400)
    heart.beat()
    assert not claims.alive(path), "five minutes without a touch, on another host"


def test_a_schedule_keeps_its_claims_alive_and_lets_go_of_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    batch = settled(Batch(["dada"], ["x"], notebook=False))
    schedule = Schedule(batch.plan, Place(batch.folder, batch._lab.store.path, batch._lab.project), options_of())
    with schedule.heart:
        schedule.prepare()
        item = schedule.take()
        assert item is not None
        path = schedule.ledger.claim_of(item.case.case_key, 1)
        foreign(path, 250)
        until(lambda: time.time() - path.stat().st_mtime < 5, 10)
        assert batch.status.counts["running"] == 1
        schedule.report(item, {"state": "completed", "run_ids": ["r"]})
        foreign(path, 250)
        time.sleep(0.3)
        assert time.time() - path.stat().st_mtime > 200


def test_a_lock_is_held_by_one_and_taken_from_the_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".planning"
    inside: list[int] = []

    def work_within(n: int) -> None:
        with claims.lock(path):
            inside.append(n)
            assert len(inside) == 1
            time.sleep(0.02)
            inside.clear()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work_within, range(8)))
    assert claims.take(path)
    foreign(path, 400)
    with claims.lock(path):
        assert claims.alive(path)
    assert not path.exists()
    assert claims.take(path)
    monkeypatch.setattr(claims, "LOCK_SECONDS", 0.1)
    with pytest.raises(RunLocked), claims.lock(path):
        pass


# Workers that outlive who sent them


def test_a_worker_writes_the_end_of_its_case_itself(project: Path) -> None:
    batch = settled(Batch(["dada"], ["x"], notebook=False))
    answer = work.do(task_of(batch))
    assert answer["recorded"]
    assert batch.status.counts["completed"] == 1, "though nobody took the answer"
    (run,) = Store(project / "runs")
    assert batch.states[batch.plan.cases[0].case_key].run_ids == [run.run_id]


def test_a_case_whose_sender_is_gone_is_not_begun(project: Path) -> None:
    batch = settled(Batch(["dada"], ["x"], notebook=False))
    task = task_of(batch)
    foreign(Ledger(batch.folder).claim_of(batch.plan.cases[0].case_key, 1), 400)
    assert work.do(task)["cause"] == work.ORPHANED
    assert list(Store(project / "runs")) == []
    assert batch.run(display=False).clean


def test_an_attempt_that_a_cluster_gives_out_twice_is_done_once(project: Path) -> None:
    batch = settled(Batch(["dada"], ["x"], notebook=False))
    task = task_of(batch)
    first = work.do(task)
    again = work.do(task)
    assert (again["state"], again["run_ids"], again["recorded"]) == ("completed", first["run_ids"], True)
    assert len(list(Store(project / "runs"))) == 1


def test_an_attempt_whose_worker_died_is_an_attempt_that_was_lost(project: Path) -> None:
    batch = settled(Batch(["dada"], ["x"], notebook=False))
    task = task_of(batch)
    path = Ledger(batch.folder).worker_of(batch.plan.cases[0].case_key, 1)
    claims.take(path)
    foreign(path, 400)
    answer = work.do(task)
    assert (answer["state"], answer["cause"]) == ("interrupted", "WorkerLost")


def test_a_case_whose_run_is_still_written_waits_for_its_end(project: Path) -> None:
    batch = settled(Batch(["dada"], ["x"], notebook=False))
    case = batch.plan.cases[0]
    ledger = Ledger(batch.folder)
    ledger.add(case, "running", 1)
    ledger.claim(case, 1)
    foreign(ledger.claim_of(case.case_key, 1), 400)
    from aipipe.records import BatchRecord

    record = BatchRecord(batch_id=batch.batch_id, case_key=case.case_key, index=0)
    with ThreadPoolExecutor(1) as pool:
        with Store(project / "runs").create(config_name="dada", batch=record) as recorder:
            running = pool.submit(batch.run, display=False)
            time.sleep(2)
            assert len(list(Store(project / "runs"))) == 1, "the second attempt waits"
            recorder.close()
        assert running.result(30).clean
    assert len(list(Store(project / "runs"))) == 2


DRIVER = """
import sys
from distributed import Client
from aipipe.batch import Batch
if __name__ == "__main__":
    with Client(sys.argv[1]) as client:
        Batch.open("").run(workers=2, executor=client, display=False)
"""
CLUSTER = """
import sys, time
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_a_killed_driver_of_a_cluster_loses_no_case_and_doubles_none(project: Path) -> None:
    pytest.importorskip("distributed")
    with slow_models(project, 0.5):
        batch = settled(Batch(["dada"], SLOW, notebook=False))
        with subprocess.Popen(
            [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as cluster:
            assert cluster.stdout is not None
            assert cluster.stdin is not None
            address = cluster.stdout.readline().strip()
            driver = subprocess.Popen([sys.executable, "-c", DRIVER, address])
            until(lambda: len([r for r in Store(project / "runs") if r.status == "running"]) == 2)
            driver.kill()
            driver.wait()
            assert batch.status.counts["running"] == 2, "their workers live"
            subprocess.run([sys.executable, "-c", DRIVER, address], check=True, timeout=90)
            until(lambda: batch.status.counts["running"] == 0, 30)
            cluster.stdin.close()
        assert batch.run(display=False).clean
        check_once_each(project, batch)
    assert len(list(Store(project / "runs"))) == len(SLOW), "not even an interrupted run more"


# Words from outside


def test_words_are_heard_once_and_old_ones_are_history(tmp_path: Path) -> None:
    say(tmp_path, "stop")
    control = Control(tmp_path)
    assert control.heard() == ""
    say(tmp_path, "drain")
    assert [control.heard(), control.heard()] == ["drain", ""]
    say(tmp_path, "pause")
    assert control.heard() == "pause"
    assert [Control(tmp_path).heard(), control.heard()] == ["pause", ""], "a pause holds for those that come later"
    (tmp_path / "control.json").write_text("{")
    assert control.heard() == ""
    with pytest.raises(UnknownName):
        say(tmp_path, "halt")


def test_pause_resume_and_drain_from_another_process(project: Path) -> None:
    many = [f"Eine Blume, Nummer {n}" for n in range(30)]
    with slow_models(project, 0.2):
        batch = Batch(["dada"], many, notebook=False).start(workers=1)

        def ended() -> int:
            return batch.status.counts["completed"]

        until(lambda: ended() >= 1)
        told = subprocess.run(
            [sys.executable, "-m", "aipipe", "batch", "pause", batch.batch_id],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "pause was said" in told.stdout
        until(lambda: batch.status.counts["running"] == 0)
        time.sleep(1.0)
        seen = ended()
        time.sleep(2.0)
        assert ended() == seen < len(many)
        batch.resume()
        until(lambda: ended() > seen)
        batch.drain()
        until((batch.folder / "report.html").exists)
        status = batch.status
        assert status.counts["running"] == status.counts["interrupted"] == 0
        assert 0 < status.counts["waiting"] < len(many)
        batch.pause()
        assert batch.run(display=False).clean, "to run it is to end the pause"
        check_once_each(project, batch)


def test_stop_from_outside_ends_at_once_and_counts_no_failure(project: Path) -> None:
    with slow_models(project, 2.0):
        batch = Batch(["dada"], SLOW, notebook=False).start(workers=2)
        until(lambda: batch.status.counts["running"] == 2)
        batch.stop()
        until(lambda: batch.status.counts["running"] == 0, 15)
        assert all(state.failures == 0 for state in batch.states.values())
        assert batch.status.counts["failed"] == 0


def test_a_batch_that_was_never_started_hears_nothing(project: Path) -> None:
    batch = Batch(["dada"], ["x"], notebook=False)
    for act in (batch.pause, batch.resume, batch.drain, batch.stop, batch.watch):
        with pytest.raises(RunNotFound, match="never started"):
            act()


def test_a_slip_of_the_pen_is_no_plan_file(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "aipipe", "batch", "statsu"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Did you mean 'status'" in done.stderr


# Watching


def test_a_batch_elsewhere_is_watched_to_its_end(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with slow_models(project, 0.2):
        batch = Batch(["dada"], SLOW[:3], notebook=False).start(workers=1)
        until(lambda: batch.status.counts["running"])
        snapshot = batch.snapshot
        assert snapshot.progress.current[0].name.startswith("dada · Eine Blume")
        assert batch.watch().clean
    said = capsys.readouterr().err
    assert "3 completed" in said
    progress = batch.snapshot.progress
    assert (progress.ended, progress.total) == (3, 3)
    assert progress.per_minute is not None
    assert len(progress.pictures) == 3
    shown = batch._repr_mimebundle_()
    assert shown["text/html"].count("<img") == 3
    assert "a minute" in shown["text/plain"]


# Notebooks


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_a_killed_batch_of_notebooks_resumes_and_has_every_case_once(project: Path) -> None:
    program = (
        "import sys\nfrom aipipe.batch import Batch\n"
        "Batch(['dada', 'bauhaus'], [f'text {n}' for n in range(4)]).run(workers=2, display=False, max_attempts=50)\n"
    )
    for pause in (4.0, 3.0):
        process = subprocess.Popen([sys.executable, "-c", program])
        time.sleep(pause)
        process.kill()
        process.wait()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    batch = Batch.open("")
    assert batch.status.clean, str(batch.status)
    check_once_each(project, batch)
    for state in batch.states.values():
        document = json.loads((batch.folder / "notebooks" / state.notebook).read_text())
        assert document["metadata"]["aipipe"]["status"] == "completed"
        assert document["metadata"]["aipipe"]["run_ids"] == state.run_ids


def test_a_notebook_says_which_run_it_made(project: Path) -> None:
    case = project / "case.ipynb"
    write_notebook(
        case,
        'config = "dada"\ntext = ""',
        "import aipipe\nrun = aipipe.Lab(display=False).run(config, text)\nif text == 'b': 1 / 0",
    )
    batch = Batch(["dada"], ["a", "b"], notebook=case)
    batch.run(max_attempts=1, display=False)
    for state in batch.states.values():
        document = json.loads((batch.folder / "notebooks" / state.notebook).read_text())
        assert document["metadata"]["aipipe"]["run_ids"] == state.run_ids != []

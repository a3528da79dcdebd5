"""Which case comes when: around servers that are away, within limits, texts before media, bounded attempts."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import aipipe
from aipipe import comfy
from aipipe.batch import Batch, crowds, needs, work
from aipipe.batch import batch as batches
from aipipe.batch.ledger import STATES
from aipipe.batch.needs import needs_by
from aipipe.batch.options import Options
from aipipe.batch.scheduling import SAME_FAILURES, Schedule
from aipipe.errors import UsageError
from aipipe.store import Store
from aipipe.testing import ComfyServer, Fault, ModelServer
from aipipe.testing.comfy_server import picture_graph
from tests.batch.test_processes import until

TEXTS = ["Eine Blume", "Ein Haus", "Eine Katze"]


def answer(request: Any) -> str:
    return '{"safe": true}' if "safe" in str(request) else "a torn flower"


def settings(project: Path, model_url: str, comfy_url: str = "", safety: str = "off") -> None:
    image = "graph" if comfy_url else "placeholder"
    (project / "aipipe.toml").write_text(
        f'mode = "eco"\nsafety = "{safety}"\n[modes.eco]\nbackend = "ollama"\n[modes.eco.models]\ntranslation = "tiny"\n'
        f'safety = "tiny"\ninterception = "tiny"\n[modes.eco.outputs]\nimage = "{image}"\n[backends.ollama]\n'
        f'url = "{model_url}"\n[runners.comfyui]\nurls = ["{comfy_url}"]\n',
        encoding="utf-8",
    )
    if comfy_url:
        adopt(project)


def adopt(project: Path) -> None:
    """Two output configs with graphs of their own."""
    for number, name in enumerate(("graph", "other")):
        aipipe.Lab(project, display=False).add_output(name, comfy.Workflow(picture_graph(number)))


def check_sums(batch: Batch) -> None:
    counts = batch.status.counts
    assert counts["planned"] == sum(counts[name] for name in STATES)


def begun(batch: Batch) -> list[dict[str, Any]]:
    """Lines of the ledger that say that something began, in order."""
    lines = [json.loads(line) for line in (batch.folder / "cases.jsonl").read_text().splitlines()]
    return [line for line in lines if line["state"] == "running"]


@pytest.mark.parametrize("notebook", [False, None])
def test_texts_come_first_in_blocks_then_media_by_checkpoint(
    project: Path, notebook: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIPIPE_REUSE", "0")
    made: list[int] = []
    with ComfyServer() as pictures:

        def script(request: Any) -> str:
            if request["messages"]:
                made.append(len(pictures.submissions))
            return answer(request)

        with ModelServer(script) as models:
            settings(project, models.url, pictures.url, safety="adult")
            batch = Batch(["dada"], TEXTS, outputs=["graph", "other"], notebook=notebook)
            status = batch.run(workers=2, schedule="text_first", block=4, display=False)
            unloaded = [r for r in models.requests if not r["messages"]]
        freed = [path for _, path in pictures.requests if path == "/free"]
    assert status.counts["completed"] == 6, str(status)
    check_sums(batch)
    assert sorted(set(made)) == [0, 4], "in each block all texts come before the first picture"
    phases = [line.get("phase", "") for line in begun(batch)]
    assert phases == ["text"] * 4 + [""] * 4 + ["text"] * 2 + [""] * 2
    outputs = {c.case_key: c.outputs[0] for c in batch.plan.cases}
    first_block = [outputs[line["case_key"]] for line in begun(batch)[4:8]]
    assert first_block == sorted(first_block), "pictures of one checkpoint stand together"
    assert [r["keep_alive"] for r in unloaded] == [0, 0], "once before the media of each block"
    assert len(freed) == 2, "once before the texts of each block"
    runs = list(Store(project / "runs"))
    assert len(runs) == 6, "a case has one run, made in two parts"
    assert all(run.status == "completed" and run.images and len(run.record.attempts) == 2 for run in runs)
    if notebook is None:
        assert len(list((batch.folder / "notebooks").glob("*.ipynb"))) == 6


def test_a_batch_stopped_between_texts_and_media_goes_on_with_the_same_runs(project: Path) -> None:
    with ModelServer(answer) as models:
        settings(project, models.url)
        batch = Batch(["dada"], TEXTS, notebook=False)
        schedule = scheduled(batch, text_first=True)
        while (item := schedule.take()) is not None and item.phase == "text":
            schedule.report(item, work.do(schedule.task(item)))
        held = {run.run_id for run in Store(project / "runs")}
        assert batch.status.counts["running"] == 1
        check_sums(batch)
        assert {run.status for run in Store(project / "runs")} == {"cancelled"}
        for claim in (batch.folder / "claims").glob(f"{item.case.case_key}.1"):
            claim.unlink()  # as if its process had died
        assert batch.status.counts["waiting"] + batch.status.counts["interrupted"] == 3
        status = Batch(["dada"], TEXTS, notebook=False).run(workers=2, schedule="text_first", display=False)
        assert status.counts["completed"] == 3, str(status)
    assert {run.run_id for run in Store(project / "runs")} == held
    assert all(run.status == "completed" for run in Store(project / "runs"))


def scheduled(batch: Batch, *, text_first: bool = False, **options: Any) -> Schedule:
    """The schedule that `run` would use, in the hands of the test."""
    schedule = Schedule(
        batch.plan, batch._settle(), Options(**options), needs=needs_by(batch._lab), text_first=text_first
    )
    schedule.prepare()
    return schedule


@pytest.mark.parametrize(("device", "first"), [("cuda", "text"), ("cpu", None)])
def test_a_shared_gpu_is_noticed(project: Path, device: str, first: str | None) -> None:
    with ComfyServer() as pictures, ModelServer(answer) as models:
        pictures.device = device
        settings(project, models.url, pictures.url)
        batch = Batch(["dada"], TEXTS[:1], notebook=False)
        assert batch.run(display=False).counts["completed"] == 1
    assert begun(batch)[0].get("phase") == first


class Away:
    """A model server that goes away after some answers, and comes back."""

    def __init__(self, answers: int, seconds: float) -> None:
        self.left, self.seconds = answers, seconds
        self.server = ModelServer(self.script)
        self.port = int(self.server.url.rpartition(":")[2])
        self.timer: threading.Timer | None = None

    def script(self, request: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            threading.Thread(target=self.leave).start()
        return answer(request) if self.left > 0 else Fault(status=503, body="going")

    def leave(self) -> None:
        self.server.close()
        self.timer = threading.Timer(self.seconds, self.come_back)
        self.timer.start()

    def come_back(self) -> None:
        self.left = 10_000
        self.server = ModelServer(self.script, port=self.port)


def test_cases_wait_for_a_server_that_is_away_and_go_on_when_it_is_back(project: Path) -> None:
    away = Away(answers=5, seconds=4)
    settings(project, away.server.url)
    texts = [f"Eine Blume, Nummer {n}" for n in range(12)]
    batch = Batch(["dada"], texts, notebook=False)
    status = batch.run(workers=2, max_attempts=1, display=False)
    away.server.close()
    assert status.counts["completed"] == 12, str(status)
    check_sums(batch)
    assert status.paused == {}
    failed = [run for run in Store(project / "runs") if run.status == "failed"]
    assert 1 <= len(failed) <= 4, "cases wait instead of failing one after the other"


def test_a_server_that_stays_away_is_given_up_and_its_cases_stay_waiting(project: Path) -> None:
    settings(project, "http://127.0.0.1:9")
    batch = Batch(["dada"], TEXTS, notebook=False)
    status = batch.run(workers=2, patience=0.01, display=False)
    assert set(status.paused) == {"ollama"}
    assert status.counts["waiting"] + status.counts["failed"] == 3
    check_sums(batch)
    with ModelServer(answer) as models:
        settings(project, models.url)
        assert Batch.open(batch.batch_id).run(max_attempts=1, display=False).counts["completed"] == 3


def test_limits_of_a_service_hold(project: Path) -> None:
    now, most = [0], [0]
    lock = threading.Lock()

    def script(request: Any) -> str:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.1)
        with lock:
            now[0] -= 1
        return answer(request)

    with ModelServer(script) as models:
        settings(project, models.url)
        texts = [f"Eine Blume, Nummer {n}" for n in range(8)]
        with ThreadPoolExecutor(6) as pool:
            status = Batch(["dada"], texts, notebook=False).run(
                workers=6, executor=pool, limits={"ollama": 2}, display=False
            )
    assert status.counts["completed"] == 8
    assert most[0] <= 2


def test_twenty_equal_failures_in_a_row_pause_a_config_and_no_other(project: Path) -> None:
    batch = Batch(["dada", "bauhaus"], [f"t{n}" for n in range(30)], notebook=False)
    schedule = scheduled(batch)
    while (item := schedule.take()) is not None:
        good = item.case.config == "bauhaus"
        schedule.report(item, {"state": "completed"} if good else {"state": "failed", "cause": "NoRun"})
    counts = batch.status.counts
    assert (counts["completed"], counts["failed"], counts["waiting"]) == (30, SAME_FAILURES, 10)
    assert list(schedule.paused) == ["dada"]


def test_failures_are_bounded_over_all_runs_of_a_batch_and_stops_are_not_failures(project: Path) -> None:
    batch = Batch(["dada"], TEXTS[:1], notebook=False)
    for cause, state in (
        ("Stopped", "interrupted"),
        ("ValueError", "failed"),
        ("", "killed"),
        ("WorkerLost", "interrupted"),
    ):
        schedule = scheduled(batch, max_attempts=2)
        item = schedule.take()
        assert item is not None
        if state == "killed":
            (batch.folder / "claims" / f"{item.case.case_key}.{item.attempt}").unlink()
            assert batch.status.counts["interrupted"] == 1
        else:
            schedule.report(item, {"state": state, "cause": cause})
    assert scheduled(batch, max_attempts=2).take() is None, "two failures: that is all"
    assert scheduled(batch, max_attempts=3).take() is not None


def test_retry_takes_one_cause_alone(project: Path) -> None:
    batch = Batch(["dada"], TEXTS, notebook=False)
    schedule = scheduled(batch)
    for cause in ("ValueError", "KeyError", "ValueError"):
        item = schedule.take()
        assert item is not None
        schedule.report(item, {"state": "failed", "cause": cause})
    status = batch.retry(cause="ValueError", display=False)
    assert (status.counts["completed"], status.counts["failed"]) == (2, 1)
    assert set(status.causes) == {"KeyError"}
    assert batch.retry(display=False).clean


def test_unknown_options_are_refused(project: Path) -> None:
    batch = Batch(["dada"], TEXTS, notebook=False)
    for options in (
        {"engin": "x"},
        {"engine": "x"},
        {"schedule": "x"},
        {"keep_notebooks": "some"},
        {"max_attempts": 0},
    ):
        for act in (batch.run, batch.start, batch.retry):
            with pytest.raises(UsageError):
                act(**options)
    with pytest.raises(UsageError, match="no executor"):
        batch.run(executor=3, display=False)


def test_a_text_is_translated_and_checked_once_for_all_its_cases(project: Path) -> None:
    asked: list[str] = []

    def script(request: Any) -> str:
        said = answer(request)
        asked.append("check" if said.startswith("{") else "text")
        return said if said.startswith("{") else f"a torn flower, number {len(asked)}"

    with ModelServer(script) as models:
        settings(project, models.url, safety="kids")
        batch = Batch(["dada"], ["Eine Blume"], [1, 2, 3], notebook=False)
        expected = batch.dry_run()["model_calls"]
        assert batch.run(workers=1, display=False).clean
    assert asked.count("check") == 2, "one of the input, one of what was made of it"
    assert len(asked) == expected == 4
    first, *others = sorted(batch.runs, key=lambda run: run.run_id)
    for run in others:
        checks = [e for e in run.entities if e.type in ("safety", "safety_pre_output")]
        assert [e.reused_from for e in checks] == [f"{first.run_id}/{e.filename}" for e in checks]
        assert [e.json["safe"] for e in checks] == [True, True]
        assert [s.outcome for s in run.record.steps if s.step.startswith("safety")] == ["reused", "reused"]
        assert (
            "safety" not in (run.folder / "exchanges.jsonl").read_text()
            if (run.folder / "exchanges.jsonl").exists()
            else True
        )


def test_a_blocking_check_is_reused_and_blocks_and_a_failed_one_is_asked_again(project: Path) -> None:
    said = iter(["no verdict at all", '{"safe": false, "category": "violence"}', '{"safe": true}'])

    def script(request: Any) -> str:
        return next(said) if "safe" in str(request) else "a torn flower"

    with ModelServer(script) as models:
        settings(project, models.url, safety="kids")
        batch = Batch(["dada"], ["Eine Blume"], [1, 2, 3], notebook=False)
        status = batch.run(workers=1, max_attempts=1, display=False)
    assert (status.counts["failed"], status.counts["blocked"]) == (1, 2), str(status)
    reused = [r for r in batch.runs if any(e.reused_from and e.type == "safety" for e in r.entities)]
    assert [run.status for run in reused] == ["blocked"]
    assert [s.outcome for s in reused[0].record.steps if s.step == "safety"] == ["blocked"]


def test_cases_wait_while_many_jobs_of_anybody_wait_at_comfyui(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "LOOK_SECONDS", 0.1)
    waiting = {"number": 3}
    monkeypatch.setattr(batches, "waiting_at", lambda lab, name: waiting["number"])
    with ModelServer(answer) as models, ComfyServer() as pictures:
        settings(project, models.url, pictures.url)
        batch = Batch(["dada"], TEXTS, notebook=False)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(batch.run, queue=3, display=False)
            time.sleep(1.5)
            assert pictures.submissions == [], "nobody jumps the queue"
            waiting["number"] = 2
            assert running.result(60).clean
    assert len(pictures.submissions) == 3


def test_the_queue_of_a_server_is_counted(project: Path) -> None:
    with ModelServer(answer) as models, ComfyServer() as pictures:
        settings(project, models.url, pictures.url)
        lab = aipipe.Lab(project, display=False)
        assert needs.waiting_at(lab, "comfyui") == 0
        with comfy.connect(pictures.url) as server:
            jobs = [server.submit(comfy.Workflow(picture_graph(n, seconds=30.0))) for n in range(3)]
            until(lambda: needs.waiting_at(lab, "comfyui") == 2, 10)
            for job in jobs:
                server.cancel_job(job.job_id)
        assert needs.waiting_at(lab, "placeholder") is None

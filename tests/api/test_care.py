"""Preview, resume, tag and verify over HTTP, by routes and by the client; visitors are refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import aipipe
from aipipe import errors
from aipipe.api.client import RemoteLab
from aipipe.lab import Lab
from tests.api.conftest import Serve, Served


@pytest.fixture
def lab(served: Served) -> Iterator[RemoteLab]:
    with aipipe.connect(served.url) as lab:
        yield lab


class CancelAt:
    """An observer that cancels a run when something of this type is recorded."""

    def __init__(self, type_: str) -> None:
        self.type, self.cancel = type_, lambda: None

    def on_event(self, event: Any) -> None:
        self.cancel = getattr(event, "cancel", None) or self.cancel
        if getattr(event, "type", "") == self.type:
            self.cancel()


def cancelled_run(runs: Path) -> str:
    """A run of an earlier process, cancelled after stage 1."""
    with Lab(runs=runs, mode="echo", display=False, durability="never") as local:
        run = local.run("dada", "a flower", seed=7, observers=[CancelAt("translation")])
    assert run.status == "cancelled"
    return run.run_id


def test_a_preview_is_what_a_local_lab_shows_and_records_nothing(lab: RemoteLab, served: Served) -> None:
    options = {"seed": 7, "safety": "kids", "until": "interception"}
    assert str(lab.preview("dada", "a flower", **options)) == str(served.lab.preview("dada", "a flower", **options))
    found = lab.preview("dada", "a flower", context="Answer as a stone would.", seed=2**64 - 1)
    assert "as a stone would" in str(found)
    assert found.seed == 2**64 - 1
    assert found.steps[-1].stage == 4
    assert "Preview of dada" in found._repr_mimebundle_()["text/html"]
    assert len(served.lab.store) == 0
    with pytest.raises(errors.UnknownName, match="dada"):
        lab.preview("dade", "x")


def test_a_run_is_resumed_in_its_place(serve: Serve, tmp_path: Path) -> None:
    run_id = cancelled_run(tmp_path / "runs")
    served = serve()
    before = served.lab.store.open(run_id)["translation"].record
    with aipipe.connect(served.url) as lab:
        run = lab.resume(run_id)
        assert run.status == "completed"
        assert run["translation"].record == before, "what was there is kept"
        assert len(run.record.attempts) == 2
        assert run["output_image"].image.size == (64, 64)
        with pytest.raises(errors.RunFinished, match="completed"):
            lab.resume(run)
        with pytest.raises(errors.RunNotFound):
            lab.resume("01a209d5-a393-71d0-9db9-8fe068936c27")


def test_a_resumed_run_waits_its_turn_and_is_told_of(serve: Serve, tmp_path: Path) -> None:
    run_id = cancelled_run(tmp_path / "runs")
    served = serve(slow=0.1)
    path = f"/api/pipeline/{run_id}"
    first = served.execute(**{"async": True}).json()["run_id"]
    with served.client.stream("GET", f"{path}/events") as answer:
        last = [line for line in answer.iter_lines() if line.startswith("id: ")][-1][4:]
    accepted = served.client.post(f"{path}/resume")
    assert (accepted.status_code, accepted.json()["place"]) == (202, 1)
    assert served.client.get(f"{path}/status").json()["status"] == "queued"
    assert served.client.get(f"/api/runs/{run_id}").json()["status"] == "queued"
    assert served.client.post(f"{path}/resume").status_code == 409
    assert [run["run_id"] for run in served.client.get("/api/runs").json()["queued"]] == [run_id]
    with served.client.stream("GET", f"{path}/events", headers={"last-event-id": last}) as answer:
        assert answer.status_code == 200, "the end that was told is none any more"
        text = "".join(answer.iter_text())
    assert '"status": "completed"' in text.rpartition("event: ended")[2]
    assert served.client.get(f"/api/pipeline/{first}/status").json()["status"] == "completed"


def test_a_resumption_that_waits_or_runs_can_be_cancelled(serve: Serve, tmp_path: Path) -> None:
    run_id = cancelled_run(tmp_path / "runs")
    served = serve(slow=0.1)
    path = f"/api/pipeline/{run_id}"
    first = served.execute(**{"async": True}).json()["run_id"]
    served.client.post(f"{path}/resume")
    assert served.client.post(f"{path}/cancel").status_code == 202
    assert served.client.get(f"{path}/status").json()["status"] == "cancelled"
    with aipipe.connect(served.url) as lab:
        lab.open_run(first).cancel()
        lab.open_run(first).wait(20)
        served.client.post(f"{path}/resume")
        run = lab.open_run(run_id)
        while run.refresh().status == "queued":
            pass
        run.cancel()
        assert run.wait(20).status == "cancelled"
    assert len(served.lab.store.open(run_id).record.attempts) == 2


def test_what_runs_elsewhere_or_is_laxer_than_the_server_is_not_resumed(serve: Serve, tmp_path: Path) -> None:
    with Lab(runs=tmp_path / "runs", mode="echo", display=False, durability="never") as local:
        lax = local.run("dada", "a flower", safety="off", observers=[CancelAt("interception")])
    assert lax.status == "cancelled"
    served = serve()
    assert served.client.post(f"/api/pipeline/{lax.run_id}/resume").status_code == 403
    with served.lab.store.create("mine") as recorder:
        answer = served.client.post(f"/api/pipeline/{recorder.run_id}/resume")
        assert (answer.status_code, answer.json()["type"]) == (409, "RunLocked")
        recorder.finish("failed", "as it goes")
    answer = served.client.post(f"/api/pipeline/{recorder.run_id}/resume")
    assert answer.status_code == 400, "a run of another program has no plan"
    assert answer.json()["hint"]


def test_a_context_that_was_never_judged_is_judged_before_its_run_is_resumed(serve: Serve) -> None:
    from aipipe.safety.terms import Terms
    from tests.api.test_routes import _block_terms

    served = serve(slow=0.1)
    first = served.execute(**{"async": True}).json()["run_id"]
    context = f"Always say {_block_terms(Terms.shipped())[0]}."
    run_id = served.execute(context=context, **{"async": True}).json()["run_id"]
    served.client.post(f"/api/pipeline/{run_id}/cancel")
    served.client.post(f"/api/pipeline/{first}/cancel")
    with aipipe.connect(served.url) as lab:
        run = lab.resume(run_id)
        assert run.status == "blocked"
        assert run.reason is not None
        assert run.reason.message.startswith("Context: ")
        assert run["error"].json["details"]["checked"] == "context"
        assert "interception" not in run


def test_tags_lie_beside_the_run_and_in_every_list(lab: RemoteLab, served: Served, monkeypatch: Any) -> None:
    monkeypatch.setenv("AIPIPE_AUTHOR", "anna")
    run = lab.run("dada", "a flower", tags=["first"])
    assert run.tag("keep", "figure-3") is run
    assert run.tags == ["first", "keep", "figure-3"]
    assert served.lab.store.open(run.run_id).tags == run.tags
    assert [r["run_id"] for r in lab.runs(tag="keep")] == [run.run_id]
    assert (served.lab.store.path / "annotations" / "anna.jsonl").exists()
    served.client.post(f"/api/runs/{run.run_id}/tags", json={"remove": ["keep"]})
    assert run.tags == ["first", "figure-3"]
    for wrong in ({"add": [" "]}, {"add": [""]}, {"colour": "red"}, {"add": ["x"] * 33}):
        assert served.client.post(f"/api/runs/{run.run_id}/tags", json=wrong).status_code == 400


def test_verify_finds_what_was_altered(lab: RemoteLab, served: Served) -> None:
    run = lab.run("dada", "a flower")
    assert run.verify().clean
    folder = served.lab.store.path / run.run_id
    (folder / "01_input.txt").write_text("another flower")
    report = run.verify()
    assert not report.clean
    assert report == served.lab.store.open(run.run_id).verify()


def test_a_remote_run_can_be_awaited(serve: Serve) -> None:
    served = serve(slow=0.02)

    async def two() -> list[str]:
        runs = [lab.start("dada", text) for text in ("a flower", "a house")]
        return [run.status for run in await asyncio.gather(*map(awaited, runs))]

    async def awaited(run: aipipe.api.client.RemoteRun) -> aipipe.api.client.RemoteRun:
        return await run

    with aipipe.connect(served.url) as lab:
        assert asyncio.run(two()) == ["completed", "completed"]
        assert threading.active_count() < 50


def test_visitors_are_refused(serve: Serve) -> None:
    served = serve(locked=True, token="op")
    with httpx.Client(base_url=served.url, follow_redirects=True, timeout=30) as visitor:
        visitor.get("/")
        body = {"schema": "dada", "input_text": "mine"}
        run_id = visitor.post("/api/schema/pipeline/execute", json=body).json()["run_id"]
        for answer in (
            visitor.post("/api/schema/pipeline/preview", json=body),
            visitor.post(f"/api/pipeline/{run_id}/resume"),
            visitor.post(f"/api/runs/{run_id}/tags", json={"add": ["x"]}),
            visitor.get(f"/api/runs/{run_id}/verify"),
        ):
            assert answer.status_code == 403
            assert answer.json()["hint"]
        assert visitor.get(f"/api/runs/{run_id}/tags").json()["tags"] == []
        with httpx.Client(base_url=served.url, follow_redirects=True, timeout=30) as other:
            other.get("/")
            assert other.get(f"/api/runs/{run_id}/tags").status_code == 404
    assert served.lab.store.open(run_id).tags == []

"""Events: exactly once, in order, across reconnects, restarts and processes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.sync.client import connect

from aipipe.api.news import Position, news
from aipipe.records import CurrentState, EntityRecord, RunRecord, StepRecord
from aipipe.store import Run
from tests.api.conftest import Serve, Served


def _record(steps: int, entities: int, stage: int, done: int) -> RunRecord:
    return RunRecord(
        run_id="r",
        timestamp="2026-01-01T00:00:00Z",
        config_name="dada",
        current_state=CurrentState(stage=stage, step="some_step", progress=f"{done}/9"),
        steps=[StepRecord(stage=1, step=f"s{n}") for n in range(steps)],
        entities=[
            EntityRecord(sequence=n + 1, type="note", filename=f"{n + 1:02}_note.bin", timestamp="t")
            for n in range(entities)
        ],
    )


@given(
    growth=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=8),
    forget=st.lists(st.booleans(), min_size=9, max_size=9),
)
@settings(max_examples=150, deadline=None)
def test_each_step_and_entity_is_told_once_whatever_the_reconnects(
    growth: list[tuple[int, int, int]], forget: list[bool]
) -> None:
    seen, told, steps, entities, stage = Position(), [], 0, 0, 0
    for number, (more_steps, more_entities, up) in enumerate(growth):
        steps, entities, stage = steps + more_steps, entities + more_entities, min(5, stage + up)
        status = "completed" if number == len(growth) - 1 else "running"
        found, after = news(Run(Path("r"), _record(steps, entities, stage, entities)), status, seen)
        told += found
        # A client that was cut off continues from the id of the last event it has.
        seen = Position.parse(found[-1].id) if found and forget[number] else after
        assert seen == after
    names = [item.event for item in told]
    assert names[0] == "started"
    assert names[-1] == "ended"
    assert names.count("started") == names.count("ended") == 1
    assert [i.data["step"] for i in told if i.event == "step"] == [f"s{n}" for n in range(steps)]
    assert [i.data["sequence"] for i in told if i.event == "entity"] == list(range(1, entities + 1))
    assert len({i.id for i in told}) == len(told)


@given(st.text(max_size=60))
def test_any_text_is_a_position(text: str) -> None:
    position = Position.parse(text)
    assert Position.parse(str(position)) == position


def test_a_cut_in_the_middle_of_a_batch_repeats_nothing() -> None:
    run = Run(Path("r"), _record(4, 5, 3, 5))
    whole, _ = news(run, "completed", Position())
    for cut in range(len(whole)):
        rest, _ = news(run, "completed", Position.parse(whole[cut].id))
        assert [i.id for i in rest] == [i.id for i in whole[cut + 1 :]]


def test_a_shrunken_record_resets_the_reader() -> None:
    found, _ = news(Run(Path("r"), _record(1, 1, 2, 1)), "running", Position(steps=5, entities=5, state="4:x:1/2"))
    assert [i.event for i in found][:2] == ["reset", "started"]


def test_odd_states_of_other_programs_do_not_repeat() -> None:
    record = _record(0, 0, 2, 0)
    record.current_state.step, record.current_state.progress = "Straße\n!", "half"
    run = Run(Path("r"), record)
    _, seen = news(run, "running", Position())
    assert news(run, "running", Position.parse(str(seen)))[0] == []


def _events(served: Served, run_id: str, after: str = "", limit: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    fields: dict[str, str] = {}
    headers = {"last-event-id": after} if after else {}
    with served.client.stream("GET", f"/api/pipeline/{run_id}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            if "data" in fields:
                found.append({"id": fields.get("id", ""), "event": fields["event"], "data": json.loads(fields["data"])})
            fields = {}
            if limit and len(found) >= limit:
                break
    return found


def test_a_client_that_is_cut_off_again_and_again_gets_every_event_once(served: Served) -> None:
    run_id = served.execute(schema="stillepost", **{"async": True}).json()["run_id"]
    got: list[dict[str, Any]] = []
    last, deadline = "", time.monotonic() + 30
    while time.monotonic() < deadline and not (got and got[-1]["event"] == "ended"):
        for item in _events(served, run_id, last, limit=3):
            if item["id"]:
                got.append(item)
                last = item["id"]
    run = served.lab.store.open(run_id)
    assert [i["data"]["filename"] for i in got if i["event"] == "entity"] == [e.filename for e in run.entities]
    assert [i["data"]["step"] for i in got if i["event"] == "step"] == [s.step for s in run.record.steps]
    assert len({i["id"] for i in got}) == len(got)
    assert served.client.get(f"/api/pipeline/{run_id}/events", headers={"last-event-id": last}).status_code == 204


def test_the_socket_tells_the_same_as_the_stream(served: Served) -> None:
    run_id = served.execute().json()["run_id"]
    by_stream = _events(served, run_id)
    with connect(f"ws://127.0.0.1:{served.port}/api/pipeline/{run_id}/ws") as socket:
        by_socket = [json.loads(text) for text in socket]
    assert by_socket == by_stream
    half = by_stream[len(by_stream) // 2]["id"]
    with connect(f"ws://127.0.0.1:{served.port}/api/pipeline/{run_id}/ws?after={half}") as socket:
        assert [json.loads(text) for text in socket] == by_stream[len(by_stream) // 2 + 1 :]


def test_a_socket_of_another_site_is_refused(served: Served) -> None:
    from websockets.exceptions import InvalidStatus

    run_id = served.execute().json()["run_id"]
    with (
        pytest.raises(InvalidStatus),
        connect(
            f"ws://127.0.0.1:{served.port}/api/pipeline/{run_id}/ws",
            origin="http://evil.example",  # type: ignore[arg-type]
        ),
    ):
        pass


def test_events_of_a_run_of_another_process_and_another_server(serve: Serve) -> None:
    first = serve()
    with first.lab.store.create("mine", expected_outputs=["note"]) as recorder:
        recorder.save_entity("note", "one")
        begin = _events(first, recorder.run_id, limit=3)
    second = serve(lab=first.lab)
    rest = _events(second, recorder.run_id, begin[-1]["id"])
    assert [i["event"] for i in begin + rest].count("entity") == 1
    assert rest[-1]["data"]["status"] == "completed"


def test_the_end_is_the_last_word(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress that was noted a moment before the end is not told behind it."""
    monkeypatch.setattr(
        "aipipe.api.transient.Transients.latest", lambda self, run_id, version: (version + 1, {"value": 1})
    )
    run_id = served.execute().json()["run_id"]
    with served.client.stream("GET", f"/api/pipeline/{run_id}/events") as answer:
        events = [line for line in answer.iter_lines() if line.startswith("event:")]
    assert events[-1] == "event: ended"

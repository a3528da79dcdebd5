"""The number of runs that fit a filter: exact, or said to be a lower bound."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import pytest

from aipipe.annotations import Annotations
from aipipe.api import counting
from aipipe.api.counting import Counter, Hits
from aipipe.api.listing import Filter
from aipipe.api.reading import RunReader
from aipipe.api.warming import warm
from aipipe.store import Store
from tests.api.conftest import Serve, Served
from tests.api.test_summaries import record


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept from one count to the next."""
    monkeypatch.setattr(counting, "KEPT_SECONDS", 0)
    monkeypatch.setattr(counting, "KEPT_TIMES_COST", 0)


@pytest.fixture
def out_of_time(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store too large to look at every file."""
    monkeypatch.setattr(counting, "BUDGET_SECONDS", -1)


def test_the_list_tells_hits_and_total(served: Served) -> None:
    for n in range(5):
        served.execute(f"flower {n}", schema="dada" if n % 2 else "bauhaus")

    def counts(**wanted: object) -> tuple[int, bool, int]:
        page = served.client.get("/api/runs", params={"limit": 1, **wanted}).json()
        return page["hits"], page["hits_exact"], page["total"]

    assert counts() == (5, True, 5)
    assert counts(config="dada") == (2, True, 5)
    assert counts(q="flower 3") == (1, True, 5)
    assert counts(status="failed") == (0, True, 5)
    first = served.client.get("/api/runs", params={"limit": 1, "config": "bauhaus"}).json()
    assert counts(config="bauhaus", cursor=first["next"]) == (3, True, 5)


def test_waiting_runs_count_where_they_are_asked_for(serve: Serve) -> None:
    served = serve(slow=0.3)
    for n in range(3):
        served.execute(f"flower {n}", **{"async": True})
    page = served.client.get("/api/runs", params={"status": "queued"}).json()
    assert page["hits"] == len(page["queued"]) == 2


def test_a_visitor_s_counts_are_of_their_own_runs(serve: Serve) -> None:
    served = serve(locked=True, token="op")
    served.client.headers["authorization"] = "Bearer op"
    served.execute()
    with httpx.Client(base_url=served.url, follow_redirects=True, timeout=30) as visitor:
        visitor.get("/")
        visitor.post("/api/schema/pipeline/execute", json={"schema": "bauhaus", "input_text": "mine"})
        for wanted, hits in (({}, 1), ({"config": "bauhaus"}, 1), ({"config": "dada"}, 0)):
            page = visitor.get("/api/runs", params=wanted).json()
            assert (page["hits"], page["total"]) == (hits, 1)


def test_unread_runs_make_a_lower_bound(tmp_path: Path, out_of_time: None) -> None:
    ids = [record(tmp_path, f"flower {n}") for n in range(6)]
    reader = RunReader(Store(tmp_path))
    counter, wanted = Counter(reader), Filter(q="flower")
    assert counter.hits(wanted) == Hits(0, exact=False)
    for run_id in ids[:4]:
        reader.summary(run_id)
    assert counter.hits(wanted) == Hits(4, exact=False)
    warm(reader, threading.Event())
    assert counter.hits(wanted) == Hits(6, exact=True)
    assert counter.hits(Filter(q="flower 3")) == Hits(1, exact=True)


def test_a_run_that_cannot_be_read_is_no_reason_for_doubt(tmp_path: Path, out_of_time: None) -> None:
    record(tmp_path, "a flower")
    broken = tmp_path / "01a209d5-a393-71d0-9db9-8fe068936c27"
    broken.mkdir()
    (broken / "metadata.json").write_text("{torn")
    reader = RunReader(Store(tmp_path))
    warm(reader, threading.Event())
    assert Counter(reader).hits(Filter(q="flower")) == Hits(1, exact=True)


def test_tags_and_the_end_of_a_run_count_as_they_are_now(tmp_path: Path, out_of_time: None) -> None:
    run_id = record(tmp_path, "a flower")
    store = Store(tmp_path)
    with store.create("dada", expected_outputs=["input"]) as recorder:
        recorder.save_entity("input", "x")
        reader = RunReader(store)
        warm(reader, threading.Event())
        counter = Counter(reader)
        assert counter.hits(Filter(status="running")).count == 1
    assert counter.hits(Filter(status="running")).count == 0
    Annotations(tmp_path).tag(run_id, ["keep"])
    assert counter.hits(Filter(tag="keep")) == Hits(1, exact=True)


def test_a_new_record_is_counted_while_there_is_time_to_look(tmp_path: Path, at_once: None) -> None:
    for n in range(3):
        record(tmp_path, f"flower {n}")
    counter = Counter(RunReader(Store(tmp_path)))
    assert counter.hits(Filter(q="flower")) == Hits(3, exact=True)
    record(tmp_path, "flower 4")
    time.sleep(0.1)
    assert counter.hits(Filter(q="flower")) == Hits(4, exact=True)


def test_a_count_is_kept_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path, "a flower")
    counter, asked = Counter(RunReader(Store(tmp_path))), []
    count = counter._count
    monkeypatch.setattr(counter, "_count", lambda *given: asked.append(given) or count(*given))
    for _ in range(50):
        counter.hits(Filter(q="flower"))
    assert len(asked) == 1
    for n in range(200):
        counter.hits(Filter(q=f"flower {n}"))
    assert len(counter._kept) <= counting.KEPT_FILTERS


def test_who_waits_too_long_for_a_count_takes_what_is_known(tmp_path: Path, at_once: None) -> None:
    record(tmp_path, "a flower")
    counter, wanted = Counter(RunReader(Store(tmp_path))), Filter(q="flower")
    counter.hits(wanted)
    with counter._lock:
        assert counter.hits(wanted) == Hits(1, exact=False)
        assert counter.hits(Filter(q="heron")) == Hits(0, exact=False)

"""The queue: bounded, fair, and honest about place and end."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aipipe.api.queueing import FairQueue, Job
from aipipe.api.refusals import QueueFull, Stopping
from tests.api.conftest import Serve


def _job(name: str, person: str, log: list[str], gate: threading.Event | None = None) -> Job:
    def work(job: Job) -> None:
        if gate is not None:
            gate.wait(10)
        log.append(job.run_id)

    return Job(name, person, work, lambda job: log.append(f"gave up {job.run_id}"))


def test_persons_take_turns() -> None:
    log: list[str] = []
    gate = threading.Event()
    queue = FairQueue(1, 20)
    jobs = [_job("first", "x", log, gate)]
    queue.submit(jobs[0])
    while queue.counts()["running"] == 0:
        time.sleep(0.005)
    for name, person in [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c")]:
        jobs.append(_job(name, person, log))
        queue.submit(jobs[-1])
    assert [queue.place(n)[0] for n in ("a1", "b1", "c1", "a2", "a3")] == [1, 2, 3, 4, 5]
    gate.set()
    assert all(job.wait(5) for job in jobs)
    assert log == ["first", "a1", "b1", "c1", "a2", "a3"]


def test_a_full_queue_tells_place_and_minutes() -> None:
    gate = threading.Event()
    queue = FairQueue(1, 1)
    for name in ("one", "two"):
        queue.submit(_job(name, name, [], gate))
        while name == "one" and queue.counts()["running"] == 0:
            time.sleep(0.005)
    with pytest.raises(QueueFull) as refused:
        queue.submit(_job("three", "three", []))
    assert refused.value.place == 2
    assert refused.value.minutes > 0
    gate.set()


def test_a_person_cannot_fill_the_queue() -> None:
    gate = threading.Event()
    queue = FairQueue(1, 10, per_person=2)
    queue.submit(_job("running", "a", [], gate))
    while queue.counts()["running"] == 0:
        time.sleep(0.005)
    queue.submit(_job("a1", "a", []))
    queue.submit(_job("a2", "a", []))
    with pytest.raises(QueueFull, match="You have 2"):
        queue.submit(_job("a3", "a", []))
    queue.submit(_job("b1", "b", []))
    gate.set()


def test_cancelling_and_stopping_leave_nothing_unsaid() -> None:
    log: list[str] = []
    gate = threading.Event()
    queue = FairQueue(1, 10)
    running, waiting, other = (_job(n, "a", log, gate) for n in ("running", "waiting", "other"))
    running.stop = gate.set
    for job in (running, waiting, other):
        queue.submit(job)
        while job is running and running.state != "running":
            time.sleep(0.005)
    assert queue.cancel("waiting")
    assert waiting.wait(1)
    assert not queue.cancel("nothing")
    queue.stop(0.0)
    assert log == ["gave up waiting", "gave up other", "running"]
    assert all(job.wait(1) for job in (running, waiting, other))
    with pytest.raises(Stopping):
        queue.submit(_job("late", "a", log))


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=25))
@settings(max_examples=40, deadline=None)
def test_the_order_told_is_the_order_kept(persons: list[str]) -> None:
    log: list[str] = []
    gate = threading.Event()
    queue = FairQueue(1, 100)
    head = _job("head", "head", log, gate)
    queue.submit(head)
    while head.state != "running":
        time.sleep(0.001)
    jobs = [_job(f"{n}", person, log) for n, person in enumerate(persons)]
    for job in jobs:
        queue.submit(job)
    told = sorted((queue.place(job.run_id)[0], job.run_id) for job in jobs)
    gate.set()
    assert all(job.wait(5) for job in jobs)
    assert log[1:] == [name for _, name in told]
    queue.stop()


def test_a_stopped_server_leaves_no_run_without_an_end(serve: Serve) -> None:
    served = serve(workers=1, drain_seconds=0.0, slow=0.05)
    ids = [served.execute(f"flower {n}", **{"async": True}).json()["run_id"] for n in range(4)]
    served.stop()
    statuses = [served.lab.store.open(run_id).status for run_id in ids]
    assert set(statuses) <= {"completed", "cancelled"}
    assert statuses[-1] == "cancelled"


def test_a_full_server_is_429_with_place_and_retry_after(serve: Serve) -> None:
    served = serve(workers=1, queue_size=1, slow=0.05)
    answers = [served.execute(f"flower {n}", **{"async": True}) for n in range(6)]
    full = [a for a in answers if a.status_code == 429]
    assert full
    assert int(full[0].headers["retry-after"]) > 0
    assert full[0].json()["place"] >= 1
    assert {a.status_code for a in answers} == {202, 429}


def test_a_waiting_run_can_be_cancelled_and_is_recorded(serve: Serve) -> None:
    served = serve(workers=1, slow=0.05)
    ids = [served.execute(f"flower {n}", **{"async": True}).json()["run_id"] for n in range(3)]
    answer = served.client.post(f"/api/pipeline/{ids[-1]}/cancel")
    assert answer.status_code == 202
    status = served.client.get(f"/api/pipeline/{ids[-1]}/status").json()
    assert status["status"] == "cancelled"
    assert [e["type"] for e in status["entities"]] == ["input"]
    assert served.client.post(f"/api/pipeline/{ids[-1]}/cancel").status_code == 409

"""The state of a job under every order, loss, doubling and delay of what comes in."""

import random

from hypothesis import given
from hypothesis import strategies as st

from aipipe import events
from aipipe.comfy.machine import Ending, JobMachine, Limits, Poll
from aipipe.comfy.messages import Frame, Message, loads, parse

JOB = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
NODES = {"1": "Load", "2": "Sample"}


def message(kind, **data):
    return Message(kind, JOB, data)


STORY = [
    message("execution_start"),
    message("execution_cached", nodes=["1"]),
    message("executing", node="2", display_node="2"),
    message("progress", node="2", value=1, max=4),
    message("progress", node="2", value=4, max=4),
    message("executed", node="2", output={}),
    message("execution_success"),
    message("executing", node=None),
]


def entry(last="execution_success", status="success"):
    return {"status": {"status_str": status, "messages": [[last, {"node_id": "2"}]]}, "outputs": {}}


def machine(**limits):
    return JobMachine(JOB, now=0.0, nodes=NODES, limits=Limits(**limits))


@given(
    order=st.permutations(STORY),
    dropped=st.sets(st.integers(0, 7)),
    doubled=st.sets(st.integers(0, 7)),
    delays=st.lists(st.floats(0, 2), min_size=16, max_size=16),
)
def test_messages_never_end_a_job_and_the_history_always_does(order, dropped, doubled, delays):
    job, now = machine(), 0.0
    for index, item in enumerate(order):
        for _ in range(0 if index in dropped else 2 if index in doubled else 1):
            now += delays[index]
            for event in job.on_message(item, now):
                assert event.run_id == JOB
            assert job.ending is None
            assert job.next_deadline() >= 0
    job.on_poll(Poll(entry()), now)
    assert job.ending.outcome == "success"
    assert job.phase == "ended"


@given(st.lists(st.sampled_from(["miss", "pending", "running", "fail"]), max_size=40), st.randoms())
def test_a_job_is_lost_only_after_misses_without_a_break_over_the_whole_grace(story, chance: random.Random):
    job, now, since, misses = machine(lost=4.0), 0.0, None, 0
    for step in story:
        now += chance.uniform(0.01, 1.5)
        if step == "fail":
            job.on_poll_failed(now)
        else:
            job.on_poll(Poll(where=None if step == "miss" else step), now)
        if step == "miss":
            since, misses = (now if since is None else since), misses + 1
        elif step != "fail":
            since, misses = None, 0
        # A poll that failed is no evidence that the job is gone, so it never ends one.
        lost = step == "miss" and misses >= 3 and since is not None and now - since >= 4.0
        assert (job.ending is not None) == lost
        if lost:
            assert job.ending.outcome == "lost"
            return


@given(st.floats(0, 100), st.floats(0.1, 50))
def test_limits_act_exactly_when_they_are_over(at, limit):
    job = machine(total=limit, unreachable=1e9)
    job.on_clock(at)
    assert (job.ending == Ending("overtime")) == (at >= limit)


def test_interrupt_and_failure_are_told_apart_by_the_last_message():
    for last, outcome in (("execution_interrupted", "interrupted"), ("execution_error", "error")):
        job = machine()
        job.on_poll(Poll(entry(last, "error")), 1.0)
        assert job.ending.outcome == outcome


def test_a_blocked_branch_is_noted_and_does_not_hurry_or_end_the_job():
    job = machine()
    job.on_message(message("execution_error", exception_type="ExecutionBlocked", node_id="2"), 1.0)
    job.on_poll(Poll(entry()), 2.0)
    assert job.ending.outcome == "success"
    assert len(job.blocked) == 1


def test_messages_of_other_jobs_change_nothing():
    job = machine()
    assert job.on_message(Message("progress", "another", {"node": "2", "value": 1, "max": 2}), 1.0) == []
    assert job.phase == "submitted"


def test_a_cancelled_job_that_is_gone_is_cancelled_not_lost():
    job = machine()
    job.cancel_requested = True
    for n in range(5):
        job.on_poll(Poll(), n * 0.2)
    assert job.ending.outcome == "interrupted"


def test_progress_gives_rate_and_time_left():
    job = machine()
    job.on_message(message("progress", node="2", value=1, max=11), 10.0)
    [event] = job.on_message(message("progress", node="2", value=6, max=11), 15.0)
    assert isinstance(event, events.NodeProgress)
    assert (event.title, event.rate, event.eta, event.nodes_total) == ("Sample", 1.0, 5.0, 2)


def test_silence_counts_only_while_the_job_runs():
    job = machine(silence=5.0, unreachable=1e9)
    job.on_poll(Poll(where="pending", position=3), 1.0)
    job.on_clock(100.0)
    assert job.ending is None
    job.on_poll(Poll(where="running"), 101.0)
    job.on_clock(106.0)
    assert job.ending.outcome == "silent"


@given(st.one_of(st.text(), st.binary()))
def test_anything_may_come_over_the_socket(raw):
    parse(raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_json_of_any_shape_is_a_message_or_nothing(value):
    import json

    found = parse(json.dumps({"type": "progress", "data": value}))
    assert isinstance(found, Message)
    machine().on_message(Message("progress", JOB, found.data), 1.0)
    machine().on_message(Message("progress_state", JOB, found.data), 1.0)


def test_frames_tell_job_and_node():
    head = b'{"node_id":"3","prompt_id":"x","image_type":"image/png"}'
    raw = b"\0\0\0\4" + len(head).to_bytes(4, "big") + head + b"PICTURE"
    assert parse(raw) == Frame(b"PICTURE", "image/png", "x", "3")
    assert parse(b"\0\0\0\1\0\0\0\1JPEG") == Frame(b"JPEG", "image/jpeg")
    assert parse(b"\0\0\0\4\xff\xff\xff\xff") is None


def test_bare_nan_is_nothing():
    assert loads('{"a": [NaN, Infinity, -Infinity, 1]}') == {"a": [None, None, None, 1]}

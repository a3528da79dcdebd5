"""The state of a run, folded from events."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aipipe.events import (
    EntitySaved,
    Event,
    NodeProgress,
    Notice,
    Preview,
    QueueChanged,
    RunEnded,
    RunStarted,
    SafetyChecked,
    StateChanged,
    StepFinished,
    StepStarted,
    TextDelta,
)
from aipipe.ui import monitor_view
from aipipe.ui.progress import STREAM, Progress

WHOLE = (
    RunStarted(
        run_id="r1",
        config_name="dada",
        execution_mode="eco",
        safety_level="kids",
        expected_outputs=("input", "output_image"),
    ),
    StateChanged(stage=1, step="translation_and_safety", progress="0/2"),
    StepStarted(stage=1, step="translation", service="ollama", model="m"),
    TextDelta(stage=1, text="Ein"),
    StepFinished(stage=1, step="translation", seconds=1.5),
    EntitySaved(sequence=1, type="input", filename="01_input.txt", media_type="text", preview="a heron"),
    EntitySaved(
        sequence=2,
        type="safety",
        filename="02_safety.json",
        media_type="json",
        preview=json.dumps({"safe": True, "method": "model"}),
    ),
    StateChanged(stage=2, step="interception", progress="2/2"),
    StepStarted(stage=2, step="interception", iteration=2, iterations=3),
)


def fold(*events: Event) -> Progress:
    progress = Progress(clock=lambda: 100.0)
    for event in events:
        progress.take(event)
    return progress


def states(progress: Progress) -> list[str]:
    return [stage.state for stage in progress.stages]


def test_stages_follow_the_run() -> None:
    progress = fold(*WHOLE)
    assert states(progress) == ["completed", "running", "waiting", "waiting"]
    assert progress.activity == "rewriting 2 of 3"
    assert progress.stages[0].seconds == 1.5
    assert progress.stream == ""
    assert [(item.label, item.text, item.verdict) for item in progress.items] == [
        ("Input", "a heron", ""),
        ("Safety check", "", "safe"),
    ]


def test_a_text_only_plan_skips_the_last_two_stages() -> None:
    started = RunStarted(run_id="r", expected_outputs=("input", "interception"))
    assert states(fold(started))[2:] == ["skipped", "skipped"]


def test_a_bare_job_has_no_stages() -> None:
    job = fold(
        RunStarted(run_id="j", config_name="ComfyUI", models={"server": "http://gpu"}),
        NodeProgress(title="KSampler", value=1, maximum=2),
        RunEnded(status="completed", seconds=1),
    )
    assert (job.stages, job.facts) == ([], "http://gpu")
    shown = monitor_view.bundle(job)
    assert "interception" not in str(shown).lower()
    assert "job j" in shown["text/plain"]


def test_a_block_marks_its_stage_and_the_later_ones_are_skipped() -> None:
    progress = fold(
        *WHOLE[:5],
        SafetyChecked(stage=1, safe=False, message="no"),
        RunEnded(status="blocked", message="no", seconds=2),
    )
    assert states(progress) == ["blocked", "skipped", "skipped", "skipped"]
    assert progress.notices == []
    assert progress.ended


def test_queue_nodes_and_preview_belong_to_their_step_only() -> None:
    media = StepStarted(stage=4, step="media")
    waiting = fold(*WHOLE, media, QueueChanged(position=2, length=5, server="gpu"))
    assert waiting.detail == "in the queue of gpu: 2 before this one"
    working = fold(
        *WHOLE,
        media,
        NodeProgress(title="KSampler", value=5, maximum=10, nodes_done=1, nodes_total=4, eta=3.2, rate=2.0),
        Preview(data=b"jpeg"),
    )
    assert working.detail == "KSampler · node 2 of 4 · step 5 of 10 · 2.0 steps a second · 3 s left"
    assert working.fraction == 0.375
    assert working.preview == b"jpeg"
    working.take(StepFinished(stage=4, step="media"))
    assert (working.preview, working.detail, working.fraction) == (b"", "", None)


def test_thinking_is_not_shown_as_the_answer() -> None:
    progress = fold(*WHOLE, TextDelta(text="hmm", thinking=True))
    assert progress.stream == ""
    assert progress.thinking


def test_the_html_escapes_everything_and_needs_no_script() -> None:
    hurt = "<script>alert(1)</script>"
    html = monitor_view.html(
        fold(
            RunStarted(run_id=hurt, config_name=hurt, folder=hurt, models={"x": hurt}),
            EntitySaved(sequence=1, type=hurt, filename=hurt, media_type="text", preview=hurt),
            EntitySaved(sequence=2, type="output_image", filename=hurt, media_type="image", path=hurt),
            Notice(message=hurt), RunEnded(status="failed", message=hurt, hint=hurt),
        )
    )  # fmt: skip
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 6


def test_plain_text_names_stages_texts_and_verdicts() -> None:
    text = monitor_view.text(fold(*WHOLE, RunEnded(status="cancelled", message="stopped", seconds=3)))
    assert "dada · cancelled · 3.0 s" in text
    assert "01 Input: a heron" in text
    assert "02 Safety check: safe" in text
    assert "– Interception" in text


short = st.text(max_size=30)
numbers = st.floats(-5, 1e6, allow_nan=False)
stages = st.integers(-2, 7)
EVENTS: Any = st.one_of(
    st.builds(RunStarted, run_id=short, config_name=short, expected_outputs=st.tuples(short)),
    st.builds(StateChanged, stage=stages, step=short, progress=short),
    st.builds(StepStarted, stage=stages, step=short, service=short, iteration=st.none() | st.integers(0, 9), iterations=st.none() | st.integers(0, 9)),
    st.builds(StepFinished, stage=stages, step=short, seconds=numbers, outcome=st.sampled_from(["completed", "failed", "blocked", "reused", "odd"]), message=short),
    st.builds(TextDelta, text=st.text(max_size=3000), thinking=st.booleans()),
    st.builds(SafetyChecked, stage=stages, safe=st.sampled_from([True, False, None]), message=short),
    st.builds(EntitySaved, sequence=st.integers(1, 5), type=st.sampled_from(["input", "safety", "error", "output_image", "odd"]), filename=short, media_type=st.sampled_from(["text", "json", "image", "other"]), preview=st.text(max_size=60) | st.just('{"safe": []}') | st.just("[1]")),
    st.builds(QueueChanged, position=st.integers(-1, 9), server=short),
    st.builds(NodeProgress, title=short, value=numbers, maximum=numbers, eta=st.none() | numbers, nodes_done=st.integers(-1, 9), nodes_total=st.integers(-1, 9)),
    st.builds(Preview, data=st.binary(max_size=9)),
    st.builds(Notice, message=short),
    st.builds(RunEnded, status=st.sampled_from(["completed", "failed", "cancelled", "blocked"]), message=short, seconds=numbers),
)  # fmt: skip


@given(st.lists(EVENTS, max_size=25))
def test_events_in_any_order_leave_a_state_that_can_be_shown(events: list[Event]) -> None:
    progress = fold(*events)
    assert sum(state == "running" for state in states(progress)) <= 1 or not progress.ended
    assert len(progress.stream) <= STREAM
    assert progress.fraction is None or 0 <= progress.fraction <= 1
    sequences = [item.sequence for item in progress.items]
    assert len(sequences) == len(set(sequences))
    assert monitor_view.html(progress).startswith('<div class="aip"')
    assert monitor_view.text(progress)

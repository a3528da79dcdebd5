"""What a live view knows of a run: events folded into plain values, ready for a page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aipipe.display.chain import LABELS
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
    WatchEnded,
)

STAGES = ("Pre-interception", "Interception", "Pre-output safety", "Output")
STEPS = {
    "translation": "translating",
    "safety": "checking the text",
    "interception": "rewriting",
    "safety_pre_output": "checking the prompt",
    "media": "making the media",
    "image_safety": "checking the picture",
}
STREAM = 3_000
"""Characters of a growing text that a view shows; its end is what moves."""

FREQUENT = (TextDelta, NodeProgress, Preview, QueueChanged)
"""Events that come many times a second; views may leave some of them out."""


@dataclass
class StageView:
    """A stage: waiting, running, completed, blocked, failed, cancelled or skipped; `seconds` of its finished steps."""

    name: str
    state: str = "waiting"
    seconds: float = 0.0


@dataclass
class Item:
    """A recorded entity as a view shows it."""

    sequence: int
    label: str
    type: str
    kind: str
    filename: str
    path: str
    text: str = ""
    verdict: str = ""
    note: str = ""


@dataclass
class Progress:
    """The state of one run, grown event by event; an event of any kind at any time is taken without complaint."""

    clock: Callable[[], float] = time.monotonic
    run_id: str = ""
    config: str = ""
    facts: str = ""
    folder: str = ""
    status: str = "starting"
    message: str = ""
    hint: str = ""
    seconds: float = 0.0
    done: str = ""
    activity: str = ""
    service: str = ""
    detail: str = ""
    fraction: float | None = None
    stream: str = ""
    thinking: bool = False
    preview: bytes = b""
    preview_mime: str = ""
    stages: list[StageView] = field(default_factory=lambda: [StageView(name) for name in STAGES])
    items: list[Item] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    cancel: Callable[[], None] | None = None
    begun: float = 0.0
    step_begun: float = 0.0
    left: bool = False

    @property
    def ended(self) -> bool:
        """True once the run has its terminal status."""
        return self.status not in ("starting", "running")

    def take(self, event: Event) -> None:
        """Take one event."""
        match event:
            case RunStarted():
                self._start(event)
            case StateChanged():
                self._enter(event.stage)
                self.done = event.progress or self.done
            case StepStarted():
                self._step(event)
            case StepFinished():
                self._finish(event)
            case EntitySaved():
                self._save(event)
            case SafetyChecked():
                self._verdict(event)
            case RunEnded():
                self._end(event)
            case WatchEnded():
                self._leave()
            case _:
                self._frequent(event)

    def _frequent(self, event: Event) -> None:
        match event:
            case TextDelta():
                self.thinking = event.thinking
                self.stream = (self.stream + event.text)[-STREAM:] if not event.thinking else self.stream
            case QueueChanged():
                waiting = f"{event.position} before this one" if event.position else "next in line"
                self.detail, self.fraction = (
                    f"in the queue{' of ' + event.server if event.server else ''}: {waiting}",
                    None,
                )
            case NodeProgress():
                self.detail, self.fraction = node_words(event), node_fraction(event)
            case Preview():
                self.preview, self.preview_mime = event.data, event.mime
            case Notice():
                self.notices = [*self.notices[-4:], event.message]

    def _start(self, event: RunStarted) -> None:
        self.run_id, self.config, self.folder = event.run_id, event.config_name, event.folder
        models = ", ".join(dict.fromkeys(m for m in event.models.values() if m))
        if not event.has_stages:
            self.stages = []
        mode, level = event.execution_mode, event.safety_level
        words = (mode and f"mode {mode}", level and f"level {level}", models)
        self.facts = " · ".join(word for word in words if word)
        self.status, self.cancel = "running", event.cancel
        self.begun, self.step_begun = self.clock() - event.age, self.clock()
        if event.expected_outputs and not any(t.startswith("output_") for t in event.expected_outputs):
            for stage in self.stages[2:]:
                stage.state = "skipped"

    def _enter(self, number: int) -> None:
        if not 1 <= number <= len(self.stages) or self.ended:
            return
        for index, stage in enumerate(self.stages, start=1):
            if stage.state == "running" and index != number:
                stage.state = "completed"
        if self.stages[number - 1].state in ("waiting", "skipped", "completed"):
            self.stages[number - 1].state = "running"

    def _step(self, event: StepStarted) -> None:
        self._enter(event.stage)
        count = f" {event.iteration} of {event.iterations}" if event.iteration and event.iterations else ""
        self.activity = STEPS.get(event.step, event.step.replace("_", " ")) + count
        self.service = " ".join(part for part in (event.service, event.model) if part)
        self.step_begun = self.clock()
        self._quiet()

    def _finish(self, event: StepFinished) -> None:
        if 1 <= event.stage <= len(self.stages):
            stage = self.stages[event.stage - 1]
            stage.seconds += max(0.0, event.seconds)
            if event.outcome in ("blocked", "failed", "cancelled"):
                stage.state = event.outcome
                if event.message:
                    self.notices = [*self.notices[-4:], event.message]
            elif stage.state == "waiting":
                stage.state = "running"
        self.activity = self.service = ""
        self._quiet()

    def _quiet(self) -> None:
        self.stream, self.thinking, self.detail, self.fraction = "", False, "", None
        self.preview, self.preview_mime = b"", ""

    def _save(self, event: EntitySaved) -> None:
        kind, text, verdict, note = _content(event)
        label = LABELS.get(event.type, event.type.replace("_", " ").capitalize())
        if event.type == "interception_iteration":
            label += f" {1 + sum(item.type == event.type for item in self.items)}"
        found = Item(event.sequence, label, event.type, kind, event.filename, event.path, text, verdict, note)
        self.items = [item for item in self.items if item.sequence != event.sequence] + [found]

    def _verdict(self, event: SafetyChecked) -> None:
        if event.safe is False and 1 <= event.stage <= len(self.stages):
            self.stages[event.stage - 1].state = "blocked"
            if event.message:
                self.notices = [*self.notices[-4:], event.message]

    def _leave(self) -> None:
        self.left = True
        self.seconds = self.clock() - self.begun if self.begun else 0.0
        self.activity, self.cancel = "", None
        self.notices = [*self.notices[-4:], "no longer watched from here; the run goes on: aipipe.watch(run_id)"]
        self._quiet()

    def _end(self, event: RunEnded) -> None:
        self.status, self.message, self.hint = event.status, event.message, event.hint
        self.seconds = event.seconds or (self.clock() - self.begun if self.begun else 0.0)
        self.folder = event.folder or self.folder
        for stage in self.stages:
            if stage.state == "running":
                stage.state = self.status if self.status in ("blocked", "failed", "cancelled") else "completed"
            elif stage.state == "waiting":
                stage.state = "skipped"
        self.notices = [notice for notice in self.notices if notice != self.message]
        self.activity, self.cancel = "", None
        self._quiet()


def _content(event: EntitySaved) -> tuple[str, str, str, str]:
    """Kind, text, verdict and note of an entity."""
    if event.media_type == "json" or event.type.startswith("safety") or event.type == "error":
        document = _document(event.preview)
        if event.type == "error":
            return "error", str(document.get("message") or event.preview), "", str(document.get("error_type") or "")
        if event.type.startswith("safety"):
            safe = document.get("safe")
            verdict = "not checked" if safe is None else "safe" if safe else "blocked"
            words = [str(document[k]) for k in ("method", "message") if document.get(k)]
            return "verdict", "", verdict, " · ".join(words)
    if event.media_type in ("text", "json", "code"):
        return "text", event.preview, "", ""
    return ("image" if event.media_type == "image" else "media"), "", "", ""


def _document(text: str) -> dict[str, Any]:
    """A JSON preview; long ones are cut and do not parse, their view then shows less."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def node_words(event: NodeProgress) -> str:
    """A working node in words: its title, node and step counts, time left."""
    nodes = f"node {min(event.nodes_done + 1, event.nodes_total)} of {event.nodes_total}" if event.nodes_total else ""
    steps = f"step {event.value:g} of {event.maximum:g}" if event.maximum else ""
    rate = f"{event.rate:.1f} steps a second" if event.rate else ""
    left = f"{event.eta:.0f} s left" if event.eta is not None else ""
    return " · ".join(part for part in (event.title, nodes, steps, rate, left) if part)


def node_fraction(event: NodeProgress) -> float | None:
    """How far the whole graph is, 0 to 1, counting the steps of the working node; None if unknown."""
    within = min(1.0, max(0.0, event.value / event.maximum)) if event.maximum > 0 else 0.0
    if event.nodes_total > 0:
        return min(1.0, (max(0, min(event.nodes_done, event.nodes_total)) + within) / event.nodes_total)
    return within if event.maximum > 0 else None

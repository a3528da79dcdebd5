"""The live view of a run in a terminal: a few lines that move on a TTY, one line per event elsewhere."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from aipipe.events import (
    EntitySaved,
    Event,
    NodeProgress,
    Notice,
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

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

STAGES = {1: "pre-interception", 2: "interception", 3: "pre-output safety", 4: "output"}
STEPS = {
    "translation": "translating",
    "safety": "checking",
    "interception": "rewriting",
    "safety_pre_output": "checking the prompt",
    "media": "making the media",
    "image_safety": "checking the picture",
}
MARKS = {"waiting": "·", "running": "▸", "completed": "✓", "blocked": "■", "failed": "✗", "cancelled": "–"}
COLOURS = {"completed": "green", "blocked": "yellow", "failed": "red", "cancelled": "yellow", "running": "cyan"}


class PlainObserver:
    """One line per finished entity, verdict and notice; for logs, pipes and CI."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._told = ""

    def on_event(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, RunEnded) and event.message and event.message == self._told:
            event = replace(event, message="", hint="")  # its step has just said it
        if isinstance(event, StepFinished):
            self._told = event.message
        line = plain_line(event)
        if line:
            print(line, file=self._stream, flush=True)


def plain_line(event: Event) -> str:
    """An event as one line of text; "" for events that plain output leaves out."""
    match event:
        case RunStarted():
            return (
                f"run {event.run_id} · {event.config_name} · mode {event.execution_mode} · level {event.safety_level}"
            )
        case EntitySaved():
            preview = "" if event.type.startswith("safety") else _one_line(event.preview, 160)
            return f"  {event.filename}{'  ' + preview if preview else ''}"
        case SafetyChecked():
            word = {True: "safe", False: "blocked", None: "not checked"}[event.safe]
            return f"  safety: {word} ({event.method}){' ' + event.message if event.message else ''}"
        case StepFinished() if event.outcome in ("failed", "cancelled"):
            return f"  {event.step} {event.outcome}: {event.message}"
        case Notice():
            return f"  {event.message}"
        case RunEnded():
            text = f"{event.status} after {event.seconds:.1f} s{': ' + event.message if event.message else ''}"
            return text + (f"\n  next: {event.hint}" if event.hint else "")
    return ""


def _one_line(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


class TerminalObserver:
    """The stages of a run as a few lines that move, with texts as they appear."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._states: dict[int, str] = dict.fromkeys(STAGES, "waiting")
        self._times: dict[int, float] = {}
        self._begun: dict[int, float] = {}
        self._now = ""
        self._stream = ""

    def on_event(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, RunStarted):
            self._start(event)
            return
        if self._live is None:
            return
        self._take(event)
        if isinstance(event, RunEnded):
            self._end(event)
        elif isinstance(event, WatchEnded):
            self._live.stop()
            self._live = None
            self._console.print("[dim]no longer watched from here; the run goes on[/]")
        else:
            self._live.update(self._view())

    def _start(self, event: RunStarted) -> None:
        from rich.live import Live

        models = ", ".join(dict.fromkeys(event.models.values()))
        if not event.has_stages:
            self._states, self._now = {}, "submitted"
        words = (event.execution_mode and f"mode {event.execution_mode}",
                 event.safety_level and f"level {event.safety_level}", _safe(models))  # fmt: skip
        facts = " · ".join(word for word in words if word)
        self._console.print(f"[bold]{_safe(event.config_name)}[/]  {facts}\n[dim]{event.run_id}[/]")
        self._live = Live(self._view(), console=self._console, refresh_per_second=8, transient=True)
        self._live.start()

    def _take(self, event: Event) -> None:
        match event:
            case StateChanged():
                self._enter(event.stage)
            case StepStarted():
                self._enter(event.stage)
                which = f" {event.iteration}/{event.iterations}" if event.iteration and event.iterations else ""
                service = " ".join(part for part in (event.service, event.model) if part)
                self._now, self._stream = f"{STEPS.get(event.step, event.step)}{which} ({service})", ""
            case StepFinished():
                self._finish(event)
            case TextDelta() if not event.thinking:
                self._stream = (self._stream + event.text)[-600:]
            case QueueChanged():
                self._now = f"waiting in the queue, {event.position} before this job"
            case NodeProgress():
                self._now = _node(event)
            case EntitySaved():
                self._print(event)
            case SafetyChecked() if event.safe is False:
                self._console.print(f"  [yellow]blocked[/]: {_safe(event.message)}")
            case Notice():
                self._console.print(f"  [dim]{_safe(event.message)}[/]")

    def _enter(self, stage: int) -> None:
        if stage not in self._states:
            return
        for earlier, state in self._states.items():
            if earlier < stage and state == "running":
                self._states[earlier] = "completed"
        if self._states[stage] != "running":
            self._begun[stage] = time.monotonic()
        self._states[stage] = "running"

    def _finish(self, event: StepFinished) -> None:
        if event.stage in self._begun:
            self._times[event.stage] = self._times.get(event.stage, 0.0) + event.seconds
        if event.outcome in ("blocked", "failed", "cancelled") and event.stage in self._states:
            self._states[event.stage] = event.outcome
        self._stream = ""

    def _print(self, event: EntitySaved) -> None:
        if event.type.startswith("safety"):
            return
        text = _one_line(event.preview, 400) if event.media_type == "text" else event.filename
        name = event.type.replace("_", " ")
        self._console.print(f"  [dim]{event.sequence:02} {name}[/]  {_safe(text)}")

    def _end(self, event: RunEnded) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        colour = COLOURS.get(event.status, "white")
        message = f": {_safe(event.message)}" if event.message else ""
        self._console.print(
            f"[{colour}]{MARKS.get(event.status, '·')} {event.status}[/] in {event.seconds:.1f} s{message}"
        )
        if event.hint:
            self._console.print(f"  [dim]next:[/] {_safe(event.hint)}")

    def _view(self) -> RenderableType:
        from rich.console import Group
        from rich.spinner import Spinner
        from rich.text import Text

        rows: list[RenderableType] = []
        if not self._states:
            return Spinner("dots", self._now)
        for stage, name in STAGES.items():
            state = self._states[stage]
            spent = f"  {self._times[stage]:.1f} s" if self._times.get(stage, 0) >= 0.05 else ""
            line = Text(f"{MARKS.get(state, '·')} {name}{spent}", style=COLOURS.get(state, "dim"))
            if state == "running":
                line = Text.assemble(line, ("  " + self._now, "default"))
                rows.append(Spinner("dots", line))
                if self._stream:
                    rows.append(Text("    " + _one_line(self._stream, 300), style="italic"))
            else:
                rows.append(line)
        return Group(*rows)


def _node(event: NodeProgress) -> str:
    nodes = f"node {event.nodes_done + 1}/{event.nodes_total}" if event.nodes_total else ""
    steps = f"step {event.value:g}/{event.maximum:g}" if event.maximum else ""
    eta = f"{event.eta:.0f} s left" if event.eta is not None else ""
    return " · ".join(part for part in (event.title, nodes, steps, eta) if part)


def _safe(text: str) -> str:
    from rich.markup import escape

    return escape("".join(c if c.isprintable() or c in "\n\t" else "�" for c in text))

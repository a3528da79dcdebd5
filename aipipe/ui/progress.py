"""The events of one run folded into plain values that a view can show."""

from __future__ import annotations

import time
from typing import Any

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
)
from aipipe.ui.terminal import STAGES, STEPS

STREAM_CHARACTERS = 1_500
TEXT_CHARACTERS = 2_000


class Progress:
    """What a monitor shows of a run; `state` is JSON-able."""

    def __init__(self) -> None:
        self._begun: dict[int, float] = {}
        self.state: dict[str, Any] = {
            "run_id": "",
            "folder": "",
            "config": "",
            "mode": "",
            "level": "",
            "models": "",
            "status": "running",
            "stages": [{"stage": n, "name": name, "state": "waiting", "seconds": 0.0} for n, name in STAGES.items()],
            "now": "",
            "stream": "",
            "node": None,
            "progress": "",
            "entities": [],
            "notices": [],
            "message": "",
            "hint": "",
            "seconds": 0.0,
        }

    def take(self, event: Event) -> None:
        """Fold one event in."""
        state = self.state
        match event:
            case RunStarted():
                self._start(event)
            case StateChanged():
                self._enter(event.stage)
                state["progress"] = event.progress
            case StepStarted():
                self._begin_step(event)
            case StepFinished():
                self._end_step(event)
            case TextDelta() if not event.thinking:
                state["stream"] = (state["stream"] + event.text)[-STREAM_CHARACTERS:]
            case QueueChanged():
                state["now"] = f"waiting in the queue of {event.server}: {event.position} before this one"
            case NodeProgress():
                state["node"] = _node(event)
            case EntitySaved():
                self._entity(event)
            case SafetyChecked():
                self._verdict(event)
            case Notice():
                state["notices"] = [*state["notices"][-4:], event.message]
            case RunEnded():
                self._end(event)

    def _start(self, event: RunStarted) -> None:
        self.state.update(
            run_id=event.run_id,
            folder=event.folder,
            config=event.config_name,
            mode=event.execution_mode,
            level=event.safety_level,
            models=", ".join(dict.fromkeys(event.models.values())),
            progress=f"0/{len(event.expected_outputs)}",
        )

    def _stage(self, number: int) -> dict[str, Any] | None:
        return next((stage for stage in self.state["stages"] if stage["stage"] == number), None)

    def _enter(self, number: int) -> None:
        stage = self._stage(number)
        for earlier in self.state["stages"]:
            if earlier["stage"] < number and earlier["state"] == "running":
                earlier["state"] = "completed"
        if stage is not None and stage["state"] != "running":
            stage["state"] = "running"

    def _begin_step(self, event: StepStarted) -> None:
        self._enter(event.stage)
        which = f" {event.iteration} of {event.iterations}" if event.iteration and event.iterations else ""
        service = " ".join(part for part in (event.service, event.model) if part)
        self.state.update(
            now=f"{STEPS.get(event.step, event.step)}{which}{f' · {service}' if service else ''}", stream="", node=None
        )
        self._begun[event.stage] = time.time()

    def _end_step(self, event: StepFinished) -> None:
        stage = self._stage(event.stage)
        if stage is None:
            return
        stage["seconds"] = round(stage["seconds"] + event.seconds, 3)
        if event.outcome in ("blocked", "failed", "cancelled"):
            stage["state"] = event.outcome
        self.state.update(stream="", node=None)

    def _entity(self, event: EntitySaved) -> None:
        if event.type.startswith("safety"):
            return
        text = event.preview[:TEXT_CHARACTERS] if event.media_type in ("text", "json") else ""
        entry = {
            "sequence": event.sequence,
            "type": event.type,
            "filename": event.filename,
            "media_type": event.media_type,
            "path": event.path,
            "text": text,
        }
        self.state["entities"] = [*self.state["entities"], entry]

    def _verdict(self, event: SafetyChecked) -> None:
        word = {True: "safe", False: "blocked", None: "not checked"}[event.safe]
        entry = {
            "type": "verdict",
            "verdict": word,
            "method": event.method,
            "text": event.message,
            "stage": event.stage,
        }
        self.state["entities"] = [*self.state["entities"], entry]

    def _end(self, event: RunEnded) -> None:
        for stage in self.state["stages"]:
            if stage["state"] == "running":
                stage["state"] = "completed" if event.status == "completed" else event.status
        self.state.update(
            status=event.status,
            message=event.message,
            hint=event.hint,
            seconds=round(event.seconds, 2),
            now="",
            stream="",
            node=None,
        )


def _node(event: NodeProgress) -> dict[str, Any]:
    return {
        "title": event.title,
        "value": event.value,
        "maximum": event.maximum,
        "rate": event.rate,
        "eta": event.eta,
        "nodes": f"node {min(event.nodes_done + 1, event.nodes_total)} of {event.nodes_total}"
        if event.nodes_total
        else "",
    }

"""Events of a run, read from its folder, with ids from which any server can continue.

An event's id says how much of the record a reader has seen once it has this event: steps, entities, the last state,
and whether the end was told. Nothing is kept between requests, so a client that reconnects (even to a server that was
started again, or to one that did not execute the run) gets every event exactly once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from aipipe.api.describing import entity_entries
from aipipe.errors import AipipeError
from aipipe.store import Run

ENDED = ("completed", "blocked", "failed", "cancelled", "interrupted", "unknown")
PREVIEW_CHARS = 2_000
_ID = re.compile(r"s(\d{1,7})e(\d{1,7})(?:t([0-9]:[a-z_0-9]{0,60}:\d{1,7}/\d{1,7}))?(x)?")


@dataclass(frozen=True, slots=True)
class Position:
    """How much of a record a reader has seen.

    Attributes:
        steps: Steps told.
        entities: Entities told.
        state: The last state told as "stage:step:progress"; None before the first event.
        ended: The end was told.
    """

    steps: int = 0
    entities: int = 0
    state: str | None = None
    ended: bool = False

    def __str__(self) -> str:
        state = "" if self.state is None else f"t{self.state}"
        return f"s{self.steps}e{self.entities}{state}{'x' if self.ended else ''}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position of an id; a text that is none begins at the beginning."""
        match = _ID.fullmatch(text)
        if match is None:
            return cls()
        return cls(int(match[1]), int(match[2]), match[3], ended=match[4] is not None)


@dataclass(frozen=True, slots=True)
class News:
    """One event: the position after it ("" for one that is not part of the record), its name, its values."""

    id: str
    event: str
    data: dict[str, Any]


def news(run: Run, status: str, seen: Position) -> tuple[list[News], Position]:
    """What happened since `seen`.

    Args:
        run: The run as it was read.
        status: Its status now.
        seen: What the reader has.

    Returns:
        The events in order, and the reader's position after them.
    """
    record = run.record
    found: list[News] = []
    if seen.steps > len(record.steps) or seen.entities > len(record.entities):
        # A resumed run set aside what did not verify: the reader's picture is void.
        seen = Position()
        found.append(News(str(seen), "reset", {"run_id": run.folder.name}))
    if seen.state is None and not seen.steps and not seen.entities:
        seen = replace(seen, state="0::0/0")
        found.append(News(str(seen), "started", _started(run)))
    if seen.ended and status not in ENDED:
        seen = replace(seen, ended=False)
    entries = entity_entries(run)[seen.entities :] if seen.entities < len(record.entities) else []
    for entry in entries:
        seen = replace(seen, entities=seen.entities + 1)
        found.append(News(str(seen), "entity", {**entry, "preview": _preview(run, entry)}))
    for step in record.steps[seen.steps :]:
        seen = replace(seen, steps=seen.steps + 1)
        found.append(News(str(seen), "step", step.model_dump(mode="json")))
    now = record.current_state
    state = _state(now.stage, now.step, now.progress)
    if state != seen.state:
        seen = replace(seen, state=state)
        found.append(News(str(seen), "state", {**now.model_dump(mode="json"), "status": status}))
    if status in ENDED and not seen.ended:
        seen = replace(seen, ended=True)
        reason = record.reason.model_dump(mode="json") if record.reason is not None else None
        found.append(News(str(seen), "ended", {"status": status, "reason": reason, "seconds": record.seconds}))
    return found, seen


def _state(stage: int, step: str, progress: str) -> str:
    """The state as part of an id; what another program wrote may hold anything."""
    done = progress if re.fullmatch(r"\d{1,7}/\d{1,7}", progress) else "0/0"
    return f"{stage}:{re.sub(r'[^a-z_0-9]', '_', step)[:60]}:{done}"


def _started(run: Run) -> dict[str, Any]:
    record = run.record
    return {
        "run_id": run.folder.name,
        "config_name": record.config_name,
        "execution_mode": record.execution_mode,
        "safety_level": record.safety_level,
        "timestamp": record.timestamp,
        "expected_outputs": list(record.expected_outputs),
        "outputs": [o.config for o in record.outputs],
        "models": dict(record.models),
    }


def _preview(run: Run, entry: dict[str, Any]) -> str:
    if entry["media_type"] not in ("text", "json", "code"):
        return ""
    try:
        with run.entities[entry["sequence"] - 1].open() as file:
            head: str = file.read(4 * PREVIEW_CHARS).decode("utf-8", "ignore")
            return head[:PREVIEW_CHARS]
    except (AipipeError, IndexError):
        return ""

"""Follow a run of any process by reading its folder: the same view as for a run of one's own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from aipipe import timestamps
from aipipe.errors import EntityNotFound
from aipipe.events import (
    EntitySaved,
    Event,
    Observer,
    Observers,
    RunEnded,
    RunStarted,
    SafetyChecked,
    StateChanged,
    StepFinished,
    StepStarted,
    WatchEnded,
)
from aipipe.store import Entity, Run, open_run
from aipipe.store.run import TERMINAL_STATUS

ENDED = (*TERMINAL_STATUS, "interrupted", "unknown")


def watch(run: Run | str | Path, *, observers: Iterable[Observer] | None = None, interval: float = 0.3) -> Run:
    """Follow a run until it ends, showing it where this is called; the run itself is not touched.

    Args:
        run: A run, its folder, its id or a unique prefix.
        observers: Views; None takes those that fit the place (a cell, a terminal).
        interval: Seconds between two looks at metadata.json.

    Returns:
        The run as it ended (or as it was found interrupted).

    Raises:
        RunNotFound: there is no such run.
        KeyboardInterrupt: passed on when the views have said that nobody watches any more; the run itself goes on.
    """
    handle = run if isinstance(run, Run) else open_run(run)
    views = Observers(_views() if observers is None else observers)
    try:
        for event in follow(handle, interval):
            views.emit(event)
    except KeyboardInterrupt:
        views.emit(WatchEnded(run_id=handle.run_id))
        raise  # cells that wait behind this one must not run as if nothing had happened
    return handle


def follow(run: Run, interval: float = 0.3) -> Iterator[Event]:
    """The events that a run's folder shows, from its start to its end."""
    record = run.record
    yield RunStarted(
        run_id=run.run_id,
        folder=str(run.folder),
        config_name=record.config_name,
        execution_mode=record.execution_mode,
        safety_level=record.safety_level,
        expected_outputs=tuple(record.expected_outputs),
        outputs=tuple(o.config for o in record.outputs),
        models=dict(record.models),
        age=_age(record.timestamp),
    )
    seen = _Seen()
    while True:
        status = run.status
        yield from seen.news(run)
        if status in ENDED:
            break
        time.sleep(interval)
        run.refresh()
    record = run.record
    message = record.reason.message if record.reason is not None else ""
    yield RunEnded(
        run_id=run.run_id, status=status, message=message, seconds=record.seconds or 0.0, folder=str(run.folder)
    )


class _Seen:
    """What was already reported."""

    def __init__(self) -> None:
        self.state: tuple[int, str, str] | None = None
        self.doing: tuple[int, str] | None = None
        self.steps = 0
        self.entities = 0

    def news(self, run: Run) -> Iterator[Event]:
        record = run.record
        for step in record.steps[self.steps :]:
            yield StepFinished(
                run_id=run.run_id, stage=step.stage, step=step.step, seconds=step.seconds, outcome=step.outcome,
                message=step.message, output=step.output,
            )  # fmt: skip
        self.steps = len(record.steps)
        for entity in run.entities[self.entities :]:
            yield from _entity_events(run, entity)
        self.entities = len(record.entities)
        yield from self._current(run)
        state = (record.current_state.stage, record.current_state.step, record.current_state.progress)
        if state != self.state:
            yield StateChanged(run_id=run.run_id, stage=state[0], step=state[1], progress=state[2])
        self.state = state

    def _current(self, run: Run) -> Iterator[Event]:
        """The step that works now: metadata.json names it as soon as it is entered."""
        state = run.record.current_state
        doing = (state.stage, state.step)
        if doing != self.doing and run.status == "running":
            yield StepStarted(run_id=run.run_id, stage=state.stage, step=state.step)
        self.doing = doing


def _age(timestamp: str) -> float:
    """Seconds since the run began, by its own record."""
    try:
        return max(0.0, (datetime.now(UTC) - timestamps.parse(timestamp)).total_seconds())
    except ValueError:
        return 0.0


def _entity_events(run: Run, entity: Entity) -> Iterator[Event]:
    record = entity.record
    if record.type.startswith("safety"):
        meta = record.metadata
        yield SafetyChecked(
            run_id=run.run_id, stage=record.stage or 1, safe=meta.get("safe"), method=str(meta.get("method") or ""),
            output=record.output,
        )  # fmt: skip
    preview = ""
    if record.media_type in ("text", "json"):
        try:
            preview = entity.text[:2_000]
        except EntityNotFound:
            preview = ""
    yield EntitySaved(
        run_id=run.run_id, sequence=record.sequence, type=record.type, filename=record.filename,
        media_type=record.media_type, path=str(run.folder / record.filename), preview=preview, output=record.output,
    )  # fmt: skip


def _views() -> list[Observer]:
    from aipipe.ui.observer import notebook_observer, terminal_observer

    return [view for view in (notebook_observer(), terminal_observer()) if view is not None]

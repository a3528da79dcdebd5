"""What the stages of one run share: plan, recorder, services, watch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aipipe import events
from aipipe.backends.base import Backend, Timeouts
from aipipe.cancellation import Cancellation
from aipipe.definitions import Plan
from aipipe.engine.reuse import ReuseCache
from aipipe.image_safety import ImageChecker
from aipipe.language import Language
from aipipe.recorder import LivePipelineRecorder
from aipipe.records import STEPS, EntityRecord, StepRecord
from aipipe.runners.base import Runner
from aipipe.safety import Checker

PREVIEW_CHARACTERS = 2_000


class Services(Protocol):
    """What the engine calls; the lab gives it ready-made objects."""

    checker: Checker
    image_checker: ImageChecker
    timeouts: Timeouts

    def backend(self, name: str) -> Backend:
        """The language model backend called `name`."""

    def runner(self, name: str) -> Runner:
        """The media generator called `name`."""

    def detect(self, text: str) -> Language:
        """The language of `text`."""


@dataclass(kw_only=True)
class RunContext:
    """One run on its way through the stages.

    Attributes:
        plan: What is to be done.
        recorder: Where everything that appears is written.
        services: Backends, runners and checkers.
        observers: Views; may fail harmlessly.
        cancellation: Checked before every step and during waits.
        images: Encoded input images.
        reuse: Results of identical steps of the same batch, or None.
    """

    plan: Plan
    recorder: LivePipelineRecorder
    services: Services
    observers: events.Observers
    cancellation: Cancellation
    images: tuple[bytes, ...] = ()
    reuse: ReuseCache | None = None
    _kept: dict[tuple[Any, ...], EntityRecord] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entity in self.recorder.record.entities:
            self._kept.setdefault(_place(entity.type, entity.input, entity.output, entity.iteration), entity)

    @property
    def watch(self) -> events.Watch:
        """What a backend or runner gets beside its request."""
        return events.Watch(emit=self.emit, cancellation=self.cancellation)

    def emit(self, event: events.Event) -> None:
        """Hand an event to the views, with this run's id."""
        if not event.run_id:
            object.__setattr__(event, "run_id", self.recorder.run_id)
        self.observers.emit(event)

    def enter(self, stage: int, step: str, output: int | None = None) -> None:
        """Enter a stage: recorded, shown, and a place where a cancelled run stops."""
        self.cancellation.check()
        self.recorder.update_state(stage, step)
        progress = self.recorder.record.current_state.progress
        self.emit(events.StateChanged(stage=stage, step=step, progress=progress, output=output))

    def kept(
        self, type_: str, *, input_: int | None = None, output: int | None = None, iteration: int | None = None
    ) -> str | None:
        """Text of an entity that an earlier attempt of this run already saved, or None."""
        entity = self._kept.get(_place(type_, input_, output, iteration))
        if entity is None:
            return None
        return (self.recorder.folder / entity.filename).read_text(encoding="utf-8")

    def kept_record(self, type_: str, *, input_: int | None = None) -> EntityRecord | None:
        """The entry of an entity that an earlier attempt already saved, or None."""
        return self._kept.get(_place(type_, input_, None, None))

    def enter_complete(self) -> None:
        """Enter the last state; not a place to cancel, for everything is done."""
        self.recorder.update_state(5, STEPS[5])
        progress = self.recorder.record.current_state.progress
        self.emit(events.StateChanged(stage=5, step=STEPS[5], progress=progress))

    def has(self, type_: str, *, output: int | None = None) -> bool:
        """True when an earlier attempt already saved an entity of this type for this output."""
        return _place(type_, None, output, None) in self._kept

    def save(self, type_: str, content: Any, metadata: Mapping[str, Any] | None = None, **place: Any) -> EntityRecord:
        """Save an entity and tell the views. `place`: stage, input, output, iteration, reused_from."""
        entity = self.recorder.save_entity(type_, content, metadata=dict(metadata or {}), **place)
        self.announce(entity)
        return entity

    def announce(self, entity: EntityRecord) -> None:
        """Tell the views that an entity is on disk."""
        path = self.recorder.folder / entity.filename
        preview = ""
        if entity.media_type in ("text", "json"):
            with path.open(encoding="utf-8", errors="replace") as file:
                preview = file.read(PREVIEW_CHARACTERS)
        self.emit(
            events.EntitySaved(
                sequence=entity.sequence,
                type=entity.type,
                filename=entity.filename,
                media_type=entity.media_type,
                path=str(path),
                preview=preview,
                output=entity.output,
            )
        )

    def record_step(self, step: StepRecord, started: float) -> None:
        """Record a finished call; `started` is its time by the monotonic clock."""
        step.seconds = round(time.monotonic() - started, 6)
        self.recorder.record_step(step)
        self.emit(
            events.StepFinished(
                stage=step.stage,
                step=step.step,
                seconds=step.seconds,
                outcome=step.outcome,
                message=step.message,
                output=step.output,
            )
        )


def _place(type_: str, input_: int | None, output: int | None, iteration: int | None) -> tuple[Any, ...]:
    return (type_, input_, output, iteration)

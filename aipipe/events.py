"""Events: frozen notes that something happened, and the observers that receive them.

Events inform views. They carry plain values only, so that this module knows nothing of widgets, files or services.
What must not be lost goes through the recorder, never through an event.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from aipipe.cancellation import Cancellation

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events.

    Attributes:
        run_id: The run (or, outside a run, the job) that the event belongs to.
        time: Seconds since the epoch.
    """

    run_id: str = ""
    time: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run has its folder and its plan.

    Attributes:
        folder: Path of the run folder.
        config_name: Name of the config.
        execution_mode: "eco", "fast", "embedded", "echo".
        safety_level: "kids", "youth", "adult", "off".
        expected_outputs: Entity types the plan will produce, in order.
        texts: The input texts.
        outputs: Names of the output configs.
        models: Task → "backend:model".
        cancel: Asks the run to stop, or None where that is impossible.
        age: Seconds since it began: 0 for a run of one's own, more for one that is watched from later on.
    """

    folder: str = ""
    config_name: str = ""
    execution_mode: str = ""
    safety_level: str = ""
    expected_outputs: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    cancel: Callable[..., None] | None = None
    age: float = 0.0

    @property
    def has_stages(self) -> bool:
        """False for a bare ComfyUI job, which is no run of a pipeline."""
        return bool(self.execution_mode or self.expected_outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(Event):
    """The run entered a stage and step.

    Attributes:
        stage: 0 to 5.
        step: Name of the step ("translation_and_safety", …).
        progress: "n/m" of finished expected outputs.
        output: Index of the output that stages 3 and 4 work on, from 0.
    """

    stage: int = 0
    step: str = ""
    progress: str = ""
    output: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """A call to a model, checker or generator begins.

    Attributes:
        stage: 1 to 4.
        step: What it does ("translation", "safety", "interception", "safety_pre_output", "media").
        service: Backend or runner.
        model: Model name, "" if none.
        iteration: Number of the iteration in a recursive pipeline, from 1.
        iterations: How many iterations are planned.
        output: Index of the output, from 0.
    """

    stage: int = 0
    step: str = ""
    service: str = ""
    model: str = ""
    iteration: int | None = None
    iterations: int | None = None
    output: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(Event):
    """A call ended; `outcome` is "completed", "reused", "blocked", "failed" or "cancelled"."""

    stage: int = 0
    step: str = ""
    seconds: float = 0.0
    outcome: str = "completed"
    message: str = ""
    output: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta(Event):
    """Another piece of a streamed text; `thinking` marks chain-of-thought that is not part of the answer."""

    stage: int = 0
    step: str = ""
    text: str = ""
    thinking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyChecked(Event):
    """A safety verdict.

    Attributes:
        safe: True, False, or None when no check took place.
        method: How it was decided ("model", "terms", "terms only (echo)", "disabled", "failed").
        message: Explanation for a person.
    """

    stage: int = 0
    safe: bool | None = None
    method: str = ""
    message: str = ""
    output: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitySaved(Event):
    """An entity is on disk and listed in metadata.json.

    Attributes:
        sequence: Its number.
        type: Entity type ("input", "output_image", …).
        filename: Its file in the run folder.
        media_type: "text", "json", "image", …
        path: Full path.
        preview: The first 2,000 characters of a text or JSON entity.
    """

    sequence: int = 0
    type: str = ""
    filename: str = ""
    media_type: str = ""
    path: str = ""
    preview: str = ""
    output: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueChanged(Event):
    """The job waits; `position` 0 is next, `length` counts all jobs of the server."""

    position: int = 0
    length: int = 0
    server: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeProgress(Event):
    """A node of a workflow works.

    Attributes:
        node_id: Its id in the graph.
        title: Its title.
        value: Steps done.
        maximum: Steps in all, 0 if unknown.
        rate: Steps a second, None if unknown.
        eta: Seconds left for this node, None if unknown.
        nodes_done: Nodes of the graph that are finished.
        nodes_total: Nodes of the graph.
    """

    node_id: str = ""
    title: str = ""
    value: float = 0
    maximum: float = 0
    rate: float | None = None
    eta: float | None = None
    nodes_done: int = 0
    nodes_total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview(Event):
    """A picture of unfinished work; never a result."""

    data: bytes = b""
    mime: str = "image/jpeg"
    node_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Event):
    """Something a person should read: a fallback, a retry, a wait."""

    message: str = ""
    level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(Event):
    """The run has its terminal status."""

    status: str = ""
    message: str = ""
    hint: str = ""
    seconds: float = 0.0
    folder: str = ""


@runtime_checkable
class Observer(Protocol):
    """Receives the events of a run. May be slow or fail without hurting the run; called from the run's thread."""

    def on_event(self, event: Event) -> None:
        """Take one event."""


class Observers:
    """Hands each event to every observer; a failing one is logged once and left out for the rest of the run."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = list(observers)

    def add(self, observer: Observer) -> None:
        """Add an observer for the events to come."""
        self._observers.append(observer)

    def emit(self, event: Event) -> None:
        """Hand `event` to every observer."""
        for observer in list(self._observers):
            try:
                observer.on_event(event)
            except Exception:
                log.warning("observer %r failed and is left out from here on", type(observer).__name__, exc_info=True)
                with contextlib.suppress(ValueError):
                    self._observers.remove(observer)


def _ignore(event: Event) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEnded(Event):
    """Nobody watches the run any more from here; the run itself goes on."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a backend or runner gets beside its request: where to send events, and when to stop.

    Attributes:
        emit: Takes events; never raises.
        cancellation: Checked between and during waits.
    """

    emit: Callable[[Event], None] = _ignore
    cancellation: Cancellation = field(default_factory=Cancellation)

    @contextlib.contextmanager
    def breaking(self, close: Callable[[], None]) -> Iterator[None]:
        """While the block runs, call `close` as soon as the run is cancelled (to break a blocking read)."""
        remove = self.cancellation.on_cancel(close)
        try:
            yield
        finally:
            remove()


def as_dict(event: Event) -> dict[str, Any]:
    """The event as plain JSON-able values: `{"event": class name, …}`; bytes and callables are left out."""
    values: dict[str, Any] = {"event": type(event).__name__}
    for cls in type(event).__mro__:
        for name in getattr(cls, "__dataclass_fields__", {}):
            value = getattr(event, name)
            if not callable(value) and not isinstance(value, bytes):
                values.setdefault(name, value)
    return values

"""What moves between two records: node progress and streamed text of runs that this server executes.

It informs views and is never replayed: what must not be lost stands in the record.
"""

from __future__ import annotations

import threading
from typing import Any

from aipipe.events import Event, NodeProgress, QueueChanged, StepStarted, TextDelta

KEPT_CHARS = 4_000


class Transients:
    """The latest of each kind, per run. Safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[str, dict[str, Any]] = {}
        self._versions: dict[str, int] = {}

    def observer(self, run_id: str) -> _Taker:
        """An observer that keeps what is new of one run."""
        return _Taker(self, run_id)

    def latest(self, run_id: str, seen: int) -> tuple[int, dict[str, Any] | None]:
        """Version and values of what moves now; None when nothing changed since version `seen`."""
        with self._lock:
            version = self._versions.get(run_id, 0)
            return version, dict(self._latest[run_id]) if version > seen else None

    def forget(self, run_id: str) -> None:
        """Drop what is known of a run that has ended."""
        with self._lock:
            self._latest.pop(run_id, None)
            self._versions.pop(run_id, None)

    def take(self, run_id: str, event: Event) -> None:
        """Keep what `event` says."""
        with self._lock:
            latest = self._latest.setdefault(run_id, {})
            if isinstance(event, StepStarted):
                latest.clear()
                latest |= {"stage": event.stage, "step": event.step, "service": event.service, "model": event.model}
                latest |= {"iteration": event.iteration, "iterations": event.iterations, "output": event.output}
            elif isinstance(event, NodeProgress):
                latest |= {"title": event.title, "value": event.value, "maximum": event.maximum, "eta": event.eta}
                latest |= {"nodes_done": event.nodes_done, "nodes_total": event.nodes_total}
            elif isinstance(event, QueueChanged):
                latest |= {"place": event.position, "length": event.length, "server": event.server}
            elif isinstance(event, TextDelta):
                if event.thinking:
                    return
                latest["text"] = (latest.get("text", "") + event.text)[-KEPT_CHARS:]
            else:
                return
            self._versions[run_id] = self._versions.get(run_id, 0) + 1


class _Taker:
    def __init__(self, transients: Transients, run_id: str) -> None:
        self._transients, self._run_id = transients, run_id

    def on_event(self, event: Event) -> None:
        """Take one event."""
        self._transients.take(self._run_id, event)

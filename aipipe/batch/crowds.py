"""Queues of media servers: where many jobs wait already, whoever sent them, cases wait here, so that others get their turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

LOOK_SECONDS = 2.0


class Crowds:
    """How many jobs wait at each generator, looked up now and then.

    Args:
        most: Jobs that may wait before a case does; 0 for any number.
    """

    def __init__(self, most: int) -> None:
        self.count: Callable[[str], int | None] | None = None
        """Jobs that wait at a generator; None where nobody can tell."""
        self._most = most
        self._names: set[str] = set()
        self._waiting: dict[str, int] = {}
        self._next = 0.0
        self._lock = threading.Lock()

    def watch(self, names: Iterable[str]) -> None:
        """Look at these generators from now on."""
        self._names |= set(names)

    def look(self) -> None:
        """Count anew, if that was not done just now or is not being done."""
        if (
            self.count is None
            or not self._most
            or time.monotonic() < self._next
            or not self._lock.acquire(blocking=False)
        ):
            return
        try:
            for name in sorted(self._names):
                number = self.count(name)
                if number is None:
                    self._names.discard(name)
                    self._waiting.pop(name, None)
                else:
                    self._waiting[name] = number
            self._next = time.monotonic() + LOOK_SECONDS
        finally:
            self._lock.release()

    def full(self, names: Iterable[str]) -> bool:
        """Whether too many jobs wait at one of these."""
        return any(self._waiting.get(name, 0) >= self._most > 0 for name in names)

    @property
    def notes(self) -> dict[str, str]:
        """Generator → what to tell a person."""
        return {
            name: f"{number} jobs wait there; cases wait until they are fewer than {self._most}"
            for name, number in self._waiting.items()
            if number >= self._most > 0
        }

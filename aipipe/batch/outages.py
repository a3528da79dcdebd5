"""Servers that are away: their cases wait, somebody looks now and then, and after a while it is given up."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0


@dataclass
class _Away:
    since: float
    next: float
    pause: float
    why: str
    looking: bool = False


class Outages:
    """Which services are away. Not thread-safe by itself: the schedule calls it under its lock.

    Args:
        patience: Seconds after which nobody waits for a service any more; 0 never waits.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.given_up: dict[str, str] = {}
        self._away: dict[str, _Away] = {}

    def begin(self, name: str, why: str) -> None:
        """A service was found away."""
        if name not in self._away and name not in self.given_up:
            now = time.monotonic()
            self._away[name] = _Away(now, now + FIRST_PAUSE, FIRST_PAUSE, why)

    def away(self, names: Iterable[str]) -> bool:
        """Whether one of these services is away for now."""
        return any(name in self._away for name in names)

    def lost(self, names: Iterable[str]) -> str:
        """Name of a service among these that was given up, "" if there is none."""
        return next((name for name in names if name in self.given_up), "")

    def due(self) -> str:
        """A service that should be looked at now, "" if there is none. The caller looks, and tells by `looked`."""
        now = time.monotonic()
        for name, away in self._away.items():
            if not away.looking and now >= away.next:
                away.looking = True
                return name
        return ""

    def looked(self, name: str, why: str) -> None:
        """What a look said: empty for an answer."""
        away = self._away.get(name)
        if away is None:
            return
        now = time.monotonic()
        if not why:
            del self._away[name]
        elif now - away.since > self.patience:
            del self._away[name]
            self.given_up[name] = f"no answer for {(now - away.since) / 60:.0f} min: {why}"
        else:
            away.pause = min(LONGEST_PAUSE, 2 * away.pause)
            away.next, away.looking, away.why = now + away.pause, False, why

    @property
    def notes(self) -> dict[str, str]:
        """Service → what to tell a person."""
        waiting = {name: f"cases wait for it: {away.why}" for name, away in self._away.items()}
        return {**waiting, **self.given_up}

"""Time as records show it: UTC, microseconds, `Z`."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The current time, for example 2026-03-01T12:30:00.000123Z."""
    return text(datetime.now(UTC))


def text(moment: datetime) -> str:
    """`moment` (aware) in UTC with microseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def parse(value: str) -> datetime:
    """A recorded timestamp as an aware datetime; a naive one (older dialects) is taken as local time."""
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.astimezone()

"""Times in a public export: the day, the order of runs and how long things took, but not the hour.

"Tuesday at 10:42" together with a timetable says which class, and together with the log of a server which child.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Times = Literal["day", "exact"]


class Clock:
    """Moves the times of one run, so that it begins shortly after midnight; what lies between them stays."""

    def __init__(self, offset: timedelta) -> None:
        self._offset = offset

    def of(self, value: Any) -> str | None:
        """A time of the run as published, or None where it is none."""
        moment = _moment(value)
        if moment is None:
            return None
        try:
            return (moment - self._offset).isoformat(timespec="microseconds").replace("+00:00", "Z")
        except OverflowError:
            return None


class Clocks:
    """The clocks of one export: runs of a day begin one second after each other, in the order in which they are asked for."""

    def __init__(self, times: Times) -> None:
        self._times = times
        self._of_day: Counter[Any] = Counter()

    def of_run(self, run: dict[str, Any]) -> Clock:
        """The clock of the next run."""
        begun = _moment(run.get("started")) or _moment(run.get("timestamp"))
        if self._times == "exact" or begun is None:
            # Without a beginning nothing can be moved: such a run keeps its days by losing its hours, see `Days`.
            return Clock(timedelta()) if self._times == "exact" else Days(timedelta())
        midnight = begun.replace(hour=0, minute=0, second=0, microsecond=0)
        # Seconds: a day of many thousand runs must not reach into the next one.
        place = timedelta(seconds=self._of_day[midnight])
        self._of_day[midnight] += 1
        return Clock(begun - midnight - place)


class Days(Clock):
    """Days alone, for a run that does not say when it began."""

    def of(self, value: Any) -> str | None:
        """Midnight of the day."""
        moment = _moment(value)
        return None if moment is None else f"{moment.date().isoformat()}T00:00:00.000000Z"


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

"""The list of runs: filtered, paged by cursor, bounded in time whatever the size of the store."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aipipe.api.ordering import Key, cursor_of
from aipipe.api.reading import RunReader
from aipipe.definitions import LEVELS, MODES
from aipipe.errors import InvalidInput, UnknownName
from aipipe.records import TERMINAL

BUDGET_SECONDS = 0.6
"""Longest time one page may look for runs that fit; the cursor continues where it stopped."""


STATUSES = ("queued", "running", *TERMINAL, "interrupted", "unknown")


@dataclass(frozen=True)
class Filter:
    """Which runs are wanted; empty fields want all.

    Attributes:
        config: Name of the config.
        status: Status as readers see it.
        mode: Execution mode.
        safety: Safety level.
        participant: Pseudonym of the author.
        study: Study.
        media: Media type of an output.
        tag: A tag.
        since: Created at or after this moment (ISO 8601, UTC) or day.
        until: Created before or on this moment or day.
        q: Words that all occur in texts (their first 4,000 characters), names or tags, without regard to case; the
            beginning of an id too.
        user: Account the runs belong to.

    Raises:
        UnknownName: there is no such status, mode or level.
        InvalidInput: a moment that is none.
    """

    config: str = ""
    status: str = ""
    mode: str = ""
    safety: str = ""
    participant: str = ""
    study: str = ""
    media: str = ""
    tag: str = ""
    since: str = ""
    until: str = ""
    q: str = ""
    user: str = ""

    def __post_init__(self) -> None:
        for kind, value, known in (
            ("status", self.status, STATUSES),
            ("mode", self.mode, MODES),
            ("safety level", self.safety, LEVELS),
        ):
            if value and value not in known:
                raise UnknownName(kind, value, known)
        object.__setattr__(self, "since", _moment("since", self.since))
        object.__setattr__(self, "until", _moment("until", self.until))

    def test(self) -> Callable[[dict[str, Any]], bool]:
        """A function that tells whether a summary fits."""
        exact = {
            "config_name": self.config,
            "status": self.status,
            "execution_mode": self.mode,
            "safety_level": self.safety,
            "participant": self.participant,
            "study": self.study,
            "user_id": self.user,
        }
        equal = [(name, value) for name, value in exact.items() if value]
        words = self.q.casefold().split()

        def fits(summary: dict[str, Any]) -> bool:
            if any(summary[name] != value for name, value in equal):
                return False
            if self.media and self.media not in summary["media"]:
                return False
            if self.tag and self.tag not in summary["tags"]:
                return False
            if self.since and summary["timestamp"] < self.since:
                return False
            if self.until and summary["timestamp"][: len(self.until)] > self.until:
                return False
            return not words or _has(summary, words)

        return fits


def _moment(name: str, value: str) -> str:
    """A day as it is, a moment in UTC as records write it."""
    if not value:
        return ""
    try:
        # A plus sign that was not escaped in the address arrives as a space.
        moment = datetime.fromisoformat(value.strip().replace(" ", "+") if "T" in value else value)
        if len(value) == len("2026-11-27"):
            return value
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{name}={value[:40]!r} is no moment.", hint="Write a day, 2026-11-27, or 2026-11-27T10:00:00Z."
        ) from None
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds" if moment.microsecond else "seconds")


def _has(summary: dict[str, Any], words: list[str]) -> bool:
    # The long texts are folded already and stay apart: joining them for each of many runs costs more than the search.
    texts, run_id = summary["searched"], summary["run_id"]
    few = " ".join([summary["reason"] or "", *summary["tags"]]).casefold()
    # Ids count by their beginning only: a digit stands somewhere in every one of them.
    return all(word in texts or word in few or run_id.startswith(word) for word in words)


def page(reader: RunReader, wanted: Filter, *, limit: int, cursor: str) -> dict[str, Any]:
    """One page, newest first.

    Returns:
        `runs`; `next`, the cursor of what follows or null at the end; `scanned`, how many runs were looked at. A page may
        hold fewer runs than `limit`, even none, and still have a `next`: then the time for one page was over.
    """
    fits = wanted.test()
    found: list[dict[str, Any]] = []
    end = time.monotonic() + BUDGET_SECONDS
    scanned = 0
    last: Key | None = None
    more = False
    annotated = reader.annotated()
    for key in reader.keys(cursor):
        if len(found) >= limit or (scanned and time.monotonic() > end):
            more = True
            break
        last = key
        scanned += 1
        summary = reader.summary(key[1], annotated)
        if summary is not None and fits(summary):
            found.append({name: value for name, value in summary.items() if name != "searched"})
    return {"runs": found, "next": cursor_of(last) if more and last else None, "scanned": scanned}

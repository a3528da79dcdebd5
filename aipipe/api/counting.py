"""How many runs fit a filter: exact, or at least so many while the store is still being read.

A list is asked for again every few seconds by every open page, so a count is kept for a time that grows with what it
cost. Within a budget each run is looked at as it is now; in a store too large for that the rest is counted from memory.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from aipipe.api.listing import Filter
from aipipe.api.reading import RunReader

BUDGET_SECONDS = 0.15
"""How long one count may look at files."""
WAIT_SECONDS = 0.3
KEPT_SECONDS = 1.0
KEPT_TIMES_COST = 20
KEPT_FILTERS = 100


@dataclass(frozen=True, slots=True)
class Hits:
    """A count.

    Attributes:
        count: Runs that fit.
        exact: False while runs are unread: then there are at least so many.
    """

    count: int
    exact: bool


class Counter:
    """Counts the runs of a reader. Safe to use from threads.

    Args:
        reader: Knows the runs.
    """

    def __init__(self, reader: RunReader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._kept: OrderedDict[Filter, tuple[float, Hits]] = OrderedDict()

    def hits(self, wanted: Filter) -> Hits:
        """How many runs fit `wanted`."""
        if wanted == Filter():
            return Hits(self._reader.count(), exact=True)
        # One count at a time: who waits too long for it takes what is known, so that lists never queue behind searches.
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            return Hits(self._known(wanted)[1].count, exact=False)
        try:
            ends, hits = self._known(wanted)
            return hits if ends > time.monotonic() else self._counted(wanted)
        finally:
            self._lock.release()

    def _known(self, wanted: Filter) -> tuple[float, Hits]:
        return self._kept.get(wanted, (0.0, Hits(0, exact=False)))

    def _counted(self, wanted: Filter) -> Hits:
        began = time.monotonic()
        hits = self._count(wanted, began + BUDGET_SECONDS)
        now = time.monotonic()
        self._kept[wanted] = (now + max(KEPT_SECONDS, KEPT_TIMES_COST * (now - began)), hits)
        self._kept.move_to_end(wanted)
        while len(self._kept) > KEPT_FILTERS:
            self._kept.popitem(last=False)
        return hits

    def _count(self, wanted: Filter, end: float) -> Hits:
        fits, annotated = wanted.test(), self._reader.annotated()
        count = unread = 0
        looking = True
        for name in self._reader.names():
            looking = looking and time.monotonic() < end
            if looking:
                summary = self._reader.summary(name, annotated)
            elif self._reader.knows(name):
                summary = self._reader.remembered(name, annotated)
            else:
                unread += 1
                continue
            count += summary is not None and fits(summary)
        return Hits(count, exact=unread == 0)

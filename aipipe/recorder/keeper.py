"""The keeper: one thread per process that brings late state changes to disk and keeps the leases of live runs fresh."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Protocol

from aipipe import lease

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.5
"""A change of state reaches the disk at the latest after this time."""


class Tended(Protocol):
    """What the keeper looks after."""

    def tend(self, *, beat: bool) -> None:
        """Flush what is late; with `beat`, touch the lease."""


class Keeper:
    """Looks after every live run of this process, with one thread that exists while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._live: set[Tended] = set()
        self._running = False

    def add(self, recorder: Tended) -> None:
        """Look after a recorder from now on."""
        with self._lock:
            self._live.add(recorder)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="aipipe-keeper", daemon=True).start()

    def remove(self, recorder: Tended) -> None:
        """Forget a recorder."""
        with self._lock:
            self._live.discard(recorder)

    def wake(self) -> None:
        """Tell that some state changed."""
        self._wake.set()

    def _run(self) -> None:
        last = time.monotonic()
        while True:
            self._wake.wait(lease.BEAT_SECONDS - FLUSH_SECONDS)
            self._wake.clear()
            time.sleep(FLUSH_SECONDS)
            beat = time.monotonic() - last >= lease.BEAT_SECONDS - FLUSH_SECONDS
            last = time.monotonic() if beat else last
            with self._lock:
                live = list(self._live)
                self._running = bool(live)
                if not live:
                    return
            for recorder in live:
                try:
                    recorder.tend(beat=beat)
                except Exception:
                    log.warning("a live run could not be tended", exc_info=True)


KEEPER = Keeper()


def _after_fork() -> None:
    """A forked child has none of its parent's threads and must not touch its parent's runs."""
    KEEPER.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

"""One way to ask running work to stop, shared by threads, signals and buttons."""

from __future__ import annotations

import threading
from collections.abc import Callable

from aipipe.errors import RunCancelled


class Cancellation:
    """A request to stop that work checks between and during its waits.

    It can be set from any thread or signal handler, once and for good.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self.reason = ""

    @property
    def requested(self) -> bool:
        """True once somebody asked to stop."""
        return self._event.is_set()

    def cancel(self, reason: str = "cancelled by the user") -> None:
        """Ask to stop. Later calls change nothing."""
        with self._lock:
            if self._event.is_set():
                return
            self.reason = reason
            self._event.set()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    def check(self) -> None:
        """Raise if somebody asked to stop.

        Raises:
            RunCancelled: when `cancel` was called.
        """
        if self._event.is_set():
            raise RunCancelled(f"The run was cancelled: {self.reason}.")

    def wait(self, seconds: float) -> None:
        """Sleep up to `seconds`, raising as soon as somebody asks to stop.

        Raises:
            RunCancelled: when `cancel` was called before or during the wait.
        """
        self._event.wait(seconds)
        self.check()

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when the stop is asked for (at once if it already was); returns a function that unregisters it.

        Use it to break a blocking read, for example by closing its socket.
        """
        with self._lock:
            already = self._event.is_set()
            if not already:
                self._callbacks.append(callback)
        if already:
            callback()

        def remove() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return remove

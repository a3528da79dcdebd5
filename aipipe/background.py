"""The only threads of a run: one per run that was started beside its cell."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from types import FrameType
from typing import Any, Generic, TypeVar

from aipipe.cancellation import Cancellation

T = TypeVar("T")


class Background(Generic[T]):
    """A piece of work in a thread of its own, that can be waited for, awaited and cancelled.

    An asyncio task would do for a kernel alone, but a task that a later cell awaits leaves its first state in the
    saved notebook; a thread works in a plain script too.
    """

    def __init__(self, work: Callable[[], T], cancellation: Cancellation, name: str) -> None:
        self.cancellation = cancellation
        self._work = work
        self._finished = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._result: T | None = None
        self._error: BaseException | None = None
        # A daemon: closing the kernel must not hang on a slow server. The recorder's lease then shows `interrupted`.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001  handed to whoever waits
            self._error = error
        with self._lock:
            self._finished.set()
            callbacks = self._callbacks
        for callback in callbacks:
            callback()

    @property
    def done(self) -> bool:
        """True once the work ended, whatever its outcome."""
        return self._finished.is_set()

    def cancel(self) -> None:
        """Ask the work to stop; returns at once."""
        self.cancellation.cancel()

    def wait(self, timeout: float | None = None) -> T:
        """Wait for the end.

        Args:
            timeout: Seconds to wait at most; None waits for ever.

        Returns:
            What the work returned.

        Raises:
            TimeoutError: the work still goes on after `timeout` seconds.
            BaseException: whatever the work raised.
        """
        if not self._finished.wait(timeout):
            raise TimeoutError(f"Still at work after {timeout} s; it goes on.")
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call `callback` from the work's thread when it ends; at once if it has ended."""
        with self._lock:
            if not self._finished.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def __await__(self) -> Generator[Any, None, T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed while the work went on
                loop.call_soon_threadsafe(lambda: None if future.done() else future.set_result(None))

        self.when_done(wake)
        yield from future.__await__()
        return self.wait()


@contextlib.contextmanager
def interruptible(cancellation: Cancellation) -> Iterator[None]:
    """While the block runs in the main thread, Ctrl-C (or a kernel interrupt) also sets `cancellation`.

    The interrupt is still raised, so that a blocking read ends; whoever catches it finds the cancellation set and
    knows that a person wanted the run to stop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        cancellation.cancel("interrupted")
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)

"""One job at a server: wait for it, follow it, cancel exactly it, find it again."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from aipipe import events
from aipipe.comfy import failures
from aipipe.comfy.feed import Inbox
from aipipe.comfy.gathering import gather
from aipipe.comfy.machine import Ending, JobMachine, Limits
from aipipe.comfy.messages import Frame
from aipipe.comfy.results import Folder, Result
from aipipe.errors import AipipeError, BadAnswer, ComfyError, Overloaded, RunCancelled, TimedOut, Unreachable
from aipipe.events import Event, Watch

if TYPE_CHECKING:
    from aipipe.comfy.server import Server

RESUMABLE = ("unreachable", "silent", "overtime")
"""Endings of our patience, not of the job."""


class Job:
    """A job at a server. Made by `server.submit` and `server.job`; safe to use from several threads.

    Attributes:
        job_id: Its id at the server.
        server: The server.
        graph: The graph as sent.
        seeds: Seeds of the graph as decimal strings.
    """

    def __init__(
        self,
        server: Server,
        job_id: str,
        graph: dict[str, Any],
        *,
        inbox: Inbox,
        limits: Limits,
        folder: Folder | None = None,
        allow_partial: bool = False,
        node_errors: dict[str, Any] | None = None,
    ) -> None:
        from aipipe.comfy import graphs

        self.server = server
        self.job_id = job_id
        self.graph = graph
        self.seeds = graphs.seeds(graph)
        self.node_errors = node_errors or {}
        self.allow_partial = allow_partial
        self.folder = folder
        self._inbox = inbox
        self._limits = limits
        self._machine = self._new_machine()
        self._lock = threading.RLock()
        self._result: Result | None = None
        self._error: AipipeError | None = None
        self._recycled = time.monotonic()
        self.is_repeat = False

    def __repr__(self) -> str:
        return f"<Job {self.job_id} at {self.server.url}: {self.status}>"

    def __await__(self) -> Generator[Any, None, Result]:
        return (yield from asyncio.to_thread(self.wait).__await__())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.comfy.view import job_bundle

        return job_bundle(self, self._result)

    @property
    def status(self) -> str:
        """As last heard, without asking: submitted, pending, running, completed, failed, cancelled or lost."""
        ending = self._machine.ending
        if ending is None:
            return self._machine.phase
        named = {"success": "completed", "error": "failed", "interrupted": "cancelled", "lost": "lost"}
        return named.get(ending.outcome, "running")

    @property
    def started(self) -> bool:
        """True once the server began to work on it."""
        return self._machine.started

    @property
    def server_failed(self) -> bool:
        """True when the server once gave no answer while the job was under way."""
        return self._machine.was_unreachable

    def done(self) -> bool:
        """True when the job has ended; asks the server without waiting."""
        self._step(0.0, force=True)
        return self._machine.ending is not None

    def events(self) -> Iterator[Event]:
        """Progress, queue places and previews until the job ends. Ends without raising; `wait` gives the outcome."""
        while self._machine.ending is None:
            yield from self._step(1.0)

    def wait(self, timeout: float | None = None, watch: Watch | None = None) -> Result:
        """Wait until the job ends and fetch what it made.

        Args:
            timeout: Longest wait in seconds; the job goes on after it.
            watch: Where events go, and who may ask to stop.

        Raises:
            NodeFailed, OutOfMemory, Cancelled, Lost, TimedOut, Partial, Unreachable: see `aipipe.errors`.
            RunCancelled: the watch was cancelled; the job was cancelled too.
        """
        watch = watch or Watch()
        end = None if timeout is None else time.monotonic() + timeout
        try:
            with watch.breaking(self._inbox.wake):
                while self._machine.ending is None:
                    if watch.cancellation.requested:
                        self._stop_for(watch)
                    left = 1.0 if end is None else end - time.monotonic()
                    if left <= 0:
                        raise self._timed_out(timeout or 0.0)
                    for event in self._step(min(left, 1.0)):
                        watch.emit(event)
                return self._conclude(watch)
        except KeyboardInterrupt as interrupt:
            note = (
                f"Job {self.job_id} still runs at {self.server.url}. server.job({self.job_id!r}).wait() finds it again, "
                f"server.job({self.job_id!r}).cancel() stops it."
            )
            watch.emit(events.Notice(run_id=self.job_id, message=note, level="warning"))
            interrupt.add_note(note)
            raise

    def result(self, timeout: float | None = None) -> Result:
        """The same as `wait`."""
        return self.wait(timeout)

    def cancel(self) -> bool:
        """Cancel exactly this job, waiting or running.

        Returns:
            True when the server took it out; False when it had ended before.

        Raises:
            Unreachable: the server does not answer.
        """
        with self._lock:
            self._machine.cancel_requested = True
        done = self.server.cancel_job(self.job_id)
        self._machine.poll_soon(time.monotonic())
        self._inbox.wake()
        return done

    def close(self) -> None:
        """Stop listening to the job; it goes on at the server."""
        self.server.forget(self.job_id)

    # ---- the loop --------------------------------------------------------------------------------------------------

    def _new_machine(self) -> JobMachine:
        from aipipe.comfy import graphs

        return JobMachine(
            self.job_id,
            now=time.monotonic(),
            nodes=graphs.titles(self.graph),
            limits=self._limits,
            server=self.server.url,
        )

    def _step(self, seconds: float, *, force: bool = False) -> list[Event]:
        with self._lock:
            machine = self._machine
            if machine.ending is not None:
                return []
            now = time.monotonic()
            woken = self._inbox.woken
            items = self._inbox.take(max(0.0, min(seconds, machine.next_deadline() - now)))
            now = time.monotonic()
            found: list[Event] = []
            for item in items:
                if isinstance(item, Frame):
                    found += machine.on_frame(item, now)
                elif item.type == "greeting":
                    machine.sign(now, str(item.data.get("node")))
                else:
                    found += machine.on_message(item, now)
            if force or woken or now >= machine.poll_at:
                found += self._poll()
            machine.on_clock(time.monotonic())
            self._mind_the_socket(time.monotonic())
            return found

    def _poll(self) -> list[Event]:
        try:
            poll = self.server.poll(self.job_id)
        except (Unreachable, BadAnswer, Overloaded):
            self._machine.on_poll_failed(time.monotonic())
            return []
        return self._machine.on_poll(poll, time.monotonic())

    def _mind_the_socket(self, now: float) -> None:
        """A socket that says nothing of a running job for a while may be mute: close it and open a new one."""
        limit = min(20.0, (self._limits.silence or 60.0) / 3)
        if self._machine.quiet_for(now) > limit and now - self._recycled > limit:
            self._recycled = now
            self.server.feed.recycle()

    def _stop_for(self, watch: Watch) -> None:
        try:
            self.cancel()
        except ComfyError as error:
            watch.emit(events.Notice(run_id=self.job_id, message=f"The job could not be cancelled: {error.message}"))
        self.close()
        raise RunCancelled(f"The run was cancelled: {watch.cancellation.reason}.")

    def _timed_out(self, seconds: float) -> TimedOut:
        return TimedOut(
            f"Job {self.job_id} at {self.server.url} did not end within {seconds:g} s.",
            hint=f"It goes on: server.job({self.job_id!r}).wait() finds it again, .cancel() stops it.",
            job_id=self.job_id,
            limit="wait",
        )

    def _conclude(self, watch: Watch) -> Result:
        with self._lock:
            if self._result is not None:
                return self._result
            if self._error is not None:
                raise self._error
            ending = self._machine.ending
            assert ending is not None
            if ending.outcome in RESUMABLE:
                self._machine = self._new_machine()
                raise self._failure(ending)
            self.server.forget(self.job_id)
            try:
                if ending.outcome != "success":
                    raise self._failure(ending)
                self._result = gather(self, ending, self._machine, self._inbox.pictures, watch)
            except AipipeError as error:
                self._error = error
                raise
            return self._result

    def _failure(self, ending: Ending) -> ComfyError:
        error = failures.of_ending(ending, self.graph, self.job_id, self.server.url, self._limits)
        assert error is not None
        return error

"""One job of a pool: waits for a server, follows its job there, moves on while it has not started."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
import uuid
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from aipipe import events
from aipipe.comfy import graphs
from aipipe.comfy.jobs import Job
from aipipe.comfy.machine import Limits
from aipipe.comfy.results import Result
from aipipe.errors import AipipeError, Cancelled, Lost, RunCancelled, TimedOut, Unreachable
from aipipe.events import Event, Watch

if TYPE_CHECKING:
    from aipipe.comfy.pool import Pool
    from aipipe.comfy.server import Server
    from aipipe.comfy.workflow import Workflow

QUICK = 6.0
"""Seconds without an answer after which a job that has not started is given to another server."""
MOVES = 5


class PoolJob:
    """A job of a pool; used like `Job`.

    Attributes:
        job_id: Its id, the same on whichever server it runs.
        workflow: What it runs.
        able: Servers that can run it.
    """

    def __init__(
        self, pool: Pool, workflow: Workflow, able: Sequence[Server], limits: Limits, options: dict[str, Any]
    ) -> None:
        self.job_id = str(uuid.uuid4())
        self.workflow = workflow
        self.able = list(able)
        self.options = options
        self.limits = dataclasses.replace(limits, unreachable=QUICK)
        self._patience = limits.unreachable
        self._pool = pool
        self._state = threading.Condition()
        self._job: Job | None = None
        self._error: AipipeError | None = None
        self._moves = 0

    def __repr__(self) -> str:
        return f"<PoolJob {self.job_id}: {self.status}>"

    def __await__(self) -> Generator[Any, None, Result]:
        return (yield from asyncio.to_thread(self.wait).__await__())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.comfy.view import job_bundle

        return job_bundle(self)

    @property
    def server(self) -> Any:
        """The server that has the job, or the pool while none has."""
        return self._job.server if self._job is not None else self._pool

    @property
    def graph(self) -> dict[str, Any]:
        """The graph as sent, or as it will be."""
        return self._job.graph if self._job is not None else self.workflow.graph

    @property
    def seeds(self) -> dict[str, str]:
        """Seeds of the graph as decimal strings."""
        return graphs.seeds(self.graph)

    @property
    def status(self) -> str:
        """Like `Job.status`; "waiting" while no server has the job."""
        if self._error is not None:
            return "cancelled" if isinstance(self._error, Cancelled) else "failed"
        return self._job.status if self._job is not None else "waiting"

    def done(self) -> bool:
        """True when the job has ended; asks its server without waiting."""
        return self._error is not None or (self._job is not None and self._job.done())

    def sent(self, job: Job) -> None:
        """Note the server's job."""
        with self._state:
            self._job = job
            self._state.notify_all()

    def fail(self, error: AipipeError) -> None:
        """Note that no server will run the job."""
        with self._state:
            self._error = error
            self._state.notify_all()

    def cancel(self) -> bool:
        """Cancel exactly this job, wherever it is."""
        if self._job is None and self._pool.withdraw(self):
            self.fail(Cancelled(f"Job {self.job_id} was cancelled before a server had it.", job_id=self.job_id))
            return True
        job = self._current(10.0)
        return job.cancel() if job is not None else False

    def events(self) -> Iterator[Event]:
        """Like `Job.events`; waiting for a server brings none."""
        job = self._current(None)
        if job is not None:
            yield from job.events()

    def wait(self, timeout: float | None = None, watch: Watch | None = None) -> Result:
        """Like `Job.wait`, over all servers that the job comes to."""
        watch = watch or Watch()
        end = None if timeout is None else time.monotonic() + timeout
        began_silence: float | None = None
        while True:
            job = self._current(end, watch)
            if job is None:
                raise TimedOut(
                    f"No server took job {self.job_id} within {timeout:g} s.",
                    hint="Wait again, or cancel it.",
                    job_id=self.job_id,
                )
            left = None if end is None else max(0.0, end - time.monotonic())
            try:
                return job.wait(left, watch)
            except Lost:
                if not self._move(job, watch, only_after_failure=True):
                    raise
            except Unreachable:
                if job.started:
                    began_silence = began_silence or time.monotonic() - QUICK
                    if time.monotonic() - began_silence < self._patience:
                        continue
                    raise
                if not self._move(job, watch):
                    raise

    def result(self, timeout: float | None = None) -> Result:
        """The same as `wait`."""
        return self.wait(timeout)

    def close(self) -> None:
        """Stop listening to the job."""
        if self._job is not None:
            self._job.close()

    def _current(self, end: float | None, watch: Watch | None = None) -> Job | None:
        """The server's job once there is one; None when the time is over."""
        with self._state:
            while self._job is None and self._error is None:
                if watch is not None and watch.cancellation.requested:
                    self._pool.withdraw(self)
                    raise RunCancelled(f"The run was cancelled: {watch.cancellation.reason}.")
                left = 0.2 if end is None else end - time.monotonic()
                if left <= 0:
                    return None
                self._state.wait(min(left, 0.2))
            if self._error is not None:
                raise self._error
            return self._job

    def _move(self, job: Job, watch: Watch, *, only_after_failure: bool = False) -> bool:
        """Give the job to another server; False when that might run it twice, or bring back what somebody deleted."""
        if job.started or self._moves >= MOVES or (only_after_failure and not job.server_failed):
            return False
        self._moves += 1
        message = f"{job.server.url} went away before job {self.job_id} started; another server gets it."
        watch.emit(events.Notice(run_id=self.job_id, message=message, level="warning"))
        job.close()
        with self._state:
            self._job = None
        self._pool.mark_down(job.server)
        self._pool.enqueue(self)
        return True

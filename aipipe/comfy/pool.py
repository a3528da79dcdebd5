"""Several servers as one: each job goes to the least loaded server that has its nodes and models.

Servers get only a few jobs ahead; the rest waits here, so that a slow or dying server holds nothing back. A job that
has not started moves to another server when its own one goes away; one that has started does not, or it might run twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from aipipe.comfy.check import Report, problems
from aipipe.comfy.jobs import Job
from aipipe.comfy.live import watching
from aipipe.comfy.machine import Limits
from aipipe.comfy.pooljob import PoolJob
from aipipe.comfy.results import Result
from aipipe.comfy.server import Server
from aipipe.comfy.workflow import Workflow
from aipipe.errors import AipipeError, Lost, ServiceError, Unreachable
from aipipe.events import Watch

DEPTH = 2
RETRY_DOWN = 3.0
UNFIT = (
    "unknown_node",
    "missing_model",
    "not_offered",
    "missing_input",
    "out_of_range",
    "cycle",
    "no_output",
    "dead_link",
)


class Pool:
    """Several servers. Made by `comfy.connect` with several addresses; thread safe.

    Attributes:
        servers: The servers.
        depth: How many jobs a server may have waiting or running before it gets no more.
    """

    def __init__(self, servers: Sequence[Server], *, depth: int = DEPTH) -> None:
        self.servers = list(servers)
        self.depth = depth
        self.url = ", ".join(s.url for s in self.servers)
        self._waiting: list[PoolJob] = []
        self._lock = threading.Condition()
        self._sending = threading.Lock()
        self._thread: threading.Thread | None = None
        self._down: dict[str, float] = {}
        self._given: dict[str, int] = {}  # of equally loaded servers the one that got fewer jobs comes first
        self._closed = False

    def __repr__(self) -> str:
        return f"<Pool of {len(self.servers)} ComfyUI servers>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; jobs that no server has yet are dropped."""
        with self._lock:
            self._closed = True
            dropped, self._waiting = self._waiting, []
            self._lock.notify_all()
        for job in dropped:
            job.fail(Lost("The pool was closed before any server took the job.", hint="Submit it again."))
        for server in self.servers:
            server.close()

    def run(
        self,
        workflow: Any,
        *,
        allow_partial: bool = False,
        save_to: str | Path | None = None,
        timeout: float | None = None,
        watch: Watch | None = None,
    ) -> Result:
        """Run a workflow on one of the servers; see `Server.run`."""
        job = self.submit(workflow, allow_partial=allow_partial, save_to=save_to)
        with watching(job, watch) as watcher:
            return job.wait(timeout, watcher)

    def submit(
        self,
        workflow: Any,
        *,
        allow_partial: bool = False,
        save_to: str | Path | None = None,
        run_id: str = "",
        limits: Limits | None = None,
        before: Callable[[str, str], None] | None = None,
    ) -> PoolJob:
        """Give a workflow to the least loaded server that can run it, or keep it here until one has room.

        Raises:
            Rejected: no server that answers can run it.
            Unreachable: no server answers.
        """
        ready = Workflow.of(workflow)
        options: dict[str, Any] = {
            "allow_partial": allow_partial,
            "save_to": save_to,
            "run_id": run_id,
            "before": before,
        }
        job = PoolJob(self, ready, self._able(ready), limits or self.servers[0].limits, options)
        with self._lock:
            self._closed = False
            first = not self._waiting
        if first and self.send(job):
            return job
        self.enqueue(job)
        return job

    def job(self, job_id: str, *, limits: Limits | None = None) -> Job:
        """A job that was submitted before, on whichever server knows it.

        Raises:
            Lost: no server that answers knows it.
        """
        silent = []
        for server in self.servers:
            try:
                return server.job(job_id, limits=limits)
            except Lost:
                continue
            except ServiceError:
                silent.append(server.url)
        hint = f"{', '.join(silent)} did not answer." if silent else "Submit it again."
        raise Lost(f"No server of the pool knows job {job_id}.", hint=hint, job_id=job_id)

    def wait_for_completion(self, job_id: str, timeout: float | None = None) -> Result:
        """Wait for a job by its id; see `Job.wait`."""
        return self.job(job_id).wait(timeout)

    def cancel_job(self, job_id: str) -> bool:
        """Cancel exactly this job on whichever server has it."""
        return any(server.cancel_job(job_id) for server in self.healthy())

    def jobs(self) -> list[dict[str, Any]]:
        """Jobs of all servers that answer; each row names its server."""
        return [{**row, "server": server.url} for server in self.healthy() for row in server.jobs()]

    def check(self, workflow: Any) -> Report:
        """Problems at the server that fits best."""
        reports = [Workflow.of(workflow).check(server) for server in self.healthy()]
        return min(reports, key=lambda r: len(r.errors))

    def upload(self, file: Any, *, mask_of: str = "") -> str:
        """Send a file to every server that answers; names come from the content, so they are equal everywhere."""
        names = [server.upload(file, mask_of=mask_of) for server in self.healthy()]
        return names[0]

    def object_info(self) -> dict[str, Any]:
        """Nodes of all servers that answer."""
        found: dict[str, Any] = {}
        for server in self.healthy():
            found.update(server.object_info())
        return found

    def system_stats(self) -> dict[str, Any]:
        """`system_stats` of each server that answers, by address."""
        return {server.url: server.system_stats() for server in self.healthy()}

    def free(self, *, models: bool = True, cache: bool = True) -> None:
        """Let all servers that answer free their memory."""
        for server in self.healthy():
            server.free(models=models, cache=cache)

    # ---- choosing --------------------------------------------------------------------------------------------------

    def healthy(self) -> list[Server]:
        """The servers that answer, least loaded first.

        Raises:
            Unreachable: none does.
        """
        found = [server for _, server in self._loads(self.servers, patient=False)]
        if not found:
            raise Unreachable(
                f"None of {self.url} answers.",
                hint="Start one, or give other addresses: comfy.connect(…).",
                unsent=True,
            )
        return found

    def _loads(self, servers: Sequence[Server], *, patient: bool = True) -> list[tuple[int, Server]]:
        loads = []
        for server in servers:
            if patient and time.monotonic() - self._down.get(server.url, -1e9) < RETRY_DOWN:
                continue
            try:
                loads.append((server.load(), server))
                self._down.pop(server.url, None)
            except ServiceError:
                self._down[server.url] = time.monotonic()
        return sorted(loads, key=lambda pair: (pair[0], self._given.get(pair[1].url, 0)))

    def _able(self, workflow: Workflow) -> list[Server]:
        """Servers that have the nodes and models. Servers that are down now count as able when none is up that is not."""
        able: list[Server] = []
        best: Report | None = None
        for server in self.healthy():
            found = tuple(
                p for p in problems(workflow.graph_copy(), server.object_info(), server) if p.level == "error"
            )
            if not any(p.kind in UNFIT for p in found):
                able.append(server)
            elif best is None or len(found) < len(best.problems):
                best = Report(server.url, found)
        if not able:
            assert best is not None
            best.raise_for_errors()
        return able

    def mark_down(self, server: Server) -> None:
        """Leave a server out for a while."""
        self._down[server.url] = time.monotonic()

    # ---- sending ---------------------------------------------------------------------------------------------------

    def enqueue(self, job: PoolJob) -> None:
        """Keep a job until a server has room."""
        with self._lock:
            self._waiting.append(job)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._dispatch, name="aipipe-comfy-pool", daemon=True)
                self._thread.start()
            self._lock.notify_all()

    def withdraw(self, job: PoolJob) -> bool:
        """Take a waiting job out; False when a server has it already."""
        with self._lock:
            if job in self._waiting:
                self._waiting.remove(job)
                return True
            return False

    def send(self, job: PoolJob) -> bool:
        """Send a job to the least loaded able server that has room; False when none has.

        Raises:
            Rejected, Partial: the server refused the graph.
        """
        with self._sending:
            for load, server in self._loads(job.able):
                if load >= self.depth:
                    return False
                try:
                    self._given[server.url] = self._given.get(server.url, 0) + 1
                    job.sent(server.submit(job.workflow, job_id=job.job_id, limits=job.limits, **job.options))
                    return True
                except Unreachable as error:
                    if not getattr(error, "unsent", False):
                        raise
                    self.mark_down(server)
            return False

    def _dispatch(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._lock.wait(5)
                if not self._waiting or self._closed:
                    self._thread = None
                    return
                job = self._waiting[0]
            try:
                done = self.send(job)
            except (AipipeError, OSError) as error:
                self.withdraw(job)
                job.fail(error if isinstance(error, AipipeError) else ServiceError(str(error)))
                continue
            if done:
                self.withdraw(job)
                continue
            with self._lock:
                if len(self._waiting) > 1:  # others may fit where the first one does not
                    self._waiting.append(self._waiting.pop(0))
                self._lock.wait(0.05)

"""Where cases run: worker processes of this machine, or an executor of somebody else."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from typing import Any

from aipipe.batch.ledger import WORKER_LOST
from aipipe.batch.scheduling import Schedule
from aipipe.batch.storage import Storage, do_away, packed, place_of
from aipipe.errors import AipipeError, RecordingError

WORKERS_LOG = "workers.log"
"""What workers say on stderr: warnings of libraries, and why one died."""
STOPPED = "Stopped"
"""Cause of a case that ended because its batch did; it does not count as a failure."""


class ExecutorLost(AipipeError):
    """The executor that was given takes no more work."""


class WorkerProcess:
    """One worker, started when it is needed and again when it was lost."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def do(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """Give it a task and wait for the answer; a lost worker is an answer too."""
        process = self._alive()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if line:
                answer: dict[str, Any] = json.loads(line)
                return answer
        except (OSError, ValueError):
            pass
        self.stop()
        return {"state": "interrupted", "message": "The worker process was lost.", "cause": WORKER_LOST, "run_ids": []}

    def _alive(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "aipipe.batch.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                    text=True, encoding="utf-8",
                )  # fmt: skip
        return self._process

    def stop(self) -> None:
        """Close the pipe; the worker ends, whatever it does."""
        if self._process is None:
            return
        process, self._process = self._process, None
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Threads:
    """Threads that say when the last one has ended.

    Not by `Thread.join`: interrupted by Ctrl-C it takes a running thread for a stopped one (Python 3.11), and the batch would
    leave while cases still run.
    """

    def __init__(self, targets: list[Callable[[], None]]) -> None:
        self._left = len(targets)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(target,), daemon=True, name=f"aipipe-batch-{n}")
            for n, target in enumerate(targets)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait(self, seconds: float) -> bool:
        return self._over.wait(seconds)

    def _run(self, target: Callable[[], None]) -> None:
        try:
            target()
        finally:
            with self._lock:
                self._left -= 1
                if self._left == 0:
                    self._over.set()


class LocalPool:
    """Threads of this process, each with a worker process of its own."""

    def __init__(self, schedule: Schedule, workers: int) -> None:
        self._schedule = schedule
        log = schedule.place.folder / WORKERS_LOG
        self._workers = [WorkerProcess(log) for _ in range(max(1, workers))]
        self.executor = None
        self._threads = _Threads([functools.partial(self._serve, worker) for worker in self._workers])
        self.errors: list[BaseException] = []

    def start(self) -> None:
        """Begin."""
        self._threads.start()

    def wait(self, seconds: float) -> bool:
        """Wait a while; True when all work is done."""
        return self._threads.wait(seconds)

    def stop(self) -> None:
        """Stop now: workers end in the middle of their cases."""
        self._schedule.stopped.set()
        self._schedule.draining.set()
        for worker in self._workers:
            worker.stop()

    def _serve(self, worker: WorkerProcess) -> None:
        try:
            while (taken := self._schedule.take()) is not None:
                answer = worker.do(self._schedule.task(taken))
                if self._schedule.stopped.is_set() and answer.get("cause") == WORKER_LOST:
                    answer = {**answer, "message": "The batch was stopped.", "cause": STOPPED}
                pause = self._schedule.report(taken, answer)
                self._schedule.draining.wait(pause)
        except BaseException as error:  # noqa: BLE001  reported by the main thread
            self.errors.append(error)
            self._schedule.draining.set()
        finally:
            worker.stop()


class ExecutorPool:
    """Cases on an executor of somebody else: concurrent.futures, loky, dask's client. No more are given than asked for."""

    def __init__(self, schedule: Schedule, executor: Executor | Any, width: int) -> None:
        self._schedule = schedule
        self._executor = executor
        self.executor = None if isinstance(executor, Executor) else executor
        self._futures: set[Future[dict[str, Any]] | Any] = set()
        self._threads = _Threads([self._serve] * max(1, width))
        self.errors: list[BaseException] = []

    def start(self) -> None:
        """Begin."""
        self._threads.start()

    def wait(self, seconds: float) -> bool:
        """Wait a while; True when all work is done."""
        return self._threads.wait(seconds)

    def stop(self) -> None:
        """Give out no more, and take back what has not begun; what runs elsewhere cannot be stopped from here."""
        self._schedule.stopped.set()
        self._schedule.draining.set()
        for future in list(self._futures):
            future.cancel()

    def _serve(self) -> None:
        try:
            while (taken := self._schedule.take()) is not None:
                answer = self._do(self._schedule.task(taken))
                self._schedule.draining.wait(self._schedule.report(taken, answer))
        except BaseException as error:  # noqa: BLE001  reported by the main thread
            self.errors.append(error)
            self._schedule.draining.set()

    def _do(self, task: Mapping[str, Any]) -> dict[str, Any]:
        from aipipe.batch.work import do

        storage = self._schedule.options.storage
        work: tuple[Any, ...] = (do_away, packed(task), storage) if storage else (do, task)
        # dask: a case is no pure function, and how often it is tried is the ledger's affair
        more = {"pure": False, "retries": 0} if hasattr(self._executor, "scheduler_info") else {}
        future = None
        try:
            future = self._executor.submit(*work, **more)
            self._futures.add(future)
            answer: dict[str, Any] = future.result()
            if storage:
                place = self._schedule.place
                Storage(storage).fetch(place_of(task), place.runs, place.folder / "notebooks")
            return answer
        except BrokenExecutor as error:
            self.errors.append(
                ExecutorLost(
                    f"The executor broke: {error}",
                    hint="One lost process breaks a pool of concurrent.futures. Run the same plan again; cases that run in"
                    " the notebook's own kernel, or on dask, do not take their neighbours with them.",
                )
            )
            self._schedule.draining.set()
            return _lost(error, STOPPED)
        except RecordingError:
            raise  # the store of this machine is full or broken: no case could be kept
        except BaseException as error:  # noqa: BLE001  a lost worker of a cluster raises its library's own types
            return _lost(error, STOPPED if self._schedule.stopped.is_set() else WORKER_LOST)
        finally:
            self._futures.discard(future)


def _lost(error: BaseException, cause: str) -> dict[str, Any]:
    message = f"{type(error).__name__}: {error}"[:500]
    return {"state": "interrupted", "message": message, "cause": cause, "run_ids": []}

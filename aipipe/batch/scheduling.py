"""Which case runs where: workers that pull, bounded attempts, pauses for what fails in a row, drain and stop."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aipipe.batch.ledger import DONE, Ledger
from aipipe.batch.plan import Case, Plan

SAME_FAILURES = 20
"""So many failures of one cause in a row pause a config."""
TRANSIENT = ("Unavailable", "Unreachable", "Overloaded", "ServiceTimeout", "Lost", "WorkerLost", "DeadKernelError")
LONGEST_BACKOFF = 30.0


@dataclass
class Schedule:
    """What the workers of one process share.

    Attributes:
        plan: The plan.
        ledger: Where states go.
        folder: Folder of the batch.
        runs: Folder of the store.
        project: Folder of the project.
        notebook: Path of the case notebook, None for straight runs.
        parameters: Parameters the notebook has.
        max_attempts: Starts of one case in all.
        fail_fast: The first failure stops the batch.
        keep_notebooks: all, failed or none.
        timeout: Seconds one cell may take; None for no limit.
        engine: "aipipe" (warm kernels) or "papermill".
        on_change: Called after every change, from the worker threads.
    """

    plan: Plan
    ledger: Ledger
    folder: Path
    runs: Path
    project: Path | None
    notebook: Path | None = None
    parameters: list[str] = field(default_factory=list)
    max_attempts: int = 3
    fail_fast: bool = False
    keep_notebooks: str = "all"
    timeout: int | None = None
    engine: str = "aipipe"
    on_change: Callable[[], None] = lambda: None
    draining: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)
    paused: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _todo: list[tuple[Case, int]] = field(default_factory=list)
    _row: dict[str, tuple[str, int]] = field(default_factory=dict)
    _failed_here: Counter[str] = field(default_factory=Counter)

    def prepare(self, *, again: bool) -> int:
        """Decide what is to do: everything that is not done; failed cases with attempts left (`again`: with new ones)."""
        states = self.ledger.states(self.plan.cases)
        self._todo = []
        for case in self.plan.cases:
            state = states[case.case_key]
            if state.state in (*DONE, "excluded", "running"):
                continue
            if state.attempts < self.max_attempts or again:
                self._todo.append((case, state.attempts + 1))
        return len(self._todo)

    def take(self) -> tuple[Case, int] | None:
        """The next case for a worker of this process, claimed; None when there is nothing left."""
        while not self.draining.is_set():
            with self._lock:
                if not self._todo:
                    return None
                case, attempt = self._todo.pop(0)
            if case.config in self.paused:
                continue
            if self.ledger.claim(case, attempt):
                self.ledger.add(case, "running", attempt)
                self.on_change()
                return case, attempt
        return None

    def task(self, case: Case, attempt: int) -> dict[str, Any]:
        """What a worker needs to know."""
        target = self.folder / "notebooks" / f"{case.case_key}.{attempt}.ipynb"
        return {
            "case": asdict(case), "runs": str(self.runs), "project": str(self.project or ""), "batch_id": self.plan.batch_id,
            "attempt": attempt, "options": dict(self.plan.options), "notebook": str(self.notebook or ""),
            "parameters": self.parameters, "target": str(target), "keep_notebooks": self.keep_notebooks, "timeout": self.timeout,
            "engine": self.engine,
        }  # fmt: skip

    def report(self, case: Case, attempt: int, answer: Mapping[str, Any]) -> float:
        """Record how a case ended; returns seconds to wait before the next one."""
        state = str(answer.get("state"))
        facts = {k: answer.get(k) for k in ("run_ids", "message", "cause", "seconds", "notebook")}
        self.ledger.add(case, state, attempt, **facts)
        pause = self._after(case, attempt, state, str(answer.get("cause") or ""))
        self.on_change()
        return pause

    def _after(self, case: Case, attempt: int, state: str, cause: str) -> float:
        with self._lock:
            if state in DONE:
                self._row.pop(case.config, None)
                self._failed_here.clear()
                return 0.0
            if self.fail_fast:
                self.draining.set()
            before, count = self._row.get(case.config, ("", 0))
            count = count + 1 if before == cause else 1
            self._row[case.config] = (cause, count)
            if count >= SAME_FAILURES:
                self.paused[case.config] = f"{count} failures in a row: {cause}"
            if cause in TRANSIENT and attempt < self.max_attempts:
                self._todo.append((case, attempt + 1))
                self._failed_here[cause] += 1
                return float(min(LONGEST_BACKOFF, 0.25 * 2 ** self._failed_here[cause]))
        return 0.0


class WorkerProcess:
    """One worker, started when it is needed and again when it was lost."""

    def __init__(self) -> None:
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
        return {"state": "interrupted", "message": "The worker process was lost.", "cause": "WorkerLost", "run_ids": []}

    def _alive(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "aipipe.batch.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
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
        self._workers = [WorkerProcess() for _ in range(max(1, workers))]
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
                answer = worker.do(self._schedule.task(*taken))
                if self._schedule.stopped.is_set() and answer.get("cause") == "WorkerLost":
                    answer = {**answer, "message": "The batch was stopped."}
                pause = self._schedule.report(*taken, answer)
                self._schedule.draining.wait(pause)
        except BaseException as error:  # noqa: BLE001  reported by the main thread
            self.errors.append(error)
            self._schedule.draining.set()
        finally:
            worker.stop()


class ExecutorPool:
    """Cases on an executor of somebody else: concurrent.futures, joblib's, dask's client. No more are given than asked for."""

    def __init__(self, schedule: Schedule, executor: Executor | Any, width: int) -> None:
        self._schedule = schedule
        self._executor = executor
        self._threads = _Threads([self._serve] * max(1, width))
        self.errors: list[BaseException] = []

    def start(self) -> None:
        """Begin."""
        self._threads.start()

    def wait(self, seconds: float) -> bool:
        """Wait a while; True when all work is done."""
        return self._threads.wait(seconds)

    def stop(self) -> None:
        """Give out no more."""
        self._schedule.stopped.set()
        self._schedule.draining.set()

    def _serve(self) -> None:
        from aipipe.batch.work import do

        try:
            while (taken := self._schedule.take()) is not None:
                task = self._schedule.task(*taken)
                more = {"pure": False, "retries": 0} if hasattr(self._executor, "scheduler_info") else {}
                try:
                    answer = self._executor.submit(do, task, **more).result()
                except Exception as error:  # noqa: BLE001  a lost worker of a cluster raises its library's own types
                    answer = {
                        "state": "interrupted",
                        "message": f"{type(error).__name__}: {error}"[:500],
                        "cause": "WorkerLost",
                        "run_ids": [],
                    }
                self._schedule.draining.wait(self._schedule.report(*taken, answer))
        except BaseException as error:  # noqa: BLE001
            self.errors.append(error)
            self._schedule.draining.set()

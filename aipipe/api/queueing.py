"""A bounded, fair queue before a small pool: each person's next run in turn, however many one person sends.

The threads of the server live here, one per worker; a run's own thread is `aipipe.background`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from aipipe.api.refusals import QueueFull, Stopping

log = logging.getLogger(__name__)
FIRST_GUESS_SECONDS = 30.0
REMEMBERED = 20


@dataclass
class Job:
    """One request to run something.

    Attributes:
        run_id: Id of the run, chosen before it has a folder.
        person: Whose turn it takes.
        work: Does it; called in a worker's thread.
        give_up: Records that it was cancelled before its turn.
        state: "queued", "running", "ended".
        error: What `work` raised.
        stop: Cancels the work while it runs; set by the work.
    """

    run_id: str
    person: str
    work: Callable[[Job], None]
    give_up: Callable[[Job], None]
    state: str = "queued"
    error: BaseException | None = None
    stop: Callable[[], None] | None = None
    cancelled: bool = False
    began: float = 0.0
    _ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _callbacks: list[Callable[[], None]] = field(default_factory=list)

    def cancel(self) -> None:
        """Ask running work to stop."""
        self.cancelled = True
        if self.stop is not None:
            self.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; False when it has not come in time."""
        return self._ended.wait(timeout)

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Call `callback` at the end, from the worker's thread; at once if it has ended."""
        with self._lock:
            if not self._ended.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def end(self) -> None:
        """Say that it has ended; only the queue does."""
        with self._lock:
            self.state = "ended"
            self._ended.set()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()


class FairQueue:
    """Runs jobs on a few workers, the persons taking turns.

    Args:
        workers: Jobs at the same time.
        size: Jobs that may wait.
        per_person: Jobs that one person may have waiting; None: as many as there is room.
    """

    def __init__(self, workers: int, size: int, per_person: int | None = None) -> None:
        self.workers, self.size, self.per_person = max(1, workers), max(0, size), per_person
        self._condition = threading.Condition()
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()
        self._running: dict[str, Job] = {}
        self._ended: OrderedDict[str, Job] = OrderedDict()
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)
        self._threads: list[threading.Thread] = []
        self._stopping = False

    def submit(self, job: Job) -> None:
        """Put a job in line.

        Raises:
            QueueFull: no room, or the person has too many waiting; tells place and minutes.
            Stopping: the server is being stopped.
        """
        with self._condition:
            if self._stopping:
                raise Stopping("The server is being stopped.", hint="Try again in a minute.", retry_after=60.0)
            waiting = self._count()
            free = self.workers - len(self._running) - waiting
            mine = len(self._waiting.get(job.person, ()))
            if free <= 0 and (
                waiting >= self.size or (self.per_person is not None and job.person and mine >= self.per_person)
            ):
                raise self._full(waiting, mine)
            self._waiting.setdefault(job.person, deque()).append(job)
            self._start_threads()
            self._condition.notify()

    def _full(self, waiting: int, mine: int) -> QueueFull:
        minutes = self._minutes(waiting + 1)
        if waiting < self.size:
            message = f"You have {mine} runs waiting; more are taken when one of them begins."
        else:
            message = f"The queue is full: {waiting} runs wait."
        return QueueFull(
            message,
            hint=f"Try again in about {max(1, round(minutes))} minute(s).",
            place=waiting + 1,
            minutes=minutes,
            retry_after=max(5.0, self._mean() / self.workers),
        )

    def find(self, run_id: str) -> Job | None:
        """The job of a run: waiting, running, or ended a short time ago."""
        with self._condition:
            waiting = (j for jobs in self._waiting.values() for j in jobs if j.run_id == run_id)
            return self._running.get(run_id) or next(waiting, None) or self._ended.get(run_id)

    def place(self, run_id: str) -> tuple[int, float]:
        """Place in line from 1 (0 when it does not wait) and estimated minutes until it begins."""
        with self._condition:
            for place, job in enumerate(self._order(), start=1):
                if job.run_id == run_id:
                    return place, self._minutes(place)
        return 0, 0.0

    def waiting(self) -> list[tuple[str, int, float]]:
        """Runs that wait, in the order of their turns: (run id, place from 1, estimated minutes)."""
        with self._condition:
            return [(job.run_id, place, self._minutes(place)) for place, job in enumerate(self._order(), start=1)]

    def counts(self) -> dict[str, float]:
        """How many run and wait, of how many, and the wait of one more in minutes."""
        with self._condition:
            waiting = self._count()
            busy = len(self._running) >= self.workers or waiting
            return {
                "running": len(self._running),
                "waiting": waiting,
                "workers": self.workers,
                "size": self.size,
                "minutes": self._minutes(waiting + 1) if busy else 0.0,
            }

    def cancel(self, run_id: str) -> bool:
        """Cancel a waiting or running job; False when there is none."""
        with self._condition:
            job = self._take(run_id)
            running = self._running.get(run_id)
        if job is not None:
            self._give_up(job)
            return True
        if running is not None:
            running.cancel()
            return True
        return False

    def stop(self, drain_seconds: float = 0.0) -> None:
        """Take no more; waiting jobs are recorded as cancelled; running ones get `drain_seconds`, then are cancelled."""
        with self._condition:
            self._stopping = True
            waiting = list(self._order())
            self._waiting.clear()
            running = list(self._running.values())
            self._condition.notify_all()
        for job in waiting:
            self._give_up(job)
        end = time.monotonic() + drain_seconds
        for job in running:
            job.wait(max(0.0, end - time.monotonic()))
        for job in running:
            if job.state == "running":
                job.cancel()
        end = time.monotonic() + 10.0
        for job in running:
            job.wait(max(0.0, end - time.monotonic()))

    def _give_up(self, job: Job) -> None:
        job.cancelled = True
        try:
            job.give_up(job)
        except Exception as error:
            log.exception("run %s could not be recorded as cancelled", job.run_id)
            job.error = error
        with self._condition:
            self._remember(job)
        job.end()

    def _take(self, run_id: str) -> Job | None:
        for person, jobs in self._waiting.items():
            for job in jobs:
                if job.run_id == run_id:
                    jobs.remove(job)
                    if not jobs:
                        del self._waiting[person]
                    return job
        return None

    def _order(self) -> list[Job]:
        """Waiting jobs in the order of their turns."""
        lines = [deque(jobs) for jobs in self._waiting.values()]
        order: list[Job] = []
        while lines:
            order += [line.popleft() for line in lines]
            lines = [line for line in lines if line]
        return order

    def _count(self) -> int:
        return sum(len(jobs) for jobs in self._waiting.values())

    def _mean(self) -> float:
        return sum(self._seconds) / len(self._seconds) if self._seconds else FIRST_GUESS_SECONDS

    def _minutes(self, place: int) -> float:
        """Estimated wait: so many rounds of the mean duration of late runs, less what the running ones have done."""
        mean = self._mean()
        done = max((time.monotonic() - job.began for job in self._running.values()), default=0.0)
        rounds = (place + self.workers - 1) // self.workers
        return round(max(0.0, rounds * mean - min(done, mean)) / 60, 1)

    def _start_threads(self) -> None:
        if len(self._threads) < self.workers:
            name = f"aipipe-api-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._serve, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self) -> None:
        while True:
            with self._condition:
                while not self._waiting and not self._stopping:
                    self._condition.wait()
                if not self._waiting:
                    return
                person, jobs = next(iter(self._waiting.items()))
                job = jobs.popleft()
                del self._waiting[person]
                if jobs:
                    self._waiting[person] = jobs  # to the end: the others come first
                job.state, job.began = "running", time.monotonic()
                self._running[job.run_id] = job
            try:
                job.work(job)
            except BaseException as error:  # noqa: BLE001  handed to whoever asked for the run
                job.error = error
            with self._condition:
                del self._running[job.run_id]
                self._seconds.append(time.monotonic() - job.began)
                self._remember(job)
            job.end()

    def _remember(self, job: Job) -> None:
        self._ended[job.run_id] = job
        while len(self._ended) > 200:
            self._ended.popitem(last=False)

"""Finishing a run that was interrupted, has failed or was cancelled, in its turn like any other."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from aipipe.api import judging
from aipipe.api.execution import Accepted, Executor, see_through
from aipipe.api.queueing import Job
from aipipe.api.repeating import edited_context
from aipipe.errors import RunFinished, RunLocked
from aipipe.lab import resuming
from aipipe.lab.resuming import RESUMABLE

if TYPE_CHECKING:
    from aipipe.definitions import Plan
    from aipipe.lab import Lab
    from aipipe.store import Run


class Resumptions:
    """Puts runs in line again.

    Args:
        executor: Holds the lab, the rules and the queue.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._waiting: set[str] = set()
        self._lock = threading.Lock()

    def accept(self, run: Run, status: str) -> Accepted:
        """Put a run in line.

        Args:
            run: The run.
            status: Its status now.

        Raises:
            RunLocked: it runs, or waits to be resumed.
            RunFinished: it is completed or blocked.
            NotAllowed: its plan is laxer than the server allows.
            QueueFull: no room now.
        """
        run_id, executor = run.folder.name, self._executor
        if status in ("running", "queued"):
            raise RunLocked(f"The run is {status}.", hint="Follow it: GET /api/pipeline/{run}/events.")
        if status not in RESUMABLE:
            raise RunFinished(f"The run is {status}; there is nothing to resume.", hint="Run it again instead.")
        plan = resuming.recorded_plan(run)
        executor.rules.allowed_level(plan.safety)
        executor.rules.allowed_mode(plan.mode)
        executor.check_generators(plan)

        def work(job: Job) -> None:
            lab = executor.lab
            try:
                if not all(
                    judging.passes_again(lab, plan, name, text, run_id) for name, text in _written(run, plan, lab)
                ):
                    return
                live = lab.resume_live(run_id, [executor.transients.observer(run_id)])
            finally:
                self._waiting.discard(run_id)
            see_through(job, live)

        job = Job(run_id, run.record.user_id, work, lambda job: self._waiting.discard(run_id))
        with self._lock:  # of two requests at once the second is refused
            if run_id in self._waiting:
                raise RunLocked("The run waits to be resumed.", hint="Follow it: GET /api/pipeline/{run}/events.")
            self._waiting.add(run_id)
        try:
            executor.put_in_line(job, plan, run.record.user_id)
        except BaseException:
            self._waiting.discard(run_id)
            raise
        return Accepted(job, plan)

    def waits(self, run_id: str) -> bool:
        """True from the request until the run is being written again."""
        return run_id in self._waiting


def _written(run: Run, plan: Plan, lab: Lab) -> list[tuple[str, str]]:
    """What a person wrote in place of the config or the model, as far as no stage of the run judges it."""
    context = edited_context(run, lab.catalog)
    texts = [] if context is None else [("Context", context)]
    return texts if plan.edit is None or plan.outputs else [*texts, ("Prompt", plan.edit)]

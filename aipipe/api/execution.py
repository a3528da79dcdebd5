"""From a request to a job in the queue, and from its run to an answer."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aipipe import files
from aipipe.api import judging
from aipipe.api.people import Person
from aipipe.api.queueing import FairQueue, Job
from aipipe.api.reading import RunReader
from aipipe.api.refusals import NotAllowed, no_such_run
from aipipe.api.requests import ExecuteRequest
from aipipe.api.rules import Rules
from aipipe.api.transient import Transients
from aipipe.errors import InvalidInput
from aipipe.lab.choosing import MODE_OF_RUNNER
from aipipe.records import Reason

if TYPE_CHECKING:
    from aipipe.definitions import Plan
    from aipipe.lab import Lab
    from aipipe.lab.live import LiveRun


@dataclass(frozen=True)
class Accepted:
    """A request that was checked and stands in line.

    Attributes:
        job: Its job.
        plan: What it will do.
    """

    job: Job
    plan: Plan


@dataclass(frozen=True)
class _Checked:
    """A request that breaks no rule."""

    config: Any
    options: dict[str, Any]
    plan: Plan


def see_through(job: Job, live: LiveRun) -> None:
    """Wait for a run as the work of its job, and stop it when the job is cancelled."""
    job.stop = live.cancel
    if job.cancelled:
        live.cancel()
    live.wait()


class Executor:
    """Checks requests against the server's rules and puts them in line.

    Args:
        lab: Runs them.
        reader: Finds parents.
        rules: What the server allows.
        queue: Where they wait.
    """

    def __init__(self, lab: Lab, reader: RunReader, rules: Rules, queue: FairQueue) -> None:
        self.lab, self.reader, self.rules, self.queue = lab, reader, rules, queue
        self.transients = Transients()
        self._plans: dict[str, tuple[Plan, str]] = {}

    def accept(self, request: ExecuteRequest, person: Person) -> Accepted:
        """Check everything that can be checked without a model, then put it in line.

        Raises:
            UsageError: the request is wrong or not allowed; nothing was recorded.
            QueueFull: no room now.
        """
        checked = self._checked(request, person)
        plan = checked.plan
        recording = self._recording(request, person)
        run_id = files.check_run_id(request.run_id) if request.run_id else files.uuid7()
        if self._taken(run_id):
            raise NotAllowed(f"The run id {run_id} is taken.", hint="Leave run_id out to have one made.")

        def work(job: Job) -> None:
            if not all(
                judging.passes(self.lab, plan, name, text, run_id, recording)
                for name, text in judging.edited(request, plan)
            ):
                return
            observers = [self.transients.observer(run_id)]
            options = {**checked.options, **recording, "run_id": run_id, "observers": observers}
            see_through(job, self.lab.start(checked.config, *request.texts, **options))

        def give_up(job: Job) -> None:
            reason = Reason(stage=0, type="cancelled", message="The run was cancelled before it began.")
            judging.record_refused(self.lab, plan, run_id, recording, "cancelled", reason)

        # Without a lock everybody is the operator; who the front end says it is for is then a person of its own.
        who = person.user_id or request.participant or request.user_id or request.session or ""
        job = Job(run_id, who, work, give_up)
        self.put_in_line(job, plan, person.user_id)
        return Accepted(job, plan)

    def put_in_line(self, job: Job, plan: Plan, user: str) -> None:
        """Put a job in line and tell of its run until it has ended.

        Raises:
            QueueFull: no room now.
        """
        self._plans[job.run_id] = (plan, user)
        job.when_ended(lambda: self._forget(job.run_id))
        try:
            self.queue.submit(job)
        except BaseException:
            self._plans.pop(job.run_id, None)
            raise

    def plan(self, request: ExecuteRequest, person: Person) -> Plan:
        """What a request would do; nothing is recorded.

        Raises:
            UsageError: the request is wrong or not allowed.
        """
        return self._checked(request, person).plan

    def _checked(self, request: ExecuteRequest, person: Person) -> _Checked:
        if request.prompt is not None and request.parent is None:
            raise InvalidInput("prompt needs parent.", hint="Send the run whose interception it replaces as parent.")
        options = self._options(request, person)
        config: Any = request.config
        if request.parent is not None:
            parent = self.reader.open(request.parent)
            if not person.is_operator and parent.record.user_id != person.user_id:
                raise no_such_run(request.parent)
            options |= {"parent": parent, "prompt": request.prompt}
        if request.context is not None:
            known = self.lab.catalog.config(request.config)
            config = known.model_copy(update={"context": request.context})
        plan = self.lab.plan(config, *request.texts, **options)
        self.check_generators(plan)
        return _Checked(config, options, plan)

    def _taken(self, run_id: str) -> bool:
        return run_id in self._plans or (self.lab.store.path / run_id).exists()

    def waiting(self, run_id: str, person: Person) -> dict[str, Any] | None:
        """The status of a run that has no folder yet; None when this server knows of none."""
        known = self._plans.get(run_id)
        if known is None or not (person.is_operator or known[1] == person.user_id):
            return None
        plan = known[0]
        place, minutes = self.queue.place(run_id)
        return {
            "run_id": run_id,
            "status": "queued",
            "config_name": plan.config.name,
            "execution_mode": plan.mode,
            "safety_level": plan.safety,
            "current_state": {"stage": 0, "step": "queued", "progress": f"0/{len(plan.expected_outputs)}"},
            "expected_outputs": list(plan.expected_outputs),
            "completed_outputs": [],
            "next_expected": next(iter(plan.expected_outputs), None),
            "timestamp": None,
            "reason": None,
            "outputs": [],
            "seconds": None,
            "entity_count": 0,
            "entities": [],
            "queue": {"place": place, "minutes": minutes},
        }

    def queued(self, person: Person) -> list[dict[str, Any]]:
        """The runs that wait, in the order of their turns, as far as this person may see them."""
        found = []
        for run_id, place, minutes in self.queue.waiting():
            known = self._plans.get(run_id)
            if known is None or not (person.is_operator or known[1] == person.user_id):
                continue
            plan = known[0]
            found.append({
                "run_id": run_id, "status": "queued", "config_name": plan.config.name, "execution_mode": plan.mode,
                "safety_level": plan.safety, "text": " / ".join(plan.texts)[:240], "place": place, "minutes": minutes,
            })  # fmt: skip
        return found

    def _options(self, request: ExecuteRequest, person: Person) -> dict[str, Any]:
        if request.models and (self.rules.locked or not person.is_operator):
            raise NotAllowed("This server chooses the models.", hint="Leave models out.")
        options: dict[str, Any] = {
            "mode": self.rules.allowed_mode(request.execution_mode),
            "safety": self.rules.allowed_level(request.safety_level),
            "outputs": request.outputs,
            "seed": request.seed,
            "text_seed": request.text_seed,
            "parameters": dict(request.parameters),
            "models": dict(request.models),
            "until": request.until,
            "images": request.decoded_images() or None,
        }
        return {name: value for name, value in options.items() if value is not None}

    def check_generators(self, plan: Plan) -> None:
        """Refuse an output whose generator belongs to a mode that the server does not offer.

        The two that are part of this package cost nobody anything and reach no other machine; they are always allowed.
        """
        settings = self.lab.settings
        for output in plan.outputs:
            runner = settings.runners.get(output.runner)
            kind = runner.kind if runner is not None else output.runner
            mode = MODE_OF_RUNNER.get(kind, "fast")
            urls = [] if runner is None else [*runner.urls, *([runner.url] if runner.url else [])]
            # A generator of somebody's own, or a cloud protocol spoken by a machine of one's own, stays in the house.
            own = mode == "fast" and all(settings.is_local(url) for url in urls)
            if own or mode in self.rules.modes or kind in ("sketch", "placeholder"):
                continue
            raise NotAllowed(
                f"This server does not offer the output {output.config!r}: its generator belongs to the mode {mode!r}.",
                hint=f"Leave outputs out, or use one for {', '.join(self.rules.modes)}.",
            )

    def _recording(self, request: ExecuteRequest, person: Person) -> dict[str, Any]:
        own = None if person.is_operator else person.user_id
        values: dict[str, Any] = {
            "labels": dict(request.labels),
            "study": request.study,
            "participant": own or request.participant,
            "session": request.session,
            "input_id": request.input_id,
            "tags": list(request.tags),
            "user_id": own or request.user_id or "anonymous",
        }
        return {name: value for name, value in values.items() if value}

    def _forget(self, run_id: str) -> None:
        self._plans.pop(run_id, None)
        self.transients.forget(run_id)

    def close(self, drain_seconds: float) -> None:
        """Stop: waiting runs are recorded as cancelled, running ones get some time, then are cancelled too."""
        self.queue.stop(drain_seconds)
        with contextlib.suppress(Exception):
            self.lab.services.close()

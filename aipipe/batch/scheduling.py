"""Which case comes next: in waves, within limits, around servers that are away; bounded attempts, drain and stop."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aipipe import lease
from aipipe.batch.claims import Heartbeat
from aipipe.batch.crowds import Crowds
from aipipe.batch.ledger import DONE, WORKER_LOST, CaseState, Ledger
from aipipe.batch.living import live_folders
from aipipe.batch.needs import Needs
from aipipe.batch.options import Options
from aipipe.batch.outages import Outages
from aipipe.batch.plan import Case, Plan
from aipipe.batch.storage import Storage
from aipipe.batch.work import ORPHANED

SAME_FAILURES = 20
"""So many failures of one cause in a row pause a config."""
OUTAGE = ("Unavailable", "Unreachable", "Overloaded", "ServiceTimeout", "Lost")
LOOK_AFTER = (*OUTAGE, "BadAnswer", "ServiceError", "safety_unchecked")
"""Causes after which the services of the case are looked at: does one of them not answer at all?"""
TRANSIENT = (*OUTAGE, WORKER_LOST, ORPHANED, "DeadKernelError")
LONGEST_BACKOFF = 30.0
LOOK_SECONDS = 0.2


@dataclass
class Item:
    """One thing for a worker to do.

    Attributes:
        case: The case.
        attempt: Number of the attempt.
        phase: "text" for its texts alone, else "".
        held: The run whose texts are done already.
        living: Folder of a run of an earlier attempt that is still being written; the case waits for its end.
    """

    case: Case
    attempt: int
    phase: str = ""
    held: str = ""
    living: Path | None = None


@dataclass
class Wave:
    """Items that may run at the same time; the next wave begins when all have ended."""

    items: list[Item]
    phase: str = ""


@dataclass
class Place:
    """Where a batch lies: its folder, the store, the project, the case notebook and the parameters it has."""

    folder: Path
    runs: Path
    project: Path | None
    notebook: Path | None = None
    parameters: Sequence[str] = ()


class Schedule:
    """What the workers of one process share.

    Args:
        plan: The plan.
        place: Where everything lies.
        options: How it is run.
        needs: What a case needs.
        enter: Called when a wave of another phase begins.
        text_first: Whether texts are made before media, in blocks.
    """

    def __init__(
        self,
        plan: Plan,
        place: Place,
        options: Options,
        *,
        needs: Callable[[Case], Needs] = lambda _: Needs(),
        enter: Callable[[str], None] = lambda _: None,
        text_first: bool = False,
    ) -> None:
        self.plan, self.place, self.options = plan, place, options
        self.ledger = Ledger(place.folder)
        self.draining, self.stopped = threading.Event(), threading.Event()
        self.resting = threading.Event()
        self.heart = Heartbeat()
        self._needs, self._enter, self._text_first = needs, enter, text_first
        self.look: Callable[[str], str] | None = None
        """Whether a service answers: "" or what is wrong; None where nobody can tell."""
        self.crowds = Crowds(options.queue)
        self._lock = threading.RLock()
        self._waves: list[Wave] = []
        self._phase = ""
        self._running = 0
        self._busy: Counter[str] = Counter()
        self._configs: dict[str, str] = {}
        self._outages = Outages(options.patience)
        self._row: dict[str, tuple[str, int]] = {}
        self._failed_here: Counter[str] = Counter()

    @property
    def paused(self) -> dict[str, str]:
        """Config or service → why its cases do not run."""
        with self._lock:
            everything = (
                {"the batch": "paused by a person; `aipipe batch resume` continues"} if self.resting.is_set() else {}
            )
            return {**everything, **self.crowds.notes, **self._outages.notes, **self._configs}

    def prepare(self, *, again: bool = False, cause: str | None = None) -> int:
        """Decide what is to do: everything that is not done; failed cases with attempts left (`again`: with new ones).

        With a cause, only the cases that failed by it.
        """
        states = self.ledger.states(self.plan.cases)
        if self.options.storage:
            self._take_in(states)
            states = self.ledger.states(self.plan.cases)
        living = live_folders(self.place.runs, states)
        self.crowds.watch({name for case in self.plan.cases if not case.excluded for name in self._needs(case).runners})
        items = [
            Item(case, _next_attempt(state), "", state.held, living.get(case.case_key))
            for case in self.plan.cases
            if (state := states[case.case_key]).state not in (*DONE, "excluded", "running")
            and (again or state.failures < self.options.max_attempts)
            and (cause is None or state.cause == cause)
        ]
        self._waves = self._blocks(items) if self._text_first else [Wave(items)]
        return len(items)

    def _take_in(self, states: Mapping[str, CaseState]) -> None:
        """What workers left at the storage after the process that had sent them was gone."""
        storage = Storage(self.options.storage)
        for case in self.plan.cases:
            state = states[case.case_key]
            place = f"{self.plan.batch_id}/{case.case_key}.{state.attempts}"
            if state.state == "interrupted" and (answer := storage.answer(place)) is not None:
                storage.fetch(place, self.place.runs, self.place.folder / "notebooks")
                facts = {k: answer.get(k) for k in ("run_ids", "message", "cause", "seconds", "notebook")}
                self.ledger.add(case, str(answer.get("state")), state.attempts, **facts)

    def _blocks(self, items: list[Item]) -> list[Wave]:
        """For each block of cases a wave of texts and a wave of media; the media wave fills as texts end."""
        waves: list[Wave] = []
        for start in range(0, len(items), self.options.block):
            block = items[start : start + self.options.block]
            texts = [Item(item.case, item.attempt, "text", "", item.living) for item in block if not item.held]
            waves += [Wave(texts, "text"), Wave([item for item in block if item.held], "media")]
        return [wave for wave in waves if wave.items or wave.phase == "media"]

    def take(self) -> Item | None:
        """The next item for a worker of this process, claimed; None when there is nothing left. Waits where it must."""
        while not self.draining.is_set():
            self._look_around()
            with self._lock:
                self._advance()
                item = None if self.resting.is_set() else self._pick()
                if item is None and not self._something_left():
                    return None
                if item is not None:
                    self._running += 1
                    self._busy.update(self._needs(item.case).services)
            if item is None:
                self.draining.wait(LOOK_SECONDS)
            elif self.ledger.claim(item.case, item.attempt, item.phase):
                self.heart.hold(self.ledger.claim_of(item.case.case_key, item.attempt, item.phase))
                self.ledger.add(item.case, "running", item.attempt, phase=item.phase, held=item.held)
                return item
            else:
                self._leave(item)  # another process has it
        return None

    def _leave(self, item: Item) -> None:
        with self._lock:
            self._running -= 1
            self._busy.subtract(self._needs(item.case).services)

    def _something_left(self) -> bool:
        """Whether a worker should stay: items that wait for a server or a limit, or a wave to come."""
        return bool(self._waves) and (bool(self._waves[0].items) or len(self._waves) > 1)

    def _advance(self) -> None:
        while len(self._waves) > 1 and not self._waves[0].items and self._running == 0:
            self._waves.pop(0)
        wave = self._waves[0] if self._waves else None
        if wave is not None and wave.items and wave.phase != self._phase and self._running == 0:
            self._phase = wave.phase
            if wave.phase == "media":
                wave.items.sort(key=lambda item: self._needs(item.case).media)
            self._enter(wave.phase)

    def _pick(self) -> Item | None:
        items = self._waves[0].items if self._waves else []
        for item in list(items):
            services = self._needs(item.case).services
            if item.case.config in self._configs or self._outages.lost(services):
                items.remove(item)  # it stays waiting; the next run of the batch takes it up again
            elif item.living is not None and _is_written(item.living):
                continue
            elif not self._outages.away(services) and self._within_limits(services) and not self.crowds.full(services):
                items.remove(item)
                return item
        return None

    def _within_limits(self, services: frozenset[str]) -> bool:
        return all(self._busy[name] < limit for name, limit in self.options.limits.items() if name in services)

    def _look_around(self) -> None:
        """Look whether a server that was away is back, and how many wait at a queue; one worker at a time for each."""
        self.crowds.look()
        with self._lock:
            name = self._outages.due()
        if name and self.look is not None:
            why = self.look(name)
            with self._lock:
                self._outages.looked(name, why)

    def task(self, item: Item) -> dict[str, Any]:
        """What a worker needs to know."""
        place, case = self.place, item.case
        target = place.folder / "notebooks" / f"{case.case_key}.{item.attempt}.ipynb"
        media_only = self._text_first and item.phase != "text"
        return {
            "case": asdict(case), "runs": str(place.runs), "project": str(place.project or ""), "batch_id": self.plan.batch_id,
            "folder": str(place.folder), "attempt": item.attempt, "options": dict(self.plan.options), "notebook": str(place.notebook or ""),
            "parameters": list(place.parameters), "target": str(target), "keep_notebooks": self.options.keep_notebooks,
            "timeout": self.options.timeout, "engine": self.options.engine, "phase": item.phase, "held": item.held,
            "unload": list(self._needs(case).unloadable) if media_only else [],
        }  # fmt: skip

    def report(self, item: Item, answer: Mapping[str, Any]) -> float:
        """Record how an item ended; returns seconds to wait before the next one."""
        state, cause = str(answer.get("state")), str(answer.get("cause") or "")
        services = self._needs(item.case).services
        away = self._away(services) if cause in LOOK_AFTER else {}
        facts = {k: answer.get(k) for k in ("run_ids", "message", "cause", "seconds", "notebook", "held")}
        if not answer.get("held") and item.held and state not in DONE:
            facts["held"] = item.held  # its texts stay done, whatever happened to its media
        if not answer.get("recorded"):
            self.ledger.add(item.case, state, item.attempt, outage=True if away else None, **facts)
        self.heart.let_go(self.ledger.claim_of(item.case.case_key, item.attempt, item.phase))
        with self._lock:
            self._leave(item)
            if self.stopped.is_set():
                return 0.0
            if answer.get("held"):
                self._hold(item, str(answer["held"]))
                return 0.0
            for name, why in away.items():
                self._outages.begin(name, why)
            return self._after(item, state, cause, counts=not away)

    def _away(self, services: frozenset[str]) -> dict[str, str]:
        """The services among these that do not answer, and why."""
        if self.look is None or not self.options.patience:
            return {}
        return {name: why for name in sorted(services) if (why := self.look(name))}

    def _hold(self, item: Item, run_id: str) -> None:
        wave = next((w for w in self._waves if w.phase == "media"), None)
        if wave is not None:
            wave.items.append(Item(item.case, item.attempt, "", run_id))

    def _after(self, item: Item, state: str, cause: str, *, counts: bool) -> float:
        config = item.case.config
        if state in DONE:
            self._row.pop(config, None)
            self._failed_here.clear()
            return 0.0
        if not counts:
            self._waves[0].items.insert(0, Item(item.case, item.attempt + 1, item.phase, item.held))
            return 0.0
        if self.options.fail_fast:
            self.draining.set()
        before, count = self._row.get(config, ("", 0))
        count = count + 1 if before == cause else 1
        self._row[config] = (cause, count)
        if count >= SAME_FAILURES:
            self._configs[config] = f"{count} failures in a row: {cause}"
        if cause in TRANSIENT and item.attempt < self.options.max_attempts:
            self._waves[0].items.append(Item(item.case, item.attempt + 1, item.phase, item.held))
            self._failed_here[cause] += 1
            return float(min(LONGEST_BACKOFF, 0.25 * 2 ** self._failed_here[cause]))
        return 0.0


def _next_attempt(state: CaseState) -> int:
    """A held run is finished by the attempt that began it."""
    return state.attempts if state.held and state.state == "waiting" else state.attempts + 1


def _is_written(folder: Path) -> bool:
    writer = lease.find(folder)
    return writer is not None and writer.alive

"""What became of each case: append-only lines, folded into states that always add up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aipipe import files, timestamps
from aipipe.annotations import read_lines
from aipipe.batch import claims
from aipipe.batch.plan import Case

CASES = "cases.jsonl"
CLAIMS = "claims"
DONE = ("completed", "blocked")
WORKER_LOST = "WorkerLost"
STATES = ("completed", "blocked", "failed", "interrupted", "running", "waiting", "excluded")


@dataclass
class CaseState:
    """One case as the ledger tells it.

    Attributes:
        state: completed, blocked, failed, interrupted, running, waiting or excluded.
        attempts: How often it was started.
        failures: How often it failed by itself: not because a server was away, and not because the batch was stopped.
        run_ids: Runs of its last attempt.
        message: Why it failed.
        cause: Kind of the failure, for grouping.
        seconds: Duration of the last attempt.
        notebook: File of the executed notebook.
        held: A run whose texts are done and whose media are still to be made.
        phase: "text" while only its texts are made.
        started: When its last attempt began.
        finished: When it ended, "" while it runs.
    """

    state: str = "waiting"
    attempts: int = 0
    failures: int = 0
    run_ids: list[str] = field(default_factory=list)
    message: str = ""
    cause: str = ""
    seconds: float | None = None
    notebook: str = ""
    held: str = ""
    phase: str = ""
    started: str = ""
    finished: str = ""


class Ledger:
    """cases.jsonl and the claims of one batch. Several processes may write; a torn last line costs only itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, case: Case, state: str, attempt: int, **facts: Any) -> None:
        """Append what happened to a case; it is on disk when this returns."""
        line = {
            "case_key": case.case_key, "index": case.index, "config_name": case.config, "state": state, "attempt": attempt,
            "when": timestamps.now(), **{k: v for k, v in facts.items() if v not in (None, "", [])},
        }  # fmt: skip
        with files.typed_errors("The state of a case could not be written", self.folder):
            files.append_line(self.folder / CASES, json.dumps(line, ensure_ascii=False))

    def states(self, cases: Iterable[Case]) -> dict[str, CaseState]:
        """The state of every planned case."""
        found = {case.case_key: CaseState("excluded" if case.excluded else "waiting") for case in cases}
        failed: set[tuple[str, int]] = set()
        for line in read_lines(self.folder / CASES):
            known = found.get(str(line.get("case_key")))
            attempt = line.get("attempt") or 0
            # A line of a later version or another program's must not make the numbers stop adding up.
            if known is None or line.get("state") not in STATES or not isinstance(attempt, int):
                continue
            known.state = str(line.get("state"))
            known.attempts = max(known.attempts, attempt)
            # The last line of an attempt counts: its worker writes one, and its scheduler may know better why it failed.
            (failed.add if is_failure(line) else failed.discard)((str(line.get("case_key")), attempt))
            _times(known, line)
            known.run_ids = [str(run_id) for run_id in line.get("run_ids") or ()]
            known.message, known.cause = str(line.get("message") or ""), str(line.get("cause") or "")
            known.seconds, known.notebook = line.get("seconds"), str(line.get("notebook") or known.notebook)
            known.held, known.phase = str(line.get("held") or ""), str(line.get("phase") or "")
        for key, _ in failed:
            found[key].failures += 1
        for key, state in found.items():
            if state.state == "running" and not self.is_worked_on(key, state.attempts, state.phase):
                state.state = "interrupted"
        return found

    def claim(self, case: Case, attempt: int, phase: str = "") -> bool:
        """Take a case for this process; False when somebody else has it. Survives nobody: a dead owner's claim is void."""
        return claims.take(self.claim_of(case.case_key, attempt, phase), attempt)

    def claim_of(self, key: str, attempt: int, phase: str = "") -> Path:
        """File of the claim by which a process schedules an attempt."""
        return self.folder / CLAIMS / _claim(key, attempt, phase)

    def worker_of(self, key: str, attempt: int, phase: str = "") -> Path:
        """File of the claim by which a worker does it; the worker of a cluster may outlive the process that sent it."""
        return self.folder / CLAIMS / f"{_claim(key, attempt, phase)}.worker"

    def is_worked_on(self, key: str, attempt: int, phase: str = "") -> bool:
        """Whether whoever scheduled this attempt, or the worker that does it, is alive."""
        return claims.alive(self.claim_of(key, attempt, phase)) or claims.alive(self.worker_of(key, attempt, phase))


def _claim(key: str, attempt: int, phase: str) -> str:
    """Texts and the rest of an attempt are claimed one after the other, perhaps by different processes."""
    return f"{key}.{attempt}.text" if phase == "text" else f"{key}.{attempt}"


def _times(state: CaseState, line: dict[str, Any]) -> None:
    when = str(line.get("when") or "")
    if line.get("state") == "running":
        state.started, state.finished = when, ""
    else:
        state.finished = when


def is_failure(line: dict[str, Any]) -> bool:
    """Whether a line says that a case failed by itself: not because a server was away, and not because the batch was stopped."""
    if line.get("outage"):
        return False
    return line.get("state") == "failed" or (line.get("state") == "interrupted" and line.get("cause") == WORKER_LOST)


def counts(states: dict[str, CaseState]) -> dict[str, int]:
    """How many cases are in each state; with `planned` and `started` the numbers add up."""
    counter = Counter(state.state for state in states.values())
    found = {name: counter.get(name, 0) for name in STATES}
    return {"planned": len(states), "started": sum(1 for s in states.values() if s.attempts), **found}


def causes(states: dict[str, CaseState]) -> Iterator[tuple[str, int, str]]:
    """Kinds of failure: name, number of cases, an example; most frequent first."""
    failed = [s for s in states.values() if s.state in ("failed", "interrupted")]
    for cause, number in Counter(s.cause or s.state for s in failed).most_common():
        example = next(s.message for s in failed if (s.cause or s.state) == cause)
        yield cause, number, example

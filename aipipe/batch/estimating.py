"""What a batch will take: model calls, media, hours, bytes, files."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aipipe.batch.pinning import run_plan
from aipipe.batch.plan import Case
from aipipe.batch.steps import calls_of
from aipipe.definitions import Plan as RunPlan
from aipipe.definitions import canonical_json
from aipipe.errors import InvalidPlan

if TYPE_CHECKING:
    from aipipe.lab import Lab
    from aipipe.store import Run

NEWEST = 40
"""So many of the newest runs are looked at for their time and size."""
UNKNOWN_BYTES = 1_500_000
"""Size of a run where none of this mode was recorded yet."""
FILES_OF_A_RUN = 4
"""metadata.json, provenance.json, exchanges.jsonl and the executed notebook, beside the entities."""


@dataclass(frozen=True)
class Work:
    """What cases will make.

    Attributes:
        calls: Calls of language models; an identical step of several cases is called once and counted once. At level adult
            only texts with a term that needs judging are checked by a model; such checks are not counted.
        media: Media that are made.
        files: Files that are written.
    """

    calls: int
    media: int
    files: int


class Plans:
    """Plans of the runs that cases make; equal ones are resolved once."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._known: dict[Any, RunPlan] = {}

    def of(self, case: Case) -> RunPlan:
        """The plan of a case's run."""
        models, values = tuple(sorted(case.models.items())), canonical_json(dict(case.parameters))
        key = (case.config, case.mode, case.safety, case.outputs, len(case.texts), models, values)
        if key not in self._known:
            self._known[key] = run_plan(self._lab, case)
        return self._known[key]


def work_of(cases: Sequence[Case], plans: Plans) -> Work:
    """Model calls, media and files of these cases."""
    asked: set[Any] = set()
    media = written = 0
    for case in cases:
        plan = plans.of(case)
        asked.update(call.key for call in calls_of(plan, case))
        media += len(plan.outputs)
        written += len(plan.expected_outputs) + FILES_OF_A_RUN
    return Work(len(asked), media, written)


def newest(lab: Lab) -> list[Run]:
    """The newest runs, from which time, size and tokens are estimated."""
    return list(itertools.islice(lab.store, NEWEST))


def estimates(lab: Lab, cases: Sequence[Case], work: Work) -> dict[str, Any]:
    """Hours (None where nothing is known), bytes and files, from the newest runs of the same mode."""
    mode = cases[0].mode if cases else ""
    known = [r for r in newest(lab) if r.record.execution_mode == mode and r.record.seconds]
    seconds = sum(r.record.seconds or 0 for r in known) / len(known) if known else None
    size = sum(e.size for r in known for e in r.entities) / len(known) + 20_000 if known else UNKNOWN_BYTES
    return {
        "hours": round(seconds * len(cases) / 3600, 2) if seconds is not None else None,
        "bytes": int(size * len(cases)),
        "files": work.files,
    }


def check_disk(lab: Lab, cases: Sequence[Case]) -> None:
    """Refuse a disk that is too small for these cases.

    Raises:
        InvalidPlan: it names what is needed and what is left.
    """
    needed = estimates(lab, cases, Work(0, len(cases), 0))["bytes"]
    place = lab.store.path
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise InvalidPlan(
            f"The batch needs about {needed / 1e9:.1f} GB; {place} has {free / 1e9:.1f} GB left.",
            hint="Free some space, or name another store.",
        )

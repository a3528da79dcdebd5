"""What a batch will take: model calls, media, hours, bytes, files."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aipipe.batch.plan import Case
from aipipe.errors import InvalidPlan

if TYPE_CHECKING:
    from aipipe.lab import Lab
    from aipipe.store import Run

NEWEST = 40
"""So many of the newest runs are looked at for their time and size."""
UNKNOWN_BYTES = 1_500_000
"""Size of a run where none of this mode was recorded yet."""
FILES_PER_CASE = 9


def calls(lab: Lab, cases: Sequence[Case]) -> tuple[int, int]:
    """Model calls and media of these cases."""
    models = media = 0
    known: dict[Any, tuple[int, int]] = {}
    for case in cases:
        key = (case.config, case.mode, case.safety, case.outputs, len(case.texts))
        if key not in known:
            known[key] = _calls_of(lab, case)
        models, media = models + known[key][0], media + known[key][1]
    return models, media


def _calls_of(lab: Lab, case: Case) -> tuple[int, int]:
    plan = lab.plan(
        case.config,
        *case.texts,
        mode=case.mode or None,
        safety=case.safety or None,
        outputs=list(case.outputs) or None,
        images=list(case.images) or None,
    )
    texts = len(plan.texts) * (2 if plan.translation else 1)
    return texts + max(len(plan.steps), len(plan.iterations)) + len(plan.outputs), len(plan.outputs)


def newest(lab: Lab) -> list[Run]:
    """The newest runs, from which time, size and tokens are estimated."""
    return list(itertools.islice(lab.store, NEWEST))


def estimates(lab: Lab, cases: Sequence[Case], media: int) -> dict[str, Any]:
    """Hours (None where nothing is known), bytes and files, from the newest runs of the same mode."""
    mode = cases[0].mode if cases else ""
    known = [r for r in newest(lab) if r.record.execution_mode == mode and r.record.seconds]
    seconds = sum(r.record.seconds or 0 for r in known) / len(known) if known else None
    size = sum(e.size for r in known for e in r.entities) / len(known) + 20_000 if known else UNKNOWN_BYTES
    return {
        "hours": round(seconds * len(cases) / 3600, 2) if seconds is not None else None,
        "bytes": int(size * len(cases)),
        "files": len(cases) * FILES_PER_CASE + media,
    }


def check_disk(lab: Lab, cases: Sequence[Case]) -> None:
    """Refuse a disk that is too small for these cases.

    Raises:
        InvalidPlan: it names what is needed and what is left.
    """
    needed = estimates(lab, cases, len(cases))["bytes"]
    place = lab.store.path
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise InvalidPlan(
            f"The batch needs about {needed / 1e9:.1f} GB; {place} has {free / 1e9:.1f} GB left.",
            hint="Free some space, or name another store.",
        )

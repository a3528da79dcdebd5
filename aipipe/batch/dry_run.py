"""The dry run: what a plan would do and cost, before it does anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aipipe.batch.estimating import Plans, check_disk, estimates, newest, work_of
from aipipe.batch.paid import paid_use
from aipipe.batch.plan import Case, Plan

if TYPE_CHECKING:
    from aipipe.lab import Lab


def dry_run(lab: Lab, plan: Plan, left: Sequence[Case]) -> dict[str, Any]:
    """Cases, model calls, media, hours, bytes, files, paid use, and what each column means.

    Args:
        lab: Resolves what the cases need.
        plan: The plan.
        left: Its cases that are still to do.

    Raises:
        InvalidPlan: the disk is too small.
    """
    check_disk(lab, left)
    plans = Plans(lab)
    work = work_of(left, plans)
    excluded = sum(case.excluded for case in plan.cases)
    return {
        "batch_id": plan.batch_id, "plan_hash": plan.plan_hash, "cases": len(plan.cases) - excluded, "excluded": excluded,
        "left": len(left), "columns": dict(plan.columns), "notebook": plan.notebook, "model_calls": work.calls, "media": work.media,
        **estimates(lab, left, work), "paid": paid_use(lab, left, newest(lab), plans),
    }  # fmt: skip

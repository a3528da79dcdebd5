"""Freezing a plan: of several processes with the same plan one writes it, and the others go on with that one."""

from __future__ import annotations

import json
from pathlib import Path

from aipipe import files
from aipipe.batch import claims
from aipipe.batch.grid import refused
from aipipe.batch.notebooks import CaseNotebook
from aipipe.batch.plan import PLAN, Plan
from aipipe.errors import InvalidPlan, RunNotFound

KEPT_NOTEBOOK = "case.ipynb"


def stored(root: Path, plan_hash: str) -> Plan | None:
    """The newest batch below `root` with this plan, or None."""
    for folder in sorted(root.iterdir(), reverse=True) if root.is_dir() else []:
        try:
            if json.loads((folder / PLAN).read_text(encoding="utf-8")).get("plan_hash") == plan_hash:
                return Plan.load(folder)
        except (OSError, ValueError, AttributeError, InvalidPlan, RunNotFound):
            continue
    return None


def freeze(root: Path, plan: Plan, notebook: CaseNotebook | None, *, anew: bool) -> Plan:
    """Write a plan, with its notebook beside it; the equal one that another process wrote meanwhile is taken instead.

    Args:
        root: Folder of all batches.
        plan: The plan.
        notebook: Its case notebook, None where cases run without.
        anew: Write it even if an equal one is there.

    Raises:
        RecordingError: the disk refused.
        RunLocked: another process keeps planning.
    """
    with files.typed_errors("The plan could not be written", root):
        root.mkdir(parents=True, exist_ok=True)
        with claims.lock(root / ".planning"):
            known = None if anew else stored(root, plan.plan_hash)
            if known is not None:
                return known
            folder = root / plan.batch_id
            folder.mkdir(exist_ok=True)
            if notebook is not None:
                (folder / KEPT_NOTEBOOK).write_bytes(notebook.content)
            plan.save(folder)
    return plan


def kept_notebook(folder: Path, plan: Plan) -> CaseNotebook | None:
    """The notebook of a frozen plan, as it was hashed; None where cases run without one.

    Raises:
        InvalidPlan: it is gone, or is another.
    """
    if not plan.notebook:
        return None
    path = folder / KEPT_NOTEBOOK
    found = CaseNotebook.read(path)
    if found.sha256 != plan.notebook_hash:
        raise InvalidPlan(
            f"{path} is not the notebook that the batch was planned with.",
            hint="Restore it, or plan another batch: the same cases with another notebook are other work.",
        )
    if found.problems:
        raise refused(found.problems)
    return found

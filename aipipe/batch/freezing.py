"""Making and freezing a plan: of several processes with the same plan one writes it, and the others go on with that one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe import files
from aipipe.batch import claims, notebooks
from aipipe.batch.grid import Grid, make_plan, refused
from aipipe.batch.notebooks import CaseNotebook
from aipipe.batch.pinning import changes
from aipipe.batch.plan import PLAN, Case, Plan
from aipipe.errors import InvalidPlan, RunNotFound

if TYPE_CHECKING:
    from aipipe.lab import Lab

KEPT_NOTEBOOK = "case.ipynb"


def plan_of(
    lab: Lab, grid: Grid, choice: str | Path | bool | None, *, order_seed: int, options: Mapping[str, Any]
) -> tuple[Plan, CaseNotebook | None]:
    """A grid resolved for a case notebook (`choice`: a file, None for the usual one, False for none).

    Raises:
        InvalidPlan: with all problems of grid and notebook together.
    """
    path = notebooks.choose(choice, lab.project)
    notebook = CaseNotebook.read(path) if path is not None else None
    problems = [*notebook.problems, *notebook.misfits(grid)] if notebook else []
    plan = None
    try:
        plan = make_plan(
            lab, grid, notebook=notebook.path.name if notebook else "", notebook_bytes=notebook.content if notebook else b"",
            notebook_parameters=notebook.own if notebook else (), order_seed=order_seed, options=options,
        )  # fmt: skip
    except InvalidPlan as error:
        problems += error.data.get("problems", ())
    if plan is not None and notebook is not None and not notebook.problems:
        problems += notebook.wrong_types(plan.cases)
    if problems or plan is None:
        raise refused(problems)
    return plan, notebook


def check_unchanged(lab: Lab, cases: Sequence[Case]) -> None:
    """Refuse cases whose configs or images are others than when their plan was frozen.

    Raises:
        InvalidPlan: it lists them all.
    """
    problems = changes(lab, cases)
    if problems:
        raise refused(problems)


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

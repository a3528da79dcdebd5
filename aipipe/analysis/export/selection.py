"""Which runs an export is asked for: stores, and the ids of the chosen runs in them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from aipipe.analysis.source import roots
from aipipe.errors import RunNotFound, UsageError
from aipipe.store import Run


def selection(source: Any, run_ids: Collection[str] | None) -> tuple[list[Path], set[str] | None]:
    """Stores to read, and the wanted runs; None for all.

    Args:
        source: A folder, Store, run, list of runs (`gallery.selected`), frame of a loader, or None for the project's store.
        run_ids: Only these of them, in any form that can be walked through, so a column of a frame too.

    Raises:
        UsageError: a frame that does not say which runs it holds, or of which store.
        RunNotFound: a folder does not exist.
    """
    wanted = None if run_ids is None else {str(run_id) for run_id in run_ids}
    if hasattr(source, "columns"):
        stores, own = _of_frame(source)
    elif isinstance(source, Run):
        stores, own = _of_runs([source])
    elif isinstance(source, list | tuple) and source and all(isinstance(item, Run) for item in source):
        stores, own = _of_runs(source)
    else:
        return roots(source), wanted
    return stores, own if wanted is None else own & wanted


def _of_frame(frame: Any) -> tuple[list[Path], set[str]]:
    if "run_id" not in frame.columns:
        raise UsageError("The frame has no column run_id.", hint="Keep run_id when you select columns.")
    if not frame.attrs.get("store"):
        raise UsageError(
            "The frame does not say of which store it is; joining frames loses that.",
            hint='Pass the store, and the ids: export("runs", out, run_ids=df["run_id"]).',
        )
    return roots(frame.attrs["store"]), {str(run_id) for run_id in frame["run_id"]}


def _of_runs(runs: Collection[Run]) -> tuple[list[Path], set[str]]:
    # The stores instead of the folders of the runs, because annotations and batches lie beside the runs.
    return roots(list(dict.fromkeys(run.folder.parent for run in runs))), {run.run_id for run in runs}


def check_found(wanted: set[str] | None, found: Collection[str]) -> None:
    """Refuse ids of runs that no store has: a wrong id must not shrink an export unseen.

    Raises:
        RunNotFound: some id was not found.
    """
    missing = sorted((wanted or set()) - set(found))
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise RunNotFound(
            f"There is no run {', '.join(missing[:3])}{more}.", hint="Check the ids, or the store they are of."
        )

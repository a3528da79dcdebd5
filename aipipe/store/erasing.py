"""Erasure: runs and every copy of their content, with a tombstone that names no content."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe import caches, files, timestamps
from aipipe.annotations import read_lines
from aipipe.errors import RunLocked, UsageError
from aipipe.store.keeping import Act, Report, remove_run

if TYPE_CHECKING:
    from aipipe.store.store import Store

TOMBSTONES = "erased.jsonl"


@dataclass
class EraseReport(Report):
    """What `Store.erase` removes.

    Attributes:
        run_ids: The runs, those that hold copies of erased entities among them.
    """

    run_ids: list[str] = field(default_factory=list)


def erase(store: Store, *, participant: str | None, run_ids: Iterable[str] | None, apply: bool) -> EraseReport:
    """Remove runs and every copy: reused entities, notebooks, annotations, ratings, index, thumbnails.

    Raises:
        UsageError: nothing was chosen.
        RunLocked: one of the runs is still being written.
    """
    wanted = {store.open(run_id).run_id for run_id in run_ids or ()}
    if participant is None and not wanted:
        raise UsageError("Nothing was chosen.", hint="aipipe runs erase --participant P07, or --run ID.")
    chosen = {
        run.run_id: run
        for run in store
        if run.run_id in wanted or (participant and run.record.participant == participant)
    }
    for run in chosen.values():
        if run.is_live:
            raise RunLocked(f"Run {run.run_id} is still being written.", hint="Wait for its end, or cancel it.")
    report = EraseReport(applied=apply, run_ids=sorted(chosen))
    report.acts += [Act(run_id, "erase run") for run_id in report.run_ids]
    _copies(store, set(chosen), report)
    _lines(store.path, set(chosen), participant, report, apply=apply)
    notebooks = _notebooks(store.path, set(chosen))
    report.acts += [Act(path.stem, "erase notebook", path.name) for path in notebooks]
    if chosen and (store.path / ".aipipe").exists():
        report.acts.append(Act("*", "clear index, thumbnails and reuse cache", ".aipipe"))
    if apply and report.acts:
        for run in chosen.values():
            remove_run(run.folder)
        for path in notebooks:
            path.unlink(missing_ok=True)
        shutil.rmtree(store.path / ".aipipe", ignore_errors=True)
        caches.clear_indexes(store.path)
        for run_id in report.run_ids:
            files.append_line(store.path / TOMBSTONES, json.dumps({"run_id": run_id, "erased": timestamps.now()}))
    return report


def _copies(store: Store, ids: set[str], report: EraseReport) -> None:
    """Runs of others that hold a copy of an erased entity: they are named, for a person must decide on them."""
    for run in store:
        if run.run_id in ids:
            continue
        for entity in run.record.entities:
            if entity.reused_from and entity.reused_from.partition("/")[0] in ids:
                report.conflicts.append(
                    Act(run.run_id, "holds a copy", f"{entity.filename} from {entity.reused_from}; erase this run too")
                )
        if run.record.parent is not None and run.record.parent.run_id in ids:
            report.conflicts.append(
                Act(run.run_id, "repeats or edits", f"{run.record.parent.run_id}; erase this run too")
            )


def _lines(root: Path, ids: set[str], participant: str | None, report: EraseReport, *, apply: bool) -> None:
    """Lines of annotations, ratings and batches that name an erased run (or were written by the participant)."""
    for folder in ("annotations", "ratings", "batches"):
        for path in sorted((root / folder).rglob("*.jsonl")):
            acts = list(read_lines(path))
            kept = [a for a in acts if not _names(a, ids) and not (participant and a.get("who") == participant)]
            if len(kept) == len(acts):
                continue
            report.acts.append(Act(folder, f"erase {len(acts) - len(kept)} line(s)", path.name))
            if apply:
                text = "".join(json.dumps(a, ensure_ascii=False) + "\n" for a in kept)
                temporary = path.with_name(f".{path.name}.new")
                temporary.unlink(missing_ok=True)
                files.write_bytes(temporary, text.encode(), sync=True)
                files.replace(temporary, path)


def _names(act: dict[str, Any], ids: set[str]) -> bool:
    values = [act.get("run_id"), *(act.get("run_ids") or [])]
    return any(value in ids for value in values)


def _notebooks(root: Path, ids: set[str]) -> list[Path]:
    """Executed notebooks whose content names an erased run."""
    found = []
    for path in sorted((root / "batches").rglob("*.ipynb")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if any(run_id in text for run_id in ids):
            found.append(path)
    return found

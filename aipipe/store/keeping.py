"""Looking after a store: doctor, merge, prune. Each says what it would do before it does it."""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe import files, lease, timestamps
from aipipe.errors import RunNotFound, StoreError, UsageError
from aipipe.store.run import Run
from aipipe.store.verifying import NUMBERED, any_file

if TYPE_CHECKING:
    from aipipe.store.store import Store

QUARANTINE = ".quarantine"
CREATION_SECONDS = 300.0
"""An empty folder this old is no run that is being created."""
KEPT_BESIDE = ("annotations", "ratings", "batches")


@dataclass(frozen=True)
class Act:
    """One thing that is done, or would be: which run, what, why."""

    run_id: str
    what: str
    detail: str = ""


@dataclass
class Report:
    """Acts and conflicts; `applied` tells whether they were done or only found."""

    applied: bool = False
    acts: list[Act] = field(default_factory=list)
    conflicts: list[Act] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """True when nothing is left to do and nothing stands against it."""
        return not self.conflicts and (self.applied or not self.acts)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {**asdict(self), "clean": self.clean}

    def __str__(self) -> str:
        if not self.acts and not self.conflicts:
            return "nothing to do"
        lines = ["done:" if self.applied else "would do (nothing was changed):"] if self.acts else []
        lines += [f"  {a.run_id}  {a.what}" + (f": {a.detail}" if a.detail else "") for a in self.acts]
        lines += ["conflicts:"] if self.conflicts else []
        lines += [f"  {a.run_id}  {a.what}: {a.detail}" for a in self.conflicts]
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.display import sheet_bundle

        word = "nothing to do" if not self.acts else "done" if self.applied else "found, nothing was changed"
        return sheet_bundle(
            str(self),
            type(self).__name__.removesuffix("Report") or "Report",
            state=(f"{len(self.conflicts)} conflicts", "failed") if self.conflicts else (word, "completed"),
            head=("run", "what", "detail"),
            rows=[
                *((a.run_id, f"conflict: {a.what}", a.detail) for a in self.conflicts),
                *((a.run_id, a.what, a.detail) for a in self.acts),
            ],
        )


class DoctorReport(Report):
    """What `Store.doctor` found or repaired."""


class MergeReport(Report):
    """What `Store.merge` took over, and what stands against it."""


class PruneReport(Report):
    """What `Store.prune` deletes."""


def doctor(store: Store, *, apply: bool) -> DoctorReport:
    """Set aside what cannot be read, remove what dead writers left, set orphaned files aside. Idempotent.

    Never touches a run with a living writer, and deletes nothing but temporary files.
    """
    report = DoctorReport(applied=apply)
    for name in store._names():
        folder = store.path / name
        writer = lease.find(folder)
        if writer is not None and writer.alive:
            continue
        for act, repair in _repairs(store, folder):
            report.acts.append(act)
            if apply:
                with files.typed_errors("The repair failed", folder):
                    repair()
    return report


def _repairs(store: Store, folder: Path) -> list[tuple[Act, Any]]:
    try:
        run = Run(folder)
    except RunNotFound:
        if any_file(folder):
            return [(Act(folder.name, "set aside", "no metadata.json"), lambda: _quarantine(store, folder))]
        if _age(folder) > CREATION_SECONDS:
            return [(Act(folder.name, "remove empty folder"), folder.rmdir)]
        return []
    except StoreError as error:
        if type(error).__name__ == "FormatTooNew":
            return []
        return [(Act(folder.name, "set aside", error.message), lambda: _quarantine(store, folder))]
    found: list[tuple[Act, Any]] = []
    leftovers = [*lease.writer_folders(folder), *sorted(folder.glob(".gone-*")), *sorted(folder.glob(".claim-*"))]
    found += [
        (Act(folder.name, "remove temporary files", path.name), lambda path=path: _remove(path)) for path in leftovers
    ]
    listed = {e.filename for e in run.record.entities}
    for path in sorted(folder.iterdir()):
        if NUMBERED.fullmatch(path.name) and path.name not in listed:
            found.append((Act(folder.name, "set orphan aside", path.name), lambda path=path: _set_aside(folder, path)))
    return found


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _quarantine(store: Store, folder: Path) -> None:
    target = store.path / QUARANTINE
    target.mkdir(exist_ok=True)
    files.operation("rename", folder)
    os.rename(folder, _free(target / folder.name))  # noqa: PTH104


def _set_aside(folder: Path, path: Path) -> None:
    aside = folder / ".set-aside-doctor"
    aside.mkdir(exist_ok=True)
    files.operation("rename", path)
    os.rename(path, _free(aside / path.name))  # noqa: PTH104


def _free(path: Path) -> Path:
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}.{number}")
    return candidate


def _remove(path: Path) -> None:
    files.operation("remove", path)
    shutil.rmtree(path, ignore_errors=True)


def merge(store: Store, other: Store, *, apply: bool) -> MergeReport:
    """Copy runs of `other` that this store lacks; equal ones are left, different ones of one id are conflicts."""
    if store.path == other.path:
        raise UsageError("A store cannot be merged with itself.")
    if not other.path.is_dir():
        raise RunNotFound(f"There is no store in {other.path}.")
    report = MergeReport(applied=apply)
    for name in reversed(other._names()):
        source, target = other.path / name, store.path / name
        writer = lease.find(source)
        if writer is not None and writer.alive:
            report.conflicts.append(Act(name, "left out", "it is still being written"))
        elif not target.exists():
            report.acts.append(Act(name, "take over"))
            if apply:
                _copy_run(source, target)
        elif not _same(source, target):
            report.conflicts.append(Act(name, "left out", "a different run of this id is here"))
    for folder in KEPT_BESIDE:
        _merge_beside(other.path / folder, store.path / folder, report, apply=apply)
    return report


def _copy_run(source: Path, target: Path) -> None:
    """Copy into a hidden folder first, so that a crash leaves no half run."""
    temporary = target.with_name(f".merging-{target.name}")
    with files.typed_errors("The run could not be copied", target):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(source, temporary, symlinks=True)
        files.operation("rename", target)
        os.rename(temporary, target)  # noqa: PTH104
        files.sync_folder(target.parent)


def _same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one / "metadata.json", other / "metadata.json", shallow=False)
    except OSError:
        return False


def _merge_beside(source: Path, target: Path, report: MergeReport, *, apply: bool) -> None:
    """Append lines that are not there yet; copy other files that are not there yet."""
    for path in sorted(source.rglob("*")) if source.is_dir() else []:
        if not path.is_file() or path.is_symlink():
            continue
        place = target / path.relative_to(source)
        if not place.exists():
            report.acts.append(Act(source.name, "take over", str(path.relative_to(source))))
            if apply:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, place)
        elif path.suffix == ".jsonl":
            have = set(place.read_text(encoding="utf-8", errors="replace").splitlines())
            new = [
                line
                for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
                if line and line not in have
            ]
            if new:
                report.acts.append(Act(source.name, f"add {len(new)} line(s)", str(path.relative_to(source))))
            for line in new if apply else []:
                files.append_line(place, line)
        elif not filecmp.cmp(path, place, shallow=False):
            report.conflicts.append(Act(source.name, "left out", f"{path.relative_to(source)} differs"))


def prune(store: Store, *, status: Sequence[str] | None, older_than_days: float | None, apply: bool) -> PruneReport:
    """Choose runs by status and age; living ones are never chosen."""
    report = PruneReport(applied=apply)
    if not status and older_than_days is None:
        raise UsageError(
            "Nothing was chosen.", hint="Give --status or --older-than; `aipipe runs erase` removes single runs."
        )
    limit = datetime.now(UTC) - timedelta(days=older_than_days) if older_than_days is not None else None
    for run in store:
        if run.is_live or (status and run.status not in status):
            continue
        if limit is not None and timestamps.parse(run.record.timestamp) > limit:
            continue
        report.acts.append(
            Act(run.run_id, "delete", f"{run.record.config_name}, {run.status}, {run.record.timestamp[:10]}")
        )
        if apply:
            remove_run(run.folder)
    return report


def remove_run(folder: Path) -> None:
    """Delete a run folder: it vanishes from the store first, whole, and is removed then."""
    hidden = _free(folder.with_name(f".deleting-{folder.name}"))
    with files.typed_errors("The run could not be deleted", folder):
        files.operation("rename", folder)
        os.rename(folder, hidden)  # noqa: PTH104
        files.sync_folder(folder.parent)
    with contextlib.suppress(OSError):
        shutil.rmtree(hidden)

"""What lies beside the runs of a store and belongs to them: annotations, ratings, batches. For private exports only."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from aipipe.analysis.reading import Unreadable, is_plain, parse, read_bytes


def copy_companions(roots: Iterable[Path], run_ids: Collection[str], target: Path) -> None:
    """Copy the lines that speak of these runs, the rating tasks they answer, and the batches the runs come from.

    Args:
        roots: Stores of the runs.
        run_ids: The exported runs.
        target: Folder of the exported runs, which becomes a store of its own.
    """
    ids = frozenset(run_ids)
    for root in roots:
        for path in sorted((root / "annotations").glob("*.jsonl")):
            _copy_lines(path, target / path.relative_to(root), ids)
        for path in sorted((root / "ratings").rglob("*.jsonl")):
            task = root / "ratings" / f"{path.parent.name}.json"
            if _copy_lines(path, target / path.relative_to(root), ids) and is_plain(task):
                shutil.copyfile(task, target / "ratings" / task.name)
        for batch in _batches(target, ids):
            _copy_folder(root / "batches" / batch, target / "batches" / batch)


def _copy_lines(path: Path, target: Path, ids: frozenset[str]) -> bool:
    """Append the lines of a file that name exported runs alone; true when there are any."""
    try:
        kept = [raw for raw in read_bytes(str(path))[0].splitlines() if raw.strip() and _speaks_of(raw, ids)]
    except Unreadable:
        return False
    if kept:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab") as stream:
            stream.writelines(raw + b"\n" for raw in kept)
    return bool(kept)


def _speaks_of(raw: bytes, ids: frozenset[str]) -> bool:
    try:
        line = parse(raw)
    except Unreadable:
        return False  # a torn line tells nothing
    other = line.get("other_run_id") if isinstance(line, dict) else None
    return isinstance(line, dict) and line.get("run_id") in ids and (other is None or other in ids)


def _batches(target: Path, ids: frozenset[str]) -> list[str]:
    """Ids of the batches of exported runs; only plain names, for records may say anything."""
    found = set()
    for run_id in ids:
        try:
            batch = parse(read_bytes(str(target / run_id / "metadata.json"))[0]).get("batch")
        except (Unreadable, AttributeError):
            continue
        name = batch.get("batch_id") if isinstance(batch, dict) else None
        if isinstance(name, str) and name.replace("-", "").isalnum() and name.isascii():
            found.add(name)
    return sorted(found)


def _copy_folder(folder: Path, target: Path) -> None:
    """Every plain file; a batch that another store of the export holds already stays as it is."""
    if folder.is_symlink() or not folder.is_dir() or target.exists():
        return
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if is_plain(path) and not any(p.startswith(".") for p in inner.parts):
            (target / inner).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / inner)

"""Annotations: later tags, notes, stars and exclusions, as append-only lines beside the runs.

`runs/annotations/{author}.jsonl`, one line per act: who, when, run, entity hash, what. A finished run stays byte for
byte what it was; the latest act on a subject counts.
"""

from __future__ import annotations

import getpass
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aipipe import files, timestamps
from aipipe.errors import UsageError

FOLDER = "annotations"
KINDS = ("tag", "untag", "note", "star", "unstar", "exclude", "include")


@dataclass
class Annotated:
    """What people said of one run, folded."""

    tags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    starred: bool = False
    excluded: bool = False
    exclude_reason: str | None = None


class Annotations:
    """The annotations of a store.

    Args:
        root: The store's folder.
        author: Who annotates; default `AIPIPE_AUTHOR`, else the account's name.
    """

    def __init__(self, root: str | Path, author: str | None = None) -> None:
        self.root = Path(root)
        self.folder = self.root / FOLDER
        self.author = author or os.environ.get("AIPIPE_AUTHOR") or _account()

    def tag(self, run_id: str, names: Iterable[str]) -> None:
        """Add tags to a run."""
        for name in names:
            self.append(run_id, "tag", name)

    def untag(self, run_id: str, names: Iterable[str]) -> None:
        """Take tags back that were added later."""
        for name in names:
            self.append(run_id, "untag", name)

    def note(self, run_id: str, text: str) -> None:
        """Add a note to a run."""
        self.append(run_id, "note", text)

    def star(self, run_id: str, *, on: bool = True) -> None:
        """Star a run, or take the star back."""
        self.append(run_id, "star" if on else "unstar", "")

    def exclude(self, run_id: str, reason: str) -> None:
        """Exclude a run from analysis; it stays where it is."""
        if not reason.strip():
            raise UsageError(
                "An exclusion needs a reason.", hint='aipipe.exclude(df, reason="model answered in German")'
            )
        self.append(run_id, "exclude", reason)

    def include(self, run_id: str) -> None:
        """Take an exclusion back."""
        self.append(run_id, "include", "")

    def append(self, run_id: str, kind: str, value: str, *, entity_sha256: str | None = None) -> None:
        """Append one act.

        Raises:
            UsageError: no such kind of act, or an empty tag.
            RecordingError: the disk refused.
        """
        if kind not in KINDS:
            raise UsageError(f"{kind!r} is no kind of annotation.", hint=f"One of {', '.join(KINDS)}.")
        if kind in ("tag", "untag") and not value.strip():
            raise UsageError("A tag needs at least one letter.")
        line = json.dumps(
            {
                "who": self.author,
                "when": timestamps.now(),
                "run_id": run_id,
                "entity": entity_sha256,
                "what": kind,
                "value": value,
            },
            ensure_ascii=False,
        )
        path = self.folder / f"{_safe(self.author)}.jsonl"
        with files.typed_errors("The annotation could not be written", path):
            files.append_line(path, line)

    def lines(self) -> Iterator[dict[str, Any]]:
        """All acts of all authors, oldest first; torn lines are left out."""
        found = [act for path in sorted(self.folder.glob("*.jsonl")) for act in read_lines(path) if "run_id" in act]
        yield from sorted(found, key=lambda act: str(act.get("when", "")))

    def fold(self) -> dict[str, Annotated]:
        """What counts now, by run id."""
        folded: dict[str, Annotated] = {}
        for act in self.lines():
            _apply(folded.setdefault(str(act["run_id"]), Annotated()), act)
        return folded

    def of(self, run_id: str) -> Annotated:
        """What counts now for one run."""
        return self.fold().get(run_id, Annotated())


def tag(runs: Any, *names: str) -> int:
    """Tag every run of a run, list, store or frame with `run_id`; returns how many."""
    return _each(runs, lambda notes, run_id: notes.tag(run_id, names))


def exclude(runs: Any, reason: str) -> int:
    """Exclude every run of a run, list, store or frame with `run_id` from analysis; returns how many.

    Excluded runs stay in the store and in every frame, with `excluded` true and the reason beside it.
    """
    return _each(runs, lambda notes, run_id: notes.exclude(run_id, reason))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of an append-only file; torn lines are left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            act = json.loads(line)
        except ValueError:
            continue
        if isinstance(act, dict):
            yield act


def _apply(known: Annotated, act: dict[str, Any]) -> None:
    kind, value = act.get("what"), str(act.get("value") or "")
    if kind == "tag" and value not in known.tags:
        known.tags.append(value)
    elif kind == "untag" and value in known.tags:
        known.tags.remove(value)
    elif kind == "note":
        known.notes.append(value)
    elif kind in ("star", "unstar"):
        known.starred = kind == "star"
    elif kind in ("exclude", "include"):
        known.excluded = kind == "exclude"
        known.exclude_reason = value if kind == "exclude" else None


def _each(runs: Any, act: Any) -> int:
    count = 0
    for root, run_id in _targets(runs):
        act(Annotations(root), run_id)
        count += 1
    return count


def _targets(runs: Any) -> Iterator[tuple[Path, str]]:
    if hasattr(runs, "columns"):  # first: a frame answers to every column's name as if it were an attribute
        yield from _rows(runs)
        return
    if hasattr(runs, "run_id") and hasattr(runs, "folder"):
        yield runs.folder.parent, runs.run_id
        return
    for run in runs:
        yield from _targets(run)


def _rows(frame: Any) -> Iterator[tuple[Path, str]]:
    """Store and id of every run of a frame, each once."""
    if "run_id" not in frame.columns:
        raise UsageError("The frame has no column run_id.", hint="Keep run_id when you select columns.")
    held = frame.attrs.get("store") or _project_store()
    stores = [Path(held)] if isinstance(held, str | Path) else [Path(p) for p in held]
    unique = frame.drop_duplicates("run_id")
    folders = unique["folder"] if "folder" in frame.columns else [None] * len(unique)
    if len(stores) > 1 and "folder" not in frame.columns:
        raise UsageError(
            "The frame is of several stores and does not say which run lies where.",
            hint="Keep the column folder when you select columns.",
        )
    for run_id, folder in zip(unique["run_id"], folders, strict=True):
        yield next((s for s in stores if folder and s in Path(folder).parents), stores[0]), str(run_id)


def _project_store() -> Path:
    from aipipe import settings

    project = settings.find_project()
    return settings.store_folder(project, settings.load(project))


def _safe(author: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", author)[:48] or "anonymous"


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "anonymous"

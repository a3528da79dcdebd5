"""A disk that loses power: what was not forced to it may be lost, in any combination.

The model is fed by the recorder's seam. It keeps for every file the bytes that were forced to disk and those that only
the cache holds, and for every folder the names that were forced and those that were not. A state after a power loss takes
all that was forced, and of the rest any part.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class File:
    """One file: what the cache holds, and what the disk holds (None: nothing yet)."""

    cached: bytes = b""
    forced: bytes | None = None


@dataclass
class Change:
    """A change of names that is not forced yet: `path` now leads to `file` (None: a folder), `gone` no longer exists."""

    path: Path
    file: File | None
    gone: Path | None = None


@dataclass
class Disk:
    """The model. `ignored` is the number of the sync call that is left out, to see whether it was needed."""

    root: Path
    ignored: int | None = None
    names: dict[Path, File | None] = field(default_factory=dict)
    forced: dict[Path, File | None] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)
    syncs: list[str] = field(default_factory=list)
    _last: tuple[str, Path, Path | None] | None = None

    def on_operation(self, name: str, path: Path, source: Path | None) -> None:
        """The seam's hook: called before an operation, so the one before it has happened."""
        self.settle()
        self._last = (name, path, source)

    def settle(self) -> None:
        """Take the last operation into the model."""
        if self._last is None:
            return
        name, path, source = self._last
        self._last = None
        if name in ("create", "append", "write") and path.is_file():
            if path not in self.names:
                self._change(Change(path, File()))
            file = self.names[path]
            assert file is not None
            file.cached = path.read_bytes()
        elif name == "mkdir":
            self._change(Change(path, None))
        elif name in ("replace", "rename") and source is not None:
            self._rename(source, path)
        elif name in ("fsync", "fsync_folder"):
            self.syncs.append(f"{name} {path.name}")
            if len(self.syncs) - 1 != self.ignored:
                self._force(name, path)

    def _change(self, change: Change) -> None:
        self.names[change.path] = change.file
        self.pending.append(change)

    def _rename(self, source: Path, target: Path) -> None:
        for path in [p for p in self.names if p == source or source in p.parents]:
            file = self.names.pop(path)
            moved = target / path.relative_to(source) if path != source else target
            self.names[moved] = file
            self.pending.append(Change(moved, file, gone=path))

    def _force(self, name: str, path: Path) -> None:
        if name == "fsync":
            file = self.names.get(path)
            if file is not None:
                file.forced = file.cached
            return
        for change in [c for c in self.pending if c.path.parent == path]:
            self._apply(self.forced, change)
            self.pending.remove(change)

    @staticmethod
    def _apply(names: dict[Path, File | None], change: Change) -> None:
        names[change.path] = change.file
        if change.gone is not None:
            names.pop(change.gone, None)

    def states(self, chance: random.Random) -> Iterator[dict[Path, bytes]]:
        """States that a power loss now may leave: path → bytes."""
        self.settle()
        for chosen in self._choices(chance):
            names = dict(self.forced)
            for change in chosen:
                self._apply(names, change)
            for kept in ("forced", "cached", "half"):
                yield {p: _content(f, kept) for p, f in names.items() if f is not None and self._reachable(p, names)}

    def _choices(self, chance: random.Random) -> Iterator[list[Change]]:
        pending = self.pending
        yield []
        yield list(pending)
        yield from ([change] for change in pending)
        yield from ([c for c in pending if c is not left] for left in pending)
        for _ in range(4):
            yield [c for c in pending if chance.random() < 0.5]

    def _reachable(self, path: Path, names: dict[Path, File | None]) -> bool:
        between = itertools.takewhile(lambda p: p != self.root, path.parents)
        return all(folder in names for folder in between)


def _content(file: File, kept: str) -> bytes:
    forced = file.forced if file.forced is not None else b""
    if kept == "forced":
        return forced
    return file.cached if kept == "cached" else file.cached[: max(len(forced), len(file.cached) // 2)]

"""Reading a store for many clients at once: parsed records are kept until their file changes.

A record is replaced as a whole, so inode, size and time of metadata.json tell for certain whether it is still the same.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from stat import S_ISLNK
from typing import Any

from aipipe.annotations import Annotated, Annotations
from aipipe.api.ordering import Key, key_of_cursor, time_of_folder, time_of_id, time_of_record
from aipipe.api.refusals import no_such_run
from aipipe.api.summaries import Signature, Summaries, SummaryFile
from aipipe.api.summarising import summary_of
from aipipe.errors import StoreError
from aipipe.store import Run, Store
from aipipe.store.reading import METADATA, derive_status
from aipipe.store.store import RESERVED

KEPT_RECORDS = 4_000
KEPT_SUMMARIES = 250_000
"""About 2 kB each. Fewer than a store has runs would mean that every search reads every record anew."""


@dataclass(slots=True)
class _Kept:
    signature: Signature
    run: Run
    made: dict[str, Any] = field(default_factory=dict)


class RunReader:
    """Opens and lists the runs of a store without reading an unchanged record twice. Safe to use from threads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._root = str(store.path)
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._summaries: OrderedDict[str, tuple[Signature, dict[str, Any]]] = OrderedDict()
        self._unreadable: set[str] = set()
        self._file = SummaryFile(store.path)
        self._keys: list[Key] = []
        self._starts: dict[str, int] = {}
        self._listed: tuple[int, float, float] = (-1, 0.0, 0.0)
        self._annotated: tuple[Any, dict[str, Annotated]] = (None, {})

    def open(self, run_id: str) -> Run:
        """The run of exactly this id.

        Raises:
            RunNotFound: there is none, or the name is not one of a run folder.
            RunUnreadable: it is there but cannot be read.
        """
        return self._keep(run_id).run

    def made(self, run_id: str, name: str, make: Callable[[Run], Any]) -> Any:
        """A value made from a run, kept as long as its record is unchanged.

        Raises:
            RunNotFound, RunUnreadable: as for `open`.
        """
        kept = self._keep(run_id)
        if name not in kept.made:
            kept.made[name] = make(kept.run)
        return kept.made[name]

    def status(self, run: Run) -> str:
        """The status as it is now, without reading the record again."""
        return derive_status(run.record, run.folder)[0]

    def signature(self, run_id: str) -> Signature:
        """What changes when the record changes.

        Raises:
            RunNotFound: there is no such run.
        """
        if not run_id or run_id[0] == "." or run_id in RESERVED or len(run_id) > 200:
            raise no_such_run(run_id)
        if any(c in run_id for c in "/\\\0:"):
            raise no_such_run(run_id)
        # Plain calls: a search asks this of every run of the store.
        folder = f"{self._root}{os.sep}{run_id}"
        try:
            if S_ISLNK(os.lstat(folder).st_mode):
                raise no_such_run(run_id)
            stat = os.lstat(f"{folder}{os.sep}{METADATA}")
        except (OSError, ValueError):
            raise no_such_run(run_id) from None
        return stat.st_ino, stat.st_size, stat.st_mtime_ns

    def _keep(self, run_id: str) -> _Kept:
        signature = self.signature(run_id)
        with self._lock:
            kept = self._kept.get(run_id)
            if kept is not None and kept.signature == signature:
                self._kept.move_to_end(run_id)
                return kept
        kept = _Kept(signature, Run(self.store.path / run_id))
        with self._lock:
            self._kept[run_id] = kept
            while len(self._kept) > KEPT_RECORDS:
                self._kept.popitem(last=False)
        return kept

    def count(self) -> int:
        """How many run folders there are."""
        return len(self._sorted())

    def names(self) -> Iterator[str]:
        """Names of run folders, newest first."""
        return (name for _, name in self.keys())

    def keys(self, cursor: str = "") -> Iterator[Key]:
        """Start and name, newest first; a cursor continues after its run, whether or not that still exists."""
        keys = self._sorted()
        end = bisect_left(keys, key_of_cursor(cursor)) if cursor else len(keys)
        return (keys[i] for i in range(end - 1, -1, -1))

    def _key(self, name: str) -> Key:
        time = time_of_id(name)
        if time is None:
            time = self._starts.get(name)
        if time is not None:
            return time, name
        folder = self.store.path / name
        time = time_of_record(folder)
        if time is None:  # a run that is being made has no record yet: the next look tells
            return time_of_folder(folder), name
        self._starts[name] = time
        return time, name

    def _sorted(self) -> list[Key]:
        try:
            changed = self.store.path.stat().st_mtime_ns
        except FileNotFoundError:
            return []
        now = time.monotonic()
        seen, looked, cost = self._listed
        if changed == seen or now - looked < 10 * cost:
            return self._keys
        with os.scandir(self.store.path) as entries:
            names = [e.name for e in entries if _is_run_folder(e)]
        self._keys = sorted(map(self._key, names))
        self._listed = (changed, time.monotonic(), time.monotonic() - now)
        return self._keys

    def annotated(self) -> dict[str, Annotated]:
        """Tags, notes and stars by run id, read again when one of their files changed."""
        notes = Annotations(self.store.path, author="api")
        try:
            with os.scandir(notes.folder) as entries:
                signature = sorted((e.name, e.stat().st_mtime_ns, e.stat().st_size) for e in entries)
        except OSError:
            signature = []
        if signature != self._annotated[0]:
            self._annotated = (signature, notes.fold())
        return self._annotated[1]

    def adopt_kept(self) -> None:
        """Take the summaries that an earlier server kept of runs that are still there."""
        names = set(self.names())
        kept = self._file.load()
        self._adopt({name: kept[name] for name in kept.keys() & names})
        self._file.remove(list(kept.keys() - names))

    def unread(self) -> list[str]:
        """Names of run folders that nobody has looked at yet, oldest first."""
        return [name for _, name in self._sorted() if not self.knows(name)]

    def take(self, run_id: str, signature: Signature, summary: dict[str, Any]) -> None:
        """Take a summary that was made elsewhere; it counts as long as the record has this signature."""
        self._remember(run_id, (signature, summary))

    def keep(self) -> None:
        """Write summaries that are not in their file yet, for the next server."""
        self._file.flush()

    def _adopt(self, kept: Summaries) -> None:
        with self._lock:
            for name, found in kept.items():
                self._summaries.setdefault(name, found)

    def summary(self, run_id: str, annotated: dict[str, Annotated] | None = None) -> dict[str, Any] | None:
        """One line of the list of runs; None for a folder that cannot be read.

        Args:
            run_id: The run.
            annotated: What `annotated()` gave, when many are asked for at once.
        """
        try:
            signature = self.signature(run_id)
            found = self._summaries.get(run_id)
            if found is None or found[0] != signature:
                found = (signature, summary_of(Run(self.store.path / run_id)))
                self._remember(run_id, found)
        except StoreError:
            self._unreadable.add(run_id)
            return None
        self._unreadable.discard(run_id)
        return self._as_it_is_now(found[1], annotated)

    def fresh(self, run_id: str) -> tuple[Signature, dict[str, Any]]:
        """A summary made now, and the signature of the record it was made from.

        Raises:
            RunNotFound, RunUnreadable: it cannot be read.
        """
        return self.signature(run_id), summary_of(Run(self.store.path / run_id))

    def knows(self, run_id: str) -> bool:
        """True for a run that was looked at since the server started, or by an earlier server."""
        return run_id in self._summaries or run_id in self._unreadable

    def remembered(self, run_id: str, annotated: dict[str, Annotated]) -> dict[str, Any] | None:
        """As `summary`, without a look at the file of a run that had ended."""
        found = self._summaries.get(run_id)
        return None if found is None else self._as_it_is_now(found[1], annotated)

    def _as_it_is_now(self, summary: dict[str, Any], annotated: dict[str, Annotated] | None) -> dict[str, Any] | None:
        """A kept summary with what changes beside the record: the writer's life, tags, the star."""
        run_id = summary["run_id"]
        if summary["status"] == "running":
            try:
                run = self.open(run_id)
            except StoreError:
                return None
            summary = {**summary, "status": self.status(run)}
        later = (self.annotated() if annotated is None else annotated).get(run_id)
        if later is not None:
            tags = list(dict.fromkeys([*summary["tags"], *later.tags]))
            summary = {**summary, "tags": tags, "starred": later.starred}
        return summary

    def _remember(self, run_id: str, found: tuple[Signature, dict[str, Any]]) -> None:
        with self._lock:
            self._summaries[run_id] = found
            while len(self._summaries) > KEPT_SUMMARIES:
                self._summaries.popitem(last=False)
        if found[1]["status"] != "running":
            self._file.add(run_id, *found)


def _is_run_folder(entry: os.DirEntry[str]) -> bool:
    return entry.name[0] != "." and entry.name not in RESERVED and entry.is_dir(follow_symlinks=False)

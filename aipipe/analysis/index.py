"""The index: a disposable, incremental copy of the columns of a store, never believed beyond what the folders say.

Every answer starts with a listing of the folders (name, mtime, ctime, size, inode of each metadata.json). Rows whose
signature is unchanged come from the index, the others are read again, rows of vanished runs are dropped. So the answer
equals a full scan whatever state the index is in; a missing, torn, foreign or older index only costs time.

Records changed within two seconds of the load that reads them, or later, are not trusted (git's "racy" rule). How an index
lies on disk is told in `stored`.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from array import array
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from aipipe.analysis.assemble import Reading, View, read
from aipipe.analysis.reading import Signature
from aipipe.analysis.scan import NO_FILE, Listing, discover, signature_of_record
from aipipe.analysis.stored import Known, Stored, in_memory, open_stored, save, stored_at
from aipipe.analysis.tables import CODE, arrow, join, untidied
from aipipe.caches import index_folder

SCHEMA = 4
RACY_NS = 2_000_000_000
FEW, FEW_SHARE = 16, 0.02
"""Up to so many changes (or this share of the store) are read again at each load instead of rewriting the index."""


@dataclass(slots=True)
class Answer:
    """Rows of a store and what is known of every record.

    Attributes:
        listing: The records of the store.
        table: Block of rows; the hidden code column counts in the listing.
        known: Run id of each record, and why one is not readable.
        read: How many records were read from their files.
        state: none, built, refreshed, used.
        stored: The index whose rows these are, as they lie on disk; None where something was read from a record.
    """

    listing: Listing
    table: Any
    known: Known
    read: int
    state: str
    stored: Stored | None = None


def answer(root: Path, view: View, *, use_index: bool = True) -> Answer:
    """The rows of a view over a store, by the index where that is possible and worth it."""
    pa = arrow()
    # Before anything is read: what changed while it was being read must not be believed either.
    horizon = time.time_ns() - RACY_NS
    folder = _folder(root) if use_index and pa is not None and not view.reads_files else None
    place = stored_at(folder, key_of(view)) if folder is not None else None
    if folder is not None and place is not None:
        stored, listing = _opened_and_listed(pa, root, *place)
        if stored is not None:
            return _refresh(pa, folder, listing, view, stored, horizon)
    found = _scan(pa, root, view)
    if folder is not None and _believable(found.listing, horizon).any():
        _keep(pa, folder, view, found, "built", horizon)
    return found


def _folder(root: Path) -> Path | None:
    """Where the index of a store lies; None for a run's own folder, in which nobody but its recorder writes."""
    return None if signature_of_record(root) is not None else index_folder(root)


_LARGE = 2_000_000
"""Bytes from which a thread of its own for the index costs less than it saves: some 2,500 records."""


def _opened_and_listed(pa: Any, root: Path, path: Path, signature: Signature) -> tuple[Stored | None, Listing]:
    """The index and the folders as they are now; without an index that can be used, the folders may stay unlisted.

    Those of a large store are read at the same time: one waits for bytes, the other for the kernel. Which of both is a
    moment older does not matter, because a row counts only while its record's signature is the same.
    """
    stored = in_memory(path, signature)
    if stored is not None:
        return stored, discover(root)
    if signature[2] < _LARGE:
        stored = open_stored(pa, path, signature)
        return stored, discover(root) if stored is not None else Listing(str(root))
    opened: list[Stored | None] = [None]

    def work() -> None:
        opened[0] = open_stored(pa, path, signature)

    thread = threading.Thread(target=work, name="aipipe-index", daemon=True)
    thread.start()
    try:
        listing = discover(root)
    finally:
        thread.join()
    return opened[0], listing


def _scan(pa: Any, root: Path, view: View) -> Answer:
    listing = discover(root, trusting=pa is not None)
    reading = read(listing.root, listing.names, range(len(listing.names)), view)
    if reading.unopened and pa is not None:
        return _scan_again(pa, discover(root), view, listing.names, reading)
    _adopt_signatures(listing, reading)
    return Answer(listing, reading.table, Known(reading.run_ids, reading.reasons), len(listing.names), "none")


def _scan_again(pa: Any, listing: Listing, view: View, names: list[str], before: Reading) -> Answer:
    """A trusting listing named records that are not there: look at each, and keep what was read already."""
    import numpy as np

    count = len(listing.names)
    known = {name: i for i, name in enumerate(names) if before.run_ids[i] is not None}
    place = np.fromiter((known.get(n, -1) for n in listing.names), dtype=np.int64, count=count)
    fresh = place >= 0
    reading = read(listing.root, listing.names, np.flatnonzero(~fresh).tolist(), view)
    for code, old in enumerate(place.tolist()):
        if old >= 0:
            listing.sign(code, before.signatures[old])
    _adopt_signatures(listing, reading)
    run_ids = [before.run_ids[p] if p >= 0 else None for p in place.tolist()]
    reasons: list[str | None] = [None] * count
    for code, run_id, reason in zip(reading.codes, reading.run_ids, reading.reasons, strict=True):
        run_ids[code], reasons[code] = run_id, reason
    table = _merged(pa, before.table, reading.table, place, fresh, len(names))
    return Answer(listing, table, Known(run_ids, reasons), count, "none")


def _adopt_signatures(listing: Listing, reading: Reading) -> None:
    """A record may have changed between listing and reading; what counts is the file that was read."""
    if len(reading.codes) == len(listing.names):
        # All were read, in the order of the listing: at once instead of one by one.
        listing.signatures = array("q", chain.from_iterable(s or NO_FILE for s in reading.signatures))
        return
    for code, signature in zip(reading.codes, reading.signatures, strict=True):
        listing.sign(code, signature)


def key_of(view: View) -> str:
    """Name of the index of a view: frame, schema, columns and time zone."""
    # Naive times of older dialects follow this machine's zone, which may change under a stored index.
    return _key_of(view, (time.timezone, time.altzone, *time.tzname) if view.zone is None else ())


@lru_cache(maxsize=64)
def _key_of(view: View, machine: tuple[int | str, ...]) -> str:
    facts = [SCHEMA, view.frame, [(c.name, c.kind, c.source) for c in view.columns], str(view.zone), machine]
    return f"{view.frame}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]}"


def _refresh(pa: Any, folder: Path, listing: Listing, view: View, stored: Stored, horizon: int) -> Answer:
    import numpy as np

    old_names = stored.names
    count = len(listing.names)
    if _unchanged(stored, listing):
        return Answer(listing, stored.rows, stored.known, 0, "used", stored)
    # place[i] = number of record i of the listing in the stored index, -1 if it is new.
    if old_names == listing.names:
        place = np.arange(count)
    else:
        known = {name: i for i, name in enumerate(old_names)}
        place = np.fromiter((known.get(n, -1) for n in listing.names), dtype=np.int64, count=count)
    fresh = _fresh(stored, listing, place)
    changed = np.flatnonzero(~fresh).tolist()
    run_ids: list[str | None] = _taken(stored.known.run_ids, place)
    reasons: list[str | None] = _taken(stored.known.reasons, place)
    reading = read(listing.root, listing.names, changed, view)
    _adopt_signatures(listing, reading)
    for code, run_id, reason in zip(reading.codes, reading.run_ids, reading.reasons, strict=True):
        run_ids[code], reasons[code] = run_id, reason
    rows = untidied(pa, reading.table.schema, stored.rows) if stored.tidy else stored.rows
    table = _merged(pa, rows, reading.table, place, fresh, len(old_names))
    found = Answer(listing, table, Known(run_ids, reasons), len(changed), "refreshed")
    gained = int(_believable(listing, horizon)[changed].sum())
    if gained + abs(len(old_names) - count) > max(FEW, count * FEW_SHARE):
        # Rewriting everything for a handful of changes would cost more than reading them again next time, and records
        # that are not believed (of an older dialect, or too young) are read again in any case.
        _keep(pa, folder, view, found, "refreshed", horizon)
    return found


def _believable(listing: Listing, horizon: int) -> Any:
    """Which records an index could answer for the next time."""
    found = _signatures(listing)
    return found.any(axis=1) & (found[:, :2].max(axis=1, initial=0) < horizon)


def _unchanged(stored: Stored, listing: Listing) -> bool:
    """Nothing came, went or changed, as a rule; found out without a step of Python for each record."""
    import numpy as np

    return stored.names == listing.names and np.array_equal(stored.signatures, _signatures(listing))


def _fresh(stored: Stored, listing: Listing, place: Any) -> Any:
    """Which records of the listing have an index row that can be believed."""
    import numpy as np

    count = len(listing.names)
    now = _signatures(listing)
    then = stored.signatures
    if not len(then):
        return np.zeros(count, dtype=bool)
    index = np.where(place < 0, 0, place)
    # A signature too young to be believed was stored as zeros, which no file has.
    return (place >= 0) & (now == then[index]).all(axis=1)


def _signatures(listing: Listing) -> Any:
    import numpy as np

    return np.frombuffer(listing.signatures, dtype=np.int64).reshape(-1, 4)


def _taken(values: list[Any], place: Any) -> list[Any]:
    """Values by place; None for what is new."""
    return [values[p] if p >= 0 else None for p in place.tolist()]


def _merged(pa: Any, rows: Any, new: Any, place: Any, fresh: Any, old_count: int) -> Any:
    """Kept rows under their new numbers, new rows beside them, in listing order."""
    import numpy as np

    code_of = np.full(old_count + 1, -1, dtype=np.int32)
    kept = np.flatnonzero(fresh)
    code_of[place[kept]] = kept
    codes = code_of[rows.column(CODE).to_numpy()]
    keep = codes >= 0
    rows = rows.set_column(rows.column_names.index(CODE), CODE, pa.array(codes, type=pa.int32()))
    rows = rows.filter(pa.array(keep))
    merged = join(pa, [rows, new.select(rows.column_names)])
    # A stable sort keeps the order of the rows within one run.
    order = np.argsort(merged.column(CODE).to_numpy(), kind="stable")
    return merged.take(pa.array(order))


def _keep(pa: Any, folder: Path, view: View, found: Answer, state: str, horizon: int) -> None:
    """Write the index; a store that cannot hold one is no error, because an index never changes an answer."""
    try:
        save(pa, folder, key_of(view), found.listing, found.known, found.table, view.columns, horizon)
        found.state = state
    except (OSError, pa.ArrowException):
        found.state = "none"

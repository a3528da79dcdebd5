"""The file of an index: replaced in one step, believed only when its checksum fits.

One file per frame, `{key}.index`: a head, then the signatures of the records, what else is known of them (an Arrow
stream), the rows of the frame, and the names of the records. It is written aside and takes the old one's place at once,
so writers need no lock: the last one wins, and each result is complete.

Rows of a small store are an Arrow stream, which opens in a fifth of the time of Parquet with its fifty columns; those of a
large one are Parquet, a tenth of the size.
"""

from __future__ import annotations

import os
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

from aipipe.analysis.columns import Column
from aipipe.analysis.reading import Signature, signature_of
from aipipe.analysis.scan import Listing
from aipipe.analysis.tables import CODE, tidied

_MAGIC = b"aix2"
_HEAD = struct.Struct("<4sI4Q")
"""Magic, checksum of what follows it, and the sizes of the four parts; those with numbers come first and stay aligned."""
_CHECKED = 8
_ENDING = ".index"
_MANY = 4096
_STALE_SECONDS = 3600


class Damaged(Exception):
    """A file of an index that does not hold what was written."""


class Known:
    """What is known of the records of a store.

    Args:
        run_ids: Run id of each, None where unreadable: a list, or a column that becomes one when somebody asks.
        reasons: Why a record is not readable, else None.
        plain: All are readable and no id stands twice; None: find out.
    """

    def __init__(self, run_ids: Any, reasons: Any, plain: bool | None = None) -> None:
        self._run_ids, self._reasons, self._plain = run_ids, reasons, plain

    @cached_property
    def run_ids(self) -> list[str | None]:
        """Run id of each record."""
        return _listed(self._run_ids)

    @cached_property
    def reasons(self) -> list[str | None]:
        """Why a record is not readable."""
        return _listed(self._reasons)

    @cached_property
    def plain(self) -> bool:
        """There is nothing to say of any record."""
        if self._plain is not None:
            return self._plain
        return not any(self.reasons) and len(set(self.run_ids)) == len(self.run_ids)


def _listed(values: Any) -> list[Any]:
    # By way of numpy, which takes a third of the time of `to_pylist`.
    return values if isinstance(values, list) else list(values.to_numpy().tolist())


class Stored:
    """An index as it lies on disk.

    Attributes:
        rows: Block of rows; the hidden code column counts in `names`.
        tidy: The rows were made by `tidied`.
        names: Every record of the store, relative to its root.
        known: Run ids and reasons.
        signatures: mtime, ctime, size and inode of each; zeros where they were too young to be believed.
        nbytes: Bytes it takes in memory.
    """

    def __init__(self, pa: Any, data: bytes) -> None:
        import numpy as np
        import pyarrow.ipc as ipc

        _, _, *sizes = _HEAD.unpack_from(data)
        signatures, seen, rows, names = (slice(e - s, e) for s, e in zip(sizes, _ends(sizes), strict=True))
        whole = pa.py_buffer(data)
        table = ipc.open_stream(whole[seen]).read_all()
        facts = table.schema.metadata
        self.rows = _rows(pa, whole[rows])
        self.tidy: bool = facts[b"tidy"] == b"1"
        self.names = data[names].decode().split("\0") if table.num_rows else []
        self.known = Known(table.column("run_id"), table.column("reason"), facts[b"plain"] == b"1")
        self.signatures = np.frombuffer(memoryview(data)[signatures], dtype=np.int64).reshape(-1, 4)
        # What it takes in memory: Parquet comes out many times as large as it lies on disk.
        self.nbytes = len(data) + (0 if self.tidy else self.rows.nbytes)
        self._root, self._folders = facts[b"root"], table.column("folder")
        if CODE not in self.rows.column_names:
            raise Damaged

    def folders(self, root: str) -> Any:
        """The folder of each record as a column; None when the store has another place than it had."""
        return self._folders if self._root == os.fsencode(root) else None


def _ends(sizes: Sequence[int]) -> list[int]:
    return list(accumulate(sizes, initial=_HEAD.size))[1:]


_RECENT: dict[Path, tuple[Signature, Stored]] = {}
_RECENT_LOCK = threading.Lock()
_RECENT_COUNT, _RECENT_BYTES = 4, 128_000_000
"""How many indexes stay in memory, and how large they are together: a cell that is run again then reads the folders only."""


def stored_at(folder: Path, key: str) -> tuple[Path, Signature] | None:
    """Where the index of a view lies, with the signature of its file; None where there is none.

    Asked before reading: a file that is replaced meanwhile is read again next time.
    """
    path = _path(folder, key)
    try:
        return path, signature_of(path.stat())
    except OSError:
        return None


def in_memory(path: Path, signature: Signature) -> Stored | None:
    """The index of this file, if it was read before and is still the same."""
    kept = _RECENT.get(path)
    return kept[1] if kept is not None and kept[0] == signature else None


def open_stored(pa: Any, path: Path, signature: Signature) -> Stored | None:
    """The index in a file; None when it cannot be used."""
    try:
        stored = Stored(pa, _read(path))
    except (OSError, KeyError, ValueError, Damaged, pa.ArrowException):
        return None
    return _remembered(path, signature, stored)


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key}{_ENDING}"


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    if len(data) < _HEAD.size:
        raise Damaged
    magic, checksum, *sizes = _HEAD.unpack_from(data)
    if magic != _MAGIC or checksum != zlib.crc32(memoryview(data)[_CHECKED:]) or _ends(sizes)[-1] != len(data):
        raise Damaged
    return data


def _rows(pa: Any, data: Any) -> Any:
    if data[:4] != b"PAR1":
        import pyarrow.ipc as ipc

        return ipc.open_stream(data).read_all()
    import pyarrow.parquet as pq

    with pq.ParquetFile(pa.BufferReader(data)) as file:
        return file.read()


def _remembered(path: Path, signature: Signature, stored: Stored) -> Stored:
    """Keep an index in memory unless it is a very large one, for as long as its file stays the same."""
    with _RECENT_LOCK:
        _RECENT.pop(path, None)
        if stored.nbytes <= _RECENT_BYTES:
            while _RECENT and (len(_RECENT) >= _RECENT_COUNT or _held() + stored.nbytes > _RECENT_BYTES):
                del _RECENT[next(iter(_RECENT))]
            _RECENT[path] = (signature, stored)
    return stored


def _held() -> int:
    return sum(stored.nbytes for _, stored in _RECENT.values())


def forget_indexes() -> None:
    """Drop what is kept in memory, as a new process would start; for measurements."""
    with _RECENT_LOCK:
        _RECENT.clear()


def save(
    pa: Any, folder: Path, key: str, listing: Listing, known: Known, rows: Any, columns: Sequence[Column], horizon: int
) -> None:
    """Write an index.

    Args:
        pa: pyarrow.
        folder: Folder of the index.
        key: Name of the view.
        listing: The records of the store.
        known: Their run ids and reasons.
        rows: Block of rows.
        columns: Declared columns of the rows.
        horizon: Records changed at this time (nanoseconds) or later are not believed the next time.
    """
    small = rows.num_rows <= _MANY
    facts = {"tidy": str(int(small)), "plain": str(int(known.plain)), "root": os.fsencode(listing.root)}
    parts = [
        _signatures(listing, horizon),
        _arrow(pa, _seen(pa, listing, known).replace_schema_metadata(facts), None if small else "lz4"),
        _arrow(pa, tidied(pa, columns, rows), None) if small else _parquet(pa, rows),
        "\0".join(listing.names).encode(),
    ]
    sizes = [len(part) for part in parts]
    checksum = zlib.crc32(_HEAD.pack(_MAGIC, 0, *sizes)[_CHECKED:])
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{uuid.uuid4().hex}.part"
    try:
        with aside.open("wb") as stream:
            stream.writelines([_HEAD.pack(_MAGIC, checksum, *sizes), *parts])
        aside.replace(_path(folder, key))
    finally:
        aside.unlink(missing_ok=True)
    _sweep(folder)


def _signatures(listing: Listing, horizon: int) -> bytes:
    import numpy as np

    found = np.array(listing.signatures, dtype=np.int64).reshape(-1, 4)
    found[found[:, :2].max(axis=1, initial=0) >= horizon] = 0
    return found.tobytes()


def _seen(pa: Any, listing: Listing, known: Known) -> Any:
    """What else is known of the records, as a table."""
    values = {"folder": listing.folders(), "run_id": known.run_ids, "reason": known.reasons}
    return pa.table({name: pa.array(cells, pa.large_string()) for name, cells in values.items()})


def _arrow(pa: Any, table: Any, compression: str | None) -> Any:
    import pyarrow.ipc as ipc

    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema, options=ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def _parquet(pa: Any, table: Any) -> Any:
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    # Nobody asks these files for a part of their rows, so statistics would only cost time.
    pq.write_table(table, sink, compression="lz4", write_statistics=False)
    return memoryview(sink.getvalue())


def _sweep(folder: Path) -> None:
    """Remove leftovers of dead writers, and indexes of older versions of aipipe."""
    horizon = time.time() - _STALE_SECONDS
    for path in folder.iterdir():
        try:
            if path.suffix != _ENDING and path.stat().st_mtime < horizon:
                path.unlink()
        except OSError:
            continue

"""The files of an index: replaced in one step, believed only when their checksums fit.

Two files per frame. `{key}.seen` holds one row per record (name, run id, signature, reason) behind a checksum, and names
in its metadata the rows file `{key}.{generation}.rows.…` and that file's checksum. Rows are written first, then `seen` is
replaced atomically; a reader that loses a race finds a missing rows file and scans. Writers need no lock: the last one
wins and each result is complete.

Rows of a small store are an Arrow file, which opens in a fifth of the time of Parquet with its fifty columns; those of a
large one are Parquet, a tenth of the size.
"""

from __future__ import annotations

import time
import uuid
import zlib
from pathlib import Path
from typing import Any

from aipipe.analysis.reading import Signature, signature_of
from aipipe.analysis.tables import CODE

_MAGIC = b"aix1"
_HEAD = 8
"""Magic and checksum; eight bytes keep what follows aligned."""
_MANY = 4096
_STALE_SECONDS = 3600
FIELDS = ("mtime", "ctime", "size", "inode")


class Damaged(Exception):
    """A file of an index that does not hold what was written."""


class Stored:
    """An index as it lies on disk.

    Attributes:
        rows: Block of rows; the hidden code column counts in `names`.
        names: Every record of the store, relative to its root.
        run_ids: Run id of each, None where unreadable.
        reasons: Why a record is not readable, else None.
        signatures: mtime, ctime, size and inode of each.
        trusted: Whether the signature of each was old enough to be believed.
    """

    def __init__(self, seen: Any, rows: Any) -> None:
        import numpy as np

        self.rows = rows
        # By way of numpy, which takes a third of the time of `to_pylist`.
        self.names: list[str] = seen.column("name").to_numpy().tolist()
        self.run_ids: list[str | None] = seen.column("run_id").to_numpy().tolist()
        self.reasons: list[str | None] = seen.column("reason").to_numpy().tolist()
        self.signatures = np.column_stack([seen.column(f).to_numpy() for f in FIELDS]).reshape(-1, 4)
        self.trusted = seen.column("trusted").to_numpy()
        self.nbytes: int = rows.get_total_buffer_size() + seen.get_total_buffer_size()


_RECENT: dict[Path, tuple[Signature, Stored]] = {}
_RECENT_COUNT, _RECENT_BYTES = 4, 32_000_000
"""How many indexes of small stores stay in memory: a cell that is run again then reads the folders only."""


def open_stored(pa: Any, folder: Path, key: str) -> Stored | None:
    """The stored index of a view; None when there is none that can be used."""
    path = folder / f"{key}.seen"
    for _ in range(2):
        try:
            # Asked before reading: a file that is replaced meanwhile is read again next time.
            signature = signature_of(path.stat())
            kept = _RECENT.get(path)
            if kept is not None and kept[0] == signature:
                return kept[1]
            return _remembered(path, signature, _read(pa, path))
        except FileNotFoundError:
            continue  # another writer replaced it between the two reads; once more, then scan
        except (OSError, KeyError, ValueError, Damaged, pa.ArrowException):
            return None
    return None


def bytes_to_open(folder: Path, key: str) -> int:
    """Size of the list of records that opening the index of a view reads; 0 where there is none, or it is in memory."""
    path = folder / f"{key}.seen"
    try:
        return 0 if path in _RECENT else path.stat().st_size
    except OSError:
        return 0


def _read(pa: Any, path: Path) -> Stored:
    import pyarrow.ipc as ipc

    data = path.read_bytes()
    if data[:4] != _MAGIC or data[4:_HEAD] != _checksum(memoryview(data)[_HEAD:]):
        raise Damaged
    seen = ipc.open_stream(pa.py_buffer(data)[_HEAD:]).read_all()
    facts = seen.schema.metadata or {}
    name = facts[b"rows"].decode("ascii")
    if "/" in name or "\\" in name:
        raise Damaged
    bytes_of_rows = (path.parent / name).read_bytes()
    if _checksum(bytes_of_rows) != bytes.fromhex(facts[b"checksum"].decode("ascii")):
        raise Damaged
    rows = _parsed(pa, bytes_of_rows)
    if CODE not in rows.column_names:
        raise Damaged
    return Stored(seen, rows)


def _parsed(pa: Any, data: bytes) -> Any:
    if data[:4] != b"PAR1":
        import pyarrow.ipc as ipc

        return ipc.open_stream(pa.py_buffer(data)).read_all()
    import pyarrow.parquet as pq

    with pq.ParquetFile(pa.BufferReader(data)) as file:
        return file.read()


def _checksum(data: bytes | memoryview) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


def _remembered(path: Path, signature: Signature, stored: Stored) -> Stored:
    """Keep a small index in memory, for as long as its file stays the same."""
    _RECENT.pop(path, None)
    if stored.nbytes <= _RECENT_BYTES:
        while len(_RECENT) >= _RECENT_COUNT:
            _RECENT.pop(next(iter(_RECENT)), None)
        _RECENT[path] = (signature, stored)
    return stored


def forget_indexes() -> None:
    """Drop what is kept in memory, as a new process would start; for measurements."""
    _RECENT.clear()


def save(pa: Any, folder: Path, key: str, seen: dict[str, Any], rows: Any) -> None:
    """Write an index.

    Args:
        pa: pyarrow.
        folder: Folder of the index.
        key: Name of the view.
        seen: Columns of the list of records: name, run_id, reason, the signature's fields, trusted.
        rows: Block of rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    token = uuid.uuid4().hex
    part = folder / f".{token}.part"
    small = rows.num_rows <= _MANY
    name = f"{key}.{token}.rows.{'arrow' if small else 'parquet'}"
    data = _arrow(pa, rows.combine_chunks(), None) if small else _parquet(pa, rows)
    facts = {"rows": name, "checksum": _checksum(data).hex()}
    listed = _arrow(pa, pa.table(seen).replace_schema_metadata(facts), None if small else "lz4")
    try:
        part.write_bytes(data)
        part.replace(folder / name)
        with part.open("wb") as stream:
            stream.write(_MAGIC + _checksum(listed))
            stream.write(listed)
        part.replace(folder / f"{key}.seen")
    finally:
        part.unlink(missing_ok=True)
    _sweep(folder, key, name)


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


def _sweep(folder: Path, key: str, current: str) -> None:
    """Remove rows files that no longer serve, and leftovers of dead writers."""
    horizon = time.time() - _STALE_SECONDS
    for path in folder.iterdir():
        old_rows = path.name.startswith(f"{key}.") and ".rows." in path.name and path.name != current
        dead = path.name.endswith(".part")
        try:
            # A rows file a few seconds old may belong to a writer that is about to publish it.
            if (old_rows and path.stat().st_mtime < time.time() - 10) or (dead and path.stat().st_mtime < horizon):
                path.unlink()
        except OSError:
            continue

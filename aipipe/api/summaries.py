"""Summaries of runs kept between two starts of the server: disposable, and never believed beyond what the folders say.

Each summary lies beside the signature of the record it was made from (inode, size, time of metadata.json); who asks
compares it with the record's as it is now. A missing, torn or foreign file only costs the time to read the runs again.
SQLite lets several servers share the file; erasing runs deletes it with the rest of the index.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aipipe.caches import index_folder

try:
    import sqlite3
except ImportError:  # some builds of Python leave it out; then every start reads the runs
    sqlite3 = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

Signature = tuple[int, int, int]
Summaries = dict[str, tuple[Signature, dict[str, Any]]]
FEW = 500
"""So many new summaries are written at once."""
_VERSION = 3
"""Counts up when a summary gets other fields: older ones are then made anew."""


class SummaryFile:
    """The file that keeps summaries. Safe to use from threads.

    Args:
        root: Folder of the runs.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._waiting: Summaries = {}

    def load(self) -> Summaries:
        """What is kept, by name of the run folder; nothing where the file cannot be read."""
        path = self._path()
        if path is None or not path.is_file():
            return {}
        try:
            with self._connect(path) as connection:
                rows = connection.execute("SELECT name, inode, size, time, summary FROM summaries")
                return {name: ((inode, size, time), json.loads(text)) for name, inode, size, time, text in rows}
        except (sqlite3.Error, ValueError, OSError):
            log.info("the kept summaries in %s cannot be read; they are made anew", path)
            self._discard(path)
            return {}

    def add(self, name: str, signature: Signature, summary: Mapping[str, Any]) -> None:
        """Keep a summary; it reaches the file with others, or with `flush`."""
        with self._lock:
            self._waiting[name] = (signature, dict(summary))
            if len(self._waiting) < FEW:
                return
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        # A run that was erased meanwhile must not come back by this way.
        rows = [
            (name, *signature, json.dumps(summary, ensure_ascii=False))
            for name, (signature, summary) in waiting.items()
            if (self._root / name).is_dir()
        ]
        self._write("INSERT OR REPLACE INTO summaries VALUES (?, ?, ?, ?, ?)", rows)

    def remove(self, names: list[str]) -> None:
        """Forget runs that are gone."""
        self._write("DELETE FROM summaries WHERE name = ?", [(name,) for name in names])

    def _write(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        path = self._path()
        if path is None or not rows:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._connect(path) as connection, connection:
                connection.executemany(statement, rows)
        except (sqlite3.Error, OSError) as error:
            log.info("summaries could not be kept in %s: %s", path, error)

    def _path(self) -> Path | None:
        folder = index_folder(self._root) if sqlite3 is not None else None
        return None if folder is None else folder / f"summaries-{_VERSION}.sqlite"

    @staticmethod
    @contextlib.contextmanager
    def _connect(path: Path) -> Iterator[sqlite3.Connection]:
        # A connection for each use: erasing deletes the file, and an open one would go on filling what nobody sees.
        connection = sqlite3.connect(path, timeout=1)
        try:
            connection.execute("PRAGMA synchronous = OFF")  # what a power loss tears is made anew
            connection.execute(
                "CREATE TABLE IF NOT EXISTS summaries"
                " (name TEXT PRIMARY KEY, inode INTEGER, size INTEGER, time INTEGER, summary TEXT) WITHOUT ROWID"
            )
            yield connection
        finally:
            connection.close()

    @staticmethod
    def _discard(path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink()

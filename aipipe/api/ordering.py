"""Runs in the order of their start, and cursors that continue in it.

An id of version 7 carries its time, so a folder's name is enough. Of any other id (version 4, ids of older systems) the
record says when the run began; that is looked up once and never changes.
"""

from __future__ import annotations

import re
from pathlib import Path

from aipipe import timestamps
from aipipe.errors import StoreError, UnsafePath
from aipipe.files import open_plain
from aipipe.store.reading import METADATA, read_document

Key = tuple[int, str]
"""Start in milliseconds since 1970, then the name."""
HEAD_BYTES = 2_048
_ID = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_HEAD = re.compile(rb'[^\[]*?"timestamp"\s*:\s*"([^"\\]{10,40})"')
_CURSOR = re.compile(r"(\d{1,15})\.(.+)", re.ASCII | re.DOTALL)


def time_of_id(name: str) -> int | None:
    """The time in an id of version 7; None for any other name."""
    match = _ID.fullmatch(name)
    return int(match[1] + match[2], 16) if match is not None else None


def time_of_record(folder: Path) -> int | None:
    """When the run in `folder` began; None where its record does not say, or is not there yet."""
    try:
        with open_plain(folder / METADATA) as file:
            head = _HEAD.match(file.read(HEAD_BYTES))
        # No list begins before it, so it is the run's own and not an entity's.
        found = head[1].decode("ascii", "replace") if head else str(read_document(folder).get("timestamp", ""))
        return max(0, int(timestamps.parse(found).timestamp() * 1000))
    except (OSError, StoreError, UnsafePath, ValueError, OverflowError):
        return None


def time_of_folder(folder: Path) -> int:
    """When something last happened in `folder`; 0 where it is gone."""
    try:
        return max(0, folder.lstat().st_mtime_ns // 1_000_000)
    except OSError:
        return 0


def cursor_of(key: Key) -> str:
    """A text from which a list continues after `key`, whether or not that run still exists then."""
    milliseconds, name = key
    return name if time_of_id(name) is not None else f"{milliseconds}.{name}"


def key_of_cursor(cursor: str) -> Key:
    """The key of a cursor; of a text that is none one that comes last."""
    timed = time_of_id(cursor)
    if timed is not None:
        return timed, cursor
    match = _CURSOR.fullmatch(cursor)
    return (int(match[1]), match[2]) if match is not None else (0, cursor)

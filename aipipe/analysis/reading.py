"""Read JSON files of unknown origin: regular files only, bounded, strict, with the signature of what was read."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

try:
    import orjson

    _loads: Any = orjson.loads
except ImportError:
    orjson = None  # type: ignore[assignment]
    _loads = None

MAX_BYTES = 256 * 1024 * 1024
"""Larger records are refused: a run of 10,000 entities needs about 5 MB."""
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

Signature = tuple[int, int, int, int]
"""mtime_ns, ctime_ns, size, inode. ctime cannot be set by a program, so an equal-size rewrite shows."""


INODE = 2**63 - 1
"""The bits of an inode that a signed column holds; some file systems use all 64."""


class Unreadable(Exception):
    """Why a record cannot be read; the text is the reason in reports."""


def signature_of(info: os.stat_result) -> Signature:
    """The signature of a file."""
    return (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino & INODE)


def read_bytes(path: str) -> tuple[bytes, Signature]:
    """The bytes of a regular file and the signature of exactly these bytes' file.

    Raises:
        Unreadable: missing, a link, not a regular file, too large, or an error of the disk.
    """
    try:
        # NONBLOCK: opening a FIFO that somebody left in a run folder must not hang the loader.
        handle = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise Unreadable("the file is missing") from None
    except OSError as error:
        # pathlib raises for a name that no file system takes, os.path says no.
        link = os.path.islink(path)  # noqa: PTH114
        raise Unreadable("it is a link" if link else error.strerror or str(error)) from None
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            raise Unreadable("not a regular file")
        if info.st_size > MAX_BYTES:
            raise Unreadable(f"{info.st_size:,} bytes are more than a record may have ({MAX_BYTES:,})")
        data = os.read(handle, info.st_size)
        while len(data) < info.st_size:
            more = os.read(handle, info.st_size - len(data))
            if not more:
                break
            data += more
        return data, signature_of(info)
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from None
    finally:
        os.close(handle)


def parse(data: bytes) -> Any:
    """Parse strict JSON: UTF-8 without BOM, no NaN, no lone surrogates, with or without orjson.

    Raises:
        Unreadable: it is not valid JSON.
    """
    if not data.strip(b" \t\r\n"):
        raise Unreadable("the file is empty")
    try:
        if _loads is not None:
            return _loads(data)
        return _parse_slowly(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not valid JSON: {error or 'nested too deeply'}") from None


def _parse_slowly(data: bytes) -> Any:
    text = data.decode("utf-8")
    value = json.loads(text, parse_constant=_no_constant)
    if "\\ud" in text.lower():
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def dumps(value: Any) -> str:
    """Compact JSON text with sorted keys."""
    if orjson is not None:
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:
            pass
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def read_text(folder: str, filename: Any) -> str | None:
    """Text of an entity file beside its metadata, or None when it is not there or not text.

    A name that would leave the folder is treated as not there.
    """
    if not isinstance(filename, str) or not contained(filename):
        return None
    try:
        data, _ = read_bytes(os.path.join(folder, filename))  # noqa: PTH118  hot loop
    except Unreadable:
        return None
    return data.decode("utf-8", errors="replace").removeprefix("\ufeff")


def contained(filename: str) -> bool:
    """True when a recorded file name stays inside its folder (one subfolder is allowed for older dialects)."""
    parts = filename.replace("\\", "/").split("/")
    return (
        bool(filename)
        and "\0" not in filename
        and len(parts) <= 3
        and all(p not in ("", ".", "..") and ":" not in p for p in parts)
    )


def is_plain(path: Path) -> bool:
    """True for a file that is no link; false, instead of an error, for a name that no file system takes."""
    try:
        return path.is_file() and not path.is_symlink()
    except (OSError, ValueError):
        return False

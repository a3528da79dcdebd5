"""Files that are never torn: numbered operations, atomic publishes, safe names, containment.

Every operation that changes the disk passes through `operation`, a seam where tests count, fail or stop the process.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import secrets
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from aipipe.errors import RecordingError, StorageFull, UnsafePath
from aipipe.media import SNIFF_BYTES
from aipipe.swap import swap

CHUNK = 1 << 20
ENTITY_TYPE = re.compile(r"[a-z][a-z0-9_]{0,47}")
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
SECRET_KEYS = re.compile(r"(authorization|api[-_]?key|secret|password|passwd|token|cookie|bearer)$", re.IGNORECASE)
NOT_SECRET = frozenset({"max_tokens", "tokens", "token"})
SECRET_VALUES = re.compile(r"\b(Bearer\s+|sk-|hf_|gh[pousr]_)[A-Za-z0-9_\-.~+/=]{8,}")

Hook = Callable[[str, Path, Path | None], None]
_hook: Hook | None = None


def set_operation_hook(hook: Hook | None) -> None:
    """Install a function that is called before every change of the disk; None removes it.

    For tests: it gets the operation's name, its path and, for a replace or rename, the source; it may count, raise
    OSError or end the process.
    """
    global _hook
    _hook = hook


def operation(name: str, path: Path, source: Path | None = None) -> None:
    """Announce a change of the disk: of `path`, or for a replace or rename from `source` to `path`."""
    if _hook is not None:
        _hook(name, path, source)


@contextlib.contextmanager
def typed_errors(what: str, path: Path) -> Iterator[None]:
    """Turn an OSError into a `RecordingError` that names path, cause and next step."""
    try:
        yield
    except RecordingError:
        raise
    except OSError as error:
        cause = error.strerror or str(error)
        if error.errno in FULL:
            raise StorageFull(
                f"{what}: the disk is full ({path}).",
                hint="Free some space, then resume the run.",
                path=path,
                errno=error.errno,
            ) from error
        raise RecordingError(
            f"{what}: {cause} ({path}).",
            hint="Check the folder's permissions and the disk.",
            path=path,
            errno=error.errno,
        ) from error


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was just written: size in bytes, SHA-256, first bytes."""

    size: int
    sha256: str
    head: bytes


def write_stream(path: Path, stream: BinaryIO, *, sync: bool, limit: int | None = None) -> Written:
    """Write a stream to a new file in constant memory, hashing while it is written.

    Args:
        path: The new file; must not exist.
        stream: Where the bytes come from.
        sync: Force the bytes to disk before returning.
        limit: Largest size in bytes; more is refused.

    Raises:
        OSError: the disk refused; a half-written file is removed.
        RecordingError: the stream is larger than `limit`.
    """
    digest, size, head = hashlib.sha256(), 0, b""
    operation("create", path)
    try:
        with open(path, "xb", buffering=0) as file:  # noqa: PTH123  a third of the time of Path.open, on the hot path
            while block := stream.read(CHUNK):
                size += len(block)
                if limit is not None and size > limit:
                    raise RecordingError(f"The file is larger than the limit of {limit:,} bytes.", path=path)
                operation("write", path)
                _write_all(file, block)
                digest.update(block)
                if len(head) < SNIFF_BYTES:
                    head += block[: SNIFF_BYTES - len(head)]
            if sync:
                operation("fsync", path)
                os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    return Written(size, digest.hexdigest(), head)


def _write_all(file: Any, block: bytes) -> None:
    view = memoryview(block)
    while view:
        # A raw write may take less than it was given.
        view = view[file.write(view) :]


def write_bytes(path: Path, data: bytes, *, sync: bool) -> None:
    """Write a new file whole."""
    operation("create", path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        view = memoryview(data)
        while view:
            operation("write", path)
            view = view[os.write(descriptor, view) :]
        if sync:
            operation("fsync", path)
            os.fsync(descriptor)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    os.close(descriptor)


def replace(source: Path, target: Path) -> None:
    """Rename atomically over `target`; on Windows, wait for readers that hold it open."""
    operation("replace", target, source)
    _replace(source, target)


def _replace(source: Path, target: Path) -> None:
    for attempt in range(20):
        try:
            os.replace(source, target)  # noqa: PTH105  the one call that is atomic everywhere
            return
        except PermissionError:
            if os.name != "nt" or attempt == 19:
                raise
            time.sleep(0.01 * (attempt + 1))


def replace_unforced(source: Path, target: Path) -> None:
    """Rename atomically over `target` without having the file system flush the content first, where it can be spared.

    After a power loss `target` may be torn; after a crash of the process it is the old or the new content, and the old
    one may be left over as `source`.
    """
    operation("replace", target, source)
    if not swap(source, target):
        _replace(source, target)
        return
    operation("remove", source)
    with contextlib.suppress(FileNotFoundError):
        source.unlink()


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to disk; Windows has no such call and needs none."""
    operation("fsync_folder", folder)
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path, line: str, *, sync: bool = True) -> None:
    """Append one line with a single write, so that several writers never mix their lines.

    A torn last line (a crash within a write) is closed first, so that it costs only itself.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    operation("append", path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        torn = False
        if size:
            os.lseek(descriptor, size - 1, os.SEEK_SET)
            torn = os.read(descriptor, 1) != b"\n"
        os.write(descriptor, (b"\n" if torn else b"") + line.encode("utf-8") + b"\n")
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_entity_type(name: str) -> str:
    """`name`, if it may be part of a file name.

    Raises:
        UnsafePath: it holds anything but lower-case letters, digits and underscores.
    """
    if not isinstance(name, str) or not ENTITY_TYPE.fullmatch(name):
        raise UnsafePath(
            f"{name!r} is not an entity type.",
            hint="Entity types are lower-case letters, digits and underscores, for example output_image.",
        )
    return name


def check_run_id(run_id: str) -> str:
    """`run_id` as a lower-case UUID.

    Raises:
        UnsafePath: it is not a UUID.
    """
    try:
        parsed = str(uuid.UUID(run_id))
    except (ValueError, AttributeError, TypeError):
        parsed = ""
    if not parsed or parsed != str(run_id).lower():
        raise UnsafePath(
            f"{run_id!r} is not a UUID, so it cannot name a new run.", hint="Leave run_id out to have one made."
        )
    return parsed


def contained(folder: Path, filename: str) -> Path:
    """The path of a file directly in `folder`.

    Raises:
        UnsafePath: the name is a path, or a link leads out of the folder, or it is no plain file.
    """
    plain = Path(filename).name
    if (
        not filename
        or plain != filename
        or "/" in filename
        or "\\" in filename
        or "\0" in filename
        or filename in (".", "..")
    ):
        raise UnsafePath(f"{filename!r} is not a plain file name.", hint="The record may have been altered.")
    path = folder / filename
    if path.is_symlink():
        raise UnsafePath(f"{path} is a link; recorded files are never links.", hint="Restore the file itself.")
    return path


_PLAIN = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def open_plain(path: Path) -> io.BufferedReader:
    """Open a recorded file for reading: a plain file or nothing.

    Never follows a link, and never waits, as opening a named pipe would.

    Raises:
        UnsafePath: a link, folder, pipe, socket or device stands in its place.
        OSError: it cannot be opened.
    """
    if path.is_symlink():  # O_NOFOLLOW settles it where there is one; this also names the cause
        raise UnsafePath(f"{path} is a link; recorded files are never links.", hint="Restore the file itself.")
    descriptor = os.open(path, _PLAIN)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnsafePath(f"{path} is not a plain file.", hint="Restore the file itself.")
    return os.fdopen(descriptor, "rb")


_uuid_lock = threading.Lock()
_uuid_last = 0


def uuid7() -> str:
    """A UUID of version 7 (RFC 9562): sorts by time, strictly rising within a process.

    The 12 bits after the milliseconds count sub-millisecond fractions (method 3 of the RFC), which keeps the order of
    ids made within one millisecond.
    """
    global _uuid_last
    now = time.time_ns()
    moment = (now // 1_000_000) << 12 | (now % 1_000_000) * 4096 // 1_000_000
    with _uuid_lock:
        moment = max(moment, _uuid_last + 1)
        _uuid_last = moment
    milliseconds, fraction = moment >> 12, moment & 0xFFF
    value = (milliseconds & (1 << 48) - 1) << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=value))


def redact(value: Any) -> Any:
    """A copy of JSON-able `value` without secrets: values of telling keys, and strings that look like keys."""
    if isinstance(value, dict):
        return {k: "«removed»" if _is_secret(str(k), v) else redact(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    if isinstance(value, str):
        return SECRET_VALUES.sub("«removed»", value)
    return value


def _is_secret(key: str, value: Any) -> bool:
    return isinstance(value, str) and bool(value) and key.lower() not in NOT_SECRET and bool(SECRET_KEYS.search(key))

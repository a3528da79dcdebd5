"""The lease: who writes a run, and whether that writer still lives.

The writer's own subfolder `.writer-{epoch}/` holds `lease.json` and all temporary files. A successor renames it away
first, so that the next replace of a frozen and thawed writer finds no file to rename.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import re
import secrets
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from aipipe import files

WRITER = re.compile(r"\.writer-(\d+)")
LEASE = "lease.json"
BEAT_SECONDS = 10.0
"""A live writer touches its lease this often."""
OTHER_HOST_SECONDS = 300.0
"""In a one-shot read, a lease of another host that is older than this counts as gone."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who writes: host, boot, process and its start (so that a reused pid is not taken for the writer)."""

    host: str
    boot_id: str
    pid: int
    process_start: str
    epoch: int
    counter: int = 0

    def as_bytes(self) -> bytes:
        """The content of lease.json."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__}).encode()


@dataclass(frozen=True, slots=True)
class Writer:
    """What a reader knows of a run's writer.

    Attributes:
        lease: The lease, or None when it cannot be read (torn, or just being made).
        folder: The writer's subfolder.
        age: Seconds since the lease was touched.
        alive: True when the writer still lives, as far as one look can tell.
    """

    lease: Lease | None
    folder: Path
    age: float
    alive: bool


def claim(run_folder: Path, lease: Lease) -> Path:
    """Make the writer's subfolder with its lease inside, in one step: readers never see the one without the other.

    Raises:
        FileExistsError: another writer holds this epoch.
        OSError: the disk refused.
    """
    target = run_folder / f".writer-{lease.epoch}"
    making = run_folder / f".claim-{lease.pid}-{secrets.token_hex(4)}"
    files.operation("mkdir", making)
    making.mkdir()
    try:
        files.write_bytes(making / LEASE, lease.as_bytes(), sync=False)
        files.operation("rename", target, making)
        making.rename(target)
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST) or target.exists():
            raise FileExistsError(errno.EEXIST, "the epoch is taken", str(target)) from error
        raise
    return target


def own(epoch: int) -> Lease:
    """A lease of this process."""
    return Lease(socket.gethostname(), _boot_id(), os.getpid(), _own_start(os.getpid()), epoch)


@functools.cache
def _own_start(pid: int) -> str:
    """Start of this process; the argument keeps a forked child from taking its parent's."""
    return process_start(pid)


def find(run_folder: Path) -> Writer | None:
    """The writer of a run, or None when there is none. Reads only."""
    folders = writer_folders(run_folder)
    if not folders:
        return None
    folder = folders[-1]
    try:
        text = (folder / LEASE).read_text(encoding="utf-8")
        age = max(0.0, time.time() - (folder / LEASE).stat().st_mtime)
        lease = Lease(**json.loads(text))
    except (OSError, ValueError, TypeError):
        # No lease yet: its writer is being born, or died in birth.
        try:
            age = max(0.0, time.time() - folder.stat().st_mtime)
        except OSError:
            return None
        return Writer(None, folder, age, alive=age < BEAT_SECONDS)
    return Writer(lease, folder, age, alive=_alive(lease, age))


def read(path: Path) -> Writer | None:
    """Whoever wrote a lease into `path`, and whether it lives; None when there is none or it cannot be read."""
    try:
        lease = Lease(**json.loads(path.read_text(encoding="utf-8")))
        age = max(0.0, time.time() - path.stat().st_mtime)
    except (OSError, ValueError, TypeError):
        return None
    return Writer(lease, path.parent, age, alive=_alive(lease, age))


def writer_folders(run_folder: Path) -> list[Path]:
    """The `.writer-{epoch}` subfolders, oldest first; normally one or none."""
    try:
        with os.scandir(run_folder) as entries:
            found = [(int(m[1]), Path(e.path)) for e in entries if (m := WRITER.fullmatch(e.name))]
    except OSError:
        return []
    return [path for _, path in sorted(found)]


def _alive(lease: Lease, age: float) -> bool:
    if lease.host != socket.gethostname():
        return age < OTHER_HOST_SECONDS
    if lease.boot_id != _boot_id():
        return False
    return process_start(lease.pid) == lease.process_start != ""


@functools.lru_cache(maxsize=1)
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))


def process_start(pid: int) -> str:
    """When process `pid` began, in the system's own terms; "" when there is no such process (or only its remains)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return _portable_start(pid) if not Path("/proc/self/stat").exists() else ""
    except OSError:
        return ""
    # The name in parentheses may hold spaces; the fields after it are plain. Z and X are processes that have ended.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def _portable_start(pid: int) -> str:
    import psutil

    try:
        return f"{psutil.Process(pid).create_time():.3f}"
    except psutil.Error:
        return ""

"""Where the index of a store lies: beside the runs on a local disk, else in the user's cache.

An index is what can be made again from the runs at any time: deleting it changes no answer.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from functools import lru_cache
from pathlib import Path

_NETWORK = ("nfs", "cifs", "smb", "afpfs", "webdav", "davfs", "9p", "fuse.sshfs", "fuse.rclone", "fuse.gvfs", "ncpfs")


def index_folder(root: Path) -> Path | None:
    """Folder for the index of a store; None when neither the store nor the cache can be written."""
    if not on_network(root) and os.access(root, os.W_OK):
        return _beside(root)
    return _in_cache(root)


def clear_indexes(root: Path) -> bool:
    """Delete the index of a store wherever one may lie; True when there was one."""
    found = [f for f in (_beside(root), _in_cache(root)) if f is not None and f.is_dir()]
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return bool(found)


def _beside(root: Path) -> Path:
    return root / ".aipipe" / "index"


def _in_cache(root: Path) -> Path | None:
    base = cache_folder()
    if base is None:
        return None
    return base / hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:24]


def cache_folder() -> Path | None:
    """The user's cache folder for indexes, or None when there is no home to write to."""
    if given := os.environ.get("AIPIPE_CACHE"):
        return Path(given) / "index"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "aipipe" / "index"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "aipipe" / "index"
    return Path(os.environ.get("XDG_CACHE_HOME", home / ".cache")) / "aipipe" / "index"


def on_network(root: Path) -> bool:
    """True when a folder lies on a network share, as far as the system tells."""
    if sys.platform == "win32":
        import ctypes

        anchor = root.resolve().anchor
        remote = 4
        return anchor.startswith("\\\\") or ctypes.windll.kernel32.GetDriveTypeW(anchor) == remote
    return _kind(root, _device(root)).startswith(_NETWORK)


def _device(root: Path) -> int:
    try:
        return root.stat().st_dev
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _kind(root: Path, device: int) -> str:
    """File system type of the mount that holds a folder (Linux); empty where /proc/mounts does not exist.

    The device tells a file system that was mounted later at the same place from the one asked about before.
    """
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    inner = f"{root}/"
    for line in lines:
        _, mount, found, *_ = line.split(" ")
        mount = mount.replace("\\040", " ")
        if len(mount) >= len(best) and inner.startswith(mount if mount == "/" else f"{mount}/"):
            best, kind = mount, found
    return kind

"""Where the embedded parts keep their files: the user's cache, or `AIPIPE_CACHE`."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from aipipe.errors import ServiceTimeout


def cache() -> Path:
    """The folder of aipipe in the user's cache; made if missing, readable by the user alone."""
    named = os.environ.get("AIPIPE_CACHE")
    if named:
        folder = Path(named).expanduser()
    else:
        from platformdirs import user_cache_path

        folder = user_cache_path("aipipe", appauthor=False)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@contextlib.contextmanager
def locked(path: Path, *, patience: float) -> Iterator[None]:
    """Hold an exclusive lock between processes; the system lets go of it when the holder ends, however it ends.

    Args:
        path: The lock file.
        patience: Seconds to wait for another holder.

    Raises:
        ServiceTimeout: another process held it all the time.
    """
    deadline = time.monotonic() + patience
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise ServiceTimeout(
                    f"Another process has been busy with the embedded model for {patience:.0f} s.",
                    hint=f"Wait for it, or remove {path} if nothing is running.",
                )
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

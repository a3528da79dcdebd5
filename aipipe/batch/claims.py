"""Claims: small lease files by which processes on any number of hosts agree who does what.

A claim comes into being with its content (a hard link), so that of several who try exactly one succeeds. Its owner touches it
while it lives, and a dead owner's claim is void: at once on the same host, after minutes without a touch on another.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from aipipe import lease
from aipipe.errors import RunLocked

LOCK_SECONDS = 30.0


def take(path: Path, number: int = 1) -> bool:
    """Claim `path` for this process; False when somebody else has it, dead or alive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.parent / f".{path.name}.{os.getpid()}.{threading.get_ident()}"
    mine.write_bytes(lease.own(number).as_bytes())
    try:
        os.link(mine, path)
    except FileExistsError:
        return False
    finally:
        mine.unlink()
    return True


def alive(path: Path) -> bool:
    """Whether the owner of a claim still lives, as far as one look can tell."""
    owner = lease.read(path)
    return owner is not None and owner.alive


class Heartbeat:
    """Touches claims while their owner works, for the eyes of other hosts. A context manager."""

    def __init__(self) -> None:
        self._held: set[Path] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()

    def hold(self, path: Path) -> None:
        """Begin to touch a claim."""
        with self._lock:
            self._held.add(path)

    def let_go(self, path: Path) -> None:
        """Stop touching it."""
        with self._lock:
            self._held.discard(path)

    def beat(self) -> None:
        """Touch every claim that is held."""
        with self._lock:
            held = list(self._held)
        for path in held:
            with contextlib.suppress(OSError):  # erased with its batch, or a network share that is away for a while
                os.utime(path)

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, daemon=True, name="aipipe-batch-heartbeat").start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(lease.BEAT_SECONDS):
            self.beat()


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold `path` alone for a moment; a dead owner's lock is taken away.

    Raises:
        RunLocked: a live process held it too long.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while not take(path):
        if not alive(path):
            _take_away(path)
        elif time.monotonic() > deadline:
            raise RunLocked(f"{path} is held by another process that is alive.", hint="Try again, or end that process.")
        time.sleep(0.02)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _take_away(path: Path) -> None:
    """Remove a dead owner's lock; one that a faster process has made meanwhile is put back."""
    away = path.with_name(f"{path.name}.dead.{os.getpid()}.{threading.get_ident()}")
    with contextlib.suppress(FileNotFoundError):
        path.rename(away)
        if alive(away):
            with contextlib.suppress(FileExistsError):
                os.link(away, path)
        away.unlink()

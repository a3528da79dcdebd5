"""Running a batch: pools, the process that outlives a kernel, and waiting for the end."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.batch.pools import ExecutorPool, LocalPool
from aipipe.batch.scheduling import Schedule
from aipipe.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from aipipe.batch.batch import Batch

_STARTED: list[subprocess.Popen[bytes]] = []
"""Processes of `Batch.start`. Nobody waits for them, but a forgotten handle would warn."""


def is_here(executor: Any) -> bool:
    """Whether cases run on this machine, so that what answers here answers there too."""
    return executor == "local" or isinstance(executor, Executor)


@contextlib.contextmanager
def open_pool(schedule: Schedule, executor: Any, workers: int) -> Iterator[LocalPool | ExecutorPool]:
    """The pool that an `executor` argument means; a dask client that is made here is closed here.

    Raises:
        UsageError: it is no executor.
        MissingExtra: dask is not installed.
    """
    if executor == "local":
        yield LocalPool(schedule, workers)
        return
    if not isinstance(executor, str):
        if not callable(getattr(executor, "submit", None)):
            raise UsageError(
                f"{type(executor).__name__} is no executor.",
                hint='"local", "dask", the address of a dask scheduler, or an object with submit().',
            )
        yield ExecutorPool(schedule, executor, workers)
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtra("Batches on dask", "batch") from error
    with Client() if executor == "dask" else Client(executor) as client:
        yield ExecutorPool(schedule, client, workers)


def follow(batch: Batch, schedule: Schedule, pool: LocalPool | ExecutorPool, *, display: bool) -> None:
    """Wait for the end and show how it goes. Ctrl-C drains, a second one stops.

    Raises:
        KeyboardInterrupt: passed on when all is said.
    """
    from aipipe.batch.view import BatchView

    with BatchView(batch, enabled=display) as view:
        pool.start()
        interrupts = 0
        while True:
            try:
                if pool.wait(0.2):
                    break
                view.update(schedule.paused)
            except KeyboardInterrupt:
                interrupts += 1
                schedule.draining.set()
                view.note("draining: running cases come to their end; Ctrl-C again stops at once")
                if interrupts > 1:
                    pool.stop()
                    break
        view.update(schedule.paused)
    if pool.errors:
        raise pool.errors[0]
    if interrupts:
        raise KeyboardInterrupt


def start_process(arguments: list[str], *, folder: Path, log: Path) -> None:
    """Start `aipipe` in a session of its own: no kernel, terminal or browser takes it along when it ends."""
    own: dict[str, Any] = {"creationflags": 0x00000208} if sys.platform == "win32" else {"start_new_session": True}
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "aipipe", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=folder,
            **own,
        )
    _STARTED.append(process)

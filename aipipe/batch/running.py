"""Running a batch: pools, the process that outlives a kernel, and waiting for the end."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.batch.control import Control
from aipipe.batch.options import Options
from aipipe.batch.pools import ExecutorPool, LocalPool
from aipipe.batch.scheduling import Schedule
from aipipe.batch.storage import Storage
from aipipe.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from aipipe.batch.batch import Batch

EXECUTORS = '"local", "dask", the address of a dask scheduler (tcp://host:8786), or an object with submit().'


def check_executor(executor: Any) -> None:
    """Refuse what is no executor, before anything is written.

    Raises:
        UsageError: it is none.
    """
    if isinstance(executor, str):
        if executor not in ("local", "dask") and "://" not in executor and ":" not in executor:
            raise UsageError(f"executor={executor!r} is unknown.", hint=EXECUTORS)
    elif not callable(getattr(executor, "submit", None)):
        raise UsageError(f"{type(executor).__name__} is no executor.", hint=EXECUTORS)


def check_storage(options: Options, executor: Any) -> None:
    """Refuse a storage that does not work, or that nothing would use.

    Raises:
        UsageError: cases run on this machine, or in threads of this process.
        InvalidPlan, MissingExtra: the address does not work.
    """
    if not options.storage:
        return
    if executor == "local":
        raise UsageError(
            "storage= is for workers that do not see this disk.", hint='Leave it out, or name executor="dask".'
        )
    Storage(options.storage).check()


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

    control = Control(schedule.place.folder)
    with BatchView(batch, enabled=display) as view:
        pool.start()
        interrupts = 0
        while True:
            try:
                if pool.wait(0.2):
                    break
                word = control.heard()
                if word:
                    view.note(f"{word}: said from outside")
                if word == "stop":
                    pool.stop()
                    break
                _obey(schedule, word)
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


def _obey(schedule: Schedule, word: str) -> None:
    if word == "pause":
        schedule.resting.set()
    elif word == "resume":
        schedule.resting.clear()
    elif word == "drain":
        schedule.draining.set()


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
    # A kernel that runs for weeks must not collect the dead; the thread ends with this process at the latest.
    threading.Thread(target=process.wait, name="aipipe-child", daemon=True).start()

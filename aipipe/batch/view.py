"""A batch while it runs: one progress bar on a terminal, one updated output in a cell, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from aipipe.batch.control import is_paused, say
from aipipe.batch.snapshot import Snapshot, snapshot_of
from aipipe.ui.observer import in_kernel

if TYPE_CHECKING:
    from aipipe.batch.batch import Batch
    from aipipe.batch.status import BatchStatus

PAUSED = "paused; `aipipe batch resume` continues"
IDLE_SECONDS = 30.0
CELL_SECONDS, LINE_SECONDS = 1.0, 10.0
SHARE = 9.0
"""After a look that took t, nobody looks for this many times t."""


class BatchView:
    """Shows a batch from the main thread; use it as a context manager."""

    def __init__(self, batch: Batch, *, enabled: bool) -> None:
        self._batch = batch
        self._place = "none" if not enabled else "cell" if in_kernel() else "bar" if sys.stderr.isatty() else "lines"
        self._cell: Any = None
        self._bar: Any = None
        self._task: Any = None
        self._last = 0.0
        self._paused: Mapping[str, str] = {}

    def __enter__(self) -> Self:
        if self._place == "none":
            return self
        snapshot = self._snapshot({})
        if self._place == "cell":
            from aipipe.batch.cell import CellView

            self._cell = CellView(snapshot, functools.partial(say, self._batch.folder))
        elif self._place == "bar":
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("batch"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
                console=Console(stderr=True),
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task("", total=snapshot.progress.total, completed=snapshot.progress.ended)
        return self

    def update(self, paused: Mapping[str, str]) -> None:
        """Show how it stands, if it was not shown just now."""
        pause = {"cell": CELL_SECONDS, "bar": 0.5, "lines": LINE_SECONDS, "none": 3600.0}[self._place]
        self._paused = paused
        if self._place != "none" and time.monotonic() - self._last >= pause:
            started = time.monotonic()
            self._show(self._snapshot(paused))
            # A ledger of many thousands of lines takes its time to read; looking must not become the work.
            self._last = time.monotonic() + SHARE * (time.monotonic() - started)

    def note(self, text: str) -> None:
        """Say something at once."""
        if self._place == "bar":
            self._bar.console.print(text)
        elif self._place != "none":
            sys.stderr.write(f"{text}\n")

    def __exit__(self, *exc: object) -> None:
        if self._place == "none":
            return
        snapshot = self._snapshot(self._paused)
        if self._cell is not None:
            self._cell.close(snapshot)
        else:
            self._show(snapshot)
        if self._bar is not None:
            self._bar.stop()

    def _snapshot(self, paused: Mapping[str, str]) -> Snapshot:
        return snapshot_of(self._batch, paused, pictures=self._place == "cell")

    def _show(self, snapshot: Snapshot) -> None:
        if self._place == "cell":
            self._cell.show(snapshot)
        elif self._place == "bar":
            self._bar.update(self._task, completed=snapshot.progress.ended, description=_words(snapshot))
        elif self._place == "lines":
            sys.stderr.write(f"{snapshot}\n")


def _words(snapshot: Snapshot) -> str:
    """What stands beside a bar on a terminal: rate, rest, unusual states, the oldest running case, what is paused."""
    shown = [
        f"{n} {name}"
        for name, n in snapshot.status.counts.items()
        if n and name in ("blocked", "failed", "running", "interrupted")
    ]
    pace = str(snapshot.progress).split(" · ")[1:]
    now = [current.name for current in snapshot.progress.current[:1]]
    paused = [f"{name} is paused" for name in snapshot.status.paused]
    return " · ".join([*pace, *shown, *paused, *now])


def watch(batch: Batch) -> BatchStatus:
    """Show a batch that runs elsewhere until nothing is left to do, or nobody works on it any more, or a person has seen enough."""
    with BatchView(batch, enabled=True) as view, contextlib.suppress(KeyboardInterrupt):
        seen = time.monotonic()
        while not (status := batch.status).done:
            view.update({"the batch": PAUSED} if is_paused(batch.folder) else {})
            seen = time.monotonic() if status.counts["running"] else seen
            if time.monotonic() - seen > IDLE_SECONDS and not is_paused(batch.folder):
                view.note("nobody works on this batch; `aipipe batch join` goes on with it")
                break
            time.sleep(0.5)
    return batch.status

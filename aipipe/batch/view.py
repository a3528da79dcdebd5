"""A batch while it runs: one progress bar on a terminal, one updated output in a cell, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from aipipe.ui.observer import in_kernel

if TYPE_CHECKING:
    from aipipe.batch.batch import Batch
    from aipipe.batch.status import BatchStatus

CELL_SECONDS, LINE_SECONDS = 1.0, 10.0


class BatchView:
    """Shows a batch from the main thread; use it as a context manager."""

    def __init__(self, batch: Batch, *, enabled: bool) -> None:
        self._batch = batch
        self._place = "none" if not enabled else "cell" if in_kernel() else "bar" if sys.stderr.isatty() else "lines"
        self._handle: Any = None
        self._bar: Any = None
        self._task: Any = None
        self._last = 0.0
        self._begun = time.monotonic()
        self._ended_before = 0

    def __enter__(self) -> Self:
        status = self._batch.status
        self._ended_before = _ended(status)
        if self._place == "cell":
            from IPython.display import display

            self._handle = display(self._bundle(status), raw=True, display_id=True)
        elif self._place == "bar":
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("batch"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.description}"),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(
                "", total=status.counts["planned"] - status.counts["excluded"], completed=_ended(status)
            )
        return self

    def update(self, paused: Mapping[str, str]) -> None:
        """Show how it stands, if it was not shown just now."""
        pause = {"cell": CELL_SECONDS, "bar": 0.5, "lines": LINE_SECONDS, "none": 3600.0}[self._place]
        if time.monotonic() - self._last >= pause:
            self._last = time.monotonic()
            self._show(self._batch._status(paused))

    def note(self, text: str) -> None:
        """Say something at once."""
        if self._place == "bar":
            self._bar.console.print(text)
        elif self._place != "none":
            sys.stderr.write(f"{text}\n")

    def __exit__(self, *exc: object) -> None:
        status = self._batch.status
        if self._place != "none":
            self._show(status)
        if self._bar is not None:
            self._bar.stop()

    def _show(self, status: BatchStatus) -> None:
        if self._place == "cell":
            self._handle.update(self._bundle(status), raw=True)
        elif self._place == "bar":
            words = " · ".join(
                f"{n} {name}"
                for name, n in status.counts.items()
                if n and name in ("blocked", "failed", "running", "interrupted")
            )
            self._bar.update(self._task, completed=_ended(status), description=words)
        elif self._place == "lines":
            sys.stderr.write(f"{status}{self._pace(status)}\n")

    def _pace(self, status: BatchStatus) -> str:
        done = _ended(status) - self._ended_before
        left = status.counts["planned"] - status.counts["excluded"] - _ended(status)
        if done <= 0 or left <= 0:
            return ""
        spent = time.monotonic() - self._begun
        return f" · about {left * spent / done / 60:.0f} min left"

    def _bundle(self, status: BatchStatus) -> dict[str, Any]:
        from aipipe.batch.report import status_html

        return {"text/html": status_html(status) + f"<div>{self._pace(status)}</div>", "text/plain": str(status)}


def _ended(status: BatchStatus) -> int:
    return sum(status.counts[name] for name in ("completed", "blocked", "failed"))

"""Dozens of runs in one cell: a grid, a live table, no notebooks."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

from aipipe.background import interruptible
from aipipe.cancellation import Cancellation
from aipipe.definitions import Config
from aipipe.display.html import page
from aipipe.display.store_view import run_row, runs_table
from aipipe.display.table import table_text
from aipipe.engine import execute
from aipipe.errors import RunCancelled, UsageError
from aipipe.store import Run

if TYPE_CHECKING:
    from aipipe.lab.lab import Lab


SHOWN = 100
"""Most runs of a table in a cell: each brings a picture of up to 4 kB."""


class Runs(list[Run]):
    """A list of runs that knows how to show and compare itself."""

    def frame(self, **options: Any) -> Any:
        """One row per run, as `aipipe.load_runs` gives."""
        import aipipe

        return aipipe.load_runs(list(self), **options)

    def compare(self, **options: Any) -> Any:
        """The runs side by side: see `aipipe.compare`."""
        import aipipe

        return aipipe.compare(list(self), **options)

    def gallery(self) -> Any:
        """The runs as a gallery: see `aipipe.gallery`."""
        import aipipe

        return aipipe.gallery(list(self))

    def _rows(self) -> list[dict[str, str]]:
        return [_row(number, run) for number, run in enumerate(self, start=1)]

    def __repr__(self) -> str:
        return table_text(self._rows()) if self else "no runs"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        rows = [run_row(run) for run in self[:SHOWN]]
        return {"text/html": _runs_html(rows, f"{len(self)} runs", len(self)), "text/plain": repr(self)}


def run_grid(
    lab: Lab,
    configs: Any,
    texts: Iterable[str | Sequence[str]],
    *,
    seeds: Sequence[int],
    workers: int,
    options: dict[str, Any],
) -> Runs:
    """Run configs × texts × seeds. Everything is resolved before the first run, so that bad input costs nothing."""
    several = list(configs) if isinstance(configs, (list, tuple)) else [configs]
    inputs = [(text,) if isinstance(text, str) else tuple(text) for text in texts]
    if isinstance(texts, str):
        raise UsageError("texts is one string.", hint='Give a list: lab.map("dada", ["a flower", "a house"]).')
    cases = [(config, text, seed) for config in several for text in inputs for seed in seeds]
    for config, text, seed in cases:
        lab.plan(config, *text, **{**options, "seed": seed, "observers": None})
    table = _LiveTable(len(cases))
    cancellation = Cancellation()
    with table, interruptible(cancellation), ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        futures = [pool.submit(_case, lab, case, options, cancellation, table) for case in cases]
        try:
            done = [future.result() for future in futures]
        except BaseException:
            cancellation.cancel("interrupted")
            for future in futures:
                future.cancel()
            raise
    return Runs(run for run in done if run is not None)


def _case(
    lab: Lab, case: tuple[Any, tuple[str, ...], int], options: dict[str, Any], all_: Cancellation, table: _LiveTable
) -> Run | None:
    with contextlib.suppress(RunCancelled):
        all_.check()
        config, text, seed = case
        context = lab._begin(config, text, {**options, "seed": seed}, quiet=True)
        remove = all_.on_cancel(context.cancellation.cancel)
        try:
            execute(context)
        finally:
            remove()
            context.recorder.close()
        run = lab.store.open(context.recorder.run_id)
        table.add(run)
        return run
    return None


def config_label(config: Any) -> str:
    """How a config is called in tables."""
    return config.name if isinstance(config, Config) else str(config)


def _runs_html(rows: list[str], title: str, total: int) -> str:
    more = f'<div class="aip-note">… and {total - SHOWN} more; .gallery() shows them all</div>' if total > SHOWN else ""
    body = runs_table(rows) + more if rows else ""
    return page(f'<div class="aip-head"><span class="aip-title">{title}</span></div>{body}', label="runs")


def _row(number: int, run: Run) -> dict[str, str]:
    record = run.record
    prompt = next((e.text for e in (*run.all("interception"), *run.all("interception_edit"))), "")
    return {
        "#": str(number),
        "config": record.config_name,
        "seed": record.seed or "",
        "status": run.status,
        "prompt": prompt[:160] + ("…" if len(prompt) > 160 else ""),
        "seconds": f"{record.seconds:.1f}" if record.seconds is not None else "",
        "run": run.run_id,
    }


class _LiveTable:
    """A table that grows while the runs end: one updated output in a notebook, a line per run elsewhere."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._done = 0
        self._rows: list[str] = []
        self._lock = threading.Lock()
        self._handle: Any = None

    def __enter__(self) -> Self:
        if "ipykernel" in sys.modules:
            from IPython.display import HTML, display

            with contextlib.suppress(Exception):
                self._handle = display(HTML(self._html()), display_id=True)
        return self

    def __exit__(self, *exc: object) -> None:
        self._handle = None

    def add(self, run: Run) -> None:
        with self._lock:
            self._done += 1
            if self._handle is not None:
                from IPython.display import HTML

                # An ended run does not change: its row, with its picture, is made once.
                if len(self._rows) < SHOWN:
                    self._rows.append(run_row(run))
                self._handle.update(HTML(self._html()))
            elif sys.stderr.isatty():
                sys.stderr.write(f"{self._done}/{self.total} {run.config_name} {run.status}\n")

    def _html(self) -> str:
        return _runs_html(self._rows, f"{self._done} of {self.total} runs", self._done)

"""Executed notebooks that say what happened, whatever ended them.

Papermill's own files claim `completed` for every cell after a killed kernel, a time limit or Ctrl-C, are rewritten whole
before and after every cell, and are torn when the writer dies in between. Here a cell that did not come to its end is never
called completed, files are replaced atomically, and they are saved as often as saving is cheap.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat
from papermill.engines import NBClientEngine, NotebookExecutionManager
from papermill.iorw import LocalHandler, papermill_io

from aipipe import files

SAVE_EVERY = 2.0
"""Seconds between two saves while the notebook runs."""
SAVE_SHARE = 0.05
"""At most this share of the time goes into saving."""


class HonestNotebook(NotebookExecutionManager):  # type: ignore[misc]
    """A notebook while it is executed.

    Args:
        nb: The notebook.
        save_to: Local file that is written besides what papermill writes.
        facts: What the file's metadata say under `aipipe`.
        closing: Asked at the end for further such facts.
        options: As for papermill's own manager.
    """

    def __init__(
        self, nb: Any, *, save_to: str | None = None, facts: Mapping[str, Any] | None = None,
        closing: Callable[[], Mapping[str, Any]] | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(nb, **options)
        self._outside = sys.exc_info()[1]
        self._local = Path(save_to) if save_to else _local(self.output_path)
        self._facts = dict(facts or {})
        self._closing = closing
        self._saved = self._took = 0.0
        self._cell: Any = None
        self._message = ""
        self._state = "running"

    def save(self, **kwargs: Any) -> None:
        """Save now and then; the last word is always saved."""
        if kwargs.get("nb") is not None:
            self.nb = kwargs["nb"]
        since = time.monotonic() - self._saved
        if self._state != "running" or since >= max(SAVE_EVERY, self._took / SAVE_SHARE):
            self._save()

    def cell_start(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """Remember which cell runs."""
        self._cell = cell
        super().cell_start(cell, cell_index, **kwargs)

    def cell_exception(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """Remember what the cell raised."""
        error = kwargs.get("exception")
        self._message = f"{getattr(error, 'ename', 'error')}: {getattr(error, 'evalue', error)}"[:500]
        super().cell_exception(cell, cell_index, **kwargs)

    def cell_complete(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """End a cell; papermill comes here also while an error is on its way, and then the cell is not completed."""
        error = sys.exc_info()[1]
        if error is not None and error is not self._outside:
            self.broken(error)
        super().cell_complete(cell, cell_index, **kwargs)

    def broken(self, error: BaseException) -> None:
        """The notebook ends here, by something that is no error of a cell."""
        self._message = f"{type(error).__name__}: {error}"[:500]
        if self._cell is not None and self._cell.metadata.papermill["status"] != self.FAILED:
            self.cell_exception(self._cell)
            self._message = f"{type(error).__name__}: {error}"[:500]
        self.nb.metadata.papermill["exception"] = True

    def notebook_complete(self, **kwargs: Any) -> None:
        """End the notebook. Cells that nobody started stay pending."""
        facts = self.nb.metadata.papermill
        facts["exception"] = bool(facts.get("exception"))
        self._state = "failed" if facts["exception"] else "completed"
        self.end_time = self.now()
        facts["end_time"] = self.end_time.isoformat()
        if facts.get("start_time"):
            facts["duration"] = (self.end_time - self.start_time).total_seconds()
        if self._closing is not None:
            self._facts |= self._closing()
        self.complete_pbar()
        self.cleanup_pbar()
        self.save()

    def _save(self) -> None:
        started = time.monotonic()
        if self._facts or self._state != "running":
            self.nb.metadata["aipipe"] = {**self._facts, "status": self._state, "message": self._message}
        if self._local is not None:
            write(self._local, self.nb, sync=self._state != "running")
        elif self.output_path:
            super().save()
        self._saved = time.monotonic()
        self._took = self._saved - started
        self.last_save_time = self.now()


class HonestEngine(NBClientEngine):  # type: ignore[misc]
    """Papermill's engine, its kernels and its client, with honest files."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: Any = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        save_to: str | None = None,
        facts: Mapping[str, Any] | None = None,
        closing: Callable[[], Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Execute a notebook.

        Args:
            nb: The notebook.
            kernel_name: Its kernel.
            output_path: As papermill gives it.
            progress_bar: As for papermill.
            log_output: As for papermill.
            autosave_cell_every: As for papermill.
            save_to: Local file that is written instead of `output_path`.
            facts: What the file's metadata say under `aipipe`.
            closing: Asked at the end for further such facts.
            kwargs: For the kernel's client.
        """
        manager = HonestNotebook(
            nb, output_path=output_path, progress_bar=progress_bar, log_output=log_output,
            autosave_cell_every=autosave_cell_every, save_to=save_to, facts=facts, closing=closing,
        )  # fmt: skip
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, **kwargs)
        except BaseException as error:
            manager.broken(error)
            raise
        finally:
            manager.notebook_complete()
        return manager.nb


def write(path: Path, notebook: Any, *, sync: bool) -> None:
    """Replace a notebook's file: the old one or the new one, never half of one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    with files.typed_errors("The executed notebook could not be written", path):
        files.write_bytes(temporary, nbformat.writes(notebook).encode(), sync=sync)
        files.replace(temporary, path)


def _local(path: str | None) -> Path | None:
    """Where a local output lies; None for storage that papermill reaches by other ways."""
    if not path or path == "-":
        return None
    handler = papermill_io.get_handler(path)
    if not isinstance(handler, LocalHandler):
        return None
    folder = handler.cwd(None)  # it answers with what it was
    handler.cwd(folder)
    return Path(folder or os.getcwd()) / path  # noqa: PTH109

"""Who looks at the output of a cell: a person with a live page, or a program that stores the notebook."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

STATIC = Path(__file__).parent / "static"


def kernel() -> Any:
    """The kernel this code runs in, None elsewhere."""
    if "ipykernel" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None)


def live() -> bool:
    """True where widgets can live: a kernel whose front end belongs to a person.

    Programs that execute notebooks (papermill, nbconvert, nbval) cannot answer a question from `input()` and say so in
    their requests. What they store is read without a kernel, so it must be plain HTML. `AIPIPE_WIDGETS=0` or `1`
    decides by hand.
    """
    chosen = os.environ.get("AIPIPE_WIDGETS", "")
    if chosen in ("0", "1"):
        return chosen == "1"
    found = kernel()
    return found is not None and bool(getattr(found, "_allow_stdin", True)) and "AIPIPE_BATCH_ID" not in os.environ


@lru_cache(maxsize=16)
def asset(name: str) -> str:
    """A file of `static/` as text."""
    return (STATIC / name).read_text(encoding="utf-8")


class Output:
    """One output that is replaced in place; made in the cell's thread, updated from any.

    An update is sent as part of the cell that runs at that moment, not of the one that made the output: programs that
    execute notebooks only listen to the running cell, and every front end finds the output by its id.
    """

    def __init__(self, bundle: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        from IPython.display import display

        self._handle = display(bundle, raw=True, metadata=metadata or {}, display_id=True)

    def update(self, bundle: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """Show `bundle` instead of what is shown."""
        if self._handle is not None:
            self._handle.update(bundle, raw=True, metadata=metadata or {})


def show(widget: Any, static: dict[str, str]) -> None:
    """Show a widget over its static form where a person looks, else the static form alone."""
    if live() and widget is not None:
        from aipipe.ui.curtain import present

        present(widget, static)
        return
    from IPython.display import display

    display(static, raw=True)


def after_cell(callback: Callable[[Any], None]) -> None:
    """Call `callback` once with the value of the running cell when it ends."""
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    if shell is None:
        return

    def hook(result: Any) -> None:
        with contextlib.suppress(ValueError):
            shell.events.unregister("post_run_cell", hook)
        callback(getattr(result, "result", None))

    shell.events.register("post_run_cell", hook)


def answer_while_busy(widget: Any) -> None:
    """Let the messages of a widget's page arrive while the kernel is busy with a cell.

    JupyterLab sends them to a subshell, a thread of its own. ipykernel from 7.4 sends them on to the shell whose code
    last wrote to the widget, so that an answer finds whoever asked; for a cell that shows its own progress this is the
    blocked main thread, and a Cancel button would act when there is nothing left to cancel. These widgets ask nothing:
    their messages stay where the page sent them, and what handles them must be safe from any thread. Where there are
    no subshells nothing changes.
    """
    comm = getattr(widget, "comm", None)
    if comm is not None and hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, default: default

"""Which live view fits the place a run starts in; named by the entry point group `aipipe.observers`."""

from __future__ import annotations

import sys

from aipipe.events import Observer


def in_kernel() -> bool:
    """True in a Jupyter kernel."""
    if "ipykernel" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return bool(shell is not None and getattr(shell, "kernel", None) is not None)


def notebook_observer() -> Observer | None:
    """The monitor in a cell; None outside a kernel."""
    if not in_kernel():
        return None
    from aipipe.ui.monitor import NotebookMonitor

    return NotebookMonitor()


def terminal_observer() -> Observer | None:
    """Moving lines on a terminal, plain lines elsewhere; None in a kernel, where the monitor shows the run."""
    if in_kernel():
        return None
    from aipipe.ui.terminal import PlainObserver, TerminalObserver

    return TerminalObserver() if sys.stderr.isatty() else PlainObserver()

"""The live view of a job outside a run: the same observers as those of a run."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from aipipe import events
from aipipe.errors import AipipeError, RunCancelled
from aipipe.events import Observer, Observers, Watch

if TYPE_CHECKING:
    from aipipe.comfy.jobs import Job
    from aipipe.comfy.pooljob import PoolJob

log = logging.getLogger(__name__)


def views() -> list[Observer]:
    """The installed live views, where a person looks on: in a notebook or on a terminal."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if getattr(shell, "kernel", None) is None and not sys.stderr.isatty():
        return []
    found: list[Observer] = []
    for point in entry_points(group="aipipe.observers"):
        try:
            view = point.load()()
        except Exception:
            log.warning("the view %r could not be made", point.name, exc_info=True)
            continue
        if view is not None:
            found.append(view)
    return found


@contextlib.contextmanager
def watching(job: Job | PoolJob, watch: Watch | None) -> Iterator[Watch]:
    """A watch that shows the job while the block runs; a given one is used as it is."""
    if watch is not None:
        yield watch
        return
    observers = Observers(views())
    began = time.monotonic()

    def cancel() -> None:
        job.cancel()

    observers.emit(
        events.RunStarted(run_id=job.job_id, config_name="ComfyUI", models={"server": job.server.url}, cancel=cancel)
    )
    status, message, hint = "completed", "", ""
    try:
        yield Watch(observers.emit)
    except (RunCancelled, KeyboardInterrupt) as error:
        status, message = "cancelled", str(error)
        raise
    except AipipeError as error:
        status = "cancelled" if type(error).__name__ == "Cancelled" else "failed"
        message, hint = error.message, error.hint
        raise
    finally:
        observers.emit(
            events.RunEnded(
                run_id=job.job_id, status=status, message=message, hint=hint, seconds=time.monotonic() - began
            )
        )

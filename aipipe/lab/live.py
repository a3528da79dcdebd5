"""A run that goes on beside the cell that started it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from aipipe.background import Background
from aipipe.store import Run


class LiveRun:
    """What `lab.start` returns: wait for it, await it, cancel it.

    Attributes:
        run_id: Id of the run, known before any work starts.
        run: Read-only handle of the run as it is on disk now.
    """

    def __init__(self, run: Run, work: Background[Run]) -> None:
        self.run_id = run.run_id
        self._run = run
        self._work = work

    @property
    def run(self) -> Run:
        """The run as it is on disk now."""
        self._run.refresh()
        return self._run

    @property
    def status(self) -> str:
        """The run's status now."""
        return self.run.status

    @property
    def done(self) -> bool:
        """True once the run has ended."""
        return self._work.done

    def cancel(self) -> None:
        """Ask the run to stop; it will say `cancelled`."""
        self._work.cancel()

    def wait(self, timeout: float | None = None) -> Run:
        """Wait for the end and return the run.

        Args:
            timeout: Seconds to wait at most; None waits for ever.

        Raises:
            TimeoutError: it still runs after `timeout` seconds.
            RecordingError: the record could not be written.
        """
        return self._work.wait(timeout)

    def __await__(self) -> Generator[Any, None, Run]:
        return self._work.__await__()

    def __repr__(self) -> str:
        return f"<LiveRun {self.run_id} {self.status}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """A short state while it runs, beside the monitor; the whole run once it has ended."""
        run = self.run
        if self.done:
            from aipipe.display import run_bundle

            return run_bundle(run)
        from aipipe.display import sheet_bundle

        reached = run.record.current_state
        facts = f"stage {reached.stage} · {reached.step}" if reached.step else f"stage {reached.stage}"
        note = "It goes on beside this cell: .cancel() stops it, .wait() gives the run."
        return sheet_bundle(
            f"{self!r}\n{note}",
            run.config_name,
            state=(run.status, run.status),
            facts=f"{facts} · {self.run_id}",
            notes=[note],
            label=f"run {self.run_id}",
        )

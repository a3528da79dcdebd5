"""One look at a batch: its numbers and how it goes, read from the ledger once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aipipe.batch.progress import Progress, duration, progress_of
from aipipe.batch.status import BatchStatus, status_of

if TYPE_CHECKING:
    from aipipe.batch.batch import Batch


@dataclass(frozen=True)
class Snapshot:
    """A batch at one moment."""

    status: BatchStatus
    progress: Progress

    def __str__(self) -> str:
        now = [
            f"  running for {duration(c.seconds)}: {c.name}{' (texts)' if c.phase else ''}"
            for c in self.progress.current
        ]
        return "\n".join([str(self.status), f"  {self.progress}", *now])

    def as_dict(self) -> dict[str, Any]:
        """Plain values: those of the status, rate, time left and the cases that run."""
        return {
            **self.status.as_dict(), "per_minute": self.progress.per_minute, "seconds_left": self.progress.seconds_left,
            "current": [{"case": c.name, "seconds": round(c.seconds, 1), "phase": c.phase} for c in self.progress.current],
        }  # fmt: skip


def snapshot_of(batch: Batch, paused: Mapping[str, str], *, pictures: bool) -> Snapshot:
    """Look at a batch.

    Args:
        batch: The batch.
        paused: Config or service → why its cases wait, where this process knows.
        pictures: Whether the newest pictures are looked for.
    """
    states = batch.states
    store = batch._lab.store if pictures else None
    return Snapshot(status_of(batch.batch_id, states, paused), progress_of(batch.plan.cases, states, store))

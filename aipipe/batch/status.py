"""How a batch stands: numbers that add up, and why cases failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from aipipe.batch.ledger import CaseState, causes, counts


@dataclass(frozen=True)
class BatchStatus:
    """How a batch stands; the numbers of the states add up to `planned`.

    Attributes:
        batch_id: The batch.
        counts: planned, started, and every state.
        causes: Kind of failure → (number, example).
        paused: Config → why no more of its cases were started.
    """

    batch_id: str
    counts: dict[str, int]
    causes: dict[str, tuple[int, str]] = field(default_factory=dict)
    paused: dict[str, str] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """True when nothing is left to do."""
        c = self.counts
        return c["waiting"] + c["running"] + c["interrupted"] == 0

    @property
    def clean(self) -> bool:
        """True when every case is completed, blocked or excluded."""
        return self.done and self.counts["failed"] == 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "done": self.done}

    def __str__(self) -> str:
        shown = " · ".join(f"{n} {name}" for name, n in self.counts.items() if n and name not in ("planned", "started"))
        lines = [f"batch {self.batch_id}: {self.counts['planned']} planned · {shown}"]
        lines += [f"  {number} × {cause}: {example}" for cause, (number, example) in self.causes.items()]
        lines += [f"  {config} is paused: {why}" for config, why in self.paused.items()]
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.batch.report import status_html

        return {"text/html": status_html(self), "text/plain": str(self)}


def status_of(batch_id: str, states: dict[str, CaseState], paused: Mapping[str, str]) -> BatchStatus:
    """The status that the states of all cases make."""
    found = {cause: (number, example) for cause, number, example in causes(states)}
    return BatchStatus(batch_id, counts(states), found, dict(paused))

"""How fast a batch goes, what it does now, and its newest pictures: read from the ledger, so that any process can tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aipipe.batch.ledger import CaseState
from aipipe.errors import AipipeError

if TYPE_CHECKING:
    from aipipe.batch.plan import Case
    from aipipe.store import Store

ENDED = ("completed", "blocked", "failed")
WINDOW_SECONDS = 900.0
"""The rate is that of the last quarter of an hour: the first cases load models, and workers come and go."""
PICTURES, CURRENT = 6, 8
NAME_LENGTH = 80


@dataclass(frozen=True)
class Current:
    """A case that runs now: its name for people, since how many seconds, and its phase."""

    name: str
    seconds: float
    phase: str = ""


@dataclass(frozen=True)
class Progress:
    """How a batch goes.

    Attributes:
        ended: Cases that are completed, blocked or failed.
        total: Cases that are not excluded.
        per_minute: Cases that ended in a minute, of late; None where none did.
        seconds_left: Time for the rest at this rate; None where it is unknown.
        current: Cases that run now, the longest first.
        pictures: Newest pictures: (caption, file), newest first.
    """

    ended: int
    total: int
    per_minute: float | None = None
    seconds_left: float | None = None
    current: tuple[Current, ...] = ()
    pictures: tuple[tuple[str, Path], ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.ended} of {self.total}"]
        if self.per_minute is not None:
            parts.append(_pace(self.per_minute))
        if self.seconds_left is not None:
            parts.append(f"about {duration(self.seconds_left)} left")
        return " · ".join(parts)


def progress_of(
    cases: Iterable[Case], states: Mapping[str, CaseState], store: Store | None = None, *, pictures: int = PICTURES
) -> Progress:
    """Progress of these cases; with a store also the newest pictures."""
    now = datetime.now(UTC)
    pairs = [(case, states[case.case_key]) for case in cases if not case.excluded]
    begun = [age for _, state in pairs if (age := _age(state.started, now)) is not None]
    ends = sorted(
        (
            (age, n)
            for n, (_, state) in enumerate(pairs)
            if state.state in ENDED and (age := _age(state.finished, now)) is not None
        )
    )
    ended = sum(state.state in ENDED for _, state in pairs)
    rate = _rate([age for age, _ in ends], begun)
    left = len(pairs) - ended
    running = sorted(
        (
            (age, n)
            for n, (_, state) in enumerate(pairs)
            if state.state == "running" and (age := _age(state.started, now)) is not None
        ),
        reverse=True,
    )
    return Progress(
        ended, len(pairs), rate, left / rate * 60 if rate and left else None,
        tuple(Current(_name(pairs[n][0]), age, pairs[n][1].phase) for age, n in running[:CURRENT]),
        tuple(_pictures(store, [pairs[n] for _, n in ends], pictures)) if store is not None else (),
    )  # fmt: skip


def duration(seconds: float) -> str:
    """A span as a person says it: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _pace(per_minute: float) -> str:
    if per_minute < 1:
        return f"{60 * per_minute:.1f} an hour"
    return f"{per_minute:.0f} a minute" if per_minute >= 20 else f"{per_minute:.1f} a minute"


def _age(when: str, now: datetime) -> float | None:
    try:
        return max(0.0, (now - datetime.fromisoformat(when)).total_seconds()) if when else None
    except (ValueError, TypeError):
        return None


def _rate(ended: list[float], begun: list[float]) -> float | None:
    """Ends per minute within the window, which begins with the first case that began in it."""
    late = [age for age in ended if age <= WINDOW_SECONDS]
    if not late:
        return None
    first = max((age for age in begun if age <= WINDOW_SECONDS), default=WINDOW_SECONDS)
    return 60 * len(late) / max(1.0, first)


def _name(case: Case) -> str:
    what = case.input_id or " / ".join(case.texts) or ", ".join(Path(path).name for path in case.images)
    return f"{case.config} · {what[:NAME_LENGTH]} · seed {case.seed}"


def _pictures(store: Store, newest: Sequence[tuple[Case, CaseState]], number: int) -> Iterable[tuple[str, Path]]:
    found = 0
    for case, state in newest[: 4 * number]:  # cases without pictures are not searched for long
        for run_id in state.run_ids:
            try:
                paths = [e.path for e in store.open(run_id).entities if e.type == "output_image"]
            except AipipeError:
                continue
            for path in paths[: number - found]:
                found += 1
                yield _name(case), path
        if found >= number:
            return

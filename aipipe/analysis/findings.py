"""The form of a statistical result: a table, sentences for a paper, and how many rows were left out and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aipipe.analysis.columns import FRAMES
from aipipe.errors import InvalidInput, MissingExtra, UnknownName

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Finding:
    """A result.

    Attributes:
        title: What was computed.
        table: One row per comparison, criterion or group.
        sentences: One sentence per row, ready for a paper.
        notes: Rows left out and why, and warnings.
    """

    title: str
    table: pd.DataFrame
    sentences: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return "\n".join([self.title, *self.sentences, *(f"Note: {n}" for n in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        said = "".join(f"<p>{escape(s)}</p>" for s in self.sentences)
        noted = "".join(f"<p><em>Note: {escape(n)}</em></p>" for n in self.notes)
        return f"<h4>{escape(self.title)}</h4>{said}{noted}{self.table.to_html()}"


def need(module: str, what: str = "This statistic", extra: str = "analysis") -> Any:
    """Import a package of an extra.

    Raises:
        MissingExtra: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtra(what, extra) from None


def check_columns(frame: pd.DataFrame, *names: str) -> None:
    """Refuse what is no frame, and a frame without the columns that a statistic needs.

    Raises:
        InvalidInput: no frame, or a column that is there twice.
        UnknownName: a column is missing.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise InvalidInput(
            f"{type(frame).__name__} is no frame.", hint="Pass what a loader returned, for example aipipe.load_runs()."
        )
    columns = [str(c) for c in frame.columns]
    for name in names:
        if name not in columns:
            raise UnknownName("column", str(name), columns, hint=_loaders_with(names))
        if columns.count(name) > 1:
            raise InvalidInput(
                f"The frame has {columns.count(name)} columns called {name!r}.", hint="Rename one, or drop it."
            )


def _loaders_with(names: Sequence[str]) -> str:
    """Which loader's frame was meant, because taking another one's is the usual reason for a missing column."""
    found = [f"load_{frame}()" for frame, columns in FRAMES.items() if set(names) <= {c.name for c in columns}]
    return f"The frame of {' or '.join(found)} has it." if found else ""


def numbers(frame: pd.DataFrame, name: str) -> pd.Series[float]:
    """A column as floats.

    Raises:
        InvalidInput: a value that is no finite number.
    """
    import numpy as np
    import pandas as pd

    found = pd.to_numeric(frame[name], errors="coerce").astype("float64")
    odd = frame[name].notna() & ~np.isfinite(found.fillna(np.nan))
    if odd.any():
        raise InvalidInput(
            f"Column {name!r} holds {frame[name][odd].iloc[0]!r}, which is no finite number.",
            hint="Name a column of numbers with value=…; answers in words need numbers first.",
        )
    return found


def flags(frame: pd.DataFrame, name: str) -> pd.Series[bool]:
    """A column as true and false; text is refused, for "no" would count as true.

    Raises:
        InvalidInput: a value that is neither.
    """
    if not frame[name].isin([True, False]).all():
        odd = frame[name][~frame[name].isin([True, False])].iloc[0]
        raise InvalidInput(f"Column {name!r} holds {odd!r}.", hint="It takes True and False.")
    return frame[name].astype(bool)


def grouping(by: str | Sequence[str]) -> list[str]:
    """Names of the columns to group by; a single name may stand alone.

    Raises:
        InvalidInput: none.
    """
    names = list(dict.fromkeys([by] if isinstance(by, str) else by))
    if not names:
        raise InvalidInput("There is no column to group by.", hint='Name at least one: by=["config_name"].')
    return names


def check_design(*, confidence: float = 0.95, resamples: int = 1, **roles: str | None) -> None:
    """Refuse what no statistic can be computed with.

    Args:
        confidence: Level of an interval.
        resamples: Number of bootstrap resamples.
        roles: Argument → column; each must be another column.

    Raises:
        InvalidInput: a level outside 0 to 1, no resample, or one column in two roles.
    """
    if not 0 < confidence < 1:
        raise InvalidInput(f"confidence={confidence!r} is no level.", hint="Between 0 and 1, for example 0.95.")
    if resamples < 1:
        raise InvalidInput(f"resamples={resamples!r}: a bootstrap needs resamples.", hint="1000 or more.")
    taken: dict[str, str] = {}
    for role, column in roles.items():
        if column is not None and (other := taken.setdefault(column, role)) != role:
            raise InvalidInput(f"{other} and {role} are both {column!r}.", hint="They are different columns.")


def check_choice(kind: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name that is none of the known ones.

    Raises:
        UnknownName: it is not known.
    """
    if name not in (choices := list(known)):
        raise UnknownName(kind, str(name), choices)


def usable(frame: pd.DataFrame, *columns: str) -> tuple[pd.DataFrame, list[str]]:
    """Rows that are not excluded and have every named value; and notes on those left out.

    Raises:
        InvalidInput: no row is left.
    """
    check_columns(frame, *columns)
    notes = []
    kept = frame
    if "excluded" in kept.columns:
        out = kept["excluded"].fillna(False).astype(bool)
        if out.any():
            notes.append(f"{int(out.sum())} of {len(frame)} rows are excluded by annotation.")
            kept = kept[~out]
    if {"repeat", "rater"} <= set(kept.columns):
        again = kept["repeat"].fillna(False).astype(bool)
        if again.any():
            notes.append(f"{int(again.sum())} ratings of a pair or item that its rater saw a second time are left out.")
            kept = kept[~again]
    whole = kept.dropna(subset=list(columns))
    if len(whole) < len(kept):
        notes.append(f"{len(kept) - len(whole)} of {len(kept)} rows lack a value of {', '.join(columns)}.")
    if whole.empty:
        raise InvalidInput(
            f"No row has values of {', '.join(columns)}.", hint="Look at frame.attrs['report'] and at exclusions."
        )
    return whole, notes


def p_text(p: float) -> str:
    """A p value as papers print it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def percent(share: float) -> str:
    """A share as papers print it: 95 %, and 99.9 % instead of 100 %."""
    return f"{round(share * 100, 6):g}%"


def shown(values: Sequence[float], step: float) -> list[str]:
    """Numbers of one sentence with equally many decimals: three digits of the step that matters, never 1e+03.

    Args:
        values: Numbers.
        step: The difference that readers are to see between them.
    """
    import math

    size = step or max(abs(v) for v in values)
    decimals = 2 - math.floor(math.log10(size)) if size > 0 else 0
    return [f"{v:.3g}" if decimals > 6 else f"{v + 0.0:.{max(0, decimals)}f}" for v in values]

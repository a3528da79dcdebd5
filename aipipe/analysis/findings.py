"""The form of a statistical result: a table, sentences for a paper, and how many rows were left out and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
    """Refuse a frame without the columns that a statistic needs.

    Raises:
        UnknownName: a column is missing.
    """
    for name in names:
        if name not in frame.columns:
            raise UnknownName("column", name, [str(c) for c in frame.columns])


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

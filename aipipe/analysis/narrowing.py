"""What a caller asked to see of a frame: some columns, and the rows of a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aipipe.analysis.columns import PREFIX, Column
from aipipe.analysis.report import LoadReport
from aipipe.analysis.tables import series
from aipipe.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    import pandas as pd


def narrow(
    whole: pd.DataFrame, columns: Sequence[str] | None, where: str | None, report: LoadReport, total: int | None = None
) -> pd.DataFrame:
    """Apply `where` and `columns`, count the rows, attach the report."""
    total = len(whole) if total is None else total
    if where is not None:
        whole = _query(whole, where)
    if columns is not None:
        whole = _chosen(whole, columns, report)
    whole = whole.reset_index(drop=True) if len(whole) != total else whole
    report.update(rows=len(whole), rows_filtered=total - len(whole))
    whole.attrs["report"] = report
    # Annotating a frame (`aipipe.tag(df, …)`) writes beside the store the frame came from.
    whole.attrs["store"] = report.source
    return whole


def _chosen(whole: pd.DataFrame, columns: Sequence[str], report: LoadReport) -> pd.DataFrame:
    """The wanted columns; a label that no run has is a column without values, and the report says so."""
    for name in [c for c in dict.fromkeys(columns) if c not in whole.columns]:
        report.note(f"no row has the label {name.removeprefix(PREFIX)!r}")
        whole = whole.assign(**{name: series(Column(name, "category", "label", ""), [None] * len(whole))})
    return whole[list(columns)]


def check_names(columns: Sequence[str] | None, declared: Sequence[Column], texts: Sequence[Column] = ()) -> None:
    """Refuse column names that no frame of this kind has; `texts` are those it has only when asked."""
    if columns is None:
        return
    if isinstance(columns, str):
        raise InvalidInput("columns is a text.", hint=f'Pass a list: columns=["{columns}"].')
    known = [c.name for c in declared]
    asked = {c.name for c in texts} - set(known)
    for name in columns:
        if name not in known and not ("labels" in known and str(name).startswith(PREFIX)):
            hint = f"{name} is read only when asked: add texts=True." if name in asked else ""
            if str(name).startswith(PREFIX):
                hint = f"Labels are columns of load_runs: merge its {name} by run_id."
            raise UnknownName("column", str(name), known, hint=hint)


def _query(whole: pd.DataFrame, where: str) -> pd.DataFrame:
    try:
        fits: Any = whole.eval(where, engine="python")
        if str(getattr(fits, "dtype", "")) not in ("bool", "boolean"):
            raise InvalidInput(
                f"where={where!r} is no condition: it is neither true nor false for a row.",
                hint='Compare something, for example: status == "completed" and seconds < 60.',
            )
        found: pd.DataFrame = whole[fits.fillna(value=False).astype(bool)]
    except InvalidInput:
        raise
    except Exception as error:  # noqa: BLE001  pandas lets every kind of error out of a query
        raise InvalidInput(
            f"where={where!r} cannot be evaluated: {error}",
            hint='Write a pandas query over the columns, for example: status == "completed" and seconds < 60.',
        ) from None
    return found

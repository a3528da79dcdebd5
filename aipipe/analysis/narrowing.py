"""What a caller asked to see of a frame: some columns, and the rows of a query."""

from __future__ import annotations

import re
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
    # Annotating a frame (`aipipe.tag(df, …)`) writes beside the store the frame came from; a list where these are several.
    whole.attrs["store"] = report.stores[0] if len(report.stores) == 1 else report.stores
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
        condition, moments = _with_moments(whole, where)
        fits: Any = whole.eval(condition, engine="python", local_dict=moments)
        # Three kinds: numpy's, pandas' own, and Arrow's where two texts are compared.
        if str(getattr(fits, "dtype", "")) not in ("bool", "boolean", "bool[pyarrow]"):
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


_COMPARED = r"""\s*(?:[<>]=?|[=!]=)\s*"""
_TEXT = r"""(["'])([^"'\\]*)"""


def _with_moments(whole: pd.DataFrame, where: str) -> tuple[str, dict[str, pd.Timestamp]]:
    """The condition with names for the times in it, and the times; one without a zone is UTC, as the columns are.

    Left to itself, pandas refuses a time without a zone, and finds no text equal to any time.
    """
    import pandas as pd

    times = [name for name in whole.columns if isinstance(whole[name].dtype, pd.DatetimeTZDtype)]
    moments: dict[str, pd.Timestamp] = {}
    if not times:
        return where, moments
    name = rf"\b(?:{'|'.join(map(re.escape, times))})\b"

    def named(match: re.Match[str]) -> str:
        try:
            moment = pd.Timestamp(match[3])
            moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
        except ValueError:
            return match[0]
        if pd.isna(moment):
            return match[0]
        moments[key := f"moment_{len(moments)}"] = moment
        return f"{match[1]}@{key}{match[4]}"

    where = re.sub(rf"({name}{_COMPARED}){_TEXT}\2()", named, where)
    return re.sub(rf"(){_TEXT}\2({_COMPARED}{name})", named, where), moments

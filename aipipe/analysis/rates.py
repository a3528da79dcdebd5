"""Rates of blocks and of false blocks, with intervals that know that runs of one input are no independent cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aipipe.analysis.findings import (
    Finding,
    check_columns,
    check_design,
    flags,
    grouping,
    need,
    percent,
    usable,
)
from aipipe.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    import pandas as pd


def block_rates(
    frame: pd.DataFrame,
    by: str | Sequence[str] = ("config_name", "safety_level"),
    *,
    cluster: str = "input_id",
    confidence: float = 0.95,
) -> Finding:
    """Share of runs that safety blocked, per group, with Wilson intervals (Wilson 1927).

    Runs that ended otherwise than completed or blocked tell nothing about safety; they are left out and counted. Where
    one input has several runs, the interval is that of as many independent runs as they are worth: their number
    divided by the design effect (Kish 1965; Dean & Pagano 2015). Where all or none were blocked, that is one per input.

    Args:
        frame: `load_runs()`.
        by: Groups.
        cluster: Column of what is no independent case when it comes again; not used where the frame lacks it.
        confidence: Level of the interval.

    Raises:
        InvalidInput: no run is completed or blocked.
        UnknownName: a column that does not exist.
    """
    by = grouping(by)
    check_design(confidence=confidence)
    rows, notes = usable(frame, "status", *by)
    ended = rows[rows["status"].isin(["completed", "blocked"])]
    if len(ended) < len(rows):
        rest = len(rows) - len(ended)
        notes.append(f"{rest} {'run was' if rest == 1 else 'runs were'} neither completed nor blocked.")
    if ended.empty:
        raise InvalidInput("No run is completed or blocked.", hint='Look at frame["status"].value_counts().')
    table, told = _rates(ended, by, ended["status"] == "blocked", cluster, confidence)
    notes += told
    return Finding("Block rates", table, _rate_sentences(table, by, "were blocked", confidence), tuple(notes))


def false_block_rates(
    frame: pd.DataFrame,
    judged: str = "judged_safe",
    by: str | Sequence[str] = ("safety_level",),
    *,
    cluster: str = "input_id",
    confidence: float = 0.95,
) -> Finding:
    """Share of blocked checks that a person judged harmless, with intervals as `block_rates` has them.

    Args:
        frame: `load_safety()` with a boolean column of a person's judgement.
        judged: That column; true where the text was harmless.
        by: Groups.
        cluster: Column of what is no independent case when it comes again; not used where the frame lacks it.
        confidence: Level of the Wilson interval.

    Raises:
        InvalidInput: no blocked check was judged, or a judgement is neither true nor false.
        UnknownName: a column that does not exist.
    """
    by = grouping(by)
    check_design(confidence=confidence)
    check_columns(frame, "blocked", *by)
    if judged not in frame.columns:
        raise UnknownName(
            "column", judged, frame.columns, hint="Add it: true where a person found the text of a check harmless."
        )
    rows, notes = usable(frame, "blocked", judged, *by)
    blocked = rows[flags(rows, "blocked")]
    if blocked.empty:
        raise InvalidInput("No blocked check was judged.", hint="Judge checks with blocked == True.")
    table, told = _rates(blocked, by, flags(blocked, judged), cluster, confidence)
    notes += told
    said = _rate_sentences(table, by, "of the blocked texts were judged harmless", confidence)
    return Finding("False block rates", table, said, tuple(notes))


def _rates(
    rows: pd.DataFrame, by: list[str], hit: Any, cluster: str, confidence: float
) -> tuple[pd.DataFrame, list[str]]:
    """One row per group, and a note where runs of one input were counted as fewer."""
    proportion = need("statsmodels.stats.proportion")
    given = rows.assign(_hit=hit.astype(bool), _case=_cases(rows, cluster, by))
    grouped = given.groupby(by, observed=True)
    table = grouped["_hit"].agg(n="size", hits="sum")
    table["clusters"] = grouped["_case"].nunique()
    table["rate"] = table["hits"] / table["n"]
    worth = grouped[["_hit", "_case"]].apply(_worth)
    low, high = proportion.proportion_confint(table["rate"] * worth, worth, alpha=1 - confidence, method="wilson")
    # Rounding may put a bound of zero just above it.
    table["low"], table["high"] = low.clip(upper=table["rate"]), high.clip(lower=table["rate"])
    repeated = bool((table["clusters"] < table["n"]).any())
    notes = [f"Intervals allow for cases of one {cluster} that are alike (design effect)."] if repeated else []
    return table.reset_index(), notes


def _cases(rows: pd.DataFrame, cluster: str, by: list[str]) -> Any:
    """Which rows belong to one case; a row whose input is unknown is one of its own."""
    import pandas as pd

    own = pd.Series([f"row {i}" for i in range(len(rows))], index=rows.index, dtype=object)
    if cluster not in rows.columns or cluster in by:
        return own
    names = rows[cluster].astype(object)
    return names.where(names.notna(), own)


def _worth(group: pd.DataFrame) -> float:
    """How many independent rows a group is worth: n over the design effect, which is at least 1."""
    n, sizes = len(group), group.groupby("_case")["_hit"].agg(["size", "sum"])
    rate = group["_hit"].mean()
    if len(sizes) == n:
        return float(n)
    if rate in (0, 1):
        return float(len(sizes))
    spread = ((sizes["sum"] - rate * sizes["size"]) ** 2).sum() / n**2
    return float(n / max(1.0, spread / (rate * (1 - rate) / n)))


def _rate_sentences(table: pd.DataFrame, by: list[str], verb: str, confidence: float) -> tuple[str, ...]:
    return tuple(
        f"{', '.join(str(row[b]) for b in by)}: {row['hits']} of {row['n']} {verb} "
        f"({'' if row['clusters'] == row['n'] else str(row['clusters']) + ' inputs; '}{row['rate']:.1%}, "
        f"{percent(confidence)} CI [{row['low']:.1%}, {row['high']:.1%}])."
        for row in table.to_dict("records")
    )

"""Comparisons that know the design: same inputs, clusters by input, intervals, corrections, n always shown."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from aipipe.analysis.findings import (
    Finding,
    check_choice,
    check_columns,
    check_design,
    flags,
    grouping,
    need,
    numbers,
    p_text,
    usable,
)
from aipipe.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    import pandas as pd

_CORRECTIONS = {"holm": "Holm", "fdr_bh": "Benjamini-Hochberg"}
_FEW = 6
"""The smallest n for which the signed-rank test's smallest two-sided p, 2 / 2^n, is below 0.05."""


def paired(
    frame: pd.DataFrame,
    factor: str = "config_name",
    *,
    value: str = "seconds",
    by: str = "input_id",
    correction: Literal["holm", "fdr_bh"] = "holm",
    confidence: float = 0.95,
    resamples: int = 5000,
    seed: int = 0,
) -> Finding:
    """Compare the levels of a factor on the same inputs.

    Repeats of one input under one level are averaged first: four pictures of one prompt are one observation, not
    four. Each pair of levels is compared over the inputs that both have: mean difference with a bootstrap interval
    over inputs (BCa, Efron 1987; percentile where BCa is undefined), Wilcoxon's signed-rank test, Cohen's d of the
    differences (d_z), all p values corrected together.

    Args:
        frame: Rows with `factor`, `value` and `by`, for example `load_runs()` joined with ratings.
        factor: Column whose levels are compared: config_name, safety_level, model_interception …
        value: Numeric column.
        by: Column that names the input: the unit of pairing and the cluster.
        correction: holm (family-wise) or fdr_bh (Benjamini-Hochberg).
        confidence: Level of the interval.
        resamples: Bootstrap resamples.
        seed: Seed of the bootstrap.

    Raises:
        InvalidInput: fewer than two levels, no pair of levels shares an input, or a value is no number.
        UnknownName: a column or correction that does not exist.
    """
    import pandas as pd

    check_design(confidence=confidence, resamples=resamples, factor=factor, value=value, by=by)
    check_choice("correction", correction, _CORRECTIONS)
    rows, notes = usable(frame, factor, value, by)
    notes += _hash_notes(rows)
    means = rows.assign(**{value: numbers(rows, value)})
    wide = means.pivot_table(index=by, columns=factor, values=value, aggfunc="mean", observed=True)
    repeats = len(rows) - int(wide.notna().to_numpy().sum())
    if repeats:
        notes.append(f"{repeats} repeats of an input under one level were averaged.")
    levels = list(wide.columns)
    if len(levels) < 2:
        raise InvalidInput(f"{factor} has only one level: {levels}.", hint="Load runs of at least two levels.")
    found = [
        row
        for a, b in itertools.combinations(levels, 2)
        if (row := _pair(wide[a], wide[b], a, b, confidence, resamples, seed)) is not None
    ]
    if not found:
        raise InvalidInput(
            f"No two levels of {factor} share at least two values of {by}.",
            hint="Run the same inputs under each level, for example with aipipe.Batch.",
        )
    table = pd.DataFrame(found)
    multiple = need("statsmodels.stats.multitest")
    table["p_corrected"] = multiple.multipletests(table["p"], method=correction)[1]
    method = _CORRECTIONS[correction]
    if (table["n"] < _FEW).any():
        notes.append(
            f"With fewer than {_FEW} inputs Wilcoxon's test cannot reach p < 0.05, and an interval says little."
        )
    sentences = tuple(_paired_sentence(row, value, confidence, method, by) for row in table.to_dict("records"))
    return Finding(f"Paired comparison of {value} by {factor}, clustered by {by}", table, sentences, tuple(notes))


def _hash_notes(rows: pd.DataFrame) -> list[str]:
    if "config_hash" not in rows.columns or "config_name" not in rows.columns:
        return []
    counts = rows.groupby("config_name", observed=True)["config_hash"].nunique()
    return [f"config {name} has {n} different contents (config_hash)." for name, n in counts[counts > 1].items()]


def _pair(
    one: pd.Series[float],
    other: pd.Series[float],
    a: Any,
    b: Any,
    confidence: float,
    resamples: int,
    seed: int,
) -> dict[str, Any] | None:
    import numpy as np

    both = one.notna() & other.notna()
    difference = (one[both] - other[both]).to_numpy(dtype=float)
    n = len(difference)
    if n < 2:
        return None
    low, high = interval(difference, confidence, resamples, seed)
    spread = float(np.std(difference, ddof=1))
    return {
        "a": a,
        "b": b,
        "n": n,
        "mean_a": float(one[both].mean()),
        "mean_b": float(other[both].mean()),
        "difference": float(difference.mean()),
        "low": low,
        "high": high,
        "effect": float(difference.mean()) / spread if spread > 0 else float("nan"),
        "p": _wilcoxon(difference),
    }


def _wilcoxon(difference: Any) -> float:
    stats = need("scipy.stats")
    if not difference.any():
        return 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(stats.wilcoxon(difference).pvalue)


def interval(values: Any, confidence: float = 0.95, resamples: int = 5000, seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval of the mean: BCa, or percentile where BCa is undefined."""
    import numpy as np

    stats = need("scipy.stats")
    if len(values) < 2 or np.ptp(values) == 0:
        mean = float(np.mean(values))
        return mean, mean
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = stats.bootstrap(
                (values,),
                np.mean,
                confidence_level=confidence,
                n_resamples=resamples,
                method=method,
                rng=np.random.default_rng(seed),
            ).confidence_interval
        if np.isfinite(found.low) and np.isfinite(found.high):
            break
    return float(found.low), float(found.high)


def _paired_sentence(row: dict[Any, Any], value: str, confidence: float, method: str, by: str) -> str:
    effect = (
        f"d_z = {row['effect']:.2f}" if row["effect"] == row["effect"] else "d_z undefined: all differences are equal"
    )
    return (
        f"On n = {row['n']} inputs ({by}), {value} was {row['mean_a']:.3g} for {row['a']} and {row['mean_b']:.3g} for "
        f"{row['b']} (mean difference {row['difference']:.3g}, {confidence:.0%} CI [{row['low']:.3g}, "
        f"{row['high']:.3g}], {effect}, Wilcoxon {p_text(row['p_corrected'])}, {method}-corrected)."
    )


def block_rates(
    frame: pd.DataFrame, by: str | Sequence[str] = ("config_name", "safety_level"), *, confidence: float = 0.95
) -> Finding:
    """Share of runs that safety blocked, per group, with Wilson intervals (Wilson 1927).

    Runs that ended otherwise than completed or blocked tell nothing about safety; they are left out and counted.

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
    table = _rates(ended, by, ended["status"] == "blocked", confidence)
    return Finding("Block rates", table, _rate_sentences(table, by, "were blocked", confidence), tuple(notes))


def false_block_rates(
    frame: pd.DataFrame,
    judged: str = "judged_safe",
    by: str | Sequence[str] = ("safety_level",),
    *,
    confidence: float = 0.95,
) -> Finding:
    """Share of blocked checks that a person judged harmless.

    Args:
        frame: `load_safety()` with a boolean column of a person's judgement.
        judged: That column; true where the text was harmless.
        by: Groups.
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
    table = _rates(blocked, by, flags(blocked, judged), confidence)
    said = _rate_sentences(table, by, "of the blocked texts were judged harmless", confidence)
    return Finding("False block rates", table, said, tuple(notes))


def _rates(rows: pd.DataFrame, by: list[str], hit: Any, confidence: float) -> pd.DataFrame:
    proportion = need("statsmodels.stats.proportion")
    table = rows.assign(_hit=hit.astype(bool)).groupby(by, observed=True)["_hit"].agg(n="size", hits="sum")
    table["rate"] = table["hits"] / table["n"]
    low, high = proportion.proportion_confint(table["hits"], table["n"], alpha=1 - confidence, method="wilson")
    table["low"], table["high"] = low, high
    return table.reset_index()


def _rate_sentences(table: pd.DataFrame, by: list[str], verb: str, confidence: float) -> tuple[str, ...]:
    return tuple(
        f"{', '.join(str(row[b]) for b in by)}: {row['hits']} of {row['n']} {verb} ({row['rate']:.1%}, "
        f"{confidence:.0%} CI [{row['low']:.1%}, {row['high']:.1%}])."
        for row in table.to_dict("records")
    )


def stage_times(
    steps: pd.DataFrame,
    by: str | Sequence[str] = ("stage", "step"),
    *,
    prices: Mapping[str, tuple[float, float]] | None = None,
) -> Finding:
    """Time, tokens and cost per stage and step: count, median and quartiles of seconds, tokens in all.

    Reused and skipped steps took no model time; they are left out and counted.

    Args:
        steps: `load_steps()`.
        by: Columns to group by.
        prices: Model → price of a million input tokens and of a million output tokens, in one currency. A model that is
            not named costs nothing and is told in the notes.

    Raises:
        InvalidInput: a value of seconds that is no number, or a price that is no pair.
        UnknownName: a column that does not exist.
    """
    import pandas as pd

    by = grouping(by)
    rows, notes = usable(steps, "seconds", *by)
    rows = rows.assign(seconds=numbers(rows, "seconds"))
    timed = rows[~rows["outcome"].isin(["reused", "skipped"])] if "outcome" in rows else rows
    if len(timed) < len(rows):
        notes.append(f"{len(rows) - len(timed)} reused or skipped steps.")
    grouped = timed.groupby(by, observed=True)
    seconds = grouped["seconds"]
    parts: dict[str, Any] = {
        "n": seconds.size(),
        "q1": seconds.quantile(0.25),
        "median": seconds.median(),
        "q3": seconds.quantile(0.75),
    }
    parts |= {name: grouped[name].sum() for name in ("tokens_input", "tokens_output") if name in timed}
    if prices is not None:
        cost, unpriced = _costs(timed, prices)
        parts["cost"] = timed.assign(_cost=cost).groupby(by, observed=True)["_cost"].sum()
        notes += [f"No price for {', '.join(unpriced)}; counted as nothing."] if unpriced else []
    table = pd.DataFrame(parts).reset_index()
    sentences = tuple(
        f"{', '.join(str(row[b]) for b in by)}: median {row['median']:.3g} s (quartiles {row['q1']:.3g} to "
        f"{row['q3']:.3g}, n = {row['n']}){', cost ' + format(row['cost'], '.4g') if prices is not None else ''}."
        for row in table.to_dict("records")
    )
    return Finding("Time per stage", table, sentences, tuple(notes))


def _costs(steps: pd.DataFrame, prices: Mapping[str, tuple[float, float]]) -> tuple[Any, list[str]]:
    """Cost of each step from its tokens, and the models without a price."""
    check_columns(steps, "model", "tokens_input", "tokens_output")
    for name, price in prices.items():
        if not isinstance(price, tuple | list) or len(price) != 2:
            raise InvalidInput(
                f"The price of {name} is {price!r}.",
                hint=f'Two prices: prices={{"{name}": (1.0, 4.0)}}, input and output.',
            )
    models = steps["model"].astype(object)
    given = models.notna()
    read = models.map(lambda m: prices.get(m, (0.0, 0.0))[0] if isinstance(m, str) else 0.0).astype(float)
    made = models.map(lambda m: prices.get(m, (0.0, 0.0))[1] if isinstance(m, str) else 0.0).astype(float)
    tokens = [steps[name].astype("float64").fillna(0.0) for name in ("tokens_input", "tokens_output")]
    unpriced = sorted({str(m) for m in models[given]} - set(prices))
    return (tokens[0] * read + tokens[1] * made) / 1_000_000, unpriced

"""Comparisons that know the design: same inputs, clusters by input, intervals, corrections, n always shown."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from aipipe.analysis.findings import (
    Finding,
    check_choice,
    check_columns,
    check_design,
    grouping,
    need,
    numbers,
    p_text,
    percent,
    shown,
    usable,
)
from aipipe.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

_CORRECTIONS = {"holm": "Holm", "fdr_bh": "Benjamini-Hochberg"}
_MANY = 5_000
"""Inputs from which on BCa and percentile bootstrap agree; BCa leaves each input out once, in time n²."""
_NAMED = 4
"""Most pairs that a note names."""
_AT_ONCE = 4_000_000
"""Numbers that a bootstrap draws at once: 32 MB."""
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
    over inputs (BCa, Efron 1987; percentile where BCa is undefined or inputs are thousands), Wilcoxon's signed-rank
    test, Cohen's d of the differences (d_z). All p values are corrected together; intervals are those of each pair.

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
    notes += _hash_notes(rows) + _status_notes(rows)
    means = rows.assign(**{value: numbers(rows, value)})
    wide = means.pivot_table(index=by, columns=factor, values=value, aggfunc="mean", observed=True)
    repeats = len(rows) - int(wide.notna().to_numpy().sum())
    if repeats:
        told = "repeat of an input under one level was" if repeats == 1 else "repeats of an input under one level were"
        notes.append(f"{repeats} {told} averaged.")
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
    notes += _unpaired_notes(wide, table, factor, by)
    multiple = need("statsmodels.stats.multitest")
    table["p_corrected"] = multiple.multipletests(table["p"], method=correction)[1]
    method = _CORRECTIONS[correction]
    if (table["n"] < _FEW).any():
        notes.append(
            f"With fewer than {_FEW} inputs Wilcoxon's test cannot reach p < 0.05, and an interval says little."
        )
    if len(table) > 1:
        notes.append(f"p values are corrected for {len(table)} comparisons, intervals are not.")
    sentences = tuple(_paired_sentence(row, value, confidence, method, by) for row in table.to_dict("records"))
    return Finding(f"Paired comparison of {value} by {factor}, clustered by {by}", table, sentences, tuple(notes))


def _hash_notes(rows: pd.DataFrame) -> list[str]:
    if "config_hash" not in rows.columns or "config_name" not in rows.columns:
        return []
    counts = rows.groupby("config_name", observed=True)["config_hash"].nunique()
    return [f"config {name} has {n} different contents (config_hash)." for name, n in counts[counts > 1].items()]


def _status_notes(rows: pd.DataFrame) -> list[str]:
    """Runs that stopped early, because their times and counts are those of a part of a run."""
    if "status" not in rows.columns:
        return []
    odd = rows["status"][rows["status"].notna() & (rows["status"] != "completed")].astype(str).value_counts()
    told = ", ".join(f"{count} {status}" for status, count in odd.items())
    return [f"{odd.sum()} of {len(rows)} rows are of runs that did not complete ({told})."] if len(odd) else []


def _unpaired_notes(wide: pd.DataFrame, table: pd.DataFrame, factor: str, by: str) -> list[str]:
    """Inputs and pairs of levels that no sentence is about."""
    whole = int(wide.notna().all(axis=1).sum())
    notes = (
        [f"{len(wide) - whole} of {len(wide)} values of {by} lack a level of {factor}; each pair uses what both have."]
        if whole < len(wide)
        else []
    )
    told = set(zip(table["a"], table["b"], strict=True))
    left = [f"{a} and {b}" for a, b in itertools.combinations(wide.columns, 2) if (a, b) not in told]
    more = f" and {len(left) - _NAMED} more pairs" if len(left) > _NAMED else ""
    return notes + (
        [f"Not compared, for fewer than two shared {by}: {', '.join(left[:_NAMED])}{more}."] if left else []
    )


def _exact(difference: Any, *sides: Any) -> Any:
    """Differences without the noise of floating point: 0.3 - 0.2 and 0.2 - 0.1 are equal, and tied as ranks."""
    import numpy as np

    scale = max(float(np.abs(side).max()) for side in sides)
    return np.round(difference, 12 - math.ceil(math.log10(scale))) if scale > 0 else difference


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
    n = int(both.sum())
    if n < 2:
        return None
    values = one[both].to_numpy(dtype=float), other[both].to_numpy(dtype=float)
    difference = _exact(values[0] - values[1], *values)
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
        "effect": float(difference.mean()) / spread if np.ptp(difference) > 0 else float("nan"),
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
    """Bootstrap interval of the mean: BCa, or percentile where BCa is undefined or the values are thousands."""
    import numpy as np

    stats = need("scipy.stats")
    if len(values) < 2 or np.ptp(values) == 0:
        mean = float(np.mean(values))
        return mean, mean
    for method in ("BCa", "percentile") if len(values) <= _MANY else ("percentile",):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = stats.bootstrap(
                (values,),
                np.mean,
                confidence_level=confidence,
                n_resamples=resamples,
                method=method,
                batch=max(1, _AT_ONCE // len(values)),
                rng=np.random.default_rng(seed),
            ).confidence_interval
        if np.isfinite(found.low) and np.isfinite(found.high):
            break
    return float(found.low), float(found.high)


def _paired_sentence(row: dict[Any, Any], value: str, confidence: float, method: str, by: str) -> str:
    effect = (
        f"d_z = {row['effect']:.2f}" if row["effect"] == row["effect"] else "d_z undefined: all differences are equal"
    )
    a, b, difference, low, high = shown(
        [row["mean_a"], row["mean_b"], row["difference"], row["low"], row["high"]],
        max(abs(row["difference"]), row["high"] - row["low"]),
    )
    return (
        f"On n = {row['n']} inputs ({by}), {value} was {a} for {row['a']} and {b} for {row['b']} (mean difference "
        f"{difference}, {percent(confidence)} CI [{low}, {high}], {effect}, Wilcoxon {p_text(row['p_corrected'])}, "
        f"{method}-corrected)."
    )


def stage_times(
    steps: pd.DataFrame,
    by: str | Sequence[str] = ("stage", "step"),
    *,
    prices: Mapping[str, tuple[float, float]] | None = None,
) -> Finding:
    """Time, tokens and cost per stage and step: count, median and quartiles of seconds, share of all time, tokens.

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
    notes += _outcome_notes(timed)
    grouped = timed.groupby(by, observed=True)
    seconds = grouped["seconds"]
    parts: dict[str, Any] = {
        "n": seconds.size(),
        "q1": seconds.quantile(0.25),
        "median": seconds.median(),
        "q3": seconds.quantile(0.75),
    }
    parts["total"] = seconds.sum()
    parts["share"] = parts["total"] / whole if (whole := float(timed["seconds"].sum())) else math.nan
    parts |= {name: grouped[name].sum() for name in ("tokens_input", "tokens_output") if name in timed}
    if prices is not None:
        cost, unpriced = _costs(timed, prices)
        parts["cost"] = timed.assign(_cost=cost).groupby(by, observed=True)["_cost"].sum()
        notes += [f"No price for {', '.join(unpriced)}; counted as nothing."] if unpriced else []
        priced = timed["tokens_input"][timed["model"].isin(list(prices))]
        if blank := int(priced.isna().sum()):
            notes.append(f"{blank} of {len(priced)} priced steps have no count of tokens; the cost is too low.")
    table = pd.DataFrame(parts).reset_index()
    sentences = tuple(
        f"{', '.join(_group_name(b, row[b]) for b in by)}: median {row['median']:.3g} s (quartiles {row['q1']:.3g} to "
        f"{row['q3']:.3g}, n = {row['n']}), {row['share']:.0%} of the time"
        f"{', cost ' + format(row['cost'], '.4g') if prices is not None else ''}."
        for row in table.to_dict("records")
    )
    return Finding("Time per stage", table, sentences, tuple(notes))


def _outcome_notes(timed: pd.DataFrame) -> list[str]:
    """Calls that failed, because the time until a failure or a limit is no time of an answer."""
    if "outcome" not in timed.columns:
        return []
    odd = timed["outcome"][timed["outcome"].isin(["failed", "cancelled"])].astype(str).value_counts()
    told = ", ".join(f"{count} {outcome}" for outcome, count in odd.items())
    return [f"{odd.sum()} of {len(timed)} steps did not complete ({told}); their times are in."] if len(odd) else []


def _group_name(column: str, value: Any) -> str:
    """A text says what it is, a number needs its column."""
    return value if isinstance(value, str) else f"{column} {value}"


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

"""Statistics of ratings: agreement between raters, strengths from pairs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, get_args

from aipipe.analysis.alpha import Level, alpha_with_interval
from aipipe.analysis.findings import Finding, check_choice, check_columns, check_design, need, numbers, percent, usable
from aipipe.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

_CLUSTERS = 12
"""Clusters below which robust standard errors are too small."""
_FEW = 10
"""Items below which a bootstrap of them says little."""
_NO_VARIANCE = 1e-12
"""A variance of kappa that is rounding only."""
_ICC_ITEMS = 5
"""Items below which an ICC says nothing."""


def agreement(
    ratings: pd.DataFrame,
    *,
    level: Level = "ordinal",
    item: str | None = None,
    value: str = "value",
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Finding:
    """Agreement between raters, per criterion.

    Krippendorff's alpha (package krippendorff; Hayes & Krippendorff 2007) with a bootstrap interval over items; for
    exactly two raters also Cohen's kappa (statsmodels; interval of Fleiss, Cohen & Everitt 1969), with weights linear
    in the distance of the values unless the scale is nominal; where every rater rated every item on a scale that is not
    nominal also ICC(2,1) with its 95% interval (pingouin; Shrout & Fleiss 1979). A criterion with too few ratings is
    left out and told.

    Args:
        ratings: `load_ratings()`: columns rater, criterion, value and an item. Of a pairwise task the items are the
            pairs and the values what was chosen, on a nominal scale.
        level: Scale of the values for alpha.
        item: Column of the rated item; default entity_sha256 where given, else run_id.
        value: Column of the rating.
        confidence: Level of the intervals of alpha and kappa.
        resamples: Bootstrap resamples over items.
        seed: Seed of the bootstrap.

    Raises:
        InvalidInput: no criterion has two items that two raters rated, or a value does not fit the scale.
        UnknownName: a column or level that does not exist.
    """
    import pandas as pd

    check_design(confidence=confidence, resamples=resamples, item=item, value=value)
    check_choice("level", level, get_args(Level))
    check_columns(ratings, "rater", value, *([item] if item else []))
    rows = ratings.copy()
    rows["_item"] = rows[item] if item else _item(rows)
    if item is None and value == "value" and _are_pairs(rows):
        rows, value, level = _choices(rows), "_chosen", "nominal"
    rows, notes = usable(rows, "_item", "rater", value)
    notes = [note.replace("_item", item or "item") for note in notes]
    rows = rows.assign(**{value: _values(rows, value, level)})
    if "criterion" not in rows:
        rows["criterion"] = "rating"
    rows["criterion"] = rows["criterion"].astype(object).where(rows["criterion"].notna(), "rating")
    found, thin = [], []
    for criterion, group in rows.groupby("criterion", observed=True):
        if twice := int(group.duplicated(["_item", "rater"]).sum()):
            notes.append(
                f"{criterion}: {twice} ratings are followed by one of the same rater and item; the last counts."
            )
        wide = group.pivot_table(index="_item", columns="rater", values=value, aggfunc="last", observed=True)
        if wide.shape[1] < 2 or (wide.notna().sum(axis=1) >= 2).sum() < 2:
            thin.append(str(criterion))
            continue
        found.append({"criterion": criterion, **_agreement(wide.astype(float), level, confidence, resamples, seed)})
    if not found:
        raise InvalidInput(
            "Agreement needs at least two items that two raters rated.", hint="Use raters_per_item=2 in the task."
        )
    notes += [f"{name} has fewer than two items that two raters rated; it is left out." for name in thin]
    table = pd.DataFrame(found)
    notes += [note for row in found for note in _agreement_notes(row, level)]
    sentences = tuple(_agreement_sentence(row, level, confidence) for row in table.to_dict("records"))
    return Finding("Agreement between raters", table, sentences, tuple(notes))


def _are_pairs(rows: pd.DataFrame) -> bool:
    return {"run_id", "other_run_id", "answer"} <= set(rows.columns) and bool(
        (rows["other_run_id"].notna() & rows["value"].isna()).all()
    )


def _choices(rows: pd.DataFrame) -> pd.DataFrame:
    """Pairs as items, whichever picture stood left, and what was chosen of each."""
    both = zip(rows["run_id"].astype(str), rows["other_run_id"].astype(str), strict=True)
    equal = (rows["answer"] == "equal").fillna(False).astype(bool)
    chosen = rows["run_id"].astype(str).where(~equal, "equal")
    return rows.assign(_item=[" / ".join(sorted(pair)) for pair in both], _chosen=chosen)


def _item(rows: pd.DataFrame) -> Any:
    if "entity_sha256" not in rows:
        check_columns(rows, "run_id")
        return rows["run_id"]
    if "run_id" in rows:
        return rows["entity_sha256"].astype(object).where(rows["entity_sha256"].notna(), rows["run_id"])
    return rows["entity_sha256"]


def _values(rows: pd.DataFrame, value: str, level: Level) -> Any:
    """Ratings as numbers; names of a nominal scale, which has no order, are numbered."""
    import pandas as pd

    if level == "nominal" and not pd.api.types.is_numeric_dtype(rows[value]):
        return pd.factorize(rows[value].astype(str), sort=True)[0].astype("float64")
    given = numbers(rows, value)
    if level == "ratio" and (given < 0).any():
        raise InvalidInput("A ratio scale has no values below 0.", hint='level="interval" has.')
    return given


def _agreement(wide: pd.DataFrame, level: Level, confidence: float, resamples: int, seed: int) -> dict[str, Any]:
    alpha, low, high, undefined = alpha_with_interval(wide, level, confidence, resamples, seed)
    return {
        "items": int((wide.notna().sum(axis=1) >= 2).sum()),
        "raters": wide.shape[1],
        "ratings": int(wide.notna().to_numpy().sum()),
        "whole": bool(wide.notna().to_numpy().all()),
        "alpha": alpha,
        "alpha_low": low,
        "alpha_high": high,
        "alpha_undefined": undefined,
        **_kappa(wide, level, confidence),
        **_icc(wide, level),
    }


def _agreement_notes(row: dict[str, Any], level: Level) -> list[str]:
    """Why a number is missing, or weaker than it looks."""
    name, notes = row["criterion"], []
    if row["alpha"] != row["alpha"]:
        return [f"{name}: all ratings are equal; without variation there is nothing to agree about."]
    if row["alpha_undefined"] > 0:
        notes.append(
            f"{name}: {percent(row['alpha_undefined'])} of the resamples had equal ratings only and no alpha; the "
            "interval is that of the others."
        )
    if row["items"] < _FEW:
        notes.append(f"{name}: with only {row['items']} items an interval says little.")
    if row["icc"] != row["icc"] and level != "nominal":
        why = f"fewer than {_ICC_ITEMS} items" if row["whole"] else "not every rater rated every item"
        notes.append(f"{name}: no ICC, for {why}.")
    return notes


def _kappa(wide: pd.DataFrame, level: Level, confidence: float) -> dict[str, float]:
    """Cohen's kappa; of ordered values weighted by how far apart they are, not by how many others lie between."""
    import numpy as np

    nothing = dict.fromkeys(("kappa", "kappa_low", "kappa_high"), float("nan"))
    both = wide.dropna().to_numpy()
    values = np.unique(both)
    if wide.shape[1] != 2 or len(both) < 2 or len(values) < 2:
        return nothing
    places = np.searchsorted(values, both)
    counts = np.zeros((len(values), len(values)))
    np.add.at(counts, (places[:, 0], places[:, 1]), 1)
    weights = None if level == "nominal" else np.abs(values[:, None] - values) / (values[-1] - values[0])
    with np.errstate(invalid="ignore"):  # a variance of zero may come out a rounding error below it
        found = need("statsmodels.stats.inter_rater").cohens_kappa(counts, weights=weights)
    kappa, variance = float(found.kappa), float(found.var_kappa)
    if not variance > _NO_VARIANCE:
        return nothing | {"kappa": kappa}  # the formula gives no width where raters always agree or one never varies
    half = need("scipy.stats").norm.ppf((1 + confidence) / 2) * variance**0.5
    return {"kappa": kappa, "kappa_low": max(-1.0, kappa - half), "kappa_high": min(1.0, kappa + half)}


def _icc(wide: pd.DataFrame, level: Level) -> dict[str, float]:
    nothing = {"icc": float("nan"), "icc_low": float("nan"), "icc_high": float("nan")}
    whole = wide.dropna()
    if level == "nominal" or len(whole) < _ICC_ITEMS or len(whole) < len(wide) or whole.stack().nunique() < 2:
        return nothing
    pingouin = need("pingouin")
    long = whole.reset_index().melt(id_vars="_item", var_name="rater", value_name="value")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = pingouin.intraclass_corr(long, targets="_item", raters="rater", ratings="value").set_index("Type")
    # pingouin renamed its types in 2026: ICC2 became ICC(A,1).
    row = table.loc["ICC2" if "ICC2" in table.index else "ICC(A,1)"]
    bounds = row["CI95%"] if "CI95%" in row else row["CI95"]
    return {"icc": float(row["ICC"]), "icc_low": float(bounds[0]), "icc_high": float(bounds[1])}


def _agreement_sentence(row: dict[Any, Any], level: str, confidence: float) -> str:
    text = (
        f"{row['criterion']}: {row['raters']} raters gave {row['ratings']} ratings, {row['items']} items by two or "
        f"more; Krippendorff's alpha ({level}) "
    )
    if row["alpha"] != row["alpha"]:
        return text + "is undefined, because all ratings are equal."
    text += f"= {row['alpha']:.2f}{_bounds(row, 'alpha', confidence)}"
    if row["kappa"] == row["kappa"]:
        kind = "" if level == "nominal" else "linearly weighted "
        text += f"; {kind}kappa = {row['kappa']:.2f}{_bounds(row, 'kappa', confidence)}"
    if row["icc"] == row["icc"]:
        text += f"; ICC(2,1) = {row['icc']:.2f}{_bounds(row, 'icc', 0.95)}"
    return text + "."


def _bounds(row: dict[Any, Any], name: str, confidence: float) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f", {percent(confidence)} CI [{low:.2f}, {high:.2f}]" if low == low else " (no interval exists)"


def _groups(names: list[str], winners: Any, losers: Any) -> list[list[str]]:
    """Names by what they can be compared with: strengths are finite only within one group (Ford 1957)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    place = {name: i for i, name in enumerate(names)}
    wins = ([1] * len(winners), ([place[w] for w in winners], [place[v] for v in losers]))
    count, group = connected_components(coo_array(wins, shape=(len(names), len(names))), connection="strong")
    return [[n for n, g in zip(names, group, strict=True) if g == number] for number in range(count)]


def _ties(count: int) -> str:
    return f", {count} {'tie' if count == 1 else 'ties'}" if count else ""


def bradley_terry(
    pairs: pd.DataFrame,
    winner: str,
    loser: str,
    *,
    cluster: str | None = None,
    reference: str | None = None,
    confidence: float = 0.95,
) -> Finding:
    """Strengths from pairwise choices (Bradley & Terry 1952), by logistic regression without intercept (statsmodels).

    Args:
        pairs: One row per choice, for example `load_ratings()` of a pairwise task with `config_name` and
            `other_config_name`. Where its column `answer` says "equal", the choice is half a win of both.
        winner: Column of what was chosen, for example its config.
        loser: Column of what it was chosen over.
        cluster: Column of what makes choices alike, for example the rater or the input: intervals are then robust
            against it (Liang & Zeger 1986). They need a dozen clusters or more.
        reference: Name whose strength is 0; default the first in alphabetical order.
        confidence: Level of the intervals.

    Returns:
        Log strengths against the reference with intervals, and the chance of being chosen over it. Choices that its
        rater saw a second time are left out.

    Raises:
        InvalidInput: the comparisons do not connect all names, or one always won or lost: no finite estimate exists.
    """
    import numpy as np
    import pandas as pd

    api = need("statsmodels.api")
    check_design(confidence=confidence, winner=winner, loser=loser)
    rows, notes = usable(pairs, winner, loser, *([cluster] if cluster else []))
    own = rows[winner].astype(str) == rows[loser].astype(str)
    if own.any():
        notes.append(f"{int(own.sum())} of {len(rows)} choices are between equal names and tell nothing.")
        rows = rows[~own]
    names = sorted(set(rows[winner].astype(str)) | set(rows[loser].astype(str)))
    tied = (
        (rows["answer"] == "equal").fillna(False).astype(bool).to_numpy()
        if "answer" in rows
        else np.zeros(len(rows), bool)
    )
    first, second = rows[winner].astype(str), rows[loser].astype(str)
    won, lost = first[~tied].value_counts(), second[~tied].value_counts()
    even = pd.concat([first[tied], second[tied]]).value_counts()
    if tied.any():
        notes.append(f"{int(tied.sum())} of {len(rows)} choices are ties; each counts as half a win of both.")
    odd = [n for n in names if even.get(n, 0) == 0 and (won.get(n, 0) == 0 or lost.get(n, 0) == 0)]
    if len(names) < 2 or odd:
        raise InvalidInput(
            f"No finite strengths exist: {', '.join(odd)} always won or always lost."
            if odd
            else "No finite strengths exist: there are not two different names.",
            hint="Collect more pairs, or leave that one out and say so.",
        )
    groups = _groups(names, pd.concat([first, second[tied]]), pd.concat([second, first[tied]]))
    if len(groups) > 1:
        told = "; ".join(", ".join(group) for group in groups)
        raise InvalidInput(
            f"No finite strengths exist: between these groups nobody both won and lost: {told}.",
            hint="Collect pairs across the groups, or compare within one group and say so.",
        )
    if reference is not None:
        check_choice("name", reference, names)
        names = [reference, *(name for name in names if name != reference)]
    design = np.zeros((len(rows), len(names)))
    places = {n: i for i, n in enumerate(names)}
    design[np.arange(len(rows)), [places[str(v)] for v in rows[winner]]] = 1
    design[np.arange(len(rows)), [places[str(v)] for v in rows[loser]]] = -1
    robust: dict[str, Any] = {}
    if cluster:
        groups_of = rows[cluster].astype(str)
        if (count := groups_of.nunique()) < _CLUSTERS:
            notes.append(f"With only {count} values of {cluster} the intervals are unreliable, most often too narrow.")
        robust = {"cov_type": "cluster", "cov_kwds": {"groups": groups_of.astype("category").cat.codes.to_numpy()}}
    elif "rater" in rows and rows["rater"].nunique() > 1:
        notes.append('Choices of one rater count as independent; cluster="rater" allows for their likeness.')
    # The first name is the reference; every row is won, so half of them are turned round to make a binary outcome.
    turn = np.arange(len(rows)) % 2 == 1
    design[turn] *= -1
    outcome = np.where(tied, 0.5, (~turn).astype(float))
    fit = api.GLM(outcome, design[:, 1:], family=api.families.Binomial()).fit(**robust)
    bounds = fit.conf_int(alpha=1 - confidence)
    table = pd.DataFrame(
        {
            "name": names,
            "strength": [0.0, *fit.params],
            "low": [0.0, *bounds[:, 0]],
            "high": [0.0, *bounds[:, 1]],
            "chance": [0.5, *(1 / (1 + np.exp(-fit.params)))],
            "wins": [int(won.get(n, 0)) for n in names],
            "losses": [int(lost.get(n, 0)) for n in names],
            "ties": [int(even.get(n, 0)) for n in names],
        }
    )
    sentences = tuple(
        f"{r['name']}: strength {r['strength']:.2f} against {names[0]} ({percent(confidence)} CI [{r['low']:.2f}, "
        f"{r['high']:.2f}]; chosen over it with chance {r['chance']:.0%}; {r['wins']} wins, {r['losses']} losses{_ties(r['ties'])} of n = {len(rows)} choices)."
        for r in table.to_dict("records")[1:]
    )
    return Finding("Bradley-Terry strengths", table, sentences, tuple(notes))

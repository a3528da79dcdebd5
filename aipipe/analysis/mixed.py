"""Mixed models: the effect of a factor when the same inputs and the same raters come back in its levels."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from aipipe.analysis.findings import Finding, check_choice, check_design, need, numbers, p_text, percent, usable
from aipipe.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

_OPTIMISERS = ["powell", "lbfgs"]
"""Powell first: a variance of zero is usual with few raters, and statsmodels' gradient methods stop short of it."""
_NOTHING = 1e-4
"""A variance below this share of the residual's is none."""
_FEW = 6
"""With fewer inputs or raters than this an interval of Wald is clearly too narrow."""


def mixed_model(
    frame: pd.DataFrame,
    factor: str = "config_name",
    *,
    value: str = "value",
    inputs: str = "input_id",
    raters: str | None = "rater",
    reference: str | None = None,
    confidence: float = 0.95,
) -> Finding:
    """Linear mixed model of a value with crossed random effects of inputs and raters (statsmodels MixedLM, REML).

    Where an input has several values under one level, for example one picture seen by five raters, the level's effect
    may differ by input too, and likewise by rater: both are random effects of their own (Barr et al. 2013). Without
    them five opinions of one picture would count as five pictures. Intervals and p are those of Wald, which are
    somewhat too sure with a handful of inputs or raters; p values are corrected after Holm. A thousand values take
    seconds, five thousand minutes.

    Args:
        frame: One row per observation, for example `load_ratings()`.
        factor: Column whose levels are compared.
        value: Column of what was measured.
        inputs: Column of the input.
        raters: Column of the rater; None where nobody rated, for example with seconds.
        reference: Level that the others are compared with; default the first in alphabetical order.
        confidence: Level of the intervals.

    Raises:
        InvalidInput: fewer than two levels, a value that is no number, or too little data for a model.
        UnknownName: a column or level that does not exist.
    """
    check_design(confidence=confidence, factor=factor, value=value, inputs=inputs, raters=raters)
    rows, notes = usable(frame, factor, value, *([inputs] + ([raters] if raters else [])))
    levels = sorted(rows[factor].astype(str).unique())
    if len(levels) < 2:
        raise InvalidInput(f"{factor} has only one level.", hint="Load rows of at least two levels.")
    reference = levels[0] if reference is None else str(reference)
    check_choice("level", reference, levels)
    levels = [reference, *(level for level in levels if level != reference)]
    crossed, told = _told_apart(rows, [inputs] + ([raters] if raters else []))
    effects = _effects(rows, factor, crossed)
    fit = _fitted(rows, factor, value, levels, effects)
    table = _differences(fit, levels[1:], confidence)
    sizes = ", ".join(f"{rows[c].nunique()} {c}" for c in crossed)
    slopes = [name for name in effects if name not in crossed]
    design = f"crossed random effects of {sizes}" + (f" and of {', '.join(slopes)}" if slopes else "")
    sentences = tuple(
        f"{r['level']} differed from {reference} by {r['difference']:.3g} in {value} ({percent(confidence)} Wald CI "
        f"[{r['low']:.3g}, {r['high']:.3g}], {p_text(r['p_corrected'])}{', Holm-corrected' if len(table) > 1 else ''}; "
        f"n = {len(rows)}, {design})."
        for r in table.to_dict("records")
    )
    notes += told + _fit_notes(fit, rows, crossed, list(effects))
    return Finding(f"Mixed model of {value} by {factor}", table, sentences, tuple(notes))


def _told_apart(rows: pd.DataFrame, names: list[str]) -> tuple[list[str], list[str]]:
    """The random effects that the data can tell from the mean and from noise, and notes on the others.

    Raises:
        InvalidInput: there is none.
    """
    kept, notes = [], []
    for name in names:
        count = rows[name].nunique()
        if count == 1:
            notes.append(f"There is only one {name}: its effect is part of the mean, and nothing is said of others.")
        elif count == len(rows):
            notes.append(f"Each {name} has one value: its effect is part of the noise.")
        else:
            kept.append(name)
    if not kept:
        raise InvalidInput(
            f"There is no random effect to estimate. {' '.join(notes)}",
            hint="A mixed model needs inputs or raters that come back; compare means without one.",
        )
    return kept, notes


def _effects(rows: pd.DataFrame, factor: str, crossed: list[str]) -> dict[str, Any]:
    """Random effects by name: those that cross, and each one's own reaction to the levels where cells hold repeats."""
    effects = {name: rows[name].astype(str) for name in crossed}
    for name in crossed:
        cells = rows.groupby([name, factor], observed=True).ngroup()
        if rows[name].nunique() < cells.nunique() < len(rows):
            effects[f"{name} × {factor}"] = cells.astype(str)
    return effects


def _fitted(rows: pd.DataFrame, factor: str, value: str, levels: list[str], effects: dict[str, Any]) -> Any:
    """The model fitted by REML; all rows are one group, because effects that cross are not nested in anything.

    Raises:
        InvalidInput: all values are equal, or there are too few.
    """
    import numpy as np
    import pandas as pd

    models = need("statsmodels.regression.mixed_linear_model")
    measured = numbers(rows, value)
    if np.ptp(measured) == 0:
        raise InvalidInput(f"All values of {value} are equal: {measured.iloc[0]:g}.", hint="There is nothing to model.")
    columns = {f"v{i}": column for i, column in enumerate(effects.values())}
    named = pd.Categorical(rows[factor].astype(str), categories=levels)
    data = pd.DataFrame({"y": measured, "factor": named, **columns, "all": 1})
    parts = {name: f"0 + C({name})" for name in columns}
    with warnings.catch_warnings():
        # statsmodels warns of each optimiser that gives up and of variances of zero; both are told by the caller.
        warnings.simplefilter("ignore")
        try:
            model = models.MixedLM.from_formula(
                "y ~ factor", groups="all", vc_formula=parts, re_formula="0", data=data.reset_index(drop=True)
            )
            return model.fit(reml=True, method=_OPTIMISERS)
        except (np.linalg.LinAlgError, ValueError, ZeroDivisionError) as error:
            raise InvalidInput(
                f"{len(rows)} values of {len(levels)} levels are too few for a mixed model ({error}).",
                hint="Collect more inputs or raters, or compare pairs with aipipe.paired.",
            ) from error


def _fit_notes(fit: Any, rows: pd.DataFrame, crossed: list[str], effects: list[str]) -> list[str]:
    notes = [] if fit.converged else ["The fit did not converge; do not report these intervals."]
    notes += [
        f"The variance of {name} is estimated as zero: no effect of it is told from noise."
        for name, variance in zip(effects, fit.vcomp, strict=True)
        if variance < _NOTHING * fit.scale
    ]
    few = [f"{count} {name}" for name in crossed if (count := rows[name].nunique()) < _FEW]
    return notes + ([f"With only {' and '.join(few)} the intervals are too narrow and p too small."] if few else [])


def _differences(fit: Any, levels: list[str], confidence: float) -> pd.DataFrame:
    """Each level against the reference, in the order of the levels."""
    import pandas as pd

    bounds = fit.conf_int(alpha=1 - confidence).iloc[1 : len(levels) + 1]
    p = [float(v) for v in fit.pvalues.iloc[1 : len(levels) + 1]]
    return pd.DataFrame(
        {
            "level": levels,
            "difference": [float(v) for v in fit.fe_params.iloc[1:]],
            "low": [float(v) for v in bounds[0]],
            "high": [float(v) for v in bounds[1]],
            "p": p,
            "p_corrected": need("statsmodels.stats.multitest").multipletests(p, method="holm")[1],
        }
    )

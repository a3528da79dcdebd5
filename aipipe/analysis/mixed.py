"""Mixed models: the effect of a factor when the same inputs and the same raters come back in its levels."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from aipipe.analysis.findings import Finding, check_design, need, numbers, p_text, usable
from aipipe.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

_OPTIMISERS = ["powell", "lbfgs"]
"""Powell first: a variance of zero is usual with few raters, and statsmodels' gradient methods stop short of it."""
_NOTHING = 1e-4
"""A variance below this share of the residual's is none."""


def mixed_model(
    frame: pd.DataFrame,
    factor: str = "config_name",
    *,
    value: str = "value",
    inputs: str = "input_id",
    raters: str | None = "rater",
) -> Finding:
    """Linear mixed model of a value with crossed random effects of inputs and raters (statsmodels MixedLM, REML).

    The first level of the factor in alphabetical order is the reference. Intervals and p are those of Wald, which are
    somewhat too sure with a handful of inputs or raters.

    Args:
        frame: One row per observation, for example `load_ratings()`.
        factor: Column whose levels are compared.
        value: Column of what was measured.
        inputs: Column of the input.
        raters: Column of the rater; None where nobody rated, for example with seconds.

    Raises:
        InvalidInput: fewer than two levels, or a value that is no number.
        UnknownName: a column that does not exist.
    """
    check_design(factor=factor, value=value, inputs=inputs, raters=raters)
    crossed = [inputs] + ([raters] if raters else [])
    rows, notes = usable(frame, factor, value, *crossed)
    if rows[factor].astype(str).nunique() < 2:
        raise InvalidInput(f"{factor} has only one level.", hint="Load rows of at least two levels.")
    fit = _fitted(rows, factor, value, crossed)
    if not fit.converged:
        notes.append("The fit did not converge; do not report these intervals.")
    notes += [
        f"The variance of {name} is estimated as zero: no effect of it is told from noise."
        for name, variance in zip(crossed, fit.vcomp, strict=True)
        if variance < _NOTHING * fit.scale
    ]
    table = _differences(fit)
    reference = rows[factor].astype(str).min()
    sizes = ", ".join(f"{rows[c].nunique()} {c}" for c in crossed)
    sentences = tuple(
        f"{r['level']} differed from {reference} by {r['difference']:.3g} in {value} (95% Wald CI [{r['low']:.3g}, "
        f"{r['high']:.3g}], {p_text(r['p'])}; n = {len(rows)}, crossed random effects of {sizes})."
        for r in table.to_dict("records")
    )
    return Finding(f"Mixed model of {value} by {factor}", table, sentences, tuple(notes))


def _fitted(rows: pd.DataFrame, factor: str, value: str, crossed: list[str]) -> Any:
    """The model fitted by REML; all rows are one group, because effects that cross are not nested in anything."""
    import pandas as pd

    models = need("statsmodels.regression.mixed_linear_model")
    effects = {f"r{i}": rows[c].astype(str) for i, c in enumerate(crossed)}
    data = pd.DataFrame({"y": numbers(rows, value), "factor": rows[factor].astype(str), **effects, "all": 1})
    parts = {name: f"0 + C({name})" for name in effects}
    with warnings.catch_warnings():
        # statsmodels warns of each optimiser that gives up and of variances of zero; both are told by the caller.
        warnings.simplefilter("ignore")
        model = models.MixedLM.from_formula(
            "y ~ C(factor)", groups="all", vc_formula=parts, re_formula="0", data=data.reset_index(drop=True)
        )
        return model.fit(reml=True, method=_OPTIMISERS)


def _differences(fit: Any) -> pd.DataFrame:
    """Each level against the reference."""
    import pandas as pd

    bounds = fit.conf_int()
    names = [n for n in fit.fe_params.index if n.startswith("C(factor)")]
    return pd.DataFrame(
        {
            "level": [n.split("[T.")[1][:-1] for n in names],
            "difference": [float(fit.fe_params[n]) for n in names],
            "low": [float(bounds.loc[n, 0]) for n in names],
            "high": [float(bounds.loc[n, 1]) for n in names],
            "p": [float(fit.pvalues[n]) for n in names],
        }
    )

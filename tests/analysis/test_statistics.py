"""Statistics against published worked examples and against cases whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from aipipe.analysis import agreement, block_rates, bradley_terry, mixed_model, paired, plot_images, stage_times
from aipipe.analysis.rates import false_block_rates
from aipipe.errors import InvalidInput, UnknownName

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C: four observers, twelve units.
OBSERVERS = {
    "A": [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    "B": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    "C": [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    "D": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
}


def observers() -> pd.DataFrame:
    rows = [
        {"rater": rater, "run_id": f"u{unit:02d}", "criterion": "c", "value": value}
        for rater, values in OBSERVERS.items()
        for unit, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)]
)
def test_alpha_is_that_of_krippendorffs_worked_example(level: str, alpha: float) -> None:
    found = agreement(observers(), level=level, resamples=50)  # type: ignore[arg-type]
    row = found.table.iloc[0]
    assert row["alpha"] == pytest.approx(alpha, abs=0.001)
    assert row["alpha_low"] <= row["alpha"] <= row["alpha_high"]
    assert "4 raters" in str(found)


def test_icc_is_that_of_shrout_and_fleiss() -> None:
    # Shrout & Fleiss (1979), table 2: six targets, four judges; ICC(2,1) = 0.29.
    scores = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    rows = [
        {"rater": f"J{j}", "run_id": f"T{t}", "criterion": "c", "value": float(v)}
        for t, line in enumerate(scores)
        for j, v in enumerate(line)
    ]
    found = agreement(pd.DataFrame(rows), level="interval", resamples=20)
    assert found.table["icc"].iloc[0] == pytest.approx(0.29, abs=0.005)
    # Their interval, as R's psych prints it for this table: 0.019 to 0.76.
    assert found.table[["icc_low", "icc_high"]].iloc[0].tolist() == pytest.approx([0.019, 0.76], abs=0.003)


def test_wilcoxon_is_that_of_a_known_paired_sample() -> None:
    # Darwin's maize (Fisher 1935): differences in eighths of an inch; Wilcoxon signed-rank exact p = 0.0413.
    difference = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    rows = [{"input_id": f"i{i}", "config_name": "cross", "seconds": 100.0 + d} for i, d in enumerate(difference)]
    rows += [{"input_id": f"i{i}", "config_name": "self", "seconds": 100.0} for i in range(len(difference))]
    row = paired(pd.DataFrame(rows), resamples=500).table.iloc[0]
    assert (row["n"], row["difference"]) == (15, pytest.approx(20.93, abs=0.01))
    assert row["p"] == pytest.approx(0.0413, abs=0.0005)
    assert row["low"] < 20.93 < row["high"]


def test_repeats_of_one_input_are_one_observation() -> None:
    rows = [
        {"input_id": f"i{i}", "config_name": config, "seconds": float(i + repeat + (5 if config == "b" else 0))}
        for i in range(6)
        for config in ("a", "b")
        for repeat in range(4)
    ]
    found = paired(pd.DataFrame(rows), resamples=200)
    assert found.table.iloc[0]["n"] == 6
    assert "36 repeats" in str(found)


def test_corrections_excluded_rows_and_changed_configs_are_told() -> None:
    random = np.random.default_rng(1)
    rows = [
        {
            "input_id": f"i{i}",
            "config_name": config,
            "config_hash": "x" if i % 2 else "y",
            "seconds": float(random.normal(k)),
            "excluded": i == 0,
        }
        for i in range(12)
        for k, config in enumerate("abc")
    ]
    found = paired(pd.DataFrame(rows), resamples=200)
    assert len(found.table) == 3
    assert (found.table["p_corrected"] >= found.table["p"]).all()
    assert "excluded by annotation" in str(found)
    assert "different contents" in str(found)
    assert "Holm" in found.sentences[0]


def test_block_rates_have_wilson_intervals_and_count_the_rest() -> None:
    frame = pd.DataFrame(
        {
            "config_name": ["dada"] * 11,
            "safety_level": ["kids"] * 11,
            "status": ["blocked"] * 2 + ["completed"] * 8 + ["failed"],
        }
    )
    found = block_rates(frame)
    row = found.table.iloc[0]
    # Wilson interval of 2 of 10 at 95 %: 0.0567 to 0.5098.
    assert (row["n"], row["low"], row["high"]) == (10, pytest.approx(0.0567, abs=1e-3), pytest.approx(0.5098, abs=1e-3))
    assert "1 run was neither" in str(found)


def test_false_block_rates_look_at_blocked_checks_only() -> None:
    frame = pd.DataFrame(
        {"blocked": [True, True, True, False], "judged_safe": [True, False, False, True], "safety_level": ["kids"] * 4}
    )
    assert false_block_rates(frame).table.iloc[0][["n", "hits"]].tolist() == [3, 1]


def test_bradley_terry_recovers_the_odds_of_two_names() -> None:
    # Two names: the strength is the log odds of winning, here ln(30/10).
    pairs = pd.DataFrame({"winner": ["b"] * 30 + ["a"] * 10, "loser": ["a"] * 30 + ["b"] * 10})
    found = bradley_terry(pairs, "winner", "loser").table.set_index("name")
    assert found.loc["b", "strength"] == pytest.approx(np.log(3), abs=1e-6)
    with pytest.raises(InvalidInput, match="finite"):
        bradley_terry(pairs[pairs["winner"] == "b"], "winner", "loser")


def test_mixed_model_finds_a_planted_difference() -> None:
    random = np.random.default_rng(3)
    inputs, raters = random.normal(size=12), random.normal(size=5)
    rows = [
        {
            "input_id": f"i{i}",
            "rater": f"r{r}",
            "config_name": config,
            "value": inputs[i] + raters[r] + shift + random.normal(scale=0.3),
        }
        for i in range(12)
        for r in range(5)
        for config, shift in (("a", 0.0), ("b", 1.0))
    ]
    row = mixed_model(pd.DataFrame(rows)).table.iloc[0]
    assert row["difference"] == pytest.approx(1.0, abs=0.15)
    assert row["low"] < 1 < row["high"]
    assert row["p"] < 0.001


def test_stage_times_leave_reused_steps_out() -> None:
    steps = pd.DataFrame(
        {"stage": [1, 1, 1], "step": ["t"] * 3, "seconds": [1.0, 3.0, 0.0], "outcome": ["completed"] * 2 + ["reused"]}
    )
    found = stage_times(steps)
    assert found.table.iloc[0][["n", "median"]].tolist() == [2, 2.0]
    assert "1 reused" in str(found)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(UnknownName, match="seconds"):
        paired(pd.DataFrame({"config_name": ["a"], "input_id": ["x"], "second": [1.0]}))


def test_cost_follows_tokens_and_unpriced_models_are_told() -> None:
    steps = pd.DataFrame(
        {
            "stage": [2, 2, 3],
            "step": ["interception", "interception", "safety"],
            "seconds": [1.0, 2.0, 0.5],
            "model": ["big", "big", "local"],
            "tokens_input": [1_000_000, None, 500],
            "tokens_output": [2_000_000, 500_000, 10],
            "outcome": ["completed"] * 3,
        }
    )
    found = stage_times(steps, prices={"big": (1.0, 4.0)})
    assert list(found.table["cost"]) == [1.0 + 8.0 + 2.0, 0.0]
    assert "cost 11" in found.sentences[0]
    assert any("local" in note for note in found.notes)


def test_few_inputs_are_said_to_be_few() -> None:
    def of(n: int) -> str:
        both = [(i, k, c) for i in range(n) for k, c in enumerate("ab")]
        rows = [{"config_name": c, "input_id": f"i{i}", "seconds": i + k * (2.0 + i % 3)} for i, k, c in both]
        return str(paired(pd.DataFrame(rows)))

    assert "fewer than 6" in of(3)
    assert "fewer than 6" not in of(6)


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")],
        [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"), ("a", "c"), ("b", "d")],
    ],
    ids=["never compared", "one group always wins"],
)
def test_bradley_terry_refuses_groups_that_nothing_connects(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidInput, match=r"a, b; c, d|c, d; a, b"):
        bradley_terry(pd.DataFrame(pairs * 5, columns=["winner", "loser"]), "winner", "loser")


RATINGS = pd.DataFrame(
    {
        "rater": ["a", "b"] * 6,
        "run_id": [f"r{i // 2}" for i in range(12)],
        "criterion": ["x"] * 12,
        "value": [1.0, 2, 3, 3, 2, 2, 5, 4, 1, 1, 2, 3],
    }
)
RUNS = pd.DataFrame(
    {
        "config_name": ["a", "b"] * 6,
        "input_id": [f"i{i // 2}" for i in range(12)],
        "seconds": np.arange(12.0) ** 1.3,
        "status": ["completed", "blocked"] * 6,
        "safety_level": ["kids"] * 12,
        "stage": [1] * 12,
        "step": ["safety"] * 12,
        "model": ["m"] * 12,
        "tokens_input": [1] * 12,
        "tokens_output": [1] * 12,
    }
)
TWICE = pd.concat([RUNS, RUNS[["seconds"]]], axis=1)
JUDGED = RUNS.assign(blocked=True, judged_safe="no")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: agreement(None), "NoneType is no frame"),  # type: ignore[arg-type]
        (lambda: agreement([1]), "list is no frame"),  # type: ignore[arg-type]
        (lambda: agreement(RATINGS.drop(columns="run_id")), "run_id"),
        (lambda: agreement(RATINGS.drop(columns="rater")), "rater"),
        (lambda: agreement(RATINGS, item="nope"), "nope"),
        (lambda: agreement(RATINGS.assign(value="x")), "no finite number"),
        (lambda: agreement(RATINGS, level="foo"), "level 'foo'"),  # type: ignore[arg-type]
        (lambda: agreement(RATINGS, confidence=95), "confidence"),
        (lambda: agreement(RATINGS, resamples=0), "resamples"),
        (lambda: agreement(RATINGS.assign(value=-RATINGS["value"]), level="ratio"), "below 0"),
        (lambda: paired(None), "no frame"),  # type: ignore[arg-type]
        (lambda: paired(RUNS, value="status"), "'completed', which is no finite number"),
        (lambda: paired(RUNS.assign(seconds=[np.inf] + [1.0] * 11)), "no finite number"),
        (lambda: paired(RUNS, factor="seconds"), "both 'seconds'"),
        (lambda: paired(RUNS, by="config_name"), "both 'config_name'"),
        (lambda: paired(RUNS, correction="foo"), "correction 'foo'"),  # type: ignore[arg-type]
        (lambda: paired(RUNS, confidence=2), "confidence"),
        (lambda: paired(RUNS, resamples=0), "resamples"),
        (lambda: paired(TWICE), "2 columns called 'seconds'"),
        (lambda: block_rates(None), "no frame"),  # type: ignore[arg-type]
        (lambda: block_rates(RUNS, by=[]), "group by"),
        (lambda: block_rates(RUNS, confidence=95), "confidence"),
        (lambda: block_rates(RUNS.assign(status="failed")), "No run is completed or blocked"),
        (lambda: false_block_rates(JUDGED), "'no'"),
        (lambda: stage_times(RUNS.assign(seconds="abc")), "no finite number"),
        (lambda: stage_times(RUNS, prices={"m": 3}), "price of m"),  # type: ignore[dict-item]
        (lambda: bradley_terry(RUNS, "config_name", "config_name"), "both"),
        (lambda: bradley_terry(pd.DataFrame({"w": ["a"], "l": ["a"]}), "w", "l"), "two different names"),
        (lambda: mixed_model(RUNS.assign(config_name="a", value=1.0, rater="r")), "only one level"),
        (lambda: mixed_model(RUNS.assign(value="x", rater="r")), "no finite number"),
    ],
)
def test_what_cannot_be_computed_is_a_typed_error_with_a_hint(call: Any, said: str) -> None:
    with pytest.raises((InvalidInput, UnknownName)) as caught:
        call()
    assert said in str(caught.value)
    assert caught.value.hint


def test_one_name_to_group_by_may_stand_alone() -> None:
    assert block_rates(RUNS, by="config_name").table["config_name"].tolist() == ["a", "b"]
    assert stage_times(RUNS, by="step").table["step"].tolist() == ["safety"]


def test_a_thin_criterion_is_told_and_hides_no_other() -> None:
    thin = pd.DataFrame({"rater": ["a"], "run_id": ["z"], "criterion": ["thin"], "value": [1.0]})
    found = agreement(pd.concat([RATINGS, thin]), resamples=20)
    assert found.table["criterion"].tolist() == ["x"]
    assert any("thin" in note for note in found.notes)
    with pytest.raises(InvalidInput, match="two raters"):
        agreement(thin)


def test_names_can_be_compared_on_a_nominal_scale() -> None:
    words = RATINGS.assign(answer=["left", "right"] + ["left", "left"] * 2 + ["right", "right"] * 3)
    found = agreement(words, value="answer", level="nominal", resamples=20)
    assert "nominal" in found.sentences[0]
    assert "; kappa = " in found.sentences[0]


# Hout, Duncan & Sobel (1987), husbands and wives, as analysed by Agresti (1990) and in R's vcd: n = 91,
# kappa 0.1293, linearly weighted 0.2374.
MARRIED = [[7, 7, 2, 3], [2, 8, 3, 7], [1, 5, 4, 9], [2, 8, 9, 14]]


def married(scale: list[float]) -> pd.DataFrame:
    pairs = [(scale[i], scale[j]) for i, row in enumerate(MARRIED) for j, n in enumerate(row) for _ in range(n)]
    return pd.DataFrame(
        [
            {"rater": rater, "run_id": f"c{number}", "criterion": "c", "value": float(value)}
            for number, pair in enumerate(pairs)
            for rater, value in zip(("husband", "wife"), pair, strict=True)
        ]
    )


def test_kappa_is_that_of_a_published_table() -> None:
    assert agreement(married([1, 2, 3, 4]), resamples=2).table["kappa"].iloc[0] == pytest.approx(0.2374, abs=5e-5)
    nominal = agreement(married([1, 2, 3, 4]), level="nominal", resamples=2)
    assert nominal.table["kappa"].iloc[0] == pytest.approx(0.1293, abs=5e-5)


@pytest.mark.parametrize(("level", "error"), [("nominal", 0.0686), ("ordinal", 0.0783)])
def test_the_interval_of_kappa_is_that_of_a_published_table(level: Any, error: float) -> None:
    # Asymptotic standard errors of the same table in R's vcd: 0.0686, and 0.0783 with linear weights.
    row = agreement(married([1, 2, 3, 4]), level=level, resamples=2).table.iloc[0]
    assert (row["kappa_high"] - row["kappa_low"]) / (2 * 1.959964) == pytest.approx(error, abs=1e-4)


def test_kappa_weighs_by_distance_and_not_by_the_values_that_happened_to_be_used() -> None:
    # On 1, 2, 9 a slip from 1 to 2 is small; by ranks alone it would weigh as much as one from 2 to 9.
    near = [(1, 2), (2, 1), (9, 9), (9, 9), (1, 1), (2, 2)]
    rows = [
        {"rater": r, "run_id": f"i{n}", "criterion": "c", "value": float(v)}
        for n, pair in enumerate(near)
        for r, v in zip("ab", pair, strict=True)
    ]
    assert agreement(pd.DataFrame(rows), resamples=2).table["kappa"].iloc[0] > 0.9


def test_equal_differences_have_no_standardised_effect_and_the_sentence_says_so() -> None:
    found = paired(RUNS.assign(seconds=[1.0, 2.0] * 6))
    assert "d_z undefined" in found.sentences[0]
    assert "nan" not in str(found.sentences)


def test_the_effect_is_that_of_darwins_maize() -> None:
    # Fisher (1935): t = 2.148 on 15 pairs, so d_z = t / sqrt(15) = 0.5546.
    difference = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    rows = [{"input_id": f"i{i}", "config_name": "cross", "seconds": 100.0 + d} for i, d in enumerate(difference)]
    rows += [{"input_id": f"i{i}", "config_name": "self", "seconds": 100.0} for i in range(len(difference))]
    assert paired(pd.DataFrame(rows), resamples=50).table["effect"].iloc[0] == pytest.approx(0.5546, abs=5e-4)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (1, 29, 0.0061, 0.1718)]
)
def test_wilson_intervals_are_those_of_newcombe(hits: int, n: int, low: float, high: float) -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    frame = pd.DataFrame({"config_name": "c", "status": ["blocked"] * hits + ["completed"] * (n - hits)})
    row = block_rates(frame, by="config_name").table.iloc[0]
    assert (row["low"], row["high"]) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_strengths_are_those_of_agrestis_baseball_table() -> None:
    # Agresti, Categorical Data Analysis (2002), table 10.10: American League East 1987; strengths against Baltimore.
    names = ["Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore"]
    wins = [
        [0, 7, 9, 7, 7, 9, 11],
        [6, 0, 7, 5, 11, 9, 9],
        [4, 6, 0, 7, 7, 8, 12],
        [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12],
        [4, 4, 5, 6, 6, 0, 6],
        [2, 4, 1, 3, 1, 7, 0],
    ]
    pairs = [(names[i], names[j]) for i, row in enumerate(wins) for j, n in enumerate(row) for _ in range(n)]
    table = bradley_terry(pd.DataFrame(pairs, columns=["won", "lost"]), "won", "lost").table.set_index("name")
    expected = dict(zip(names, [1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0.0], strict=True))
    assert table["strength"].to_dict() == pytest.approx(expected, abs=0.006)
    # Standard errors of the same fit as SAS prints them for this table.
    errors = dict(zip(names[:-1], [0.3433, 0.3396, 0.3367, 0.3359, 0.3339, 0.3319], strict=True))
    found = ((table["high"] - table["low"]) / (2 * 1.959964)).drop("Baltimore")
    assert found.to_dict() == pytest.approx(errors, abs=1e-4)


@pytest.mark.parametrize("correction", ["holm", "fdr_bh"])
def test_corrections_are_those_of_their_definition(correction: Any) -> None:
    random = np.random.default_rng(5)
    rows = [
        {"input_id": f"i{i}", "config_name": c, "seconds": random.normal(k * 0.4)}
        for i in range(14)
        for k, c in enumerate("abcd")
    ]
    table = paired(pd.DataFrame(rows), correction=correction, resamples=50).table.sort_values("p")
    p = table["p"].to_numpy()
    m = len(p)
    if correction == "holm":
        expected = np.minimum(np.maximum.accumulate(p * (m - np.arange(m))), 1)
    else:
        expected = np.minimum.accumulate((p * m / np.arange(1, m + 1))[::-1])[::-1]
    assert table["p_corrected"].to_numpy() == pytest.approx(expected)


def standard_errors(table: pd.DataFrame) -> list[float]:
    return [float(width) / (2 * 1.959964) for width in table["high"] - table["low"]]


def test_the_mixed_model_is_that_of_the_ergonomic_stools() -> None:
    """Effort of nine subjects to rise from four stools: Pinheiro & Bates, Mixed-Effects Models in S and S-PLUS (2000), 1.2.

    Their REML fit: T2 3.8889, T3 2.2222, T4 0.6667 against T1, each with a standard error of 0.5187.
    """
    efforts = {
        "T1": [12, 10, 7, 7, 8, 9, 8, 7, 9],
        "T2": [15, 14, 14, 11, 11, 11, 12, 11, 13],
        "T3": [12, 13, 13, 10, 8, 11, 12, 8, 10],
        "T4": [10, 12, 9, 9, 7, 10, 11, 7, 8],
    }
    rows = [
        {"stool": stool, "subject": str(subject), "effort": effort}
        for stool, values in efforts.items()
        for subject, effort in enumerate(values, 1)
    ]
    found = mixed_model(pd.DataFrame(rows), "stool", value="effort", inputs="subject", raters=None)
    assert list(found.table["level"]) == ["T2", "T3", "T4"]
    assert list(found.table["difference"]) == pytest.approx([3.8889, 2.2222, 0.6667], abs=1e-4)
    assert standard_errors(found.table) == pytest.approx([0.5187] * 3, abs=1e-3)
    assert found.notes == ()


def test_crossed_effects_are_those_of_the_rocket_propellant() -> None:
    """Five formulations, crossed with batches and operators: Montgomery, Design and Analysis of Experiments, section 4.2.

    His analysis of variance: means 28.6, 20.2, 22.4, 29.8, 26.0 and a mean square of error of 128 / 12. Of a balanced
    design whose components are positive REML gives the same, so a difference has the standard error √(2 · 128/12 / 5).
    """
    square = [
        ("A24", "B20", "C19", "D24", "E24"),
        ("B17", "C24", "D30", "E27", "A36"),
        ("C18", "D38", "E26", "A27", "B21"),
        ("D26", "E31", "A26", "B23", "C22"),
        ("E22", "A30", "B20", "C29", "D31"),
    ]
    rows = [
        {"config_name": cell[0], "input_id": f"batch {batch}", "rater": f"operator {operator}", "value": int(cell[1:])}
        for batch, cells in enumerate(square)
        for operator, cell in enumerate(cells)
    ]
    found = mixed_model(pd.DataFrame(rows))
    assert list(found.table["difference"]) == pytest.approx([-8.4, -6.2, 1.2, -2.6], abs=1e-3)
    assert standard_errors(found.table) == pytest.approx([(2 * 128 / 12 / 5) ** 0.5] * 4, rel=2e-3)
    assert "crossed random effects of 5 input_id, 5 rater" in str(found)


def test_a_mixed_model_without_effects_of_inputs_and_raters_is_a_plain_comparison() -> None:
    """All variances end at zero, where gradient methods give up; what is left is the difference of two means."""
    random = np.random.default_rng(0)
    rows = [
        {"input_id": f"i{i}", "rater": f"r{r}", "config_name": config, "value": float(random.integers(1, 6))}
        for i in range(5)
        for r in range(3)
        for config in "ab"
    ]
    frame = pd.DataFrame(rows)
    found = mixed_model(frame)
    pooled = frame.groupby("config_name")["value"].var().mean()
    assert standard_errors(found.table) == pytest.approx([(2 * pooled / 15) ** 0.5], rel=1e-3)
    assert found.notes == (
        *(
            f"The variance of {name} is estimated as zero: no effect of it is told from noise."
            for name in ("input_id", "rater", "input_id × config_name", "rater × config_name")
        ),
        "With only 5 input_id and 3 rater the intervals are too narrow and p too small.",
    )


def seen_by_raters(pictures: float, configs: str = "ab", inputs: int = 12, raters: int = 8) -> pd.DataFrame:
    """One picture per input and config, each with a quality of its own, all seen by all raters; configs are equal."""
    random = np.random.default_rng(0)
    quality = random.normal(size=inputs)
    strict = random.normal(size=raters)
    own = random.normal(scale=pictures, size=(inputs, len(configs)))
    return pd.DataFrame(
        [
            {
                "input_id": f"i{i}",
                "rater": f"r{r}",
                "config_name": config,
                "value": quality[i] + strict[r] + own[i, k] + random.normal(scale=0.5),
            }
            for i in range(inputs)
            for r in range(raters)
            for k, config in enumerate(configs)
        ]
    )


def test_eight_opinions_of_one_picture_are_not_eight_pictures() -> None:
    """Of a balanced design whose components are positive, REML gives the standard error of the paired means.

    Barr, Levy, Scheepers & Tily (2013): a model without the inputs' own reactions to the levels finds differences in
    most samples where there is none.
    """
    frame = seen_by_raters(1.0)
    means = frame.groupby(["input_id", "config_name"])["value"].mean().unstack()
    difference = means["b"] - means["a"]
    found = mixed_model(frame)
    assert found.table["difference"].iloc[0] == pytest.approx(difference.mean(), abs=1e-6)
    assert standard_errors(found.table) == pytest.approx([difference.std() / 12**0.5], rel=0.02)
    assert "input_id × config_name" in found.sentences[0]


def test_a_mixed_model_takes_a_reference_and_a_level_and_corrects_its_p_values() -> None:
    frame = seen_by_raters(0.5, configs="abc", inputs=8, raters=6)
    found, narrow = mixed_model(frame, reference="c"), mixed_model(frame, reference="c", confidence=0.5)
    assert list(found.table["level"]) == ["a", "b"]
    assert "differed from c by" in found.sentences[0]
    assert "Holm" in found.sentences[0]
    assert (found.table["p_corrected"] >= found.table["p"]).all()
    assert (narrow.table["low"] > found.table["low"]).all()
    assert "50% Wald CI" in narrow.sentences[0]
    with pytest.raises(UnknownName, match="z"):
        mixed_model(frame, reference="z")


def test_a_mixed_model_says_what_it_cannot_tell_apart() -> None:
    frame = seen_by_raters(0.5, inputs=8, raters=1)
    found = mixed_model(frame)
    assert any("only one rater" in note for note in found.notes)
    assert "8 input_id)" in found.sentences[0]
    with pytest.raises(InvalidInput, match="random effect"):
        mixed_model(frame[frame["input_id"] == "i0"])
    with pytest.raises(InvalidInput, match="equal: 3"):
        mixed_model(frame.assign(value=3.0))
    odd = frame.replace({"b": "b[T.1]"})
    assert mixed_model(odd).table["level"].tolist() == ["b[T.1]"]


def test_the_frame_that_was_meant_is_named() -> None:
    with pytest.raises(UnknownName) as caught:
        plot_images(RUNS)
    assert "load_media()" in str(caught.value)
    with pytest.raises(UnknownName, match="harmless"):
        false_block_rates(pd.DataFrame({"blocked": [True], "safety_level": ["kids"]}))


def both(difference: Any, base: Any = 100.0) -> pd.DataFrame:
    """Config a is above config b by these differences, input by input."""
    base = np.broadcast_to(base, len(difference))
    rows = [
        {"input_id": f"i{i}", "config_name": c, "seconds": float(base[i]) + (d if c == "a" else 0.0)}
        for i, d in enumerate(difference)
        for c in "ab"
    ]
    return pd.DataFrame(rows)


def test_noise_of_floating_point_is_no_spread() -> None:
    row = paired(both([0.1] * 8, base=0.2 + 0.1 * np.arange(8)), resamples=50).table.iloc[0]
    assert np.isnan(row["effect"])
    assert row["p"] == pytest.approx(2 / 2**8)


def test_numbers_of_a_sentence_show_the_difference_between_them() -> None:
    said = paired(both(np.linspace(0.5, 2.5, 20), base=1003.0), resamples=100).sentences[0]
    assert "1004.50 for a and 1003.00 for b (mean difference 1.50" in said
    assert "99.9% CI" in paired(both([1.0, 2, 3]), confidence=0.999, resamples=50).sentences[0]


def test_what_is_not_compared_is_told() -> None:
    frame = pd.concat([both([1.0, 2, 3]), pd.DataFrame({"input_id": ["i0"], "config_name": "c", "seconds": 1.0})])
    found = str(paired(frame.assign(status=["completed"] * 5 + ["blocked"] * 2), resamples=50))
    assert "2 of 3 values of input_id lack a level" in found
    assert "fewer than two shared input_id: a and c, b and c" in found
    assert "2 of 7 rows are of runs that did not complete (2 blocked)" in found


def test_intervals_of_several_pairs_are_said_to_be_uncorrected() -> None:
    frame = pd.concat([both([1.0, 2, 3, 2]), both([1.0, 2, 2, 3]).replace({"a": "c"})])
    assert "corrected for 3 comparisons, intervals are not" in str(paired(frame, resamples=50))


def test_a_comparison_of_many_inputs_takes_seconds_and_little_memory() -> None:
    import tracemalloc

    frame = both(np.random.default_rng(0).normal(0.1, 3, 20_000))
    tracemalloc.start()
    row = paired(frame, resamples=1000).table.iloc[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (row["n"], peak < 300e6) == (20_000, True)
    half = 1.96 * 3 / 20_000**0.5
    assert (row["low"], row["high"]) == (
        pytest.approx(row["difference"] - half, abs=0.004),
        pytest.approx(row["difference"] + half, abs=0.004),
    )


def test_four_runs_of_one_input_are_not_four_cases_of_a_block() -> None:
    """Four runs that always agree are worth one: the interval is Wilson's of 15 in 148 (Newcombe 1998)."""
    one = pd.DataFrame({"config_name": "c", "status": ["blocked"] * 15 + ["completed"] * 133, "input_id": range(148)})
    found = block_rates(pd.concat([one] * 4), by="config_name")
    row = found.table.iloc[0]
    assert (row["n"], row["hits"], row["clusters"]) == (592, 60, 148)
    assert (row["low"], row["high"]) == (pytest.approx(0.0624, abs=5e-5), pytest.approx(0.1605, abs=5e-5))
    assert "148 inputs" in found.sentences[0]
    none = block_rates(pd.concat([one[15:]] * 4), by="config_name").table.iloc[0]
    assert none["high"] == pytest.approx(block_rates(one[15:], by="config_name").table["high"].iloc[0])
    assert block_rates(one, by="config_name").notes == ()


def test_runs_of_one_input_that_differ_freely_are_as_many_cases() -> None:
    frame = pd.DataFrame({"config_name": "c", "status": ["blocked", "completed"] * 50, "input_id": np.arange(100) // 2})
    row = block_rates(frame, by="config_name").table.iloc[0]
    plain = block_rates(frame.drop(columns="input_id"), by="config_name").table.iloc[0]
    assert (row["low"], row["high"]) == (plain["low"], plain["high"])


def test_where_time_goes_counts_what_failed_and_what_has_no_tokens() -> None:
    steps = pd.DataFrame(
        {
            "stage": [2, 2, 4],
            "step": ["interception", "interception", "media"],
            "seconds": [1.0, 2.0, 9.0],
            "model": ["big", "big", None],
            "tokens_input": [1000, None, None],
            "tokens_output": [1000, None, None],
            "outcome": ["completed", "failed", "completed"],
        }
    )
    found = stage_times(steps, prices={"big": (1.0, 4.0)})
    assert list(found.table["share"]) == [0.25, 0.75]
    assert found.sentences[1].startswith("stage 4, media: median 9 s")
    assert "75% of the time" in found.sentences[1]
    assert "1 of 3 steps did not complete (1 failed)" in str(found)
    assert "1 of 2 priced steps have no count of tokens" in str(found)


def two_observers(one: str, other: str) -> pd.DataFrame:
    rows = [
        {"rater": rater, "run_id": f"u{unit:02d}", "criterion": "c", "value": value}
        for rater, values in (("one", one), ("other", other))
        for unit, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("one", "other", "alpha"),
    [("0100000010", "1110010000", 0.095), ("aabbdcccedda", "babbbccceddd", 0.692)],
    ids=["A: binary", "B: nominal"],
)
def test_alpha_of_two_observers_is_krippendorffs(one: str, other: str, alpha: float) -> None:
    # Krippendorff (2011), sections A and B.
    found = agreement(two_observers(one, other), level="nominal", resamples=20)
    assert found.table["alpha"].iloc[0] == pytest.approx(alpha, abs=0.001)
    assert np.isnan(found.table["icc"].iloc[0])  # letters that were numbered have no mean


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_the_bootstrap_computes_the_alpha_of_the_package(level: Any) -> None:
    import krippendorff

    from aipipe.analysis.alpha import _alpha

    random = np.random.default_rng(2)
    matrix = np.where(random.random((60, 4)) < 0.3, np.nan, random.integers(0, 7, (60, 4)))
    matrix = matrix[(~np.isnan(matrix)).sum(axis=1) >= 2]
    values = np.unique(matrix[~np.isnan(matrix)])
    counts = np.stack([(matrix == v).sum(axis=1) for v in values], axis=1).astype(float)
    times = random.integers(0, 3, len(matrix))
    expected = krippendorff.alpha(np.repeat(matrix, times, axis=0).T, level_of_measurement=level)
    assert _alpha(counts, values, times, level) == pytest.approx(expected)


def test_agreement_on_a_fine_scale_needs_no_gigabytes() -> None:
    random = np.random.default_rng(4)
    truth = random.random(150)
    rows = [
        {"rater": f"r{r}", "run_id": f"u{u}", "value": truth[u] + random.normal(scale=0.01)}
        for u in range(150)
        for r in range(3)
    ]
    assert agreement(pd.DataFrame(rows), level="interval", resamples=20).table["alpha"].iloc[0] > 0.99


def rated(values: list[list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"rater": f"r{r}", "run_id": f"u{u}", "criterion": "c", "value": v}
            for u, line in enumerate(values)
            for r, v in enumerate(line)
        ]
    )


def test_agreement_says_why_a_number_is_missing() -> None:
    equal = agreement(rated([[3.0, 3.0, 3.0]] * 8), resamples=20)
    assert "undefined, because all ratings are equal" in equal.sentences[0]
    assert "nan" not in str(equal.sentences)
    rare = agreement(rated([[1.0, 0.0]] + [[0.0, 0.0]] * 19), level="nominal", resamples=200)
    assert "kappa = 0.00 (no interval exists)" in rare.sentences[0]
    assert any("of the resamples had equal ratings only" in note for note in rare.notes)
    holes = agreement(rated([[1.0, 2, 1], [2, 2, np.nan], [3, 4, 3], [5, 4, 5], [1, 1, 2], [2, 3, 2]]), resamples=20)
    assert "c: no ICC, for not every rater rated every item." in holes.notes
    assert not any("_item" in note for note in holes.notes)
    twice = pd.concat([rated([[1.0, 2], [2, 2], [3, 4]])] * 2)
    assert any("6 ratings are followed by one of the same rater" in note for note in agreement(twice).notes)


def test_choices_seen_twice_count_once_and_those_of_one_rater_may_be_alike() -> None:
    once = pd.DataFrame(
        {"w": list("aabbccabab" * 6), "l": list("bbaaabcccc" * 6), "rater": [f"r{i % 20}" for i in range(60)]}
    )
    again = pd.concat([once.assign(repeat=False), once[:10].assign(repeat=True)])
    plain = bradley_terry(again, "w", "l")
    assert "n = 60 choices" in plain.sentences[0]
    assert any("10 ratings" in note for note in plain.notes)
    assert any('cluster="rater"' in note for note in plain.notes)
    # Each choice copied for the same rater adds nothing: robust intervals stay, plain ones shrink.
    copied = pd.concat([once] * 4)
    robust, more = (bradley_terry(f, "w", "l", cluster="rater").table for f in (once, copied))
    assert more["low"].tolist() == pytest.approx(robust["low"].tolist(), rel=0.01)
    other = bradley_terry(once, "w", "l", reference="c").table
    assert other["name"].tolist() == ["c", "a", "b"]
    assert other["chance"].iloc[1] == pytest.approx(1 / (1 + np.exp(-other["strength"].iloc[1])))


def test_a_pair_judged_equal_is_no_win_of_the_one_shown_first() -> None:
    """A rating of a pair names the first picture as the chosen one, also where the answer is "equal"."""
    pairs = pd.DataFrame({"w": list("ab") * 10 + ["a"] * 40, "l": list("ba") * 10 + ["b"] * 40})
    pairs["answer"] = ["left"] * 20 + ["equal"] * 40
    found = bradley_terry(pairs, "w", "l")
    assert found.table.set_index("name").loc["b", "strength"] == pytest.approx(0, abs=1e-9)
    assert "40 of 60 choices are ties" in str(found)
    assert "10 wins, 10 losses, 40 ties of n = 60" in found.sentences[0]
    # 30 wins, 10 losses and 20 ties are 40 to 20.
    some = pd.DataFrame(
        {"w": ["b"] * 30 + ["a"] * 30, "l": ["a"] * 30 + ["b"] * 30, "answer": ["left"] * 40 + ["equal"] * 20}
    )
    assert bradley_terry(some, "w", "l").table["strength"].iloc[1] == pytest.approx(np.log(2), abs=1e-6)
    # A tie connects what else would have no finite strength.
    always = pd.DataFrame({"w": ["b", "b", "a"], "l": ["a", "a", "b"], "answer": ["left", "left", "equal"]})
    assert np.isfinite(bradley_terry(always, "w", "l").table["strength"]).all()


def test_raters_of_pairs_agree_when_they_choose_the_same_whichever_side_it_stood() -> None:
    """Who wins is what counts, not whether it stood left or right."""
    rows = [
        {
            "rater": rater,
            "criterion": "c",
            "value": np.nan,
            "answer": "left" if (unit + number) % 2 else "right",
            "run_id": f"{'a' if value == '0' else 'b'}{unit}",
            "other_run_id": f"{'b' if value == '0' else 'a'}{unit}",
        }
        for number, values in enumerate(("0100000010", "1110010000"))
        for unit, value in enumerate(values)
        for rater in [f"r{number}"]
    ]
    found = agreement(pd.DataFrame(rows), resamples=20)
    assert (found.table["items"].iloc[0], found.table["raters"].iloc[0]) == (10, 2)
    assert "nominal" in found.sentences[0]
    same = pd.DataFrame([row for row in rows if row["rater"] == "r0"])
    assert agreement(pd.concat([same, same.assign(rater="r1")]), resamples=20).table["alpha"].iloc[0] == 1

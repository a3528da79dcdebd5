"""Statistics against published worked examples and against cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from aipipe.analysis import agreement, block_rates, bradley_terry, mixed_model, paired, stage_times
from aipipe.analysis.comparing import false_block_rates
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


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
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

"""Golden frames of every older dialect, read in place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

import aipipe

from .building import DIALECTS

ZONE = "Europe/Berlin"
GOLDEN = {
    # run id: dialect, status, UTC time, seed, entities
    "0f5b6a3e-2d51-4c6f-9a40-1b9a6f3f1a01": ("original", "completed", "2025-11-04T09:15:00.250Z", None, 6),
    "1a8c2f60-93d4-4d0b-8f0e-6e3d2a7b4b02": ("original", "blocked", "2025-11-04T10:00:00Z", None, 3),
    "2b9d3071-a4e5-4e1c-901f-7f4e3b8c5c03": ("original", "unknown", "2025-11-05T08:00:00Z", None, 4),
    "run_1769600000000_a1b2c3": (
        "original dated",
        "completed",
        "2026-01-28T13:00:00.125Z",
        "18446744073709551615",
        10,
    ),
    "3cae4182-b5f6-4f2d-a120-805f4c9d6d04": ("media storage", "completed", "2025-11-03T15:20:00Z", None, 3),
    "exec_20251102_120000_0a1b2c3d": ("tracker", "completed", "2025-11-02T11:00:00Z", None, 6),
    "exec_20251102_130000_4e5f6a7b": ("tracker", "blocked", "2025-11-02T12:00:00Z", None, 2),
    "u1_250314101500": ("session export", "completed", "2025-03-14T09:15:00Z", "987654321012345678", 3),
    "run_1770000000000_d4e5f6_canvas": ("canvas", "completed", "2026-02-02T09:00:00Z", "42", 3),
}


def test_golden_runs_of_every_dialect() -> None:
    frame = aipipe.load_runs(DIALECTS, timezone=ZONE, index=False).set_index("run_id")
    assert set(frame.index) == set(GOLDEN)
    assert frame.attrs["report"]["skipped"] == []
    for run_id, (dialect, status, moment, seed, entities) in GOLDEN.items():
        row = frame.loc[run_id]
        assert (row["dialect"], row["status"], row["status_source"]) == (dialect, status, "derived")
        assert row["timestamp"] == pd.Timestamp(moment)
        assert (None if pd.isna(row["seed"]) else row["seed"]) == seed
        assert row["entities"] == entities
        assert row["source_run_id"] == run_id


def test_texts_and_iterations_of_older_dialects_reach_the_ledger() -> None:
    frame = aipipe.load_prompts(DIALECTS, timezone=ZONE).set_index("run_id")
    assert frame.loc["3cae4182-b5f6-4f2d-a120-805f4c9d6d04", "interception"] == "A hat that votes"
    row = frame.loc["exec_20251102_120000_0a1b2c3d"]
    assert (row["original"], row["interception"], row["iterations"]) == ("Der Fuchs liest", "The fox is a book", 2)
    # The prompt history is kept as entities but is not what the run used.
    assert frame.loc["run_1769600000000_a1b2c3", "interception"] == "A clock that drinks its own hours"
    entities = aipipe.load_entities(DIALECTS, timezone=ZONE, texts=True, where="role == 'process'")
    assert entities["text"].tolist() == ["Eine Uh", "A clock that sips its hours"]


def test_tracker_steps_have_models_and_times() -> None:
    steps = aipipe.load_steps(DIALECTS, index=False, where="step == 'interception'")
    assert steps["seconds"].tolist() == [2.0, 2.0, 2.5]
    assert steps["iteration"].tolist()[:2] == [1, 2]
    assert set(steps["model"]) == {"gpt-oss:20b"}


def test_media_of_older_dialects_are_opened() -> None:
    media = aipipe.load_media(DIALECTS).set_index("run_id")
    assert media["readable"].all()
    assert media.loc["u1_250314101500", "embedded_prompt"] == "A dragon on the bus"
    assert media.loc["run_1769600000000_a1b2c3", "seed"].tolist() == ["18446744073709551615"] * 2


def test_favourites_with_notes_are_joined() -> None:
    row = aipipe.load_runs(DIALECTS / "dated", index=False).iloc[0]
    assert (row["starred"], row["note"]) == (True, "for the poster")


def test_an_older_run_is_never_answered_from_the_index(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    shutil.copytree(DIALECTS / "original", root)
    run = "0f5b6a3e-2d51-4c6f-9a40-1b9a6f3f1a01"
    assert aipipe.load_runs(root).set_index("run_id").loc[run, "status"] == "completed"
    (root / run / "06_output_image.png").write_bytes(b"")
    assert aipipe.load_runs(root).set_index("run_id").loc[run, "status"] == "unknown"


def test_naive_times_follow_the_named_zone() -> None:
    berlin = aipipe.load_runs(DIALECTS / "media_storage", timezone="Europe/Berlin", index=False)
    tokyo = aipipe.load_runs(DIALECTS / "media_storage", timezone="Asia/Tokyo", index=False)
    assert (berlin["timestamp"] - tokyo["timestamp"]).iloc[0] == pd.Timedelta(hours=8)

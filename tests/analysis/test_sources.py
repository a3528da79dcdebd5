"""What a loader is given: folders, times, names of columns; odd ones are answered or told, never passed over."""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import aipipe
from aipipe.analysis import scan
from aipipe.analysis.export.selection import selection
from aipipe.analysis.handles import handles
from aipipe.errors import InvalidInput, UnknownName, UsageError

from .building import entity, record, write


def test_a_stray_record_in_a_store_does_not_hide_its_runs(tmp_path: Path) -> None:
    folders = [write(tmp_path, record()) for _ in range(3)]
    shutil.copy(folders[0] / "metadata.json", tmp_path)
    for _ in range(2):
        frame = aipipe.load_runs(tmp_path)
        assert sorted(frame["folder"]) == sorted(map(str, folders))
        (skipped,) = frame.attrs["report"]["skipped"]
        assert "same run_id" in skipped["reason"]


def test_a_stray_record_of_another_run_is_a_row_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, record())
    (tmp_path / "metadata.json").write_text(json.dumps(record("stray")))
    frame = aipipe.load_runs(tmp_path).set_index("run_id")
    assert len(frame) == 2
    assert frame.loc["stray", "folder"] == str(tmp_path)


def test_json_files_in_a_run_folder_are_no_records(tmp_path: Path) -> None:
    folder = write(tmp_path, record(), texts={"exec_1.json": {}, "a.json": {"session_id": "x", "workflow_name": "y"}})
    report = aipipe.load_runs(folder).attrs["report"]
    assert (report["found"], report["skipped"]) == (1, [])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such names")
@pytest.mark.parametrize("index", [True, False])
def test_a_store_whose_name_is_no_text_is_refused_with_the_next_step(tmp_path: Path, index: bool) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/runs\xff"))
    write(root, record())
    with pytest.raises(InvalidInput, match="UTF-8") as caught:
        aipipe.load_runs(root, index=index)
    assert "Rename" in caught.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_linked_run_is_told(tmp_path: Path) -> None:
    write(tmp_path / "runs", record())
    elsewhere = write(tmp_path / "elsewhere", record())
    (tmp_path / "runs" / "linked").symlink_to(elsewhere)
    (tmp_path / "runs" / "data").symlink_to(tmp_path)
    report = aipipe.load_runs(tmp_path / "runs").attrs["report"]
    assert (report["found"], report["loaded"]) == (2, 1)
    assert [(Path(s["path"]).name, "link" in s["reason"]) for s in report["skipped"]] == [("linked", True)]


def test_a_file_that_vanishes_during_the_listing_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, record())
    loose = scan._loose
    monkeypatch.setattr(
        scan, "_loose", lambda listing, folder, prefix, names: loose(listing, folder, prefix, ["exec_x.json"])
    )
    assert len(aipipe.load_runs(tmp_path)) == 1


@pytest.mark.parametrize(
    "since",
    [
        pd.Timestamp("2026-11-01T09:00"),
        pd.Timestamp("2026-11-01T09:00Z"),
        np.datetime64("2026-10-31T09:00"),
        date(2026, 10, 31),
        datetime(2026, 11, 1, 9, tzinfo=UTC),
        "2026-10-31",
    ],
    ids=repr,
)
def test_since_takes_the_times_that_pandas_and_numpy_hand_out(tmp_path: Path, since: Any) -> None:
    write(tmp_path, record(timestamp="2026-11-02T10:00:00Z"))
    write(tmp_path, record(timestamp="2026-10-02T10:00:00Z"))
    assert len(aipipe.load_runs(tmp_path, since=since)) == 1
    assert len(aipipe.load_entities(tmp_path, since=since)) == 0


@pytest.mark.parametrize("since", [pd.NaT, datetime(1, 1, 1), timedelta(days=10**6), "soon", 5], ids=repr)  # noqa: DTZ001  naive on purpose
def test_a_since_that_is_no_date_is_refused_with_the_next_step(tmp_path: Path, since: Any) -> None:
    with pytest.raises(InvalidInput, match="since") as caught:
        aipipe.load_runs(tmp_path, since=since)
    assert caught.value.hint


def test_a_wanted_label_that_no_run_has_is_an_empty_column_and_told(tmp_path: Path) -> None:
    write(tmp_path, record(labels={"group": "A"}))
    frame = aipipe.load_runs(tmp_path, columns=["run_id", "label_gruop", "label_group"])
    assert list(frame.columns) == ["run_id", "label_gruop", "label_group"]
    assert str(frame["label_gruop"].dtype) == "category"
    assert frame["label_gruop"].isna().all()
    assert "gruop" in str(frame.attrs["report"])


def test_a_frame_without_labels_refuses_one_instead_of_passing_over_it(tmp_path: Path) -> None:
    write(tmp_path, record(labels={"group": "A"}, entities=[entity(1, "input")]))
    with pytest.raises(UnknownName) as caught:
        aipipe.load_entities(tmp_path, columns=["run_id", "label_group"])
    assert "load_runs" in caught.value.hint


def test_a_poisoned_batch_never_hides_its_other_cases(tmp_path: Path) -> None:
    folder = tmp_path / "batches" / "b1"
    folder.mkdir(parents=True)
    plan = {
        "cases": [
            {"case_key": "k1", "index": 0, "parameters": [1], "notebook_parameters": {"a": 1}},
            {"case_key": "k2"},
        ]
    }
    lines = [
        {"case_key": "k1", "state": ["odd"], "attempt": 1},
        {"case_key": "k1", "state": "weird", "attempt": 1},
        {"case_key": "k2", "state": "completed", "attempt": 1, "run_ids": ["r"]},
    ]
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "cases.jsonl").write_text("\n".join(map(json.dumps, lines)))
    frame = aipipe.load_batch(tmp_path).set_index("case_key")
    assert frame["state"].to_dict() == {"k1": "waiting", "k2": "completed"}
    assert frame.loc["k1", "parameters"] == '{"a":1}'
    report = frame.attrs["report"]
    assert (report["found"], len(report["skipped"]), report["loaded"]) == (3, 2, 1)


@pytest.mark.parametrize("load", [aipipe.load_runs, aipipe.load_entities, aipipe.load_batch, aipipe.load_ratings])
def test_a_list_of_no_folders_is_refused_with_the_next_step(load: Any) -> None:
    with pytest.raises(UsageError, match="names no folder") as caught:
        load([])
    assert "at least one" in caught.value.hint


@pytest.mark.parametrize("zone", ["Europe", "Mars", "", "../etc", 5], ids=repr)
def test_what_is_no_time_zone_is_refused_with_the_next_step(zone: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="time zone") as caught:
        aipipe.load_runs(tmp_path, timezone=zone)
    assert "Europe/Berlin" in caught.value.hint


def test_columns_may_come_from_any_iterable(tmp_path: Path) -> None:
    write(tmp_path, record())
    names: Any = (name for name in ("run_id", "status"))
    assert list(aipipe.load_runs(tmp_path, columns=names).columns) == ["run_id", "status"]


def test_folders_that_lie_too_deep_are_told(tmp_path: Path) -> None:
    write(tmp_path / "a" / "exports" / "json" / "2026-01-01" / "device", record())
    frame = aipipe.load_runs(tmp_path)
    assert len(frame) == 0
    assert "1 folders more than 4 levels" in str(frame.attrs["report"])
    assert len(aipipe.load_runs(tmp_path / "a")) == 1
    assert not aipipe.load_runs(tmp_path / "a").attrs["report"]["notes"]


def test_a_frame_knows_its_stores_whatever_they_are_called(tmp_path: Path) -> None:
    stores = [tmp_path / "lesson one, two", tmp_path / "three"]
    ids = [write(store, record()).name for store in stores]
    aipipe.tag(aipipe.load_runs(stores[0]), "keep")
    both = aipipe.load_runs(stores)
    aipipe.tag(both, "seen")
    assert [aipipe.load_runs(store)["tags"].tolist() for store in stores] == [["keep, seen"], ["seen"]]
    assert len(aipipe.load_entities(both.attrs["store"])) == 0
    assert aipipe.load_runs(both.attrs["store"], columns=["run_id"]).attrs["store"] == list(map(str, stores))
    assert [run.run_id for run in handles(both[["run_id"]], [])] == ids
    both.to_parquet(tmp_path / "both.parquet")


def test_an_export_of_a_frame_takes_its_stores_whatever_they_are_called(tmp_path: Path) -> None:
    store = tmp_path / "lesson one, two"
    run = write(store, record())
    assert selection(aipipe.load_runs(store), None) == ([store], {run.name})

"""Clocks that jump, forks, strange things in the place of files, strange shapes of records, and very large numbers."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from aipipe.errors import AipipeError
from aipipe.store import Store

BIG = [0, 2**53 + 1, 2**63, 2**64 - 1]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def recorded(store: Store) -> Path:
    with store.create("dada") as recorder:
        recorder.save_entity("input", "a flower")
    return recorder.folder


def test_a_clock_that_jumps_back_leaves_order_and_durations(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from aipipe import timestamps

    moments = iter(f"2030-01-01T{hour:02}:00:00.000000Z" for hour in range(23, 0, -1))
    monkeypatch.setattr(timestamps, "now", lambda: next(moments))
    with store.create("dada") as recorder:
        for text in "abc":
            recorder.save_entity("note", text)
    run = store.open(recorder.run_id)
    assert [e.sequence for e in run.entities] == [1, 2, 3]
    assert [e.text for e in run.entities] == ["a", "b", "c"]
    assert run.record.seconds is not None
    assert 0 <= run.record.seconds < 60


def test_a_lease_from_the_future_does_not_hide_a_dead_writer(store: Store) -> None:
    recorder = store.create("dada")
    recorder.save_entity("input", "a flower")
    folder = recorder.folder
    copy = folder.parent / "copy"
    shutil.copytree(folder, copy)
    recorder.close()
    (lease,) = copy.glob(".writer-*/lease.json")
    holder = json.loads(lease.read_text()) | {"pid": 2**22 - 1, "process_start": "long ago"}
    lease.write_text(json.dumps(holder))
    os.utime(lease, (time.time() + 3600, time.time() + 3600))
    shutil.rmtree(folder)
    copy.rename(folder)
    assert store.open(recorder.run_id).status == "interrupted"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_makes_runs_of_its_own(store: Store) -> None:
    with store.create("dada") as parent:
        parent.save_entity("input", "parent")
        child = os.fork()
        if child == 0:  # nothing of the parent's may be written or ended here
            code = 1
            try:
                with store.create("dada") as own:
                    own.save_entity("input", "child")
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        parent.save_entity("note", "still here")
    assert sorted(run["input"].text for run in store) == ["child", "parent"]
    assert store.verify().clean
    assert store.open(parent.run_id).status == "completed"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
@pytest.mark.parametrize("kind", ["fifo", "folder", "link out", "link to itself", "dangling link"])
@pytest.mark.parametrize("name", ["metadata.json", "01_input.txt"])
def test_what_stands_in_the_place_of_a_file_is_neither_followed_nor_waited_for(
    store: Store, tmp_path: Path, name: str, kind: str
) -> None:
    good, bad = recorded(store), recorded(store)
    outside = tmp_path / "outside.txt"
    outside.write_text("nobody may read this")
    path = bad / name
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"link out": outside, "link to itself": path, "dangling link": tmp_path / "nowhere"}[kind])
    report = store.verify()
    assert not report.clean
    assert {finding.run_id for finding in report.findings} == {bad.name}
    assert good.name in {run.run_id for run in store}
    if name == "01_input.txt":
        with pytest.raises(AipipeError):
            _ = store.open(bad.name)["input"].text
    else:
        assert [problem.path.name for problem in store.problems] == [bad.name]
    assert outside.read_text() == "nobody may read this"


@pytest.mark.parametrize(
    "document",
    [
        "[]", "null", "3", '"text"', "{}", '{"run_id": 3}', "[" * 10_000 + "]" * 10_000, '{"a":' * 5_000 + "1" + "}" * 5_000,
        '{"format_version": "one"}', '{"format_version": NaN}', '{"run_id": "\\ud800"}', "\ufeff{}", "{}{}", "{}\0\0\0", "",
    ],
)  # fmt: skip
def test_a_record_of_any_shape_is_quarantined_and_never_changed(store: Store, document: str) -> None:
    good, bad = recorded(store), recorded(store)
    (bad / "metadata.json").write_text(document, encoding="utf-8")
    assert [run.run_id for run in store] == [good.name]
    (problem,) = store.problems
    assert problem.path.name == bad.name
    assert problem.reason
    assert (bad / "metadata.json").read_text(encoding="utf-8") == document


def test_ten_thousand_entities_are_read_and_kept_in_order(store: Store) -> None:
    folder = recorded(store)
    record = json.loads((folder / "metadata.json").read_text())
    (entity,) = record["entities"]
    record["entities"] = [{**entity, "sequence": n} for n in range(1, 10_001)]
    (folder / "metadata.json").write_text(json.dumps(record))
    run = store.open(folder.name)
    assert [e.sequence for e in run.entities] == list(range(1, 10_001))


@pytest.mark.parametrize("seed", BIG)
def test_seeds_beyond_every_float_survive(store: Store, tmp_path: Path, seed: int) -> None:
    import aipipe

    with store.create("dada", seed=str(seed)) as recorder:
        recorder.save_entity("input", "a flower", metadata={"seed": str(seed)})
    run = store.open(recorder.run_id)
    assert run.record.seed == str(seed)
    frame = aipipe.load_runs(store.path)
    assert list(frame["seed"]) == [str(seed)]
    frame.to_csv(tmp_path / "runs.csv", index=False)
    frame.to_parquet(tmp_path / "runs.parquet")
    import pandas as pd

    assert list(pd.read_parquet(tmp_path / "runs.parquet")["seed"]) == [str(seed)]
    assert list(pd.read_csv(tmp_path / "runs.csv", dtype={"seed": str})["seed"]) == [str(seed)]

from __future__ import annotations

import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from pandas.testing import assert_frame_equal

import aipipe
from aipipe.analysis import index as index_module
from aipipe.analysis import stored as stored_module
from aipipe.analysis.stored import _RECENT, _RECENT_COUNT, forget_indexes
from aipipe.caches import clear_indexes

from .building import DIALECTS, entity, record, write


def same(root: Path) -> None:
    for loader in (aipipe.load_runs, aipipe.load_entities, aipipe.load_steps):
        by_index, by_scan = loader(root), loader(root, index=False)
        assert_frame_equal(by_index, by_scan)
        spoil(loader(root))
        for key in ("found", "loaded", "skipped"):
            assert by_index.attrs["report"][key] == by_scan.attrs["report"][key]


def spoil(frame: pd.DataFrame) -> None:
    """Overwrite every value of a frame in place, below pandas' own care: no later load may show it."""
    for cells in frame._mgr.arrays:
        for name in ("_ndarray", "_data", "_mask"):
            values = getattr(cells, name, cells if name == "_ndarray" else None)
            if isinstance(values, np.ndarray) and values.size:
                values[...] = values.ravel()[0]
        if not isinstance(cells, np.ndarray) and len(cells):
            cells[:] = cells[0]


def index_files(root: Path) -> list[Path]:
    return sorted((root / ".aipipe" / "index").glob("*.index"))


def flip(path: Path, place: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[place % len(data)] ^= 1 << bit
        path.write_bytes(data)


class Store(RuleBasedStateMachine):
    """Random creation, change, damage and deletion: the index answers like a scan after every step."""

    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.root = Path(tempfile.mkdtemp(prefix="aipipe-index-"))
        self.count = 0

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @rule(target=runs, config=st.sampled_from(["dada", "bauhaus", "ü"]), entities=st.integers(0, 3))
    def create(self, config: str, entities: int) -> str:
        self.count += 1
        steps = [{"stage": 1, "step": "translation", "tokens": {"input": i}} for i in range(entities // 2)]
        document = record(config_name=config, entities=[entity(i + 1, "input") for i in range(entities)], steps=steps)
        write(self.root, document)
        return str(document["run_id"])

    @rule(run=runs, seconds=st.floats(0, 9))
    def change(self, run: str, seconds: float) -> None:
        write(self.root, record(run, seconds=seconds, status="failed"))

    @rule(run=runs, junk=st.binary(max_size=40))
    def damage(self, run: str, junk: bytes) -> None:
        write(self.root, junk, run)

    @rule(run=runs)
    def same_size_rewrite_with_the_old_time(self, run: str) -> None:
        path = self.root / run / "metadata.json"
        if not path.exists():
            return
        info, data = path.stat(), path.read_bytes()
        path.write_bytes(data.replace(b"dada", b"adad"))
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))

    @rule()
    def move_the_store(self) -> None:
        self.root = self.root.rename(self.root.with_name(f"{self.root.name}x"))

    @rule()
    def copy_the_store(self) -> None:
        shutil.copytree(self.root, copied := self.root.with_name(f"{self.root.name}y"))
        shutil.rmtree(self.root)
        self.root = copied

    @rule()
    def forget_what_is_kept_in_memory(self) -> None:
        forget_indexes()

    @rule(run=consumes(runs))
    def delete(self, run: str) -> None:
        shutil.rmtree(self.root / run, ignore_errors=True)

    @rule()
    def forget_the_index(self) -> None:
        clear_indexes(self.root)

    @rule(cut=st.integers(0, 400))
    def tear_the_index(self, cut: int) -> None:
        for path in index_files(self.root):
            path.write_bytes(path.read_bytes()[:cut])

    @rule(place=st.integers(0, 100_000), bit=st.integers(0, 7))
    def flip_a_bit_of_the_index(self, place: int, bit: int) -> None:
        for path in index_files(self.root):
            flip(path, place, bit)

    @invariant()
    def index_equals_scan(self) -> None:
        same(self.root)


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust signatures at once and write at every change, so that small stores exercise the stored rows."""
    monkeypatch.setattr(index_module, "RACY_NS", 0)
    monkeypatch.setattr(index_module, "FEW", 0)
    monkeypatch.setattr(index_module, "FEW_SHARE", 0.0)


class TestStore(Store.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=5, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every store of more than two rows is large: its rows are Parquet, and smaller ones of the same run are Arrow."""
    monkeypatch.setattr(stored_module, "_MANY", 2)


@pytest.mark.usefixtures("large")
class TestLargeStore(Store.TestCase):  # type: ignore[name-defined, misc]
    """The same where rows go to and fro between both forms."""

    settings = settings(max_examples=5, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck))


def fill(root: Path, count: int) -> list[str]:
    documents: list[dict[str, Any]] = [record(entities=[entity(1, "input")]) for _ in range(count)]
    for document in documents:
        write(root, document)
    return [str(d["run_id"]) for d in documents]


def test_a_warm_load_reads_no_record(tmp_path: Path) -> None:
    fill(tmp_path, 30)
    assert aipipe.load_runs(tmp_path).attrs["report"]["index"] == "built"
    assert aipipe.load_runs(tmp_path).attrs["report"]["index"] == "used"


def test_an_entry_younger_than_two_seconds_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "RACY_NS", 2_000_000_000)
    fill(tmp_path, 3)
    aipipe.load_runs(tmp_path)
    # Nothing in it could be believed, so there is none.
    assert not index_files(tmp_path)
    assert aipipe.load_runs(tmp_path).attrs["report"]["index"] == "none"


def test_a_record_changed_while_it_is_read_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load of a large store takes longer than the two seconds; what counts is when it read, not when it saved."""
    fill(tmp_path, 3)
    real = index_module.read

    def slow(*args: Any) -> Any:
        reading = real(*args)
        now = time.time_ns() + 60_000_000_000
        monkeypatch.setattr(index_module.time, "time_ns", lambda: now)
        return reading

    monkeypatch.setattr(index_module, "RACY_NS", 2_000_000_000)
    monkeypatch.setattr(index_module, "read", slow)
    aipipe.load_runs(tmp_path)
    assert not index_files(tmp_path)


def test_no_index_is_written_into_the_folder_of_a_run(tmp_path: Path) -> None:
    (run,) = fill(tmp_path, 1)
    for _ in range(2):
        assert list(aipipe.load_runs(tmp_path / run)["run_id"]) == [run]
        aipipe.load_entities(tmp_path / run)
    assert [p.name for p in (tmp_path / run).iterdir()] == ["metadata.json"]


def test_no_index_is_written_beside_older_records_which_it_could_not_answer_for(tmp_path: Path) -> None:
    shutil.copytree(DIALECTS / "original", tmp_path / "old")
    before = sorted((tmp_path / "old").rglob("*"))
    for _ in range(2):
        assert len(aipipe.load_runs(tmp_path / "old"))
    assert sorted((tmp_path / "old").rglob("*")) == before


def test_an_index_is_not_rewritten_for_older_records_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 3)
    shutil.copytree(DIALECTS / "original", tmp_path / "old")
    aipipe.load_runs(tmp_path)
    before = [p.stat().st_mtime_ns for p in index_files(tmp_path)]
    aipipe.load_runs(tmp_path)
    assert before == [p.stat().st_mtime_ns for p in index_files(tmp_path)] != []


def test_concurrent_refreshers_and_writers_all_get_whole_answers(tmp_path: Path) -> None:
    ids = fill(tmp_path, 60)
    wrong: list[str] = []

    def refresh() -> None:
        for _ in range(6):
            frame = aipipe.load_runs(tmp_path)
            report = frame.attrs["report"]
            # A folder between its making and its first record is no run yet, and the report says so.
            born = all(i["reason"] == "the run folder has no metadata.json" for i in report["skipped"])
            if not set(ids) <= set(frame["run_id"]) or not born or len(frame) != report["loaded"]:
                wrong.append(str(report))

    def grow() -> None:
        for _ in range(30):
            write(tmp_path, record())

    threads = [threading.Thread(target=t) for t in (refresh, refresh, refresh, grow)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    same(tmp_path)


def test_a_read_only_store_is_loaded_with_its_index_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "runs"
    fill(root, 5)
    monkeypatch.setenv("AIPIPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("aipipe.caches.on_network", lambda root: True)
    before = sorted(root.rglob("*"))
    assert len(aipipe.load_runs(root)) == 5
    assert sorted(root.rglob("*")) == before
    assert aipipe.load_runs(root).attrs["report"]["index"] == "used"
    assert list((tmp_path / "cache").rglob("*.index"))
    aipipe.Store(root).erase(run_ids=[next(iter(aipipe.load_runs(root)["run_id"]))], apply=True)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()], "erasing clears an index wherever it lies"
    assert len(aipipe.load_runs(root)) == 4
    assert clear_indexes(root)
    assert not clear_indexes(root)


def test_leftovers_of_dead_writers_and_indexes_of_older_versions_are_swept(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    aipipe.load_runs(tmp_path)
    folder = tmp_path / ".aipipe" / "index"
    for name in ("runs-1.seen", "runs-1.2.rows.parquet", ".3.part", ".4.part"):
        (folder / name).write_bytes(b"old")
        if name != ".4.part":
            os.utime(folder / name, (1, 1))
    fill(tmp_path, 3)
    aipipe.load_runs(tmp_path)
    assert [p.suffix for p in sorted(folder.iterdir())] == [".part", ".index"]


@pytest.mark.parametrize("many", [0, 4096], ids=["parquet", "arrow"])
def test_a_flipped_bit_anywhere_in_the_index_changes_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(stored_module, "_MANY", many)
    fill(tmp_path, 20)
    right = aipipe.load_runs(tmp_path)
    whole = {path: path.read_bytes() for path in index_files(tmp_path)}
    assert len(whole) == 1
    for path, data in whole.items():
        for place in [*range(40), *range(40, len(data), max(1, len(data) // 80))]:
            for each, old in whole.items():
                each.write_bytes(old)
            flip(path, place, place % 8)
            forget_indexes()
            frame = aipipe.load_runs(tmp_path)
            assert_frame_equal(frame, right)
            assert frame.attrs["report"]["index"] == "built", (path.name, place)
    forget_indexes()
    assert aipipe.load_runs(tmp_path).attrs["report"]["index"] == "used"


def test_malformed_runs_by_the_hundred_leave_the_good_ones(tmp_path: Path) -> None:
    good = fill(tmp_path, 20)
    whole = (tmp_path / good[0] / "metadata.json").read_bytes()
    for cut in range(0, len(whole) - 1, max(1, len(whole) // 310)):
        write(tmp_path, whole[:cut], f"cut-{cut}")
    for loads in range(2):
        frame = aipipe.load_runs(tmp_path)
        report = frame.attrs["report"]
        assert sorted(frame["run_id"]) == sorted(good), loads
        assert report["found"] == len(good) + len(report["skipped"]) > 300


def test_an_index_kept_in_memory_never_outlives_its_file(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    forget_indexes()
    aipipe.load_runs(tmp_path)
    assert aipipe.load_runs(tmp_path).attrs["report"]["index"] == "used"
    (path,) = index_files(tmp_path)
    path.write_bytes(b"torn")
    assert aipipe.load_runs(tmp_path).attrs["report"]["index"] == "built"
    clear_indexes(tmp_path)
    assert aipipe.load_runs(tmp_path).attrs["report"]["index"] == "built"
    frame = aipipe.load_runs(tmp_path)
    later = frame["timestamp"].iloc[0] + timedelta(days=1)
    for name, value in (("seconds", 99.0), ("entities", 99), ("timestamp", later), ("seed", "9"), ("excluded", True)):
        frame.loc[0, name] = value
        if name in ("entities", "excluded"):
            frame[name].array[1] = value
    assert_frame_equal(aipipe.load_runs(tmp_path), aipipe.load_runs(tmp_path, index=False))


def test_few_indexes_are_kept_in_memory(tmp_path: Path) -> None:
    forget_indexes()
    for number in range(_RECENT_COUNT + 2):
        write(tmp_path / str(number), record())
        for _ in range(2):
            aipipe.load_runs(tmp_path / str(number))
    assert len(_RECENT) == _RECENT_COUNT


def test_what_is_kept_in_memory_has_a_bound_that_counts_unpacked_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_module, "_MANY", 0)
    forget_indexes()
    for name in "ab":
        fill(tmp_path / name, 500)
        for _ in range(2):
            aipipe.load_runs(tmp_path / name)
    kept = [stored.nbytes for _, stored in _RECENT.values()]
    assert len(kept) == 2
    assert min(kept) > 2 * max(path.stat().st_size for path in index_files(tmp_path / "a"))
    monkeypatch.setattr(stored_module, "_RECENT_BYTES", max(kept) + 1)
    forget_indexes()
    for name in "abab":
        aipipe.load_runs(tmp_path / name)
        assert len(_RECENT) == 1


def test_threads_share_what_is_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_module, "_RECENT_COUNT", 1)
    for number in range(6):
        fill(tmp_path / str(number), 2)
        aipipe.load_runs(tmp_path / str(number))
    with ThreadPoolExecutor(6) as pool:
        found = [pool.submit(aipipe.load_runs, tmp_path / str(n % 6)) for n in range(120)]
    assert {len(f.result()) for f in found} == {2}
    assert len(_RECENT) == 1


def test_a_large_index_is_opened_while_the_folders_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers are those of a plain scan, whichever of both is done first, and a damaged index is found out."""
    monkeypatch.setattr(index_module, "_LARGE", 0)
    for number in range(30):
        write(tmp_path, record(run_id=f"r{number:02d}", status="completed"))
    loads = [aipipe.load_runs(tmp_path)]
    forget_indexes()
    loads.append(aipipe.load_runs(tmp_path))
    write(tmp_path, record(run_id="r07", status="failed"))
    forget_indexes()
    changed = aipipe.load_runs(tmp_path)
    assert_frame_equal(loads[0], loads[1])
    assert_frame_equal(changed, aipipe.load_runs(tmp_path, index=False))
    assert changed.set_index("run_id").loc["r07", "status"] == "failed"
    for path in (tmp_path / ".aipipe").rglob("*.index"):
        path.write_bytes(path.read_bytes()[:-3])
    forget_indexes()
    assert_frame_equal(changed, aipipe.load_runs(tmp_path))

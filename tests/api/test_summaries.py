"""Summaries kept between two starts of the server: they save time and change no answer."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from aipipe.api import reading
from aipipe.api.listing import Filter, page
from aipipe.api.reading import RunReader
from aipipe.api.summaries import SummaryFile
from aipipe.api.warming import warm
from aipipe.store import Store


def record(root: Path, text: str, **fields: str) -> str:
    with Store(root, durability="never").create("dada", expected_outputs=["input"], **fields) as recorder:
        recorder.save_entity("input", text)
    return recorder.run_id


def warmed(root: Path) -> RunReader:
    reader = RunReader(Store(root))
    warm(reader, threading.Event())
    return reader


def texts(reader: RunReader) -> list[str]:
    return [run["text"] for run in page(reader, Filter(), limit=100, cursor="")["runs"]]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs whose records are read."""
    seen: list[str] = []
    whole = reading.summary_of

    def count(run: reading.Run) -> dict[str, object]:
        seen.append(run.folder.name)
        return whole(run)

    monkeypatch.setattr(reading, "summary_of", count)
    return seen


def test_a_second_server_reads_only_what_changed(tmp_path: Path, counted: list[str]) -> None:
    ids = [record(tmp_path, f"flower {n}") for n in range(5)]
    warmed(tmp_path)
    assert sorted(counted) == sorted(ids)
    counted.clear()
    new = record(tmp_path, "a later one")
    again = warmed(tmp_path)
    assert counted == [new]
    assert texts(again) == ["a later one", *(f"flower {n}" for n in reversed(range(5)))]


def test_a_changed_record_is_read_again(tmp_path: Path) -> None:
    run_id = record(tmp_path, "a flower")
    warmed(tmp_path)
    path = tmp_path / run_id / "metadata.json"
    path.write_text(path.read_text().replace('"config_name": "dada"', '"config_name": "haiku"'))
    summary = warmed(tmp_path).summary(run_id)
    assert summary is not None
    assert summary["config_name"] == "haiku"


def test_a_running_run_is_never_kept(tmp_path: Path) -> None:
    with Store(tmp_path).create("dada", expected_outputs=["input"]) as recorder:
        recorder.save_entity("input", "a flower")
        summary = warmed(tmp_path).summary(recorder.run_id)
        assert summary is not None
        assert summary["status"] == "running"
        assert SummaryFile(tmp_path).load() == {}
    again = warmed(tmp_path).summary(recorder.run_id)
    assert again is not None
    assert again["status"] == "completed"


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(200)])
def test_a_broken_file_costs_only_time(tmp_path: Path, content: bytes) -> None:
    record(tmp_path, "a flower")
    warmed(tmp_path)
    (path,) = (tmp_path / ".aipipe" / "index").glob("summaries-*.sqlite")
    path.write_bytes(content)
    assert texts(warmed(tmp_path)) == ["a flower"]
    assert len(SummaryFile(tmp_path).load()) == 1, "it is made anew"


def test_a_summary_that_is_no_json_is_dropped_with_the_file(tmp_path: Path) -> None:
    record(tmp_path, "a flower")
    warmed(tmp_path)
    (path,) = (tmp_path / ".aipipe" / "index").glob("summaries-*.sqlite")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE summaries SET summary = '{'")
    connection.close()
    assert texts(warmed(tmp_path)) == ["a flower"]


def test_vanished_and_erased_runs_leave_no_trace(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    gone, kept = record(root, "a secret"), record(root, "a flower")
    reader = warmed(root)
    Store(root).erase(run_ids=[gone], apply=True)
    assert not [p for p in root.rglob("*") if p.is_file() and b"a secret" in p.read_bytes()]
    reader.keep()
    assert set(warmed(root)._summaries) == {kept}
    assert not [p for p in root.rglob("*") if p.is_file() and b"a secret" in p.read_bytes()]


def test_what_waited_when_a_run_was_erased_is_not_written(tmp_path: Path) -> None:
    gone = record(tmp_path, "a secret")
    reader = RunReader(Store(tmp_path))
    reader.summary(gone)
    Store(tmp_path).erase(run_ids=[gone], apply=True)
    reader.keep()
    assert SummaryFile(tmp_path).load() == {}


def test_a_store_that_cannot_hold_it_is_served_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path, "a flower")
    monkeypatch.setattr("aipipe.api.summaries.index_folder", lambda root: tmp_path / "a file" / "index")
    (tmp_path / "a file").write_text("in the way")
    assert texts(warmed(tmp_path)) == ["a flower"]
    monkeypatch.setattr("aipipe.api.summaries.index_folder", lambda root: None)
    assert texts(warmed(tmp_path)) == ["a flower"]


def test_two_servers_share_the_file(tmp_path: Path) -> None:
    ids = {record(tmp_path, f"flower {n}") for n in range(30)}
    threads = [threading.Thread(target=warmed, args=(tmp_path,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(SummaryFile(tmp_path).load()) == ids

"""The list is in the order of starts, whatever kind of id a run has."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aipipe import timestamps
from aipipe.api import ordering
from aipipe.api.listing import Filter, page
from aipipe.api.reading import RunReader
from aipipe.store import Store

DAY = 86_400_000
SOME_DAY = 1_790_000_000_000


def id_of(milliseconds: int, version: int) -> str:
    if version == 4:
        return str(uuid.uuid4())
    text = f"{milliseconds:012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-{uuid.uuid4().hex[:12]}"


def record(root: Path, name: str, timestamp: str, **fields: object) -> str:
    folder = root / name
    folder.mkdir(parents=True)
    document = {"run_id": name, "timestamp": timestamp, "config_name": "dada", "status": "completed"}
    document |= {"format_version": 1, "entities": [], **fields}
    (folder / "metadata.json").write_text(json.dumps(document))
    return name


def listed(reader: RunReader, limit: int) -> list[str]:
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        found = page(reader, Filter(), limit=limit, cursor=cursor)
        names += [run["run_id"] for run in found["runs"]]
        cursor = found["next"]
    return names


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_ids_of_every_version_are_listed_by_start(tmp_path: Path, limit: int) -> None:
    expected = [
        record(
            tmp_path,
            id_of(SOME_DAY + day * DAY, 4 if day % 3 else 7),
            timestamps.text(datetime.fromtimestamp(SOME_DAY / 1000 + day * 86_400, tz=UTC)),
        )
        for day in range(10)
    ]
    assert listed(RunReader(Store(tmp_path)), limit) == expected[::-1]


def test_an_older_system_s_record_counts_by_its_own_time(tmp_path: Path) -> None:
    new = record(tmp_path, id_of(SOME_DAY, 7), "2026-09-21T10:00:00Z")
    folder = tmp_path / "run_of_before"
    folder.mkdir()
    entity = {"sequence": 1, "type": "input", "filename": "01_input.txt", "timestamp": "2031-01-01T00:00:00"}
    document = {
        "run_id": folder.name,
        "entities": [entity],
        "timestamp": "2025-11-03T12:00:00.5",
        "config_name": "dada",
    }
    document |= {"execution_mode": "eco", "safety_level": "kids", "user_id": "x", "expected_outputs": []}
    document |= {"current_state": {"stage": 5, "step": "complete", "progress": "1/1"}}
    (folder / "metadata.json").write_text(json.dumps(document))
    assert listed(RunReader(Store(tmp_path)), 5) == [new, folder.name]


@pytest.mark.parametrize("written", [b"", b"{torn", b'{"timestamp": "today"}', b'{"timestamp": "0001-01-01T00:00:00"}'])
def test_a_record_that_does_not_say_breaks_nothing(tmp_path: Path, written: bytes) -> None:
    good = record(tmp_path, str(uuid.uuid4()), "2026-09-21T10:00:00Z")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "metadata.json").write_bytes(written)
    reader = RunReader(Store(tmp_path))
    assert set(reader.names()) == {good, "broken"}
    assert good in listed(reader, 1)


def test_a_run_that_is_being_made_finds_its_place_when_its_record_is_there(tmp_path: Path) -> None:
    reader = RunReader(Store(tmp_path))
    name = str(uuid.uuid4())
    (tmp_path / name).mkdir()
    assert list(reader.names()) == [name]
    (tmp_path / name).rmdir()
    record(tmp_path, name, "2020-09-21T10:00:00Z")
    later = record(tmp_path, str(uuid.uuid4()), "2021-09-21T10:00:00Z")
    time.sleep(0.2)  # a reader looks again after ten times what the last look took
    assert list(reader.names()) == [later, name]


def test_a_cursor_continues_although_its_run_is_gone(tmp_path: Path) -> None:
    names = [record(tmp_path, str(uuid.uuid4()), f"2026-09-2{day}T10:00:00Z") for day in range(4)]
    reader = RunReader(Store(tmp_path))
    first = page(reader, Filter(), limit=2, cursor="")
    (tmp_path / names[2] / "metadata.json").unlink()
    (tmp_path / names[2]).rmdir()
    rest = page(RunReader(Store(tmp_path)), Filter(), limit=5, cursor=first["next"])
    assert [run["run_id"] for run in rest["runs"]] == [names[1], names[0]]


@given(st.text(max_size=200))
def test_any_text_is_a_cursor(text: str) -> None:
    assert ordering.key_of_cursor(text)[0] >= 0


@given(st.integers(0, 2**45), st.text(min_size=1, max_size=60))
def test_a_key_outlives_its_cursor(milliseconds: int, name: str) -> None:
    timed = ordering.time_of_id(name)
    key = (timed if timed is not None else milliseconds, name)
    assert ordering.key_of_cursor(ordering.cursor_of(key)) == key

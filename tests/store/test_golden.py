"""Recorded runs of format version 1 load for ever, and mean what they meant."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from aipipe.records import RunRecord
from aipipe.store import Run, Store

DATA = Path(__file__).parents[1] / "data"
NAMES: dict[str, str] = json.loads((DATA / "golden.json").read_text())
TEXT = ["input", "translation", "safety"]
MEDIA = ["safety_pre_output", "output_image"]
EXPECTED = {
    "completed": ("completed", [*TEXT, "interception", *MEDIA], "6/6"),
    "blocked": ("blocked", [*TEXT, "error"], "3/6"),
    "two_outputs": ("completed", [*TEXT, "interception", *MEDIA, *MEDIA], "8/8"),
    "recursive": ("completed", [*TEXT, *["interception_iteration"] * 7, "interception"], "11/11"),
    "text_only": ("completed", [*TEXT, "interception"], "4/4"),
    "edit": ("completed", ["interception_edit", *MEDIA], "3/3"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_run_reads_as_it_was_recorded(name: str) -> None:
    run = Run(DATA / "runs" / NAMES[name])
    status, types, progress = EXPECTED[name]
    assert run.status == status
    assert [entity.type for entity in run.entities] == types
    assert run.record.current_state.progress == progress
    assert run.verify().clean
    assert run.record.format_version == 1
    if status == "completed":
        assert run.record.expected_outputs == types


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_record_survives_a_round_trip_byte_for_byte(name: str) -> None:
    text = (DATA / "runs" / NAMES[name] / "metadata.json").read_text("utf-8")
    assert RunRecord.model_validate_json(text).model_dump_json(indent=2) + "\n" == text


def test_reading_never_writes(tmp_path: Path) -> None:
    shutil.copytree(DATA / "runs", tmp_path / "runs")
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file()}
    store = Store(tmp_path / "runs")
    for run in store:
        run._repr_mimebundle_()
        for entity in run:
            entity._repr_mimebundle_()
    store._repr_mimebundle_()
    assert store.verify().clean
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file()} == before


def test_every_field_is_documented_in_the_schema() -> None:
    schema = RunRecord.model_json_schema()
    for model in (schema, *schema["$defs"].values()):
        for name, field in model["properties"].items():
            assert field.get("description"), f"{model['title']}.{name}"

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from PIL import Image, PngImagePlugin

import aipipe
from aipipe.analysis.importing import import_runs

from .building import DIALECTS


def digest(root: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()}


def test_every_dialect_becomes_version_1_once_and_the_source_stays_untouched(tmp_path: Path) -> None:
    before = digest(DIALECTS)
    report = import_runs(DIALECTS, tmp_path / "runs", timezone="Europe/Berlin")
    assert digest(DIALECTS) == before
    assert len(report.imported) == 9
    assert report.skipped == []
    frame = aipipe.load_runs(tmp_path / "runs", index=False)
    assert set(frame["dialect"]) == {"version 1"}
    assert set(frame["label_source_run_id"]) == set(report.imported)
    again = import_runs(DIALECTS, tmp_path / "runs", timezone="Europe/Berlin")
    assert (len(again.imported), len(again.already)) == (0, 9)
    assert aipipe.Store(tmp_path / "runs").verify().clean


def test_a_tracker_file_is_joined_to_the_run_it_describes(tmp_path: Path) -> None:
    source = tmp_path / "old"
    shutil.copytree(DIALECTS / "original", source / "pipeline_runs")
    tracker = json.loads((DIALECTS / "tracker" / "exec_20251102_120000_0a1b2c3d.json").read_text())
    tracker |= {"config_name": "dada", "timestamp": "2025-11-04T10:15:20"}
    (source / "exec_20251104_101520_0a1b2c3d.json").write_text(json.dumps(tracker))
    report = import_runs(source, tmp_path / "runs", timezone="Europe/Berlin")
    assert report.linked == {tracker["execution_id"]: "0f5b6a3e-2d51-4c6f-9a40-1b9a6f3f1a01"}
    entities = aipipe.load_entities(tmp_path / "runs", index=False, where="type == 'interception_iteration'")
    assert len(entities) == 2


def test_images_with_graphs_or_parameters_become_runs(tmp_path: Path) -> None:
    source = tmp_path / "output"
    source.mkdir()
    graph = {"6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a heron in fog"}}}
    for name, key, value in (
        ("ComfyUI_0001.png", "prompt", json.dumps(graph)),
        ("a1111.png", "parameters", "a red hat\nNegative prompt: blur\nSteps: 20"),
        ("plain.png", "Comment", "nothing"),
    ):
        info = PngImagePlugin.PngInfo()
        info.add_text(key, value)
        Image.new("RGB", (4, 4)).save(source / name, pnginfo=info)
    report = import_runs(source, tmp_path / "runs")
    assert set(report.imported) == {"ComfyUI_0001.png", "a1111.png"}
    frame = aipipe.load_runs(tmp_path / "runs", texts=True)
    assert set(frame["input_text"]) == {"a heron in fog", "a red hat"}

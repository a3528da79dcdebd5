from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

import aipipe
from aipipe.analysis.embedded import generation
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
    said = "Der Fuchs liest"
    run = "0f5b6a3e-2d51-4c6f-9a40-1b9a6f3f1a01"
    (written,) = (source / "pipeline_runs").rglob(f"{run}/*_input.txt")
    other = written.read_text()
    report = import_runs(source, tmp_path / "other", timezone="Europe/Berlin")
    assert other != said
    assert report.linked == {}, "another text: another person's run"
    assert report.unmatched == [tracker["execution_id"]]
    written.write_text(f" {said}\n")
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
    assert report.unmarked == ["plain.png"]
    assert "1 image without" in str(report)


def test_images_in_a_folder_below_a_hidden_one_are_found(tmp_path: Path) -> None:
    source = tmp_path / ".comfy" / "output"
    source.mkdir(parents=True)
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a red hat")
    Image.new("RGB", (4, 4)).save(source / "one.png", pnginfo=info)
    assert set(import_runs(source, tmp_path / "runs").imported) == {"one.png"}


def test_a_graph_tells_prompt_from_negative_prompt_and_its_seed() -> None:
    graph = {
        "3": {
            "class_type": "KSampler",
            "inputs": {"seed": 2**63 + 1, "steps": 4, "cfg": 1.5, "positive": ["9", 0], "negative": ["7", 0]},
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "small.safetensors"}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "ugly", "clip": ["4", 1]}},
        "8": {"class_type": "CLIPTextEncode", "inputs": {"text": ["5", 0], "clip": ["4", 1]}},
        "5": {"class_type": "PrimitiveString", "inputs": {"string": "a blue dog"}},
        "9": {"class_type": "FluxGuidance", "inputs": {"conditioning": ["8", 0], "guidance": 3.5}},
    }
    made = generation({"prompt": json.dumps(graph)})
    assert made is not None
    assert (made.prompt, made.negative, made.seed) == ("a blue dog", "ugly", str(2**63 + 1))
    assert made.settings == {"steps": 4, "cfg": 1.5, "model": "small.safetensors"}


def test_parameters_are_taken_apart() -> None:
    text = 'a cat, oil\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 18446744073709551615, Note: "x, y"'
    made = generation({"parameters": text})
    assert made is not None
    assert (made.prompt, made.negative, made.seed) == ("a cat, oil", "blurry", "18446744073709551615")
    assert made.settings == {"Steps": "20", "Sampler": "Euler a", "Note": "x, y"}


@pytest.mark.parametrize(
    "graph", ["[]", "{}", '{"1": 2, "2": {"inputs": 3}}', "not json", '{"1":{"inputs":{"positive":["1",0]}}}']
)
def test_odd_graphs_are_no_error(graph: str) -> None:
    made = generation({"prompt": graph})
    assert made is not None
    assert made.seed is None


def test_an_import_keeps_seeds_and_steps(tmp_path: Path) -> None:
    for dialect, seed in (("dated", "18446744073709551615"), ("canvas", "42")):
        import_runs(DIALECTS / dialect, tmp_path / dialect)
        assert list(aipipe.load_runs(tmp_path / dialect)["seed"]) == [seed]
    before = aipipe.load_steps(DIALECTS / "tracker")
    import_runs(DIALECTS / "tracker", tmp_path / "tracker")
    after = aipipe.load_steps(tmp_path / "tracker")
    assert sorted(after["seconds"]) == sorted(before["seconds"])
    assert sorted(after["model"].dropna()) == sorted(before["model"].dropna())
    assert set(aipipe.load_runs(tmp_path / "tracker")["label_source_seconds"]) == {"12.5", "0.8"}


def test_pictures_of_the_same_name_in_two_folders_are_two_runs(tmp_path: Path) -> None:
    for folder, text in (("monday", "a heron"), ("tuesday", "a wolf")):
        (tmp_path / folder).mkdir()
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", text)
        Image.new("RGB", (4, 4)).save(tmp_path / folder / "ComfyUI_00001_.png", pnginfo=info)
    for _ in range(2):
        reports = [import_runs(tmp_path / folder, tmp_path / "runs") for folder in ("monday", "tuesday")]
    assert [report.already for report in reports] == [["ComfyUI_00001_.png"]] * 2
    assert set(aipipe.load_runs(tmp_path / "runs", texts=True)["input_text"]) == {"a heron", "a wolf"}

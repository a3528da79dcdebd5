from __future__ import annotations

import hashlib
import html
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

import aipipe
from aipipe.analysis import importing as importing_module
from aipipe.analysis.embedded import chunks, generation
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
    assert "1 media file without" in str(report)


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


GOLDEN_IMPORTS = {
    # source run id: status, entities, starred
    "0f5b6a3e-2d51-4c6f-9a40-1b9a6f3f1a01": ("completed", 6, False),
    "1a8c2f60-93d4-4d0b-8f0e-6e3d2a7b4b02": ("blocked", 3, False),
    "2b9d3071-a4e5-4e1c-901f-7f4e3b8c5c03": ("failed", 4, False),
    "run_1769600000000_a1b2c3": ("completed", 10, True),
    "3cae4182-b5f6-4f2d-a120-805f4c9d6d04": ("completed", 3, False),
    "exec_20251102_120000_0a1b2c3d": ("completed", 6, False),
    "exec_20251102_130000_4e5f6a7b": ("blocked", 2, False),
    "u1_250314101500": ("completed", 3, False),
    "run_1770000000000_d4e5f6_canvas": ("completed", 3, False),
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("imported") / "runs"
    import_runs(DIALECTS, root, timezone="Europe/Berlin")
    return root


def test_golden_frames_of_imported_runs(imported: Path) -> None:
    before = aipipe.load_runs(DIALECTS, timezone="Europe/Berlin", index=False).set_index("run_id")
    after = aipipe.load_runs(imported, index=False).set_index("source_run_id")
    found = {i: (r["status"], r["entities"], r["starred"]) for i, r in after.iterrows()}
    assert found == GOLDEN_IMPORTS
    for name in ("config_name", "seed", "models", "participant", "session", "batch_id", "case_index"):
        mine, theirs = (f[name].reindex(before.index).astype(object) for f in (after, before))
        assert mine.where(mine.notna(), None).to_dict() == theirs.where(theirs.notna(), None).to_dict(), name
    started = after["label_source_timestamp"].astype(str)
    assert {i: str(t) for i, t in before["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S").items()} == {
        i: t[:19] for i, t in started.items()
    }


def test_drafts_favourites_models_and_labels_survive_an_import(imported: Path) -> None:
    row = aipipe.load_runs(imported, where="source_run_id == 'run_1769600000000_a1b2c3'").iloc[0]
    assert (row["starred"], row["note"]) == (True, "for the poster")
    assert json.loads(row["models"])["interception"] == "local/gpt-oss:20b"
    assert (row["label_interception_config"], row["label_comfyui_prompt_ids"]) == ("surrealism", "p-1")
    mine = aipipe.load_entities(imported, texts=True, where=f"run_id == '{row['run_id']}'")
    drafts = mine[mine["role"] == "process"]
    assert drafts["text"].tolist() == ["Eine Uh", "A clock that sips its hours"]
    assert mine[mine["type"] == "output_image"]["file_index"].tolist() == [0, 1]
    prompts = aipipe.load_prompts(imported, where=f"run_id == '{row['run_id']}'")
    assert prompts["interception"].tolist() == ["A clock that drinks its own hours"]
    assert aipipe.open_run(row["folder"])["interception"].text == "A clock that drinks its own hours"


def test_verdicts_without_a_file_survive_an_import(imported: Path) -> None:
    before = aipipe.load_safety(DIALECTS / "tracker")
    runs = aipipe.load_runs(imported, where="source_run_id.str.startswith('exec_')")
    after = aipipe.load_safety(imported)
    after = after[after["run_id"].isin(runs["run_id"])]
    assert sorted(after["safe"].astype(str)) == sorted(before["safe"].astype(str))
    assert sorted(after["method"].astype(str)) == sorted(before["method"].astype(str))


def test_two_records_of_one_run_become_one(tmp_path: Path) -> None:
    source, run = tmp_path / "old", "0f5b6a3e-2d51-4c6f-9a40-1b9a6f3f1a01"
    shutil.copytree(DIALECTS / "original" / run, source / "pipeline_runs" / run)
    (source / "media_storage").mkdir()
    shutil.copytree(DIALECTS / "media_storage" / "3cae4182-b5f6-4f2d-a120-805f4c9d6d04", source / "media_storage" / run)
    twin = source / "media_storage" / run / "metadata.json"
    document = json.loads(twin.read_text()) | {"run_id": run}
    entities = json.loads((source / "pipeline_runs" / run / "metadata.json").read_text())["entities"]
    said = {e["type"]: (source / "pipeline_runs" / run / e["filename"]) for e in entities}
    document["input_text"] = said["input"].read_text() + "\n"
    (twin.parent / "input_text.txt").write_text(document["input_text"])
    twin.write_text(json.dumps(document))
    report = import_runs(source, tmp_path / "runs")
    assert list(report.imported) == [run]
    assert report.already == []
    assert report.merged == {str(twin): run}
    assert [s["path"].rsplit("/", 1)[1] for s in report.skipped if "interception" in s["reason"]] == [
        "transformed_text.txt"
    ]
    frame = aipipe.load_entities(tmp_path / "runs", index=False)
    assert frame["type"].tolist().count("input") == 1


def test_a_run_in_two_stores_is_loaded_once(tmp_path: Path) -> None:
    run = "0f5b6a3e-2d51-4c6f-9a40-1b9a6f3f1a01"
    for name in ("a", "b"):
        shutil.copytree(DIALECTS / "original" / run, tmp_path / name / run)
    frame = aipipe.load_runs([tmp_path / "a", tmp_path / "b"], index=False)
    report = frame.attrs["report"]
    assert frame["folder"].tolist() == [str(tmp_path / "a" / run)]
    assert (report["found"], report["loaded"], len(report["skipped"])) == (2, 1, 1)
    assert "same run_id" in report["skipped"][0]["reason"]


PARAMETERS = "a heron in fog\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 77, Size: 8x8"
GRAPH = json.dumps({"6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a heron in fog"}}})


def with_exif(path: Path, tag: int, value: Any, *, inner: bool = False) -> None:
    exif = Image.Exif()
    (exif.get_ifd(0x8769) if inner else exif)[tag] = value
    Image.new("RGB", (16, 16), "teal").save(path, exif=exif)


def with_xmp(path: Path, text: str) -> None:
    inner = f"<rdf:Alt><rdf:li xml:lang='x-default'>{html.escape(text)}</rdf:li></rdf:Alt>"
    packet = f"<x:xmpmeta><dc:description>{inner}</dc:description></x:xmpmeta>"
    Image.new("RGB", (16, 16), "teal").save(path, xmp=packet.encode())


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.jpg", lambda p: with_exif(p, 0x9286, b"UNICODE\0" + PARAMETERS.encode("utf-16-be"), inner=True)),
        ("b.jpg", lambda p: with_exif(p, 0x9286, b"UNICODE\0" + PARAMETERS.encode("utf-16-le"), inner=True)),
        ("c.jpg", lambda p: with_exif(p, 0x9286, b"ASCII\0\0\0" + PARAMETERS.encode(), inner=True)),
        ("d.webp", lambda p: with_exif(p, 0x0110, f"prompt:{GRAPH}")),
        ("e.webp", lambda p: with_xmp(p, PARAMETERS)),
        ("f.jpg", lambda p: with_xmp(p, PARAMETERS)),
        ("g.jpg", lambda p: Image.new("RGB", (16, 16)).save(p, comment=PARAMETERS.encode())),
    ],
)
def test_jpeg_and_webp_tell_their_prompt_too(name: str, make: Any, tmp_path: Path) -> None:
    source = tmp_path / "output"
    source.mkdir()
    make(source / name)
    report = import_runs(source, tmp_path / "runs")
    assert list(report.imported) == [name]
    assert aipipe.load_runs(tmp_path / "runs", texts=True)["input_text"].tolist() == ["a heron in fog"]
    assert aipipe.load_media(tmp_path / "runs")["embedded_prompt"].tolist() == ["a heron in fog"]


def test_the_words_of_a_camera_are_no_prompt(tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    with_exif(source / "a.jpg", 0x010E, "holiday by the sea")
    with_xmp(source / "b.jpg", "Prompt: holiday by the sea")
    assert import_runs(source, tmp_path / "runs").unmarked == ["a.jpg", "b.jpg"]


@given(st.binary(max_size=200))
def test_any_bytes_of_exif_are_no_error(data: bytes) -> None:
    image = Image.new("RGB", (2, 2))
    image.info |= {"exif": data, "xmp": data, "comment": data}
    chunks(image)


@pytest.mark.parametrize("odd", ["a" * 300, "x\0y", "../../x", None, 7, [], {}])
def test_an_entity_that_cannot_be_kept_is_told_and_hides_nothing(odd: object, tmp_path: Path) -> None:
    source = tmp_path / "old"
    shutil.copytree(DIALECTS / "original", source)
    run = "0f5b6a3e-2d51-4c6f-9a40-1b9a6f3f1a01"
    record = source / run / "metadata.json"
    document = json.loads(record.read_text())
    document["entities"][1]["filename"] = odd
    document["entities"][2]["type"] = "../up"
    record.write_text(json.dumps(document))
    report = import_runs(source, tmp_path / "runs")
    assert len(report.imported) == 3
    assert len(report.lost) == 2
    assert "could not be kept" in str(report)
    frame = aipipe.load_runs(tmp_path / "runs", index=False).set_index("source_run_id")
    assert frame.loc[run, "entities"] == 4


def test_an_import_that_is_cut_off_leaves_no_half_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aipipe.errors import StorageFull
    from aipipe.recorder import LivePipelineRecorder
    from aipipe.store import Store

    plain = LivePipelineRecorder.save_entity
    calls = {"n": 0}

    def full(self: LivePipelineRecorder, *args: Any, **more: Any) -> Any:
        calls["n"] += 1
        if calls["n"] % 3 == 0:
            raise StorageFull("The disk is full.")
        return plain(self, *args, **more)

    whole = import_runs(DIALECTS, tmp_path / "whole", timezone="Europe/Berlin")
    monkeypatch.setattr(LivePipelineRecorder, "save_entity", full)
    cut = import_runs(DIALECTS, tmp_path / "runs", timezone="Europe/Berlin")
    assert any("disk is full" in str(item["reason"]) for item in cut.skipped)
    assert len(list(Store(tmp_path / "runs"))) == len(cut.imported)
    monkeypatch.setattr(LivePipelineRecorder, "save_entity", plain)
    again = import_runs(DIALECTS, tmp_path / "runs", timezone="Europe/Berlin")
    assert len(again.imported) + len(again.already) == len(whole.imported) + len(whole.already)
    assert len(list(Store(tmp_path / "runs"))) == len(list(Store(tmp_path / "whole")))


COMFYUI = DIALECTS.parent / "comfyui"
"""Files that a ComfyUI wrote, one of every kind: a text held by a primitive node, a seed by another."""


@pytest.mark.parametrize("decoder", ["with PyAV", "without PyAV"])
def test_every_kind_of_file_that_comfyui_writes_becomes_a_run(
    decoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if decoder == "without PyAV":
        monkeypatch.setitem(sys.modules, "av", None)
    before = digest(COMFYUI)
    report = import_runs(COMFYUI, tmp_path / "runs")
    assert set(report.imported) == {p.name for p in COMFYUI.iterdir()}
    assert (report.skipped, report.lost, report.unmarked) == ([], [], [])
    frame = aipipe.load_runs(tmp_path / "runs", texts=True)
    assert set(frame["input_text"]) == {"a heron at dusk"}
    assert set(frame["seed"]) == {"1234567890123"}
    assert set(frame["models"]) == {'{"media":"tiny_sd15.safetensors"}'}
    assert frame["config_name"].value_counts().to_dict() == {
        "comfyui_image": 3,
        "comfyui_audio": 2,
        "comfyui_video": 2,
    }
    media = aipipe.load_media(tmp_path / "runs")
    assert set(media["embedded_prompt"]) == {"a heron at dusk"}
    assert media["readable"].all()
    assert digest(COMFYUI) == before


@pytest.mark.parametrize("name", ["picture.png", "film.mp4"])
def test_a_file_that_was_cut_off_is_told_and_is_no_completed_run(name: str, tmp_path: Path) -> None:
    source = tmp_path / "output"
    source.mkdir()
    data = (COMFYUI / name).read_bytes()
    (source / name).write_bytes(data[: len(data) * 2 // 3])
    shutil.copy(COMFYUI / "song.flac", source)
    report = import_runs(source, tmp_path / "runs")
    assert set(report.imported) == {"song.flac"}
    assert [Path(s["path"]).name for s in report.skipped] + report.unmarked == [name]


@pytest.mark.parametrize("nested", [True, False], ids=["as text", "as object"])
def test_a_graph_in_the_comment_of_a_film_is_found(nested: bool, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    graph = {"6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a heron in fog"}}}
    (tmp_path / "output").mkdir()
    with av.open(str(tmp_path / "output" / "film.mp4"), "w") as made:
        made.metadata["comment"] = json.dumps(
            {"prompt": json.dumps(graph) if nested else graph, "workflow": {"nodes": []}}
        )
        with av.open(str(COMFYUI / "film.mp4")) as source:
            stream = made.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    made.mux(packet)
    import_runs(tmp_path / "output", tmp_path / "runs")
    assert aipipe.load_runs(tmp_path / "runs", texts=True)["input_text"].tolist() == ["a heron in fog"]


def poisoned(dialect: str, pattern: str, odd: Any, *place: Any) -> Any:
    """A record of a dialect with an odd value at one place."""
    source = max((DIALECTS / dialect).rglob(pattern))
    document = json.loads(source.read_text())
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = odd
    return source.relative_to(DIALECTS / dialect), document


@pytest.mark.parametrize(
    ("dialect", "pattern", "odd", "place"),
    [
        ("dated", "metadata.json", "²", ("entities", 6, "metadata", "seed")),
        ("sessions", "*.json", "--5", ("used_seed",)),
        ("sessions", "*.json", "9" * 5000, ("used_seed",)),
        ("tracker", "exec_*.json", [1], ("items", 1, "stage")),
        ("tracker", "exec_*.json", "two", ("items", 1, "stage")),
    ],
)
def test_an_odd_value_does_not_end_an_import(dialect: str, pattern: str, odd: Any, place: Any, tmp_path: Path) -> None:
    shutil.copytree(DIALECTS / dialect, tmp_path / "source" / "odd")
    shutil.copytree(DIALECTS / "original", tmp_path / "source" / "others")
    name, document = poisoned(dialect, pattern, odd, *place)
    (tmp_path / "source" / "odd" / name).write_text(json.dumps(document))
    report = import_runs(tmp_path / "source", tmp_path / "runs")
    everything = len(aipipe.load_runs(tmp_path / "source"))
    assert len(report.imported) + len(report.linked) == everything
    assert report.skipped == []
    assert len(aipipe.load_runs(tmp_path / "runs")) == len(report.imported)


def test_a_run_that_cannot_be_converted_is_told_and_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importing_module.convert

    def convert(run: Any, *rest: Any) -> str:
        if run["run_id"].startswith("1a8c"):
            raise KeyError("surprise")
        return real(run, *rest)

    monkeypatch.setattr(importing_module, "convert", convert)
    report = import_runs(DIALECTS / "original", tmp_path / "runs")
    assert len(report.imported) == 2
    assert ["surprise" in s["reason"] for s in report.skipped] == [True]

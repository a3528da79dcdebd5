"""Canaries in every place that a run and its store can hold: none may be in any byte of a public export."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image, PngImagePlugin

from aipipe.analysis.export import export
from aipipe.analysis.export.times import Clocks
from aipipe.annotations import Annotations

from .building import entity, record, write

CANARY = "CANARY-SCHOOL-7"
LAYOUTS = ("folder", "images", "qda", "zenodo")
RUN_ID = "01a225d0-ffcc-7bee-aec9-1b7086c3e078"
FIXED = {"format_version", "run_id", "status", "type", "filename", "consent", "sequence", "media_type", "embargo"}
"""What keeps its value, because a run is no run without it."""
STORED = {"sha256": "ab" * 32, "mime": "text/plain", "checked": "decoded", "reused_from": "x", "source_run_id": "x"}


def full() -> dict[str, Any]:
    """A run with every field that the recorder writes."""
    when = "2026-11-03T10:42:17.123456Z"
    step = {
        "stage": 2, "step": "interception", "chunk": "rewrite", "backend": "ollama", "runner": "comfy", "model": "m",
        "model_digest": "sha256:ab", "parameters": {"temperature": 0.8, "prompt": "x"}, "seed": "0", "started": when,
        "seconds": 0.1, "tokens": {"input": 1, "output": 2}, "attempts": 1, "outcome": "completed",
        "execution_mode": "eco", "input": 0, "output": None, "iteration": None, "message": "x",
        "job": {"server": "http://lab-pc-7:8188", "prompt_id": "x"},
    }  # fmt: skip
    facts = {
        "config": "sdxl", "runner": "comfy", "seed": "3", "width": 8, "height": 8, "duration": 1.5, "language": "de",
        "method": "terms", "safe": True, "renderer": "r", "renderer_version": "1", "glyph_source": "g",
        "glyph_licence": "l", "original_filename": "x.png", "note": "x", "image_safety": {"answer": "x"},
    }  # fmt: skip
    kinds = {"input": "txt", "translation": "txt", "safety": "json", "interception": "txt", "output_image": "png",
             "input_image": "png", "error": "json", "config_used": "json"}  # fmt: skip
    entities = [entity(n, k, e, metadata=facts, **STORED) for n, (k, e) in enumerate(kinds.items(), start=1)]
    return record(
        RUN_ID, timestamp=when, started=when, finished=when, user_id="anna", text_seed="0", plan_hash="ab" * 32,
        config_hash="ab" * 32, models={"interception": "m"}, reason={"stage": 4, "type": "x", "message": "x"},
        attempts=[{"started": when, "finished": when, "host": "lab-pc-7", "pid": 471147114711, "status": "completed"}],
        inputs=[{"index": 0, "kind": "text", "language": "de", "sha256": "ab" * 32}],
        outputs=[{"index": 0, "config": "sdxl", "outcome": "completed", "reason": None}],
        study="s", participant="p", session="s", input_id="i", parent="01a225d0-ffcc-7bee-aec9-000000000000",
        batch={"batch_id": "batch-of-tuesday", "case_key": "k", "index": 0}, tags=["x"], labels={"consent": "yes", "teacher": "x"},
        entities=entities, steps=[step], notebook="/home/anna/n.ipynb",
    )  # fmt: skip


def poisoned(value: Any, way: str, name: str = "") -> Any:
    """The same document with canaries: `words` in every text, `nests` in the place of every value, `paths` as folders."""
    if name in FIXED:
        return value
    if isinstance(value, dict) and not (way == "nests" and name in ("tokens", "models", "metadata")):
        extra = {"further": CANARY, CANARY: 1} if way != "paths" else {}
        return {**{k: poisoned(v, way, k) for k, v in value.items()}, **extra}
    if isinstance(value, list):
        return [poisoned(item, way, name) for item in value]
    if way == "nests":
        return {name: {CANARY: [CANARY]}, "input": [CANARY], "text": CANARY}
    if not isinstance(value, str):
        return value
    return f"/home/{CANARY}/models/m.gguf" if way == "paths" else f"{CANARY} {name}"


def picture(path: Path) -> None:
    """A PNG with canaries in text chunks, EXIF, XMP, ICC, a private chunk and behind its end."""
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", CANARY)
    info.add_text("workflow", CANARY, zip=True)
    info.add_itxt("XML:com.adobe.xmp", CANARY)
    info.add(b"prVt", CANARY.encode())
    exif = Image.Exif()
    exif[0x010E] = exif[0x9286] = CANARY
    Image.new("RGB", (8, 6), (200, 30, 60)).save(path, pnginfo=info, exif=exif)
    with path.open("ab") as stream:
        stream.write(CANARY.encode())


def planted(store: Path, way: str) -> None:
    """A store with one such run, and canaries in everything beside it."""
    document = poisoned(full(), way)
    judged = {"safe": True, "method": CANARY, "policy": CANARY, "model": CANARY, "text": CANARY, "codes": [CANARY]}
    texts: dict[str, Any] = {"03_safety.json": judged, "07_error.json": judged, "08_config_used.json": judged}
    texts |= {f"{n:02d}_{k}.txt": "ein roter hut" for n, k in ((1, "input"), (2, "translation"), (4, "interception"))}
    folder = write(store, document, texts=texts)
    picture(folder / "05_output_image.png")
    picture(folder / "06_input_image.png")
    for name in ("provenance.json", "exchanges.jsonl", "notes.txt", f"{CANARY}.txt"):
        (folder / name).write_text(CANARY)
    notes = Annotations(store, author=CANARY)
    notes.tag(RUN_ID, [CANARY])
    notes.note(RUN_ID, CANARY)
    for place in ("ratings/closer", "batches/batch-of-tuesday/notebooks", f"batches/{CANARY}", ".aipipe"):
        (store / place).mkdir(parents=True, exist_ok=True)
        line = {"task": "closer", "rater": CANARY, "run_id": RUN_ID, "value": 4, "comment": CANARY}
        (store / place / f"{CANARY}.jsonl").write_text(json.dumps(line) + "\n")


def everything(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of all that a package holds: in archives, in tables and in compressed chunks too."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            yield from _opened(str(file.relative_to(path.parent)), file.read_bytes())


def _opened(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, name.encode() + b"\n" + data
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                yield f"{name}!", info.comment + info.extra
                yield from _opened(f"{name}!{info.filename}", archive.read(info))
    if data[:4] == b"PAR1":
        frame = pd.read_parquet(io.BytesIO(data))
        yield f"{name}!rows", (frame.to_csv() + repr(frame.attrs)).encode()
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        for found in re.finditer(rb"(?:zTXt|iTXt|iCCP)(.{0,80}?\0\0)", data, re.DOTALL):
            yield f"{name}!chunk", zlib.decompressobj().decompress(data[found.end() :])
    if data[:2] == b"\x1f\x8b":
        yield f"{name}!gzip", gzip.decompress(data)


def leaks(path: Path, *secrets: str) -> list[str]:
    """Names of the parts of a package in which a secret stands."""
    return [f"{s} in {name}" for name, data in everything(path) for s in secrets if s.encode().lower() in data.lower()]


def decided(store: Path, target: Path, **options: Any) -> dict[str, str]:
    """Every text that a person is asked about, redacted."""
    report = export(store, target, **options)
    assert leaks(target, CANARY) == []
    return {entry["sha256"]: "redacted" for entry in report.review}


SECRETS = (
    CANARY,
    RUN_ID,
    RUN_ID[-12:],
    "lab-pc-7",
    "471147114711",
    "batch-of-tuesday",
    "T10:42",
    "01a225d0",
    "000000000000",
)


@pytest.mark.parametrize("way", ["words", "nests", "paths"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_canary_leaves_the_store(layout: Any, way: str, tmp_path: Path) -> None:
    store = tmp_path / "runs"
    planted(store, way)
    options: dict[str, Any] = {"layout": layout, "formats": ("csv", "jsonl", "parquet")}
    redacted = decided(store, tmp_path / "held", **options)
    seen = {"redacted": redacted, "pictures_seen": list(redacted)}
    for out in (tmp_path / "out", tmp_path / "out.zip"):
        report = export(store, out, **options, **seen)
        assert report.exported == [RUN_ID], report.left_out
        assert leaks(out, *SECRETS, str(tmp_path), tmp_path.name) == []
    assert any(b"ein roter hut" in data for _, data in everything(tmp_path / "out"))


def test_what_a_run_is_left_out_for_tells_nothing_of_it(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    write(store, record(labels={"consent": "yes", "embargo": CANARY}))
    write(store, record(labels={"consent": "yes"}, participant=CANARY), CANARY)
    broken = write(store, record(labels={"consent": "yes"}))
    (broken / "metadata.json").write_text('{"run_id": "' + CANARY)
    export(store, tmp_path / "out")
    assert leaks(tmp_path / "out", CANARY, str(tmp_path)) == []


@pytest.mark.parametrize("times", ["day", "exact"])
def test_times_keep_their_day_their_order_and_what_lies_between(times: Any, tmp_path: Path) -> None:
    for hour in (9, 11):
        begun = f"2026-11-03T{hour:02d}:42:17.000000Z"
        write(
            tmp_path / "runs",
            record(
                labels={"consent": "yes"},
                config_name=f"at{hour}",
                timestamp=begun,
                started=begun,
                finished=begun.replace(":17.", ":19."),
            ),
        )
    export(tmp_path / "runs", tmp_path / "out", times=times)
    frame = pd.read_csv(tmp_path / "out" / "runs.csv").sort_values("started")
    assert frame["config_name"].tolist() == ["at9", "at11"]
    begun, ended = pd.to_datetime(frame["started"]), pd.to_datetime(frame["finished"])
    assert (ended - begun).dt.total_seconds().tolist() == [2, 2]
    assert begun.dt.date.astype(str).tolist() == ["2026-11-03"] * 2
    assert begun.dt.hour.tolist() == ([0, 0] if times == "day" else [9, 11])


def test_a_word_redacted_in_one_text_is_looked_for_in_the_others(tmp_path: Path) -> None:
    kinds = {
        "input": "Ich heiße Zorblax",
        "translation": "My name is Zorblax",
        "interception": "zorblax, a glowing thing",
    }
    entities = [entity(n, kind) for n, kind in enumerate(kinds, start=1)]
    texts = {f"{n:02d}_{kind}.txt": text for n, (kind, text) in enumerate(kinds.items(), start=1)}
    write(tmp_path / "runs", record(labels={"consent": "yes"}, entities=entities), texts=texts)
    first = export(tmp_path / "runs", tmp_path / "one").review
    assert [e["text"] for e in first] == ["Ich heiße Zorblax", "My name is Zorblax"]
    redacted = {e["sha256"]: "I have a name" for e in first}
    (second,) = export(tmp_path / "runs", tmp_path / "two", redacted=redacted).review
    assert (second["text"], second["signs"]) == ("zorblax, a glowing thing", ["known from the run's record"])


def test_the_code_of_a_participant_in_a_text_is_found(tmp_path: Path) -> None:
    fields = {"labels": {"consent": "yes"}, "participant": "fox17", "entities": [entity(1, "input")]}
    write(tmp_path / "runs", record(**fields), texts={"01_input.txt": "ein bild von FOX17"})
    (entry,) = export(tmp_path / "runs", tmp_path / "out").review
    assert entry["signs"] == ["known from the run's record"]
    assert leaks(tmp_path / "out", "fox17") == []


def test_a_text_in_another_encoding_is_redacted_too(tmp_path: Path) -> None:
    folder = write(tmp_path / "runs", record(labels={"consent": "yes"}, entities=[entity(1, "input")]))
    (folder / "01_input.txt").write_bytes("Ich heiße Zorblax".encode("latin-1"))
    (entry,) = export(tmp_path / "runs", tmp_path / "one").review
    export(tmp_path / "runs", tmp_path / "two", redacted={entry["sha256"]: "a name"})
    assert leaks(tmp_path / "two", "Zorblax") == []


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("profile", ["public", "private"])
def test_a_record_that_cannot_be_read_stops_no_export_and_is_named(layout: Any, profile: Any, tmp_path: Path) -> None:
    fields = {"config_name": "half \ud800", "study": "\udfff", "entities": [entity(1, "input")]}
    write(tmp_path / "runs", record(labels={"consent": "yes"}, **fields), texts={"01_input.txt": "ein hut"})
    formats = ("csv", "jsonl", "parquet")
    report = export(tmp_path / "runs", tmp_path / "out", layout=layout, profile=profile, formats=formats)
    (why,) = report.left_out.values()
    assert why.startswith("its record cannot be read: not valid JSON")
    assert report.reasons == {"its record cannot be read": 1}


def test_a_day_of_many_runs_stays_one_day() -> None:
    clocks = Clocks("day")
    begun = "2026-11-03T10:42:17Z"
    told = [clocks.of_run({"started": begun}).of(begun) for _ in range(5000)]
    assert told == sorted(told)  # type: ignore[type-var]
    assert {str(time)[:10] for time in told} == {"2026-11-03"}

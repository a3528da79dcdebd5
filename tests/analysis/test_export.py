from __future__ import annotations

import hashlib
import io
import json
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

import aipipe
from aipipe.analysis.export import ExportReport, export
from aipipe.analysis.export.images import remains, stripped
from aipipe.analysis.export.licences import licence_of
from aipipe.analysis.export.privacy import Pseudonyms, refusal
from aipipe.analysis.export.signs import signs
from aipipe.annotations import Annotations
from aipipe.errors import BadMedia, RunNotFound, UsageError
from tests.conftest import need_real

from .building import entity, record, write

SECRET = "tok-4711-secret"


def picture(path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", SECRET)
    exif = Image.Exif()
    exif[0x010E] = SECRET
    Image.new("RGB", (8, 6), (200, 30, 60)).save(path, pnginfo=info, exif=exif)


def sample(root: Path, *, text: str = "ein roter hut", **fields: Any) -> str:
    labels = {"consent": "yes", "teacher": SECRET, **fields.pop("labels", {})}
    document = record(
        participant="Mia-7b",
        session=SECRET,
        labels=labels,
        user_id=SECRET,
        secret_field=SECRET,
        input_id=SECRET,
        reason={"stage": 4, "type": "x", "message": SECRET},
        tags=[SECRET],
        steps=[{"stage": 2, "step": "interception", "parameters": {"x": SECRET}, "message": SECRET, "seconds": 1.0}],
        entities=[
            entity(1, "input", metadata={"note": SECRET, "language": "de"}),
            entity(2, "safety", "json"),
            entity(3, "output_image", "png", metadata={"original_filename": SECRET, "width": 8}),
            entity(4, "input_image", "png"),
            entity(5, "error", "json"),
        ],
        **fields,
    )
    safety = {"safe": True, "method": "terms", "text": SECRET, "explanation": SECRET}
    texts = {"01_input.txt": text, "02_safety.json": safety, "05_error.json": {"message": SECRET}}
    folder = write(root, document, texts=texts)
    for name in ("provenance.json", "exchanges.jsonl"):
        (folder / name).write_text(SECRET)
    picture(folder / "03_output_image.png")
    picture(folder / "04_input_image.png")
    return str(document["run_id"])


def seen(root: Path) -> list[str]:
    """Hashes of the pictures that people gave: whoever exports has looked at what was made from them."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*_input_image.png")]


def texts_of(report: ExportReport) -> list[dict[str, Any]]:
    """What is asked about texts."""
    return [entry for entry in report.review if entry["text"]]


def everything(folder: Path) -> bytes:
    return b"\n".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())


def test_a_public_export_holds_nothing_that_was_not_permitted(tmp_path: Path) -> None:
    run_id = sample(tmp_path / "runs")
    report = export(tmp_path / "runs", tmp_path / "out", pictures_seen=seen(tmp_path))
    assert report.exported == [run_id]
    content = everything(tmp_path / "out")
    assert SECRET.encode() not in content
    assert b"Mia-7b" not in content
    assert b"ein roter hut" in content
    assert run_id.encode() not in content
    (run_id,) = report.published.values()
    files = {p.name for p in (tmp_path / "out" / "runs" / run_id).iterdir()}
    assert files == {"metadata.json", "01_input.txt", "02_safety.json", "03_output_image.png"}
    assert remains((tmp_path / "out" / "runs" / run_id / "03_output_image.png").read_bytes()) == []


def test_the_exported_runs_load_again_and_match_their_hashes(tmp_path: Path) -> None:
    sample(tmp_path / "runs")
    export(tmp_path / "runs", tmp_path / "out")
    entities = aipipe.load_entities(tmp_path / "out" / "runs", index=False)
    for row in entities.itertuples():
        data = (Path(str(row.folder)) / str(row.filename)).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row.sha256
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    for name, facts in manifest["files"].items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == facts["sha256"]
    assert {"codebook.md", "datasheet.md", "CITATION.cff", "index.html", "runs.csv"} <= set(manifest["files"])


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"consent": "no"}, "consent"),
        ({"consent": ""}, "consent"),
        ({"embargo": "2999-01-01"}, "embargo"),
        ({"embargo": "next year"}, "no date"),
    ],
)
def test_without_consent_or_under_embargo_nothing_leaves(tmp_path: Path, labels: dict[str, str], reason: str) -> None:
    run_id = sample(tmp_path / "runs", labels=labels)
    report = export(tmp_path / "runs", tmp_path / "out")
    assert report.exported == []
    assert reason in report.left_out[run_id]
    assert b"roter" not in everything(tmp_path / "out")
    assert run_id.encode() not in everything(tmp_path / "out")


def test_a_text_that_may_name_a_person_waits_for_approval(tmp_path: Path) -> None:
    text = "Ich heiße Mia und gehe auf das Goethe-Gymnasium, mia@example.org"
    run_id = sample(tmp_path / "runs", text=text)
    report = export(tmp_path / "runs", tmp_path / "out")
    assert report.exported == []
    assert {"introduction by name", "school", "e-mail address"} <= set(texts_of(report)[0]["signs"])
    approved = [item["sha256"] for item in report.review]
    assert export(tmp_path / "runs", tmp_path / "again", approved=approved).exported == [run_id]


def test_a_private_export_keeps_everything_in_one_zip(tmp_path: Path) -> None:
    run_id = sample(tmp_path / "runs", labels={"consent": "no"})
    export(tmp_path / "runs", tmp_path / "all.zip", profile="private")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.read(f"all/runs/{run_id}/provenance.json").decode() == SECRET


def test_an_export_never_overwrites(tmp_path: Path) -> None:
    sample(tmp_path / "runs")
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="exists"):
        export(tmp_path / "runs", tmp_path / "out")


def test_the_page_escapes_what_was_recorded(tmp_path: Path) -> None:
    sample(tmp_path / "runs", text="<script>alert(1)</script>")
    export(tmp_path / "runs", tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_spreadsheet_formulas_are_inert(tmp_path: Path) -> None:
    sample(tmp_path / "runs", config_name="=HYPERLINK(1)")
    export(tmp_path / "runs", tmp_path / "out")
    assert "'=HYPERLINK(1)" in (tmp_path / "out" / "runs.csv").read_text()


def test_stripping_keeps_the_pixels_and_refuses_what_is_no_image(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    assert remains((tmp_path / "a.png").read_bytes())
    (tmp_path / "b.png").write_bytes(stripped(tmp_path / "a.png"))
    with Image.open(tmp_path / "a.png") as one, Image.open(tmp_path / "b.png") as other:
        assert one.convert("RGB").tobytes() == other.convert("RGB").tobytes()
    (tmp_path / "c.png").write_bytes(b"no image")
    with pytest.raises(BadMedia):
        stripped(tmp_path / "c.png")


def test_pseudonyms_are_stable_within_and_fresh_across_exports() -> None:
    one, other = Pseudonyms(), Pseudonyms()
    assert one.of("participant", "Mia") == one.of("participant", "Mia") != one.of("participant", "Ali")
    assert one.of("participant", "Mia") != other.of("participant", "Mia")
    assert one.of("participant", None) is None


def test_signs_and_refusals() -> None:
    assert signs("ein roter hut im regen") == []
    assert "phone number" in signs("call +49 30 1234567")
    assert refusal({"labels": {"consent": "YES "}}) is None
    assert refusal({"labels": None}) is not None


def test_the_crate_lists_each_file_once_and_every_reference_resolves(tmp_path: Path) -> None:
    sample(tmp_path / "runs")
    export(tmp_path / "runs", tmp_path / "out", creator="A school", licence="CC-BY-4.0")
    crate = json.loads((tmp_path / "out" / "ro-crate-metadata.json").read_text())
    entries = {entry["@id"]: entry for entry in crate["@graph"]}
    assert len(entries) == len(crate["@graph"])
    for entry in entries.values():
        if entry["@type"] == "File":
            assert (tmp_path / "out" / entry["@id"]).stat().st_size == int(entry["contentSize"])
    action = next(e for e in entries.values() if e["@type"] == "CreateAction")
    for reference in [*action["object"], *action["result"], action["instrument"], action["agent"]]:
        assert reference["@id"] in entries
    assert {r["@id"] for r in entries["./"]["hasPart"]} == {i for i, e in entries.items() if e["@type"] == "File"}


def test_an_image_folder_lists_each_picture_with_its_prompt(tmp_path: Path) -> None:
    sample(tmp_path / "runs")
    export(tmp_path / "runs", tmp_path / "out", layout="images", pictures_seen=seen(tmp_path))
    table = pd.read_csv(tmp_path / "out" / "metadata.csv", dtype="string")
    (row,) = table.to_dict("records")
    assert list(table.columns)[:2] == ["file_name", "prompt"]
    assert row["input"] == "ein roter hut"
    with Image.open(tmp_path / "out" / row["file_name"]) as image:
        assert image.size == (8, 6)
    assert SECRET.encode() not in everything(tmp_path / "out")
    assert not (tmp_path / "out" / "runs").exists()


def test_qda_documents_have_their_attributes(tmp_path: Path) -> None:
    sample(tmp_path / "runs", labels={"school": "=HYPERLINK(1)"})
    export(tmp_path / "runs", tmp_path / "out", layout="qda", keep_labels=["school"])
    table = pd.read_csv(tmp_path / "out" / "attributes.csv", dtype="string")
    (row,) = table.to_dict("records")
    assert (tmp_path / "out" / "documents" / row["document"]).read_text(encoding="utf-8") == "ein roter hut"
    assert row["text_type"] == "input"
    assert row["label_school"] == "'=HYPERLINK(1)"
    assert SECRET.encode() not in everything(tmp_path / "out")


def test_a_deposit_is_one_zip_beside_its_papers(tmp_path: Path) -> None:
    sample(tmp_path / "runs")
    export(tmp_path / "runs", tmp_path / "out", layout="zenodo", creator="A school", licence="CC-BY-4.0")
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {"out.zip", ".zenodo.json", "datasheet.md", "codebook.md", "CITATION.cff", "manifest.json"}
    fields = json.loads((tmp_path / "out" / ".zenodo.json").read_text())
    assert (fields["upload_type"], fields["license"]) == ("dataset", "cc-by-4.0")
    with zipfile.ZipFile(tmp_path / "out" / "out.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "again")
    assert len(aipipe.load_runs(tmp_path / "again" / "runs")) == 1
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    digest = hashlib.sha256((tmp_path / "out" / "out.zip").read_bytes()).hexdigest()
    assert manifest["files"]["out.zip"]["sha256"] == digest


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="layout"):
        export(tmp_path, tmp_path / "out", layout="cube")  # type: ignore[arg-type]


def test_the_datasheet_names_models_and_glyphs_with_their_licence(tmp_path: Path) -> None:
    facts = {"glyph_source": "OpenMoji 17.0.0", "glyph_licence": "CC BY-SA 4.0"}
    document = record(
        labels={"consent": "yes"},
        models={"interception": "ollama:mistral-nemo"},
        entities=[entity(1, "output_image", "png", metadata=facts)],
    )
    folder = write(tmp_path / "runs", document)
    picture(folder / "01_output_image.png")
    export(tmp_path / "runs", tmp_path / "out")
    sheet = (tmp_path / "out" / "datasheet.md").read_text()
    assert "- model ollama:mistral-nemo" in sheet
    assert "- glyphs OpenMoji 17.0.0, licence CC BY-SA 4.0" in sheet


VALIDATE = """
import json, sys, requests
from importlib.resources import files
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

context = files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()

def answer(url, *more, **options):  # the crate's context, without a network
    found = requests.Response()
    found.status_code, found._content, found.url = 200, context, url
    found.headers["Content-Type"] = "application/ld+json"
    return found

HttpRequester.__getattr__ = lambda self, name: answer
settings = services.ValidationSettings(
    rocrate_uri=sys.argv[1], profile_identifier=sys.argv[2], requirement_severity=models.Severity.REQUIRED
)
result = services.validate(settings)
print(json.dumps({"passed": result.passed(), "issues": [f"{i.check.identifier}: {i.message}" for i in result.get_issues()]}))
"""


@pytest.mark.parametrize("profile", ["public", "private"])
def test_the_official_validator_accepts_the_crate(tmp_path: Path, profile: Any) -> None:
    """The validator pins other versions of our packages, so it lives in an environment of its own."""
    python = need_real("AIPIPE_TEST_CRATE_VALIDATOR", "a Python with roc-validator and rocrate")
    sample(tmp_path / "runs")
    export(tmp_path / "runs", tmp_path / "out", profile=profile, creator="A school", licence="CC-BY-4.0")
    command = [python, "-c", VALIDATE, str(tmp_path / "out"), "process-run-crate-0.5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer == {"passed": True, "issues": []}


@pytest.mark.parametrize("profile", ["public", "private"])
@pytest.mark.parametrize("run_id", ["../escaped", "/tmp/escaped", "a/b", "..", ".hidden", "a\\b", "a\0b", "x" * 300])
def test_an_export_writes_only_into_its_target(tmp_path: Path, profile: str, run_id: str) -> None:
    run_id = run_id.replace("/tmp", str(tmp_path))
    good = sample(tmp_path / "runs")
    write(tmp_path / "runs", record(run_id=run_id, labels={"consent": "yes"}), "altered")
    before = {p for p in tmp_path.rglob("*") if "out" not in p.parts}
    report = export(tmp_path / "runs", tmp_path / "out", profile=profile, approved=sorted(_all_hashes(tmp_path)))
    assert report.exported == [good]
    assert "altered" in report.left_out[run_id]
    assert {p for p in tmp_path.rglob("*") if tmp_path / "out" not in (p, *p.parents)} == before
    assert [p.name for p in (tmp_path / "out" / "runs").iterdir()] == [report.published.get(good, good)]


def _all_hashes(root: Path) -> set[str]:
    return {hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*.txt")}


def test_a_table_keeps_every_dot_of_its_name(tmp_path: Path) -> None:
    from aipipe.cli import main

    sample(tmp_path / "runs")
    assert main(["load", "runs", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "study.2026-11.CSV")]) == 0
    assert (tmp_path / "study.2026-11.csv").is_file()


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_stays_one_without_its_metadata(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    told: dict[str, Any] = {"comment": SECRET.encode()} if suffix == "gif" else {"exif": exif_of(SECRET)}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[40, 80, 120], loop=0, **told)
    data = stripped(path)
    assert SECRET.encode() not in data
    assert remains(data) == []
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 3
        image.seek(2)
        red, _, blue = image.convert("RGB").getpixel((1, 1))
        assert blue > 200 > red
        assert image.info["duration"] == 120


def red_is_blue() -> bytes:
    """The profile of sRGB with the primaries of red and blue exchanged."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack(">I", data[128:132])
    places = {bytes(data[132 + 12 * i : 136 + 12 * i]): slice(136 + 12 * i, 144 + 12 * i) for i in range(count)}
    red, blue = places[b"rXYZ"], places[b"bXYZ"]
    data[red], data[blue] = data[blue], data[red]
    return bytes(data)


@pytest.mark.parametrize(
    ("mode", "colour", "suffix"),
    [
        ("RGB", (255, 0, 0), "png"),
        ("RGB", (255, 0, 0), "jpg"),
        ("RGB", (255, 0, 0), "webp"),
        ("RGBA", (255, 0, 0, 90), "png"),
        ("P", 1, "png"),
    ],
)
def test_a_published_picture_has_the_colours_that_its_profile_meant(
    mode: str, colour: Any, suffix: str, tmp_path: Path
) -> None:
    image = Image.new(mode, (4, 4), colour)
    if mode == "P":
        image.putpalette([0, 0, 0, 255, 0, 0])
    path = tmp_path / f"wide.{suffix}"
    image.save(path, icc_profile=red_is_blue())
    with Image.open(io.BytesIO(stripped(path))) as clean:
        red, green, blue, *alpha = clean.getpixel((1, 1))
        assert (red < 3, green < 3, blue > 252) == (True, True, True)
        assert alpha in ([], [255], [90])
        assert "icc_profile" not in clean.info


@pytest.mark.parametrize("profile", [b"no profile", b"\0" * 200])
def test_a_damaged_profile_leaves_the_picture_as_programs_show_it(profile: bytes, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (9, 8, 7)).save(tmp_path / "a.png", icc_profile=profile)
    with Image.open(io.BytesIO(stripped(tmp_path / "a.png"))) as clean:
        assert clean.getpixel((0, 0)) == (9, 8, 7)


@pytest.mark.parametrize(("mode", "value"), [("1", 255), ("L", 90), ("LA", (90, 50)), ("I;16", 9000)])
def test_grey_pictures_keep_their_values(mode: str, value: Any, tmp_path: Path) -> None:
    Image.new(mode, (4, 4), value).save(tmp_path / "a.png")
    with Image.open(io.BytesIO(stripped(tmp_path / "a.png"))) as clean:
        assert clean.convert(mode).getpixel((0, 0)) == value


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_exif_and_xmp_of_jpeg_and_webp_are_found_and_stripped(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    packet = f"<x:xmpmeta>{SECRET}</x:xmpmeta>".encode()
    Image.new("RGB", (8, 8), "teal").save(path, exif=exif_of(SECRET), xmp=packet)
    assert {"exif", "xmp", "EXIF"} <= set(remains(path.read_bytes()))
    data = stripped(path)
    assert SECRET.encode() not in data
    assert remains(data) == []


def exif_of(text: str) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = text
    return exif


@pytest.mark.parametrize(
    "text",
    [
        "Eine Blume auf der Wiese",
        "Große Katzen und kleine Hunde",
        "Male Katzen im Regen. Der Große Hund schläft.",
        "Blaue Blume, Roter Hut, Zwei Vögel im Wald",
        "Das Dunkle Haus. Die Älteste Brücke? Im Winter liegt Schnee",
        "Please Draw a house. The Cat sat. My Dog",
        "Ein Hund und eine Katze. Sie lachen.",
        "Eine Rose, ein Wolf und der Müller im August. Grace under pressure",
        "ma mia, ich malte den roman von mir in max. zehn Minuten",
    ],
)
def test_nouns_are_no_names(text: str) -> None:
    assert signs(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "das bild von Anna Müller",
        "Der Peter Schmidt malt",
        "Sophie Weber steht im Garten",
        "ein gruß von José García",
        "Łukasz Öztürk und ich",
        "frag Herrn müller",
        "Anna-Lena O'Neill wohnt hier",
        "für Familie Krause",
        "von Tom B. aus der Stadt",
        "Will Smith tanzt",
        "Can Yılmaz malt",
        "Schwarz Anna",
        "Anna Von Trapp",
        "die kleine Anna im Garten",
        "Große Lena",
        "Lieber Max, komm bald",
        "Mia malt",
        "LUKAS SPIELT",
        "Annas Hund",
        "Emil's dog",
        "ich bin anna und male gern",
        "Schöne Schmidt",
        "frag O'Neill",
        "Hallo Ayşe!",
    ],
)
def test_names_are_found_in_several_spellings(text: str) -> None:
    assert signs(text) == ["likely name"]


@given(st.text())
def test_any_text_can_be_searched_for_signs(text: str) -> None:
    signs(text)


@pytest.mark.parametrize(
    ("model", "licence"),
    [
        ("ollama:mistral-nemo", "Apache-2.0"),
        ("qwen2.5-coder-1.5b-instruct-q4_k_m", "Apache-2.0"),
        ("ollama:qwen2.5:3b", None),
        ("local/llama-guard3:1b", "Llama 3.2 Community License"),
        ("llama-guard3:8b", "Llama 3.1 Community License"),
        ("flux1-dev.safetensors", "FLUX.1 [dev] Non-Commercial License"),
        ("sd3.5_large.safetensors", "Stability AI Community License"),
        ("somebody/finetune", None),
        ("Mistral-NeMo-Minitron-8B", None),
        ("ace_step_v1_3.5b.safetensors", "Apache-2.0"),
        ("ace_step_v1.5_turbo.safetensors", None),
        ("gemma3:4b", "Gemma Terms of Use"),
        ("google/gemma-2-9b-it", "Gemma Terms of Use"),
        ("gemma-4-12b", None),
        ("medgemma-4b-it", None),
        ("qwen3:8b", "Apache-2.0"),
        ("qwen3-max", None),
        ("llama-guard3:11b-vision", "Llama 3.2 Community License"),
    ],
)
def test_licences_of_known_models(model: str, licence: str | None) -> None:
    assert licence_of(model) == licence


def test_the_datasheet_names_the_models_of_steps_and_says_what_is_not_known(tmp_path: Path) -> None:
    steps = [{"stage": 2, "step": "interception", "model": "mistral-nemo"}]
    steps += [{"stage": 4, "step": "media", "model": "flux1-dev.safetensors"}, {"stage": 4, "model": "own.safetensors"}]
    write(
        tmp_path / "runs",
        record(labels={"consent": "yes"}, models={"interception": "ollama:mistral-nemo"}, steps=steps),
    )
    report = export(tmp_path / "runs", tmp_path / "out")
    assert report.sources == [
        "- model flux1-dev.safetensors, licence FLUX.1 [dev] Non-Commercial License as far as aipipe knows, check its model card",
        "- model ollama:mistral-nemo, licence Apache-2.0 as far as aipipe knows, check its model card",
        "- model own.safetensors, licence unknown, look it up",
    ]
    sheet = (tmp_path / "out" / "datasheet.md").read_text()
    assert report.sources[0] in sheet
    assert "a person must check each of them before publishing" in sheet
    assert "how can it be taken back?" in sheet


def test_the_manifest_lists_each_removal_without_telling_what_it_was(tmp_path: Path) -> None:
    run_id = sample(tmp_path / "runs")
    report = export(tmp_path / "runs", tmp_path / "out", pictures_seen=seen(tmp_path))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    removals = manifest["removals"][report.published[run_id]]
    assert {(r["what"], r.get("entity")) for r in removals} == {
        ("run_id replaced by a pseudonym", None),
        ("participant replaced by a pseudonym", None),
        ("session replaced by a pseudonym", None),
        ("input_id replaced by a pseudonym", None),
        ("account names", None),
        ("messages of reasons", None),
        ("labels", None),
        ("tags", None),
        ("parameters, messages and jobs of steps", None),
        ("further fields of the record", None),
        ("provenance", None),
        ("exchanges", None),
        ("facts of entities", 1),
        ("judged texts in safety entities", 2),
        ("metadata of images", 3),
        ("facts of entities", 3),
        ("entities of type input_image", 4),
        ("entities of type error", 5),
    }
    counts: dict[str, int] = {}
    for removal in removals:
        counts[removal["what"]] = counts.get(removal["what"], 0) + 1
    assert manifest["removed"] == counts
    assert SECRET not in json.dumps(manifest)


def test_a_private_export_keeps_annotations_ratings_and_batches_of_its_runs_and_a_public_one_none(
    tmp_path: Path,
) -> None:
    store = tmp_path / "runs"
    batch = {"batch_id": "b-1", "case_key": "k", "index": 0}
    kept, other = sample(store, batch=batch), sample(store, config_name="bauhaus")
    notes = Annotations(store, author="anna")
    notes.tag(kept, ["figure-3"])
    notes.exclude(other, "a test")
    answers = store / "ratings" / "closer" / "anna.jsonl"
    answers.parent.mkdir(parents=True)
    lines = [{"run_id": kept, "value": 4}, {"run_id": other, "value": 2}, {"run_id": kept, "other_run_id": other}]
    answers.write_text(
        "".join(json.dumps({"task": "closer", "rater": "anna", **line}) + "\n" for line in lines) + "{torn"
    )
    (store / "ratings" / "closer.json").write_text("{}")
    for name in ("b-1", "b-2"):
        (store / "batches" / name).mkdir(parents=True)
        (store / "batches" / name / "plan.json").write_text(json.dumps({"cases": [{"case_key": "k"}]}))
    export(store, tmp_path / "out", profile="private", where="config_name != 'bauhaus'")
    copy = tmp_path / "out" / "runs"
    assert aipipe.load_runs(copy)["tags"].tolist() == [f"{SECRET}, figure-3"]
    ratings = aipipe.load_ratings(copy)
    assert ratings[["run_id", "value"]].to_numpy().tolist() == [[kept, 4.0]]
    assert aipipe.load_batch(copy)["batch_id"].tolist() == ["b-1"]
    assert other.encode() not in everything(tmp_path / "out")
    report = export(store, tmp_path / "open")
    assert report.left_out == {other: "excluded by an annotation"}
    assert {p.name for p in (tmp_path / "open" / "runs").iterdir()} == {report.published[kept]}


def test_a_selection_is_a_frame_its_ids_or_runs(tmp_path: Path) -> None:
    kept = sample(tmp_path / "runs")
    sample(tmp_path / "runs", config_name="bauhaus")
    frame = aipipe.load_runs(tmp_path / "runs")
    chosen = frame[frame["config_name"] == "dada"]
    runs = [aipipe.open_run(tmp_path / "runs" / kept)]
    chosen_ids = {"run_ids": chosen["run_id"]}
    ways: list[tuple[Any, dict[str, Any]]] = [(chosen, {}), (tmp_path / "runs", chosen_ids), (runs, {}), (runs[0], {})]
    for number, (source, options) in enumerate(ways):
        assert export(source, tmp_path / f"{number}.zip", **options).exported == [kept], number


def test_a_selection_that_cannot_be_found_is_no_empty_export(tmp_path: Path) -> None:
    sample(tmp_path / "runs")
    frame = aipipe.load_runs(tmp_path / "runs")
    with pytest.raises(RunNotFound, match="no run typo"):
        export(tmp_path / "runs", tmp_path / "out", run_ids=["typo"])
    with pytest.raises(UsageError, match="run_id"):
        export(frame[["status"]], tmp_path / "out")
    frame.attrs.clear()
    with pytest.raises(UsageError, match="of which store"):
        export(frame, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_of_a_private_export_keep_their_annotations(tmp_path: Path) -> None:
    run = aipipe.open_run(tmp_path / "runs" / sample(tmp_path / "runs"))
    run.tag("figure-3")
    export([run], tmp_path / "out", profile="private")
    assert aipipe.load_runs(tmp_path / "out" / "runs")["tags"].str.endswith("figure-3").all()


def test_a_text_that_many_runs_share_is_read_once(tmp_path: Path) -> None:
    runs = [sample(tmp_path / "runs", text="Lena malt") for _ in range(3)]
    (entry,) = texts_of(export(tmp_path / "runs", tmp_path / "out"))
    assert sorted(place.split("/")[0] for place in entry["places"]) == sorted(runs)
    assert sorted(export(tmp_path / "runs", tmp_path / "two", approved=[entry["sha256"]]).exported) == sorted(runs)


def test_pictures_of_a_redacted_text_wait_until_a_person_has_seen_them(tmp_path: Path) -> None:
    sample(tmp_path / "runs", text="Lena malt")
    (entry,) = texts_of(export(tmp_path / "runs", tmp_path / "out"))
    redacted = {entry["sha256"]: "Ein Kind malt"}

    def kinds(name: str, **decided: Any) -> set[str]:
        export(tmp_path / "runs", tmp_path / name, **decided)
        return set(aipipe.load_entities(tmp_path / name / "runs")["type"])

    assert "output_image" not in kinds("redacted", redacted=redacted)
    (removals,) = json.loads((tmp_path / "redacted" / "manifest.json").read_text(encoding="utf-8"))["removals"].values()
    assert {"what": "media that may show or say a redacted text", "entity": 3} in removals
    assert "output_image" in kinds("seen", redacted=redacted, pictures_seen=[entry["sha256"], *seen(tmp_path)])
    assert "output_image" not in kinds("unseen", redacted=redacted, pictures_seen=[entry["sha256"]])
    assert "output_image" in kinds("approved", approved=[entry["sha256"]], pictures_seen=seen(tmp_path))


def test_what_was_made_from_a_persons_picture_waits_until_a_person_has_seen_it(tmp_path: Path) -> None:
    run_id = sample(tmp_path / "runs")
    report = export(tmp_path / "runs", tmp_path / "out")
    assert [(e["signs"], e["text"], e["places"]) for e in report.review] == [
        (["a person's picture"], "", [f"{run_id}/04_input_image.png"])
    ]
    assert "1 picture was given by a person" in str(report)
    assert report.removed["media made from a person's picture, which they may show"] == 1
    assert not list((tmp_path / "out").rglob("*.png"))
    given = [report.review[0]["sha256"]]
    export(tmp_path / "runs", tmp_path / "seen", pictures_seen=given)
    assert len(list((tmp_path / "seen").rglob("*.png"))) == 1


def test_names_of_studies_configs_and_kept_labels_are_looked_at_too(tmp_path: Path) -> None:
    named = {"study": "Goethe-Gymnasium", "config_name": "Lenas Garten", "labels": {"group": "Klasse 7b"}}
    run_id = sample(tmp_path / "runs", **named)
    review = texts_of(export(tmp_path / "runs", tmp_path / "out", keep_labels=["group"]))
    places = {entry["places"][0].partition("/")[2]: entry["sha256"] for entry in review}
    assert set(places) == {"study", "config_name", "label group"}
    redacted = {places["study"]: "a school", places["label group"]: "a class"}
    decided: dict[str, Any] = {"redacted": redacted, "approved": [places["config_name"]]}
    report = export(tmp_path / "runs", tmp_path / "two", keep_labels=["group"], **decided)
    assert report.exported == [run_id]
    (row,) = aipipe.load_runs(tmp_path / "two" / "runs").to_dict("records")
    assert (row["study"], row["config_name"], row["label_group"]) == ("a school", "Lenas Garten", "a class")
    for word in (b"Goethe", b"Klasse"):
        assert word not in everything(tmp_path / "two")
    assert export(tmp_path / "runs", tmp_path / "three", approved=[places["study"], places["config_name"]]).exported


@pytest.mark.parametrize("profile", ["public", "private"])
@pytest.mark.parametrize("layout", ["folder", "images", "qda", "zenodo"])
@pytest.mark.parametrize("config", ["../../../escaped", "a/b", "x" * 300, "a\0b", "nul: x?*"])
def test_no_record_makes_an_export_fail_or_leave_its_folder(
    tmp_path: Path, profile: Any, config: str, layout: Any
) -> None:
    (tmp_path / "secret.txt").write_text("of nobody's run")
    entities = [
        entity(1, "input"), {**entity(2, "translation"), "filename": "../../secret.txt"}, {"type": "input"}, "junk",
        {**entity(3, "input"), "filename": 7}, entity(4, "output_image", "png"),
    ]  # fmt: skip
    document = record(labels={"consent": "yes"}, config_name=config, entities=entities)
    write(tmp_path / "runs", document, texts={"01_input.txt": "ein hut"})
    (tmp_path / "to").mkdir()
    export(tmp_path / "runs", tmp_path / "to" / "out", profile=profile, layout=layout)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["runs", "secret.txt", "to"]
    assert [p.name for p in (tmp_path / "to").iterdir()] == ["out"]
    assert not any(b"of nobody's run" in p.read_bytes() for p in (tmp_path / "to").rglob("*.[tc]*") if p.is_file())


@pytest.mark.parametrize(("layout", "table"), [("images", "metadata.csv"), ("qda", "attributes.csv")])
def test_the_papers_of_a_layout_speak_of_what_is_there(layout: Any, table: str, tmp_path: Path) -> None:
    sample(tmp_path / "runs")
    export(tmp_path / "runs", tmp_path / "out", layout=layout, pictures_seen=seen(tmp_path))
    codebook = (tmp_path / "out" / "codebook.md").read_text(encoding="utf-8")
    columns = pd.read_csv(tmp_path / "out" / table, dtype="string").columns
    assert all(f"| {column} | " in codebook for column in columns)
    assert "runs/" not in (tmp_path / "out" / "datasheet.md").read_text(encoding="utf-8")
    assert table in (tmp_path / "out" / "datasheet.md").read_text(encoding="utf-8")

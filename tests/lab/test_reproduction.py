"""How equal two runs are: every verdict, and the first link of the chain that differs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, PngImagePlugin

import aipipe
from aipipe.errors import UsageError
from aipipe.lab.reproduction import compare_runs
from aipipe.store import Run, Store


def picture(*, dot: bool = False, other: bool = False, note: str = "") -> bytes:
    image = Image.new("RGB", (96, 96), "white")
    draw = ImageDraw.Draw(image)
    for column in range(0, 96, 12):
        shade = (column * 37) % 255
        draw.rectangle((column, 0, column + 11, 95), fill=(shade, shade, shade) if not other else (255 - shade,) * 3)
    if dot:
        image.putpixel((50, 50), (255, 0, 0))
    info = PngImagePlugin.PngInfo()
    info.add_text("note", note)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def recorded(store: Store, prompt: str, image: bytes | None, *, safe: bool = True) -> Run:
    types = ["input", "interception", "safety_pre_output", *(["output_image"] if image else [])]
    with store.create("mine", expected_outputs=types) as recorder:
        recorder.save_entity("input", "a flower")
        recorder.save_entity("interception", prompt)
        recorder.save_entity("safety_pre_output", {"safe": safe, "seconds": len(prompt)})
        if image:
            recorder.save_entity("output_image", image)
    return store.open(recorder.run_id)


@pytest.mark.parametrize(
    ("second", "verdict", "first_difference"),
    [
        ({"prompt": "torn", "image": picture()}, "same bytes", ""),
        ({"prompt": "torn", "image": picture(note="later")}, "same pixels", "output_image"),
        ({"prompt": "torn", "image": picture(dot=True)}, "perceptually near", "output_image"),
        ({"prompt": "torn", "image": picture(other=True)}, "different", "output_image"),
        ({"prompt": "glued", "image": picture(other=True)}, "different", "interception"),
        ({"prompt": "glued", "image": picture()}, "same bytes", "interception"),
        ({"prompt": "torn", "image": picture(), "safe": False}, "same bytes", "safety_pre_output"),
        ({"prompt": "torn", "image": None}, "different", "output_image"),
    ],
)
def test_verdicts(tmp_path: Path, second: dict[str, Any], verdict: str, first_difference: str) -> None:
    store = Store(tmp_path)
    found = compare_runs(recorded(store, "torn", picture()), recorded(store, **second))
    assert (found.verdict, found.first_difference) == (verdict, first_difference)
    assert verdict in str(found)


def test_runs_without_media_are_compared_by_their_texts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    found = compare_runs(recorded(store, "torn", None), recorded(store, "glued", None))
    assert (found.verdict, found.first_difference) == ("different", "interception")


@pytest.fixture
def lab(project: Path) -> aipipe.Lab:
    return aipipe.Lab(mode="echo", display=False)


def test_a_repetition_says_the_same_of_whose_run_it_is(lab: aipipe.Lab) -> None:
    first = lab.run("dada", "a flower", seed=4, labels={"room": "b"}, study="s", participant="p", input_id="i1")
    again = lab.rerun(first, labels={"room": "c"})
    record = again.record
    assert (record.labels, record.study, record.participant, record.input_id) == ({"room": "c"}, "s", "p", "i1")
    assert record.parent is not None
    assert (record.parent.run_id, record.parent.relation) == (first.run_id, "rerun")
    assert str(again.reproduction) == "same bytes"


def test_a_detail_that_is_changed_counts(lab: aipipe.Lab) -> None:
    first = lab.run("dada", "a flower", seed=4, outputs=["placeholder"], parameters={"top_p": 0.5})
    other = lab.rerun(first, seed=9)
    assert (other.seed, str(other.reproduction)) == (9, "different; the first difference is in output_image")
    warm = lab.rerun(first, parameters={"temperature": 0.1})
    (step,) = [s for s in warm.record.steps if s.step == "interception"]
    assert (step.parameters["top_p"], step.parameters["temperature"]) == (0.5, 0.1)
    assert lab.rerun(warm, safety="adult").record.safety_level == "adult"
    assert [o.config for o in lab.rerun(warm, output="sketch").record.outputs] == ["sketch"]


def test_a_repetition_of_a_changed_run_keeps_the_change(lab: aipipe.Lab) -> None:
    first = lab.run("dada", "a flower", seed=4, parameters={"temperature": 0.1})
    last = lab.rerun(lab.rerun(first), seed=5)
    (step,) = [s for s in last.record.steps if s.step == "interception"]
    assert step.parameters["temperature"] == 0.1


def test_a_draft_is_taken_to_its_picture(lab: aipipe.Lab) -> None:
    draft = lab.run("dada", "a flower", until="interception")
    assert draft.images == []
    done = lab.rerun(draft, until=None)
    assert [e.type for e in done.entities][-1] == "output_image"
    assert done.seed == draft.seed


def test_an_edit_is_repeated_with_another_seed(lab: aipipe.Lab) -> None:
    edited = lab.run(parent=lab.run("dada", "a flower", until="interception"), prompt="my own words")
    again = lab.rerun(edited, seed=8)
    assert [e.type for e in again.entities] == [e.type for e in edited.entities]
    assert again["interception_edit"].text == "my own words"
    assert again.record.parent is not None
    assert again.record.parent.relation == "rerun"


def test_a_run_with_an_image_is_repeated_with_it(lab: aipipe.Lab) -> None:
    first = lab.run("picture_over_picture", "paint it red", image=picture(), outputs=["placeholder"])
    assert first.status == "completed", first.reason
    again = lab.rerun(first, seed=3)
    assert [e.sha256 for e in again.all("input_image")] == [e.sha256 for e in first.all("input_image")]


@pytest.mark.parametrize("options", [{"prompt": "x"}, {"parent": "0"}, {"sead": 3}, {"parameters": {"tempreature": 1}}])
def test_a_repetition_refuses_what_it_cannot_do(lab: aipipe.Lab, options: dict[str, Any]) -> None:
    first = lab.run("dada", "a flower", seed=4)
    with pytest.raises(UsageError):
        lab.rerun(first, **options)
    assert len(lab.store) == 1

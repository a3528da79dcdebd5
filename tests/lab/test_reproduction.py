"""How equal two runs are: every verdict, and the first link of the chain that differs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, PngImagePlugin

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

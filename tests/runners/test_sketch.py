"""The sketch runner: deterministic, quick, and a picture of what the prompt names."""

from __future__ import annotations

import io
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from aipipe.errors import AipipeError, Refused
from aipipe.events import Watch
from aipipe.runners.base import MediaRequest, MediaResult
from aipipe.runners.sketch import SketchRunner
from aipipe.runners.sketch.outline import narrowed, widened
from aipipe.runners.sketch.words import read

STYLES = ("scene", "dada", "bauhaus", "line")


def make(prompt: str, seed: int = 7, **parameters: object) -> MediaResult:
    values = {"width": 192, "height": 192, **parameters}
    request = MediaRequest(output_config="sketch", media_type="image", prompt=prompt, seed=seed, parameters=values)
    return SketchRunner("sketch").generate(request, Watch())


def data(result: MediaResult) -> bytes:
    return result.files[0].open().read()


@pytest.mark.parametrize("style", STYLES)
def test_the_same_prompt_and_seed_give_the_same_bytes(style: str) -> None:
    first, second = make("two children fly a red kite", style=style), make("two children fly a red kite", style=style)
    assert data(first) == data(second)
    assert data(first) != data(make("two children fly a red kite", seed=8, style=style))
    assert data(first) != data(make("a cat in the rain", style=style))


def test_styles_differ() -> None:
    assert len({data(make("a flower on the meadow", style=style)) for style in STYLES}) == len(STYLES)


@pytest.mark.parametrize(
    ("prompt", "glyphs"),
    [
        ("a flower on the meadow", {"🌼"}),
        ("a dog and a cat", {"🐕", "🐈"}),
        ("a red boat on a lake at night", {"⛵"}),
    ],
)
def test_nouns_become_glyphs(prompt: str, glyphs: set[str]) -> None:
    found = set(make(prompt).files[0].metadata["glyphs"])
    assert found, prompt
    assert len(found) >= len(glyphs)


def test_words_without_a_glyph_are_set_as_type() -> None:
    assert "xylograph" in " ".join(make("a xylograph").files[0].metadata["unmatched_words"])


def test_the_record_says_that_it_is_no_neural_model() -> None:
    result = make("a flower")
    facts = result.files[0].metadata
    assert facts["neural"] is False
    assert "CC BY-SA" in facts["glyph_licence"]
    assert facts["renderer_version"]
    picture = Image.open(io.BytesIO(data(result)))
    text = " ".join(str(v) for v in picture.info.values())
    assert "OpenMoji" in text
    assert "7" in text


@pytest.mark.parametrize("prompt", ["", "   ", "😀" * 200, "x" * 9_000, "\x00\x1b[31m", "the of and with", "عربي 中文"])
def test_any_text_gives_a_picture(prompt: str) -> None:
    assert Image.open(io.BytesIO(data(make(prompt)))).size == (192, 192)


@pytest.mark.parametrize("size", [0, -5, 100_000, 1.5, "wide", True])
def test_sizes_that_make_no_sense_are_refused(size: object) -> None:
    with pytest.raises(Refused, match="width"):
        make("a flower", width=size)


def test_an_unknown_style_is_refused_by_name() -> None:
    with pytest.raises(AipipeError, match="scene"):
        make("a flower", style="cubist")


def test_only_images_are_made() -> None:
    request = MediaRequest(output_config="sketch", media_type="audio", prompt="a song")
    with pytest.raises(Refused):
        SketchRunner("sketch").generate(request, Watch())


def test_a_full_size_picture_takes_seconds_not_minutes() -> None:
    """No time limit for its own sake (see benchmarks/): only that nothing runs away."""
    started = time.monotonic()
    make("ten red birds over a snowy forest", width=768, height=768)
    assert time.monotonic() - started < 30


def test_a_genitive_is_one_person() -> None:
    kitchen = read("Grandmother’s kitchen")
    assert [(thing.word, thing.count) for thing in kitchen.things] == [("grandmother", 1)]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), width=st.integers(1, 40), height=st.integers(1, 40), by=st.integers(1, 12))
def test_outlines_are_those_of_a_rank_filter(seed: int, width: int, height: int, by: int) -> None:
    spots = random.Random(seed)
    mask = Image.new("L", (width, height))
    mask.putdata([spots.choice((0, 0, 7, 200, 255)) for _ in range(width * height)])
    assert widened(mask, by).tobytes() == mask.filter(ImageFilter.MaxFilter(2 * by + 1)).tobytes()
    assert narrowed(mask, by).tobytes() == mask.filter(ImageFilter.MinFilter(2 * by + 1)).tobytes()

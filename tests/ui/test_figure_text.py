"""Texts of figures in any script: broken where they may be, in their own direction, and honest where no font has them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import aipipe
from aipipe.ui.figure_fonts import BASE, fonts_for, kinds
from aipipe.ui.figure_text import drawable, is_rtl, signs, wrap
from tests.ui.made import make_run

FAMILY = "👩‍👩‍👧‍👦"
ARABIC = "لوحة زيتية لزهرة حمراء في مرج أخضر"
NOT_A_CHARACTER = "\U000ffff0"
"""Private use: no ordinary font has it."""


def test_signs_that_belong_together_are_not_torn_apart() -> None:
    assert signs(f"a{FAMILY}🇩🇪🇫🇷👍🏽e\u0301") == ["a", FAMILY, "🇩🇪", "🇫🇷", "👍🏽", "e\u0301"]
    assert "".join(wrap(FAMILY * 9, 20)) == FAMILY * 9
    assert all(line.count("👦") == line.count("👩") / 2 for line in wrap(FAMILY * 9, 20))


def test_wide_signs_count_twice_and_need_no_spaces() -> None:
    assert wrap("草原に咲く一輪の花", 8) == ["草原に咲", "く一輪の", "花"]
    assert wrap("青い空。緑", 6) == ["青い", "空。緑"]  # no line begins with a full stop
    assert wrap("one two three", 7) == ["one two", "three"]
    assert wrap("one two three", 7, 1) == ["one tw…"]
    assert wrap("", 7) == []


def test_a_text_runs_as_its_first_letter_says() -> None:
    assert is_rtl(f"12 {ARABIC} (Dada)")
    assert is_rtl("שלום")
    assert not is_rtl(f"Dada {ARABIC}")
    assert not is_rtl("12 !")


def test_joiners_and_marks_need_no_glyph() -> None:
    assert not any(drawable(c) for c in " \n\u200d\u200f\u2067\ufe0f\x00")
    assert drawable("ا")


def test_the_base_font_has_arabic_and_hebrew() -> None:
    assert fonts_for([ARABIC, "שלום", "Ελλάδα", "Größe"]) == ([BASE], set())


def test_what_no_font_has_is_named() -> None:
    _, missing = fonts_for([f"a{NOT_A_CHARACTER}"])
    assert missing == {NOT_A_CHARACTER}
    assert kinds({"花", "🌸", NOT_A_CHARACTER}) == "Chinese or Japanese, emoji and signs, other scripts"


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_a_figure_with_missing_glyphs_says_so(tmp_path: Path, ending: str) -> None:
    make_run(tmp_path / "r", 1, prompt=f"a {NOT_A_CHARACTER} flower")
    with pytest.warns(UserWarning, match=r"Boxes stand for 1 characters .*other scripts.*save as \.svg or \.html"):
        aipipe.compare(tmp_path / "r").save(tmp_path / f"a.{ending}", width=80, dpi=60)


@pytest.mark.parametrize("ending", ["png", "pdf", "svg", "html"])
def test_arabic_needs_no_warning(tmp_path: Path, ending: str) -> None:
    make_run(tmp_path / "r", 1, text=ARABIC, prompt=ARABIC)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saved = aipipe.compare(tmp_path / "r").save(tmp_path / f"a.{ending}", width=80, dpi=60)
    assert saved.stat().st_size > 1_000


def test_arabic_is_joined_and_stands_at_the_right(tmp_path: Path) -> None:
    make_run(tmp_path / "r", 1, text="a", prompt="ببب", status="blocked")
    make_run(tmp_path / "z", 1, text="a", prompt="ب\u200cب\u200cب", status="blocked")  # the same letters, kept apart

    def ink(name: str) -> tuple[int, int]:
        saved = aipipe.compare(tmp_path / name).save(tmp_path / f"{name}.png", width=60, dpi=300)
        with Image.open(saved) as png:
            # Caption and state are grey, the heading stands at the left: black at the right is the prompt alone.
            black = np.asarray(png.convert("L"))[:, png.width // 2 :] < 60
        columns = np.flatnonzero(black.any(axis=0))
        return int(columns[0]), int(columns[-1])

    joined, apart = ink("r"), ink("z")
    assert joined[1] > 300  # of 354 pixels: half of 60 mm at 300 dpi
    assert apart[1] - apart[0] > 1.2 * (joined[1] - joined[0])


def test_an_svg_keeps_the_letters_in_reading_order_and_lets_lines_run_their_way(tmp_path: Path) -> None:
    make_run(tmp_path / "r", 1, text=ARABIC, prompt=f"{ARABIC} (Dada)")
    svg = aipipe.compare(tmp_path / "r").save(tmp_path / "a.svg", width=180, dpi=60).read_text(encoding="utf-8")
    assert "unicode-bidi:plaintext" in svg
    assert ARABIC in svg
    assert "text-anchor: end" in svg
    assert "sans-serif" in svg

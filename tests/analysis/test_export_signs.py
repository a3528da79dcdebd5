"""Signs of personal data: what children write is found in many spellings, and what pictures are about is not."""

from __future__ import annotations

import pytest

from aipipe.analysis.export.names import taken_out
from aipipe.analysis.export.signs import signs


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ich gehe auf die Goetheschule", "school"),
        ("Astrid-Lindgren-Schule", "school"),
        ("St. Mary's School", "school"),
        ("Schule am Park", "school"),
        ("school no 7", "school"),
        ("aus der 7b", "school"),
        ("école Pasteur", "school"),
        ("L\u200bena malt", "likely name"),
        ("\uff2c\uff45\uff4e\uff41 malt", "likely name"),
        ("je m\u2019appelle Zorblax", "introduction by name"),
        ("benim adım Ayşe", "introduction by name"),
        ("меня зовут Лена", "introduction by name"),
        ("mi nombre es Zed", "introduction by name"),
        ("mia(at)gmx.de", "e-mail address"),
        ("mia at gmx punkt de", "e-mail address"),
        ("mia#1234", "account name"),
        ("insta: mia_2012", "account name"),
        ("10115 Berlin", "address"),
        ("Goetheallee 3", "address"),
        ("12 rue Pasteur", "address"),
        ("tel 0171-1234567", "phone number"),
        ("geboren 12.03.2014", "phone number"),
        ("ein hut" + "".join(chr(0xE0000 + ord(c)) for c in "Mia"), "hidden characters"),
        ("ein hut" + "\u200b\u200c" * 20, "hidden characters"),
    ],
)
def test_many_spellings_are_found(text: str, kind: str) -> None:
    assert kind in signs(text)


@pytest.mark.parametrize(
    "text",
    [
        "eine zauberschule im wald, 3d render, 4k",
        "die schule der drachen",
        "in the year 2050, 16:9, 1024x1024",
        "meet a cat at night. dark",
        "10000 katzen",
        "eine \U0001f469\u200d\U0001f467 und \u2764\ufe0f, \U0001f3f4"
        + "".join(chr(0xE0000 + ord(c)) for c in "gbeng\x7f"),
        "llama3.2:1b",
        "gemma3:4b",
        "claude-sonnet-4-20250514",
        "ace_step_v1_3.5b.safetensors",
        "juggernautXL_v9",
        "terms only (echo)",
        "CC BY-SA 4.0",
    ],
)
def test_what_pictures_are_about_and_names_of_models_are_not(text: str) -> None:
    assert signs(text) == []


def test_words_that_were_taken_out_are_those_that_may_name_somebody() -> None:
    assert taken_out("Die Zorblax malt mit lena ein Haus", "Jemand malt ein Haus") == {"Zorblax", "lena"}

"""The languages of recursive pipelines."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from aipipe.errors import InvalidInput, UnknownName

NAMES = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "pl": "Polish",
    "ru": "Russian",
    "zh": "Chinese",
    "ja": "Japanese",
    "ar": "Arabic",
    "hi": "Hindi",
    "ko": "Korean",
    "tr": "Turkish",
}
"""Language code → English name, for all languages that a random chain may visit."""

MOST = 50


def name_of(code: str) -> str:
    """English name of a language code; the code itself for languages outside the table."""
    return NAMES.get(code, code)


def sequence(parameters: Mapping[str, Any], seed: int) -> tuple[str, ...]:
    """Language codes of all iterations, in order, the final language last.

    With `use_random_languages` the languages are drawn by `seed`, never the same twice in a row (English, the language
    of the start, counts as the one before the first). Otherwise the list `languages` is taken, cut or padded with the
    final language; without `iterations` it is visited whole and ends in the final language.

    Args:
        parameters: `iterations` (8), `use_random_languages` (true), `final_language` ("en"), `languages`.
        seed: Seed of the draw.

    Raises:
        InvalidInput: a number of iterations outside 1 to 50, or languages that are no list.
        UnknownName: a language code outside `NAMES`.
    """
    listed = parameters.get("languages") or ()
    if not isinstance(listed, (list, tuple)):
        raise InvalidInput(f"languages must be a list of codes, not {listed!r}.", hint='Use languages=["de", "fr"].')
    fixed = [str(code) for code in listed]
    random_ones = parameters.get("use_random_languages", not fixed)
    if not isinstance(random_ones, bool):
        raise InvalidInput(
            f"use_random_languages must be true or false, not {random_ones!r}.", hint="Use use_random_languages=True."
        )
    final = str(parameters.get("final_language", "en"))
    natural = 8 if random_ones else len(fixed) + (fixed[-1:] != [final])
    iterations = parameters.get("iterations", natural)
    if isinstance(iterations, bool) or not isinstance(iterations, int) or not 1 <= iterations <= MOST:
        raise InvalidInput(
            f"iterations must be a whole number from 1 to {MOST}, not {iterations!r}.", hint="Use iterations=8."
        )
    for code in (*fixed, final):
        if code not in NAMES:
            raise UnknownName("language", code, NAMES)
    if random_ones:
        return _drawn(iterations, final, seed)
    return tuple(([*fixed] + [final] * iterations)[:iterations])


def _drawn(iterations: int, final: str, seed: int) -> tuple[str, ...]:
    chance = random.Random(f"languages {seed}")
    found: list[str] = []
    before = "en"
    for position in range(iterations - 1):
        last = position == iterations - 2
        choices = [code for code in NAMES if code != before and not (last and code == final)]
        before = chance.choice(choices)
        found.append(before)
    return (*found, final)

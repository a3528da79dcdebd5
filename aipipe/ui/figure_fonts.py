"""Fonts of a figure: those of this machine that together have every character, and what none of them has."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any

from aipipe.ui.figure_text import drawable

BASE = "DejaVu Sans"
"""Comes with matplotlib: Latin, Greek, Cyrillic, Arabic, Hebrew, many signs."""

PREFERRED = (
    "Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "Source Han Sans", "Hiragino Sans",
    "PingFang SC", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Apple SD Gothic Neo", "WenQuanYi Micro Hei",
    "Droid Sans Fallback", "Noto Sans Arabic", "Noto Naskh Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari",
    "Noto Sans Thai", "Noto Emoji", "Segoe UI Symbol", "Segoe UI Emoji", "Symbola", "Arial Unicode MS",
)  # fmt: skip
"""Fonts that are tried first, if they are installed; then every other one. Colour fonts cannot be drawn."""

NAMES = (
    ("CJK", "Chinese or Japanese"),
    ("HIRAGANA", "Japanese"), ("IDEOGRAPHIC", "Chinese or Japanese"), ("FULLWIDTH", "Chinese or Japanese"), ("KATAKANA", "Japanese"), ("HANGUL", "Korean"),
    ("ARABIC", "Arabic"), ("HEBREW", "Hebrew"), ("DEVANAGARI", "Devanagari"), ("THAI", "Thai"), ("LATIN", "Latin"),
)  # fmt: skip


def fonts_for(texts: Iterable[str]) -> tuple[list[str], set[str]]:
    """Font families that draw `texts`, the base first; and the characters that no installed font has."""
    missing = {c for text in texts for c in text if drawable(c)} - _characters(BASE)
    chosen = [BASE]
    for family in _installed() if missing else ():
        if missing & _characters(family):
            missing -= _characters(family)
            chosen.append(family)
        if not missing:
            break
    return chosen, missing


def kinds(characters: Iterable[str]) -> str:
    """What characters are, in words: "Arabic, emoji and signs"."""
    return ", ".join(sorted({_kind(c) for c in characters}))


def _kind(c: str) -> str:
    name = unicodedata.name(c, "")
    known = next((word for start, word in NAMES if name.startswith(start)), "")
    return known or ("emoji and signs" if unicodedata.category(c) in ("So", "Sk", "Sm") else "other scripts")


def _installed() -> list[str]:
    from matplotlib import font_manager

    names = {entry.name for entry in font_manager.fontManager.ttflist} - {BASE}
    first = [name for name in PREFERRED if name in names]
    # The last resort fonts have a box for every character: they would hide that one is missing.
    return first + sorted(name for name in names - set(first) if "last resort" not in name.casefold())


def _entries(family: str) -> list[Any]:
    from matplotlib import font_manager

    return [entry for entry in font_manager.fontManager.ttflist if entry.name == family]


@cache
def _characters(family: str) -> frozenset[str]:
    from matplotlib import font_manager

    try:
        entry = min(_entries(family), key=lambda e: (e.style != "normal", e.weight != 400))
        return frozenset(map(chr, font_manager.get_font(font_manager.FontPath(entry.fname, entry.index)).get_charmap()))
    except (OSError, RuntimeError, ValueError):  # a font that does not open, or a colour font, draws nothing
        return frozenset()

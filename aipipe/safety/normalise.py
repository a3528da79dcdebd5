"""Spelling made comparable: case, umlauts, accents, leetspeak, letters set apart, invisible characters."""

from __future__ import annotations

import re
import unicodedata

_LEET = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i", "|": "i"}
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o"})
_LOOKALIKES = str.maketrans(
    {
        "а": "a",
        "е": "e",
        "о": "o",
        "р": "p",
        "с": "c",
        "х": "x",
        "у": "y",
        "і": "i",
        "ѕ": "s",
        "н": "h",
        "к": "k",
        "м": "m",
        "т": "t",
        "в": "b",
    }
)
_WORD = re.compile(r"[^\W_]+(?:[@$!|][^\W_]+)*", re.UNICODE)
_LETTER = re.compile(r"[^\W\d_]")


def plain(text: str) -> str:
    """Lower case, without umlauts, accents, look-alike letters and invisible characters."""
    composed = unicodedata.normalize("NFKC", text).casefold()
    visible = "".join(c for c in composed if unicodedata.category(c) not in ("Cf", "Cc") or c.isspace())
    folded = visible.translate(_UMLAUTS)
    decomposed = unicodedata.normalize("NFD", folded)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def unleet(word: str) -> str:
    """A word with digits and signs read as letters, where it holds letters at all: "n4z1" → "nazi", "1933" stays."""
    return word.translate(_LEET) if _LETTER.search(word) else word


def words(text: str) -> list[str]:
    """The words of a text in plain spelling; letters set apart ("h e i l", "h.e.i.l") are joined."""
    cleaned = _with_latin(plain(text))
    found = [unleet(match.group()) for match in _WORD.finditer(cleaned)]
    return _joined(found)


def _with_latin(text: str) -> str:
    # Only mixed words are disguised; a Russian text keeps its letters.
    def latin(match: re.Match[str]) -> str:
        word = match.group()
        return word.translate(_LOOKALIKES) if re.search(r"[a-z]", word) else word

    return _WORD.sub(latin, text)


def _joined(found: list[str]) -> list[str]:
    joined: list[str] = []
    run: list[str] = []
    for word in [*found, ""]:
        if len(word) == 1 and _LETTER.match(word):
            run.append(word)
            continue
        # Three single letters in a row are a word set apart; fewer are initials or "a b".
        joined += ["".join(run)] if len(run) >= 3 else run
        run = []
        if word:
            joined.append(word)
    return joined

"""Term lists in two strengths.

`block` terms are few and unambiguous; one alone stops a text. `review` terms only make a model look: they never decide.
Both match whole words, or whole sequences of words, in plain spelling (see `normalise`). A block term beside one of
its context words (a museum, a lesson, a protest against it) counts as a review term.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aipipe.catalog.library import DATA
from aipipe.safety.normalise import plain, words

Strength = Literal["block", "review"]


@dataclass(frozen=True, slots=True)
class Hit:
    """One term that stands in a text.

    Attributes:
        term: The term as the list spells it.
        found: The words of the text, in plain spelling.
        strength: "block" or "review".
        code: Code of its category.
        context: The context word that turned a block term into a review term, "" if none.
    """

    term: str
    found: str
    strength: Strength
    code: str
    context: str = ""

    def as_dict(self) -> dict[str, str]:
        """Plain values for the evidence."""
        return {
            "term": self.term,
            "found": self.found,
            "strength": self.strength,
            "code": self.code,
            "context": self.context,
        }


@dataclass(frozen=True, slots=True)
class _Entry:
    term: str
    strength: Strength
    code: str
    levels: frozenset[str]
    context: frozenset[str]


class Terms:
    """The terms of all lists, ready to search a text."""

    def __init__(self, lists: Iterable[Mapping[str, Any]]) -> None:
        self._entries: dict[tuple[str, ...], list[_Entry]] = {}
        self._symbols: dict[str, list[_Entry]] = {}
        self._longest = 1
        for one in lists:
            self._add(one)

    @classmethod
    def shipped(cls) -> Terms:
        """The lists of this package."""
        return _shipped()

    @classmethod
    def load(cls, *files: Path | str, shipped: bool = True) -> Terms:
        """The lists of further files, beside or instead of the shipped ones.

        Raises:
            OSError, ValueError: a file that cannot be read.
        """
        more = [json.loads(Path(file).read_text(encoding="utf-8")) for file in files]
        return cls([*(_documents() if shipped else ()), *more])

    def _add(self, one: Mapping[str, Any]) -> None:
        context = frozenset(w for phrase in one.get("context", ()) for w in [" ".join(words(phrase))])
        levels = frozenset(one["levels"])
        strengths: tuple[Strength, ...] = ("block", "review")
        for strength in strengths:
            for terms in one.get(strength, {}).values():
                for term in terms:
                    entry = _Entry(term, strength, one["code"], levels, context)
                    key = tuple(words(term))
                    if key:
                        self._entries.setdefault(key, []).append(entry)
                        self._longest = max(self._longest, len(key))
                    else:
                        self._symbols.setdefault(plain(term), []).append(entry)

    def __len__(self) -> int:
        return sum(len(e) for table in (self._entries, self._symbols) for e in table.values())

    def find(self, text: str, level: str) -> tuple[Hit, ...]:
        """All terms of `level` that stand in `text`, in order of the lists' strength: block first."""
        sequence = words(text)
        hits: dict[tuple[str, str], Hit] = {}
        for start in range(len(sequence)):
            for length in range(1, min(self._longest, len(sequence) - start) + 1):
                key = tuple(sequence[start : start + length])
                for entry in self._entries.get(key, ()):
                    self._hit(hits, entry, " ".join(key), sequence, level)
        if self._symbols:
            spelled = plain(text)
            for symbol, entries in self._symbols.items():
                if symbol in spelled:
                    for entry in entries:
                        self._hit(hits, entry, symbol, sequence, level)
        return tuple(sorted(hits.values(), key=lambda hit: hit.strength))

    @staticmethod
    def _hit(hits: dict[tuple[str, str], Hit], entry: _Entry, found: str, sequence: list[str], level: str) -> None:
        if level not in entry.levels:
            return
        spaced = f" {' '.join(sequence)} "
        context = next((word for word in sorted(entry.context) if f" {word} " in spaced), "")
        strength: Strength = "review" if context else entry.strength
        hits.setdefault((entry.term, entry.code), Hit(entry.term, found, strength, entry.code, context))


@functools.lru_cache(maxsize=1)
def _shipped() -> Terms:
    return Terms(_documents())


def _documents() -> list[dict[str, Any]]:
    files = sorted((DATA / "terms").glob("terms_*.json"))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]

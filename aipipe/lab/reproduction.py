"""How equal two runs are, and which link of the chain differs first."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from aipipe.store import Entity, Run

Verdict = Literal["same bytes", "same pixels", "perceptually near", "different", "nothing to compare"]
LINKS = ("input", "translation", "interception_iteration", "interception", "interception_edit", "safety_pre_output")
NEAR_BITS = 6
"""Two pictures count as perceptually near when at most this many of the 64 bits of their difference hashes differ."""


@dataclass(frozen=True)
class Reproduction:
    """The verdict on a repeated run.

    Attributes:
        verdict: "same bytes", "same pixels", "perceptually near", "different" or "nothing to compare".
        first_difference: Entity type of the first link of the chain that differs, or "".
        details: Per entity "type[k]": how it compares.
    """

    verdict: Verdict
    first_difference: str
    details: dict[str, str]

    def __str__(self) -> str:
        where = f"; the first difference is in {self.first_difference}" if self.first_difference else ""
        return f"{self.verdict}{where}"


def compare_runs(first: Run, second: Run) -> Reproduction:
    """Compare two runs entity by entity: texts by content, pictures by bytes, pixels and difference hash.

    The difference hash follows N. Krawetz, "Kind of Like That" (2013): 9 × 8 grey values, one bit for each step to
    the right.
    """
    details: dict[str, str] = {}
    difference = ""
    for type_, index, one, other in _pairs(first, second):
        result = _compare(one, other)
        details[f"{type_}[{index}]"] = result
        if result != "same bytes" and not difference:
            difference = type_
    media = [result for name, result in details.items() if name.startswith("output_")]
    ranked = media or list(details.values())
    order = ("different", "perceptually near", "same pixels", "same bytes")
    verdict: Any = next((v for v in order if v in ranked), "nothing to compare")
    return Reproduction(verdict, difference, details)


def _pairs(first: Run, second: Run) -> list[tuple[str, int, Entity | None, Entity | None]]:
    types = [t for t in LINKS if first.all(t) or second.all(t)]
    types += sorted({e.type for run in (first, second) for e in run.entities if e.type.startswith("output_")})
    pairs = []
    for type_ in types:
        ours, theirs = first.all(type_), second.all(type_)
        count = max(len(ours), len(theirs))
        pairs += [(type_, index, _at(ours, index), _at(theirs, index)) for index in range(count)]
    return pairs


def _at(entities: list[Entity], index: int) -> Entity | None:
    return entities[index] if index < len(entities) else None


def _compare(one: Entity | None, other: Entity | None) -> str:
    if one is None or other is None:
        return "different"
    if one.type == "safety_pre_output":
        return "same bytes" if one.json.get("safe") == other.json.get("safe") else "different"
    if _digest(one) == _digest(other):
        return "same bytes"
    if one.media_type == "image" and other.media_type == "image":
        return _compare_images(one, other)
    return "different"


def _digest(entity: Entity) -> str:
    return entity.sha256 or hashlib.sha256(entity.bytes).hexdigest()


def _compare_images(one: Entity, other: Entity) -> str:
    first, second = one.image.convert("RGBA"), other.image.convert("RGBA")
    if first.size == second.size and first.tobytes() == second.tobytes():
        return "same pixels"
    return "perceptually near" if (_hash(first) ^ _hash(second)).bit_count() <= NEAR_BITS else "different"


def _hash(image: Any) -> int:
    small = image.convert("L").resize((9, 8))
    values = list(small.tobytes())
    bits = 0
    for row in range(8):
        for column in range(8):
            bits = bits << 1 | (values[row * 9 + column] < values[row * 9 + column + 1])
    return bits

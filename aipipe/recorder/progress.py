"""Progress: how many of the expected outputs are there."""

from __future__ import annotations

from collections import Counter

from aipipe.records import RunRecord


def progress(record: RunRecord) -> str:
    """`n/m`: finished expected outputs of all; errors and extras never count, and n never passes m."""
    expected = Counter(record.expected_outputs)
    return f"{sum(min(count, found) for count, found in _found(record, expected))}/{sum(expected.values())}"


def missing(record: RunRecord) -> list[str]:
    """Expected entity types that are not there, as often as they are missing."""
    expected = Counter(record.expected_outputs)
    have = _counts(record)
    return [type_ for type_, count in expected.items() for _ in range(count - have[type_])]


def _found(record: RunRecord, expected: Counter[str]) -> list[tuple[int, int]]:
    have = _counts(record)
    return [(count, have[type_]) for type_, count in expected.items()]


def _counts(record: RunRecord) -> Counter[str]:
    """Entities by type; several files of one output count once."""
    places = set()
    for entity in record.entities:
        several = entity.file_index is not None and entity.output is not None
        places.add((entity.type, ("output", entity.output) if several else ("sequence", entity.sequence)))
    return Counter(type_ for type_, _ in places)

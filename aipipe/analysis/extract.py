"""From parsed records to columns, one column at a time over a chunk of records.

Walking column by column keeps the inner loop a list comprehension over `dict.get`, several times faster than building
a row per run, and one odd value costs the slow path of one column in one chunk only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from aipipe.analysis.columns import Column, Kind
from aipipe.analysis.reading import dumps

Records = Sequence[dict[str, Any]]
_EMPTY: Any = MappingProxyType({})
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_DEFAULTS = {"dialect": "version 1", "status_source": "recorded", "role": "entity"}


def columns_from(columns: Sequence[Column], runs: Records, items: Records | None = None) -> dict[str, list[Any]]:
    """Values of every column that comes from a record.

    Args:
        columns: Wanted columns; those from annotations, locations and texts are left out.
        runs: One record per row.
        items: The entity, step … of each row, for frames below the run.

    Returns:
        Column name → values, cleaned to the column's kind; text kinds are str or None, times aware datetimes.
    """
    parents: dict[str, Records] = {"run": runs}
    if items is not None:
        parents["item"] = items
    found: dict[str, list[Any]] = {}
    lists: Lists = {}
    for column in columns:
        where, _, path = column.source.partition(".")
        if where == "derived":
            lists = lists or {key: [listed(r, key) for r in runs] for key in _LISTS}
            values = _DERIVED[path](lists)
        elif where in parents:
            values = _values(parents, where, path)
        else:
            continue
        found[column.name] = clean(column.kind, values)
    return found


def _values(parents: dict[str, Records], where: str, path: str) -> list[Any]:
    outer, _, name = path.rpartition(".")
    if outer:
        key = f"{where}.{outer}"
        if key not in parents:
            parents[key] = [
                inner if type(inner) is dict else _EMPTY for inner in (r.get(outer) for r in parents[where])
            ]
        return [r.get(name) for r in parents[key]]
    default = default_of(name)
    return [r.get(name, default) for r in parents[where]]


def default_of(name: str) -> str | None:
    """What a field says when a record does not have it."""
    return _DEFAULTS.get(name)


def clean(kind: Kind, values: list[Any]) -> list[Any]:
    """Values of one kind; what does not fit becomes text where text is wanted, else missing."""
    return _CLEANERS[kind](values)


def _strings(values: list[Any]) -> list[Any]:
    if set(map(type, values)) <= {str, type(None)}:
        return [v or None for v in values]
    return [_string(v) for v in values]


def _string(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    if value is None:
        return None
    return dumps(value)


def _ints(values: list[Any]) -> list[Any]:
    if set(map(type, values)) <= {int, type(None)} and all(v is None or _INT_MIN <= v <= _INT_MAX for v in values):
        return values
    return [_int(v) for v in values]


def _int(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and len(value) < 20 and value.lstrip("-").isdecimal() and value.isascii():
        value = int(value) if value.count("-") <= 1 else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if isinstance(value, int) and _INT_MIN <= value <= _INT_MAX else None


def _floats(values: list[Any]) -> list[Any]:
    if set(map(type, values)) <= {float, type(None)}:
        return values
    return [_float(v) for v in values]


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number == number and abs(number) != float("inf") else None


def _bools(values: list[Any]) -> list[Any]:
    return [v if type(v) is bool else None for v in values]


def _times(values: list[Any]) -> list[Any]:
    return [time_of(v) for v in values]


def time_of(value: Any) -> datetime | None:
    """An ISO text as a time in UTC; None for anything else."""
    if type(value) is not str:
        return None
    try:
        moment = datetime.fromisoformat(value)
        # Version 1 writes UTC with Z; a time without a zone can only come from a foreign hand and is read as UTC.
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _jsons(values: list[Any]) -> list[Any]:
    return [None if v is None or v == {} or v == [] else dumps(v) for v in values]


def _lists(values: list[Any]) -> list[Any]:
    return [_joined(v) for v in values]


def _joined(value: Any) -> str | None:
    if isinstance(value, list):
        return ", ".join(v if isinstance(v, str) else dumps(v) for v in value) or None
    return _string(value)


_CLEANERS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "string": _strings,
    "category": _strings,
    "int": _ints,
    "float": _floats,
    "bool": _bools,
    "time": _times,
    "json": _jsons,
    "list": _lists,
}


def listed(record: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The dicts in a list of a record; a field that is no list counts as empty."""
    value = record.get(key)
    if type(value) is not list:
        return []
    for item in value:
        if type(item) is not dict:
            return [v for v in value if type(v) is dict]
    return value


Lists = dict[str, list[list[dict[str, Any]]]]
"""Field of a run → its list in every run of a chunk, taken once for all columns that count in it."""


def _count(key: str) -> Callable[[Lists], list[int]]:
    return lambda lists: [len(v) for v in lists[key]]


def _attempts(lists: Lists) -> list[int]:
    return [len(v) or 1 for v in lists["attempts"]]


def _language(lists: Lists) -> list[Any]:
    return [inputs[0].get("language") if inputs else None for inputs in lists["inputs"]]


def _characters(lists: Lists) -> list[Any]:
    return [
        sum([c for i in inputs if type(c := i.get("characters")) is int]) if inputs else None
        for inputs in lists["inputs"]
    ]


def _outcomes(outcome: str) -> Callable[[Lists], list[int]]:
    return lambda lists: [[o.get("outcome") for o in outputs].count(outcome) for outputs in lists["outputs"]]


def _errors(lists: Lists) -> list[int]:
    return [[e.get("type") for e in entities].count("error") for entities in lists["entities"]]


_LISTS = ("attempts", "inputs", "outputs", "entities")
_DERIVED: dict[str, Callable[[Lists], list[Any]]] = {
    "attempts": _attempts,
    "inputs": _count("inputs"),
    "language": _language,
    "input_characters": _characters,
    "outputs": _count("outputs"),
    "outputs_completed": _outcomes("completed"),
    "outputs_blocked": _outcomes("blocked"),
    "outputs_failed": _outcomes("failed"),
    "entities": _count("entities"),
    "errors": _errors,
}

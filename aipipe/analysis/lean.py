"""Lean decoding of version 1 records: only the fields that columns ask for become Python objects.

A record of 4 kB parses into about 250 objects, of which a runs frame needs 50; msgspec skips the others and checks the
kinds of the rest on its way. This is a quick way for ordinary records and never a judge: a chunk with one record that
does not fit (another dialect, an odd value, invalid JSON) is read again in the general way, which has the last word.
The two agree on every record but one with a number beyond all floats (1e999) in a field that no column uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any

from aipipe.analysis.columns import Column
from aipipe.analysis.extract import clean, default_of
from aipipe.analysis.reading import Unreadable, parse

try:
    import msgspec
except ImportError:
    msgspec = None  # type: ignore[assignment]

_COUNTED = {"attempts": (), "inputs": ("language", "characters"), "outputs": ("outcome",), "entities": ("type",)}
_KEPT = 4096
"""Different raw values of one field that are remembered: models and labels repeat from run to run."""

Take = Callable[[Sequence[Any]], list[Any]]
"""From the lean records of a chunk to the values of one column."""


class Lean:
    """Decoder of one set of columns.

    Args:
        columns: Columns of a frame with one row per run.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        outer = {c.source.split(".")[1] for c in columns if c.source.count(".") == 2}
        fields: dict[str, tuple[Any, Any]] = {"run_id": (str | None, None), "format_version": (int | None, None)}
        self._takes: list[tuple[str, Take]] = []
        nested: dict[str, list[Column]] = {}
        for column in columns:
            where, _, path = column.source.partition(".")
            if where == "derived":
                self._takes.append((column.name, _DERIVED[path]))
                continue
            if where != "run":
                continue
            name, _, inner = path.partition(".")
            if inner:
                nested.setdefault(name, []).append(column)
            elif name not in outer:
                fields[name] = _field(column.kind, default_of(name))
                self._takes.append((column.name, _attribute(column.kind, name)))
        whole = {c.source.split(".")[1]: c for c in columns if c.source.count(".") == 1 and c.source.startswith("run.")}
        for name, inside in nested.items():
            if name in whole:
                fields[name] = _raw()
                group = [whole[name], *inside]
                self._takes += [(c.name, _remembered(name, c, _inside(c))) for c in group]
            else:
                kind = _struct(name, {c.source.split(".")[2]: _field(c.kind, None) for c in inside})
                fields[name] = (kind | None, None)
                self._takes += [(c.name, _within(name, c)) for c in inside]
        for name, inner_names in _COUNTED.items():
            item = _struct(name, {n: (_COUNTED_KINDS[n] | None, None) for n in inner_names})
            fields[name] = (list.__class_getitem__(item), msgspec.field(default_factory=list))
        self._decode = msgspec.json.Decoder(_struct("Run", fields)).decode

    def records(self, texts: Sequence[bytes]) -> list[Any] | None:
        """Lean records of a chunk; None when one of them must be read in the general way."""
        decode = self._decode
        try:
            found = [decode(text) for text in texts]
            for text, run in zip(texts, found, strict=True):
                if run.format_version != 1 or not run.run_id:
                    return None
                if not text.isascii():
                    # msgspec does not look into strings that it skips.
                    text.decode("utf-8")
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        return found

    def columns(self, runs: Sequence[Any]) -> dict[str, list[Any]] | None:
        """Values of every column that comes from the records, times still as text; None as for `records`."""
        try:
            return {name: take(runs) for name, take in self._takes}
        except Unreadable:
            return None


@lru_cache(maxsize=16)
def lean(columns: tuple[Column, ...]) -> Lean | None:
    """The decoder for these columns, or None where msgspec is not installed."""
    return None if msgspec is None else Lean(columns)


def _struct(name: str, fields: dict[str, tuple[Any, Any]]) -> Any:
    return msgspec.defstruct(name.title(), [(n, kind, default) for n, (kind, default) in fields.items()], gc=False)


def _raw() -> tuple[Any, Any]:
    return msgspec.Raw, msgspec.field(default_factory=msgspec.Raw)


def _field(kind: str, default: Any) -> tuple[Any, Any]:
    """Type and default of a field; kinds that take any value stay raw and go through the general cleaner."""
    if kind in ("json", "list", "bool"):
        return _raw()
    if kind == "int":
        return Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None, default
    return (float if kind == "float" else str) | None, default


def _attribute(kind: str, name: str) -> Take:
    if kind in ("json", "list", "bool"):
        return _remembered(name, Column(name, kind, "", ""), lambda value: value)  # type: ignore[arg-type]
    field = attrgetter(name)
    if kind in ("int", "float", "time"):
        return lambda runs: list(map(field, runs))
    return lambda runs: [v or None for v in map(field, runs)]


def _within(outer: str, column: Column) -> Take:
    """A field of an object that may be missing."""
    whole, field = attrgetter(outer), attrgetter(column.source.split(".")[2])
    textual = column.kind in ("string", "category")

    def take(runs: Sequence[Any]) -> list[Any]:
        inner = map(whole, runs)
        if textual:
            return [None if i is None else field(i) or None for i in inner]
        return [None if i is None else field(i) for i in inner]

    return take


def _inside(column: Column) -> Callable[[Any], Any]:
    """What a column takes out of the raw value of its field."""
    parts = column.source.split(".")
    if len(parts) == 2:
        return lambda value: value
    return lambda value: value.get(parts[2]) if type(value) is dict else None


def _remembered(name: str, column: Column, inside: Callable[[Any], Any]) -> Take:
    known: dict[bytes, Any] = {b"": None}
    field = attrgetter(name)

    def take(runs: Sequence[Any]) -> list[Any]:
        raws = list(map(bytes, map(field, runs)))
        for raw in raws:
            if raw not in known:
                known[raw] = clean(column.kind, [inside(parse(raw))])[0]
        values = [known[raw] for raw in raws]
        if len(known) > _KEPT:
            known.clear()
            known[b""] = None
        return values

    return take


def _length(name: str) -> Take:
    field = attrgetter(name)
    return lambda runs: list(map(len, map(field, runs)))


def _attempts(runs: Sequence[Any]) -> list[Any]:
    return [len(r.attempts) or 1 for r in runs]


def _language(runs: Sequence[Any]) -> list[Any]:
    return [r.inputs[0].language or None if r.inputs else None for r in runs]


def _characters(runs: Sequence[Any]) -> list[Any]:
    return clean("int", [sum([i.characters or 0 for i in r.inputs]) if r.inputs else None for r in runs])


def _outcomes(outcome: str) -> Take:
    return lambda runs: [[o.outcome for o in r.outputs].count(outcome) for r in runs]


def _errors(runs: Sequence[Any]) -> list[Any]:
    return [[e.type for e in r.entities].count("error") for r in runs]


_COUNTED_KINDS: dict[str, type] = {"language": str, "characters": int, "outcome": str, "type": str}
_DERIVED: dict[str, Take] = {
    "attempts": _attempts,
    "inputs": _length("inputs"),
    "language": _language,
    "input_characters": _characters,
    "outputs": _length("outputs"),
    "outputs_completed": _outcomes("completed"),
    "outputs_blocked": _outcomes("blocked"),
    "outputs_failed": _outcomes("failed"),
    "entities": _length("entities"),
    "errors": _errors,
}

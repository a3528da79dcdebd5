"""From a listing of records to one block of rows: read, normalise, extract, chunk by chunk."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from aipipe.analysis import items
from aipipe.analysis.columns import Column
from aipipe.analysis.dialects import Context, normalise
from aipipe.analysis.extract import columns_from
from aipipe.analysis.reading import Signature, Unreadable, parse, read_bytes
from aipipe.analysis.tables import arrow, block, join

CHUNK = 64
"""Records that are parsed and then taken apart together: few enough to stay in the processor's cache."""
BLOCK = 8192
"""Rows from which a block of columns is closed."""

Itemiser = Callable[[dict[str, Any], str], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class View:
    """How a frame is read: its columns, and what makes its rows."""

    frame: str
    columns: tuple[Column, ...]
    itemise: Itemiser | None = None
    zone: tzinfo | None = None
    reads_files: bool = False


@dataclass(slots=True)
class Reading:
    """Records that were read: their rows and, in listing order of `codes`, what is known of each.

    Attributes:
        codes: Number of each record in the listing.
        run_ids: Run id of each, None where it could not be read.
        signatures: Signature of the bytes that were read.
        reasons: Why a record could not be read, else None.
        table: Block of rows, with the hidden column of `tables.CODE`.
    """

    codes: list[int] = field(default_factory=list)
    run_ids: list[str | None] = field(default_factory=list)
    signatures: list[Signature | None] = field(default_factory=list)
    reasons: list[str | None] = field(default_factory=list)
    table: Any = None


@contextmanager
def _no_cycles() -> Iterator[None]:
    """Pause the cycle collector: parsing makes millions of acyclic containers, and it would walk them for nothing."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def read(root: str, names: Sequence[str], codes: Sequence[int], view: View) -> Reading:
    """Read records into rows.

    Args:
        root: Folder of the listing.
        names: Every record of the listing, relative to the root.
        codes: Which of them to read.
        view: The frame.
    """
    pa = arrow()
    result = Reading()
    blocks: list[Any] = []
    pending: dict[str, list[Any]] = {}
    numbers: list[int] = []
    with _no_cycles():
        for start in range(0, max(len(codes), 1), CHUNK):
            runs, folders, places = _documents(root, names, codes[start : start + CHUNK], view, result)
            values, rows = _rows(runs, folders, places, view)
            for name, cells in values.items():
                pending.setdefault(name, []).extend(cells)
            numbers.extend(rows)
            if len(numbers) >= BLOCK or start + CHUNK >= len(codes):
                blocks.append(block(pa, view.columns, pending, numbers))
                pending, numbers = {}, []
    result.table = join(pa, blocks)
    return result


def _documents(
    root: str, names: Sequence[str], codes: Sequence[int], view: View, result: Reading
) -> tuple[list[dict[str, Any]], list[str], list[int]]:
    runs: list[dict[str, Any]] = []
    folders: list[str] = []
    places: list[int] = []
    for code in codes:
        path = f"{root}/{names[code]}"
        signature: Signature | None = None
        run_id = reason = None
        try:
            data, signature = read_bytes(path)
            run = normalise(parse(data), Context(path, view.zone))
            run_id = run["run_id"]
            if "format_version" not in run:
                # An older record's status depends on its other files, which the index does not watch: never trusted.
                signature = None
            runs.append(run)
            folders.append(os.path.dirname(path))  # noqa: PTH120  hot loop
            places.append(code)
        except Unreadable as error:
            reason = str(error)
        result.codes.append(code)
        result.run_ids.append(run_id)
        result.signatures.append(signature)
        result.reasons.append(reason)
    return runs, folders, places


def _rows(
    runs: list[dict[str, Any]], folders: list[str], places: list[int], view: View
) -> tuple[dict[str, list[Any]], list[int]]:
    """Columns of a chunk, and the record that each of its rows belongs to."""
    if view.itemise is None:
        return columns_from(view.columns, runs), places
    owners: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    codes: list[int] = []
    for run, folder, place in zip(runs, folders, places, strict=True):
        found = view.itemise(run, folder)
        rows.extend(found)
        owners.extend([run] * len(found))
        codes.extend([place] * len(found))
    return columns_from(view.columns, owners, rows), codes


def with_texts(frame: str) -> Itemiser:
    """What makes the rows of a frame when texts are asked for."""
    if frame == "entities":
        return _entities_with_text
    return ITEMISERS[frame]


_TEXTUAL = ("text", "code", "json")


def _entities_with_text(run: dict[str, Any], folder: str) -> list[dict[str, Any]]:
    return [
        {**e, "text": items.text_of(e, folder) if e.get("media_type") in _TEXTUAL or "inline" in e else None}
        for e in items.entities(run, folder)
    ]


def _run_with_texts(run: dict[str, Any], folder: str) -> list[dict[str, Any]]:
    found: dict[str, Any] = {}
    for entity in items.entities(run, folder):
        name = f"{entity.get('type')}_text"
        if name in ("input_text", "translation_text", "interception_text") and name not in found:
            found[name] = items.text_of(entity, folder)
    return [found]


run_with_texts: Itemiser = _run_with_texts


def _safety(run: dict[str, Any], folder: str) -> list[dict[str, Any]]:
    from aipipe.analysis.gates import checks

    return checks(run, folder)


def _media(run: dict[str, Any], folder: str) -> list[dict[str, Any]]:
    from aipipe.analysis.media_facts import media

    return media(run, folder)


def _prompts(run: dict[str, Any], folder: str) -> list[dict[str, Any]]:
    from aipipe.analysis.ledger import prompts

    return prompts(run, folder)


ITEMISERS: dict[str, Itemiser] = {
    "entities": items.entities,
    "steps": items.steps,
    "errors": items.errors,
    "safety": _safety,
    "media": _media,
    "prompts": _prompts,
}
READS_FILES = frozenset({"errors", "safety", "media", "prompts"})
"""Frames whose rows depend on entity files too: never answered from the index, which watches metadata.json only."""

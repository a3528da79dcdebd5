"""From a listing of records to one block of rows: read, normalise, extract, chunk by chunk."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from aipipe.analysis import items
from aipipe.analysis.columns import Column
from aipipe.analysis.dialects import Context, normalise
from aipipe.analysis.extract import columns_from
from aipipe.analysis.lean import Lean, lean
from aipipe.analysis.reading import Signature, Unreadable, parse, read_bytes
from aipipe.analysis.tables import arrow, block, join

CHUNK = 32
"""Records that are parsed and then taken apart together: few enough to stay in the processor's cache."""
BLOCK = 8192
"""Rows from which a block of columns is closed."""

Itemiser = Callable[[dict[str, Any], str], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """How a frame is read: its columns, and what makes its rows; the same object for the same question."""

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
        unopened: Some record was no regular file that can be opened.
    """

    codes: list[int] = field(default_factory=list)
    run_ids: list[str | None] = field(default_factory=list)
    signatures: list[Signature | None] = field(default_factory=list)
    reasons: list[str | None] = field(default_factory=list)
    table: Any = None
    unopened: bool = False


@contextmanager
def no_cycles() -> Iterator[None]:
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
    decoder = lean(view.columns) if pa is not None and view.itemise is None else None
    with no_cycles():
        for start in range(0, max(len(codes), 1), CHUNK):
            values, rows = _chunk(root, names, codes[start : start + CHUNK], view, decoder, result)
            for name, cells in values.items():
                pending.setdefault(name, []).extend(cells)
            numbers.extend(rows)
            if len(numbers) >= BLOCK or start + CHUNK >= len(codes):
                blocks.append(block(pa, view.columns, pending, numbers))
                pending, numbers = {}, []
    result.table = join(pa, blocks)
    return result


def _chunk(
    root: str, names: Sequence[str], codes: Sequence[int], view: View, decoder: Lean | None, result: Reading
) -> tuple[dict[str, list[Any]], list[int]]:
    """Columns of some records, and the record that each of their rows belongs to."""
    places, texts = _texts(root, names, codes, result)
    if decoder is not None:
        runs = decoder.records(texts)
        values = None if runs is None else decoder.columns(runs)
        if runs is not None and values is not None:
            for place, run in zip(places, runs, strict=True):
                result.run_ids[place] = run.run_id
            return values, [result.codes[p] for p in places]
    return _rows(*_documents(root, names, places, texts, view, result), view, result)


def _texts(root: str, names: Sequence[str], codes: Sequence[int], result: Reading) -> tuple[list[int], list[bytes]]:
    """Bytes of every record that can be read, and its place in the result."""
    places: list[int] = []
    texts: list[bytes] = []
    for place, code in enumerate(codes, len(result.codes)):
        signature: Signature | None = None
        reason = None
        try:
            data, signature = read_bytes(f"{root}/{names[code]}")
            texts.append(data)
            places.append(place)
        except Unreadable as error:
            reason = str(error)
            result.unopened = True
        result.codes.append(code)
        result.signatures.append(signature)
        result.reasons.append(reason)
        result.run_ids.append(None)
    return places, texts


def _documents(
    root: str, names: Sequence[str], places: list[int], texts: list[bytes], view: View, result: Reading
) -> tuple[list[dict[str, Any]], list[str], list[int]]:
    runs: list[dict[str, Any]] = []
    folders: list[str] = []
    kept: list[int] = []
    for place, text in zip(places, texts, strict=True):
        code = result.codes[place]
        path = f"{root}/{names[code]}"
        try:
            run = normalise(parse(text), Context(path, view.zone))
        except Unreadable as error:
            result.reasons[place] = str(error)
            continue
        except Exception as error:  # noqa: BLE001  whatever a record holds, it must not hide the others
            result.reasons[place] = surprise(error)
            continue
        if "format_version" not in run:
            # An older record's status depends on its other files, which the index does not watch: never trusted.
            result.signatures[place] = None
        result.run_ids[place] = run["run_id"]
        runs.append(run)
        folders.append(path[: path.rindex("/")])
        kept.append(place)
    return runs, folders, kept


def _rows(
    runs: list[dict[str, Any]], folders: list[str], places: list[int], view: View, result: Reading
) -> tuple[dict[str, list[Any]], list[int]]:
    """The same, from records that were parsed in the general way."""
    if view.itemise is None:
        return columns_from(view.columns, runs), [result.codes[p] for p in places]
    owners: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    codes: list[int] = []
    for run, folder, place in zip(runs, folders, places, strict=True):
        try:
            found = view.itemise(run, folder)
        except Exception as error:  # noqa: BLE001  as above
            result.reasons[place], result.run_ids[place] = surprise(error), None
            continue
        rows.extend(found)
        owners.extend([run] * len(found))
        codes.extend([result.codes[place]] * len(found))
    return columns_from(view.columns, owners, rows), codes


def surprise(error: Exception) -> str:
    """Why a record of no known shape is skipped."""
    return f"its content is not what a record holds ({type(error).__name__}: {error})"


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

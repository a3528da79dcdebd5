"""The inputs of a batch: a list, a text file, a table. Every row becomes one input, every problem is named."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TEXT_COLUMNS = ("text", "prompt")
IMAGE_COLUMNS = ("image",)
ID_COLUMNS = ("id", "input_id")


@dataclass(frozen=True)
class Input:
    """One input.

    Attributes:
        texts: Its texts.
        images: Paths of its images.
        input_id: The input's own id, None to take the text's hash.
        parameters: Parameters that its row sets.
        labels: Every other column.
    """

    texts: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    input_id: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Inputs:
    """All inputs, what each column means, and what is wrong with them."""

    items: tuple[Input, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read_inputs(source: Any, parameters: Iterable[str], *, folder: Path | None = None) -> Inputs:
    """Read inputs.

    Args:
        source: A text, a list of texts (or of lists of texts, or of dicts), a DataFrame, or the path of a .txt (a text
            on each line), .csv, .tsv or .jsonl file.
        parameters: Names that set a parameter when a column bears them.
        folder: Where relative paths of files and images start.
    """
    base = folder or Path.cwd()
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        return _rows([dict(row) for row in source.to_dict("records")], parameters, base, "row")
    if isinstance(source, Path) or (isinstance(source, str) and _names_file(source)):
        return _file(base / source, parameters)
    if isinstance(source, str):
        source = [source]
    if isinstance(source, Sequence) and source and all(isinstance(item, Mapping) for item in source):
        return _rows([dict(item) for item in source], parameters, base, "input")
    if not isinstance(source, Iterable):
        return Inputs((), problems=(f"inputs is a {type(source).__name__}, not a list, a frame or a file",))
    return _texts(list(source))


def _names_file(text: str) -> bool:
    return "\n" not in text and text.lower().endswith((".txt", ".csv", ".tsv", ".jsonl"))


def _texts(items: list[Any]) -> Inputs:
    found, problems = [], []
    for number, item in enumerate(items, start=1):
        texts = (item,) if isinstance(item, str) else tuple(item) if isinstance(item, (list, tuple)) else ()
        if not texts or not all(isinstance(t, str) and t.strip() for t in texts):
            problems.append(f"input {number} is {'empty' if item in ('', (), []) else f'{item!r}, not a text'}")
        else:
            found.append(Input(texts))
    return Inputs(tuple(found), {}, tuple(problems))


def _file(path: Path, parameters: Iterable[str]) -> Inputs:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return Inputs((), problems=(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}",))
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return _texts([line.strip() for line in text.splitlines() if line.strip()])
    rows, problems = _jsonl(text) if suffix == ".jsonl" else _csv(text, "\t" if suffix == ".tsv" else ",")
    read = _rows(rows, parameters, path.parent, "line" if suffix == ".jsonl" else "row")
    return Inputs(read.items, read.columns, tuple(f"{path.name}: {p}" for p in (*problems, *read.problems)))


def _csv(text: str, delimiter: str) -> tuple[list[dict[str, Any]], list[str]]:
    rows, problems = [], []
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                problems.append(f"row {reader.line_num} has another number of columns than the head")
            else:
                rows.append(dict(row))
    except csv.Error as error:
        problems.append(f"row {reader.line_num} cannot be read: {error}")
    return rows, problems


def _jsonl(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    rows, problems = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            problems.append(f"line {number} is not JSON: {error}")
            continue
        if isinstance(value, dict):
            rows.append(value)
        else:
            problems.append(f"line {number} is not an object")
    return rows, problems


def _rows(rows: list[dict[str, Any]], parameters: Iterable[str], base: Path, what: str) -> Inputs:
    names = list(dict.fromkeys(name for row in rows for name in row))
    roles = {name: _role(str(name), set(parameters)) for name in names}
    problems = []
    if rows and not any(role in ("text", "image") for role in roles.values()):
        problems.append(f"there is no column text or image; the columns are {', '.join(map(str, names))}")
        return Inputs((), roles, tuple(problems))
    found = []
    for number, row in enumerate(rows, start=1):
        item, problem = _row(row, roles, base)
        if problem:
            problems.append(f"{what} {number}: {problem}")
        if item is not None:
            found.append(item)
    ids = [i.input_id for i in found if i.input_id is not None]
    problems += [
        f"the id {name!r} stands {ids.count(name)} times" for name in dict.fromkeys(ids) if ids.count(name) > 1
    ]
    return Inputs(tuple(found), roles, tuple(problems))


def _role(name: str, parameters: set[str]) -> str:
    plain = name.strip().lower()
    if plain in ID_COLUMNS:
        return "id"
    if plain in TEXT_COLUMNS or (plain.startswith("text_") and plain[5:].isdigit()):
        return "text"
    if plain in IMAGE_COLUMNS:
        return "image"
    return "parameter" if name in parameters else "label"


def _row(row: dict[str, Any], roles: Mapping[str, str], base: Path) -> tuple[Input | None, str]:
    texts, images, labels, values = [], [], {}, {}
    input_id = None
    for name, value in row.items():
        if value is None or value != value or value == "":
            continue
        role = roles[name]
        if role == "text":
            texts.append(str(value))
        elif role == "image":
            images.append(str(base / str(value)))
        elif role == "id":
            input_id = str(value)
        elif role == "parameter":
            values[name] = _number(value)
        else:
            labels[str(name)] = str(value)
    if not texts and not images:
        return None, "it has no text and no image"
    missing = [path for path in images if not Path(path).is_file()]
    if missing:
        return None, f"there is no image {missing[0]}"
    return Input(tuple(texts), tuple(images), input_id, values, labels), ""


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value

"""The inputs of a batch: a list, a text file, a table. Every row becomes one input, every problem is named."""

from __future__ import annotations

import csv
import io
import json
import operator
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TEXT_COLUMNS = ("text", "prompt")
IMAGE_COLUMNS = ("image",)
ID_COLUMNS = ("id", "input_id")
SEED_COLUMNS = ("seed", "text_seed")
AXIS_COLUMNS = ("config", "configs", "safety", "level", "mode", "output", "outputs", "model", "runs", "repeat")
"""Columns that look as if they decided something; the grid decides it, and a silent label would mislead."""
KINDS = (".txt", ".csv", ".tsv", ".jsonl", ".ndjson")
MAX_SEED = 2**64 - 1
_FILE_NAME = re.compile(r"[^\s\"?!]+\.[A-Za-z][A-Za-z0-9]{1,7}")
Row = tuple[int, dict[str, Any]]
"""A row with its number, as an editor or a spreadsheet counts it."""


@dataclass(frozen=True)
class Input:
    """One input.

    Attributes:
        texts: Its texts.
        images: Paths of its images.
        input_id: The input's own id, None to take the text's hash.
        parameters: Parameters that its row sets.
        labels: Every other column.
        seed: Media seed that its row sets, None to take the grid's.
        text_seed: Seed of the language model that its row sets.
    """

    texts: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    input_id: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    text_seed: int | None = None


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
            on each line), .csv, .tsv, .jsonl or .ndjson file. A single word with an ending, such as `prompts.xlsx`, is taken
            for a file, never for a prompt.
        parameters: Names that set a parameter when a column bears them.
        folder: Where relative paths of files and images start.
    """
    base = folder or Path.cwd()
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        doubled = [str(name) for name, number in Counter(source.columns).items() if number > 1]
        if doubled:
            return Inputs((), problems=(f"the column {', '.join(doubled)} stands more than once",))
        return _rows(list(enumerate(map(dict, source.to_dict("records")), start=1)), parameters, base, "row")
    if isinstance(source, Path) or (isinstance(source, str) and _names_file(source, base)):
        return _file(base / Path(source).expanduser(), parameters)
    if isinstance(source, str):
        source = [source]
    if isinstance(source, (Mapping, bytes)) or not isinstance(source, Iterable):
        return Inputs((), problems=(f"inputs is a {type(source).__name__}, not a list, a frame or a file",))
    items = list(source)
    if items and all(isinstance(item, Mapping) for item in items):
        return _rows(list(enumerate(map(dict, items), start=1)), parameters, base, "input")
    return _texts(items)


def _names_file(text: str, base: Path) -> bool:
    """A known ending, or a single word with an ending: nobody's prompt, but what a file is called."""
    if "\n" in text or len(text) > 1000:
        return False
    return text.lower().endswith(KINDS) or bool(_FILE_NAME.fullmatch(text)) or (base / text).is_file()


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
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        why = (
            "is no kind of file that is known here"
            if path.exists()
            else "does not exist, nor is it a kind of file known here"
        )
        return Inputs(
            (), problems=(f"{path} {why}; inputs are {', '.join(KINDS)} (a prompt of one word: a list with it)",)
        )
    try:
        text = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        return Inputs((), problems=(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}",))
    if suffix == ".txt":
        # Not splitlines(): a form feed or U+2028 within a text ends no line in any editor.
        return _texts([line.strip() for line in text.split("\n") if line.strip()])
    rows, problems = _jsonl(text) if suffix in (".jsonl", ".ndjson") else _csv(text, "\t" if suffix == ".tsv" else ",")
    read = _rows(rows, parameters, path.parent, "line")
    return Inputs(read.items, read.columns, tuple(f"{path.name}: {p}" for p in (*problems, *read.problems)))


def _csv(text: str, delimiter: str) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    problems: list[str] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        head = [name.strip() for name in next(reader, [])]
        problems += [f"the column {name!r} stands {n} times" for name, n in Counter(head).items() if n > 1]
        problems += ["a column has no name in the head"] if head and "" in head else []
        number = reader.line_num + 1
        for cells in reader:
            if not cells:
                pass  # an empty line
            elif len(cells) != len(head):
                problems.append(
                    f"line {number} has another number of columns than the head: {len(cells)}, not {len(head)}"
                )
            else:
                rows.append((number, dict(zip(head, cells, strict=True))))
            number = reader.line_num + 1
    except csv.Error as error:
        problems.append(f"line {number} cannot be read: {error}")
    return rows, problems


def _jsonl(text: str) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    problems: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            problems.append(f"line {number} is not JSON: {error}")
            continue
        if isinstance(value, dict):
            rows.append((number, value))
        else:
            problems.append(f"line {number} is not an object")
    return rows, problems


def _rows(rows: list[Row], parameters: Iterable[str], base: Path, what: str) -> Inputs:
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    roles = {name: _role(str(name), set(parameters)) for name in names}
    problems = [
        f"column {name}: the grid decides it (an argument of the batch); as a label it needs another name"
        for name, role in roles.items()
        if role == "axis"
    ]
    if rows and not any(role in ("text", "image") for role in roles.values()):
        problems.append(f"there is no column text or image; the columns are {', '.join(map(str, names))}")
        return Inputs((), roles, tuple(problems))
    found = []
    for number, row in rows:
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
    if plain in SEED_COLUMNS:
        return plain
    if plain in AXIS_COLUMNS and name not in parameters:
        return "axis"
    return "parameter" if name in parameters else "label"


def _row(row: dict[str, Any], roles: Mapping[str, str], base: Path) -> tuple[Input | None, str]:
    texts, images, labels, values = [], [], {}, {}
    seeds: dict[str, int] = {}
    input_id = None
    for name, value in row.items():
        role = roles[name]
        if isinstance(value, (list, dict, tuple, set)) and role != "parameter":
            return None, f"{name} is {value!r}, not a single value"
        if _is_empty(value):
            continue
        if role == "text":
            texts.append(str(value))
        elif role == "image":
            images.append(str(base / str(value)))
        elif role in SEED_COLUMNS:
            number = _seed(value)
            if number is None:
                return None, f"{name} is {value!r}, not a whole number from 0 to 2**64 - 1"
            seeds[role] = number
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
    return Input(tuple(texts), tuple(images), input_id, values, labels, **seeds), ""


def _is_empty(value: Any) -> bool:
    """None, NaN (or pandas' NA, which compares as neither), or an empty cell."""
    if isinstance(value, str):
        return not value.strip()
    return (
        value is None or (isinstance(value, float) and value != value) or type(value).__name__ in ("NAType", "NaTType")
    )


def _seed(value: Any) -> int | None:
    """A seed of a cell; pandas makes floats of whole numbers in a column with gaps."""
    try:
        if isinstance(value, str) or (isinstance(value, float) and value.is_integer()):
            number = int(value)
        else:
            number = operator.index(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number <= MAX_SEED and not isinstance(value, bool) else None


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value

"""Definition files: JSON, or Markdown with YAML front matter whose body is the context.

Values come with a way to find the line they stand on, so that a problem can be shown where it is.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aipipe.catalog.problems import Problem, short

Path_ = tuple[str | int, ...]
SUFFIXES = (".json", ".md")
_TYPOGRAPHIC = "“”„‟"
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


class Unreadable(Exception):
    """A file that is no definition; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Source:
    """The raw values of one file.

    Attributes:
        path: The file.
        values: Its keys and values.
        lines: Gives the lines of all keys, worked out only when a problem must be shown.
    """

    path: Path
    values: dict[str, Any]
    lines: Callable[[], dict[Path_, int]]

    def line(self, loc: Path_) -> int | None:
        """The line of the value at `loc`, or of the nearest value around it."""
        known = self.lines()
        if loc[:1] == ("media_preferences",) and loc[:1] not in known and ("output",) in known:
            return known.get(("output", *[part for part in loc[1:] if isinstance(part, int)]), known["output",])
        for end in range(len(loc), 0, -1):
            if loc[:end] in known:
                return known[loc[:end]]
        return 1


def read(path: Path) -> Source:
    """Read one definition file.

    Raises:
        Unreadable: bytes that are no UTF-8, broken JSON or YAML, or something other than one mapping.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(path, None, f"is not UTF-8 text ({error.reason}).", "Save it as UTF-8.") from None
    except OSError as error:
        raise _unreadable(path, None, f"cannot be read: {error.strerror or error}.", "") from None
    return _json(path, text) if path.suffix.lower() == ".json" else _markdown(path, text)


def _json(path: Path, text: str) -> Source:
    try:
        values = json.loads(text, object_pairs_hook=_unique)
    except _Twice as error:
        raise _unreadable(path, _line_of_second(text, error.key), f"the key {error.key!r} stands twice.", "") from None
    except RecursionError:
        raise _unreadable(path, None, "is nested too deeply.", "Correct the JSON.") from None
    except ValueError as error:
        line = getattr(error, "lineno", None)
        repair = "Correct the JSON there."
        if line and any(mark in text.splitlines()[line - 1 : line][0] for mark in _TYPOGRAPHIC if text.splitlines()):
            repair = 'Replace the typographic quotation marks around keys and values by straight ones (").'
        raise _unreadable(path, line, f"is not valid JSON: {getattr(error, 'msg', error)}.", repair) from None
    return Source(path, _mapping(path, values), lambda: json_lines(text))


class _Twice(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def _line_of_second(text: str, key: str) -> int | None:
    quoted = json.dumps(key, ensure_ascii=False)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if quoted in line]
    return lines[1] if len(lines) > 1 else (lines[0] if lines else None)


def _markdown(path: Path, text: str) -> Source:
    import yaml

    front = _FRONT.match(text)
    if front is None:
        raise _unreadable(
            path,
            1,
            "has no front matter.",
            "Start the file with a line ---, then keys such as title: …, then a line ---, then the context.",
        )
    try:
        values = yaml.load(front.group(1), Loader=_unique_loader())  # noqa: S506  it is a safe one
    except _TwiceInYaml as error:
        message = f"the key {error.key!r} stands twice."
        raise _unreadable(path, error.line + 2, message, "Keep one of them.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 2 if mark else None
        what = getattr(error, "problem", None) or "cannot be parsed"
        raise _unreadable(
            path, line, f"the front matter is not valid YAML: {what}.", "Quote values with colons."
        ) from None
    found = _mapping(path, {} if values is None else values)
    body = text[front.end() :].strip()
    if body:
        if "context" in found:
            raise _unreadable(
                path, 1, "has a context in the front matter and a body.", "Keep one of them: the body is the context."
            )
        found["context"] = body
    start = text[: front.end()].count("\n") + 1
    start += len(text[front.end() :]) - len(text[front.end() :].lstrip("\n")) if body else 0
    return Source(path, found, lambda: {**_yaml_lines(front.group(1)), **({("context",): start} if body else {})})


class _TwiceInYaml(ValueError):
    def __init__(self, key: str, line: int) -> None:
        super().__init__(key)
        self.key, self.line = key, line


@functools.lru_cache(maxsize=1)
def _unique_loader() -> Any:
    """YAML's safe loader, which otherwise takes the last of two equal keys and says nothing."""
    import yaml

    class Unique(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[Any] = set()
            for key, _ in node.value:
                if key.value in seen and isinstance(key.value, str):
                    raise _TwiceInYaml(key.value, key.start_mark.line)
                if isinstance(key.value, str):
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    return Unique


def _mapping(path: Path, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise _unreadable(path, 1, f"holds a {type(values).__name__} where one object is expected.", "")
    return {str(key): value for key, value in values.items()}


def _unreadable(path: Path, line: int | None, message: str, repair: str) -> Unreadable:
    return Unreadable(Problem(short(path), line, message, repair, path.stem))


def json_lines(text: str) -> dict[Path_, int]:
    """Line (from 1) of every key and element of a valid JSON document."""
    found: dict[Path_, int] = {}
    place: list[str | int] = []
    kinds: list[str] = []
    expects_key = False
    line, position = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        piece = match.group()
        if piece in "}]":
            kinds.pop()
            place.pop()
            expects_key = False
        elif piece == ",":
            if kinds[-1] == "[":
                place[-1] = int(place[-1]) + 1
            expects_key = kinds[-1] == "{"
        elif piece == ":":
            continue
        elif expects_key:
            place[-1] = json.loads(piece)
            found[tuple(place)] = line
            expects_key = False
        else:
            found.setdefault(tuple(place), line)
            if piece in "{[":
                kinds.append(piece)
                place.append("" if piece == "{" else 0)
                expects_key = piece == "{"
    return found


def _yaml_lines(front: str) -> dict[Path_, int]:
    import yaml

    found: dict[Path_, int] = {}

    def walk(node: Any, place: Path_) -> None:
        found.setdefault(place, node.start_mark.line + 2)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                found[(*place, str(key.value))] = key.start_mark.line + 2
                walk(value, (*place, str(key.value)))
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                walk(item, (*place, index))

    node = yaml.compose(front, Loader=yaml.SafeLoader)
    if node is not None:
        walk(node, ())
    return found

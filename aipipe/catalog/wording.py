"""What a validator found, in the words of somebody who writes a definition, not of somebody who wrote the validator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

KINDS = {
    "string": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "list": "a list", "tuple": "a list",
    "dict": "an object with keys", "mapping": "an object with keys", "model": "an object with keys",
}  # fmt: skip
LIMITS = {
    "greater_than_equal": ("ge", "at least"), "greater_than": ("gt", "more than"), "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}  # fmt: skip
_BRANCH = re.compile(
    r"(str|int|float|bool|dict\[.*\]|list\[.*\]|tuple\[.*\]|InputField|function-.*|constrained-.*|literal\[.*\])"
)


def plain(item: Mapping[str, Any]) -> str:
    """An error of pydantic as a sentence without its full stop."""
    kind = str(item["type"])
    given = item.get("input")
    if kind == "literal_error":
        return f"{_shown(given)} is not one of {item['ctx']['expected']}"
    if kind in LIMITS:
        name, words = LIMITS[kind]
        return f"{_shown(given)} is not {words} {item['ctx'][name]}"
    head = kind.partition("_")[0]
    if head in KINDS and kind.endswith(("_type", "_parsing", "_from_float", "_attributes_type")):
        return f"{_shown(given)} is not {KINDS[head]}"
    message = str(item["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:].rstrip(".")


def place_of(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The place in the file: without the names of the ways in which a value could have been read."""
    return tuple(
        part
        for number, part in enumerate(loc)
        if number == 0 or not (isinstance(part, str) and _BRANCH.fullmatch(part))
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"

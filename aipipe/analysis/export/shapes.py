"""Shapes that published values must have: a permitted field may not carry what nobody permitted.

A record is a file that anybody may have written or altered; the field `model` may hold a path with the name of a home
folder, and `tokens` a whole conversation. What has another shape than its field stays at home.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Shape = Callable[[Any], Any]
"""The value, or None where it has another shape."""

_DIGITS = re.compile(r"-?\d{1,40}")
_DIGEST = re.compile(r"(?:sha256:)?[0-9a-f]{8,128}")
_PROGRESS = re.compile(r"\d{1,6}/\d{1,6}")
# A path from the root of a disk or a home folder, alone or behind "backend:" as models are named.
_FOLDERS = re.compile(r"(?:^|(?<=[:=\s\"'(]))(?:~[\w.-]*|[A-Za-z]:|file://)?[\\/]+(?:[^\\/:\n]+[\\/]+)*(?=[^\\/]|$)")


def number(value: Any) -> Any:
    """A number, or yes and no."""
    return value if isinstance(value, int | float) else None


def word(value: Any) -> str | None:
    """A text of one line, without the folders of a path: they name accounts and machines."""
    return bare(value) if isinstance(value, str) and len(value) <= 300 and "\n" not in value else None


def words(value: Any) -> list[str]:
    """A list of words."""
    return [w for item in value if (w := word(item)) is not None] if isinstance(value, list) else []


def digits(value: Any) -> str | int | None:
    """A seed: decimal digits, as text because JSON readers round long numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return value if isinstance(value, str) and _DIGITS.fullmatch(value) else None


def digest(value: Any) -> str | None:
    """A hash in hexadecimal digits; an empty one stays empty."""
    return value if isinstance(value, str) and (not value or _DIGEST.fullmatch(value)) else None


def state(value: Any) -> dict[str, Any]:
    """Where a run stands: stage, step, progress."""
    value = value if isinstance(value, dict) else {}
    progress = value.get("progress")
    return {
        "stage": number(value.get("stage")),
        "step": word(value.get("step")),
        "progress": progress if isinstance(progress, str) and _PROGRESS.fullmatch(progress) else None,
    }


def models(value: Any) -> dict[str, str]:
    """Task to model."""
    pairs = value.items() if isinstance(value, dict) else ()
    return {task: name for k, v in pairs if (task := word(k)) is not None and (name := word(v)) is not None}


def counts(value: Any) -> dict[str, Any]:
    """Tokens by direction."""
    value = value if isinstance(value, dict) else {}
    return {k: number(value[k]) for k in ("input", "output", "total", "thinking") if k in value}


def codes(value: Any) -> list[str]:
    """Codes of a safety policy, given as words or as entries with a code."""
    items = value if isinstance(value, list) else []
    return words([item.get("code") if isinstance(item, dict) else item for item in items])


def bare(text: str) -> str:
    """A text without the folders of absolute paths in it."""
    return text if "://" in text and "file://" not in text else _FOLDERS.sub("", text)


def fitted(values: Mapping[str, Any], shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """The named fields of a record, each in its shape; what does not fit is None as if it were not known."""
    return {
        name: None if values[name] is None else shape(values[name]) for name, shape in shapes.items() if name in values
    }


OURS = frozenset({"run_id", "participant", "session", "input_id", "seed", "text_seed", "config_hash", "model_digest"})
"""Fields whose text is a pseudonym, a number or a hash: nobody's words."""
TIMES = frozenset({"timestamp", "started", "finished"})


def said(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Place and text of every word in a published record that a person may have chosen."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list):
        for item in value:
            yield from said(item, place)
    elif isinstance(value, dict):
        for key, item in value.items():
            if place == "models":  # its keys are tasks, which a record names freely
                yield place, key
            if key not in OURS | TIMES:
                yield from said(item, f"{place}.{key}" if place else str(key))


def replaced(value: Any, put: Callable[[str], str], place: str = "") -> Any:
    """A copy in which every text that `said` lists is what `put` makes of it."""
    if isinstance(value, str):
        return put(value)
    if isinstance(value, list):
        return [replaced(item, put, place) for item in value]
    if isinstance(value, dict):
        return {
            (put(k) if place == "models" else k): v if k in OURS | TIMES else replaced(v, put, k)
            for k, v in value.items()
        }
    return value

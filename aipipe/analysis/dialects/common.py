"""What the older dialects share: media types from names, and a status derived from what lies on disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from aipipe.analysis.reading import contained
from aipipe.media import SNIFF_BYTES, by_filename, sniff

STAGES = {
    "config_used": 0,
    "input": 1,
    "input_image": 1,
    "stage1_output": 1,
    "translation": 1,
    "safety": 1,
    "interception": 2,
    "interception_iteration": 2,
    "optimized_prompt": 2,
    "translation_en": 3,
    "safety_pre_output": 3,
    "generation_prompt": 3,
}
_DIGITS = re.compile(r"-?[0-9]{1,40}")
"""Seeds have 64 bits at most; other scripts' digits and endless ones are no number that a generator was given."""
_SAFETY = ("safety", "stage1_blocked", "stage3_blocked")


def dicts(value: Any) -> list[dict[str, Any]]:
    """The dicts of a list; anything else counts as none."""
    return [item for item in value if type(item) is dict] if type(value) is list else []


def mapping(value: Any) -> dict[str, Any]:
    """A dict, or an empty one for anything else."""
    return value if type(value) is dict else {}


def text(value: Any) -> str | None:
    """A non-empty text, or None."""
    return value if isinstance(value, str) and value else None


def digits(value: Any) -> str | None:
    """A seed as decimal digits, or None."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) and _DIGITS.fullmatch(value) else None


def stage_of(entity_type: str) -> int | None:
    """Stage that produces entities of a type."""
    return 4 if entity_type.startswith("output_") else STAGES.get(entity_type)


def describe(folder: str, filename: Any) -> dict[str, Any]:
    """media_type, mime and size of a file of an older run, from its name and size on disk."""
    if not isinstance(filename, str):
        return {}
    known = by_filename(filename)
    size = None
    if contained(filename):
        try:
            size = (Path(folder) / filename).lstat().st_size
        except OSError:
            size = None
    return {"media_type": known.media_type, "mime": known.mime, "size": size}


def opens(folder: str, filename: Any) -> bool:
    """True when a media file exists and its first bytes are those of a known format that is not plain text."""
    if not isinstance(filename, str) or not contained(filename):
        return False
    path = Path(folder) / filename
    try:
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as stream:
            head = stream.read(SNIFF_BYTES)
    except OSError:
        return False
    if not head:
        return False
    if by_filename(filename).media_type in ("text", "json", "code"):
        return True
    return sniff(head, complete=len(head) < SNIFF_BYTES).media_type not in ("other", "text", "json")


def derive_status(entities: list[dict[str, Any]], folder: str) -> tuple[str, dict[str, Any] | None]:
    """Status and reason of a run whose system recorded none.

    Blocked by a safety error entity, failed by another error, completed when its outputs exist and open, else unknown.
    """
    errors = [e for e in entities if e.get("type") == "error"]
    for error in errors:
        facts = mapping(error.get("metadata"))
        kind = str(facts.get("error_type") or "error")
        status = "blocked" if kind.startswith(_SAFETY) else "failed"
        if status == "blocked" or error is errors[-1]:
            stage = facts.get("stage") if type(facts.get("stage")) is int else None
            message = str(facts.get("message") or kind)
            return status, {"stage": stage, "type": kind, "message": message}
    outputs = [e for e in entities if str(e.get("type", "")).startswith("output_")]
    if outputs and all(opens(folder, e.get("filename")) for e in outputs):
        return "completed", None
    return "unknown", None

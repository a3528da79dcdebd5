"""The rows below a run: entities, steps, errors. Safety, media and prompts, which read files, have own modules."""

from __future__ import annotations

import json
from typing import Any

from aipipe.analysis.extract import listed
from aipipe.analysis.reading import Unreadable, parse, read_text

Item = dict[str, Any]
PROCESS = "process"
"""Role of an entity that belongs to the history of a prompt: a draft, not what the run used."""


def entities(run: Item, folder: str) -> list[Item]:
    """Entities in recorded order; those of an imported run have the role that their source gave them."""
    found = listed(run, "entities")
    labels = run.get("labels")
    if type(labels) is dict and "source_dialect" in labels:
        return [{**e, "role": role_of(e)} for e in found]
    return found


def role_of(entity: Item) -> str:
    """`entity`, or `process` for a draft; the recorder has no field for it, so an import keeps it among the facts."""
    return PROCESS if PROCESS in (entity.get("role"), facts_of(entity).get("source_role")) else "entity"


def steps(run: Item, folder: str) -> list[Item]:
    """Steps in recorded order, with their number; a step without its own mode has the run's."""
    mode = run.get("execution_mode")
    return [
        {**s, "index": i, "execution_mode": s.get("execution_mode") or mode} for i, s in enumerate(listed(run, "steps"))
    ]


def errors(run: Item, folder: str) -> list[Item]:
    """Error entities with message and details from their files."""
    return [_error(e, folder) for e in listed(run, "entities") if e.get("type") == "error"]


def _error(entity: Item, folder: str) -> Item:
    content = content_of(entity, folder)
    facts = facts_of(entity)
    return {
        **entity,
        "stage": first(content.get("stage"), facts.get("stage"), entity.get("stage")),
        "error_type": first(content.get("error_type"), facts.get("error_type")),
        "message": first(content.get("message"), facts.get("message")),
        "details": first(content.get("details"), facts.get("details")),
        "output": first(entity.get("output"), content.get("output"), facts.get("output")),
    }


def first(*values: Any) -> Any:
    """The first value that is there."""
    return next((v for v in values if v is not None), None)


def facts_of(entity: Item) -> Item:
    """The metadata of an entity, as a dict whatever was recorded."""
    facts = entity.get("metadata")
    return facts if type(facts) is dict else {}


def text_of(entity: Item, folder: str) -> str | None:
    """Content of a text entity: its file, or what an older dialect kept in the record itself."""
    filename = entity.get("filename")
    found = read_text(folder, filename) if filename else None
    if found is not None:
        return found
    inline = entity.get("inline")
    return inline if isinstance(inline, str) else None


def content_of(entity: Item, folder: str) -> Item:
    """Content of a JSON entity as a dict; empty when it is missing or no object."""
    text = text_of(entity, folder)
    if text is None:
        return {}
    try:
        value = parse(text.encode("utf-8"))
    except (Unreadable, UnicodeEncodeError, json.JSONDecodeError):
        return {}
    return value if type(value) is dict else {}

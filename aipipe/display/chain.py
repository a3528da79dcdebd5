"""The prompt chain of a run: what each stage received and made, in words a person reads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

LABELS = {
    "input": "Input",
    "input_image": "Input picture",
    "translation": "Translation",
    "safety": "Safety check",
    "interception_iteration": "Iteration",
    "interception": "Interception",
    "interception_edit": "Edited by a person",
    "safety_pre_output": "Safety check before output",
    "error": "Error",
}


@dataclass(frozen=True, slots=True)
class Link:
    """One entity of the chain, ready to be shown.

    Attributes:
        entity: The entity.
        label: Its name for a person.
        facts: Short facts: language, model, seconds.
        text: Its text, "" for media and verdicts.
        before: The text this one was made from, "" if there is none.
        verdict: The safety document, None for other entities.
    """

    entity: Any
    label: str
    facts: tuple[str, ...] = ()
    text: str = ""
    before: str = ""
    verdict: dict[str, Any] | None = field(default=None)


def chain(run: Any) -> list[Link]:
    """Everything but output media, in order; an unreadable file appears with its reason instead of its text."""
    links: list[Link] = []
    before = ""
    for entity in run.entities:
        if entity.type.startswith("output_") or entity.type == "input_image":
            continue
        text = _text(entity)
        link = _link(entity, text, before)
        links.append(link)
        if link.text and entity.type != "error":
            before = text
    return links


def _text(entity: Any) -> str:
    try:
        return str(entity.text)
    except Exception as error:  # noqa: BLE001  a view shows the reason of whatever is wrong with one file
        return f"[{entity.filename} cannot be read: {error}]"


def _link(entity: Any, text: str, before: str) -> Link:
    label = LABELS.get(entity.type, entity.type.replace("_", " ").capitalize())
    meta = entity.metadata
    if entity.iteration is not None and entity.type == "interception_iteration":
        label = f"{label} {entity.iteration}"
    facts = tuple(
        str(v) for v in (meta.get("language"), meta.get("model"), "reused" if entity.reused_from else None) if v
    )
    if entity.media_type == "json":
        document = _document(text)
        if document is not None and entity.type.startswith("safety"):
            return Link(entity, label, (str(document.get("method") or ""),), verdict=document)
        if document is not None and entity.type == "error":
            return Link(entity, label, (str(document.get("error_type") or ""),), str(document.get("message") or text))
    return Link(entity, label, facts, text, "" if entity.type == "input" else before)


def _document(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def verdict_words(verdict: dict[str, Any]) -> tuple[str, str]:
    """A verdict as a word and a class: safe, blocked, not checked."""
    safe = verdict.get("safe")
    if safe is None:
        return "not checked", "off"
    return ("safe", "safe") if safe else ("blocked", "unsafe")

"""Safety decisions as rows: what was judged, how, by which model and policy, with which verdict."""

from __future__ import annotations

from typing import Any

from aipipe.analysis.extract import listed
from aipipe.analysis.items import Item, content_of, facts_of, first

GATES = {"safety": "input", "safety_pre_output": "output", "safety_image": "image"}


def checks(run: Item, folder: str) -> list[Item]:
    """One row per text check (safety entities) and per image check (steps and media entities)."""
    rows = [_text_check(e, folder, run) for e in listed(run, "entities") if e.get("type") in GATES]
    rows += [row for e in listed(run, "entities") if (row := _image_check(e, folder)) is not None]
    return sorted(rows, key=lambda row: row["sequence"] if type(row["sequence"]) is int else 0)


def _text_check(entity: Item, folder: str, run: Item) -> Item:
    content = {**facts_of(entity), **content_of(entity, folder)}
    safe = _verdict(content, entity)
    return {
        "sequence": entity.get("sequence"),
        "gate": GATES[str(entity.get("type"))],
        "stage": entity.get("stage"),
        "input": first(entity.get("input"), content.get("input")),
        "output": first(entity.get("output"), content.get("output")),
        "safe": safe,
        "blocked": None if safe is None else not safe,
        "method": content.get("method"),
        "model": first(content.get("model"), content.get("model_used")),
        "policy_version": first(content.get("policy_version"), content.get("policy")),
        "codes": _codes(first(content.get("codes"), content.get("safety_codes"))),
        "terms": first(content.get("terms"), content.get("terms_found"), content.get("found_terms")),
        "explanation": first(content.get("explanation"), content.get("reason"), content.get("abort_reason")),
        "score": content.get("score"),
        "seconds": first(content.get("seconds"), content.get("execution_time")),
        "timestamp": entity.get("timestamp"),
        "text": first(content.get("text"), content.get("judged"), content.get("positive_prompt")),
    }


def _verdict(content: Item, entity: Item) -> bool | None:
    for source in (content, facts_of(entity)):
        for key in ("safe", "is_safe", "passed"):
            if type(source.get(key)) is bool:
                return bool(source[key])
        if type(source.get("blocked")) is bool:
            return not source["blocked"]
    return None


def _codes(value: Any) -> Any:
    """Codes may be plain names or objects with a code and its explanation."""
    if type(value) is not list:
        return value
    return [v.get("code", v) if type(v) is dict else v for v in value]


def _image_check(entity: Item, folder: str) -> Item | None:
    facts = facts_of(entity)
    check = facts.get("safety") if type(facts.get("safety")) is dict else facts.get("image_safety")
    if type(check) is not dict or entity.get("type") in GATES:
        return None
    safe = _verdict(check, entity)
    return {
        "sequence": entity.get("sequence"),
        "gate": "image",
        "stage": entity.get("stage"),
        "input": entity.get("input"),
        "output": entity.get("output"),
        "safe": safe,
        "blocked": None if safe is None else not safe,
        "method": check.get("method"),
        "model": check.get("model"),
        "policy_version": check.get("policy_version"),
        "codes": _codes(check.get("codes")),
        "terms": None,
        "explanation": first(check.get("explanation"), check.get("reason")),
        "score": check.get("score"),
        "seconds": check.get("seconds"),
        "timestamp": entity.get("timestamp"),
        "text": None,
    }

"""The original system's tracker files `exec_*.json`: the only older record with iterations, models and times."""

from __future__ import annotations

from typing import Any

from aipipe.analysis.dialects import Context
from aipipe.analysis.dialects.common import dicts, digits, text

_TYPES = {
    "user_input_text": "input",
    "user_input_image": "input_image",
    "translation_result": "translation",
    "stage1_safety_check": "safety",
    "stage1_safety_check_image": "safety",
    "stage1_blocked": "error",
    "interception_iteration": "interception_iteration",
    "interception_final": "interception",
    "stage3_safety_check": "safety_pre_output",
    "stage3_blocked": "error",
    "pipeline_error": "error",
}
_STEPS = {
    "translation": "translation",
    "safety": "safety",
    "safety_pre_output": "safety_pre_output",
    "interception": "interception",
    "interception_iteration": "interception",
}


def normalise(record: dict[str, Any], context: Context) -> dict[str, Any]:
    """Version 1 shape of one record."""
    items = sorted(dicts(record.get("items")), key=_order)
    entities = [e for item in items if (e := _entity(item, context)) is not None]
    steps = [s for item in items if (s := _step(item, context)) is not None]
    status, reason = _status(items)
    moment = context.utc(record.get("timestamp"))
    return {
        "run_id": str(record["execution_id"]),
        "source_run_id": str(record["execution_id"]),
        "timestamp": moment,
        "started": moment,
        "config_name": record.get("config_name"),
        "execution_mode": record.get("execution_mode"),
        "safety_level": record.get("safety_level"),
        "user_id": record.get("user_id"),
        "session": None if record.get("session_id") in (None, "", "default") else str(record["session_id"]),
        "seconds": record.get("total_execution_time"),
        "seed": digits(record.get("used_seed")),
        "status": status,
        "status_source": "derived",
        "reason": reason,
        "entities": entities,
        "steps": steps,
        "dialect": "tracker",
    }


def _order(item: dict[str, Any]) -> int:
    number = item.get("sequence_number")
    return number if type(number) is int else 0


def _entity(item: dict[str, Any], context: Context) -> dict[str, Any] | None:
    kind = str(item.get("item_type"))
    known = _TYPES.get(kind) or (kind if kind.startswith("output_") else None)
    if known is None:
        return None
    facts = dict(item["metadata"]) if type(item.get("metadata")) is dict else {}
    if known == "error":
        facts |= {"error_type": "safety_blocked" if kind.endswith("_blocked") else kind, "stage": item.get("stage")}
        facts.setdefault("message", text(item.get("content")) or kind)
    media = item.get("media_type")
    return {
        "sequence": item.get("sequence_number"),
        "type": known,
        "filename": text(item.get("file_path")),
        "timestamp": context.utc(item.get("timestamp")),
        "stage": item.get("stage"),
        "iteration": item.get("stage_iteration") if known.startswith("interception") else None,
        "output": _output_index(item),
        "media_type": "json" if media == "metadata" else media,
        "metadata": facts,
        "inline": text(item.get("content")),
    }


def _output_index(item: dict[str, Any]) -> int | None:
    loop = item.get("loop_iteration")
    return loop - 1 if type(loop) is int and loop > 0 else None


def _step(item: dict[str, Any], context: Context) -> dict[str, Any] | None:
    kind = str(item.get("item_type"))
    known = _TYPES.get(kind) or ("output" if kind.startswith("output_") else "")
    name = "media" if known == "output" else _STEPS.get(known)
    if name is None or not (item.get("model_used") or item.get("backend_used") or item.get("execution_time")):
        return None
    service = text(item.get("backend_used")) or ""
    return {
        "stage": item.get("stage"),
        "step": name,
        "chunk": item.get("config_used"),
        "backend": "" if name == "media" else service,
        "runner": service if name == "media" else "",
        "model": item.get("model_used"),
        "started": context.utc(item.get("timestamp")),
        "seconds": item.get("execution_time"),
        "iteration": item.get("stage_iteration"),
        "output": _output_index(item),
        "outcome": "completed",
    }


def _status(items: list[dict[str, Any]]) -> tuple[str, dict[str, Any] | None]:
    kinds = {str(item.get("item_type")): item for item in items}
    for kind, status in (("stage1_blocked", "blocked"), ("pipeline_error", "failed"), ("stage3_blocked", "blocked")):
        if kind in kinds:
            item = kinds[kind]
            name = "safety_blocked" if status == "blocked" else kind
            stage = item["stage"] if type(item.get("stage")) is int else None
            return status, {"stage": stage, "type": name, "message": str(item.get("content") or kind)}
    # The tracker called every finished pipeline complete, stored media or not: only text and files in the
    # record count as outputs, and the tracker's files lie elsewhere.
    if "pipeline_complete" in kinds and "interception_final" in kinds:
        return "completed", None
    return "unknown", None

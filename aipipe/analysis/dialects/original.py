"""The original system's metadata.json: its first form, and the later one with device, dates and `final/`."""

from __future__ import annotations

import os
from typing import Any

from aipipe.analysis.dialects import Context
from aipipe.analysis.dialects.common import derive_status, describe, dicts, digits, mapping, stage_of, text

_MODELS = {
    "stage1_safety": "safety",
    "stage2_interception": "interception",
    "stage3_translation": "translation",
    "stage3_safety": "safety",
    "stage4_output": "media",
}


def normalise(record: dict[str, Any], context: Context) -> dict[str, Any]:
    """Version 1 shape of one record."""
    dated = "device_id" in record or "models_used" in record or "prompting_process" in record
    entities = [_entity(e, context, "entity") for e in dicts(record.get("entities"))]
    status, reason = derive_status(entities, context.folder)
    history = [_entity(e, context, "process") for e in dicts(record.get("prompting_process"))]
    seeds = [s for e in entities if (s := digits(e["metadata"].get("seed")))]
    return {
        **{k: record.get(k) for k in ("config_name", "execution_mode", "safety_level", "user_id", "current_state")},
        "run_id": str(record["run_id"]),
        "source_run_id": str(record["run_id"]),
        "timestamp": context.utc(record.get("timestamp")),
        "started": context.utc(record.get("timestamp")),
        "expected_outputs": record.get("expected_outputs"),
        "status": status,
        "status_source": "derived",
        "reason": reason,
        "seed": seeds[0] if seeds else None,
        "models": _models(record.get("models_used")),
        "participant": text(record.get("device_id")),
        "entities": entities + history,
        "steps": [],
        "dialect": "original dated" if dated else "original",
        **_later(record),
    }


def _entity(entity: dict[str, Any], context: Context, role: str) -> dict[str, Any]:
    kind = str(entity.get("type", "unknown"))
    facts = mapping(entity.get("metadata"))
    filename = _inside(context, entity.get("filename"))
    return {
        "sequence": entity.get("sequence"),
        "type": kind,
        "filename": filename,
        "timestamp": context.utc(entity.get("timestamp")),
        "metadata": facts,
        "stage": facts.get("stage") if type(facts.get("stage")) is int else stage_of(kind),
        "file_index": facts.get("file_index"),
        "role": role,
        **describe(context.folder, filename),
    }


def _inside(context: Context, filename: Any) -> Any:
    """The later version keeps numbered files in `final/`, while the record may name them without the folder."""
    if isinstance(filename, str) and "/" not in filename and filename not in ("", ".", ".."):
        # These say no to a name that no file system takes, where pathlib raises.
        exists = os.path.exists
        if not exists(f"{context.folder}/{filename}") and exists(f"{context.folder}/final/{filename}"):
            return f"final/{filename}"
    return filename


def _models(used: Any) -> dict[str, str]:
    if type(used) is not dict:
        return {}
    return {_MODELS.get(str(task), str(task)): str(model) for task, model in used.items() if model}


def _later(record: dict[str, Any]) -> dict[str, Any]:
    """Facts that only the later version has, kept as labels so that nothing is lost."""
    labels = {}
    if config := text(record.get("interception_config")):
        labels["interception_config"] = config
    jobs = dicts(record.get("comfyui_prompt_ids"))
    if jobs:
        labels["comfyui_prompt_ids"] = ", ".join(str(job.get("prompt_id")) for job in jobs)
    return {"labels": labels} if labels else {}

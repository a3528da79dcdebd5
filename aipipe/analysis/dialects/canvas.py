"""Canvas runs of the original system: a node graph, entities named by node instead of type."""

from __future__ import annotations

from typing import Any

from aipipe.analysis.dialects import Context
from aipipe.analysis.dialects.common import derive_status, describe, dicts, digits, text


def normalise(record: dict[str, Any], context: Context) -> dict[str, Any]:
    """Version 1 shape of one record."""
    entities = [_entity(e, context) for e in dicts(record.get("entities"))]
    status, reason = derive_status(entities, context.folder)
    finished = context.utc(record.get("completed_at"))
    if status == "unknown" and finished and not any(e["type"].startswith("output_") for e in entities):
        status = "completed"
    seeds = [s for e in entities if (s := digits(e["metadata"].get("seed")))]
    batch = record.get("batch_id")
    moment = context.utc(record.get("timestamp"))
    return {
        "run_id": str(record.get("run_id")),
        "source_run_id": str(record.get("run_id")),
        "timestamp": moment,
        "started": moment,
        "finished": finished,
        "config_name": record.get("workflow_file") or "canvas_workflow",
        "user_id": record.get("user_id"),
        "participant": text(record.get("device_id")),
        "status": status,
        "status_source": "derived",
        "reason": reason,
        "seed": seeds[0] if seeds else None,
        "batch": {"batch_id": str(batch), "index": record.get("batch_index")} if batch else None,
        "entities": entities,
        "steps": [],
        "dialect": "canvas",
    }


def _entity(entity: dict[str, Any], context: Context) -> dict[str, Any]:
    facts = dict(entity["metadata"]) if type(entity.get("metadata")) is dict else {}
    facts |= {k: entity[k] for k in ("node_id", "node_type") if entity.get(k) is not None}
    known = describe(context.folder, entity.get("filename"))
    return {
        "sequence": entity.get("sequence"),
        "type": entity.get("type") or _type_of(str(entity.get("node_type", "")), str(known.get("media_type", ""))),
        "filename": entity.get("filename"),
        "timestamp": context.utc(entity.get("timestamp")),
        "metadata": facts,
        "role": "entity",
        **known,
    }


def _type_of(node: str, media: str) -> str:
    if media in ("image", "audio", "music", "video", "3d"):
        return f"output_{media}"
    return node or "unknown"

"""The original system's second store: `schema` + `outputs`, with the texts in the record."""

from __future__ import annotations

from typing import Any

from aipipe.analysis.dialects import Context
from aipipe.analysis.dialects.common import derive_status, describe, dicts, text


def normalise(record: dict[str, Any], context: Context) -> dict[str, Any]:
    """Version 1 shape of one record."""
    entities: list[dict[str, Any]] = []
    moment = context.utc(record.get("timestamp"))
    for kind, key, filename, stage in (
        ("input", "input_text", "input_text.txt", 1),
        ("interception", "transformed_text", "transformed_text.txt", 2),
    ):
        if (content := text(record.get(key))) is not None:
            entities.append(
                {
                    "sequence": len(entities) + 1,
                    "type": kind,
                    "filename": filename,
                    "timestamp": moment,
                    "stage": stage,
                    "inline": content,
                    "metadata": {},
                    **describe(context.folder, filename),
                }
            )
    for output in dicts(record.get("outputs")):
        entities.append(_output(output, len(entities) + 1, moment, context))
    status, reason = derive_status(entities, context.folder)
    return {
        "run_id": str(record.get("run_id")),
        "source_run_id": str(record.get("run_id")),
        "timestamp": moment,
        "started": moment,
        "config_name": record.get("schema"),
        "execution_mode": record.get("execution_mode"),
        "user_id": record.get("user_id"),
        "status": status,
        "status_source": "derived",
        "reason": reason,
        "entities": entities,
        "steps": [],
        "dialect": "media storage",
    }


def _output(output: dict[str, Any], sequence: int, moment: str | None, context: Context) -> dict[str, Any]:
    kind = str(output.get("type") or "other")
    facts = {k: v for k, v in output.items() if k not in ("type", "filename") and v is not None}
    known = describe(context.folder, output.get("filename"))
    if known.get("size") is None:
        known["size"] = output.get("file_size_bytes")
    return {
        "sequence": sequence,
        "type": f"output_{kind}",
        "filename": output.get("filename"),
        "timestamp": moment,
        "stage": 4,
        "metadata": facts,
        **known,
    }

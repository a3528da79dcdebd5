"""Exported sessions of the original system's first interface: one JSON file beside its media."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aipipe.analysis.dialects import Context
from aipipe.analysis.dialects.common import derive_status, describe, digits, text


def normalise(record: dict[str, Any], context: Context) -> dict[str, Any]:
    """Version 1 shape of one record."""
    moment = context.utc(_iso(record.get("timestamp")))
    entities: list[dict[str, Any]] = []
    for kind, key in (("input", "prompt"), ("translation", "translated_prompt")):
        if (content := text(record.get(key))) is not None:
            entities.append(_entity(len(entities) + 1, kind, None, moment) | {"inline": content, "stage": 1})
    media = record.get("media_files")
    for item in media if type(media) is list else []:
        filename = item.get("filename") if type(item) is dict else item
        known = describe(context.folder, filename)
        kind = f"output_{known.get('media_type', 'other')}"
        entities.append(_entity(len(entities) + 1, kind, filename, moment) | {"stage": 4} | known)
    status, reason = derive_status(entities, context.folder)
    return {
        "run_id": str(record["session_id"]),
        "source_run_id": str(record["session_id"]),
        "timestamp": moment,
        "started": moment,
        "config_name": record.get("workflow_name"),
        "safety_level": record.get("safety_level"),
        "user_id": record.get("user_id"),
        "seed": digits(record.get("used_seed")),
        "status": status,
        "status_source": "derived",
        "reason": reason,
        "entities": entities,
        "steps": [],
        "dialect": "session export",
    }


def _entity(sequence: int, kind: str, filename: Any, moment: str | None) -> dict[str, Any]:
    media = "text" if filename is None else None
    return {
        "sequence": sequence,
        "type": kind,
        "filename": filename,
        "timestamp": moment,
        "media_type": media,
        "metadata": {},
    }


def _iso(stamp: Any) -> str | None:
    """Yymmddhhmmss as ISO; other texts unchanged."""
    if isinstance(stamp, str) and len(stamp) == 12 and stamp.isdigit():
        try:
            return datetime.strptime(stamp, "%y%m%d%H%M%S").isoformat()  # noqa: DTZ007  the zone is the context's
        except ValueError:
            return None
    return stamp if isinstance(stamp, str) else None

"""Small runs of format version 1, written without the recorder so that a test can make any shape."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

DIALECTS = Path(__file__).parent.parent / "data" / "dialects"


def record(run_id: str | None = None, **fields: Any) -> dict[str, Any]:
    run_id = run_id or str(uuid.uuid4())
    return {
        "format_version": 1,
        "run_id": run_id,
        "timestamp": "2026-11-01T10:00:00.000000Z",
        "config_name": "dada",
        "execution_mode": "echo",
        "safety_level": "kids",
        "user_id": "anonymous",
        "status": "completed",
        "reason": None,
        "expected_outputs": ["input", "interception"],
        "current_state": {"stage": 5, "step": "complete", "progress": "2/2"},
        "started": "2026-11-01T10:00:00.000000Z",
        "finished": "2026-11-01T10:00:02.500000Z",
        "seconds": 2.5,
        "seed": "18446744073709551615",
        "entities": [],
        "steps": [],
        "labels": {},
        **fields,
    }


def entity(sequence: int, kind: str, extension: str = "txt", **fields: Any) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "type": kind,
        "filename": f"{sequence:02d}_{kind}.{extension}",
        "timestamp": "2026-11-01T10:00:01.000000Z",
        "metadata": {},
        "media_type": {"txt": "text", "json": "json", "png": "image"}[extension],
        "size": 3,
        **fields,
    }


def write(root: Path, document: Any, name: str | None = None, texts: dict[str, Any] | None = None) -> Path:
    folder = root / (name or document["run_id"])
    folder.mkdir(parents=True, exist_ok=True)
    for filename, content in (texts or {}).items():
        body = content if isinstance(content, str) else json.dumps(content)
        (folder / filename).write_text(body, encoding="utf-8")
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    part = folder / ".part"
    part.write_bytes(data)
    part.replace(folder / "metadata.json")
    return folder

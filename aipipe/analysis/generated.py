"""Files of generators outside any run folder that tell how they were made: pictures, sound and film, each as one run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.analysis.dialects import Context
from aipipe.analysis.embedded import generation, texts_of
from aipipe.analysis.media_facts import inspect
from aipipe.media import by_filename

if TYPE_CHECKING:
    from aipipe.analysis.importing import ImportReport

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".mp4", ".mov", ".webm", ".flac", ".mp3", ".ogg", ".opus")
"""Formats in which ComfyUI and its relatives keep a graph."""


def generated(root: Path, used: set[str], report: ImportReport) -> Iterator[tuple[Context, dict[str, Any]]]:
    """Every such file below a folder.

    Args:
        root: The folder.
        used: Files that belong to records of older systems.
        report: Takes files that tell nothing, and those that tell but do not open.
    """
    for path in sorted(root.rglob("*")):
        inner = path.relative_to(root)
        if str(path) in used or path.suffix.lower() not in ENDINGS or path.is_symlink():
            continue
        if any(p.startswith(".") for p in inner.parts):
            continue
        if (path.parent / "metadata.json").exists() or (path.parent.parent / "metadata.json").exists():
            continue
        run = _run(path, inner.as_posix())
        if run is None:
            report.unmarked.append(inner.as_posix())
            continue
        found = inspect(str(path.parent), path.name, by_filename(path.name).media_type)
        if found["readable"]:
            yield Context(str(path)), run
        else:
            # A picture that was cut off still has its graph, and would pass for a completed run.
            report.skipped.append({"path": str(path), "reason": str(found.get("problem"))})


def _run(path: Path, name: str) -> dict[str, Any] | None:
    info = texts_of(path)
    made = generation(info)
    if made is None:
        return None
    medium = by_filename(path.name).media_type
    kind = f"comfyui {medium}" if "prompt" in info else f"a1111 {medium}"
    told = {"negative_prompt": made.negative, "seed": made.seed, "settings": made.settings or None}
    return {
        "run_id": name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "config_name": kind.replace(" ", "_"),
        "timestamp": datetime.fromtimestamp(path.stat().st_mtime).astimezone().isoformat(),
        "status": "completed",
        "dialect": kind,
        "seed": made.seed,
        "models": {"media": str(model)} if (model := made.settings.get("model", made.settings.get("Model"))) else {},
        "entities": [
            {"type": "input", "inline": made.prompt or "", "metadata": {}, "media_type": "text", "stage": 1},
            {
                "type": f"output_{medium}",
                "filename": path.name,
                "metadata": {**info, **{k: v for k, v in told.items() if v is not None}},
                "stage": 4,
            },
        ],
    }

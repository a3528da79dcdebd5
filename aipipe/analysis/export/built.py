"""What a built export folder holds, for the papers and layouts made from it.

A private export copies records as they are, and anybody may have written them: entries that are none, and names that
lead out of their folder, must neither stop an export nor take a file along that is not of the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aipipe.analysis.reading import contained, is_plain, parse


def runs_of(base: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Folder and record of each run of an export."""
    for folder in sorted((base / "runs").iterdir()):
        if (folder / "metadata.json").is_file():
            yield folder, parse((folder / "metadata.json").read_bytes())


def present(folder: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
    """The entities of a run whose file is there."""
    entities = run.get("entities")
    return [e for e in entities if isinstance(e, dict) and _is_there(folder, e)] if isinstance(entities, list) else []


def _is_there(folder: Path, entity: dict[str, Any]) -> bool:
    name = entity.get("filename")
    return isinstance(name, str) and contained(name) and is_plain(folder / name)


def file_word(value: Any) -> str:
    """A word as part of a file name on every system: letters, digits, hyphen and underscore, at most 60 characters."""
    return re.sub(r"[^\w-]+", "-", str(value))[:60].strip("-_") or "run"

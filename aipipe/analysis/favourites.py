"""Favourites of the original's later version: a file beside the date folders, naming runs with a person's note."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aipipe.analysis.reading import Unreadable, parse, read_bytes


def favourites(folder: Path) -> dict[str, str | None]:
    """Run id → note of the favourites kept in one folder; empty where there are none."""
    try:
        found = parse(read_bytes(str(folder / "favorites.json"))[0])
    except Unreadable:
        return {}
    entries = found.get("favorites") if isinstance(found, dict) else None
    return {
        str(e["run_id"]): str(e.get("user_note") or "") or None
        for e in (entries if isinstance(entries, list) else [])
        if isinstance(e, dict) and "run_id" in e
    }


def favourites_above(root: Path, folders: Iterable[str]) -> dict[str, str | None]:
    """The same of every folder between `root` and these run folders: a store of stores has one file in each."""
    above = {root}
    for folder in folders:
        place = Path(folder)
        while place not in above and place.is_relative_to(root):
            above.add(place)
            place = place.parent
    found: dict[str, str | None] = {}
    for place in sorted(above):
        found |= favourites(place)
    return found

"""Several records of one run: the original wrote each run twice, by its recorder and by its media storage.

The fuller record takes in what only the other one has, so that one run is one row and nothing is lost.
"""

from __future__ import annotations

from typing import Any

from aipipe.analysis.dialects import Context
from aipipe.analysis.extract import listed
from aipipe.analysis.items import PROCESS, facts_of, role_of, text_of
from aipipe.analysis.reading import Unreadable, contained, read_bytes

Found = list[tuple[Context, dict[str, Any]]]


def merge_twins(found: Found, skipped: list[dict[str, str]]) -> dict[str, str]:
    """Merge records with equal run ids in place.

    Args:
        found: Normalised records; those that are taken in are removed.
        skipped: Takes path and reason of entities whose content disagrees with the fuller record.

    Returns:
        Path of each record that was taken in → run id.
    """
    groups: dict[str, Found] = {}
    for pair in found:
        groups.setdefault(str(pair[1]["run_id"]), []).append(pair)
    merged: dict[str, str] = {}
    for run_id, pairs in groups.items():
        # The recorder kept more than the media storage did; of equals the first in the listing stays.
        fullest = max(pairs, key=lambda pair: (len(listed(pair[1], "entities")), pair[1]["dialect"] == "original"))
        for pair in pairs:
            if pair is not fullest:
                _take_in(fullest, pair, skipped)
                merged[pair[0].path] = run_id
    found[:] = [pair for pair in found if pair[0].path not in merged]
    return merged


def _take_in(
    fullest: tuple[Context, dict[str, Any]], other: tuple[Context, dict[str, Any]], skipped: list[Any]
) -> None:
    (where, run), (place, twin) = fullest, other
    for key, value in twin.items():
        if run.get(key) in (None, "", [], {}) and key not in ("entities", "dialect"):
            run[key] = value
    kept = list(listed(run, "entities"))
    for entity in listed(twin, "entities"):
        same = [e for e in kept if e.get("type") == entity.get("type") and role_of(e) == role_of(entity)]
        equal = [e for e in same if _content(e, where.folder) == _content(entity, place.folder)]
        if equal:
            equal[0]["metadata"] = {**facts_of(entity), **facts_of(equal[0])}
        elif same and role_of(entity) != PROCESS:
            reason = f"its {entity.get('type')} is not that of the fuller record of run {run['run_id']}"
            skipped.append({"path": f"{place.folder}/{entity.get('filename')}", "reason": reason})
        else:
            kept.append({**entity, "folder": place.folder})
    run["entities"] = kept


def _content(entity: dict[str, Any], folder: str) -> bytes | None:
    """Bytes of an entity, texts without the white space that systems change around them."""
    place, filename = str(entity.get("folder") or folder), entity.get("filename")
    text = text_of(entity, place) if entity.get("media_type") == "text" else None
    if text is not None:
        return text.strip().encode("utf-8", errors="replace")
    if not isinstance(filename, str) or not contained(filename):
        return None
    try:
        return read_bytes(f"{place}/{filename}")[0]
    except Unreadable:
        return None

"""What a runs frame knows beyond its records: living writers, annotations, labels as columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.analysis.columns import PREFIX, RUNS, Column
from aipipe.analysis.reading import Unreadable, parse, read_bytes
from aipipe.analysis.tables import blank, series

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = {c.name: c for c in RUNS}
ADDED = ("starred", "excluded", "exclude_reason", "note")
"""Columns that come from annotations alone."""


def add_liveness(table: pd.DataFrame) -> pd.DataFrame:
    """Say `interrupted` where a run is recorded as running and its writer is gone, by the store's own rule.

    Asked at every load and never kept in the index: a writer dies without touching metadata.json.
    """
    from aipipe import lease

    if "status" not in table or "folder" not in table:
        return table
    for position in (table["status"] == "running").to_numpy(dtype=bool).nonzero()[0].tolist():
        writer = lease.find(Path(str(table["folder"].iloc[position])))
        if writer is None or not writer.alive:
            table.loc[position, "status"] = "interrupted"
            table.loc[position, "status_source"] = "derived"
    return table


def add_annotations(table: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Join tags, notes, stars and exclusions that people added later."""
    from aipipe.annotations import Annotations

    folded = Annotations(root, author="reader").fold()
    favourites = _favourites(root)
    if not folded and not favourites:
        return table
    size = len(table)
    tags: list[Any] = [t if isinstance(t, str) else None for t in table["tags"].array]
    starred, excluded = [False] * size, [False] * size
    reasons: list[str | None] = [None] * size
    notes: list[str | None] = [None] * size
    for position, run_id in enumerate(table["run_id"].array):
        known = folded.get(run_id)
        if known is not None:
            own = tags[position].split(", ") if tags[position] else []
            tags[position] = ", ".join(dict.fromkeys([*own, *known.tags])) or None
            starred[position], excluded[position] = known.starred, known.excluded
            reasons[position] = known.exclude_reason
            notes[position] = "\n".join(known.notes) or None
        if run_id in favourites:
            starred[position] = True
            notes[position] = "\n".join(n for n in (notes[position], favourites[run_id]) if n) or None
    given: tuple[list[Any], ...] = (tags, starred, excluded, reasons, notes)
    for name, cells in zip(("tags", *ADDED), given, strict=True):
        table[name] = series(_COLUMNS[name], cells)
    return table


def unannotated(size: int) -> dict[str, Any]:
    """The annotation columns of runs that nobody has annotated."""
    return {name: blank(_COLUMNS[name], size) for name in ADDED}


def _favourites(root: Path) -> dict[str, str | None]:
    """Favourites of the original's later version: run id → the user's note."""
    try:
        data, _ = read_bytes(str(root / "favorites.json"))
        found = parse(data)
    except Unreadable:
        return {}
    entries = found.get("favorites") if isinstance(found, dict) else None
    return {
        str(e["run_id"]): str(e.get("user_note") or "") or None
        for e in (entries if isinstance(entries, list) else [])
        if isinstance(e, dict) and "run_id" in e
    }


def add_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Each label key as a column `label_KEY`; runs without it have no value there."""
    if "labels" not in table or not table["labels"].notna().any():
        return table
    parsed: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for text in table["labels"].array:
        if not isinstance(text, str):
            rows.append({})
            continue
        if text not in parsed:
            value = json.loads(text)
            parsed[text] = value if isinstance(value, dict) else {}
        rows.append(parsed[text])
    for key in sorted({k for row in parsed.values() for k in row}):
        column = Column(f"{PREFIX}{key}", "category", "label", "")
        table[column.name] = series(column, [None if (v := r.get(key)) is None else str(v) for r in rows])
    if "label_source_run_id" in table and "source_run_id" in table:
        # An import keeps the old id as a label, because the recorder decides the record's own fields.
        table["source_run_id"] = table["source_run_id"].fillna(table["label_source_run_id"].astype("string"))
    return table

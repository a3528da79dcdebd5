"""What a runs frame knows beyond its records: living writers, annotations, labels as columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.analysis.columns import PREFIX, RUNS, Column
from aipipe.analysis.favourites import favourites_above
from aipipe.analysis.tables import blank, series
from aipipe.annotations import Annotated, Annotations

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = {c.name: c for c in RUNS}
_NOTHING = Annotated()


def add_liveness(table: pd.DataFrame) -> pd.DataFrame:
    """Say `interrupted` where a run is recorded as running and its writer is gone, by the store's own rule.

    Asked at every load and never kept in the index: a writer dies without touching metadata.json.
    """
    if "status" not in table or "folder" not in table:
        return table
    running = _places(table, "status", "running").tolist()
    if not running:
        return table
    from aipipe import lease

    for position in running:
        writer = lease.find(Path(str(table["folder"].iloc[position])))
        if writer is None or not writer.alive:
            table.loc[position, "status"] = "interrupted"
            table.loc[position, "status_source"] = "derived"
    return table


def add_annotations(table: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Join tags, notes, stars and exclusions that people added later, as far as the frame has columns for them."""
    folded = Annotations(root, author="reader").fold()
    starred_before = _favourites(table, root)
    if not folded and not starred_before:
        return table
    known = [folded.get(run_id, _NOTHING) for run_id in table["run_id"].array]
    favourite = [run_id in starred_before for run_id in table["run_id"].array]
    remarks = [starred_before.get(run_id) for run_id in table["run_id"].array]
    given: dict[str, list[Any]] = {
        "tags": [_tags(own, a) for own, a in zip(table["tags"].array, known, strict=True)],
        "starred": [a.starred or f for a, f in zip(known, favourite, strict=True)],
        "excluded": [a.excluded for a in known],
        "exclude_reason": [a.exclude_reason for a in known],
        "note": ["\n".join(n for n in (*a.notes, r) if n) or None for a, r in zip(known, remarks, strict=True)],
    }
    for name, cells in given.items():
        if name in table:
            table[name] = series(_COLUMNS[name], cells)
    return table


def _tags(own: Any, known: Annotated) -> str | None:
    """Tags of the start and later ones, each once."""
    given = own.split(", ") if isinstance(own, str) else []
    return ", ".join(dict.fromkeys([*given, *known.tags])) or None


def unannotated(columns: Sequence[Column], size: int) -> dict[str, Any]:
    """Those of the columns that come from annotations, for runs that nobody has annotated."""
    return {c.name: blank(c, size) for c in columns if c.source == "annotation"}


def _favourites(table: pd.DataFrame, root: Path) -> dict[str, str | None]:
    """Favourites of the original's later version, kept in its root, which may lie below this one."""
    if "dialect" not in table or "folder" not in table:
        return {}
    dated = _places(table, "dialect", "original dated")
    return favourites_above(root, map(str, table["folder"].iloc[dated])) if len(dated) else {}


def _places(table: pd.DataFrame, column: str, value: str) -> Any:
    """Rows in which a category column has a value; by its codes, because comparing texts costs ten times as much."""
    import numpy as np

    cells: Any = table[column].array
    names = list(cells.categories)
    return np.flatnonzero(cells.codes == names.index(value)) if value in names else np.empty(0, dtype=np.intp)


def add_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Each label key as a column `label_KEY`; runs without it have no value there."""
    if "labels" not in table or table["labels"].array.isna().all():
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

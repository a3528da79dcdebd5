"""What a runs frame knows beyond its records: living writers, annotations, labels as columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aipipe.analysis.columns import PREFIX, RUNS, Column
from aipipe.analysis.favourites import favourites_above
from aipipe.analysis.tables import Columns, blank, series
from aipipe.annotations import Annotated, Annotations

_COLUMNS = {c.name: c for c in RUNS}
_NOTHING = Annotated()


def add_liveness(data: Columns) -> None:
    """Say `interrupted` where a run is recorded as running and its writer is gone, by the store's own rule.

    Asked at every load and never kept in the index: a writer dies without touching metadata.json.
    """
    if "status" not in data or "folder" not in data:
        return
    running = _places(data["status"], "running")
    if not len(running):
        return
    from aipipe import lease

    for position in running.tolist():
        writer = lease.find(Path(str(data["folder"][position])))
        if writer is None or not writer.alive:
            data["status"][position] = "interrupted"
            if "status_source" in data:
                data["status_source"][position] = "derived"


def add_annotations(data: Columns, root: Path) -> None:
    """Join tags, notes, stars and exclusions that people added later, as far as there are columns for them."""
    folded = Annotations(root, author="reader").fold()
    starred_before = _favourites(data, root)
    if not folded and not starred_before:
        return
    known = [folded.get(run_id, _NOTHING) for run_id in data["run_id"]]
    favourite = [run_id in starred_before for run_id in data["run_id"]]
    remarks = [starred_before.get(run_id) for run_id in data["run_id"]]
    given: dict[str, list[Any]] = {
        "tags": [_tags(own, a) for own, a in zip(data["tags"], known, strict=True)],
        "starred": [a.starred or f for a, f in zip(known, favourite, strict=True)],
        "excluded": [a.excluded for a in known],
        "exclude_reason": [a.exclude_reason for a in known],
        "note": ["\n".join(n for n in (*a.notes, r) if n) or None for a, r in zip(known, remarks, strict=True)],
    }
    data.update({name: series(_COLUMNS[name], cells) for name, cells in given.items() if name in data})


def _tags(own: Any, known: Annotated) -> str | None:
    """Tags of the start and later ones, each once."""
    given = own.split(", ") if isinstance(own, str) else []
    return ", ".join(dict.fromkeys([*given, *known.tags])) or None


def unannotated(columns: Sequence[Column], size: int) -> dict[str, Any]:
    """Those of the columns that come from annotations, for runs that nobody has annotated."""
    return {c.name: _unsaid(c, size) for c in columns if c.source == "annotation"}


def _unsaid(column: Column, size: int) -> Any:
    import numpy as np
    import pandas as pd

    if column.kind == "bool":
        return pd.arrays.BooleanArray(np.zeros(size, dtype=bool), np.zeros(size, dtype=bool))
    return blank(column, size)


def _favourites(data: Columns, root: Path) -> dict[str, str | None]:
    """Favourites of the original's later version, kept in its root, which may lie below this one."""
    if "dialect" not in data or "folder" not in data:
        return {}
    dated = _places(data["dialect"], "original dated")
    return favourites_above(root, [str(data["folder"][i]) for i in dated.tolist()]) if len(dated) else {}


def _places(cells: Any, value: str) -> Any:
    """Where a category column has a value; by its codes, because comparing texts costs ten times as much."""
    import numpy as np

    if value not in cells.categories:
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero(cells.codes == cells.categories.get_loc(value))


def add_labels(data: Columns) -> None:
    """Each label key as a column `label_KEY`; runs without it have no value there."""
    if "labels" not in data or data["labels"].isna().all():
        return
    parsed: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for text in data["labels"]:
        if not isinstance(text, str):
            rows.append({})
            continue
        if text not in parsed:
            value = json.loads(text)
            parsed[text] = value if isinstance(value, dict) else {}
        rows.append(parsed[text])
    for key in sorted({k for row in parsed.values() for k in row}):
        column = Column(f"{PREFIX}{key}", "category", "label", "")
        data[column.name] = series(column, [None if (v := r.get(key)) is None else str(v) for r in rows])
    if "label_source_run_id" in data and "source_run_id" in data:
        # An import keeps the old id as a label, because the recorder decides the record's own fields.
        both = zip(data["source_run_id"], data["label_source_run_id"], strict=True)
        texts = [next((text for text in pair if isinstance(text, str)), None) for pair in both]
        data["source_run_id"] = series(_COLUMNS["source_run_id"], texts)

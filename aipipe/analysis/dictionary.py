"""The data dictionary, generated from the column tables: `python -m aipipe.analysis.dictionary docs/data-dictionary.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from aipipe.analysis.columns import DTYPES, FRAMES, columns_of

_ORIGIN = {
    "joined": "the run",
    "run": "metadata.json",
    "item": "record",
    "derived": "counted",
    "annotation": "annotations",
}


def markdown() -> str:
    """The whole dictionary."""
    lines = [
        "# Data dictionary",
        "",
        "Generated from `aipipe/analysis/columns.py`; do not edit. `run_id` joins every frame.",
        "",
    ]
    for name in FRAMES:
        lines += [f"## load_{name}", "", "| column | type | from | meaning |", "|---|---|---|---|"]
        for column in columns_of(name, texts=True):
            where, _, path = column.source.partition(".")
            origin = f"{_ORIGIN.get(where, where)}{f': {path}' if where in ('run', 'item') else ''}"
            lines.append(f"| `{column.name}` | {DTYPES[column.kind]} | {origin} | {column.text} |")
        lines.append("")
    lines += ["Labels of runs are further columns `label_KEY` of `load_runs`, categories.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")

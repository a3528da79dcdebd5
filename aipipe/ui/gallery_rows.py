"""What a gallery lists: one row per run, from whatever holds runs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.display.html import escape
from aipipe.errors import UsageError
from aipipe.store import Run

if TYPE_CHECKING:
    import pandas as pd

TEXT = 240
"""Characters of a run's texts that can be searched and read in the grid."""

COLUMNS = [
    "run_id", "timestamp", "config_name", "execution_mode", "safety_level", "status", "seconds", "seed", "tags",
    "starred", "excluded", "folder", "input_text", "interception_text",
]  # fmt: skip


@dataclass
class Row:
    """One run of a gallery; `time` in seconds since 1970, 0 if unknown."""

    run_id: str
    folder: Path
    config: str = ""
    mode: str = ""
    level: str = ""
    status: str = ""
    time: float = 0.0
    seconds: float | None = None
    seed: str = ""
    text: str = ""
    prompt: str = ""
    tags: list[str] = field(default_factory=list)
    starred: bool = False
    excluded: bool = False


def rows_of(source: Any = None) -> list[Row]:
    """The rows of a store, folder, frame with `run_id`, batch, run or list of runs; None: the project's store.

    Raises:
        UsageError: a frame without `run_id`, or something that holds no runs.
        RunNotFound: a folder does not exist.
    """
    if hasattr(source, "columns"):
        return _of_frame(source)
    if isinstance(source, Run):
        return [_of_run(source)]
    batch = getattr(source, "batch_id", None)
    if batch is not None:
        return _of_batch(source, str(batch))
    if source is None or isinstance(source, str | Path) or hasattr(source, "path"):
        return _of_store(source)
    if isinstance(source, Iterable):
        return _of_many(list(source))
    raise UsageError(
        f"{type(source).__name__} holds no runs.", hint="Pass a store, a folder, runs, or a frame with run_id."
    )


def _of_many(items: list[Any]) -> list[Row]:
    if all(isinstance(item, Run) for item in items):
        return [_of_run(run) for run in items]
    return [row for item in items for row in rows_of(item)]


def _of_store(source: Any) -> list[Row]:
    from aipipe.analysis import load_runs

    rows = _rows(load_runs(source, columns=COLUMNS, texts=True))
    return sorted(rows, key=lambda row: row.time, reverse=True)


def _of_batch(source: Any, batch_id: str) -> list[Row]:
    from aipipe.analysis import load_runs

    store = getattr(source, "store", None)
    frame = load_runs(store, columns=[*COLUMNS, "batch_id"], texts=True)
    return _rows(frame[frame["batch_id"] == batch_id])


def _of_frame(frame: pd.DataFrame) -> list[Row]:
    """The frame's own order; what it lacks is loaded."""
    if "run_id" not in frame.columns:
        raise UsageError("The frame has no column run_id.", hint="Keep run_id when you select columns.")
    chosen = frame.drop_duplicates("run_id")
    if set(COLUMNS) <= set(chosen.columns):
        return _rows(chosen)
    from aipipe.analysis import load_runs

    roots = {Path(str(folder)).parent for folder in chosen["folder"].dropna()} if "folder" in chosen else set()
    source: Any = sorted(roots) or frame.attrs.get("store")
    known = {row.run_id: row for row in _rows(load_runs(source, columns=COLUMNS, texts=True))}
    wanted = [str(run_id) for run_id in chosen["run_id"]]
    missing = [run_id for run_id in wanted if run_id not in known]
    if missing:
        raise UsageError(
            f"{len(missing)} of {len(wanted)} runs of the frame are not in the store.",
            hint=f"For example {missing[0]}. Keep the column folder, or frame.attrs['store'].",
        )
    return [known[run_id] for run_id in wanted]


def _rows(frame: pd.DataFrame) -> list[Row]:
    import pandas as pd

    # Object columns and one pass over tuples: ten times as fast as asking pandas cell by cell.
    plain = frame[COLUMNS].astype(object).where(frame[COLUMNS].notna(), None)
    rows = []
    for values in plain.itertuples(index=False, name=None):
        v = dict(zip(COLUMNS, values, strict=True))
        moment = v["timestamp"]
        rows.append(
            Row(
                run_id=str(v["run_id"]), folder=Path(str(v["folder"])), config=str(v["config_name"] or ""),
                mode=str(v["execution_mode"] or ""), level=str(v["safety_level"] or ""), status=str(v["status"] or ""),
                time=pd.Timestamp(moment).timestamp() if moment is not None else 0.0, seconds=v["seconds"],
                seed=str(v["seed"] or ""), text=str(v["input_text"] or "")[:TEXT],
                prompt=str(v["interception_text"] or "")[:TEXT],
                tags=[t for t in str(v["tags"] or "").split(", ") if t], starred=bool(v["starred"]),
                excluded=bool(v["excluded"]),
            )
        )  # fmt: skip
    return rows


def _of_run(run: Run) -> Row:
    from aipipe import timestamps
    from aipipe.annotations import Annotations

    record = run.record
    later = Annotations(run.folder.parent, author="reader").of(run.run_id)
    try:
        moment = timestamps.parse(record.timestamp).timestamp()
    except ValueError:
        moment = 0.0
    return Row(
        run_id=run.run_id, folder=run.folder, config=record.config_name, mode=record.execution_mode,
        level=record.safety_level, status=run.status, time=moment, seconds=record.seconds, seed=record.seed or "",
        text=_text(run, "input"), prompt=_text(run, "interception"),
        tags=list(dict.fromkeys([*record.tags, *later.tags])), starred=later.starred, excluded=later.excluded,
    )  # fmt: skip


def _text(run: Run, kind: str) -> str:
    from aipipe.errors import AipipeError

    try:
        return next((e.text[:TEXT] for e in run.all(kind)), "")
    except (AipipeError, OSError):
        return ""


def pack(rows: list[Row]) -> bytes:
    """The rows as gzipped JSON by column: 50,000 runs are about 2 MB, which the page filters by itself."""
    columns: dict[str, Any] = {"id": [row.run_id for row in rows]}
    for name in ("config", "mode", "level", "status"):
        values = sorted({getattr(row, name) for row in rows})
        place = {value: code for code, value in enumerate(values)}
        columns[name] = {"values": values, "codes": [place[getattr(row, name)] for row in rows]}
    columns["time"] = [round(row.time) for row in rows]
    columns["seconds"] = [None if row.seconds is None else round(row.seconds, 1) for row in rows]
    columns["seed"] = [row.seed for row in rows]
    columns["text"] = [row.text for row in rows]
    columns["prompt"] = [row.prompt if row.prompt != row.text else "" for row in rows]
    columns["tags"] = [row.tags for row in rows]
    columns["starred"] = [int(row.starred) for row in rows]
    columns["excluded"] = [int(row.excluded) for row in rows]
    return gzip.compress(json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode(), compresslevel=3)


def describe(rows: list[Row]) -> str:
    """How many runs of which status, in one line."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.status] = counts.get(row.status, 0) + 1
    parts = ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items(), key=lambda c: -c[1]))
    return f"{len(rows):,} runs{': ' + escape(parts) if parts else ''}"

"""The loaders: folders of runs as pandas frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.analysis import assemble
from aipipe.analysis.assemble import View
from aipipe.analysis.columns import PREFIX, TEXTS, Column, columns_of
from aipipe.analysis.index import Answer, answer
from aipipe.analysis.joined import add_annotations, add_labels, add_liveness, unannotated
from aipipe.analysis.narrowing import check_names, narrow
from aipipe.analysis.report import LoadReport
from aipipe.analysis.scan import MAX_DEPTH
from aipipe.analysis.source import moment, roots, zone
from aipipe.analysis.tables import CODE, arrays, arrow, framed, from_arrow, series

if TYPE_CHECKING:
    import pandas as pd

Since = str | datetime | timedelta | None


def load_runs(
    source: Any = None,
    *,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    since: Since = None,
    texts: bool = False,
    timezone: str | tzinfo | None = None,
    index: bool = True,
) -> pd.DataFrame:
    """One row per run.

    Args:
        source: Folder, Store, or a list of them; None for the project's store.
        columns: Names of wanted columns; None for all. Declared columns stand in docs/data-dictionary.md.
        where: Condition as a pandas query string, for example `status == "completed" and seconds < 60`. A time without a
            zone, as in `timestamp >= "2026-11-01"`, is UTC as the columns are.
        since: Only runs created at or after this: ISO text, datetime, date, or a timedelta back from now.
        texts: True adds the first input, its translation and the interception as text columns.
        timezone: Zone of naive times in records of older systems, for example "Europe/Berlin"; None: this machine's.
        index: False reads every record, without using or writing the index.

    Returns:
        A frame in the order of the folders (version 7 ids sort by time); `attrs["report"]` tells what was skipped.

    Raises:
        RunNotFound: the folder does not exist.
        UnknownName: a column that does not exist.
        InvalidInput: a `where` or `since` that cannot be understood.
    """
    return load("runs", source, columns, where, since, texts, timezone, index)


def load_entities(
    source: Any = None,
    *,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    since: Since = None,
    texts: bool = False,
    timezone: str | tzinfo | None = None,
    index: bool = True,
) -> pd.DataFrame:
    """One row per recorded entity; `texts=True` adds the content of text, code and JSON entities. See `load_runs`."""
    return load("entities", source, columns, where, since, texts, timezone, index)


def load_steps(
    source: Any = None,
    *,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    since: Since = None,
    timezone: str | tzinfo | None = None,
    index: bool = True,
) -> pd.DataFrame:
    """One row per call of a model or generator: time, tokens, parameters, outcome. See `load_runs`."""
    return load("steps", source, columns, where, since, False, timezone, index)


def load_safety(
    source: Any = None,
    *,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    since: Since = None,
    texts: bool = False,
    timezone: str | tzinfo | None = None,
) -> pd.DataFrame:
    """One row per safety decision; `texts=True` adds the exact text that was judged. See `load_runs`."""
    return load("safety", source, columns, where, since, texts, timezone, False)


def load_media(
    source: Any = None,
    *,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    since: Since = None,
    timezone: str | tzinfo | None = None,
) -> pd.DataFrame:
    """One row per media file: size, dimensions, duration, perceptual hash, embedded prompt. See `load_runs`."""
    return load("media", source, columns, where, since, False, timezone, False)


def load_errors(
    source: Any = None,
    *,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    since: Since = None,
    timezone: str | tzinfo | None = None,
) -> pd.DataFrame:
    """One row per error entity. See `load_runs`."""
    return load("errors", source, columns, where, since, False, timezone, False)


def load_prompts(
    source: Any = None,
    *,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    since: Since = None,
    timezone: str | tzinfo | None = None,
) -> pd.DataFrame:
    """The prompt-transformation ledger: one row per text input and output, with what each stage changed.

    See `load_runs`.
    """
    return load("prompts", source, columns, where, since, False, timezone, False)


def load(
    name: str,
    source: Any,
    columns: Sequence[str] | None,
    where: str | None,
    since: Since,
    texts: bool,
    timezone: str | tzinfo | None,
    index: bool,
) -> pd.DataFrame:
    """Load the frame called `name`; the named loaders are this with their own documentation."""
    import pandas as pd

    declared = columns_of(name, texts=texts)
    columns = columns if columns is None or isinstance(columns, str) else list(columns)
    check_names(columns, declared, TEXTS.get(name, ()))
    folders, start, where_naive = roots(source), moment(since), zone(timezone)
    report = LoadReport(name, "")
    report.of(folders)
    holders: dict[str, str] = {}
    last = len(folders) - 1
    parts = [
        _part(name, root, texts, where_naive, index, report, holders if number < last or holders else None)
        for number, root in enumerate(folders)
    ]
    whole = parts[0] if len(parts) == 1 else _stack(parts, declared)
    total = len(whole)
    if start is not None:
        whole = whole[whole["timestamp" if name == "runs" else "_created"] >= pd.Timestamp(start)]
    if "_created" in whole.columns:
        whole = whole.drop(columns="_created")
    return narrow(whole, columns, where, report, total)


@lru_cache(maxsize=64)
def _view(name: str, texts: bool, where_naive: tzinfo | None) -> View:
    columns = columns_of(name, texts=texts)
    itemise = assemble.ITEMISERS.get(name)
    if texts:
        itemise = assemble.run_with_texts if name == "runs" else assemble.with_texts(name)
    # The creation time of the run serves `since` in every frame and never reaches the caller.
    hidden = Column("_created", "time", "run.timestamp", "When the run was created.")
    hidden_too = () if name == "runs" else (hidden,)
    return View(name, (*columns, *hidden_too), itemise, where_naive, texts or name in assemble.READS_FILES)


def _part(
    name: str,
    root: Path,
    texts: bool,
    where_naive: tzinfo | None,
    index: bool,
    report: LoadReport,
    holders: dict[str, str] | None,
) -> pd.DataFrame:
    view = _view(name, texts, where_naive)
    with assemble.no_cycles():
        found = answer(root, view, use_index=index)
    report["index"] = found.state
    dropped = _account(found, report, holders)
    codes = _codes(found.table)
    tidy = found.stored is not None and found.stored.tidy
    data = arrays(arrow(), view.columns, found.table, _given(view, codes, found), tidy=tidy)
    if dropped:
        import numpy as np

        keep = ~np.isin(codes, list(dropped))
        data = {name: cells[keep] for name, cells in data.items()}
    if name == "runs":
        add_liveness(data)
    add_annotations(data, root)
    if name == "runs":
        add_labels(data)
    return framed(data)


def _codes(table: Any) -> Any:
    import numpy as np

    return table.column(CODE).to_numpy() if arrow() is not None else np.array(table[CODE], dtype=np.int64)


def _account(found: Answer, report: LoadReport, others: dict[str, str] | None) -> set[int]:
    """Write the report; returns the records that must be left out because another folder holds the same run.

    Args:
        found: The records of one store.
        report: Takes what is skipped, and counts.
        others: Run id → record of the stores before this one; takes those of this one. None: there is only this one.
    """
    listing, known = found.listing, found.known
    for name, cause in listing.bad:
        report.skip(f"{listing.root}/{name}", cause)
    if listing.unseen:
        report.note(f"{listing.unseen} folders more than {MAX_DEPTH} levels below {listing.root} were not looked into")
    report["found"] += len(listing.names) + len(listing.bad)
    # Nothing to say of any record, as a rule; found out without a step of Python for each.
    if known.plain and (others is None or others.keys().isdisjoint(known.run_ids)):
        twins: set[int] = set()
    else:
        twins = _twins(found, report, others or {})
    if others is not None:
        others |= {run_id: listing.root for run_id in known.run_ids if run_id is not None and run_id not in others}
    report["loaded"] = report["found"] - len(report["skipped"])
    return twins


def _twins(found: Answer, report: LoadReport, holders: dict[str, str]) -> set[int]:
    """Records that hold a run which another record holds too; told, as are those that cannot be read."""
    listing = found.listing
    twins: set[int] = set()
    holder: dict[str, int] = {}
    for code, (run_id, reason) in enumerate(zip(found.known.run_ids, found.known.reasons, strict=True)):
        if reason is not None:
            report.skip(f"{listing.root}/{listing.names[code]}", reason)
        elif run_id in holders:
            twins.add(code)
            report.skip(f"{listing.root}/{listing.names[code]}", f"it holds the same run_id as {holders[run_id]}")
        elif run_id is not None:
            other = holder.setdefault(run_id, code)
            if other != code:
                # The folder that carries the id is the original, a folder of another name the copy.
                mine = listing.names[code].split("/")[-2:-1] == [run_id]
                loser = other if mine else code
                holder[run_id] = code if mine else other
                twins.add(loser)
                winner = listing.names[holder[run_id]]
                report.skip(f"{listing.root}/{listing.names[loser]}", f"it holds the same run_id as {winner}")
    return twins


def _given(view: View, codes: Any, found: Answer) -> dict[str, Any]:
    """Columns that do not come from a record: the folder, and annotations as long as there are none."""
    given = unannotated(view.columns, len(codes))
    for column in view.columns:
        if column.name == "folder":
            given["folder"] = _folders(column, codes, found)
    return given


def _folders(column: Column, codes: Any, found: Answer) -> Any:
    import numpy as np

    listing = found.listing
    each_once = np.array_equal(codes, np.arange(len(listing.names)))
    known = found.stored.folders(listing.root) if found.stored is not None else None
    if known is not None:
        return from_arrow(arrow(), column, known if each_once else known.take(arrow().array(codes)))
    folders = listing.folders()
    return series(column, folders if each_once else [folders[c] for c in codes.tolist()])


def _stack(parts: list[pd.DataFrame], declared: Sequence[Column]) -> pd.DataFrame:
    """Frames of several stores as one, with categories united."""
    import pandas as pd

    names = list(dict.fromkeys(n for p in parts for n in p.columns))
    kinds = {c.name: c for c in declared}
    united: dict[str, Any] = {}
    for name in names:
        cells = [p[name] if name in p.columns else pd.Series([None] * len(p), dtype=object) for p in parts]
        column = kinds.get(name) or (Column(name, "category", "label", "") if name.startswith(PREFIX) else None)
        if column is not None and column.kind == "category":
            values = [None if pd.isna(v) else v for c in cells for v in c.astype(object)]
            united[name] = series(column, values)
        else:
            united[name] = pd.concat(cells, ignore_index=True)
    return pd.DataFrame(united)


LOADERS: dict[str, Callable[..., Any]] = {
    "runs": load_runs,
    "entities": load_entities,
    "steps": load_steps,
    "safety": load_safety,
    "media": load_media,
    "errors": load_errors,
    "prompts": load_prompts,
}

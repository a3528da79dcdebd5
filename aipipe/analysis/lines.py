"""Frames from append-only lines beside the runs: cases of batches, and ratings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.analysis.columns import KEYS, columns_of
from aipipe.analysis.dialects.common import mapping
from aipipe.analysis.extract import columns_from
from aipipe.analysis.findings import check_choice
from aipipe.analysis.joined import add_labels
from aipipe.analysis.narrowing import check_names, narrow
from aipipe.analysis.reading import Unreadable, parse, read_bytes
from aipipe.analysis.report import LoadReport
from aipipe.analysis.source import roots
from aipipe.analysis.tables import framed, series
from aipipe.batch.ledger import STATES, Ledger, is_failure

if TYPE_CHECKING:
    import pandas as pd

Line = dict[str, Any]
_CASE_FACTS = {
    "config_name": ("config_name", "config"),
    "input_id": ("input_id", "input"),
    "seed": ("seed",),
    "text_seed": ("text_seed",),
    "safety_level": ("safety_level", "safety", "level"),
    "execution_mode": ("execution_mode", "mode"),
}


def load_batch(
    source: Any = None,
    batch_id: str | None = None,
    *,
    columns: Sequence[str] | None = None,
    where: str | None = None,
) -> pd.DataFrame:
    """One row per case of every batch (or of one): planned facts and its state; the states add up to the plan.

    Args:
        source: Folder, Store, or a list of them; None for the project's store.
        batch_id: Only this batch.
        columns: Names of wanted columns.
        where: Condition as a pandas query string.

    Raises:
        UnknownName: no batch of this id.
    """
    report = LoadReport("batch", "")
    stores = _roots(source, report)
    folders = [p for r in stores for p in sorted((r / "batches").glob("*")) if p.is_dir() and not p.is_symlink()]
    if batch_id is not None:
        check_choice("batch", batch_id, [f.name for f in folders])
    rows = [case for f in folders if batch_id in (None, f.name) for case in _cases(f, report)]
    return _frame("batch", rows, columns, where, report)


def load_ratings(
    source: Any = None,
    *,
    task: str | None = None,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    history: bool = False,
) -> pd.DataFrame:
    """One row per rating: rater, criterion, run, value.

    Args:
        source: Folder, Store, or a list of them; None for the project's store.
        task: Only this rating task.
        columns: Names of wanted columns.
        where: Condition as a pandas query string.
        history: True keeps every line; otherwise the last rating of one rater, item and criterion counts.

    Raises:
        UnknownName: no task of this name.
    """
    report = LoadReport("ratings", "")
    rows: list[Line] = []
    stores = _roots(source, report)
    for root in stores:
        for path in sorted((root / "ratings").rglob("*.jsonl")):
            rows += [_rating(line, path) for line in _lines(path, report)]
    if task is not None:
        # A task that nobody has answered yet is known by its definition.
        defined = [p.stem for r in stores for p in (r / "ratings").glob("*.json")]
        check_choice("rating task", task, [*defined, *(str(r["task"]) for r in rows)])
        rows = [r for r in rows if r["task"] == task]
    if not history:
        names = ("task", "rater", "criterion", "item", "repeat")
        last = {tuple(repr(r[n]) for n in names): r for r in _by_time(rows)}  # a poisoned line may hold anything
        if again := len(rows) - len(last):
            report.note(f"{again} ratings were given again, and the later one counts; history=True shows all")
        rows = list(last.values())
    return _frame("ratings", rows, columns, where, report, lambda whole: _with_runs(whole, stores))


def _with_runs(ratings: pd.DataFrame, stores: list[Path]) -> pd.DataFrame:
    """Ratings with the shared keys of the rated runs; a run that is gone has none."""
    from aipipe.analysis.loaders import load_runs

    names = [c.name for c in KEYS if c.name != "run_id"]
    known = load_runs(stores, columns=["run_id", *names]).set_index("run_id") if len(ratings) else None
    for column in columns_of("ratings"):
        if column.source == "joined":
            other = column.name.removeprefix("other_")
            place = ratings["other_run_id" if other != column.name else "run_id"]
            looked_up = dict(known[other].astype(object).dropna()) if known is not None else {}
            ratings[column.name] = series(column, [looked_up.get(r) if isinstance(r, str) else None for r in place])
    return ratings


def _roots(source: Any, report: LoadReport) -> list[Path]:
    folders = roots(source)
    report.of(folders)
    return folders


def _by_time(rows: list[Line]) -> list[Line]:
    return sorted(rows, key=lambda r: str(r.get("timestamp") or ""))


def _frame(
    name: str,
    rows: list[Line],
    columns: Sequence[str] | None,
    where: str | None,
    report: LoadReport,
    joined: Callable[[pd.DataFrame], pd.DataFrame] = lambda whole: whole,
) -> pd.DataFrame:
    declared = columns_of(name)
    check_names(columns, declared)
    found = columns_from(declared, rows, rows)
    own = {c.name: series(c, found[c.name]) for c in declared if c.source != "joined"}
    add_labels(own)
    whole = joined(framed(own))
    report["loaded"] = report["found"] - len(report["skipped"])
    return narrow(whole, columns, where, report)


def _lines(path: Path, report: LoadReport) -> list[Line]:
    """Lines of one file; a torn last line is what a killed writer leaves and is skipped with a reason."""
    try:
        data, _ = read_bytes(str(path))
    except Unreadable as error:
        report["found"] += 1
        report.skip(str(path), str(error))
        return []
    found = []
    for number, raw in enumerate(data.split(b"\n"), start=1):
        if not raw.strip():
            continue
        report["found"] += 1
        try:
            value = parse(raw)
        except Unreadable as error:
            report.skip(f"{path}:{number}", str(error))
            continue
        if isinstance(value, dict):
            found.append(value)
        else:
            report.skip(f"{path}:{number}", "the line is not a JSON object")
    return found


def _cases(folder: Path, report: LoadReport) -> list[Line]:
    planned = _planned(folder, report)
    known = set(planned)
    for line in _lines(folder / "cases.jsonl", report) if (folder / "cases.jsonl").exists() else []:
        key = line.get("case_key")
        if not isinstance(key, str) or (known and key not in known):
            report.skip(f"{folder.name}/cases.jsonl", "a line of a case that is not in the plan")
        elif line.get("state") in STATES and type(line.get("attempt") or 0) is int:
            planned[key] = _advanced(planned.get(key, {"case_key": key}), line)
        else:
            report.skip(f"{folder.name}/cases.jsonl", "a line without a known state and a number of the attempt")
    return [
        {"batch_id": folder.name, **_named(case), "state": _state(folder, case)}
        for case in sorted(planned.values(), key=lambda c: c["index"] if type(c.get("index")) is int else -1)
    ]


def _state(folder: Path, case: Line) -> str:
    """The state as `Batch.status` counts it: one that was running and whose processes are gone is interrupted."""
    state = case.get("state")
    if state is None:
        return "excluded" if case.get("excluded") else "waiting"
    if state == "running":
        claimed = (str(case.get("case_key")), int(case.get("highest", 0)), str(case.get("phase") or ""))
        return "running" if Ledger(folder).is_worked_on(*claimed) else "interrupted"
    return str(state)


def _planned(folder: Path, report: LoadReport) -> dict[str, Line]:
    try:
        plan = parse(read_bytes(str(folder / "plan.json"))[0])
    except Unreadable as error:
        report.note(f"{folder.name}: plan.json: {error}; only cases with lines are listed")
        return {}
    cases = plan.get("cases") if isinstance(plan, dict) else None
    listed = cases if isinstance(cases, list) else []
    keyed: dict[str, Line] = {}
    for number, case in enumerate(c for c in listed if isinstance(c, dict)):
        key = case.get("case_key", case.get("key"))
        if isinstance(key, str):
            keyed[key] = {"index": number, **case, "case_key": key}
    return keyed


_OF_AN_END = ("finished", "seconds", "message", "cause", "run_ids", "held", "phase", "when", "outage")
"""What the line before said of its end; the next line says its own, or nothing."""


def _advanced(known: Line, line: Line) -> Line:
    """A case after one more line; a new attempt forgets the end of the last one."""
    attempt = line.get("attempt")
    kept = {k: v for k, v in known.items() if k not in _OF_AN_END}
    updated = {**kept, **{k: v for k, v in line.items() if v is not None}}
    updated["highest"] = max(known.get("highest", 0), attempt or 0)
    failed = {*known.get("failed", ()), attempt} if is_failure(line) else {*known.get("failed", ())} - {attempt}
    updated |= {"failed": failed, "failures": len(failed)}
    if line.get("state") == "running":
        updated["started"] = line.get("when")
    else:
        updated["finished"] = line.get("when")
    return updated


def _named(case: Line) -> Line:
    named = dict(case)
    for name, spellings in _CASE_FACTS.items():
        named[name] = next((case[s] for s in spellings if case.get(s) is not None), None)
    runs = case.get("run_ids", case.get("runs", case.get("run_id")))
    named["run_ids"] = [runs] if isinstance(runs, str) else runs
    if isinstance(case.get("notebook_parameters"), dict):
        named["parameters"] = {**mapping(case.get("parameters")), **case["notebook_parameters"]}
    return {k: v for k, v in named.items() if v is not None}


def _rating(line: Line, path: Path) -> Line:
    value = line.get("value", line.get("answer"))
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    run_id = line.get("run_id")
    return {
        **line,
        "task": line.get("task") or path.stem,
        "rater": line.get("rater") or line.get("who"),
        "criterion": line.get("criterion"),
        "value": number,
        "answer": value,
        "run_id": run_id,
        "other_run_id": line.get("other_run_id"),
        "entity_sha256": line.get("entity_sha256", line.get("sha256", line.get("entity"))),
        "item": str(line.get("item") or line.get("entity_sha256") or run_id),
        "repeat": line.get("repeat") is True,
        "timestamp": line.get("timestamp", line.get("when")),
    }

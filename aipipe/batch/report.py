"""The report of a batch: numbers that add up, failures by cause, a matrix of pictures. One file, no script."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe import files
from aipipe.batch.progress import duration
from aipipe.display.html import escape, page, pill
from aipipe.display.media_view import data_uri, thumbnail

if TYPE_CHECKING:
    from aipipe.batch.batch import Batch
    from aipipe.batch.ledger import CaseState
    from aipipe.batch.plan import Case, Plan
    from aipipe.batch.snapshot import Snapshot
    from aipipe.batch.status import BatchStatus

MATRIX_ROWS, MATRIX_COLUMNS = 60, 12
THUMB_BYTES = 12_000


def status_html(status: BatchStatus) -> str:
    """The numbers of a batch, with a bar."""
    return page(_head(status) + _bar(status) + _causes(status), label=f"batch {status.batch_id}")


def plan_bundle(plan: Plan) -> dict[str, Any]:
    """The rich display of a batch's plan: how many cases of what, the cases themselves as a bounded table."""
    from aipipe.display import sheet_bundle

    excluded = sum(case.excluded for case in plan.cases)
    facts = (
        f"{len(plan.cases)} cases" + (f", {excluded} excluded" if excluded else "") + f" · hash {plan.plan_hash[:12]}"
    )
    per_config = Counter(case.config for case in plan.cases)
    lines = [f"batch {plan.batch_id}: {facts}", *(f"  {number} × {config}" for config, number in per_config.items())]
    cases = sorted(plan.cases, key=lambda case: case.index)
    rows = (
        (c.index, c.config, " / ".join(c.texts)[:160], c.seed, c.safety, c.mode, "excluded" if c.excluded else "")
        for c in cases
    )
    head = ("case", "config", "text", "seed", "level", "mode", "")
    return sheet_bundle("\n".join(lines), f"Plan of batch {plan.batch_id}", facts=facts, head=head, rows=rows)


def report_html(batch: Batch) -> str:
    """The whole report as a page."""
    status = batch.status
    states = batch.states
    body = (
        _head(status) + _bar(status) + _counts(status) + _causes(status) + _matrix(batch, states)
        + _timings(batch.plan.cases, states)
    )  # fmt: skip
    title = f"aipipe batch {status.batch_id}"
    look = "body{margin:2rem auto;max-width:76rem;padding:0 1rem;background:Canvas;color:CanvasText;color-scheme:light dark}.aip{max-width:none!important}"
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{look}</style>{page(body, label=title)}</html>'


def write_report(batch: Batch) -> Path:
    """Write report.html of a batch anew; it is replaced in one step."""
    path = batch.folder / "report.html"
    temporary = path.with_name(f".report.html.{files.uuid7()}")
    files.write_bytes(temporary, report_html(batch).encode(), sync=False)
    files.replace(temporary, path)
    return path


def _head(status: BatchStatus) -> str:
    word = "completed" if status.clean else "failed" if status.done else "running"
    label = {"completed": "done", "failed": "done, with failures", "running": "not finished"}[word]
    return f'<div class="aip-head"><span class="aip-title">Batch</span>{pill(label, word)} <span class="aip-facts">{escape(status.batch_id)} · {status.counts["planned"]} cases planned</span></div>'


def _bar(status: BatchStatus) -> str:
    total = max(1, status.counts["planned"])
    colours = {
        "completed": "#1a7f4b",
        "blocked": "#b35900",
        "failed": "#c0362c",
        "interrupted": "#8a4b9e",
        "running": "#2563c4",
        "excluded": "#9aa0a6",
    }
    parts = "".join(
        f'<span style="display:inline-block;height:10px;width:{100 * status.counts[name] / total:.3f}%;background-color:{colour}" title="{name}"></span>'
        for name, colour in colours.items()
        if status.counts[name]
    )
    shown = " · ".join(f"{number} {name}" for name, number in status.counts.items() if number and name != "planned")
    return f'<div style="background-color:rgba(128,128,128,.2);border-radius:5px;overflow:hidden;line-height:0" role="img" aria-label="{escape(shown)}">{parts}</div><div class="aip-facts">{escape(shown)}</div>'


def _counts(status: BatchStatus) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{number}</td></tr>" for name, number in status.counts.items())
    return f"<h3>Denominators</h3><table><tbody>{rows}</tbody></table><div class='aip-note'>planned = completed + blocked + failed + interrupted + running + waiting + excluded</div>"


def _causes(status: BatchStatus) -> str:
    if not status.causes and not status.paused:
        return ""
    rows = "".join(
        f"<tr><td>{number}</td><td>{escape(cause)}</td><td>{escape(example)}</td></tr>"
        for cause, (number, example) in status.causes.items()
    )
    paused = "".join(
        f'<div class="aip-step error">{escape(config)} is paused: {escape(why)}</div>'
        for config, why in status.paused.items()
    )
    return f"<h3>Failures by cause</h3><table><thead><tr><th>cases</th><th>cause</th><th>example</th></tr></thead><tbody>{rows}</tbody></table>{paused}"


def _matrix(batch: Batch, states: Mapping[str, CaseState]) -> str:
    """What the cases made: a row for each input, a column for each config, and whatever else was crossed where it fits."""
    cases = sorted(batch.plan.cases, key=lambda c: c.index)
    crossed = [
        name for name in ("seed", "text_seed", "safety", "mode", "repeat") if len({getattr(c, name) for c in cases}) > 1
    ]
    columns = list(dict.fromkeys(map(_column(cases), cases)))
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    column = _column(cases)
    for case in cases:
        row = (_input(case), *(str(getattr(case, name)) for name in crossed))
        if row not in rows and len(rows) >= MATRIX_ROWS:
            continue
        if column(case) in columns[:MATRIX_COLUMNS]:
            state = states[case.case_key]
            rows.setdefault(row, {})[column(case)] = _cell(batch, state.run_ids, state.state)
    head = "".join(
        f'<th scope="col">{escape(c)}</th>'
        for c in ("input", *(LABELS.get(n, n) for n in crossed), *columns[:MATRIX_COLUMNS])
    )
    body = "".join(
        f'<tr><th scope="row" dir="auto">{escape(row[0][:120])}</th>'
        + "".join(f"<td>{escape(value)}</td>" for value in row[1:])
        + "".join(f"<td>{cells.get(c, '')}</td>" for c in columns[:MATRIX_COLUMNS])
        + "</tr>"
        for row, cells in rows.items()
    )
    return f"<h3>What was made</h3>{_cut(cases, rows, columns, crossed)}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


LABELS = {"safety": "level", "text_seed": "text seed"}


def _input(case: Case) -> str:
    return case.input_id or " / ".join(case.texts) or ", ".join(case.images)


def _column(cases: Sequence[Case]) -> Callable[[Case], str]:
    """Name of a case's column: its config, and its outputs and models where one config has several."""
    outputs = _differ(cases, lambda case: case.outputs)
    models = _differ(cases, lambda case: tuple(sorted(case.models.items())))

    def name(case: Case) -> str:
        parts = [case.config]
        parts += [", ".join(case.outputs)] if outputs else []
        parts += [", ".join(dict.fromkeys(case.models.values()))] if models else []
        return " · ".join(part for part in parts if part)

    return name


def _differ(cases: Sequence[Case], of: Callable[[Case], Any]) -> bool:
    found: defaultdict[tuple[str, str, str], set[Any]] = defaultdict(set)
    for case in cases:
        found[case.config, case.mode, case.safety].add(of(case))
    return any(len(values) > 1 for values in found.values())


def _cut(cases: Sequence[Case], rows: Mapping[Any, Any], columns: Sequence[str], crossed: Sequence[str]) -> str:
    """A table that does not show everything says so."""
    number = len({(_input(c), *(getattr(c, n) for n in crossed)) for c in cases})
    notes = [f"the first {len(rows)} of {number} rows"] if number > len(rows) else []
    notes += [f"the first {MATRIX_COLUMNS} of {len(columns)} columns"] if len(columns) > MATRIX_COLUMNS else []
    return (
        f'<div class="aip-note">{" and ".join(notes)}; all of them: aipipe.gallery(batch.runs)</div>' if notes else ""
    )


def _cell(batch: Batch, run_ids: list[str], state: str) -> str:
    from aipipe.errors import AipipeError

    for run_id in run_ids:
        try:
            run = batch._lab.store.open(run_id)
            texts = [e.text for e in run.entities if e.type == "interception"]
            media = [e for e in run.entities if e.type.startswith("output_") and e.path.is_file()]
        except AipipeError:
            continue
        small = thumbnail(media[0].path, 160, THUMB_BYTES, media_type=media[0].media_type) if media else None
        if small is not None:
            alt = escape((texts or [""])[0][:160])
            return f'<img alt="{alt}" title="{alt}" width="128" src="{data_uri(small, "image/webp")}">'
        if texts:
            return f'<div class="aip-text" dir="auto">{escape(texts[0][:160])}</div>'
    return pill(state)


def _timings(cases: Sequence[Case], states: Mapping[str, CaseState]) -> str:
    """Seconds per case, for each config, with a bar from the shortest to the longest."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for case in cases:
        seconds = states[case.case_key].seconds
        if isinstance(seconds, (int, float)):
            found[case.config].append(float(seconds))
    if not found:
        return ""
    longest = max(max(values) for values in found.values()) or 1.0
    rows = "".join(_timing(name, sorted(values), longest) for name, values in sorted(found.items()))
    together = sum(sum(values) for values in found.values())
    head = "".join(f'<th scope="col">{name}</th>' for name in ("config", "cases", "median", "90 %", "longest", ""))
    return (
        f"<h3>Seconds per case</h3><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f'<div class="aip-note">together {duration(together)} of work; a case runs once, whatever its attempts</div>'
    )


def _timing(name: str, values: list[float], longest: float) -> str:
    def at(share: float) -> float:
        return values[min(len(values) - 1, int(share * len(values)))]

    left, middle, width = (100 * v / longest for v in (values[0], at(0.5), values[-1] - values[0]))
    bar = (
        f'<div style="position:relative;width:12rem;height:10px" role="img" aria-label="{values[0]:.2f} to {values[-1]:.2f} s">'
        f'<span style="position:absolute;left:{left:.1f}%;width:{max(0.8, width):.1f}%;height:10px;border-radius:5px;background-color:rgba(37,99,196,.35)"></span>'
        f'<span style="position:absolute;left:{middle:.1f}%;width:3px;height:10px;background-color:#2563c4"></span></div>'
    )
    cells = "".join(
        f"<td>{value}</td>" for value in (len(values), f"{at(0.5):.2f}", f"{at(0.9):.2f}", f"{values[-1]:.2f}")
    )
    return f'<tr><th scope="row">{escape(name)}</th>{cells}<td>{bar}</td></tr>'


def live_bundle(snapshot: Snapshot) -> dict[str, Any]:
    """A batch while it runs, for a cell: numbers, pace, running cases, newest pictures, failures."""
    status, progress = snapshot.status, snapshot.progress
    now = "".join(
        f'<li dir="auto">{escape(c.name)} <span class="aip-facts">{duration(c.seconds)}{" · texts" if c.phase else ""}</span></li>'
        for c in progress.current
    )
    pictures = "".join(_small(path, caption) for caption, path in progress.pictures)
    body = (
        _head(status) + _bar(status) + f'<div class="aip-facts">{escape(str(progress))}</div>'
        + (f"<h3>Running now</h3><ul>{now}</ul>" if now else "")
        + (f'<h3>Newest</h3><div style="display:flex;gap:8px;flex-wrap:wrap">{pictures}</div>' if pictures else "")
        + _causes(status)
    )  # fmt: skip
    return {"text/html": page(body, label=f"batch {status.batch_id}"), "text/plain": str(snapshot)}


def _small(path: Any, caption: str) -> str:
    data = thumbnail(path, 96, THUMB_BYTES)
    if data is None:
        return ""
    return f'<img alt="{escape(caption)}" title="{escape(caption)}" width="96" src="{data_uri(data, "image/webp")}">'

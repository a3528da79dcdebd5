"""The report of a batch: numbers that add up, failures by cause, a matrix of pictures. One file, no script."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from aipipe.display.html import escape, page, pill
from aipipe.display.media_view import data_uri, thumbnail

if TYPE_CHECKING:
    from aipipe.batch.batch import Batch
    from aipipe.batch.plan import Plan
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
    body = _head(status) + _bar(status) + _counts(status) + _causes(status) + _matrix(batch) + _timings(batch)
    title = f"aipipe batch {status.batch_id}"
    look = "body{margin:2rem auto;max-width:76rem;padding:0 1rem;background:Canvas;color:CanvasText;color-scheme:light dark}.aip{max-width:none!important}"
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{look}</style>{page(body, label=title)}</html>'


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


def _matrix(batch: Batch) -> str:
    """Inputs × configs, with the first picture of each cell, or its state."""
    states = batch.states
    cells: dict[tuple[str, int, str], str] = {}
    columns = list(dict.fromkeys(case.config for case in sorted(batch.plan.cases, key=lambda c: c.index)))[
        :MATRIX_COLUMNS
    ]
    rows: list[tuple[str, int]] = []
    for case in sorted(batch.plan.cases, key=lambda c: c.index):
        row = (case.input_id or " / ".join(case.texts) or ", ".join(case.images), case.seed)
        if row not in rows:
            if len(rows) >= MATRIX_ROWS:
                continue
            rows.append(row)
        key = (*row, case.config)
        if key not in cells:
            cells[key] = _cell(batch, states[case.case_key].run_ids, states[case.case_key].state)
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in ("input", "seed", *columns))
    body = "".join(
        f'<tr><th scope="row" dir="auto">{escape(name[:120])}</th><td>{seed}</td>'
        + "".join(f"<td>{cells.get((name, seed, c), '')}</td>" for c in columns)
        + "</tr>"
        for name, seed in rows
    )
    more = (
        f'<div class="aip-note">the first {MATRIX_ROWS} inputs; all of them: aipipe.gallery(batch)</div>'
        if len(rows) >= MATRIX_ROWS
        else ""
    )
    return f"<h3>Pictures</h3><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(batch: Batch, run_ids: list[str], state: str) -> str:
    from aipipe.errors import AipipeError

    for run_id in run_ids:
        try:
            run = batch._lab.store.open(run_id)
            texts = [e.text for e in run.entities if e.type == "interception"]
            pictures = [e.path for e in run.entities if e.type == "output_image"]
        except AipipeError:
            continue
        small = thumbnail(pictures[0], 160, THUMB_BYTES) if pictures else None
        if small is not None:
            alt = escape((texts or [""])[0][:160])
            return f'<img alt="{alt}" title="{alt}" width="128" src="{data_uri(small, "image/webp")}">'
        if texts:
            return f'<div class="aip-text" dir="auto">{escape(texts[0][:160])}</div>'
    return pill(state)


def _timings(batch: Batch) -> str:
    seconds = sorted(s.seconds for s in batch.states.values() if s.seconds is not None)
    if not seconds:
        return ""
    middle = seconds[len(seconds) // 2]
    return f"<h3>Time per case</h3><div>median {middle:.2f} s · shortest {seconds[0]:.2f} s · longest {seconds[-1]:.2f} s · together {sum(seconds) / 3600:.2f} h</div>"

"""How workflows, outputs and results show themselves in a notebook: plain HTML without scripts, texts escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aipipe.comfy import graphs
from aipipe.display.html import escape, page, pill

if TYPE_CHECKING:
    from aipipe.comfy.jobs import Job
    from aipipe.comfy.pooljob import PoolJob
    from aipipe.comfy.results import Output, Result
    from aipipe.comfy.workflow import Workflow

INLINE_BYTES = 12_000_000
"""Larger files are named instead of shown: notebooks keep what they show."""


def _table(rows: Iterable[Iterable[Any]], head: Iterable[str] = ()) -> str:
    def cells(row: Iterable[Any], tag: str) -> str:
        style = "text-align:left;vertical-align:top;padding:2px 8px"
        return "".join(f'<{tag} style="{style}">{html.escape(str(c))}</{tag}>' for c in row)

    top = f"<thead><tr>{cells(head, 'th')}</tr></thead>" if head else ""
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table>{top}<tbody>{body}</tbody></table>"


def _player(output: Output) -> str:
    name = html.escape(output.filename or output.node_title)
    if output.text is not None:
        return f"<pre style='white-space:pre-wrap'>{html.escape(output.text[:20_000])}</pre>"
    if output.path is None or not output.path.is_file():
        return f"<p>{name}</p>"
    if output.bytes > INLINE_BYTES or output.media_type not in ("image", "animation", "audio", "video"):
        return f"<p>{name} ({html.escape(output.mime)}, {output.bytes:,} bytes)</p>"
    data = f"data:{html.escape(output.mime)};base64,{base64.b64encode(output.path.read_bytes()).decode()}"
    if output.media_type == "video":
        return f'<video controls style="max-width:100%;max-height:480px" src="{data}"></video>'
    if output.media_type == "audio":
        return f'<audio controls src="{data}"></audio>'
    return f'<img alt="{name}" style="max-width:100%;max-height:480px" src="{data}">'


def _caption(output: Output) -> str:
    facts = [output.node_title, output.filename, output.mime, f"{output.bytes:,} bytes"]
    return f"<figcaption>{html.escape(' · '.join(f for f in facts if f))}</figcaption>"


def output_bundle(output: Output) -> dict[str, Any]:
    """One output: player or picture with its caption."""
    plain = output.text if output.text is not None else f"{output.filename} ({output.media_type}, {output.bytes} bytes)"
    return {"text/plain": plain, "text/html": f"<figure>{_player(output)}{_caption(output)}</figure>"}


def result_bundle(result: Result) -> dict[str, Any]:
    """All outputs, seeds, warnings."""
    lines = [f"{len(result.outputs)} outputs of job {result.job_id} at {result.server}"]
    lines += [f"  {o.node_title}: {o.filename or (o.text or '')[:80]} ({o.media_type})" for o in result.outputs]
    lines += [f"  warning: {w}" for w in result.warnings]
    body = "".join(f"<figure>{_player(o)}{_caption(o)}</figure>" for o in result.outputs)
    warned = "".join(f"<p>⚠ {html.escape(w)}</p>" for w in result.warnings)
    seeds = _table(result.seeds.items(), ("seed", "value")) if result.seeds else ""
    return {"text/plain": "\n".join(lines), "text/html": f"<div>{body}{warned}{seeds}</div>"}


def job_bundle(job: Job | PoolJob, result: Result | None = None) -> dict[str, Any]:
    """How far a job is, as last heard, where it runs, how it is found again; its outputs once they are here."""
    again = f"server.job({job.job_id!r})"
    lines = [f"Job {job.job_id} at {job.server.url}: {job.status}", f"  again, from any process: {again}"]
    facts = f"{job.server.url} · {job.job_id}"
    body = (
        f'<div class="aip-head"><span class="aip-title">ComfyUI job</span>{pill(job.status)}'
        f'<span class="aip-facts">{escape(facts)}</span></div>'
        f'<div class="aip-note">Found again from any process by <code>{escape(again)}</code></div>'
    )
    if result is not None:
        shown = result_bundle(result)
        return {
            "text/plain": "\n".join([*lines, shown["text/plain"]]),
            "text/html": page(body, label=f"job {job.job_id}") + shown["text/html"],
        }
    seeds = _table(job.seeds.items(), ("seed", "value")) if job.seeds else ""
    return {"text/plain": "\n".join(lines), "text/html": page(body + seeds, label=f"job {job.job_id}")}


def workflow_bundle(workflow: Workflow) -> dict[str, Any]:
    """Nodes with their inputs, what feeds what, aliases, and what the conversion reported."""
    graph = workflow.graph
    aliases = {place: name for name, places in workflow.aliases.items() for place in places}
    rows = []
    for node in graph:
        values, fed = [], []
        for key, value in graphs.inputs(graph, node).items():
            if graphs.is_link(value):
                fed.append(f"{key} ← {graphs.title(graph, str(value[0]))} (#{value[0]})")
            else:
                alias = aliases.get(f"#{node}.{key}")
                values.append(f"{key} = {str(value)[:80]}" + (f"  [{alias}]" if alias else ""))
        rows.append(
            (f"#{node}", graphs.title(graph, node), graphs.class_of(graph, node), "\n".join(values), "\n".join(fed))
        )
    text = "\n".join(f"{i:6} {t} ({c}) {v.replace(chr(10), ', ')}" for i, t, c, v, _ in rows)
    notes = workflow.conversion.lines() if workflow.conversion is not None else []
    report = "".join(f"<li>{html.escape(line)}</li>" for line in notes)
    table = _table(rows, ("id", "title", "class", "values", "links")).replace("\n", "<br>")
    shown = f"<details open><summary>{html.escape(repr(workflow))}</summary>{table}<ul>{report}</ul></details>"
    return {"text/plain": "\n".join([repr(workflow), text, *notes]), "text/html": shown}

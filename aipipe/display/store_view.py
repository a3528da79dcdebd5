"""A store: its newest runs with thumbnails, and what could not be read."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from aipipe.display.chain import chain
from aipipe.display.html import escape, folded, page, pill
from aipipe.display.media_view import data_uri, thumbnail
from aipipe.display.table import table_text
from aipipe.display.text import short_path

SHOWN = 12
PROMPT_CHARACTERS = 160


def store_bundle(store: Any) -> dict[str, Any]:
    """The rich display of a store: its newest runs."""
    runs = list(itertools.islice(store, SHOWN))
    return {"text/html": _html(store, runs), "text/plain": _text(store, runs)}


def _html(store: Any, runs: list[Any]) -> str:
    head = (
        f'<div class="aip-head"><span class="aip-title">{len(store):,} runs</span>'
        f'<span class="aip-facts">{escape(short_path(store.path))}</span></div>'
    )
    if not runs:
        return page(head + '<div class="aip-note">No run yet: aipipe.Lab().run("dada", "a flower")</div>')
    more = '<div class="aip-note">… and older ones; aipipe.gallery() shows them all</div>' if len(store) > SHOWN else ""
    body = runs_table([run_row(run) for run in runs]) + more
    problems = list(store.problems)
    if problems:
        listed = "".join(f"<li>{escape(short_path(p.path))}: {escape(p.reason)}</li>" for p in problems[:50])
        body += folded(f"{len(problems)} folders could not be read", f"<ul>{listed}</ul>")
    return page(head + body, label="store")


def runs_table(rows: Iterable[str]) -> str:
    """Rows made by `run_row` as a table."""
    titles = "".join(f'<th scope="col">{t}</th>' for t in ("", "config", "seed", "status", "prompt", "when", "run"))
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def run_row(run: Any) -> str:
    """One run as a row: small picture, config, seed, status, prompt."""
    record = run.record
    seed = record.seed or ""
    return (
        f'<tr><td style="min-width:48px">{_picture(run)}</td>'
        f"<td>{escape(record.config_name)}</td><td>{escape(seed)}</td><td>{pill(run.status)}</td>"
        f'<td dir="auto">{escape(_beginning(_prompt(run)))}</td>'
        f'<td style="white-space:nowrap">{escape(record.timestamp[:16].replace("T", " "))}</td>'
        f"<td><code>{escape(run.run_id)}</code></td></tr>"
    )


def _picture(run: Any) -> str:
    for entity in run.entities:
        if entity.type.startswith("output_"):
            try:
                small = thumbnail(entity.path, 72, 4_000, media_type=entity.media_type)
            except OSError:
                small = None
            if small:
                return f'<img alt="" width="48" src="{data_uri(small, "image/webp")}">'
    return ""


def _prompt(run: Any) -> str:
    texts = [link.text for link in chain(run) if link.text and link.entity.type != "error"]
    return texts[-1] if texts else ""


def _beginning(prompt: str) -> str:
    return prompt if len(prompt) <= PROMPT_CHARACTERS else prompt[: PROMPT_CHARACTERS - 1].rstrip() + "…"


def _text(store: Any, runs: list[Any]) -> str:
    rows = [
        {
            "when": r.record.timestamp[:16].replace("T", " "),
            "config": r.record.config_name,
            "status": r.status,
            "prompt": _prompt(r),
            "run": r.run_id,
        }
        for r in runs
    ]
    listed = table_text(rows) if rows else "no run yet"
    return f"{len(store):,} runs in {short_path(store.path)}\n{listed}"

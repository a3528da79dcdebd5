"""The state of a run as plain HTML and text: what stays in the notebook when nothing lives any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aipipe.display.html import escape, page, pill, text_block
from aipipe.display.media_view import data_uri, thumbnail
from aipipe.display.text import short_path
from aipipe.ui.progress import Item, Progress, StageView

MARKS = {
    "waiting": "○", "running": "◐", "completed": "✓", "blocked": "■", "failed": "✗", "cancelled": "–", "skipped": "·",
}  # fmt: skip
COLOURS = {
    "completed": "var(--aip-ok)", "running": "var(--aip-busy)", "blocked": "var(--aip-stop)", "failed": "var(--aip-bad)",
    "cancelled": "var(--aip-stop)",
}  # fmt: skip
SHOWN = ("image", "video", "audio", "music")
THUMB_BYTES = 40_000


def bundle(progress: Progress, *, compact: bool = False) -> dict[str, Any]:
    """HTML and text of a run; `compact` leaves out texts and pictures, for a page that shows the run itself below."""
    return {"text/html": html(progress, compact=compact), "text/plain": text(progress)}


def html(progress: Progress, *, compact: bool = False) -> str:
    """The run as self-contained HTML without script."""
    body = _head(progress) + _stages(progress)
    if progress.message:
        body += f'<div class="aip-step error">{escape(progress.message)}</div>'
    if progress.hint:
        body += f'<div class="aip-note">Next: {escape(progress.hint)}</div>'
    if not progress.ended:
        body += f'<div class="aip-note">{escape(" ".join(filter(None, (progress.activity, progress.detail))))}</div>'
    if not compact:
        body += _items(progress) + "".join(f'<div class="aip-note">{escape(n)}</div>' for n in progress.notices)
        body += f'<div class="aip-note">{escape(short_path(progress.folder))}</div>'
    return page(body, label=f"{_noun(progress)} {progress.run_id}")


def text(progress: Progress) -> str:
    """The run as lines of text."""
    seconds = f" · {progress.seconds:.1f} s" if progress.ended else ""
    lines = [f"{progress.config or 'run'} · {progress.status}{seconds} · {_noun(progress)} {progress.run_id}"]
    lines += [f"  {MARKS[s.state]} {s.name}{_time(s)}" for s in progress.stages]
    for item in progress.items:
        content = item.verdict or " ".join(item.text.split())[:300] or item.filename
        lines.append(f"  {item.sequence:02} {item.label}: {content}")
    if progress.message:
        lines.append(f"  {progress.message}")
    return "\n".join(lines)


def _noun(progress: Progress) -> str:
    return "run" if progress.stages else "job"


def _time(stage: StageView) -> str:
    return f" {stage.seconds:.1f}\N{NO-BREAK SPACE}s" if stage.seconds >= 0.05 else ""


def _head(progress: Progress) -> str:
    facts = [f"{progress.seconds:.1f} s"] if progress.ended else []
    facts += [fact for fact in (progress.facts, progress.run_id) if fact]
    return (
        f'<div class="aip-head"><span class="aip-title">{escape(progress.config or "run")}</span>'
        f'{pill(progress.status)}<span class="aip-facts">{escape(" · ".join(facts))}</span></div>'
    )


def _stages(progress: Progress) -> str:
    if not progress.stages:
        return ""
    cells = "".join(
        f'<li style="flex:1 1 9rem;border-top:3px solid {COLOURS.get(s.state, "var(--aip-line)")};padding-top:.2rem">'
        f'<span aria-hidden="true">{MARKS[s.state]}</span> {escape(s.name)} '
        f'<span class="aip-facts">{escape(s.state)}{escape(_time(s))}</span></li>'
        for s in progress.stages
    )
    return f'<ol style="display:flex;flex-wrap:wrap;gap:.5rem;list-style:none;padding:0;margin:0 0 .6rem">{cells}</ol>'


def _items(progress: Progress) -> str:
    chain = "".join(_item(item) for item in progress.items if item.kind not in ("image", "media"))
    media = "".join(_figure(item, progress) for item in progress.items if item.kind in ("image", "media"))
    media = f'<div class="aip-media">{media}</div>' if media else ""
    return f'<div class="aip-body"><div class="aip-chain">{chain}</div>{media}</div>'


def _item(item: Item) -> str:
    kind = {"safe": "safe", "blocked": "unsafe"}.get(item.verdict, "error" if item.kind == "error" else "")
    extra = pill(item.verdict, kind or "off") if item.verdict else ""
    note = f"<span>{escape(item.note)}</span>" if item.note else ""
    content = text_block(item.text) if item.text else ""
    return (
        f'<div class="aip-step {kind}"><div class="aip-label"><b>{escape(item.label)}</b> {extra} {note}</div>'
        f"{content}</div>"
    )


def _figure(item: Item, progress: Progress) -> str:
    source = picture(item.path, item.kind)
    body = f'<img alt="{escape(caption(progress))}" src="{source}">' if source else ""
    return f"<figure>{body}<figcaption>{escape(item.filename)}</figcaption></figure>"


def picture(path: str, media_type: str = "image", size: int = 448) -> str:
    """A thumbnail as a data address, "" for what does not open as a picture, a film or a sound."""
    small = thumbnail(Path(path), size, THUMB_BYTES, media_type=media_type)
    return data_uri(small, "image/webp") if small else ""


def caption(progress: Progress) -> str:
    """The final prompt, shortened: what a person who cannot see the picture is told."""
    texts = [item.text for item in progress.items if item.type in ("interception", "interception_edit", "input")]
    return texts[-1][:200] if texts else f"picture of run {progress.run_id}"

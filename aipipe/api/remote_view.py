"""A run on another machine as a page and as text: its texts, small pictures of its media, fetched when shown."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from aipipe.display.html import escape, page, pill, text_block
from aipipe.display.media_view import data_uri, human_size, thumbnail

if TYPE_CHECKING:
    from aipipe.api.remote_entity import RemoteEntity
    from aipipe.api.remote_run import RemoteRun

PICTURES = 4
"""Most pictures that are fetched for one display."""


def remote_run_bundle(run: RemoteRun) -> dict[str, Any]:
    """The rich display of a remote run."""
    record, status, entities = run.record, run.status, run.entities
    texts = [e for e in entities if e.media_type == "text"]
    media = [e for e in entities if e.type.startswith("output_")]
    facts = " · ".join(
        part for part in (f"seed {record.seed}" if record.seed else "", run.run_id, f"at {run.server}") if part
    )
    lines = [f"{record.config_name} · {status} · {facts}"]
    reason = ""
    if record.reason is not None:
        lines.append(f"reason: {record.reason.message}")
        reason = f'<div class="aip-step error">{escape(record.reason.message)}</div>'
    chain = ""
    for entity in texts:
        text = entity.text
        lines += [f"{entity.sequence:02} {entity.type}", *(f"   {line}" for line in text[:4_000].splitlines())]
        chain += (
            f'<div class="aip-step"><div class="aip-label"><b>{escape(entity.type)}</b></div>{text_block(text)}</div>'
        )
    lines += [f"{e.sequence:02} {e.type}: {e.filename} ({human_size(e.size)})" for e in media]
    figures = "".join(_figure(entity, place < PICTURES) for place, entity in enumerate(media))
    head = (
        f'<div class="aip-head"><span class="aip-title">{escape(record.config_name)}</span>{pill(status)}'
        f'<span class="aip-facts">{escape(facts)}</span></div>{reason}'
    )
    body = f'<div class="aip-body"><div class="aip-chain">{chain}</div><div class="aip-media">{figures}</div></div>'
    return {"text/html": page(head + body, label=f"run {run.run_id}"), "text/plain": "\n".join(lines)}


def remote_entity_bundle(entity: RemoteEntity) -> dict[str, Any]:
    """The rich display of a remote entity: its text, a small picture, or what it is."""
    if entity.media_type == "text":
        return {"text/html": page(text_block(entity.text), label=entity.type), "text/plain": entity.text}
    return {"text/html": page(f'<div class="aip-media">{_figure(entity, True)}</div>'), "text/plain": repr(entity)}


def _figure(entity: RemoteEntity, fetch: bool) -> str:
    small = thumbnail(io.BytesIO(entity.bytes)) if fetch and entity.media_type == "image" else None
    shown = f'<img alt="{escape(entity.type)}" src="{data_uri(small, "image/webp")}">' if small else ""
    return f"<figure>{shown}<figcaption>{escape(entity.filename)} · {human_size(entity.size)}</figcaption></figure>"

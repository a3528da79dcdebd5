"""One entity: the media itself, the text, or the JSON tree, with its facts."""

from __future__ import annotations

from typing import Any

from aipipe.display.chain import chain
from aipipe.display.html import escape, folded, json_tree, page, text_block
from aipipe.display.media_view import facts, human_size, media_html
from aipipe.display.text import short_path

PROMPTS = ("input", "translation", "interception", "interception_edit")
INLINE_IMAGE_BYTES = 150_000
"""Originals up to this size are shown as they are; larger ones as a thumbnail."""


def entity_bundle(entity: Any) -> dict[str, Any]:
    """The rich display of an entity: HTML, plain text and, for a small picture, the picture itself."""
    bundle: dict[str, Any] = {"text/html": _html(entity), "text/plain": _text(entity)}
    if entity.mime in ("image/png", "image/jpeg") and entity.size <= INLINE_IMAGE_BYTES and entity.path.is_file():
        import base64

        bundle[entity.mime] = base64.b64encode(entity.bytes).decode()
    return bundle


def _html(entity: Any) -> str:
    head = f'<div class="aip-label"><b>{escape(entity.filename)}</b> <span>{escape(facts(entity))}</span></div>'
    if entity.media_type == "json":
        content = json_tree(_json(entity))
    elif entity.media_type in ("text", "code"):
        content = text_block(_read(entity))
    else:
        content = f'<div class="aip-media">{media_html(entity, size=768, alt=_told(entity))}</div>'
        if entity.media_type == "image" and entity.size > INLINE_IMAGE_BYTES:
            where = escape(short_path(entity.run.folder / entity.filename))
            content += f'<div class="aip-note">a thumbnail; the original, {human_size(entity.size)}, is {where}</div>'
    known = folded("metadata", json_tree(entity.record.model_dump(mode="json")))
    return page(head + content + known, label=entity.filename)


def _told(entity: Any) -> str:
    """What a person who cannot see the picture is told: the prompt it was made from."""
    try:
        texts = [link.text for link in chain(entity.run) if link.text and link.entity.type in PROMPTS]
    except Exception:  # noqa: BLE001  an entity without its run still shows
        return ""
    return texts[-1][:200] if texts else ""


def _text(entity: Any) -> str:
    head = f"{entity.filename} · {entity.media_type} · {facts(entity)}"
    if entity.media_type in ("text", "json", "code"):
        return f"{head}\n{_read(entity)[:20_000]}"
    return f"{head}\n{short_path(entity.run.folder / entity.filename)}"


def _read(entity: Any) -> str:
    try:
        return str(entity.text)
    except Exception as error:  # noqa: BLE001  a view says why a file cannot be shown
        return f"[cannot be read: {error}]"


def _json(entity: Any) -> Any:
    try:
        return entity.json
    except Exception as error:  # noqa: BLE001
        return f"[cannot be read: {error}]"

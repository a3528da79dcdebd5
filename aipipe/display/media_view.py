"""Pictures, sound and films inside a page: thumbnails instead of originals, players only when they are small."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from aipipe.display.html import escape
from aipipe.display.stills import still

THUMBNAIL_BYTES = 48_000
PLAYER_BYTES = 1_500_000
"""Sound and film up to this size go into the page; larger ones are linked."""


def thumbnail(source: Any, size: int = 512, limit: int = THUMBNAIL_BYTES, *, media_type: str = "image") -> bytes | None:
    """A WebP of at most `limit` bytes; None for what does not open as a picture.

    Args:
        source: Path or binary file.
        size: Longest side in pixels.
        limit: Most bytes of the result.
        media_type: "video" gives a frame of the film, "audio" and "music" the loudness over time (extra `media`).
    """
    picture = _opened(source) if media_type == "image" else still(source, media_type)
    if picture is None:
        return None
    while True:
        small = picture.copy()
        small.thumbnail((size, size))
        for quality in (82, 60, 40):
            buffer = io.BytesIO()
            small.save(buffer, "WEBP", quality=quality, method=2)
            if buffer.tell() <= limit:
                return buffer.getvalue()
        size = size * 2 // 3
        if size < 16:
            return None


def _opened(source: Any) -> Any:
    from PIL import Image, ImageOps

    try:
        with Image.open(source) as opened:
            picture: Image.Image = ImageOps.exif_transpose(opened) or opened
            return picture.convert("RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def data_uri(data: bytes, mime: str) -> str:
    """Bytes as an address that needs no file."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def media_html(entity: Any, *, size: int = 512, alt: str = "") -> str:
    """A figure of an output entity, or a note where its file is gone or does not open."""
    try:
        path: Path = entity.path
        body = _element(entity, path, size, alt)
    except OSError as error:
        body = f'<div class="aip-note">cannot be shown: {escape(error.strerror or error)}</div>'
    return f"<figure>{body}<figcaption>{escape(entity.filename)} · {escape(facts(entity))}</figcaption></figure>"


def facts(entity: Any) -> str:
    """Size, dimensions, duration and seed of an entity in one line."""
    meta = entity.metadata
    parts = []
    if meta.get("width") and meta.get("height"):
        parts.append(f"{meta['width']} × {meta['height']}")
    if meta.get("duration"):
        parts.append(f"{float(meta['duration']):.1f} s")
    parts.append(human_size(entity.size))
    if meta.get("seed") is not None:
        parts.append(f"seed {meta['seed']}")
    if meta.get("neural") is False:
        parts.append(str(meta.get("note") or "composed by rule, not a neural model"))
    return " · ".join(parts)


def human_size(count: int) -> str:
    """Bytes as a person reads them."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def player(entity: Any, path: Path, limit: int = PLAYER_BYTES) -> str:
    """A player with the sound or film inside; "" for other media, and for files over `limit` bytes or gone."""
    if entity.media_type not in ("audio", "music", "video") or entity.size > limit or not path.is_file():
        return ""
    tag = "video" if entity.media_type == "video" else "audio"
    return f'<{tag} controls preload="metadata" src="{data_uri(path.read_bytes(), entity.mime)}"></{tag}>'


def _element(entity: Any, path: Path, size: int, alt: str) -> str:
    kind = entity.media_type
    if kind == "image":
        small = thumbnail(path, size)
        if small is None:
            return '<div class="aip-note">does not open as a picture</div>'
        return f'<img alt="{escape(alt or entity.type)}" src="{data_uri(small, "image/webp")}">'
    played = player(entity, path)
    if played:
        return played
    return f'<a href="{escape(path.as_uri())}">open {escape(entity.filename)}</a>'

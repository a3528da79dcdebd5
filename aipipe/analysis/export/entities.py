"""Entities of a public export: texts as they are or redacted, verdicts without the texts judged, media without metadata."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aipipe.analysis.export import privacy, shapes
from aipipe.analysis.export.choices import Choices, digest_of, encoded
from aipipe.analysis.export.images import stripped
from aipipe.analysis.export.sounds import stripped_sound
from aipipe.analysis.export.times import Clock
from aipipe.analysis.reading import Unreadable, contained, parse, read_bytes
from aipipe.errors import BadMedia, MissingExtra

MEDIA = ("output_image", "output_audio", "output_music", "output_video")
EXTENSIONS = {
    "text/plain": "txt", "application/json": "json", "image/png": "png", "audio/mpeg": "mp3", "audio/flac": "flac",
    "audio/mp4": "m4a", "audio/ogg": "ogg", "audio/wav": "wav", "video/mp4": "mp4", "video/webm": "webm",
}  # fmt: skip
KNOWN_TYPES = frozenset(
    {"error", "input_image", "input_draft", "interception_draft", "interception_comparison", "config_used"}
    | {f"output_{kind}" for kind in ("3d", "code")}
)
"""Types that a manifest may name; any other word may be a person's own."""


def publish_entity(
    entity: dict[str, Any],
    folder: Path,
    target: Path,
    record: dict[str, Any],
    clock: Clock,
    choices: Choices,
    removed: Callable[[str], None],
) -> None:
    """Write what may be published of an entity and add it to the published record; `removed` hears of the rest."""
    kind = str(entity.get("type"))
    clean = _clean(entity, kind, folder, choices, removed)
    if clean is None:
        return
    data, mime = clean
    if privacy.withheld_facts(entity):
        removed("facts of entities")
    published = shapes.replaced(privacy.permitted_entity(entity, clock), choices.put)
    published["type"] = kind
    published["sequence"] = len(record["entities"]) + 1
    published["filename"] = f"{published['sequence']:02d}_{kind}.{EXTENSIONS[mime]}"
    published["size"], published["sha256"] = len(data), digest_of(data)
    published["mime"] = mime
    (target / published["filename"]).write_bytes(data)
    record["entities"].append(published)


def _clean(
    entity: dict[str, Any], kind: str, folder: Path, choices: Choices, removed: Callable[[str], None]
) -> tuple[bytes, str] | None:
    """What of an entity may be published, and its MIME type; `removed` hears of everything that may not."""
    data = bytes_of(entity, folder)
    if data is None:
        removed("entities whose file is missing")
        return None
    if kind in privacy.SAFETY_TYPES:
        removed("judged texts in safety entities")
        kept = shapes.replaced(verdict(data), choices.put)
        return encoded(json.dumps(kept, ensure_ascii=False, indent=2)), "application/json"
    if kind in MEDIA:
        return _clean_media(folder / str(entity["filename"]), kind, removed)
    if kind not in privacy.TEXT_TYPES:
        removed(f"entities of type {kind if kind in KNOWN_TYPES else 'other'}")
        return None
    if (instead := choices.instead(data)) is not None:
        removed("texts redacted by a person")
        data = encoded(instead)
    return data, "text/plain"


def _clean_media(path: Path, kind: str, removed: Callable[[str], None]) -> tuple[bytes, str] | None:
    word = "images" if kind == "output_image" else "sounds and films"
    try:
        clean = (
            (stripped(path), "image/png")
            if kind == "output_image"
            else stripped_sound(path, kind.removeprefix("output_"))
        )
    except BadMedia:
        removed(f"{word} that could not be stripped")
        return None
    except MissingExtra:
        removed(f"{word}, which are stripped with aipipe[media]")
        return None
    removed(f"metadata of {word}")
    return clean


def verdict(data: bytes) -> dict[str, Any]:
    """What a safety entity may tell: its decision, never the text it is about."""
    try:
        return privacy.permitted_safety(parse(data))
    except Unreadable:
        return {}


def bytes_of(entity: dict[str, Any], folder: Path) -> bytes | None:
    """The file of an entity; None where it is missing or its name leads out of the folder."""
    filename = entity.get("filename")
    if not isinstance(filename, str) or not contained(filename):
        return None
    try:
        return read_bytes(str(folder / filename))[0]
    except Unreadable:
        return None

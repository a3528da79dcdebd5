"""Sounds and films without metadata: their streams alone in a fresh container, read back to prove it."""

from __future__ import annotations

import io
from pathlib import Path

from aipipe.display.bare import bare_media
from aipipe.errors import BadMedia

TECHNICAL = frozenset(
    {
        "encoder",
        "major_brand",
        "minor_version",
        "compatible_brands",
        "language",
        "handler_name",
        "vendor_id",
        "duration",
        "creation_time",
    }
)
"""What a container says of itself; `handler_name` counts only in the words that every writer uses."""

HANDLERS = frozenset({"", "VideoHandler", "SoundHandler"})


def stripped_sound(path: Path, media_type: str) -> tuple[bytes, str]:
    """A sound or film with nothing beside its streams, and its MIME type.

    Raises:
        MissingExtra: PyAV is not installed.
        BadMedia: it does not open, no browser plays it, or something beside the streams is left.
    """
    data, mime = bare_media(path, media_type)
    left = tags_of(data)
    if left:
        raise BadMedia(f"{path}: {', '.join(left)} is left after stripping.", hint="Leave this run out.")
    return data, mime


def tags_of(data: bytes) -> list[str]:
    """Names of the tags in a file and its streams that are not about the container itself; attachments too."""
    import av

    with av.open(io.BytesIO(data)) as file:
        found = [*file.metadata.items()]
        for stream in file.streams:
            found += stream.metadata.items()
        others = [stream.type for stream in file.streams if stream.type not in ("audio", "video")]
    tags = {
        name
        for name, value in found
        if name.lower() not in TECHNICAL or (name.lower() == "handler_name" and value not in HANDLERS)
    }
    return sorted(tags) + others

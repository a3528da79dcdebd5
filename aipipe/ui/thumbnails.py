"""Small pictures of runs, kept in the store's cache: disposable, made again when missing."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from aipipe.display.media_view import thumbnail
from aipipe.errors import AipipeError, UnsafePath
from aipipe.files import contained
from aipipe.store.reading import read_document

SIZE = 256
"""Longest side in pixels."""

BYTES = 16_000
_SHA = re.compile(r"[0-9a-f]{64}")


class Thumbnails:
    """The pictures of one store, named by the hash of what they show.

    Args:
        root: The store's folder.
        size: Longest side in pixels.
    """

    def __init__(self, root: Path, size: int = SIZE) -> None:
        self.folder = root / ".aipipe" / "thumbnails" / str(size)
        self.size = size

    def of(self, run_folder: Path) -> tuple[bytes, str]:
        """A WebP of the run's first picture and "", or b"" and what to say in its place.

        Where a run made no picture, its first film or sound is shown by a frame or its loudness, if PyAV is there.

        Never raises for a run that cannot be read: a gallery shows the others.
        """
        entities = _entities(run_folder)
        if entities is None:
            return b"", "cannot be read"
        media = [e for e in entities if str(e.get("type", "")).startswith("output_")]
        picture = next((e for e in media if e.get("media_type", "image") == "image"), None)
        if picture is None and not media:
            return b"", "no picture"
        return self._picture(run_folder, picture or media[0])

    def _picture(self, run_folder: Path, entity: dict[str, Any]) -> tuple[bytes, str]:
        kind = str(entity.get("media_type") or "image")
        sha = str(entity.get("sha256") or "")
        kept = self.folder / sha[:2] / f"{sha}.webp" if _SHA.fullmatch(sha) else None
        if kept is not None:
            with contextlib.suppress(OSError):
                return kept.read_bytes(), ""
        try:
            path = contained(run_folder, str(entity.get("filename") or ""))
        except UnsafePath:
            return b"", "unsafe path"
        made = thumbnail(path, self.size, BYTES, media_type=kind)
        if made is None:
            return b"", ("does not open" if kind == "image" else kind) if path.exists() else "file missing"
        if kept is not None:
            _keep(kept, made)
        return made, ""


def _keep(path: Path, data: bytes) -> None:
    """Write a cache file whole or not at all; a cache that cannot be written is no reason to show nothing."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)


def _entities(run_folder: Path) -> list[dict[str, Any]] | None:
    try:
        found = read_document(run_folder).get("entities")
    except AipipeError:
        return None
    return [e for e in found if isinstance(e, dict)] if isinstance(found, list) else []

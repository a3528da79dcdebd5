"""A recorded thing: its entry and its file, read only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from aipipe.errors import BadMedia, EntityNotFound, RunUnreadable
from aipipe.files import contained, open_plain
from aipipe.records import EntityRecord

if TYPE_CHECKING:
    from PIL.Image import Image

    from aipipe.store.run import Run


class Entity:
    """A recorded thing. Every field of its entry is an attribute: `type`, `filename`, `sequence`, `metadata` and so on.

    Attributes:
        record: The entry in metadata.json.
        run: The run it belongs to.
    """

    def __init__(self, run: Run, record: EntityRecord) -> None:
        self.run = run
        self.record = record

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "record":
            raise AttributeError(name)
        try:
            return getattr(self.record, name)
        except AttributeError:
            raise AttributeError(f"an entity has no attribute {name!r}") from None

    @property
    def path(self) -> Path:
        """Its file.

        Raises:
            UnsafePath: the record names something outside the run folder.
        """
        return contained(self.run.folder, self.record.filename)

    def open(self) -> BinaryIO:
        """Open its bytes.

        Raises:
            EntityNotFound: the file is gone.
            UnsafePath: no plain file stands in its place.
        """
        try:
            return open_plain(self.path)
        except OSError as error:
            raise EntityNotFound(
                f"{self.record.filename} of run {self.run.run_id} cannot be read: {error.strerror}.",
                hint="`aipipe runs verify` lists what is missing.",
            ) from error

    @property
    def bytes(self) -> bytes:
        """Its bytes."""
        with self.open() as file:
            return file.read()

    @property
    def text(self) -> str:
        """Its text; bytes that are not UTF-8 appear as replacement characters."""
        return self.bytes.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """Its JSON document.

        Raises:
            RunUnreadable: it is not valid JSON.
        """
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise RunUnreadable(
                f"{self.path} is not valid JSON: {error}", hint="`aipipe runs verify` tells if it was altered."
            ) from None

    @property
    def image(self) -> Image:
        """Its picture as a PIL image.

        Raises:
            BadMedia: it does not open as an image.
        """
        from PIL import Image, UnidentifiedImageError

        try:
            with self.open() as file:
                image = Image.open(file)
                image.load()
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
            raise BadMedia(
                f"{self.path} does not open as an image: {error}", hint="Look at entity.mime and entity.bytes."
            ) from None
        return image

    def __repr__(self) -> str:
        return f"<Entity {self.record.filename} {self.record.media_type} {self.record.size:,} B>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.display import entity_bundle

        bundle: dict[str, Any] = entity_bundle(self)
        return bundle

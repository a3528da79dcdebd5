"""An entity of a run on another machine."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aipipe.records import EntityRecord

if TYPE_CHECKING:
    from PIL.Image import Image

    from aipipe.api.client import RemoteLab


class RemoteEntity:
    """A recorded thing on the server. Every field of its entry is an attribute."""

    def __init__(self, lab: RemoteLab, entry: Mapping[str, Any]) -> None:
        self._lab = lab
        self.url: str = entry["url"]
        self.record = EntityRecord.model_validate({k: v for k, v in entry.items() if k not in ("url", "index")})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "record":
            raise AttributeError(name)
        return getattr(self.record, name)

    @property
    def bytes(self) -> bytes:
        """Its bytes."""
        return self._lab._request("GET", self.url).content

    @property
    def text(self) -> str:
        """Its text."""
        return self.bytes.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """Its JSON document."""
        return json.loads(self.text)

    @property
    def image(self) -> Image:
        """Its picture as a PIL image."""
        from PIL import Image

        picture = Image.open(io.BytesIO(self.bytes))
        picture.load()
        return picture

    def __repr__(self) -> str:
        return f"<RemoteEntity {self.record.filename} {self.record.media_type} {self.record.size:,} B>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.api.remote_view import remote_entity_bundle

        return remote_entity_bundle(self)

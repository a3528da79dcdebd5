"""An entity whose bytes are safely on disk but which is not part of the run yet."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from aipipe.media import Format
from aipipe.records import EntityRecord

if TYPE_CHECKING:
    from aipipe.recorder.recorder import LivePipelineRecorder


@dataclass
class PendingEntity:
    """An unpublished entity: look at it, then publish or discard it.

    Attributes:
        type: Entity type.
        path: The temporary file in the writer's own folder.
        size: Size in bytes.
        sha256: Hash of the bytes.
        format: Format, sniffed.
        place: stage, input, output, file_index, iteration, reused_from.
        metadata: Facts given when it was staged.
    """

    type: str
    path: Path
    size: int
    sha256: str
    format: Format
    place: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    recorder: LivePipelineRecorder | None = field(default=None, repr=False)

    @property
    def mime(self) -> str:
        """MIME type, sniffed."""
        return self.format.mime

    @property
    def media_type(self) -> str:
        """Media type; sound of an `output_music` entity is music."""
        kind = self.format.media_type
        return "music" if kind == "audio" and self.type == "output_music" else kind

    def open(self) -> BinaryIO:
        """Open the bytes for reading."""
        return self.path.open("rb")

    def publish(self, metadata: Mapping[str, Any] | None = None, checked: Any = None) -> EntityRecord:
        """Make it part of the run.

        Args:
            metadata: Further facts.
            checked: "decoded" or "header": how it was tried.

        Raises:
            RecordingError: see `LivePipelineRecorder.save_entity`.
        """
        if self.recorder is None:
            raise ValueError("this entity was already published or discarded")
        recorder, self.recorder = self.recorder, None
        return recorder.publish(self, metadata, checked)

    def discard(self) -> None:
        """Forget it; nothing of it stays on disk."""
        self.recorder = None
        with contextlib.suppress(OSError):
            self.path.unlink()

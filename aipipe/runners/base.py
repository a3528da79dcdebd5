"""The seam to media generators: one request in, files out."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

from aipipe.backends.base import Probe, Timeouts
from aipipe.events import Watch


@dataclass(frozen=True, slots=True)
class JobRef:
    """Where a media job lies: the server, and the id it has (or will have) there."""

    server: str
    job_id: str


def _ignore(job: JobRef) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRequest:
    """One call of a media generator.

    Attributes:
        run_id: The run that asks ("" outside a run).
        output_config: Name of the output config.
        media_type: "image", "audio", "music", "video", "3d" or "code".
        prompt: The final prompt.
        negative_prompt: What to avoid; "" for nothing.
        texts: All texts of the run's stage 2, for generators that take several (tags and lyrics).
        seed: Seed of the media; 64-bit.
        parameters: Width, height, steps, cfg, style …: whatever the output config declares.
        images: Encoded input images.
        model: Checkpoint or model name, "" for the config's own.
        style: The interception config's hint for composing generators ("dada", "bauhaus", "scene", "line").
        workflow: ComfyUI graph in API form, or None.
        inputs: Input map of the workflow: name → {"node_id", "field", "default"} or a list of such.
        output: Output map of the workflow: which nodes are results ({"node_id": …} or {}).
        extra_pnginfo: Editor graph to embed, or None.
        job: A job of an earlier attempt to look for before submitting a new one.
        record_job: Called with server and job id before the job is submitted; may raise, and then nothing is submitted.
        timeouts: Time limits.
    """

    output_config: str
    media_type: str
    prompt: str
    run_id: str = ""
    negative_prompt: str = ""
    texts: tuple[str, ...] = ()
    seed: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    images: tuple[bytes, ...] = ()
    model: str = ""
    style: str = ""
    workflow: Mapping[str, Any] | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    output: Mapping[str, Any] = field(default_factory=dict)
    extra_pnginfo: Mapping[str, Any] | None = None
    job: JobRef | None = None
    record_job: Callable[[JobRef], None] = _ignore
    timeouts: Timeouts = Timeouts()


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """One file that a generator made.

    Attributes:
        open: Opens the bytes; each call gives a fresh stream.
        filename: The name at the source (evidence, never a path to write to).
        media_type: "image", "audio", "music", "video", "3d", "code" or "other".
        mime: Its MIME type.
        seed: The seed it was made with.
        node: "id: title" of the node that wrote it, "" if none.
        metadata: Further facts for the entity (width, renderer, licence …).
    """

    open: Callable[[], BinaryIO]
    filename: str
    media_type: str
    mime: str
    seed: int | None = None
    node: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_bytes(cls, data: bytes, filename: str, media_type: str, mime: str, **more: Any) -> MediaFile:
        """A file that lies in memory."""
        return cls(open=lambda: io.BytesIO(data), filename=filename, media_type=media_type, mime=mime, **more)

    @classmethod
    def of_path(cls, path: Path, media_type: str, mime: str, **more: Any) -> MediaFile:
        """A file that lies on disk."""
        return cls(open=lambda: path.open("rb"), filename=path.name, media_type=media_type, mime=mime, **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaResult:
    """What a generator made.

    Attributes:
        files: The files, the main one first. Never empty.
        seed: The seed that was used.
        model: Checkpoint or model that was used, "" if none.
        parameters: Parameters as used.
        job: The job on its server, or None.
        seconds: Wall time.
        attempts: How often the service was asked.
        request: What was sent (the graph, for ComfyUI), without secrets.
        facts: Server version, devices, custom nodes, cached nodes …, for provenance.json.
        warnings: What a person should know.
    """

    files: tuple[MediaFile, ...]
    seed: int
    model: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    job: JobRef | None = None
    seconds: float = 0.0
    attempts: int = 1
    request: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@runtime_checkable
class Runner(Protocol):
    """Adapter to a media generator.

    Attributes:
        name: The name under `[runners.NAME]`.
        kind: "comfyui", "sketch", "placeholder" or "openai_images".
        local: True when prompts do not leave this machine or its trusted hosts.
    """

    name: str
    kind: str
    local: bool

    def generate(self, request: MediaRequest, watch: Watch) -> MediaResult:
        """Make the media and wait; progress goes to `watch.emit`.

        Raises:
            ServiceError: one of its kinds, see `aipipe.errors`.
            RunCancelled: when the watch's cancellation was requested.
        """

    def probe(self) -> Probe:
        """Ask within a few seconds what the generator has; never raises."""

    def close(self) -> None:
        """Release connections. The runner may be used again afterwards."""


@runtime_checkable
class Preflight(Protocol):
    """A generator that can tell before a run's first step that its last one must fail. Optional for a `Runner`."""

    def preflight(self, request: MediaRequest) -> None:
        """Look for what would make this request fail whatever its prompt is; quick, and without a trace at the service.

        Args:
            request: The request as it will be made; its prompt is still empty.

        Raises:
            ServiceError: what is missing, and what to do.
        """

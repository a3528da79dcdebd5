"""What a job made: every file of every node, typed by content, and every text, by node."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aipipe.errors import AipipeError, UnknownName

Data = bytes
"""Content of an output; the attribute `bytes` of an output is its size."""


@dataclass(frozen=True, slots=True)
class Output:
    """One thing a node made.

    Attributes:
        node_id: Id of the node in the graph that was sent.
        node_title: Its title.
        node_class: Its class.
        media_type: "image", "animation", "video", "audio", "3d", "text", "json", "latent" or "other"; by content.
        mime: MIME type by content.
        filename: Name at the server; "" for a text.
        text: The text of a text result, else None.
        path: The file here, None for a text result.
        bytes: Size in bytes.
        sha256: Hash of the content.
        temporary: The server calls it temporary (a preview node's picture).
    """

    node_id: str
    node_title: str
    node_class: str
    media_type: str
    mime: str
    filename: str = ""
    text: str | None = None
    path: Path | None = None
    bytes: int = 0
    sha256: str = ""
    temporary: bool = False
    _owner: Folder | None = field(default=None, repr=False, compare=False)

    def read(self) -> Data:
        """The content."""
        return self.path.read_bytes() if self.path is not None else (self.text or "").encode()

    @property
    def pil(self) -> Any:
        """The picture as a Pillow image."""
        import io

        from PIL import Image

        return Image.open(io.BytesIO(self.read()))

    @property
    def numpy(self) -> Any:
        """The picture as an array of height × width × channels."""
        import numpy as np

        return np.asarray(self.pil)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.comfy.view import output_bundle

        return output_bundle(self)


@dataclass(frozen=True)
class Result:
    """The outputs of one finished job.

    Outside a run the files lie in a temporary folder that lives as long as this object or one of its outputs, or where
    `save_to` said.

    Attributes:
        job_id: Its id at the server.
        server: Address of the server.
        outputs: All outputs, in the order of the graph's nodes.
        seeds: "title.input" → seed as a decimal string, as sent.
        graph: The graph exactly as sent.
        facts: Server version, devices, custom node packs, cached nodes, seconds.
        warnings: What a person should know: blocked branches, output nodes without output.
        folder: Where the files lie.
    """

    job_id: str
    server: str
    outputs: tuple[Output, ...]
    seeds: Mapping[str, str] = field(default_factory=dict)
    graph: Mapping[str, Any] = field(default_factory=dict, repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()
    folder: Path | None = None
    _owner: Folder | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        # `server.run(wf).images[0]` outlives its result; the folder must live as long as it does.
        for output in self.outputs:
            object.__setattr__(output, "_owner", self._owner)

    def __iter__(self) -> Iterator[Output]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    def __getitem__(self, name: str) -> Output:
        """The only output of the node with this title, id or class.

        Raises:
            UnknownName: no such node made anything.
            SeveralOutputs: it made several; use `result.all(name)`.
        """
        found = self.all(name)
        if len(found) > 1:
            raise SeveralOutputs(
                f"{name!r} made {len(found)} outputs: {', '.join(o.filename or 'a text' for o in found)}.",
                hint=f"Use result.all({name!r}).",
            )
        return found[0]

    def all(self, name: str) -> tuple[Output, ...]:
        """All outputs of the node with this title, id (also `#12`) or class.

        Raises:
            UnknownName: no such node made anything.
        """
        for key in ("node_title", "node_id", "node_class"):
            wanted = name.removeprefix("#") if key == "node_id" else name
            found = tuple(o for o in self.outputs if getattr(o, key) == wanted)
            if found:
                return found
        raise UnknownName("output", name, [o.node_title for o in self.outputs])

    def of_type(self, *media_types: str) -> tuple[Output, ...]:
        """All outputs of these media types; saved files before temporary ones."""
        found = [o for o in self.outputs if o.media_type in media_types]
        return tuple(sorted(found, key=lambda o: o.temporary))

    @property
    def images(self) -> tuple[Output, ...]:
        """All pictures."""
        return self.of_type("image", "animation")

    @property
    def videos(self) -> tuple[Output, ...]:
        """All videos."""
        return self.of_type("video")

    @property
    def audios(self) -> tuple[Output, ...]:
        """All sounds."""
        return self.of_type("audio")

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts."""
        return tuple(o.text for o in self.outputs if o.text is not None)

    def save(self, folder: str | Path) -> list[Path]:
        """Copy all files into `folder` and return their paths; nothing is overwritten."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        return [copy_beside(o.path, target) for o in self.outputs if o.path is not None]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.comfy.view import result_bundle

        return result_bundle(self)


class SeveralOutputs(AipipeError, LookupError):
    """A node made several outputs where one was asked for."""

    exit_code = 2


class Folder:
    """Where a result's files go: a folder of the caller, or a temporary one that vanishes with its last user."""

    def __init__(self, save_to: str | Path | None = None) -> None:
        if save_to is None:
            self.path = Path(tempfile.mkdtemp(prefix="aipipe-comfy-"))
            self._remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        else:
            self.path = Path(save_to)
            self.path.mkdir(parents=True, exist_ok=True)


def copy_beside(source: Path, folder: Path) -> Path:
    """Copy a file into a folder under a name that is free there."""
    target = free_name(folder, source.name)
    shutil.copyfile(source, target)
    return target


def free_name(folder: Path, name: str) -> Path:
    """A path in `folder` that does not exist yet; a number goes before the extension where needed."""
    target = folder / name
    number = 2
    while target.exists():
        target = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
        number += 1
    return target


def of_node(outputs: Sequence[Output], node_ids: Sequence[str]) -> list[Output]:
    """The outputs of these nodes, in their order."""
    return [o for node in node_ids for o in outputs if o.node_id == node]

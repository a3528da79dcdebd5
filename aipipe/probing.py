"""Does a file really open as what it claims? Pictures are decoded, sound and video where PyAV is installed.

What cannot be decoded here is checked by its header and says so: `checked` is "decoded" or "header", never a guess.
"""

from __future__ import annotations

import importlib.util
import json
import struct
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from aipipe.errors import BadMedia
from aipipe.media import SNIFF_BYTES, Format, sniff

MAX_PIXELS = 200_000_000
"""A picture with more pixels is refused: it would take gigabytes to decode."""

EXACT = ("flac", "mp4", "mov")
"""Containers, by FFmpeg's names, whose header says how long a track is."""
CUT_SHARE, CUT_SECONDS = 0.02, 0.2
"""How much may be missing at the end before a file counts as cut off: encoders pad, and round their durations."""

_SAME: dict[str, tuple[str, ...]] = {
    "music": ("audio", "music"),
    "audio": ("audio", "music"),
    "code": ("code", "text", "json"),
    "text": ("text", "json", "code"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What a file turned out to be.

    Attributes:
        checked: "decoded" when the whole content was decoded, "header" when only its structure was looked at.
        media_type: The type that was asked for.
        mime: MIME type by content.
        extension: File name extension by content, without dot.
        width: Width in pixels, None where there is none.
        height: Height in pixels.
        frames: Number of frames of an animation or video, None if unknown.
        duration: Seconds, None if unknown.
    """

    checked: Literal["decoded", "header"]
    media_type: str
    mime: str
    extension: str
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    duration: float | None = None

    def facts(self) -> dict[str, Any]:
        """The measured values that are known, for an entity's metadata."""
        known = ("width", "height", "frames", "duration")
        return {k: v for k, v in asdict(self).items() if k in known and v is not None}


def probe(source: Path | str | BinaryIO, media_type: str) -> Probed:
    """Open a file as its media type.

    Args:
        source: A path, or a seekable stream that is read from its start and left open.
        media_type: What it should be, see `aipipe.media.MEDIA_TYPES`.

    Raises:
        BadMedia: it is empty, of another type, broken, or too large to decode.
        OSError: the path cannot be read.
    """
    if isinstance(source, (str, Path)):
        with Path(source).open("rb") as stream:
            return _probe(stream, media_type, Path(source).name)
    return _probe(source, media_type, str(getattr(source, "name", "") or "the file"))


def _probe(stream: BinaryIO, media_type: str, name: str) -> Probed:
    stream.seek(0)
    head = stream.read(SNIFF_BYTES)
    if not head:
        raise BadMedia(f"{name} is empty.", hint="The generator wrote nothing; run the step again.")
    found = sniff(head, complete=len(head) < SNIFF_BYTES)
    if media_type == "3d":
        found = _three_d(stream, head, found)
    accepted = _SAME.get(media_type, (media_type,))
    if media_type not in ("other", "") and found.media_type not in accepted:
        raise BadMedia(
            f"{name} should be {media_type}, but its content is {found.mime}.",
            hint="Check the output map of the output config, or what the server sent.",
        )
    stream.seek(0)
    if found.extension == "svg":
        return _svg(head, media_type, found)
    if found.media_type == "image":
        return _image(stream, media_type, found, name)
    if found.media_type in ("audio", "video"):
        return _sound_or_video(stream, media_type, found, name)
    if found.media_type in ("text", "json", "code"):
        return _text(stream, media_type, found, name)
    if found.extension == "mid" and not (head[4:8] == b"\0\0\0\x06" and b"MTrk" in head):
        raise BadMedia(f"{name} is a broken MIDI file.", hint="Run the step again.")
    return Probed(checked="header", media_type=media_type, mime=found.mime, extension=found.extension)


def _image(stream: BinaryIO, media_type: str, found: Format, name: str) -> Probed:
    from PIL import Image

    if found.extension == "exr":  # Pillow has no decoder for it
        return Probed(checked="header", media_type=media_type, mime=found.mime, extension=found.extension)
    try:
        with warnings.catch_warnings():
            # Our own pixel limit decides; Pillow's warning would be an error or noise depending on the caller.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(stream) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise BadMedia(
                        f"{name} has {width} × {height} pixels, more than can be decoded safely.",
                        hint="Make the picture smaller in the output config.",
                    )
                frames = int(getattr(image, "n_frames", 1))
                image.seek(frames - 1)
                image.load()
    except BadMedia:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise BadMedia(
            f"{name} does not open as {found.mime}: {error}.", hint="The file is cut off or broken; run the step again."
        ) from error
    return Probed(
        checked="decoded",
        media_type=media_type,
        mime=found.mime,
        extension=found.extension,
        width=width,
        height=height,
        frames=frames if frames > 1 else None,
    )


def _svg(head: bytes, media_type: str, found: Format) -> Probed:
    return Probed(checked="header", media_type=media_type, mime=found.mime, extension=found.extension)


def _text(stream: BinaryIO, media_type: str, found: Format, name: str) -> Probed:
    try:
        text = stream.read().decode("utf-8")
        if found.media_type == "json":
            json.loads(text)
    except ValueError as error:
        raise BadMedia(f"{name} is not readable as {found.mime}: {error}.", hint="Run the step again.") from error
    return Probed(checked="decoded", media_type=media_type, mime=found.mime, extension=found.extension)


def _three_d(stream: BinaryIO, head: bytes, found: Format) -> Format:
    from aipipe.media import FORMATS

    if found.extension == "glb":
        size = stream.seek(0, 2)
        if len(head) < 12 or struct.unpack("<I", head[8:12])[0] > size:
            raise BadMedia("The GLB file is cut off: its header promises more bytes.", hint="Run the step again.")
        return found
    text = head.lstrip().lower()
    if text[:1] == b"{" and b'"asset"' in text:
        return FORMATS["gltf"]
    if text.startswith((b"solid", b"ply")):
        return FORMATS["stl" if text.startswith(b"solid") else "ply"]
    if any(line.startswith((b"v ", b"o ", b"mtllib ")) for line in head.splitlines()):
        return FORMATS["obj"]
    size = stream.seek(0, 2)
    if size >= 84 and len(head) >= 84 and size == 84 + 50 * int(struct.unpack("<I", head[80:84])[0]):
        return FORMATS["stl"]
    return found


def _sound_or_video(stream: BinaryIO, media_type: str, found: Format, name: str) -> Probed:
    duration = _wav_seconds(stream, name) if found.extension == "wav" else None
    if importlib.util.find_spec("av") is not None:
        stream.seek(0)
        return _decode_av(stream, media_type, found, name)
    return Probed(
        checked="header", media_type=media_type, mime=found.mime, extension=found.extension, duration=duration
    )


def _wav_seconds(stream: BinaryIO, name: str) -> float | None:
    """Length of a WAV file from its chunks, which must lie within the file."""
    size = stream.seek(0, 2)
    stream.seek(12)
    rate = 0
    while len(chunk := stream.read(8)) == 8:
        kind, length = struct.unpack("<4sI", chunk)
        if kind == b"fmt " and length >= 16:
            rate = struct.unpack("<I", stream.read(length)[8:12])[0]
            stream.seek(length & 1, 1)
            continue
        if kind == b"data":
            if length != 0xFFFFFFFF and stream.tell() + length > size:
                raise BadMedia(f"{name} is cut off: a WAV file of {size} bytes.", hint="Run the step again.")
            return min(length, size - stream.tell()) / rate if rate else None
        stream.seek(length + (length & 1), 1)
    raise BadMedia(f"{name} is a WAV file without sound data.", hint="Run the step again.")


def _decoded(container: Any, track: Any) -> tuple[int, float]:
    """Decode a track to its end: how many frames there are, and how many seconds they last."""
    frames, first, last = 0, None, 0.0
    for frame in container.decode(track):
        frames += 1
        if frame.time is None:
            continue
        first = frame.time if first is None else first
        length = frame.samples / frame.sample_rate if track.type == "audio" else 0.0
        last = max(last, frame.time + length)
    return frames, last - (first or 0.0)


def _promised(container: str, track: Any) -> float | None:
    """Seconds that a track's header promises; None for containers whose header only estimates, as that of MP3."""
    if track.duration is None or not any(name in EXACT for name in container.split(",")):
        return None
    seconds = float(track.duration * track.time_base)
    frame = 1 / float(track.average_rate) if track.type == "video" and track.average_rate else 0.0
    return seconds - frame


def _decode_av(stream: BinaryIO, media_type: str, found: Format, name: str) -> Probed:
    import av

    kind = "video" if found.media_type == "video" else "audio"
    try:
        with av.open(stream, mode="r") as container:
            tracks = getattr(container.streams, kind)
            if not tracks:
                raise BadMedia(f"{name} has no {kind} track.", hint="Check the output config.")
            frames, reached = _decoded(container, tracks[0])
            promised = _promised(container.format.name, tracks[0])
            if promised is not None and reached < promised * (1 - CUT_SHARE) - CUT_SECONDS:
                raise BadMedia(
                    f"{name} is cut off: it promises {promised:.1f} s, and {reached:.1f} s are there.",
                    hint="Run the step again.",
                )
            seconds = container.duration / 1_000_000 if container.duration else None
            size = (tracks[0].width, tracks[0].height) if kind == "video" else (None, None)
    except BadMedia:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        raise BadMedia(f"{name} does not open as {found.mime}: {error}.", hint="Run the step again.") from error
    if not frames:
        raise BadMedia(f"{name} has a {kind} track without content.", hint="Run the step again.")
    return Probed(
        checked="decoded",
        media_type=media_type,
        mime=found.mime,
        extension=found.extension,
        width=size[0],
        height=size[1],
        frames=frames if kind == "video" else None,
        duration=seconds,
    )

"""What a rater sees or hears, without a trace of where it comes from: pixels, samples and frames, and nothing else.

Names, prompts and graphs travel in EXIF, XMP, text chunks, comments and tags. A picture is drawn anew; a sound or film
is written into a fresh container that takes over its streams alone.
"""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

from aipipe.display.streams import Cleaner
from aipipe.errors import BadMedia, MissingExtra

PICTURE = 1024
"""Longest side in pixels of what is shown."""

PLAYED = ("audio", "music", "video")
FILMS = {"h264": ("mp4", "video/mp4"), "hevc": ("mp4", "video/mp4"), "mpeg4": ("mp4", "video/mp4"),
         "vp8": ("webm", "video/webm"), "vp9": ("webm", "video/webm"), "av1": ("webm", "video/webm")}  # fmt: skip
SOUNDS = {"mp3": ("mp3", "audio/mpeg"), "aac": ("mp4", "audio/mp4"),
          "opus": ("ogg", "audio/ogg"), "pcm_s16le": ("wav", "audio/wav")}  # fmt: skip
"""Codec → container and MIME type; other sounds are written as FLAC anew: Vorbis keeps its comments in the
stream, and the last frame of a FLAC holds whatever stands behind it. FLAC loses no sample."""

WITH_FILM = {"mp4": ("aac", "mp3"), "webm": ("opus",)}
"""Sound that goes along with a film as it is; other sound is left out of the container it does not fit."""


def bare_picture(path: Path, size: int = PICTURE) -> bytes:
    """The picture's pixels alone as WebP: no name, no embedded graph, prompt, EXIF, XMP or colour profile's text."""
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        picture = (ImageOps.exif_transpose(opened) or opened).convert("RGB")
    picture.thumbnail((size, size))
    clean = Image.new("RGB", picture.size)
    clean.paste(picture)
    out = io.BytesIO()
    clean.save(out, "WEBP", quality=88, method=2)
    return out.getvalue()


def bare_media(path: Path, media_type: str) -> tuple[bytes, str]:
    """A sound or film alone, and its MIME type.

    The streams are copied bit by bit where their codec holds nothing but samples or frames, so that nobody rates the
    loss of a second encoding.

    Args:
        path: The file.
        media_type: "audio", "music" or "video".

    Raises:
        MissingExtra: PyAV is not installed.
        BadMedia: the file does not open, or its codec is none that a browser plays.
    """
    if importlib.util.find_spec("av") is None:
        raise MissingExtra("Rating sounds and films", "media")
    import av
    import av.error

    try:
        with av.open(str(path)) as source:
            return _film(source, path) if media_type == "video" else _sound(source, path)
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise BadMedia(f"{path.name} does not open: {error}", hint="Exclude the run, or make it again.") from None


def _film(source: Any, path: Path) -> tuple[bytes, str]:
    pictures = source.streams.video[0]
    known = FILMS.get(_codec(pictures))
    if known is None:
        raise BadMedia(
            f"{path.name} is coded as {_codec(pictures)}, which browsers do not play.",
            hint="Write films as H.264, VP9 or AV1.",
        )
    container, mime = known
    sounds = [s for s in source.streams.audio if _codec(s) in WITH_FILM[container]]
    return _copied(source, [pictures, *sounds[:1]], container), mime


def _sound(source: Any, path: Path) -> tuple[bytes, str]:
    stream = source.streams.audio[0]
    container, mime = SOUNDS.get(_codec(stream), ("", "audio/flac"))
    return (_copied(source, [stream], container) if container else _as_flac(source, stream)), mime


def _codec(stream: Any) -> str:
    """What the stream is coded as, whichever program decodes it."""
    return str(stream.codec_context.codec.canonical_name)


def _copied(source: Any, streams: list[Any], container: str) -> bytes:
    import av

    out = io.BytesIO()
    before: dict[int, int] = {}
    # Bit-exact: no date and, where the format allows it, no name of the program that writes.
    with av.open(out, "w", format=container, options={"fflags": "+bitexact"}) as target:
        # Opaque for AV1: its decoder is no encoder, which PyAV would look for.
        copies = {
            s.index: target.add_stream_from_template(s, opaque=True if _codec(s) == "av1" else None) for s in streams
        }
        cleaners = {s.index: Cleaner(_codec(s), s, copies[s.index]) for s in streams}
        for packet in source.demux(*streams):
            if not packet.size:
                continue  # the end of a stream
            packet.dts = packet.pts if packet.dts is None else packet.dts  # some containers give one of both
            if not packet.duration:  # as long as the one before, else the last frame of a film would last no time
                packet.duration = packet.dts - before.get(packet.stream.index, packet.dts)
            before[packet.stream.index] = packet.dts
            for clean in cleaners[packet.stream.index].of(packet):
                clean.stream = copies[packet.stream.index]
                target.mux(clean)
        for index, cleaner in cleaners.items():
            for clean in cleaner.of(None):
                clean.stream = copies[index]
                target.mux(clean)
    return out.getvalue()


def _as_flac(source: Any, stream: Any) -> bytes:
    import av
    from av.audio.resampler import AudioResampler

    out = io.BytesIO()
    form = "s16" if stream.codec_context.format.name in ("s16", "s16p", "u8", "u8p") else "s32"  # written as 24 bits
    resampler = AudioResampler(format=form, layout=stream.codec_context.layout, rate=stream.codec_context.sample_rate)
    with av.open(out, "w", format="flac", options={"fflags": "+bitexact"}) as target:
        coded = target.add_stream("flac", rate=stream.codec_context.sample_rate)
        coded.layout = stream.codec_context.layout
        coded.format = form
        for frame in source.decode(stream):
            for piece in resampler.resample(frame):
                target.mux(coded.encode(piece))
        target.mux(coded.encode(None))
    return out.getvalue()

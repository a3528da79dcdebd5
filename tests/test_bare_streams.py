"""Words inside coded streams, and behind or between their frames, do not reach who sees or hears them."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import pytest

from aipipe.display.bare import bare_media
from aipipe.display.streams import frame_length

from .test_bare import samples, written

av = pytest.importorskip("av", reason="needs aipipe[media]")

CANARY = b"CANARY-SCHOOL-7"
NOTES = {"libx264": b"x264 - core", "libx265": b"x265 (build", "mpeg4": b"Lavc"}
"""Where encoders write of themselves in a stream; another program may write anything there."""


def filmed(path: Path, codec: str, container: str = "mp4") -> Path:
    with av.open(str(path), "w", format=container) as target:
        stream = target.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame(64, 64, "rgb24")
            frame.planes[0].update(bytes([number * 20]) * frame.planes[0].buffer_size)
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return path


def framed(data: bytes) -> list[Any]:
    with av.open(io.BytesIO(data)) as file:
        return [(frame.pts, frame.to_ndarray().tobytes()) for frame in file.decode(video=0)]


@pytest.mark.parametrize("codec", sorted(NOTES))
def test_messages_in_a_film_are_gone_and_its_frames_stay(codec: str, tmp_path: Path) -> None:
    try:
        path = filmed(tmp_path / "a.mp4", codec)
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this PyAV has no {codec}")
    data = path.read_bytes()
    note = NOTES[codec]
    assert note in data
    path.write_bytes(data.replace(note, CANARY[: len(note)]))
    bare, _ = bare_media(path, "video")
    assert CANARY[: len(note)] not in bare
    assert framed(bare) == framed(data)


@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_a_film_in_av1_can_be_shown_too(container: str, tmp_path: Path) -> None:
    if "libsvtav1" not in av.codecs_available:
        pytest.skip("this PyAV writes no AV1")
    path = filmed(tmp_path / f"a.{container}", "libsvtav1", container)
    bare, mime = bare_media(path, "video")
    assert mime == "video/webm"
    pictures, before = framed(bare), framed(path.read_bytes())
    assert [picture for _, picture in pictures] == [picture for _, picture in before]
    assert [at for at, _ in pictures] == sorted(at for at, _ in pictures)


@pytest.mark.parametrize(
    ("codec", "container"), [("libmp3lame", "mp3"), ("flac", "flac"), ("aac", "mp4"), ("pcm_s16le", "wav")]
)
def test_bytes_behind_a_sound_are_gone(codec: str, container: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"a.{container}", codec, container)
    before = samples(path.read_bytes())
    entry = struct.pack("<II", len(CANARY), 0) + b"Title\0" + CANARY
    ape = entry + b"APETAGEX" + struct.pack("<IIII", 2000, len(entry) + 32, 1, 0) + bytes(8)
    with path.open("ab") as stream:
        stream.write(CANARY + ape + b"TAG" + CANARY.ljust(125, b"\0"))
    bare, _ = bare_media(path, "audio")
    assert CANARY not in bare
    assert b"".join(samples(bare)) == b"".join(before)


def test_bytes_between_the_frames_of_an_mp3_are_gone(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp3", "libmp3lame", "mp3")
    data = path.read_bytes()
    middle = data.find(b"\xff\xfb", len(data) // 2)
    path.write_bytes(data[:middle] + CANARY * 3 + data[middle:])
    assert CANARY not in bare_media(path, "audio")[0]


@pytest.mark.parametrize(
    ("head", "length"), [(b"\xff\xfb\x90\x00", 417), (b"\xff\xfb\x92\x00", 418), (b"\xff\xf3\x48\xc4", 144),
                       (b"TAG\0", 0), (b"\xff\xfb", 0), (b"\xff\xfb\xfc\x00", 0)]
)  # fmt: skip
def test_the_length_of_a_frame_stands_in_its_head(head: bytes, length: int) -> None:
    assert frame_length(head) == length

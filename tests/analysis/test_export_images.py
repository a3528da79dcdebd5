"""Pictures of a public export look as they did, and hold nothing that is not seen."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from PIL import Image

from aipipe.analysis.export.images import remains, stripped

CANARY = "CANARY-SCHOOL-7"
RED, GREEN, BLUE = (0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)
"""Primaries of Display P3, adapted to D50 as profiles are."""


def wide_gamut() -> bytes:
    """A profile of Display P3 with the curve of gamma 2.2, whose description holds a canary."""

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    words = CANARY.encode() + b"\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(words)) + words + b"\0" * 78
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    tags = {
        b"desc": described, b"cprt": b"text\0\0\0\0" + words, b"wtpt": xyz((0.9642, 1.0, 0.8249)), b"rXYZ": xyz(RED),
        b"gXYZ": xyz(GREEN), b"bXYZ": xyz(BLUE), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }  # fmt: skip
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", 132 + 12 * len(tags) + len(body), b"\0" * 4, 0x02400000, b"mntr", b"RGB ", b"XYZ "
    )
    head += struct.pack(">6H", 2026, 11, 1, 0, 0, 0) + b"acsp" + b"\0" * 28
    head += b"".join(struct.pack(">i", round(v * 65536)) for v in (0.9642, 1.0, 0.8249))
    return head.ljust(128, b"\0") + table + body


def shown(data: bytes, at: tuple[int, int] = (1, 1)) -> tuple[int, ...]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.convert("RGBA").getpixel(at)  # type: ignore[return-value]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif"])
def test_colours_of_a_wide_gamut_picture_stay_what_people_see(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    lossless = {"lossless": True} if suffix == "webp" else {}
    Image.new("RGB", (16, 16), (120, 180, 90)).save(path, icc_profile=wide_gamut(), quality=100, **lossless)
    data = stripped(path)
    red, green, blue, _ = shown(data)
    # The same light in sRGB: less red, a little more green and less blue than the numbers of the wider space.
    assert abs(red - 100) <= 3
    assert abs(green - 183) <= 3
    assert abs(blue - 75) <= 4
    assert remains(data) == []
    assert CANARY.encode() not in data


def test_the_clear_parts_of_a_wide_gamut_picture_stay_clear(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (8, 8), (120, 180, 90, 128))
    picture.save(tmp_path / "a.png", icc_profile=wide_gamut())
    red, _, _, alpha = shown(stripped(tmp_path / "a.png"))
    assert (red < 110, alpha) == (True, 128)


def test_a_broken_profile_stops_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (120, 180, 90)).save(tmp_path / "a.png", icc_profile=CANARY.encode())
    data = stripped(tmp_path / "a.png")
    assert shown(data)[:3] == (120, 180, 90)
    assert CANARY.encode() not in data


def test_what_transparency_hides_is_gone(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (8, 8), (200, 30, 60, 255))
    picture.paste((11, 22, 33, 0), (0, 0, 4, 8))
    picture.save(tmp_path / "a.png")
    data = stripped(tmp_path / "a.png")
    assert shown(data, (1, 1)) == (0, 0, 0, 0)
    assert shown(data, (6, 1)) == (200, 30, 60, 255)


def test_the_second_picture_in_a_camera_file_is_not_published(tmp_path: Path) -> None:
    one, other = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    one.save(tmp_path / "a.mpo", save_all=True, append_images=[other])
    path = (tmp_path / "a.mpo").rename(tmp_path / "a.jpg")
    data = stripped(path)
    with Image.open(io.BytesIO(data)) as image:
        assert getattr(image, "n_frames", 1) == 1
    assert shown(data)[0] > 200


def test_sixteen_bits_of_grey_stay(tmp_path: Path) -> None:
    values = [n * 250 for n in range(256)]
    picture = Image.frombytes("I;16", (16, 16), struct.pack("<256H", *values))
    picture.save(tmp_path / "a.png")
    with Image.open(io.BytesIO(stripped(tmp_path / "a.png"))) as image:
        assert [image.getpixel((n % 16, n // 16)) for n in range(256)] == values


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif"])
def test_a_turned_picture_stays_upright(suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, CANARY
    Image.new("RGB", (16, 8), "red").save(tmp_path / f"a.{suffix}", exif=exif)
    data = stripped(tmp_path / f"a.{suffix}")
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (8, 16)
    assert CANARY.encode() not in data

"""A film from a hash: a pattern that wanders, as an MP4 that browsers play, written with the standard library.

The frames are H.264 without any compression: every macroblock is of the kind I_PCM, which holds its samples as they
are (ITU-T H.264, 7.3.5 and table 7-11). The file is an ISO base media file (ISO/IEC 14496-12) with the frames in one
chunk. That is the smallest stream a player accepts, and the same prompt gives the same bytes everywhere.
"""

from __future__ import annotations

import re
import struct

from aipipe.runners.placeholder.hashing import digest_of

SIDE = 64
FRAMES = 8
FPS = 4
BLOCK = 16
"""Side of a macroblock in pixels."""

I_PCM_FOLLOWING = bytes([0x0D, 0x00])
"""mb_type 25 (I_PCM) as Exp-Golomb code, filled up to the byte; the first macroblock follows the slice header's bits."""


def film(prompt: str, seed: int) -> bytes:
    """The MP4 of a prompt: 64 × 64, 8 frames, 2 s.

    Args:
        prompt: Any text.
        seed: Any integer.
    """
    digest = digest_of(prompt, seed)
    return _mp4([_unit(_frame(digest, number)) for number in range(FRAMES)])


class _Bits:
    """A string of bits, as the syntax tables of H.264 name them: u(n) and ue(v)."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, value: int, width: int = 1) -> _Bits:
        self.text += format(value, f"0{width}b")
        return self

    def ue(self, *values: int) -> _Bits:
        for value in values:
            code = format(value + 1, "b")
            self.text += "0" * (len(code) - 1) + code
        return self

    def aligned(self) -> bytes:
        padded = self.text + "0" * (-len(self.text) % 8)
        return int(padded, 2).to_bytes(len(padded) // 8, "big")

    def ended(self) -> bytes:
        """With the stop bit that ends every unit."""
        return self.u(1).aligned()


def _sequence_parameters() -> bytes:
    """Baseline profile, level 2, frames of 4 × 4 macroblocks in decoding order."""
    bits = _Bits().ue(0, 0, 2, 0).u(0).ue(SIDE // BLOCK - 1, SIDE // BLOCK - 1).u(1).u(1).u(0).u(0)
    return bytes([0x67, 66, 0xC0, 20]) + bits.ended()


def _picture_parameters() -> bytes:
    """CAVLC, one slice group; the slices say that they are not deblocked."""
    bits = _Bits().ue(0, 0).u(0).u(0).ue(0, 0, 0).u(0).u(0, 2).ue(0, 0, 0).u(1).u(0).u(0)
    return bytes([0x68]) + bits.ended()


def _frame(digest: bytes, number: int) -> bytes:
    """One instantaneous refresh picture; neighbours carry different ids, as the standard asks."""
    head = _Bits().ue(0, 7, 0).u(0, 4).ue(number % 2).u(0, 2).ue(0, 1).ue(25)
    blocks = [_block(digest, column, row, number) for row in range(SIDE // BLOCK) for column in range(SIDE // BLOCK)]
    return bytes([0x65]) + head.aligned() + I_PCM_FOLLOWING.join(blocks) + b"\x80"


def _block(digest: bytes, column: int, row: int, number: int) -> bytes:
    """256 luma and twice 64 colour samples: quarters of four by two lightnesses, one colour."""
    values = [48 + digest[(column * 8 + row * 2 + part + number * 4) % 24] % 160 for part in range(2)]
    luma = b"".join(bytes([values[y // 8]]) * 8 + bytes([values[1 - y // 8]]) * 8 for y in range(BLOCK))
    place = (column + number) % 4
    return luma + bytes([64 + digest[24 + place] % 128]) * 64 + bytes([64 + digest[28 + row] % 128]) * 64


def _escaped(unit: bytes) -> bytes:
    """No start code may stand inside a unit (7.4.1.1)."""
    return re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", unit)


def _unit(unit: bytes) -> bytes:
    """A unit behind its length, as an MP4 sample holds it."""
    escaped = _escaped(unit)
    return struct.pack(">I", len(escaped)) + escaped


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


MATRIX = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
"""The unit matrix: shown as it is."""


def _mp4(samples: list[bytes]) -> bytes:
    """The samples as a file whose index stands before the data, so that it plays while it loads."""
    brand = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomavc1mp41")
    size = len(_index(samples, 0))
    return brand + _index(samples, len(brand) + size + 8) + _box(b"mdat", *samples)


def _index(samples: list[bytes], offset: int) -> bytes:
    times = struct.pack(">4I", 0, 0, FPS, len(samples))
    header = _full(b"mvhd", times, struct.pack(">IHH8x", 1 << 16, 256, 0), MATRIX, bytes(24), struct.pack(">I", 2))
    track = _full(
        b"tkhd",
        struct.pack(">5I8x4H", 0, 0, 1, 0, len(samples), 0, 0, 0, 0),
        MATRIX,
        struct.pack(">II", SIDE << 16, SIDE << 16),
        flags=3,
    )
    media = _box(
        b"mdia",
        _full(b"mdhd", times, struct.pack(">HH", 0x55C4, 0)),  # 0x55C4: language "und"
        _full(b"hdlr", struct.pack(">I4s12x", 0, b"vide"), b"placeholder\0"),
        _box(
            b"minf",
            _full(b"vmhd", bytes(8), flags=1),
            _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1))),
            _table(samples, offset),
        ),
    )
    return _box(b"moov", header, _box(b"trak", track, media))


def _table(samples: list[bytes], offset: int) -> bytes:
    """Where each sample lies and how long it lasts; all are refresh pictures, so none is listed as such."""
    sequence, picture = _escaped(_sequence_parameters()), _escaped(_picture_parameters())
    decoder = _box(
        b"avcC",
        bytes([1, *sequence[1:4], 0xFF, 0xE1]) + struct.pack(">H", len(sequence)) + sequence,
        bytes([1]) + struct.pack(">H", len(picture)) + picture,
    )
    entry = _box(
        b"avc1",
        struct.pack(">6xH16xHHIIIH32xHh", 1, SIDE, SIDE, 72 << 16, 72 << 16, 0, 1, 24, -1),
        decoder,
    )
    return _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), entry),
        _full(b"stts", struct.pack(">III", 1, len(samples), 1)),
        _full(b"stsc", struct.pack(">4I", 1, 1, len(samples), 1)),
        _full(b"stsz", struct.pack(">II", 0, len(samples)), b"".join(struct.pack(">I", len(s)) for s in samples)),
        _full(b"stco", struct.pack(">II", 1, offset)),
    )

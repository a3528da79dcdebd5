"""A picture from a hash: a mirrored pattern of three colours, as a PNG that says in its text chunks what it is."""

from __future__ import annotations

import struct
import zlib

from aipipe.runners.placeholder.hashing import digest_of

SIDE = 64
CELLS = 8


def draw(prompt: str, seed: int, notes: dict[str, str]) -> bytes:
    """The PNG of a prompt: a mirrored pattern of three colours.

    Args:
        prompt: Any text.
        seed: Any integer.
        notes: Text chunks to write into the file, Latin-1 names.
    """
    digest = digest_of(prompt, seed)
    ground = bytes(200 + b % 48 for b in digest[:3])
    inks = (bytes(30 + b % 150 for b in digest[3:6]), bytes(60 + b % 150 for b in digest[6:9]))
    size = SIDE // CELLS
    rows = bytearray()
    for y in range(CELLS):
        line = b"".join(_cell(digest, ground, inks, min(x, CELLS - 1 - x), y) * size for x in range(CELLS))
        rows += (b"\0" + line) * size
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    text = b"".join(_chunk(b"iTXt", k.encode("latin-1") + b"\0\0\0\0\0" + v.encode()) for k, v in notes.items())
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + text
        + _chunk(b"IDAT", zlib.compress(bytes(rows), 6))
        + _chunk(b"IEND", b"")
    )


def _cell(digest: bytes, ground: bytes, inks: tuple[bytes, bytes], x: int, y: int) -> bytes:
    value = digest[9 + (y * CELLS // 2 + x) % 23] >> (y % 4 * 2) & 3
    return ground if value < 2 else inks[value - 2]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

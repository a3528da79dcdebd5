"""The placeholder runner: a small real picture from the prompt's hash, for tests and offline notebooks.

It needs nothing but the standard library and a few milliseconds. Every picture says that it is a placeholder.
"""

from __future__ import annotations

import hashlib
import struct
import time
import zlib

from aipipe.backends.base import Probe
from aipipe.events import Watch
from aipipe.runners._requests import require_image
from aipipe.runners.base import MediaFile, MediaRequest, MediaResult

VERSION = "1"
SIDE = 64
CELLS = 8
NOTE = "a placeholder drawn from the prompt's hash, not a neural model"


class PlaceholderRunner:
    """Draws a 64 × 64 PNG whose pattern and colours follow from prompt and seed."""

    kind = "placeholder"
    local = True

    def __init__(self, name: str = "placeholder") -> None:
        self.name = name

    def generate(self, request: MediaRequest, watch: Watch) -> MediaResult:
        """Draw the pattern.

        Raises:
            Refused: the request asks for anything but an image.
            RunCancelled: cancellation was requested before.
        """
        started = time.perf_counter()
        watch.cancellation.check()
        require_image(request, "The placeholder runner")
        facts = {"renderer": "aipipe placeholder", "renderer_version": VERSION, "note": NOTE}
        data = draw(request.prompt, request.seed, {**facts, "seed": str(request.seed)})
        file = MediaFile.of_bytes(
            data,
            "placeholder.png",
            "image",
            "image/png",
            seed=request.seed,
            metadata={**facts, "neural": False, "width": SIDE, "height": SIDE},
        )
        return MediaResult(
            files=(file,),
            seed=request.seed,
            parameters={"width": SIDE, "height": SIDE},
            seconds=time.perf_counter() - started,
            request={"prompt": request.prompt, "seed": request.seed},
            facts=facts,
        )

    def probe(self) -> Probe:
        """Always ready."""
        return Probe(ok=True, detail=f"placeholder {VERSION}: {NOTE}", version=VERSION)

    def close(self) -> None:
        """Nothing to release."""


def draw(prompt: str, seed: int, notes: dict[str, str]) -> bytes:
    """The PNG of a prompt: a mirrored pattern of three colours.

    Args:
        prompt: Any text.
        seed: Any integer.
        notes: Text chunks to write into the file, Latin-1 names.
    """
    digest = hashlib.sha256(f"{seed}\0{prompt}".encode("utf-8", "surrogatepass")).digest()
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

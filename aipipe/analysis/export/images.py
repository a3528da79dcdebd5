"""Images without metadata: pixels are written anew, and the result is read back to prove it."""

from __future__ import annotations

import io
from pathlib import Path

from aipipe.errors import BadMedia

ALLOWED = frozenset({"transparency", "gamma", "srgb", "dpi"})


def stripped(path: Path) -> bytes:
    """A PNG with the pixels of an image and nothing else.

    Raises:
        BadMedia: it does not open, or something beside the pixels is left.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            mode = upright.mode if upright.mode in ("RGB", "RGBA", "L") else "RGBA"
            pixels = upright.convert(mode)
            clean = Image.frombytes(mode, pixels.size, pixels.tobytes())
    except Exception as error:
        raise BadMedia(f"{path} does not open as an image: {error}", hint="Leave this run out.") from error
    buffer = io.BytesIO()
    clean.save(buffer, format="PNG", optimize=False)
    data = buffer.getvalue()
    left = remains(data)
    if left:
        raise BadMedia(f"{path}: {', '.join(left)} is left after stripping.", hint="Leave this run out.")
    return data


def remains(data: bytes) -> list[str]:
    """What an image file holds beside its pixels: text chunks, EXIF, XMP, comments; trailing bytes of a PNG."""
    from PIL import Image

    found = []
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        found += [str(k) for k in image.info if str(k) not in ALLOWED]
        if image.getexif():
            found.append("EXIF")
    if data[:8] == b"\x89PNG\r\n\x1a\n" and not data.endswith(b"IEND\xaeB`\x82"):
        found.append("bytes after the image")
    return found

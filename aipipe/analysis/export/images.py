"""Images without metadata: pixels are written anew, and the result is read back to prove it.

Colours are put into sRGB first, for a picture that loses its profile is shown as if it were sRGB; and pixels that
transparency hides are cleared, for a picture that was cut out still holds what was around it.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from aipipe.errors import BadMedia

ALLOWED = frozenset({"transparency", "gamma", "srgb", "dpi"})
MOVING = frozenset({"duration", "loop", "default_image", "bbox", "blend", "disposal"})
"""How the frames of an animated PNG are shown; numbers alone."""

ANIMATED = frozenset({"GIF", "PNG", "WEBP", "AVIF"})
"""Formats whose further pictures are frames; a second picture in a camera's file is a preview or a map of depths."""


def stripped(path: Path) -> bytes:
    """A PNG with the pixels of an image and nothing else; of an animation all frames and how long each is shown.

    Raises:
        BadMedia: it does not open, or something beside the pixels is left.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            frames, shown = _frames(image)
            still = _upright(image) if len(frames) == 1 else frames[0]
    except Exception as error:
        raise BadMedia(f"{path} does not open as an image: {error}", hint="Leave this run out.") from error
    buffer = io.BytesIO()
    if len(frames) == 1:
        still.save(buffer, format="PNG", optimize=False)
    else:
        still.save(
            buffer, format="PNG", save_all=True, append_images=frames[1:], duration=shown, loop=0, optimize=False
        )
    data = buffer.getvalue()
    left = remains(data)
    if left:
        raise BadMedia(f"{path}: {', '.join(left)} is left after stripping.", hint="Leave this run out.")
    return data


def _frames(image: Any) -> tuple[list[Any], list[int]]:
    """Clean copies of every frame, all of one mode as an animation needs, and milliseconds of each."""
    count = int(getattr(image, "n_frames", 1))
    if count == 1 or image.format not in ANIMATED:
        return [image], [0]
    frames, shown = [], []
    for number in range(count):
        image.seek(number)
        frames.append(_clean(_in_srgb(image), "RGBA"))
        shown.append(int(image.info.get("duration") or 100))
    return frames, shown


def _upright(image: Any) -> Any:
    """A clean copy of a still picture, turned as its EXIF says."""
    from PIL import ImageOps

    turned = _in_srgb(ImageOps.exif_transpose(image))
    # Grey of 16 bits is no colour, but a map of depths or heights, which 8 bits would ruin.
    return _clean(turned, turned.mode if turned.mode in ("RGB", "RGBA", "L", "I;16") else "RGBA")


def _in_srgb(image: Any) -> Any:
    """The image in the colours that are seen without a profile; as it is where it has none, or one that cannot be read."""
    from PIL import Image, ImageCms

    profile = image.info.get("icc_profile")
    if not profile or image.mode == "I;16":
        return image
    clear = "A" in image.getbands() or "transparency" in image.info
    base = image if image.mode in ("L", "CMYK") and not clear else image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        result = ImageCms.profileToProfile(base, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    if clear and isinstance(result, Image.Image):
        result.putalpha(image.convert("RGBA").getchannel("A"))
    return result or image


def _clean(image: Any, mode: str) -> Any:
    """A new image of the same pixels, which has never known the old one's metadata."""
    from PIL import Image

    pixels = image.convert(mode)
    if mode == "RGBA":
        seen = pixels.getchannel("A").point(lambda alpha: 255 if alpha else 0)
        pixels = Image.composite(pixels, Image.new("RGBA", pixels.size), seen)
    return Image.frombytes(mode, pixels.size, pixels.tobytes())


def remains(data: bytes) -> list[str]:
    """What an image file holds beside its pixels: text chunks, EXIF, XMP, comments; trailing bytes of a PNG."""
    from PIL import Image

    found = []
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        found += [str(k) for k, v in image.info.items() if str(k) not in ALLOWED and not _is_motion(str(k), v)]
        if image.getexif():
            found.append("EXIF")
    if data[:8] == b"\x89PNG\r\n\x1a\n" and not data.endswith(b"IEND\xaeB`\x82"):
        found.append("bytes after the image")
    return found


def _is_motion(name: str, value: Any) -> bool:
    return name in MOVING and (
        isinstance(value, int | float) or (isinstance(value, tuple) and all(isinstance(v, int | float) for v in value))
    )

"""Images without metadata: pixels are written anew, and the result is read back to prove it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from aipipe.errors import BadMedia

ALLOWED = frozenset({"transparency", "gamma", "srgb", "dpi"})
MOVING = frozenset({"duration", "loop", "default_image", "bbox", "blend", "disposal"})
"""How the frames of an animated PNG are shown; numbers alone."""


_MODE = {mode: mode for mode in ("1", "L", "LA", "RGB", "RGBA", "I", "I;16")} | {"CMYK": "RGB", "YCbCr": "RGB"}
"""How a still picture of each mode is written; sixteen bits of grey, as depth has them, keep all their values."""


def stripped(path: Path) -> bytes:
    """A PNG with the pixels of an image and nothing else; of an animation all frames and how long each is shown.

    Colours of a profile are converted to sRGB, which is how pixels without a profile are shown.

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
    if count == 1:
        return [image], [0]
    frames, shown = [], []
    for number in range(count):
        image.seek(number)
        frames.append(_clean(image, "RGBA"))
        shown.append(int(image.info.get("duration") or 100))
    return frames, shown


def _upright(image: Any) -> Any:
    """A clean copy of a still picture, turned as its EXIF says."""
    from PIL import ImageOps

    turned = ImageOps.exif_transpose(image)
    return _clean(turned, _MODE.get(turned.mode, "RGBA"))


def _clean(image: Any, mode: str) -> Any:
    """A new image that looks the same, which has never known the old one's metadata."""
    from PIL import Image

    pixels = _in_srgb(image).convert(mode)
    return Image.frombytes(mode, pixels.size, pixels.tobytes())


def _in_srgb(image: Any) -> Any:
    """The image with the colours that its profile means; one whose profile says nothing is left as it is."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if not profile:
        return image
    # Palettes hold colours of the profile, too; only their colours have a place in a profile.
    plain = image.convert("RGBA" if "transparency" in image.info else "RGB") if image.mode == "P" else image
    mode = "RGBA" if plain.mode == "RGBA" else "RGB"
    try:
        meant = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(plain, meant, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        # A damaged profile, or one for another kind of image: programs that show images leave it aside as well.
        return image
    return converted if converted is not None else image


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

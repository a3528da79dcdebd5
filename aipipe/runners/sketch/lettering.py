"""Type: words that no glyph shows, set with care."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image


def font(size: float) -> Any:
    """The typeface that ships with Pillow, so that every machine sets the same letters."""
    from PIL import ImageFont

    return ImageFont.load_default(max(6, round(size)))


def settable(text: str) -> bool:
    """Whether the typeface has all letters: it covers the Latin ones."""
    return all(ord(c) < 0x180 for c in text)


def spaced(text: str, size: float, colour: tuple[int, int, int], tracking: float) -> Image.Image:
    """A line of letters with space between them, as RGBA cut to its outline."""
    from PIL import Image, ImageDraw

    face = font(size)
    advance = [float(face.getlength(c)) + tracking * size for c in text]
    layer = Image.new("RGBA", (max(1, round(sum(advance) + size)), round(size * 1.6)), (*colour, 0))
    draw = ImageDraw.Draw(layer)
    x = size * 0.2
    for letter, step in zip(text, advance, strict=True):
        draw.text((x, size * 0.15), letter, font=face, fill=(*colour, 255))
        x += step
    return layer.crop(layer.getbbox() or (0, 0, 1, 1))


def fitted(text: str, width: float, largest: float, colour: tuple[int, int, int], tracking: float) -> Image.Image:
    """The line as large as fits into `width` pixels, but not over `largest`."""
    unit = sum(float(font(40).getlength(c)) / 40 + tracking for c in text)
    return spaced(text, min(largest, width / max(0.5, unit)), colour, tracking)


def caption(picture: Image.Image, words: Sequence[str], ink: str, *, bold: bool) -> Image.Image:
    """Words at the foot of a picture: a quiet line under things, a large one where there are none.

    Args:
        picture: RGB.
        words: What to set; words with letters the typeface lacks are left out.
        ink: Hex colour of dark letters; on dark grounds paper white is used.
        bold: True where the words are the picture's subject.
    """
    from aipipe.runners.sketch.glyphs import rgb

    words = [w for w in words if settable(w)]
    if not words:
        return picture
    size = min(picture.size)
    y = round(picture.height * (0.83 if bold else 0.93))
    patch = picture.crop((0, max(0, y - size // 20), picture.width, y)).convert("L").resize((1, 1))
    dark_ground = int(patch.getpixel((0, 0)) or 0) < 120  # type: ignore[arg-type]
    colour = (246, 238, 222) if dark_ground else tuple(round(c) for c in rgb(ink))
    text = "  ".join(w.lower() for w in words) if bold else "  ·  ".join(w.lower() for w in words)
    line = fitted(text, picture.width * 0.8, size * (0.085 if bold else 0.034), colour, 0.22 if bold else 0.3)  # type: ignore[arg-type]
    layer = picture.convert("RGBA")
    layer.alpha_composite(line, (max(0, (picture.width - line.width) // 2), y - line.height // 2))
    return layer.convert("RGB")

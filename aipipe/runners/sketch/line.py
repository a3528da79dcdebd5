"""The line style: an ink drawing with one loose wash of colour on paper."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from aipipe.runners.sketch.canvas import Canvas
from aipipe.runners.sketch.glyphs import RGB, Look, mix, rgb, sprite
from aipipe.runners.sketch.ground import HORIZONS
from aipipe.runners.sketch.layout import BACK, Placed, arrange, has_body
from aipipe.runners.sketch.lettering import fitted, settable
from aipipe.runners.sketch.noise import Chance, Field, ridge
from aipipe.runners.sketch.words import Brief

if TYPE_CHECKING:
    from PIL import Image

WASHES = {
    "day": ("#e8b04a", "#7fb0b8", "#d98a6a"), "dawn": ("#e9a58f", "#e2b86a"), "sunset": ("#dd7a4e", "#c9616e"),
    "night": ("#5a6f9e", "#6d6394"),
}  # fmt: skip
INK = "#23222b"
PAPER = "#f6f1e6"
_WATER = ("sea", "lake", "beach", "deep")


def draw(brief: Brief, chance: Chance, width: int, height: int) -> tuple[Image.Image, list[Placed]]:
    """The picture and what was placed in it."""
    from PIL import Image

    wash = brief.colours[0] if brief.colours else chance.child("wash").pick(WASHES[brief.time])
    canvas = Canvas(width, height, chance.child("canvas"))
    canvas.gradient([(0, rgb(PAPER)), (1, rgb(PAPER))])
    horizon = HORIZONS[brief.place]
    placed = arrange(brief, chance.child("layout"), horizon, width / height)
    _wash(canvas, brief, rgb(wash), horizon, placed)
    drawing = Image.new("RGBA", (width, height), (*_ink(), 0))
    _ground(drawing, brief, chance.child("ground"), horizon)
    colours = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    for spot in sorted(placed, key=lambda s: _order(s)):
        _glyph(drawing, colours, spot, brief, wash)
    _letters(drawing, brief, bare=not placed)
    shift = _wobble(canvas)
    tint = np.asarray(colours, np.float32)
    # Colour sits a little beside the lines, as if printed or painted by hand.
    offset = max(2, round(5 * canvas.unit))
    tint = np.roll(tint, (offset, -offset), (0, 1))
    bleed = 0.5 + 0.35 * canvas.noise("bleed", (60, 70), 4)
    canvas.blend(tint[..., 3] / 255 * bleed, tint[..., :3])
    lines = np.asarray(drawing, np.float32)[shift]
    grain = 0.78 + 0.22 * np.clip(canvas.noise("tooth", (2.2, 2.2), 1) * 2.4, 0, 1)
    paper = lines[..., 3:] / 255
    ink_share = 1 - np.clip(lines[..., :3].mean(axis=2) / 200, 0, 1)
    canvas.pixels += (lines[..., :3] - canvas.pixels) * paper * (ink_share * grain)[..., None]
    return Image.fromarray(canvas.finish(grain=6, vignette=0.07)), placed


def _ink() -> tuple[int, int, int]:
    r, g, b = rgb(INK)
    return (round(r), round(g), round(b))


def _order(spot: Placed) -> tuple[int, float]:
    carried = spot.thing.on is not None or spot.thing.held_by is not None
    if not spot.grounded and not carried:
        return (0, spot.y)
    return (1 if spot.thing.entry.klass in BACK else 3 if carried else 2, spot.y)


def _wobble(canvas: Canvas) -> tuple[Field, Field]:
    """Where each pixel comes from, so that straight lines tremble a little."""
    reach = 3.2 * canvas.unit
    dy = (canvas.noise("dy", (26, 26), 2) - 0.5) * 2 * reach
    dx = (canvas.noise("dx", (26, 26), 2) - 0.5) * 2 * reach
    rows = np.clip(np.rint(canvas.rows + dy), 0, canvas.height - 1).astype(np.int64)
    columns = np.clip(np.rint(canvas.columns + dx), 0, canvas.width - 1).astype(np.int64)
    return rows, columns  # type: ignore[return-value]


def _wash(canvas: Canvas, brief: Brief, colour: RGB, horizon: float, placed: list[Placed]) -> None:
    """A watercolour sky or pool behind the drawing, with a darker dried edge."""
    blot = canvas.noise("blot", (150, 210), 5)
    y = canvas.rows / canvas.height
    x = canvas.columns / canvas.width
    if brief.place in _WATER:
        shape = np.clip((y - horizon) * 9, 0, 1) * np.clip((0.98 - y) * 6, 0, 1)
    elif placed:
        cx = sum(p.x for p in placed) / len(placed)
        shape = np.exp(-(((x - cx) / 0.36) ** 2) - ((y - horizon * 0.66) / 0.3) ** 2)
    else:
        shape = np.exp(-(((x - 0.5) / 0.4) ** 2) - ((y - 0.44) / 0.3) ** 2)
    level = shape + (blot - 0.5) * 1.1
    inside = np.clip((level - 0.42) * 16, 0, 1)
    edge = np.exp(-(((level - 0.46) / 0.035) ** 2))
    pool = 0.34 + 0.3 * canvas.noise("pool", (110, 130), 4)
    canvas.blend(np.clip(inside * pool + edge * 0.2, 0, 0.75), colour)
    if brief.time == "night":
        canvas.blend(np.clip((horizon + 0.05 - y) * 4, 0, 1) * (0.5 + 0.2 * blot), mix(colour, (30, 34, 60), 0.5))


def _stroke(picture: Image.Image, points: list[tuple[float, float]], width: float) -> None:
    from PIL import ImageDraw

    ImageDraw.Draw(picture).line(points, fill=(*_ink(), 255), width=max(1, round(width)), joint="curve")


def _ground(picture: Image.Image, brief: Brief, chance: Chance, horizon: float) -> None:
    w, h = picture.size
    unit = min(w, h) / 768
    painter = {"indoor": _room, "city": _roofs, "void": _rings}.get(brief.place)
    if painter is not None:
        painter(picture, chance, horizon)
    elif brief.place in _WATER:
        _waves(picture, chance, 0.12 if brief.place == "deep" else horizon)
    else:
        for i, level in enumerate((horizon - 0.05, horizon, horizon + 0.06)):
            shape = ridge(chance, f"hill{i}", w, (320 - 60 * i) * unit, 3)
            _stroke(
                picture,
                [(x, (level + (0.5 - float(shape[x])) * (0.12 - 0.03 * i)) * h) for x in range(0, w, 4)],
                (1.2 + 0.6 * i) * unit,
            )
        if brief.weather != "snow":
            _tufts(picture, chance, horizon)
    if brief.place == "forest":
        _firs(picture, chance, horizon)
    if brief.place not in ("indoor", "deep", "void"):
        _sky(picture, brief, chance, horizon)


def _sky(picture: Image.Image, brief: Brief, chance: Chance, horizon: float) -> None:
    w, h = picture.size
    unit = min(w, h) / 768
    x, y, r = w * chance.pick((0.2, 0.8)), h * horizon * 0.3, 44 * unit
    if brief.weather in ("rain", "storm"):
        for _ in range(90):
            px, py, long = chance.between(0, w), chance.between(0, h * 0.9), chance.between(14, 40) * unit
            _stroke(picture, [(px, py), (px - long * 0.3, py + long)], 1.3 * unit)
        return
    _stroke(
        picture, [(x + r * math.cos(a), y + r * math.sin(a)) for a in (i * math.tau / 48 for i in range(50))], 2 * unit
    )
    if brief.time == "night":
        _stroke(
            picture,
            [
                (x + r * 0.35 + r * 0.85 * math.cos(a), y - r * 0.15 + r * 0.85 * math.sin(a))
                for a in (1.6 + i * 0.075 for i in range(44))
            ],
            1.6 * unit,
        )
        for _ in range(26):
            px, py, s = (
                chance.between(0.04, 0.96) * w,
                chance.between(0.03, horizon * 0.8) * h,
                chance.between(3, 7) * unit,
            )
            _stroke(picture, [(px - s, py), (px + s, py)], 1.2 * unit)
            _stroke(picture, [(px, py - s), (px, py + s)], 1.2 * unit)
    else:
        for i in range(16):
            a = i * math.tau / 16
            far = r * (1.75 if i % 2 else 1.5)
            _stroke(
                picture,
                [
                    (x + r * 1.22 * math.cos(a), y + r * 1.22 * math.sin(a)),
                    (x + far * math.cos(a), y + far * math.sin(a)),
                ],
                1.6 * unit,
            )
    if brief.weather == "snow":
        for _ in range(70):
            px, py, s = chance.between(0, w), chance.between(0, h), chance.between(1.5, 3.6) * unit
            _stroke(
                picture,
                [(px + s * math.cos(a), py + s * math.sin(a)) for a in (i * math.tau / 10 for i in range(12))],
                1.2 * unit,
            )


def _tufts(picture: Image.Image, chance: Chance, horizon: float) -> None:
    w, h = picture.size
    for _ in range(70):
        depth = chance.between(0, 1)
        x, y = chance.between(0, w), h * (horizon + 0.09 + (0.9 - horizon) * depth)
        tall = h * (0.008 + 0.03 * depth)
        for lean in (-0.5, 0.05, 0.55):
            bend = lean + chance.between(-0.15, 0.15)
            _stroke(picture, [(x, y), (x + bend * tall * 0.4, y - tall * 0.6), (x + bend * tall, y - tall)], 1 + depth)


def _firs(picture: Image.Image, chance: Chance, horizon: float) -> None:
    w, h = picture.size
    for i in range(9):
        x = w * (i + chance.between(0.2, 0.8)) / 9
        tall, foot = h * chance.between(0.18, 0.36), h * (horizon + 0.03)
        points = [(x, foot - tall)]
        for k in range(1, 6):
            half = tall * 0.05 * k
            y = foot - tall + tall * k / 5.6
            points = (
                [
                    (x - half, y),
                    (x - half * 0.45, y - tall * 0.03),
                    *points,
                    (x + half * 0.45, y - tall * 0.03),
                    (x + half, y),
                ]
                if k == 1
                else [
                    (x - half, y),
                    (x - half * 0.5, y - tall * 0.02),
                    *points,
                    (x + half * 0.5, y - tall * 0.02),
                    (x + half, y),
                ]
            )
        _stroke(picture, [*points, points[0]], 1.5)
        _stroke(picture, [(x, foot - tall * 0.1), (x, foot)], 3)
        for k in range(7):
            y = foot - tall * (0.2 + 0.1 * k)
            half = tall * 0.2 * (0.9 - 0.11 * k)
            _stroke(picture, [(x, y), (x + half * 0.7, y + tall * 0.05)], 1)


def _waves(picture: Image.Image, chance: Chance, top: float) -> None:
    w, h = picture.size
    _stroke(picture, [(0, top * h), (w, top * h)], 1.4)
    for row in range(1, 15):
        depth = (row / 15) ** 1.35
        y = h * (top + (0.98 - top) * depth)
        x = chance.between(-0.1, 0.1) * w
        while x < w:
            long, swing = w * chance.between(0.05, 0.13) * (0.5 + depth), h * 0.012 * (0.25 + depth)
            if chance.between(0, 1) < 0.62:
                _stroke(
                    picture,
                    [(x + long * t / 12, y - swing * math.sin(t / 12 * math.pi)) for t in range(13)],
                    1 + 1.2 * depth,
                )
            x += long * chance.between(0.9, 1.9)


def _room(picture: Image.Image, chance: Chance, horizon: float) -> None:
    w, h = picture.size
    left = chance.pick((0.08, 0.56))
    x0, x1, y0, y1 = left * w, (left + 0.34) * w, 0.08 * h, (horizon - 0.15) * h
    for pad in (0, 0.014 * w):
        _stroke(
            picture,
            [
                (x0 - pad, y0 - pad),
                (x1 + pad, y0 - pad),
                (x1 + pad, y1 + pad),
                (x0 - pad, y1 + pad),
                (x0 - pad, y0 - pad),
            ],
            2,
        )
    _stroke(picture, [((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)], 2)
    _stroke(picture, [(x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2)], 2)
    shape = ridge(chance, "view", w, 150, 3)
    _stroke(
        picture,
        [(x, y1 - (y1 - y0) * (0.12 + 0.25 * float(shape[int(x)]))) for x in range(round(x0), round(x1), 4)],
        1.4,
    )
    for i, level in enumerate((horizon, horizon + 0.015, horizon + 0.1, horizon + 0.21)):
        _stroke(picture, [(0, level * h), (w, level * h)], 2.4 if i == 0 else 1.1)


def _roofs(picture: Image.Image, chance: Chance, horizon: float) -> None:
    from PIL import ImageDraw

    w, h = picture.size
    pen = ImageDraw.Draw(picture)
    for row, (scale, thin) in enumerate(((0.46, 1), (0.3, 2))):
        x = -0.02 * w
        while x < w:
            wide, tall = w * chance.between(0.08, 0.14), h * scale * chance.between(0.55, 1.0)
            top, foot = (horizon + 0.06 * row) * h - tall, (horizon + 0.06 * row) * h
            pen.rectangle((x, top, x + wide, foot), fill=(255, 255, 255, 255), outline=(*_ink(), 255), width=thin)
            if chance.between(0, 1) < 0.4:
                _stroke(picture, [(x, top), (x + wide / 2, top - wide * 0.4), (x + wide, top)], thin)
            step = w * 0.026
            for wy in range(1, int(tall / step)):
                for wx in range(int(wide / step)):
                    px, py = x + step * (wx + 0.35), top + step * (wy - 0.3)
                    dark = chance.between(0, 1) < 0.3
                    pen.rectangle(
                        (px, py, px + step * 0.45, py + step * 0.55),
                        outline=(*_ink(), 255),
                        fill=(*_ink(), 255) if dark else None,
                    )
            x += wide
    for i in range(26):
        y = h * (horizon + 0.08 + 0.012 * i)
        x = chance.between(0, 0.8) * w
        _stroke(picture, [(x, y), (x + w * chance.between(0.05, 0.3), y)], 1)


def _rings(picture: Image.Image, chance: Chance, horizon: float) -> None:
    """For prompts without things: two fields of rings that almost touch."""
    w, h = picture.size
    size = min(w, h)
    for cx, count in ((0.32, 15), (0.7, 11)):
        for i in range(count):
            r = size * 0.017 * (i + 1) * (1 + 0.03 * chance.between(-1, 1))
            gap, start = chance.between(0.2, 1.4), chance.between(0, math.tau)
            arc = [start + (math.tau - gap) * k / 70 for k in range(71)]
            _stroke(
                picture,
                [(cx * w + r * math.cos(a), 0.42 * h + r * math.sin(a)) for a in arc],
                1.2 + 1.4 * chance.between(0, 1) ** 3,
            )


def _glyph(drawing: Image.Image, colours: Image.Image, spot: Placed, brief: Brief, wash: str) -> None:
    from PIL import Image, ImageFilter, ImageOps

    tall = round(spot.height * drawing.height)
    clothes = 0 if has_body(spot.thing, brief.place) else None
    look = Look(ink=INK, ink_width=1.15, haze="#ffffff", lines_only=True, clothes=clothes)
    glyph = sprite(spot.thing.entry.glyph, tall, look)
    tint = Image.new("RGBA", glyph.size, (0, 0, 0, 0))
    if spot.thing.colour or spot.thing.entry.klass not in BACK:
        area = Image.new("RGBA", glyph.size, tuple(round(c) for c in rgb(spot.thing.colour or wash)))
        soft = glyph.getchannel("A").filter(ImageFilter.GaussianBlur(2)).point(lambda v: 0 if v < 140 else 200)
        tint.paste(area, (0, 0), soft)
    pieces = [glyph, tint]
    if spot.flip:
        pieces = [ImageOps.mirror(p) for p in pieces]
    if spot.angle:
        pieces = [p.rotate(spot.angle, Image.Resampling.BICUBIC, expand=True) for p in pieces]
    x = round(spot.x * drawing.width - pieces[0].width / 2)
    standing = spot.grounded or spot.thing.on is not None or (spot.thing.held_by is not None and spot.holder is None)
    y = round(spot.y * drawing.height - pieces[0].height * (1.0 if standing else 0.5))
    if spot.grounded:
        _hatch(drawing, spot)
    for sheet, piece in ((drawing, pieces[0]), (colours, pieces[1])):
        sheet.alpha_composite(piece, (max(0, x), max(0, y)), (max(0, -x), max(0, -y)))


def _hatch(picture: Image.Image, spot: Placed) -> None:
    """A cast shadow of short slanting strokes."""
    w, h = picture.size
    wide = spot.height * h * 0.55
    for i in range(15):
        share = i / 14 * 2 - 1
        x, y = spot.x * w + share * wide, spot.y * h
        long = wide * 0.22 * (1 - share * share) ** 0.5
        _stroke(picture, [(x - long, y + long * 0.25), (x + long, y - long * 0.25)], 1.2)


def _letters(picture: Image.Image, brief: Brief, *, bare: bool) -> None:
    words = [w for w in brief.unmatched if settable(w)][:3]
    if not words or (not bare and len(words) < len(brief.things)):
        return
    size = min(picture.size)
    line = fitted("  ".join(words).lower(), picture.width * 0.8, size * (0.075 if bare else 0.032), _ink(), 0.3)
    y = round(picture.height * (0.82 if bare else 0.94))
    picture.alpha_composite(line, ((picture.width - line.width) // 2, y - line.height // 2))

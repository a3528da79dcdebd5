"""The scene style: a layered painted landscape with glyphs that stand in its light."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aipipe.runners.sketch import ground
from aipipe.runners.sketch.canvas import Canvas
from aipipe.runners.sketch.glyphs import Look, hexed, mix, rgb, sprite
from aipipe.runners.sketch.layout import BACK, Placed, arrange
from aipipe.runners.sketch.lettering import caption
from aipipe.runners.sketch.noise import Chance
from aipipe.runners.sketch.palette import Light, light_of
from aipipe.runners.sketch.words import Brief

if TYPE_CHECKING:
    from PIL import Image

SKINS = ("#f3cfb0", "#e0ac86", "#c68c62", "#9a6644", "#6d4630")


def draw(brief: Brief, chance: Chance, width: int, height: int) -> tuple[Image.Image, list[Placed]]:
    """The picture and what was placed in it."""
    from PIL import Image

    canvas = Canvas(width, height, chance.child("canvas"))
    light = light_of(brief, chance)
    horizon = ground.paint(canvas, brief, light)
    placed = arrange(brief, chance.child("layout"), horizon, width / height)
    picture = Image.fromarray(np.clip(canvas.pixels, 0, 255).astype(np.uint8)).convert("RGBA")
    brush = canvas.noise("brushwork", (5, 17), 3)
    for index, spot in sorted(enumerate(placed), key=lambda item: _order(item[1], brief)):
        look = _look(spot, index, light, chance, brief, horizon)
        if spot.holder is not None:
            _string(picture, spot, placed, light)
        if spot.grounded:
            _shadow(picture, spot, light)
        _paste(picture, spot, look, brush)
    canvas.pixels = np.asarray(picture.convert("RGB"), np.float32).copy()
    _weather(canvas, brief, light, horizon)
    final = Image.fromarray(canvas.finish())
    if brief.unmatched and (not placed or len(brief.unmatched) >= len(placed)):
        final = caption(final, brief.unmatched[:3], hexed(rgb(light.ink)), bold=not placed)
    return final, placed


def _order(spot: Placed, brief: Brief) -> tuple[int, float]:
    carried = spot.thing.on is not None or spot.thing.held_by is not None
    if not spot.grounded and not carried:
        return (0, spot.height)
    if spot.thing.entry.klass in BACK:
        return (1, spot.y)
    return (3 if carried else 2, spot.y)


def _look(spot: Placed, index: int, light: Light, chance: Chance, brief: Brief, horizon: float) -> Look:
    depth = 0.0 if not spot.grounded else max(0.0, min(1.0, (spot.y - horizon) / (1 - horizon)))
    haze = 0.2 * (1 - depth) if spot.grounded else 0.1
    if brief.weather == "fog":
        haze += 0.22
    if brief.place == "deep":
        haze = 0.2
    veil = "#1c6f86" if brief.place == "deep" else light.sky[2]
    skin = ""
    if spot.thing.entry.klass == "person" and spot.thing.entry.glyph not in ("🤖", "👽", "⛄"):
        skin = chance.child(f"skin{index}").pick(SKINS)
    glowing = spot.thing.entry.glyph in ("🕯️", "🏮", "🔥", "💡", "🎆", "🪔", "⭐", "🌟", "⚡")
    return Look(
        ink=hexed(mix(rgb(light.ink), rgb(veil), haze)),
        ink_width=1.25,
        light=(1.0, 1.0, 1.0) if glowing else light.light,
        haze=veil,
        haze_share=0.0 if glowing else haze,
        tint=spot.thing.colour,
        skin=skin,
    )


def _paste(
    picture: Image.Image, spot: Placed, look: Look, brush: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    from PIL import Image, ImageOps

    glyph = sprite(spot.thing.entry.glyph, round(spot.height * picture.height), look)
    if spot.flip:
        glyph = ImageOps.mirror(glyph)
    values = np.asarray(glyph, np.float32).copy()
    rows, columns = values.shape[:2]
    tile = brush[np.arange(rows) % brush.shape[0]][:, np.arange(columns) % brush.shape[1]]
    # Light from above and a brush texture turn flat areas into painted ones.
    relief = 1.09 - 0.22 * np.linspace(0, 1, rows, dtype=np.float32)[:, None] + (tile - 0.5) * 0.3
    values[..., :3] = np.clip(values[..., :3] * relief[..., None], 0, 255)
    glyph = Image.fromarray(values.astype(np.uint8), "RGBA")
    if spot.angle:
        glyph = glyph.rotate(spot.angle, Image.Resampling.BICUBIC, expand=True)
    x = round(spot.x * picture.width - glyph.width / 2)
    standing = spot.grounded or spot.thing.on is not None or spot.thing.held_by is not None
    foot = spot.y * picture.height
    y = round(foot - glyph.height if standing and spot.holder is None else foot - glyph.height / 2)
    picture.alpha_composite(glyph, (max(0, x), max(0, y)), (max(0, -x), max(0, -y)))


def _shadow(picture: Image.Image, spot: Placed, light: Light) -> None:
    from PIL import Image, ImageDraw, ImageFilter

    wide = spot.height * picture.height * 0.46
    tall = max(3.0, wide * 0.2)
    pad = round(tall)
    layer = Image.new("L", (round(2 * wide) + 2 * pad, round(2 * tall) + 2 * pad), 0)
    strength = 105 if spot.thing.entry.klass not in ("swim", "float") else 60
    ImageDraw.Draw(layer).ellipse((pad, pad, pad + 2 * wide, pad + 2 * tall), fill=strength)
    layer = layer.filter(ImageFilter.GaussianBlur(tall * 0.45))
    shade = Image.new("RGBA", layer.size, (*(round(c) for c in rgb(light.ink)), 0))
    shade.putalpha(layer)
    x = round(spot.x * picture.width - layer.width / 2)
    y = round(spot.y * picture.height - layer.height / 2 - tall * 0.3)
    picture.alpha_composite(shade, (max(0, x), max(0, y)), (max(0, -x), max(0, -y)))


def _string(picture: Image.Image, spot: Placed, placed: list[Placed], light: Light) -> None:
    """The string of a kite or balloon, sagging down to a hand."""
    from PIL import ImageDraw

    people = [p for p in placed if p.thing.entry.klass == "person" and p.grounded]
    if not people:
        return
    hand = min(people, key=lambda p: abs(p.x - spot.x))
    x0, y0 = hand.x + hand.height * 0.2, hand.y - hand.height * 0.42
    x1, y1 = spot.x, spot.y + spot.height * 0.3
    line = []
    for i in range(33):
        t = i / 32
        sag = 0.07 * t * (1 - t) * 4
        line.append(((x0 + (x1 - x0) * t) * picture.width, (y0 + (y1 - y0) * t + sag) * picture.height))
    ImageDraw.Draw(picture).line(
        line, fill=(*(round(c) for c in rgb(light.ink)), 255), width=max(1, picture.width // 500)
    )


def _weather(canvas: Canvas, brief: Brief, light: Light, horizon: float) -> None:
    if brief.place in ("indoor", "deep", "space", "void"):
        return
    if brief.weather == "snow":
        _snowfall(canvas)
    elif brief.weather in ("rain", "storm"):
        _rainfall(canvas, heavy=brief.weather == "storm")
    elif brief.weather == "fog":
        drift = canvas.noise("fog", (70, 320), 4)
        near = np.exp(-(((canvas.rows / canvas.height - horizon) / 0.2) ** 2))
        canvas.blend(np.clip(drift * 1.1 * near + 0.1, 0, 0.8), rgb(light.sky[2]))


def _snowfall(canvas: Canvas) -> None:
    chance = canvas.chance.child("flakes")
    for _ in range(260):
        depth = chance.between(0, 1) ** 3
        x, y = chance.between(0, canvas.width), chance.between(0, canvas.height)
        ground._dab(canvas, x, y, canvas.unit * (1 + 4.5 * depth), (250, 251, 255), 0.55 + 0.4 * depth)


def _rainfall(canvas: Canvas, *, heavy: bool) -> None:
    from PIL import Image, ImageDraw, ImageFilter

    layer = Image.new("L", (canvas.width, canvas.height), 0)
    draw = ImageDraw.Draw(layer)
    chance = canvas.chance.child("rain")
    for _ in range(420 if heavy else 280):
        x, y = chance.between(-60, canvas.width), chance.between(-60, canvas.height)
        long = canvas.unit * chance.between(18, 52)
        draw.line(
            (x, y, x + long * (0.42 if heavy else 0.2), y + long),
            fill=round(chance.between(50, 150)),
            width=max(1, round(canvas.unit * 1.4)),
        )
    soft = np.asarray(layer.filter(ImageFilter.GaussianBlur(0.6 * canvas.unit)), np.float32) / 255
    canvas.blend(soft, (226, 234, 244))

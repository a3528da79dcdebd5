"""Backgrounds of the scene style: sky with sun or moon, and a ground for each kind of place."""

from __future__ import annotations

import numpy as np

from aipipe.runners.sketch.canvas import Canvas
from aipipe.runners.sketch.glyphs import hexed, mix, rgb
from aipipe.runners.sketch.interiors import paint_deep, paint_indoor, paint_space, paint_void
from aipipe.runners.sketch.noise import Field, ridge
from aipipe.runners.sketch.palette import Light, lit
from aipipe.runners.sketch.words import Brief

HORIZONS = {
    "meadow": 0.6, "forest": 0.58, "sea": 0.52, "beach": 0.46, "lake": 0.5, "mountain": 0.62, "desert": 0.58,
    "city": 0.7, "indoor": 0.7, "deep": 0.86, "space": 0.86, "void": 0.66,
}  # fmt: skip


def paint(canvas: Canvas, brief: Brief, light: Light) -> float:
    """Paint the background; returns the horizon as a share of the height."""
    horizon = HORIZONS[brief.place]
    whole = {"indoor": paint_indoor, "deep": paint_deep, "space": paint_space, "void": paint_void}
    if brief.place in whole:
        whole[brief.place](canvas, brief, light, horizon)
        return horizon
    _sky(canvas, brief, light, horizon)
    painter = {"sea": _sea, "beach": _beach, "lake": _lake, "city": _city}.get(brief.place, _land)
    painter(canvas, brief, light, horizon)
    return horizon


def _sky(canvas: Canvas, brief: Brief, light: Light, horizon: float) -> None:
    top, middle, low = (rgb(c) for c in light.sky)
    canvas.gradient([(0, top), (horizon * 0.6, middle), (horizon * 1.02, low), (1, low)])
    brush = canvas.noise("brush", (16, 150), 4)
    canvas.pixels += ((brush - 0.5) * 20)[..., None]
    if brief.time == "night" and brief.weather in ("clear", "snow"):
        _stars(canvas, horizon)
    _sun_or_moon(canvas, brief, light, horizon)
    cover = {"clear": 0.6, "snow": 0.5, "rain": 0.34, "storm": 0.3, "fog": 0.5}[brief.weather]
    _clouds(canvas, brief, light, horizon, cover)


def _stars(canvas: Canvas, horizon: float) -> None:
    chance = canvas.chance.child("stars")
    for _ in range(110):
        x, y = chance.between(0, canvas.width), chance.between(0, 1) ** 1.5 * horizon * canvas.height
        radius = canvas.unit * (0.6 + 1.5 * chance.between(0, 1) ** 3)
        _dab(canvas, x, y, radius, (255, 250, 230), chance.between(0.35, 0.95))


def _dab(canvas: Canvas, x: float, y: float, radius: float, colour: tuple[float, float, float], opacity: float) -> None:
    """A small soft disc, painted only where it lies."""
    reach = int(radius + 2)
    x0, x1 = max(0, int(x) - reach), min(canvas.width, int(x) + reach + 1)
    y0, y1 = max(0, int(y) - reach), min(canvas.height, int(y) + reach + 1)
    if x0 >= x1 or y0 >= y1:
        return
    away = np.sqrt((canvas.columns[:, x0:x1] - x) ** 2 + (canvas.rows[y0:y1] - y) ** 2)
    mask = (np.clip(radius - away + 0.5, 0, 1) * np.float32(opacity))[..., None]
    part = canvas.pixels[y0:y1, x0:x1]
    part += (np.asarray(colour, np.float32) - part) * mask


def _sun_or_moon(canvas: Canvas, brief: Brief, light: Light, horizon: float) -> None:
    glyphs = {t.entry.glyph for t in brief.things}
    chance = canvas.chance.child("sun")
    x = canvas.width * chance.pick((0.2, 0.27, 0.73, 0.8))
    size = min(canvas.width, canvas.height)
    sun = rgb(light.sun)
    if brief.time == "night" or glyphs & {"🌙", "🌕"}:
        y = canvas.height * horizon * chance.between(0.26, 0.4)
        canvas.glow(x, y, size * 0.3, sun, 0.34)
        if "🌕" in glyphs or ("🌙" not in glyphs and chance.between(0, 1) < 0.6):
            canvas.disc(x, y, size * 0.062, sun)
            canvas.disc(x + size * 0.018, y - size * 0.012, size * 0.013, mix(sun, (190, 180, 160), 0.4), 0.6)
            canvas.disc(x - size * 0.02, y + size * 0.02, size * 0.009, mix(sun, (190, 180, 160), 0.4), 0.6)
        else:
            canvas.crescent(x, y, size * 0.062, sun)
        return
    if brief.weather in ("rain", "storm"):
        return
    low = brief.time in ("sunset", "dawn")
    y = canvas.height * horizon * (chance.between(0.72, 0.86) if low else chance.between(0.24, 0.36))
    canvas.glow(x, y, size * (0.62 if low else 0.36), sun, 0.62 if low else 0.5)
    strong = low or "☀️" in glyphs
    canvas.disc(x, y, size * (0.085 if strong else 0.055), mix(sun, (255, 250, 235), 0.35), 0.97 if strong else 0.94)


def _clouds(canvas: Canvas, brief: Brief, light: Light, horizon: float, cover: float) -> None:
    field = canvas.noise("clouds", (62, 210), 5)
    fade = np.clip(1.15 - canvas.rows / (canvas.height * horizon), 0, 1)
    mask = np.clip((field - np.float32(cover)) * 5, 0, 1) * fade
    bright = mix(rgb(light.sun), rgb(light.sky[1]), 0.25 if brief.time != "night" else 0.8)
    if brief.weather in ("rain", "storm"):
        bright = mix(rgb(light.sky[0]), (40, 44, 58), 0.35)
    canvas.blend(mask * np.float32(0.62 if brief.time != "night" else 0.35), bright)


def _edge(canvas: Canvas, name: str, level: float, swing: float, cell: float, octaves: int = 4) -> Field:
    """A ridge in pixels from the top, around `level` (share of the height)."""
    shape = ridge(canvas.chance, name, canvas.width, cell * canvas.unit, octaves)
    return np.asarray((level + (0.5 - shape) * swing) * canvas.height, np.float32)


def _land(canvas: Canvas, brief: Brief, light: Light, horizon: float) -> None:
    peaks = brief.place == "mountain" or any(t.entry.klass == "mountain" for t in brief.things)
    texture = canvas.noise("land", (7, 46), 4)
    if peaks:
        _peaks(canvas, brief, light, horizon)
    far = [(-0.05, 0.12, 0.72), (0.0, 0.09, 0.45)]
    for i, (shift, swing, haze) in enumerate(far):
        base = mix(rgb(light.far), rgb(light.sky[0]), 0.35 - 0.2 * i)
        colour = lit(hexed(base), light, haze)
        canvas.below(_edge(canvas, f"far{i}", horizon + shift, swing, 260 - 60 * i), colour, colour, texture, 8)
        if brief.place == "forest":
            _treeline(canvas, light, horizon + shift + 0.03, i, brief.weather == "snow")
    if brief.place == "forest":
        _treeline(canvas, light, horizon + 0.07, 2, brief.weather == "snow")
    edge = _edge(canvas, "near", horizon + 0.07, 0.05, 420, 2)
    canvas.below(edge, lit(light.far, light, 0.12), lit(light.near, light), texture, 16)
    if brief.place == "forest":
        _great_firs(canvas, light, horizon, brief.weather == "snow")
    if brief.place in ("meadow", "forest", "mountain", "lake") and brief.weather != "snow":
        _grass(canvas, light, edge)
    if brief.place == "desert":
        canvas.below(
            _edge(canvas, "dune", horizon + 0.22, 0.16, 500, 2),
            lit("#dba565", light),
            lit("#b97f48", light),
            texture,
            8,
        )


def _peaks(canvas: Canvas, brief: Brief, light: Light, horizon: float) -> None:
    for i, (level, haze) in enumerate(((horizon - 0.22, 0.62), (horizon - 0.12, 0.4))):
        shape = ridge(canvas.chance, f"peak{i}", canvas.width, (210 - 50 * i) * canvas.unit, 6)
        edge = np.asarray((level + np.abs(shape - 0.5) * 0.62 - 0.04) * canvas.height, np.float32)
        rock = lit("#6d7488", light, haze)
        canvas.below(edge, rock, mix(rock, rgb(light.sky[2]), 0.4), canvas.noise(f"rock{i}", (26, 18), 4), 18)
        snow = np.clip(canvas.rows - edge[None, :] + 0.5, 0, 1)
        cap = (level + 0.085) * canvas.height + (canvas.noise(f"cap{i}", (40, 26), 3) - 0.5) * 110 * canvas.unit
        canvas.blend(
            snow * np.clip((cap - canvas.rows) / 3, 0, 1) * np.float32(0.85), lit("#f6f7fb", light, haze * 0.35)
        )


def _treeline(canvas: Canvas, light: Light, level: float, depth: int, snowy: bool) -> None:
    """A row of firs as pointed silhouettes."""
    chance = canvas.chance.child(f"firs{depth}")
    edge = np.full(canvas.width, level * canvas.height + 6 * canvas.unit, np.float32)
    across = canvas.columns[0]
    step = (20 + 12 * depth) * canvas.unit
    x = -step
    while x < canvas.width + step:
        tall = (70 + 42 * depth) * canvas.unit * chance.between(0.55, 1.25)
        half = tall * 0.24
        inside = np.abs(across - np.float32(x)) / np.float32(half)
        teeth = np.float32(0.06) * np.abs(((inside * 4) % 1) - 0.5)
        tip = level * canvas.height - tall * (1 - inside - teeth)
        edge = np.where(inside < 1, np.minimum(edge, tip), edge).astype(np.float32)
        x += step * chance.between(0.6, 1.3)
    dark = mix(rgb("#2f5a45"), rgb(light.sky[0]), 0.2)
    colour = lit(hexed(dark), light, (0.62, 0.38, 0.14)[depth])
    canvas.below(
        edge, mix(colour, (235, 240, 250), 0.2) if snowy else colour, colour, canvas.noise("fir", (8, 5), 2), 10
    )


def _great_firs(canvas: Canvas, light: Light, horizon: float, snowy: bool) -> None:
    """Two or three large firs at the sides, as a frame."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(np.clip(canvas.pixels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    chance = canvas.chance.child("frame")
    colour = lit(hexed(mix(rgb("#2c5740"), rgb(light.sky[0]), 0.12)), light, 0.05)
    for share, tall in ((0.05, 0.62), (0.95, 0.7), (0.16, 0.42), (0.86, 0.46)):
        x = (share + chance.between(-0.03, 0.03)) * canvas.width
        foot = (horizon + 0.1 + 0.1 * tall) * canvas.height
        high = tall * canvas.height * chance.between(0.85, 1.1)
        draw.rectangle((x - high * 0.02, foot - high * 0.1, x + high * 0.02, foot), fill=(58, 42, 40))
        for level in range(6):
            top = foot - high + level * high * 0.145
            half, low = high * (0.07 + 0.033 * level), top + high * 0.24
            tone = mix(colour, (10, 16, 28), 0.3 - 0.05 * level)
            edge = [(x, top), (x + half, low), (x + half * 0.45, low - high * 0.025), (x, low + high * 0.012)]
            edge += [(x - half * 0.45, low - high * 0.025), (x - half, low)]
            draw.polygon(edge, fill=tuple(round(c) for c in tone))
            if snowy:
                cap = [(x, top), (x + half * 0.62, top + high * 0.15), (x + half * 0.2, top + high * 0.12)]
                cap += [(x - half * 0.15, top + high * 0.17), (x - half * 0.5, top + high * 0.12)]
                draw.polygon(cap, fill=tuple(round(c) for c in lit("#eef2f8", light)))
    canvas.pixels = np.asarray(picture, np.float32).copy()


def _grass(canvas: Canvas, light: Light, edge: Field) -> None:
    """Blades and small flowers, larger towards the feet."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(np.clip(canvas.pixels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    chance = canvas.chance.child("grass")
    near = lit(light.near, light)
    blades = []
    for _ in range(850):
        x = chance.between(0, canvas.width)
        top = float(edge[min(canvas.width - 1, int(x))])
        y = top + (canvas.height - top) * chance.between(0.02, 1.05)
        blades.append((y, x, chance.between(-1, 1), chance.between(0, 1)))
    for y, x, lean, tone in sorted(blades):
        depth = (y / canvas.height - 0.55) / 0.45
        tall = canvas.unit * (4 + 20 * max(0.0, depth))
        colour = tuple(round(c) for c in mix(mix(near, (20, 50, 30), 0.35), mix(near, (250, 240, 150), 0.35), tone))
        draw.line(
            [(x, y), (x + lean * tall * 0.4, y - tall)],
            fill=colour,
            width=max(1, round(canvas.unit * 2.2 * depth + 0.4)),
        )
        if tone > 0.93:
            size = canvas.unit * (1 + 3.2 * max(0.0, depth))
            head = lit(light.accent if lean > 0 else "#f7f1e3", light)
            draw.ellipse((x - size, y - tall - size, x + size, y - tall + size), fill=tuple(round(c) for c in head))
    canvas.pixels = np.asarray(picture, np.float32).copy()


def _water(canvas: Canvas, light: Light, top: float, bottom: float, deep: str) -> None:
    """Water between two heights: the sky mirrored, waves flatter towards the horizon."""
    first, last = int(top * canvas.height), int(bottom * canvas.height)
    share = np.linspace(0, 1, max(1, last - first), dtype=np.float32)[:, None]
    mirror = canvas.pixels[max(0, 2 * first - last) : first][::-1]
    near = np.asarray(lit(deep, light), np.float32)
    colour = np.asarray(rgb(light.sky[2]), np.float32) * (1 - share[..., None]) + near * share[..., None]
    colour = np.broadcast_to(colour, (last - first, canvas.width, 3)).copy()
    rows = min(len(mirror), last - first)
    colour[:rows] += (mirror[:rows] - colour[:rows]) * np.float32(0.45)
    fine = canvas.noise("wave", (3.2, 60), 3)[first:last]
    wide = canvas.noise("swell", (15, 190), 3)[first:last]
    wave = fine * (1 - share) + wide * share - 0.5
    canvas.pixels[first:last] = colour + (wave * (16 + 44 * share))[..., None]
    glint = np.clip((wave - 0.16) * 9, 0, 1) * (0.25 + 0.4 * share)
    canvas.pixels[first:last] += (np.asarray(rgb(light.sun), np.float32) - canvas.pixels[first:last]) * glint[..., None]


def _sea(canvas: Canvas, brief: Brief, light: Light, horizon: float) -> None:
    _water(canvas, light, horizon, 1.0, light.near)


def _beach(canvas: Canvas, brief: Brief, light: Light, horizon: float) -> None:
    _water(canvas, light, horizon, horizon + 0.24, "#2f7d97")
    edge = _edge(canvas, "shore", horizon + 0.2, 0.09, 380, 3)
    foam = lit("#f7f5ec", light, 0.1)
    canvas.below(edge - 9 * canvas.unit, foam, foam)
    canvas.below(edge, lit(light.far, light), lit(light.near, light), canvas.noise("sand", (5, 26), 4), 13)


def _lake(canvas: Canvas, brief: Brief, light: Light, horizon: float) -> None:
    texture = canvas.noise("land", (7, 46), 3)
    colour = lit(hexed(mix(rgb(light.far), rgb(light.sky[0]), 0.35)), light, 0.55)
    canvas.below(_edge(canvas, "far0", horizon - 0.07, 0.16, 230), colour, colour, texture, 8)
    dark = lit(light.near, light, 0.4)
    canvas.below(_edge(canvas, "far1", horizon - 0.01, 0.05, 150), dark, dark, texture, 8)
    _water(canvas, light, horizon, 0.9, "#3d7f8f")
    edge = _edge(canvas, "bank", horizon + 0.31, 0.08, 420, 3)
    canvas.below(edge, lit(light.far, light, 0.1), lit(light.near, light), texture, 14)
    if brief.weather != "snow":
        _grass(canvas, light, edge)


def _city(canvas: Canvas, brief: Brief, light: Light, horizon: float) -> None:
    chance = canvas.chance.child("city")
    for depth in range(3):
        haze = (0.7, 0.42, 0.12)[depth]
        wall = mix(lit(light.near, light), rgb(light.sky[0]), 0.25)
        x = -30 * canvas.unit
        while x < canvas.width:
            wide = canvas.unit * chance.between(48, 108) * (0.8 + 0.2 * depth)
            tall = canvas.height * chance.between(0.16, 0.5) * (1.0, 0.78, 0.5)[depth]
            colour = mix(mix(wall, (170, 120, 100), chance.between(0, 0.35)), rgb(light.sky[2]), haze)
            _block(canvas, x, horizon * canvas.height - tall, wide, colour, light, (chance.between(0, 1), haze))
            x += wide * chance.between(0.9, 1.15)
    edge = np.full(canvas.width, horizon * canvas.height, np.float32)
    canvas.below(edge, lit("#77788a", light, 0.2), lit("#3f4152", light), canvas.noise("street", (5, 60), 3), 9)
    if brief.weather in ("rain", "storm") or brief.time == "night":
        first = int(horizon * canvas.height)
        mirror = canvas.pixels[max(0, 2 * first - canvas.height) : first][::-1]
        # Wet asphalt smears every light downwards.
        smear = np.cumsum(np.pad(mirror, ((40, 0), (0, 0), (0, 0)), mode="edge"), axis=0, dtype=np.float32)
        mirror = np.asarray((smear[40:] - smear[:-40]) / 40, np.float32)
        blur = canvas.noise("wet", (3, 40), 2)[first : first + len(mirror)]
        canvas.pixels[first : first + len(mirror)] += (mirror - canvas.pixels[first : first + len(mirror)]) * (
            0.12 + 0.5 * blur
        )[..., None]


def _block(
    canvas: Canvas,
    x: float,
    y: float,
    wide: float,
    colour: tuple[float, float, float],
    light: Light,
    traits: tuple[float, float],
) -> None:
    """One house front with a grid of windows."""
    x0, x1 = max(0, int(x)), min(canvas.width, int(x + wide))
    y0 = max(0, int(y))
    if x0 >= x1:
        return
    canvas.pixels[y0:, x0:x1] = np.asarray(colour, np.float32)
    canvas.pixels[y0:, x0 : x0 + max(1, (x1 - x0) // 5)] *= np.float32(0.9)
    step = max(6, int(canvas.unit * 17))
    chance = canvas.chance.child(f"window{x:.1f}{y:.1f}")
    bright = luminous(light)
    for wy in range(y0 + step // 2, canvas.height, step):
        for wx in range(int(x) + step // 2, int(x + wide) - step // 2, step):
            on = chance.between(0, 1) < bright
            pane = mix(rgb(light.accent) if on else mix(colour, (30, 36, 60), 0.4), colour, traits[1] * 0.75)
            left, right = max(0, wx), max(0, min(canvas.width, wx + step // 2))
            canvas.pixels[wy : wy + int(step * 0.62), left:right] = np.asarray(pane, np.float32)


def luminous(light: Light) -> float:
    """Share of lit windows: more the darker it is."""
    return float(0.2 + 0.75 * (1 - min(1.0, light.light[1])) ** 0.7)

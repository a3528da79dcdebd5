"""Backgrounds without an open horizon: a room, the deep sea, space, and the void of abstract prompts."""

from __future__ import annotations

import math

import numpy as np

from aipipe.runners.sketch.canvas import Canvas
from aipipe.runners.sketch.glyphs import RGB, hexed, mix, rgb
from aipipe.runners.sketch.noise import ridge
from aipipe.runners.sketch.palette import Light, lit
from aipipe.runners.sketch.words import Brief

_WALLS = ("#d9b48f", "#b9c0a4", "#c9a3a0", "#a9b8c2", "#dcc48c")


def paint_indoor(canvas: Canvas, brief: Brief, light: Light, horizon: float) -> None:
    """A room: papered wall, a window that shows the hour, light on the wall, a wooden table or floor."""
    chance = canvas.chance.child("room")
    wall = lit(brief.colours[0] if brief.colours else chance.pick(_WALLS), light)
    canvas.gradient([(0, mix(wall, (40, 24, 40), 0.22)), (horizon, wall), (1, wall)])
    stripe = (np.sin(canvas.columns * np.float32(math.pi / (22 * canvas.unit))) > 0).astype(np.float32)
    canvas.blend(np.broadcast_to(stripe * 0.1, (canvas.height, canvas.width)), mix(wall, (255, 250, 235), 0.6))
    canvas.pixels += ((canvas.noise("plaster", (22, 22), 4) - 0.5) * 15)[..., None]
    left = chance.between(0, 1) < 0.5
    _window(canvas, brief, light, 0.07 if left else 0.57, horizon)
    edge = np.full(canvas.width, horizon * canvas.height, np.float32)
    wood = canvas.noise("wood", (5, 240), 4)
    canvas.below(edge, lit(light.far, light), lit(light.near, light), wood, 26)
    canvas.below(edge - 5 * canvas.unit, lit("#6b432c", light), lit("#6b432c", light), None)
    canvas.below(edge, lit(light.far, light), lit(light.near, light), wood, 26)
    for i in range(1, 4):
        y = (horizon + (1 - horizon) * (i / 4) ** 1.3) * canvas.height
        canvas.blend(
            np.clip(1.4 * canvas.unit - np.abs(canvas.rows - np.float32(y)), 0, 1) * 0.35, lit("#4c2e20", light)
        )
    warm = rgb("#ffc873") if brief.time in ("sunset", "night") else rgb("#fff0cf")
    canvas.glow(canvas.width * (0.3 if left else 0.7), canvas.height * 0.75, canvas.width * 0.5, warm, 0.34)


def _window(canvas: Canvas, brief: Brief, light: Light, x: float, horizon: float) -> None:
    x0, x1 = int(x * canvas.width), int((x + 0.36) * canvas.width)
    y0, y1 = int(0.07 * canvas.height), int((horizon - 0.14) * canvas.height)
    frame = np.asarray(lit("#f3e7d0", light), np.float32)
    bar = max(3, int(9 * canvas.unit))
    canvas.pixels[y0 - bar : y1 + bar, x0 - bar : x1 + bar] = frame
    canvas.pixels[y1 + bar : y1 + 2 * bar, x0 - 2 * bar : x1 + 2 * bar] = frame * 0.9
    share = np.linspace(0, 1, y1 - y0, dtype=np.float32)[:, None, None]
    sky = np.asarray(rgb(light.sky[0]), np.float32) * (1 - share) + np.asarray(rgb(light.sky[2]), np.float32) * share
    pane = np.broadcast_to(sky, (y1 - y0, x1 - x0, 3)).copy()
    hill = ridge(canvas.chance, "view", x1 - x0, 130 * canvas.unit, 4)
    rows = np.arange(y1 - y0, dtype=np.float32)[:, None]
    inside = np.clip(rows - (0.62 + 0.25 * hill[None, :]) * (y1 - y0), 0, 1)[..., None]
    green = "#e8edf2" if brief.weather == "snow" else "#6f8f62"
    pane += (np.asarray(lit(green, light, 0.35), np.float32) - pane) * inside
    disc = np.sqrt(
        (np.arange(x1 - x0, dtype=np.float32)[None, :] - (x1 - x0) * 0.7) ** 2 + (rows - (y1 - y0) * 0.34) ** 2
    )
    orb = np.clip(30 * canvas.unit - disc + 0.5, 0, 1) + np.exp(-disc / np.float32(90 * canvas.unit)) * 0.5
    pane += (np.asarray(rgb(light.sun), np.float32) - pane) * np.clip(orb, 0, 1)[..., None]
    canvas.pixels[y0:y1, x0:x1] = pane
    middle = (x0 + x1) // 2
    canvas.pixels[y0:y1, middle - bar // 2 : middle + bar // 2 + 1] = frame
    cross = (y0 + y1) // 2
    canvas.pixels[cross - bar // 2 : cross + bar // 2 + 1, x0:x1] = frame
    curtain = lit(light.accent if brief.time == "night" else "#b5533c", light)
    for side, start in ((1, x0 - int(0.055 * canvas.width)), (-1, x1 - int(0.035 * canvas.width))):
        wide = int(0.09 * canvas.width)
        fold = 0.82 + 0.18 * np.sin(np.arange(wide, dtype=np.float32) * np.float32(0.28 / canvas.unit) + side)
        a, b = max(0, start), min(canvas.width, start + wide)
        cloth = np.asarray(curtain, np.float32)[None, None, :] * fold[None, a - start : b - start, None]
        canvas.pixels[y0 - 2 * bar if y0 > 2 * bar else 0 : y1 + 2 * bar, a:b] = cloth


def paint_deep(canvas: Canvas, brief: Brief, light: Light, horizon: float) -> None:
    """Under water: falling light, shafts, bubbles, weed and a sandy floor."""
    shine = (light.light[0] + light.light[1]) / 2
    top, low = mix((0, 0, 0), rgb("#58c3c6"), shine), mix((0, 0, 0), rgb("#08304f"), 0.5 + 0.5 * shine)
    canvas.gradient([(0, top), (0.45, mix(top, low, 0.62)), (1, low)])
    slant = canvas.columns + canvas.rows * np.float32(0.42)
    beams = canvas.noise("beam", (4000, 70), 3)[:1]
    index = np.clip(slant, 0, canvas.width * 1.4).astype(np.int64) % canvas.width
    shaft = beams[0][index] * np.clip(1.0 - canvas.rows / (canvas.height * 0.85), 0, 1)
    canvas.blend(np.clip((shaft - 0.42) * 2.2, 0, 0.5), rgb("#d4fbf0"))
    canvas.pixels += ((canvas.noise("water", (12, 90), 4) - 0.5) * 16)[..., None]
    for i in range(2):
        edge = np.asarray(
            (horizon - 0.05 + 0.08 * i + (0.5 - ridge(canvas.chance, f"reef{i}", canvas.width, 190 * canvas.unit)) * 0.12)
            * canvas.height, np.float32)  # fmt: skip
        sand = mix(rgb("#c9b78a"), low, 0.72 - 0.34 * i)
        canvas.below(edge, sand, mix(sand, low, 0.4), canvas.noise("floor", (6, 30), 3), 12)
        _weed(canvas, edge, mix(rgb("#2f8f6a"), low, 0.55 - 0.35 * i), i)
    _bubbles(canvas)


def _weed(canvas: Canvas, edge: np.ndarray[tuple[int, ...], np.dtype[np.float32]], colour: RGB, depth: int) -> None:
    from PIL import Image, ImageDraw

    picture = Image.fromarray(np.clip(canvas.pixels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    chance = canvas.chance.child(f"weed{depth}")
    for _ in range(7 + 4 * depth):
        centre = chance.between(0.02, 0.98) * canvas.width
        for _ in range(3):
            x, phase = centre + chance.between(-16, 16) * canvas.unit, chance.between(0, 6)
            tall = canvas.unit * chance.between(60, 170) * (0.7 + 0.4 * depth)
            foot = float(edge[min(canvas.width - 1, max(0, int(x)))]) + 8 * canvas.unit
            line = [
                (x + math.sin(phase + t * 5) * 11 * canvas.unit * t, foot - tall * t)
                for t in (i / 14 for i in range(15))
            ]
            tone = tuple(round(c) for c in mix(colour, (240, 200, 120), chance.between(0, 0.25)))
            draw.line(line, fill=tone, width=max(2, round(canvas.unit * chance.between(4, 8))), joint="curve")
    canvas.pixels = np.asarray(picture, np.float32).copy()


def _bubbles(canvas: Canvas) -> None:
    chance = canvas.chance.child("bubbles")
    for _ in range(26):
        x, y = chance.between(0, canvas.width), chance.between(0.05, 0.9) * canvas.height
        radius = canvas.unit * (2 + 9 * chance.between(0, 1) ** 3)
        away = np.sqrt((canvas.columns - x) ** 2 + (canvas.rows - y) ** 2)
        canvas.blend(np.clip(1.6 * canvas.unit - np.abs(away - radius), 0, 1) * 0.55, (225, 250, 250))


def paint_space(canvas: Canvas, brief: Brief, light: Light, horizon: float) -> None:
    """Space: nebula, stars, and the curve of a world below."""
    canvas.gradient([(0, rgb("#090b1e")), (0.6, rgb("#1a1a40")), (1, rgb("#2b2352"))])
    for i, colour in enumerate(("#7a3f8f", "#2d7fa0", "#c9655f")):
        cloud = canvas.noise(f"nebula{i}", (170, 230), 5)
        canvas.blend(np.clip((cloud - 0.5) * 2.6, 0, 0.55), rgb(colour))
    chance = canvas.chance.child("stars")
    for _ in range(240):
        x, y = int(chance.between(0, canvas.width - 3)), int(chance.between(0, canvas.height - 3))
        size = 1 + int(chance.between(0, 1) ** 6 * 3 * max(1.0, canvas.unit))
        canvas.pixels[y : y + size, x : x + size] += np.float32(chance.between(60, 230))
    centre = (canvas.width * chance.between(0.2, 0.8), canvas.height * (horizon + 1.0))
    canvas.glow(centre[0], centre[1], canvas.height * 1.25, rgb("#6fb7e0"), 0.75)
    away = np.sqrt((canvas.columns - centre[0]) ** 2 + (canvas.rows - centre[1]) ** 2)
    world = np.clip(canvas.height * 0.98 - away + 0.5, 0, 1)
    ground = canvas.noise("world", (40, 90), 5)[..., None]
    earth = np.asarray(rgb("#565b78"), np.float32) * ground + np.asarray(rgb("#20223f"), np.float32) * (1 - ground)
    canvas.blend(world, np.asarray(earth * 1.2, np.float32))


def paint_void(canvas: Canvas, brief: Brief, light: Light, horizon: float) -> None:
    """For prompts without things: a calm colour field, two bodies that face each other, and a thin line between."""
    chance = canvas.chance.child("void")
    hues = [rgb(c) for c in (brief.colours or chance.pick((
        ("#c65b45", "#2f4858"), ("#d39b3f", "#3d405b"), ("#7b9e87", "#43395c"), ("#bf6f7f", "#27455c"),
        ("#e0a458", "#5f4b66"),
    )))]  # fmt: skip
    warm, cool = hues[0], hues[-1]
    dark = brief.time == "night"
    paper = mix(rgb("#f0e6d6"), rgb("#161a30"), 0.88 if dark else 0.0)
    canvas.gradient(
        [
            (0, mix(paper, cool, 0.4)),
            (horizon, paper),
            (horizon + 0.01, mix(paper, warm, 0.18)),
            (1, mix(paper, cool, 0.6)),
        ]
    )
    canvas.pixels += ((canvas.noise("wash", (120, 160), 5) - 0.5) * 44)[..., None]
    canvas.pixels += ((canvas.noise("fibre", (4, 60), 3) - 0.5) * 10)[..., None]
    size = min(canvas.width, canvas.height)
    y = canvas.height * (horizon - 0.24)
    for x, radius, colour in ((0.31, 0.2, warm), (0.71, 0.15, cool)):
        cx = canvas.width * x
        canvas.glow(cx, y, size * radius * 1.9, mix(colour, paper, 0.3), 0.45)
        away = np.sqrt((canvas.columns - cx) ** 2 + (canvas.rows - y) ** 2)
        brushed = 0.82 + 0.18 * canvas.noise(hexed(colour), (9, 70), 3)
        canvas.blend(np.clip(size * radius - away + 0.5, 0, 1) * brushed, colour)
        mirror = np.sqrt((canvas.columns - cx) ** 2 + ((canvas.rows - 2 * canvas.height * horizon + y) * 2.2) ** 2)
        canvas.blend(np.clip((size * radius - mirror) / (14 * canvas.unit), 0, 1) * 0.28 * brushed, colour)
    line = np.clip(1.3 * canvas.unit - np.abs(canvas.columns - canvas.width * 0.545), 0, 1)
    span = np.clip((canvas.rows - canvas.height * 0.08) / 60, 0, 1) * np.clip(
        (canvas.height * 0.74 - canvas.rows) / 60, 0, 1
    )
    canvas.blend(line * span * 0.8, rgb("#221d2c") if not dark else rgb("#f4e9d2"))

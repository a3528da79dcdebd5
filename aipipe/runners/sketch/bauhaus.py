"""The Bauhaus style: a grid, primary colours, discs, bars and triangles; glyphs as flat forms; lower-case type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aipipe.runners.sketch.canvas import Canvas
from aipipe.runners.sketch.glyphs import Look, exists, rgb, sprite
from aipipe.runners.sketch.layout import Placed
from aipipe.runners.sketch.lettering import fitted, settable
from aipipe.runners.sketch.noise import Chance
from aipipe.runners.sketch.outline import widened
from aipipe.runners.sketch.words import Brief

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

RED, BLUE, YELLOW, BLACK = "#d0362b", "#22509a", "#efb526", "#211f20"
PAPERS = {"day": "#efe6d3", "dawn": "#f2e2cf", "sunset": "#f0d9b8", "night": "#22252f"}
GRID = 6
_SS = 2


def draw(brief: Brief, chance: Chance, width: int, height: int) -> tuple[Image.Image, list[Placed]]:
    """The picture and what was placed in it."""
    from PIL import Image, ImageDraw

    paper = PAPERS[brief.time]
    ink = BLACK if brief.time != "night" else "#efe6d3"
    primaries = _primaries(brief, chance)
    sheet = Image.new("RGB", (width * _SS, height * _SS), _rgb(paper))
    pen = ImageDraw.Draw(sheet)
    side = chance.child("side").pick((-1, 1))
    hero = (0.5 + 0.09 * side, 0.45)
    _construct(pen, sheet.size, (primaries, ink, paper), chance.child("forms"), (hero, side))
    _weather(pen, sheet.size, brief, chance.child("weather"), (primaries, ink))
    picture = sheet.resize((width, height), Image.Resampling.LANCZOS).convert("RGBA")
    placed = _arrange(brief, chance.child("layout"), hero, side)
    for number, spot in enumerate(placed):
        _set(picture, spot, number, (primaries, ink, paper))
    _title(picture, brief, ink, bare=not placed, side=side)
    canvas = Canvas(width, height, chance.child("finish"))
    canvas.pixels = np.asarray(picture.convert("RGB"), np.float32).copy()
    canvas.pixels += ((canvas.noise("litho", (3, 3), 2) - 0.5) * 9)[..., None]
    return Image.fromarray(canvas.finish(grain=5, vignette=0.08)), placed


def _rgb(colour: str) -> tuple[int, int, int]:
    r, g, b = rgb(colour)
    return (round(r), round(g), round(b))


def _primaries(brief: Brief, chance: Chance) -> tuple[str, str, str]:
    """Large, middle and small colour; a colour word or the hour leads."""
    order = chance.child("primaries").shuffled((RED, BLUE, YELLOW))
    lead = {"sunset": RED, "dawn": YELLOW, "night": YELLOW}.get(brief.time, "")
    if brief.weather in ("rain", "snow", "storm") or brief.place in ("sea", "deep", "lake"):
        lead = BLUE
    if brief.colours:
        lead = brief.colours[0]
    if lead in order:
        order.remove(lead)
        order.insert(0, lead)
    elif lead:
        order[0] = lead
    return (order[0], order[1], order[2])


def _construct(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    colours: tuple[tuple[str, str, str], str, str],
    chance: Chance,
    centre: tuple[tuple[float, float], int],
) -> None:
    """Great disc behind the hero, quarter disc and stairs in the corners, a diagonal, bars, a chequer strip."""
    (first, second, third), ink, _ = colours
    (hx, hy), side = centre
    w, h = size
    unit = min(w, h) / GRID
    x, y, r = hx * w, hy * h, unit * 2.1
    _quarter(pen, (0 if side > 0 else w, h), unit * 2.4, second, side)
    pen.ellipse((x - r, y - r, x + r, y + r), fill=_rgb(first))
    far = 0 if side < 0 else w
    pen.polygon([(far, 0), (far - side * unit * 2.0, 0), (far, unit * 2.0)], fill=_rgb(third))
    for i in range(5):
        gap = unit * 0.16
        y0 = h - unit * 0.55 - i * 2 * gap
        x0 = w - unit * (2.4 - 0.3 * i) if side > 0 else 0
        x1 = w if side > 0 else unit * (2.4 - 0.3 * i)
        pen.rectangle((x0, y0, x1, y0 + gap), fill=_rgb(ink))
    bar = w * (0.1 if side > 0 else 0.9)
    pen.rectangle((bar - unit * 0.09, 0, bar + unit * 0.09, h * chance.between(0.56, 0.64)), fill=_rgb(ink))
    lift = chance.between(0.66, 0.74) * h
    pen.line((0, lift, w, lift), fill=_rgb(ink), width=max(2, round(unit * 0.035)))
    slope = chance.between(0.7, 1.1) * side
    for k, thick in ((0, 0.05), (1, 0.02), (2, 0.02)):
        off = unit * 0.22 * k
        pen.line(
            (x - 3 * unit, y + 3 * unit * slope + off, x + 3 * unit, y - 3 * unit * slope + off),
            fill=_rgb(ink),
            width=max(2, round(unit * thick)),
        )
    ring = unit * 0.42
    rx, ry = w * (0.24 if side > 0 else 0.76), unit * 1.0
    pen.ellipse((rx - ring, ry - ring, rx + ring, ry + ring), outline=_rgb(ink), width=max(2, round(unit * 0.09)))
    pen.ellipse((rx - ring * 0.4, ry - ring * 0.4, rx + ring * 0.4, ry + ring * 0.4), fill=_rgb(second))


def _quarter(pen: ImageDraw.ImageDraw, corner: tuple[float, float], radius: float, colour: str, side: int) -> None:
    x, y = corner
    start = 270 if side > 0 else 180
    pen.pieslice((x - radius, y - radius, x + radius, y + radius), start, start + 90, fill=_rgb(colour))


def _weather(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    brief: Brief,
    chance: Chance,
    colours: tuple[tuple[str, str, str], str],
) -> None:
    """Rain as parallel lines, snow as a field of dots, stars as crosses, city as blocks, water as arcs."""
    w, h = size
    unit = min(w, h) / GRID
    (_, _, third), ink = colours
    if brief.place == "city":
        for i in range(6):
            tall, left = unit * chance.between(0.8, 2.6), w * (0.12 + 0.13 * i)
            base = h * 0.7
            pen.rectangle((left, base - tall, left + unit * 0.62, base), fill=_rgb(ink if i % 2 else third))
            for k in range(int(tall / (unit * 0.3))):
                y = base - tall + unit * (0.14 + 0.3 * k)
                pane = third if i % 2 else ink
                pen.rectangle((left + unit * 0.12, y, left + unit * 0.5, y + unit * 0.1), fill=_rgb(pane))
    if brief.weather in ("rain", "storm"):
        for i in range(26):
            x, y = (i + 0.5) / 26 * w * 1.1, chance.between(0.02, 0.5) * h
            long = unit * chance.between(0.5, 1.4)
            pen.line((x, y, x - long * 0.35, y + long), fill=_rgb(ink), width=max(2, round(unit * 0.025)))
    if brief.weather == "snow" or brief.time == "night":
        dot = unit * 0.05
        tone = _rgb("#f6f2e8" if brief.time == "night" else ink)
        for row in range(7):
            for column in range(9):
                x, y = w * (column + 0.5 + 0.5 * (row % 2)) / 9.5, h * (row + 0.5) / 11
                pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=tone)
    if brief.place in ("sea", "deep", "lake", "beach"):
        for row in range(3):
            for column in range(12):
                x, y, r = w * (column + 0.5) / 12, h * (0.76 + 0.055 * row), w / 24
                pen.arc(
                    (x - r, y - r, x + r, y + r),
                    180 * (row % 2),
                    180 * (row % 2) + 180,
                    _rgb(ink),
                    max(2, round(unit * 0.05)),
                )


def _arrange(brief: Brief, chance: Chance, hero: tuple[float, float], side: int) -> list[Placed]:
    """The first thing large on the disc; the others on a column or row of the grid."""
    cast = [t for t in brief.things if exists(t.entry.glyph)]
    if not cast:
        return []
    first = cast[0]
    count = min(first.count, 5)
    tall = 0.52 / (1 + 0.42 * (count - 1) ** 0.8)
    placed = []
    for i in range(count):
        turn = i - (count - 1) / 2
        x = hero[0] + turn * tall * 0.86
        y = hero[1] + (0.1 * turn * side if count < 4 else 0.055 * (-1) ** i)
        placed.append(Placed(first, x, y, tall * (1 - 0.05 * abs(turn)), 0.0, i % 2 == 1, False))
    others = [t for t in cast[1:] for _ in range(min(t.count, 2))][:5]
    small = min(0.2, 0.72 / max(1, len(others)))
    for i, thing in enumerate(others):
        share = (i + 0.5) / len(others)
        x = 0.12 + 0.62 * share if side > 0 else 0.26 + 0.62 * share
        placed.append(
            Placed(
                thing,
                x,
                0.79 + 0.02 * (i % 2),
                small * (0.92 if i % 2 else 1.0),
                0.0,
                chance.between(0, 1) < 0.4,
                False,
            )
        )
    return placed


def _set(picture: Image.Image, spot: Placed, number: int, colours: tuple[tuple[str, str, str], str, str]) -> None:
    from PIL import Image, ImageDraw, ImageOps

    (first, second, third), ink, paper = colours
    flat = (*(c for c in (first, second, third)), BLACK, "#efe6d3") if number else (second, third, BLACK, "#f6efdf")
    if spot.thing.colour and not spot.thing.entry.tint:
        flat = (spot.thing.colour, BLACK, "#f6efdf", third)
    tall = round(spot.height * picture.height)
    glyph = sprite(spot.thing.entry.glyph, tall, Look(ink=BLACK, ink_width=1.1, palette=flat, skin="#f6efdf"))
    if spot.flip:
        glyph = ImageOps.mirror(glyph)
    x, y = spot.x * picture.width, spot.y * picture.height
    if number and spot.height < 0.21:
        pen = ImageDraw.Draw(picture)
        r = tall * 0.64
        ground = (paper, third, second, first)[number % 4]
        pen.ellipse(
            (x - r, y - r, x + r, y + r), fill=(*_rgb(ground), 255), outline=(*_rgb(ink), 255), width=max(2, tall // 40)
        )
    # A thin paper rim keeps flat forms apart where their colours meet.
    rim = max(1, round(min(picture.size) / 260))
    full = Image.new("RGBA", (glyph.width + 4 * rim, glyph.height + 4 * rim), (0, 0, 0, 0))
    full.paste(glyph, (2 * rim, 2 * rim))
    halo = Image.new("RGBA", full.size, (*_rgb("#f6efdf"), 0))
    halo.putalpha(widened(full.getchannel("A"), rim))
    halo.alpha_composite(full)
    left, top = round(x - halo.width / 2), round(y - halo.height / 2)
    picture.alpha_composite(halo, (max(0, left), max(0, top)), (max(0, -left), max(0, -top)))


def _title(picture: Image.Image, brief: Brief, ink: str, *, bare: bool, side: int) -> None:
    """Lower-case words: what has no glyph, else the first thing; upright at the edge or large across."""
    words = [w for w in brief.unmatched if settable(w)][:3] or [t.word for t in brief.things[:2] if settable(t.word)]
    words = words or [w for w in brief.words if settable(w) and len(w) > 3][:3]
    if not words:
        return
    size = min(picture.size)
    colour = _rgb(ink)
    if bare:
        for i, word in enumerate(words):
            line = fitted(word.lower(), picture.width * 0.62, size * 0.13, colour, 0.02)
            picture.alpha_composite(
                line,
                (
                    round(picture.width * 0.16),
                    round(picture.height * (0.74 + 0.105 * i))
                    - line.height // 2
                    - (0 if len(words) < 3 else size // 30),
                ),
            )
        return
    line = fitted(" ".join(words).lower(), picture.height * 0.5, size * 0.05, colour, 0.08).rotate(90, expand=True)
    x = picture.width * (0.955 if side < 0 else 0.045)
    picture.alpha_composite(line, (max(0, round(x - line.width / 2)), round(picture.height * 0.06)))

"""The Dada style: a collage of torn newspaper, printed cut-outs with white rims, colour blocks and loose letters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from aipipe.runners.sketch.atmosphere import FILLER
from aipipe.runners.sketch.canvas import Canvas
from aipipe.runners.sketch.glyphs import Look, exists, mix, rgb, sprite
from aipipe.runners.sketch.layout import Placed
from aipipe.runners.sketch.lettering import font, settable, spaced
from aipipe.runners.sketch.noise import Chance, value_noise
from aipipe.runners.sketch.outline import narrowed, widened
from aipipe.runners.sketch.words import Brief

if TYPE_CHECKING:
    from PIL import Image

PALETTES = (
    ("#c8321f", "#1e1b1a", "#d9a13b", "#2f5d7c"),
    ("#d24a2b", "#20242c", "#3e8a82", "#e3b23c"),
    ("#b8302f", "#1b1b1f", "#8fa7a0", "#d98f32"),
    ("#d6452f", "#231f20", "#4c6f5a", "#e9b99a"),
)


def draw(brief: Brief, chance: Chance, width: int, height: int) -> tuple[Image.Image, list[Placed]]:
    """The picture and what was placed in it."""
    from PIL import Image

    palette = chance.child("palette").pick(PALETTES)
    if brief.colours:
        palette = (brief.colours[0], *palette[1:])
    sheet = Image.fromarray(_paper(chance, width, height)).convert("RGBA")
    _blocks(sheet, chance.child("blocks"), palette)
    _strips(sheet, brief, chance.child("strips"), palette)
    placed = _arrange(brief, chance.child("layout"), width / height)
    for index, spot in enumerate(placed):
        _cut_out(sheet, spot, index, chance.child(f"cut{index}"), palette)
    _letters(sheet, brief, chance.child("letters"), palette, bare=not placed)
    canvas = Canvas(width, height, chance.child("finish"))
    canvas.pixels = np.asarray(sheet.convert("RGB"), np.float32).copy()
    return Image.fromarray(canvas.finish(grain=9, vignette=0.2)), placed


def _paper(chance: Chance, width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    canvas = Canvas(width, height, chance.child("paper"))
    base = rgb(chance.child("tone").pick(("#e9dec5", "#e4d6b8", "#dfd3bd", "#e8d9bf")))
    canvas.gradient([(0, base), (1, mix(base, (176, 150, 110), 0.22))])
    stain = canvas.noise("stain", (190, 230), 5)
    canvas.pixels += ((stain - 0.5) * 46)[..., None] * np.asarray((1, 1.05, 1.3), np.float32)
    fibre = canvas.noise("fibre", (3, 26), 2) - 0.5
    canvas.pixels += (fibre * 12)[..., None]
    return np.clip(canvas.pixels, 0, 255).astype(np.uint8)


def _blocks(sheet: Image.Image, chance: Chance, palette: tuple[str, ...]) -> None:
    """Flat forms under everything: one great disc, a slanting bar, a triangle, a ring."""
    from PIL import Image, ImageDraw

    w, h = sheet.size
    size = min(w, h)
    layer = Image.new("RGBA", (2 * w, 2 * h), (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    x, y, r = chance.between(0.3, 0.7) * 2 * w, chance.between(0.28, 0.5) * 2 * h, size * chance.between(0.5, 0.66)
    pen.ellipse((x - r, y - r, x + r, y + r), fill=_ink(palette[0], 238))
    angle = math.radians(chance.pick((-34, -27, 24, 31, 38)))
    for shift, thick, colour in ((0.0, 0.11, palette[1]), (0.16, 0.03, palette[1]), (-0.17, 0.05, palette[2])):
        cx, cy = w + shift * size * 2.2, h * 1.08 + shift * size * 1.2
        dx, dy = math.cos(angle) * 1.7 * w, math.sin(angle) * 1.7 * w
        nx, ny = -math.sin(angle) * thick * size, math.cos(angle) * thick * size
        pen.polygon(
            [
                (cx - dx - nx, cy - dy - ny),
                (cx + dx - nx, cy + dy - ny),
                (cx + dx + nx, cy + dy + ny),
                (cx - dx + nx, cy - dy + ny),
            ],
            fill=_ink(colour, 235),
        )
    corner = chance.pick(((0, 0, 1, 1), (2 * w, 0, -1, 1), (0, 2 * h, 1, -1), (2 * w, 2 * h, -1, -1)))
    reach = size * chance.between(0.55, 0.8)
    pen.polygon(
        [corner[:2], (corner[0] + corner[2] * reach, corner[1]), (corner[0], corner[1] + corner[3] * reach)],
        fill=_ink(palette[3], 230),
    )
    rx, ry, rr = chance.between(0.15, 0.85) * 2 * w, chance.between(0.6, 0.85) * 2 * h, size * 0.2
    pen.ellipse((rx - rr, ry - rr, rx + rr, ry + rr), outline=_ink(palette[1], 230), width=round(size * 0.026))
    sheet.alpha_composite(layer.resize((w, h), Image.Resampling.LANCZOS))


def _ink(colour: str, alpha: int) -> tuple[int, int, int, int]:
    r, g, b = rgb(colour)
    return (round(r), round(g), round(b), alpha)


def _torn(chance: Chance, width: int, height: int, ragged: float) -> Image.Image:
    """A mask with four torn edges."""
    from PIL import Image

    rows = np.arange(height, dtype=np.float32)[:, None]
    columns = np.arange(width, dtype=np.float32)[None, :]
    sides = [
        value_noise(chance, name, 1, length, (1.5, cell), 5)[0] * ragged
        for name, length, cell in (("t", width, 46.0), ("b", width, 46.0), ("l", height, 30.0), ("r", height, 30.0))
    ]
    mask = np.clip(rows - sides[0][None, :], 0, 1) * np.clip(height - 1 - rows - sides[1][None, :], 0, 1)
    mask = mask * np.clip(columns - sides[2][:, None], 0, 1) * np.clip(width - 1 - columns - sides[3][:, None], 0, 1)
    return Image.fromarray((mask * 255).astype(np.uint8))


def _strips(sheet: Image.Image, brief: Brief, chance: Chance, palette: tuple[str, ...]) -> None:
    """Torn newspaper with the prompt's own words as headline and columns."""
    w, h = sheet.size
    size = min(w, h)
    words = [x for x in brief.words if settable(x)] or ["dada"]
    loud = [x for x in words if len(x) > 3 and x.lower() not in FILLER] or words
    spots = chance.shuffled(((0.22, 0.16), (0.78, 0.24), (0.2, 0.62), (0.8, 0.7), (0.5, 0.9), (0.5, 0.42)))
    for number, (x, y) in enumerate(spots[:5]):
        piece = chance.child(f"strip{number}")
        wide, tall = round(size * piece.between(0.36, 0.58)), round(size * piece.between(0.17, 0.34))
        print_ = _newsprint((words, loud), piece, wide, tall, headline=number < 3)
        mask = _torn(piece, wide, tall, size * 0.035)
        _lay(sheet, print_, mask, (x * w, y * h), piece.between(-17, 17))


def _newsprint(
    texts: tuple[list[str], list[str]], chance: Chance, wide: int, tall: int, *, headline: bool
) -> Image.Image:
    from PIL import Image, ImageDraw

    words, loud = texts
    tone = chance.pick(((233, 226, 208), (221, 212, 190), (240, 234, 220), (214, 203, 180)))
    page = Image.new("RGB", (wide, tall), tone)
    pen = ImageDraw.Draw(page)
    ink = (52, 46, 44)
    y = tall * 0.1
    if headline:
        head = " ".join(chance.shuffled(loud)[:3]).upper()
        large = min(tall * 0.3, wide * 0.9 / max(1.0, float(font(40).getlength(head)) / 40))
        pen.text((wide * 0.07, y), head, font=font(large), fill=(34, 28, 28))
        y += large * 1.35
        pen.line((wide * 0.05, y, wide * 0.95, y), fill=ink, width=max(1, wide // 200))
        y += tall * 0.03
    small = max(7.0, wide / 34)
    face = font(small)
    count = 2 + (wide > tall * 1.6)
    column = wide * 0.9 / count
    for c in range(count):
        top = y
        while top < tall - small:
            line, room = "", column * 0.9
            while float(face.getlength(line)) < room:
                line += chance.pick(words).lower() + " "
            while float(face.getlength(line)) > room:
                line = line[:-1]
            pen.text((wide * 0.05 + c * column, top), line, font=face, fill=ink)
            top += small * 1.28
    return page


def _lay(sheet: Image.Image, paper: Image.Image, mask: Image.Image, centre: tuple[float, float], angle: float) -> None:
    """Glue a piece of paper: shadow, white torn rim, print."""
    from PIL import Image, ImageChops

    size = min(sheet.size)
    pad = size // 24
    room = (mask.width + 2 * pad, mask.height + 2 * pad)
    full = Image.new("L", room, 0)
    full.paste(mask, (pad, pad))
    inner = narrowed(full, max(1, size // 380))
    inner = ImageChops.offset(inner, max(1, size // 500), max(1, size // 400))
    piece = Image.new("RGBA", room, (247, 243, 233, 0))
    piece.putalpha(full)
    face = Image.new("RGBA", room, (0, 0, 0, 0))
    face.paste(paper.convert("RGBA"), (pad, pad))
    face.putalpha(ImageChops.multiply(inner, face.getchannel("A")))
    piece.alpha_composite(face)
    _drop(sheet, piece.rotate(angle, Image.Resampling.BICUBIC, expand=True), centre)


def _drop(sheet: Image.Image, piece: Image.Image, centre: tuple[float, float]) -> None:
    """Paste a piece with the shadow of lifted paper."""
    from PIL import Image, ImageFilter

    size = min(sheet.size)
    shadow = Image.new("RGBA", piece.size, (30, 18, 10, 0))
    shadow.putalpha(piece.getchannel("A").filter(ImageFilter.GaussianBlur(size / 110)).point(lambda v: round(v * 0.5)))
    x, y = round(centre[0] - piece.width / 2), round(centre[1] - piece.height / 2)
    for layer, dx, dy in ((shadow, size // 110, size // 80), (piece, 0, 0)):
        left, top = x + dx, y + dy
        sheet.alpha_composite(layer, (max(0, left), max(0, top)), (max(0, -left), max(0, -top)))


def _arrange(brief: Brief, chance: Chance, aspect: float) -> list[Placed]:
    """A large one in the middle, the others around it on a slanting axis, in wrong scale on purpose."""
    cast = [t for t in brief.things if exists(t.entry.glyph)]
    items = [t for t in cast for _ in range(min(t.count, 4))][:9]
    if not items:
        return []
    found: list[Placed] = []
    hero = Placed(
        items[0],
        0.5 + chance.between(-0.08, 0.08),
        0.5 + chance.between(-0.05, 0.05),
        0.56,
        chance.between(-12, 12),
        False,
        False,
    )
    spots: list[tuple[float, float, float]] = [(hero.x, hero.y, 0.46)]
    for thing in items[1:]:
        tall = chance.between(0.2, 0.34) if len(items) < 5 else chance.between(0.16, 0.27)
        best, gap = (0.5, 0.5), -9.0
        for _ in range(30):
            x, y = chance.between(tall * 0.42, 1 - tall * 0.42), chance.between(tall * 0.45, 1 - tall * 0.45)
            room = min(math.hypot((x - a) * aspect, y - b) - (tall + s) / 2 for a, b, s in spots)
            if room > gap:
                best, gap = (x, y), room
        spots.append((*best, tall))
        found.append(Placed(thing, *best, tall, chance.between(-28, 28), chance.between(0, 1) < 0.5, False))
    return [hero, *found]


def _cut_out(sheet: Image.Image, spot: Placed, index: int, chance: Chance, palette: tuple[str, ...]) -> None:
    """A printed glyph, cut out with scissors: halftone, one spot colour, white rim."""
    from PIL import Image, ImageFilter, ImageOps

    tall = round(spot.height * sheet.height)
    printed = index == 0 or chance.between(0, 1) < 0.5
    look = Look(ink="#241d1d", ink_width=1.6, tint=spot.thing.colour, haze="#e6d8bd", haze_share=0.12, skin="#d8b18f")
    glyph = sprite(spot.thing.entry.glyph, tall, look)
    if spot.flip:
        glyph = ImageOps.mirror(glyph)
    glyph = _halftone(glyph, palette, keep_colour=not printed or bool(spot.thing.colour))
    rim = max(3, round(min(sheet.size) * 0.011))
    pad = rim * 3
    full = Image.new("RGBA", (glyph.width + 2 * pad, glyph.height + 2 * pad), (0, 0, 0, 0))
    full.paste(glyph, (pad, pad))
    # Scissors do not follow every hair: widen, then smooth the outline.
    alpha = widened(full.getchannel("A"), rim).filter(ImageFilter.GaussianBlur(rim * 0.7))
    alpha = alpha.point(lambda v: max(0, min(255, (v - 110) * 12)))
    piece = Image.new("RGBA", full.size, (248, 244, 234, 0))
    piece.putalpha(alpha)
    piece.alpha_composite(full)
    piece = piece.rotate(spot.angle, Image.Resampling.BICUBIC, expand=True)
    _drop(sheet, piece, (spot.x * sheet.width, spot.y * sheet.height))


def _halftone(glyph: Image.Image, palette: tuple[str, ...], *, keep_colour: bool) -> Image.Image:
    """Newspaper print: a dot screen, either in black on a spot colour or over the glyph's own colours."""
    from PIL import Image

    values = np.asarray(glyph, np.float32)
    grey = values[..., :3] @ np.asarray((0.3, 0.59, 0.11), np.float32) / 255
    rows, columns = np.mgrid[0 : values.shape[0], 0 : values.shape[1]].astype(np.float32)
    pitch = max(4.0, values.shape[0] / 62)
    u = (columns + rows) * np.float32(0.7071 * math.tau / pitch)
    v = (columns - rows) * np.float32(0.7071 * math.tau / pitch)
    screen = (np.cos(u) + np.cos(v)) / 4 + 0.5
    shade = grey * (1.06 - 0.24 * rows / values.shape[0])
    dots = np.clip((screen - shade * 0.94) * 6 + 0.5, 0, 1)[..., None]
    if keep_colour:
        colour = values[..., :3] * (1 - 0.3 * dots)
    else:
        spread = (values[..., :3].max(axis=2) - values[..., :3].min(axis=2))[..., None]
        spot = np.clip((spread - 60) / 40, 0, 1) * 0.8
        light = np.asarray(rgb("#efe6d2"), np.float32) * (1 - spot) + np.asarray(rgb(palette[2]), np.float32) * spot
        colour = light * (1 - dots) + np.asarray(rgb("#26201f"), np.float32) * dots
    ink = np.clip(1 - grey * 6, 0, 1)[..., None]
    colour = colour * (1 - ink) + np.asarray(rgb("#241d1d"), np.float32) * ink
    return Image.fromarray(np.dstack([np.clip(colour, 0, 255), values[..., 3]]).astype(np.uint8), "RGBA")


def _letters(sheet: Image.Image, brief: Brief, chance: Chance, palette: tuple[str, ...], *, bare: bool) -> None:
    """Words as cut-out letters: what no glyph shows, else one word of the prompt turned on its side."""
    from PIL import Image

    w, h = sheet.size
    size = min(w, h)
    words = [x for x in brief.unmatched if settable(x)][: 3 if bare else 2]
    if not words and not bare:
        words = [t.word.split(" ")[-1] for t in brief.things if settable(t.word)][:1]
    words = words or [x for x in brief.words if settable(x) and len(x) > 3][:2]
    for number, word in enumerate(words):
        part = chance.child(word)
        letters = []
        for i, letter in enumerate(word.upper()):
            mood = part.child(f"{i}{letter}")
            tall = size * (0.14 if bare else 0.06) * mood.between(0.8, 1.3) * min(1.0, 7 / max(4, len(word)))
            ground, ink = mood.pick(
                (
                    ("#f4efe2", palette[1]),
                    (palette[1], "#f4efe2"),
                    (palette[0], "#f4efe2"),
                    ("#e6d9bc", palette[1]),
                    (palette[2], palette[1]),
                )
            )
            face = spaced(letter, tall, tuple(round(c) for c in rgb(ink)), 0)  # type: ignore[arg-type]
            card = Image.new(
                "RGBA", (face.width + round(tall * 0.35), face.height + round(tall * 0.3)), _ink(ground, 255)
            )
            card.alpha_composite(face, (round(tall * 0.17), round(tall * 0.15)))
            letters.append(card.rotate(mood.between(-9, 9), Image.Resampling.BICUBIC, expand=True))
        total = sum(card.width for card in letters)
        if total > w * 0.92:
            fit = w * 0.92 / total
            letters = [c.resize((max(1, round(c.width * fit)), max(1, round(c.height * fit)))) for c in letters]
            total = sum(card.width for card in letters)
        x = (w - total) * (part.between(0.1, 0.9) if not bare else 0.5)
        y = h * ((0.4 + 0.2 * number) if bare else (0.94 - 0.87 * number))
        for card in letters:
            _drop(sheet, card, (x + card.width / 2, y + part.between(-0.012, 0.012) * h))
            x += card.width

"""Where things stand: back row and front row on the ground, a water line, and the sky; never on top of each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aipipe.runners.sketch.figures import is_bust
from aipipe.runners.sketch.glyphs import exists, outline
from aipipe.runners.sketch.noise import Chance
from aipipe.runners.sketch.words import Brief, Thing

BACK = ("building", "mountain", "tree")
SKY = ("sky", "fly")
WATER = ("swim", "float")
HEAVENLY = {"☀️", "🌙", "🌕"}
"""Sun and moon are drawn by the ground, with their glow."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One sprite.

    Attributes:
        thing: What it shows.
        x: Middle, share of the width.
        y: Foot (on ground and water) or middle (in the sky), share of the height.
        height: Share of the picture's height.
        angle: Degrees, counterclockwise.
        flip: Mirrored.
        grounded: Stands on `y` and throws a shadow.
        holder: Index of the sprite that holds it by a string, or None.
    """

    thing: Thing
    x: float
    y: float
    height: float
    angle: float = 0.0
    flip: bool = False
    grounded: bool = True
    holder: int | None = None


def arrange(brief: Brief, chance: Chance, horizon: float, aspect: float = 1.0) -> list[Placed]:
    """Place all things of a brief.

    Args:
        brief: What to place.
        chance: Where choices come from.
        horizon: Share of the height where ground or water begins.
        aspect: Width divided by height.
    """
    things = [(i, t) for i, t in enumerate(brief.things) if t.entry.glyph not in HEAVENLY and exists(t.entry.glyph)]
    carried = {i for i, t in things if t.on is not None or t.held_by is not None}
    underwater = brief.place in ("deep", "space", "void")
    by_window = brief.place == "indoor"
    rows: dict[str, list[tuple[int, Thing]]] = {"back": [], "front": [], "air": []}
    for i, thing in things:
        klass = thing.entry.klass
        if i in carried and not (klass == "fly" and thing.on is None):
            continue
        if klass in SKY or underwater or (klass == "swim" and brief.place == "deep"):
            rows["air"].append((i, thing))
        else:
            rows["back" if klass in BACK else "front"].append((i, thing))
    placed: dict[int, list[Placed]] = {}
    unit = _unit([t for _, t in things])
    has_front = bool(rows["front"])
    back_line = horizon + (1 - horizon) * (0.3 if has_front else 0.55)
    _row(rows["back"], placed, chance.child("back"), (unit, aspect), (back_line, 0.03), brief.place)
    front = horizon + (1 - horizon) * 0.76
    if sum(t.count for _, t in rows["front"]) > 4 and len(rows["front"]) > 1:
        # Two ranks: the first things of the prompt in front, larger, the others behind them.
        cut = (len(rows["front"]) + 1) // 2
        ranks = ((rows["front"][:cut], front + 0.05), (rows["front"][cut:], front - 0.19))
    else:
        ranks = ((rows["front"], front), ([], front))
    for number, (rank, line) in enumerate(ranks):
        _row(rank, placed, chance.child(f"front{number}"), (unit, aspect), (line, 0.035), brief.place)
    ceiling = 0.94 if underwater else horizon - 0.04
    _air(rows["air"], placed, chance.child("air"), unit, ceiling, aspect)
    if by_window:
        placed = {i: [_seated(p) for p in spots] for i, spots in placed.items()}
    _carried([(i, t) for i, t in things if i in carried and i not in placed], placed, unit, chance.child("carry"))
    return [p for i in sorted(placed) for p in placed[i]]


def _seated(spot: Placed) -> Placed:
    """Indoors a bust rests on the picture's lower edge, as behind a table, instead of floating."""
    if spot.thing.entry.klass != "person" or not is_bust(spot.thing.entry.glyph):
        return spot
    return replace(spot, y=1.01, height=min(0.7, spot.height * 1.25), grounded=False)


def _unit(things: list[Thing]) -> float:
    """Height of a person in the picture, so that the largest thing fills about half of it."""
    sizes = [t.entry.height**0.62 * t.scale for t in things if t.entry.klass not in SKY]
    count = sum(t.count for t in things if t.entry.klass not in SKY)
    goal = 0.56 if count <= 1 else 0.48 if count <= 2 else 0.42 if count <= 5 else 0.36
    return goal / max(sizes, default=1.0)


def size_of(thing: Thing, unit: float) -> float:
    """Height of a thing as a share of the picture's; small things are drawn larger than they are."""
    return float(min(0.66, unit * thing.entry.height**0.62 * thing.scale))


def _row(
    row: list[tuple[int, Thing]],
    placed: dict[int, list[Placed]],
    chance: Chance,
    measure: tuple[float, float],
    line: tuple[float, float],
    place: str,
) -> None:
    """Pack a row from left to right, the first thing nearest to the golden section."""
    if not row:
        return
    unit, aspect = measure
    items = [(i, t, size_of(t, unit) * chance.between(0.92, 1.06)) for i, t in row for _ in range(min(t.count, 7))]
    widths = [h * _breadth(t.entry.glyph, body=has_body(t, place)) / aspect * 1.08 for _, t, h in items]
    order = _centred(len(items), chance)
    total = sum(widths)
    shrink = min(1.0, 0.94 / total)
    slack = max(0.0, 0.94 - total * shrink)
    gap = min(0.09, slack / (len(items) + 1))
    start = (1 - total * shrink - gap * (len(items) - 1)) / 2
    start += max(-start + 0.03, min(start - 0.03, chance.pick((-0.11, 0.11)) if len(items) < 4 else 0.0))
    for position in order:
        i, thing, height = items[position]
        width = widths[position] * shrink
        y = line[0] + chance.between(-line[1], line[1])
        spot = Placed(thing, start + width / 2, y, height * shrink, flip=chance.between(0, 1) < 0.4)
        if thing.heap:
            placed.setdefault(i, []).extend(_heap(spot, chance, aspect))
        else:
            placed.setdefault(i, []).append(spot)
        start += width + gap


def _centred(count: int, chance: Chance) -> list[int]:
    """The order from left to right that puts the first of the prompt near the middle."""
    order: list[int] = []
    left = chance.between(0, 1) < 0.5
    for i in range(count):
        if (i % 2 == 0) == left:
            order.insert(0, i)
        else:
            order.append(i)
    return order


def _heap(spot: Placed, chance: Chance, aspect: float) -> list[Placed]:
    """Three of a kind leaning on each other; books lie in one stack."""
    if spot.thing.entry.glyph == "📚":
        low = spot.height * 0.8
        return [
            Placed(spot.thing, spot.x + dx * low / aspect, spot.y - dy * low, low, angle, dy > 0.2)
            for dx, dy, angle in ((0.0, 0.0, 0.0), (0.04, 0.62, -2.0))
        ]
    h = spot.height * 0.72
    step = h * 0.42 / aspect
    found = [
        Placed(spot.thing, spot.x + dx * step, spot.y - dy * h, h, chance.between(-24, 24), chance.between(0, 1) < 0.5)
        for dx, dy in ((-1.0, 0.0), (1.0, 0.02), (0.0, 0.34))
    ]
    return [found[2], found[0], found[1]]


def _breadth(glyph: str, *, body: bool = False) -> float:
    left, top, right, bottom = outline(glyph, body=body)
    return (right - left) / (bottom - top)


def has_body(thing: Thing, place: str) -> bool:
    """Whether a person is drawn whole; behind a table a bust is enough."""
    return thing.entry.klass == "person" and is_bust(thing.entry.glyph) and place != "indoor"


def _air(
    row: list[tuple[int, Thing]],
    placed: dict[int, list[Placed]],
    chance: Chance,
    unit: float,
    ceiling: float,
    aspect: float,
) -> None:
    """Scatter in the sky, each as far from the others as can be found."""
    spots: list[tuple[float, float, float]] = []
    standing = [(p.x, p.y - p.height / 2, p.height) for ps in placed.values() for p in ps]
    count = sum(t.count for _, t in row)
    alone = not standing
    for i, thing in row:
        for _ in range(min(thing.count, 9)):
            height = min(size_of(thing, unit if not alone else 0.4), 0.42 / max(1.0, (count / 2) ** 0.5))
            height = max(0.09, height) * chance.between(0.85, 1.1)
            half = height * 0.55
            best, best_gap = (0.5, 0.3), -9.0
            for _ in range(24):
                x = chance.between(half / aspect + 0.03, 1 - half / aspect - 0.03)
                y = chance.between(half + 0.04, max(half + 0.06, ceiling - half))
                gap = min(
                    (((x - sx) * aspect) ** 2 + (y - sy) ** 2) ** 0.5 - (height + sh) * 0.5
                    for sx, sy, sh in [*spots, *standing, (9.0, 9.0, 0.0)]
                )
                gap = min(gap, 0.14) - 0.12 * abs(x - 0.5) * (not spots)
                if gap > best_gap:
                    best, best_gap = (x, y), gap
            spots.append((*best, height))
            holder = thing.held_by
            placed.setdefault(i, []).append(
                Placed(thing, *best, height, chance.between(-9, 9), chance.between(0, 1) < 0.5, False, holder)
            )


def _carried(row: list[tuple[int, Thing]], placed: dict[int, list[Placed]], unit: float, chance: Chance) -> None:
    """What sits on something, or is held by someone."""
    for i, thing in reversed(row):
        base = placed.get(thing.on if thing.on is not None else thing.held_by or 0)
        height = size_of(thing, unit)
        if not base:
            placed[i] = [Placed(thing, chance.between(0.3, 0.7), 0.9, height)]
        elif thing.on is not None:
            top = min(base, key=lambda p: p.y - p.height)
            y = top.y - top.height * 0.93
            if y - height < 0.03:
                height = max(0.1, y - 0.03)
            half = height * _breadth(thing.entry.glyph) / 2
            x = max(half + 0.03, min(0.97 - half, top.x))
            placed[i] = [Placed(thing, x, y, height, grounded=False)]
        else:
            holder = base[0]
            if thing.entry.glyph in ("🎩", "👒", "🧢", "👑"):
                spot = Placed(thing, holder.x, holder.y - holder.height * 0.9, holder.height * 0.34, 6.0)
            else:
                whole = holder.height > 0 and holder.grounded
                held = min(height, holder.height * (0.34 if whole else 0.42))
                x = holder.x + holder.height * (0.2 if whole else 0.06)
                y = holder.y - holder.height * (0.2 if whole else 0.015)
                spot = Placed(thing, x, y, held, -5.0)
            placed[i] = [spot]

"""Reading a prompt: things with count, size, colour and place, the time of day, the weather, and what has no picture."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace

from aipipe.runners.sketch.atmosphere import COLOURS, FILLER, NUMBERS, PLACES, SEASONS, SIZES, TIMES, VERBS, WEATHER
from aipipe.runners.sketch.lexicon import AMBIGUOUS, FALSE_FRIENDS, Entry, find, lemma

MAX_THINGS = 8
_GROUPS = {"flock": 6, "herd": 5, "swarm": 7, "pair": 2, "couple": 2, "group": 4, "crowd": 6, "row": 5, "school": 6}
_HEAPS = {"pile", "stack", "heap", "mountain", "tower", "stapel", "haufen", "berg"}
_STOPS = frozenset(
    [
        "and",
        "or",
        "but",
        "in",
        "on",
        "at",
        "to",
        "from",
        "with",
        "without",
        "by",
        "as",
        "into",
        "onto",
        "over",
        "under",
        "above",
        "below",
        "between",
        "behind",
        "beside",
        "near",
        "through",
        "across",
        "against",
        "along",
        "among",
        "is",
        "are",
        "was",
        "that",
        "who",
        "which",
        "und",
        "oder",
        "auf",
        "im",
        "am",
        "an",
        "mit",
        "ohne",
        "aus",
        "bei",
        "über",
        "unter",
        "vor",
        "hinter",
        "neben",
        "zwischen",
        "sitzt",
        "liegt",
    ]
)
"""Words that end the description of the noun behind them."""
_ON = {"on", "upon", "atop", "auf", "from", "out", "onto"}
_HOLD = {"read", "hold", "carry", "play", "with", "wear", "hug", "lesen", "liest", "hält", "trägt", "spielt", "mit"}
_CARRIED = {"object", "food"}
_BEFORE_VERB = {"to", "will", "can", "must", "i", "you", "we", "they", "he", "she", "it", "sun", "moon", "smoke"}


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing to draw.

    Attributes:
        word: As the prompt says it.
        entry: Its glyph and class.
        count: How many, 1 to 9.
        scale: 1, larger for "huge", smaller for "tiny".
        colour: Hex colour that tints it, "" for the glyph's own.
        heap: Several, piled up.
        on: Index of the thing it sits on, or None.
        held_by: Index of the thing that holds or plays it, or None.
    """

    word: str
    entry: Entry
    count: int = 1
    scale: float = 1.0
    colour: str = ""
    heap: bool = False
    on: int | None = None
    held_by: int | None = None


@dataclass(frozen=True, slots=True)
class Brief:
    """What a prompt asks for.

    Attributes:
        things: In the order of the prompt.
        time: "day", "dawn", "sunset" or "night".
        weather: "clear", "rain", "snow", "fog" or "storm".
        season: "" or "spring", "summer", "autumn", "winter".
        place: "meadow", "forest", "sea", "deep", "beach", "lake", "mountain", "desert", "city", "indoor", "space",
            "void".
        colours: Colour words that belong to no thing.
        unmatched: Content words that no glyph shows, in order.
        words: All words in order, for type.
    """

    things: tuple[Thing, ...]
    time: str
    weather: str
    season: str
    place: str
    colours: tuple[str, ...]
    unmatched: tuple[str, ...]
    words: tuple[str, ...]


def read(prompt: str) -> Brief:
    """Read a prompt into a brief; the same prompt gives the same brief."""
    words = tuple(re.findall(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*|\d+", prompt))
    # "Grandmother's kitchen" shows one grandmother.
    tokens = [w.lower().replace("’", "'").removesuffix("'s") for w in words]
    things, spans, used, covered = _things(tokens)
    things = _relate(things, spans, tokens)
    colours = tuple(COLOURS[t] for i, t in enumerate(tokens) if t in COLOURS and i not in used)
    place = _first(tokens, PLACES) or _implied(things)
    return Brief(
        things=tuple(things),
        time=_first(tokens, TIMES) or ("night" if _shows(things, "🌙", "🌕", "⭐", "🌟") else "day"),
        weather=_first(tokens, WEATHER) or "clear",
        season=_first(tokens, SEASONS) or "",
        place=place,
        colours=colours,
        unmatched=_unmatched(words, tokens, covered),
        words=words,
    )


def _things(tokens: list[str]) -> tuple[list[Thing], list[tuple[int, int]], set[int], set[int]]:
    things: list[Thing] = []
    spans: list[tuple[int, int]] = []
    used: set[int] = set()
    covered: set[int] = set()
    position = 0
    while position < len(tokens):
        found = _match(tokens, position)
        if found is None:
            position += 1
            continue
        entry, plural, length = found
        covered.update(range(position, position + length))
        floor = spans[-1][1] if spans else 0
        thing = _described(tokens, max(floor, position - 5), position, entry, plural, used)
        thing = replace(thing, word=" ".join(tokens[position : position + length]))
        if thing.word in ("beard", "mustache", "moustache") and any(t.entry.klass == "person" for t in things):
            position += length  # the beard belongs to somebody who is there already
            continue
        if not any(t.entry == entry for t in things) and len(things) < MAX_THINGS:
            things.append(thing)
            spans.append((position, position + length))
        position += length
    return things, spans, used, covered


def _match(tokens: list[str], at: int) -> tuple[Entry, bool, int] | None:
    for length in range(min(4, len(tokens) - at), 0, -1):
        phrase = " ".join(tokens[at : at + length])
        if length == 1:
            if len(phrase) < 3 and phrase != "ox":
                return None
            if phrase in FILLER or phrase in COLOURS or phrase in SIZES or phrase in NUMBERS:
                return None
            before = tokens[at - 1] if at else ""
            if phrase in AMBIGUOUS and before in _BEFORE_VERB:
                return None
            if phrase in FALSE_FRIENDS or phrase in VERBS or _is_setting(phrase):
                return None
        elif tokens[at + length - 1] in FILLER:
            continue
        found = find(phrase)
        if found is not None:
            return (*found, length)
    return None


def _is_setting(word: str) -> bool:
    return any(word in names for table in (TIMES, WEATHER, SEASONS, PLACES) for names in table.values())


def _described(tokens: list[str], start: int, at: int, entry: Entry, plural: bool, used: set[int]) -> Thing:
    count, scale, colour, heap = (3 if plural else 1), 1.0, entry.tint, False
    for i in range(at - 1, start - 1, -1):
        token = tokens[i]
        if token in NUMBERS or token.isdigit():
            count = min(9, max(1, NUMBERS.get(token) or int(token)))
        elif token in SIZES:
            scale = SIZES[token]
        elif token in COLOURS:
            colour = COLOURS[token]
            used.add(i)
        elif token in _HEAPS:
            heap, count = True, 1
        elif token in _GROUPS:
            count = _GROUPS[token]
        elif token in _STOPS:
            break
    return Thing(word="", entry=entry, count=count, scale=scale, colour=colour, heap=heap)


def _relate(things: list[Thing], spans: list[tuple[int, int]], tokens: list[str]) -> list[Thing]:
    related = list(things)
    for b in range(1, len(things)):
        a = b - 1
        between = tokens[spans[a][1] : spans[b][0]]
        kinds = {*between, *(lemma(t) for t in between if t.isascii())}
        below, above = things[b].entry.klass, things[a].entry.klass
        if kinds & _ON and below in ("object", "furniture", "food", "animal", "vehicle", "float") and above != "sky":
            related[a] = replace(related[a], on=b)
        elif (above == "person" and things[b].entry.glyph in ("🪁", "🎈", "🚩", "☂️")) or (
            kinds & _HOLD and above in ("person", "animal") and below in _CARRIED
        ):
            related[b] = replace(related[b], held_by=a)
    return related


def _first(tokens: list[str], table: dict[str, frozenset[str]]) -> str:
    pairs = [*tokens, *(f"{a} {b}" for a, b in itertools.pairwise(tokens))]
    for name, words in table.items():
        if any(p in words for p in pairs):
            return name
    return ""


def _shows(things: list[Thing], *glyphs: str) -> bool:
    return any(t.entry.glyph in glyphs for t in things)


def _implied(things: list[Thing]) -> str:
    """The place that the things suggest when the prompt names none."""
    classes = [t.entry.klass for t in things]
    if not classes:
        return "void"
    if _shows(things, "🧑‍🚀", "🪐", "🚀", "🛰️", "🛸", "👽"):
        return "space"
    for klass, place in (("swim", "deep"), ("float", "sea"), ("mountain", "mountain")):
        if klass in classes:
            return place
    if any(t.word in ("heron", "swan", "duck", "goose", "flamingo", "frog", "stork", "reiher") for t in things):
        return "lake"
    rests = any(t.on is not None and t.entry.klass in ("animal", "object", "food", "person") for t in things)
    if rests or "furniture" in classes or _shows(things, "🪟", "🚪", "🛁") or set(classes) <= {"object", "food"}:
        return "indoor"
    return "meadow"


def _unmatched(words: tuple[str, ...], tokens: list[str], inside: set[int]) -> tuple[str, ...]:
    kept: list[str] = []
    for i, token in enumerate(tokens):
        known = token in FILLER or token in COLOURS or token in SIZES or token in NUMBERS or token in VERBS
        group = token in _HEAPS or token in _GROUPS or token.isdigit()
        known |= token in ("light", "lights", "deep", "pieces", "piece")
        if i in inside or known or group or _is_setting(token) or len(token) < 4:
            continue
        if token.endswith(("ing", "ly", "ed")) and len(token) < 9 and len(tokens) > 3:
            continue
        if lemma(token) not in VERBS and token not in (k.lower() for k in kept):
            kept.append(words[i])
    return tuple(kept)

"""Which word means which glyph: the hand-written vocabulary, false friends, and OpenMoji's names behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

FALSE_FRIENDS = frozenset(
    # Words whose emoji shows something else than a picture's author means.
    [
        "torn",
        "tear",
        "tears",
        "card",
        "cards",
        "light",
        "lights",
        "glass",
        "fall",
        "falls",
        "spring",
        "bank",
        "date",
        "right",
        "left",
        "back",
        "top",
        "bottom",
        "end",
        "sign",
        "mark",
        "check",
        "cross",
        "square",
        "circle",
        "point",
        "line",
        "play",
        "pause",
        "stop",
        "next",
        "last",
        "new",
        "old",
        "hot",
        "cold",
        "cool",
        "free",
        "up",
        "down",
        "on",
        "off",
        "in",
        "out",
        "ok",
        "no",
        "yes",
        "soon",
        "abacus",
        "input",
        "keyboard",
        "tie",
        "set",
        "clean",
        "place",
        "school",
        "blood",
        "type",
        "number",
        "symbol",
        "button",
        "arrow",
        "clap",
        "ring-side",
        "match",
        "watch",
        "saw",
        "park",
        "crane",
        "turkey",
        "cricket",
        "pop",
        "pot",
        "tick",
        "jack",
        "spade",
        "club",
        "clubs",
        "field",
        "record",
        "current",
        "charge",
        "file",
        "folder",
        "trash",
        "cut",
        "copy",
        "tooth",
        "bow",
        "bite",
        "press",
        "sport",
        "sports",
        "power",
        "switch",
        "flat",
        "plate",
        "kiss",
        "hug",
        "people",
        "smile",
        "joy",
        "face",
        "anger",
        "sweat",
        "shake",
        "crying",
        "laughing",
        "thinking",
        "sleeping",
        "sleepy",
        "tired",
        "silent",
        "quiet",
        "warm",
        "dark",
        "bright",
        "black",
        "white",
        "red",
        "blue",
        "green",
        "yellow",
        "orange",
        "purple",
        "pink",
        "brown",
        "grey",
        "gray",
        "gold",
        "silver",
        "small",
        "large",
        "medium",
        "big",
        "dash",
        "stone-age",
        "snap",
        "wind",
        "fog",
        "rain",
        "snow",
        "night",
        "sunset",
        "sunrise",
        "day",
        "evening",
        "morning",
        "winter",
        "summer",
        "autumn",
        "city",
        "sea",
        "lake",
        "beach",
        "forest",
        "mountain",
        "desert",
        "island",
        "water",
        "air",
        "earthly",
        "rest",
        "service",
        "round",
        "body",
        "piece",
        "part",
        "way",
        "thing",
        "time",
        "kind",
        "style",
        "art",
        "image",
        "picture",
        "photo",
        "view",
        "scene",
        "color",
        "colour",
        "oil",
        "collage",
        "photomontage",
        "painting",
        "drawing",
        "paper",
        "person-like",
        "mood",
        "feeling",
        "middle",
        "centre",
        "center",
        "front",
        "side",
        "hole",
        "high",
        "low",
        "heavy",
        "fast",
        "slow",
        "open",
        "closed",
        "lock-in",
        "thought",
        "thoughts",
        "nothing",
        "everything",
        "something",
        "half",
        "double",
        "page",
        "pages",
        "table",
        "stand",
        "post",
        "mind-set",
        "fair",
        "general",
        "score",
        "hundred",
    ]
)
AMBIGUOUS = frozenset(
    [
        "rose",
        "bear",
        "duck",
        "seal",
        "bat",
        "box",
        "pin",
        "lock",
        "frame",
        "drum",
        "wave",
        "brush",
        "cook",
        "rock",
        "log",
        "anchor",
        "hammer",
        "fish",
        "train",
        "ring",
        "lamb",
        "ram",
        "fly",
        "fork",
        "chain",
        "horse",
        "saddle",
        "coat",
        "shell",
        "house",
        "man",
        "mask",
        "phone",
        "spirit",
        "fire",
        "flag",
        "mirror",
        "ship",
        "map",
    ]
)
IRREGULAR = {
    "leaves": "leaf", "wolves": "wolf", "knives": "knife", "mice": "mouse", "geese": "goose", "feet": "foot",
    "children": "child", "people": "people", "men": "man", "women": "woman", "oxen": "ox", "loaves": "loaf",
    "thieves": "thief", "wives": "wife", "elves": "elf", "fish": "fish", "sheep": "sheep", "deer": "deer",
    "butterflies": "butterfly", "flies": "fly", "glasses": "glasses", "scissors": "scissors", "thoughts": "thought",
    "kinder": "kind", "häuser": "haus", "bäume": "baum", "bücher": "buch", "vögel": "vogel", "männer": "mann",
    "hühner": "huhn", "schlösser": "schloss", "füchse": "fuchs", "wölfe": "wolf", "mäuse": "maus", "kühe": "kuh",
}  # fmt: skip
_SKIPPED = (
    (0x1F600, 0x1F64F), (0x1F1E6, 0x1F1FF), (0x1F170, 0x1F251), (0x1F500, 0x1F567), (0x2000, 0x2BFF),
    (0x1F910, 0x1F917), (0x1F920, 0x1F92F), (0x1F970, 0x1F97A), (0x1F446, 0x1F44F), (0x1F3FB, 0x1F3FF),
    (0x1F7E0, 0x1F7FF), (0x1F6AB, 0x1F6B0), (0x1F6BB, 0x1F6C5), (0x1F4A2, 0x1F4AF), (0x1F493, 0x1F49F),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """What a word shows: glyph, its class for the layout, its height (a person is 1), and a tint ("" for none)."""

    glyph: str
    klass: str
    height: float
    tint: str = ""


@lru_cache(maxsize=1)
def vocabulary() -> dict[str, Entry]:
    """The hand-written table: word or phrase → entry."""
    text = resources.files(__package__).joinpath("vocabulary.txt").read_text(encoding="utf-8")
    table: dict[str, Entry] = {}
    klass = ""
    for line in text.splitlines():
        if line.startswith("["):
            klass = line.strip("[]")
        elif line and not line.startswith("#"):
            glyph, height, words = line.split(" ", 2)
            glyph, _, tint = glyph.partition("~")
            for word in words.split(","):
                table.setdefault(word.strip(), Entry(glyph, klass, float(height), tint))
    return table


@lru_cache(maxsize=1)
def emoji_names() -> dict[str, Entry]:
    """Names and aliases of the `emoji` package that show a thing: no faces, flags, signs or skin tones."""
    from emoji import EMOJI_DATA

    names: dict[str, Entry] = {}
    for glyph, data in EMOJI_DATA.items():
        first = ord(glyph[0])
        if "\u200d" in glyph or data["status"] > 2 or any(low <= first <= high for low, high in _SKIPPED):
            continue
        for name in (str(data["en"]), *map(str, data.get("alias", []))):
            word = re.sub(r"[_\-]+", " ", name.strip(":")).lower()
            if word not in FALSE_FRIENDS and len(word) > 2:
                names.setdefault(word, Entry(glyph, "object", 0.5))
    return names


def lemma(word: str) -> str:
    """The dictionary form of an English word."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    import simplemma

    return str(simplemma.lemmatize(word, lang="en")).lower()


@lru_cache(maxsize=4096)
def find(phrase: str) -> tuple[Entry, bool] | None:
    """The entry of one to four words, and whether the phrase is a plural; None when nothing shows it."""
    table = vocabulary()
    if phrase in table:
        return table[phrase], phrase in ("houses", "books", "people")
    if phrase in FALSE_FRIENDS:
        return None
    *before, last = phrase.split(" ")
    for form in dict.fromkeys((lemma(last), *_german(last))):
        whole = " ".join((*before, form))
        if whole != phrase and whole in table:
            return table[whole], form != last
    names = emoji_names()
    for whole in (phrase, " ".join((*before, lemma(last)))):
        if whole in names and whole not in FALSE_FRIENDS:
            return names[whole], whole != phrase
    return None


def _german(word: str) -> tuple[str, ...]:
    """German plurals and cases by their endings: Blumen → blume, Katzen → katze, Hunde → hund."""
    return tuple(word[: -len(end)] for end in ("n", "e", "en", "er", "s", "es", "nen") if word.endswith(end))

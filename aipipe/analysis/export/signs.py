"""Signs of personal data in a text, by rule. Rules find too much and too little: a person decides."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from aipipe.analysis.export.names import names_in


def _any(*words: str) -> str:
    return "(?:" + "|".join(words) + ")"


_SCHOOLS = _any(
    "gymnasium", "realschule", "grundschule", "gesamtschule", "hauptschule", "oberschule", "mittelschule", "volksschule",
    "sekundarschule", "gemeinschaftsschule", "förderschule", "berufsschule", "kindergarten", "kindertagesstätte",
    "high school", "primary school", "elementary school", "middle school", "secondary school", "grammar school",
    "academy", "collège", "lycée", "école", "colegio", "escuela", "instituto", "scuola", "liceo", "szkoła", "okulu",
)  # fmt: skip
_INVENTED = "(?i:tanz|zauber|baum|hexen|fahr|ritter|drachen|hoch|vor|schwimm|hunde|monster|geister)"
"""Schools that pictures are about, and nobody is at."""
_INTRODUCTIONS = _any(
    "my name is", "my name's", "i am called", "i'm called", "ich hei(?:ß|ss)e", "mein name ist", "man nennt mich",
    "je m'appelle", "mon nom est", "me llamo", "mi nombre es", "mi chiamo", "il mio nome è", "ik heet", "mijn naam is",
    "jag heter", "nazywam się", "mam na imię", "benim adım", "меня зовут", "мене звати", "اسمي",
)  # fmt: skip
_SERVICES = _any("insta(?:gram)?", "snap(?:chat)?", "tiktok", "discord", "roblox", "telegram", "whatsapp", "twitch")

_SIGNS = {
    "e-mail address": re.compile(
        r"[\w.+-]+@[\w-]+\.\w{2,}|[\w.+-]+\s?[(\[]at[)\]]\s?[\w-]+|\b[\w.+-]+ at [\w-]+(?: (?:punkt|dot) |\.(?=(?:de|com|org|net|at|ch)\b))\w",
        re.IGNORECASE,
    ),
    "phone number": re.compile(r"(?<![\w-])\+?\d[\d /().-]{6,}\d(?!\w)"),
    "web address": re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE),
    "account name": re.compile(
        rf"(?<!\w)@\w{{3,}}|\w{{2,}}#\d{{4}}\b|\b{_SERVICES}\b(?:\W{{0,3}}(?:name|id|account|acc)\b|\s*:|\s+(?:is|ist)\b)",
        re.IGNORECASE,
    ),
    "introduction by name": re.compile(rf"(?<!\w){_INTRODUCTIONS}(?!\w)", re.IGNORECASE),
    # A school by its kind, "Goethe-Schule", "Lindgren School", "Klasse 7b", "die 7b".
    "school": re.compile(
        rf"(?i:\b\w*{_SCHOOLS}\b)|\b(?!{_INVENTED})[^\W\d_][\w-]*(?:-[Ss]chule|[a-zäöüß]{{3}}schule)\b|\bSchule (?:am|an der) [A-ZÄÖÜ]"
        rf"|\b[A-Z][\w'.-]+ (?:School|SCHOOL)\b|(?i:\bsch(?:ool|ule)[ -](?:n[or]\.? ?)?\d)|(?i:\b(?:klasse|class|grade|classe|clase)\s?\d+\s?[a-f]?\b)"
        r"|(?<![\w.:-])(?![1-4]d)(?:[1-9]|1[0-3])[a-f](?![\w-])"
    ),
    "address": re.compile(
        r"\b\w+(?:straße|strasse|str\.|weg|platz|allee|gasse|damm|ufer|chaussee)\s+\d+|\b(?:Straße|Platz) d\w+ .{0,30}\d"
        r"|\b\d+\s+\w+\s+(?:street|road|avenue|lane|drive|rue)\b|\b\d+,? rue \w|(?<![\d.,])\d{2}(?!000)\d{3} [A-ZÄÖÜ][a-zäöüß]+",
        re.IGNORECASE,
    ),
}


_FLAGS = re.compile("\U0001f3f4[\U000e0020-\U000e007f]{1,8}")
_HIDDEN = re.compile("[\U000e0000-\U000e007f]|[\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\U000e0100-\U000e01ef]{6,}")
"""Letters as invisible tags, which only flags of regions use, and invisible characters in a row: whole sentences fit in."""


def signs(text: str, known: Collection[str] = ()) -> list[str]:
    """Kinds of personal data a text may hold.

    Args:
        text: The text.
        known: Words that must not be in it, such as the participant's own id, or a name that was redacted elsewhere.
    """
    plain = readable(text)
    found = [kind for kind, pattern in _SIGNS.items() if pattern.search(plain)]
    if _HIDDEN.search(_FLAGS.sub("", text)):
        found.append("hidden characters")
    if "\ufffd" in plain:
        found.append("characters that cannot be read")
    if names_in(plain):
        found.append("likely name")
    if any(_holds(plain, word) for word in known):
        found.append("known from the run's record")
    return found


def readable(text: str) -> str:
    """The text as a person sees it: without invisible characters, with one form of each letter and apostrophe."""
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFKC", visible).replace("\u2019", "'").replace("\u02bc", "'")


def _holds(text: str, word: str) -> bool:
    word = readable(word).strip()
    return len(word) >= 3 and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None

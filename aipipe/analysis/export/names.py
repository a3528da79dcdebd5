"""Likely names of people in a text: a known name, or two capitalised words in a row that grammar does not explain.

German writes every noun with a capital, so "Eine Blume" and "Große Katzen" look like names to a plain rule; a reviewer who is
shown fifty of them stops reading. A pair is passed over only when its first word is a word of grammar, a number, an order
("Male Katzen") or a common adjective; any other pair is shown, also a place or a title, because a missed name is worse.
One word alone, or behind an adjective ("die kleine Anna"), is shown when it stands in the list of `data/names.txt`.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from itertools import pairwise

_TITLE = re.compile(
    r"\b(?:Herr|Herrn|Frau|Familie|Mr\.?|Mrs\.?|Ms\.?|Miss|Dr\.|Prof\.|Mme|Monsieur|Madame|Señora?)\s+[^\W\d_]{2,}"
)
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GRAMMAR = _words(
    """
    der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner mein meine meinen meinem meiner
    dein deine deinen deinem deiner sein seine seinen seinem seiner ihr ihre ihren ihrem ihrer unser unsere unseren unserem
    euer eure dieser diese dieses diesen diesem jener jene jenes jeder jede jedes jeden jedem alle allen aller alles manche
    viele vielen wenige einige einigen mehrere beide beiden welche welcher welches solche ich du er sie es wir man und oder
    aber denn doch sondern als wie wenn weil dass ob bevor nachdem während damit in im ins am ans auf aufs aus bei beim mit
    von vom zu zum zur nach vor vorm hinter über unter unterm neben zwischen durch durchs für fürs gegen ohne um ums bis seit
    trotz wegen ist sind war waren hat haben hatte wird werden kann können soll sollen nur auch noch nicht sehr ganz hier dort
    dann jetzt heute wo was wer wen wem warum wann welch ja nein bitte
    the a an this that these those my your his her its our their some any every each all both many few no and or but if when
    while in on at by for from with without of to into over under is are was were has have had it he she they we you
    i what where who why how not very here there then now please as like
    null zwei drei vier fünf sechs sieben acht neun zehn elf zwölf hundert tausend one two three four five six seven eight
    nine ten hundred thousand erste ersten zweite zweiten dritte dritten first second third
    """
)
_PARTICLES = _words("von van de del di da la le du zu")
_ORDERS = _words(
    """
    male mal zeichne zeichnet zeige zeig mache mach erstelle erzeuge generiere gestalte entwirf schreibe schreib erzähle erfinde
    beschreibe baue nimm gib lass stelle stell verwandle übersetze paint draw show create make generate design write tell
    describe imagine add use give let turn translate
    """
)
_ADJECTIVES = _words(
    "rot blau gelb grün schwarz weiß weiss grau braun bunt golden silbern hell dunkel groß gross klein riesig winzig lang "
    "kurz hoch tief breit schmal dick dünn alt neu jung schön hässlich lustig traurig fröhlich glücklich wütend müde still laut "
    "leise schnell langsam warm kalt heiß nass trocken weich hart rund eckig leer voll offen wild frei gut böse schlecht lieb "
    "süß bitter fremd seltsam magisch verzaubert zauberhaft geheimnisvoll unheimlich tanzend fliegend singend schlafend leuchtend "
    "glänzend lachend weinend brennend deutsch englisch französisch modern abstrakt surreal einfach echt letzt nächst ander "
    "ganz halb viel einzeln einsam verlassen alltäglich toll cool gruselig niedlich kaputt verrückt fantastisch"
)
# Without an ending most of these are family names too (Anna Klein, Schwarz Anna), so an ending is asked for.
_INFLECTED = re.compile(rf"(?:{'|'.join(sorted(_ADJECTIVES))})(?:er|st)?(?:e|er|es|en|em)")
# Umlaut and dropped letters of inflection: hohe, dunkle, teure, größte.
_IRREGULAR = _words("hohe hohen hoher hohes dunkle dunklen dunkler dunkles edle edlen größte größten älteste kleinste")


@cache
def _known() -> tuple[frozenset[str], frozenset[str]]:
    """Known names in small letters: all of them, and those that count without a capital too."""
    text = (resources.files("aipipe.data") / "names.txt").read_text(encoding="utf-8")
    words = _words("\n".join(line for line in text.splitlines() if not line.startswith("#")))
    return frozenset(w.casefold() for w in words), frozenset(w for w in words if w.islower())


def names_in(text: str) -> bool:
    """True when a text holds a title with a word, a known name, or a pair of capitalised words that may be a name."""
    words = list(_WORD.finditer(text))
    return (
        _TITLE.search(text) is not None
        or any(_is_known(word[0]) for word in words)
        or any(_is_pair(text, one, other) for one, other in pairwise(words))
    )


def taken_out(text: str, instead: str) -> frozenset[str]:
    """Words that a person took out of a text and that may name somebody: they must not stand in the run's other texts."""
    kept = {word.casefold() for word in _WORD.findall(instead)}
    return frozenset(
        word
        for word in _WORD.findall(text)
        if word.casefold() not in kept | _GRAMMAR and len(word) > 2 and (word[0].isupper() or _is_known(word))
    )


def _is_known(word: str) -> bool:
    """Anna, ANNA, Annas, Anna's, Anna-Lena, O'Neill, anna; not mia, which is also a word."""
    return any(_listed(part) for part in {word, *re.split("[-'’]", word)} if part)


def _listed(part: str) -> bool:
    capital, small = _known()
    names = capital if part[0].isupper() else small
    folded = part.casefold()
    return folded in names or folded.removesuffix("s") in names


def _is_pair(text: str, one: re.Match[str], other: re.Match[str]) -> bool:
    between = text[one.end() : other.start()]
    # An initial may stand between: "Anna B. Müller" is the pair "Anna B".
    if between not in (" ", "\u00a0", "\u202f", "  ", ". ") or (between == ". " and len(one[0]) > 2):
        return False
    following = other[0].lower()
    joins = following not in _GRAMMAR or following in _PARTICLES
    return _capital(one[0]) and _capital(other[0]) and not _explained(one[0]) and joins


def _capital(word: str) -> bool:
    """Anna, Müller, O'Neill, McKay, or the B of an initial; words of capitals alone are shouting or short for something."""
    return word[0].isupper() and (len(word) == 1 or any(c.islower() for c in word))


def _explained(word: str) -> bool:
    small = word.lower()
    return small in _GRAMMAR or small in _ORDERS or small in _IRREGULAR or _INFLECTED.fullmatch(small) is not None

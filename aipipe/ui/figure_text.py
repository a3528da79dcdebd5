"""Texts of a figure: as wide as they are drawn, broken between signs that belong together, in their own direction."""

from __future__ import annotations

import unicodedata

ZWJ = "\u200d"


def signs(text: str) -> list[str]:
    """`text` in pieces that must not be torn apart: letters with their marks, joined emoji, flags."""
    found: list[str] = []
    for c in text:
        if found and (_extends(c) or found[-1].endswith(ZWJ) or (_flag(c) and _flag(found[-1]))):
            found[-1] += c
        else:
            found.append(c)
    return found


def _extends(c: str) -> bool:
    return c == ZWJ or unicodedata.category(c) in ("Mn", "Me", "Mc") or "\U0001f3fb" <= c <= "\U0001f3ff"


def _flag(sign: str) -> bool:
    return len(sign) == 1 and "\U0001f1e6" <= sign <= "\U0001f1ff"


def width(sign: str) -> int:
    """How many letters wide a sign is drawn at most: 2 for Chinese, Japanese, Korean and each part of an emoji."""
    parts = [c for c in sign if drawable(c) and not unicodedata.category(c).startswith("M")]
    return max(1, sum(2 if unicodedata.east_asian_width(c) in "WF" or _flag(c) else 1 for c in parts))


def wrap(text: str, letters: int, lines: int = 0) -> list[str]:
    """`text` as lines of at most `letters`; with `lines`, cut after so many, which the last one shows by "…"."""
    letters = max(2, letters)
    done: list[str] = []
    line: list[str] = []
    for word in text.split():
        pieces = signs(word)
        if line and _width(line) + 1 + _width(pieces) <= letters:
            line += [" ", *pieces]
            continue
        # Chinese and Japanese have no spaces: a word that is wider than a line begins where the last one ended.
        if line and (_width(pieces) <= letters or _width(line) + 3 > letters):
            done.append("".join(line))
            line = []
        elif line:
            line.append(" ")
        for piece in pieces:
            if _width(line) + width(piece) > letters:
                # A full stop or a closing bracket never begins a line.
                kept = [line.pop()] if len(line) > 1 and unicodedata.category(piece[0]) in ("Pe", "Pf", "Po") else []
                done.append("".join(line).rstrip())
                line = kept
            line.append(piece)
    if line:
        done.append("".join(line))
    if lines and len(done) > lines:
        last = signs(done[lines - 1])
        while last and _width(last) > letters - 1:
            last.pop()
        done = [*done[: lines - 1], "".join(last).rstrip() + "…"]
    return done


def _width(pieces: list[str]) -> int:
    return sum(width(piece) for piece in pieces)


def is_rtl(text: str) -> bool:
    """Whether the first letter that has a direction runs from right to left."""
    for c in text:
        direction = unicodedata.bidirectional(c)
        if direction in ("L", "R", "AL"):
            return direction != "L"
    return False


def drawable(c: str) -> bool:
    """Whether a character needs a picture in a font: spaces, joiners and direction marks do not."""
    return not (c.isspace() or unicodedata.category(c) in ("Cc", "Cf", "Cs") or "\ufe00" <= c <= "\ufe0f")

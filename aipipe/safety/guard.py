"""Answers of guard models: "safe", or "unsafe" with the codes S1 to S14 of the Llama Guard 3 taxonomy."""

from __future__ import annotations

import re

_GUARD = re.compile(r"llama[-_ ]?guard", re.IGNORECASE)
_CODE = re.compile(r"S(?:1[0-4]|[1-9])")


def is_guard(model: str) -> bool:
    """True for models that answer in the form of Llama Guard, by their name."""
    return bool(_GUARD.search(model))


def parse(answer: str) -> tuple[bool, tuple[str, ...]] | None:
    """The verdict of a guard model.

    Args:
        answer: "safe", "unsafe" with codes on the next line, or all on one line.

    Returns:
        (safe, codes), or None for anything else: an answer that is not understood is no verdict.
    """
    words = [word for word in re.split(r"[\s,;:.]+", answer.strip()) if word]
    if not words:
        return None
    verdict, rest = words[0].lower(), [word.upper() for word in words[1:]]
    if verdict == "safe" and not rest:
        return True, ()
    if verdict == "unsafe" and all(_CODE.fullmatch(word) for word in rest):
        return False, tuple(dict.fromkeys(rest))
    return None

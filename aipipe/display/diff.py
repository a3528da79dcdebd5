"""Which words a stage changed."""

from __future__ import annotations

import difflib
import re

from aipipe.display.html import escape

MAX_WORDS = 4_000
"""Beyond this many words a diff costs seconds and nobody reads it."""


def words(text: str) -> list[str]:
    """Words and the spaces between them, so that joining gives the text again."""
    return re.findall(r"\s+|\w+|[^\w\s]", text)


def word_diff(before: str, after: str) -> str:
    """HTML of `after` with added words in <ins> and removed ones in <del>; "" when the texts are too long."""
    a, b = words(before), words(after)
    if max(len(a), len(b)) > MAX_WORDS:
        return ""
    parts = []
    for kind, a1, a2, b1, b2 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            parts.append(escape("".join(b[b1:b2])))
            continue
        if a2 > a1:
            parts.append(f"<del>{escape(''.join(a[a1:a2]))}</del>")
        if b2 > b1:
            parts.append(f"<ins>{escape(''.join(b[b1:b2]))}</ins>")
    return f'<div class="aip-text" dir="auto">{"".join(parts)}</div>'

"""Plain text helpers."""

from __future__ import annotations


def indent(text: str, width: int) -> str:
    """`text` with every line moved right by `width` spaces."""
    pad = " " * width
    return "\n".join(pad + line for line in text.splitlines() or [""])

"""What all placeholders follow from: the hash of prompt and seed."""

from __future__ import annotations

import hashlib


def digest_of(prompt: str, seed: int) -> bytes:
    """32 bytes that stand for prompt and seed.

    Args:
        prompt: Any text, lone surrogates too.
        seed: Any integer.
    """
    return hashlib.sha256(f"{seed}\0{prompt}".encode("utf-8", "surrogatepass")).digest()

"""What a person decided about a public export."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from aipipe.analysis.export.privacy import Pseudonyms
from aipipe.analysis.export.times import Clocks


@dataclass(frozen=True, slots=True)
class Choices:
    """The decisions, and what is made fresh for each export."""

    names: Pseudonyms
    clocks: Clocks
    approved: frozenset[str]
    redacted: Mapping[str, str]
    pictures_seen: frozenset[str]
    keep_labels: tuple[str, ...]

    def instead(self, data: bytes) -> str | None:
        """What is published in the place of a text, or None where it stays as it is."""
        return self.redacted.get(digest_of(data))

    def put(self, text: str) -> str:
        """The same for a word of a record."""
        instead = self.instead(encoded(text))
        return text if instead is None else instead

    def open(self, data: bytes) -> bool:
        """Whether nobody has decided on a text yet."""
        digest = digest_of(data)
        return digest not in self.approved and digest not in self.redacted


def digest_of(data: bytes) -> str:
    """SHA-256, by which a person's decisions name texts."""
    return hashlib.sha256(data).hexdigest()


def encoded(text: str) -> bytes:
    """A text as bytes; halves of characters, which a record may hold and no file can, become question marks."""
    return text.encode("utf-8", errors="replace")

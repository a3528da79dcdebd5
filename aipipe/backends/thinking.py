"""Chain-of-thought in the text itself: `<think> … </think>` is kept apart from the answer, also while it streams."""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


class ThinkSplitter:
    """Takes pieces of a streamed text and sorts them into answer and thinking."""

    def __init__(self) -> None:
        self.answer = ""
        self.thinking = ""
        self._rest = ""
        self._inside = False

    def feed(self, piece: str) -> list[tuple[str, bool]]:
        """Sort one piece; returns (text, is thinking) pairs that are safe to show."""
        self._rest += piece
        shown: list[tuple[str, bool]] = []
        while self._rest:
            tag = CLOSE if self._inside else OPEN
            head, found, tail = self._rest.partition(tag)
            if found:
                self._take(head, shown)
                self._inside, self._rest = not self._inside, tail
                continue
            keep = _overlap(self._rest, tag)
            self._take(self._rest[: len(self._rest) - keep], shown)
            self._rest = self._rest[len(self._rest) - keep :]
            break
        return shown

    def finish(self) -> None:
        """Take what was held back because it looked like the beginning of a tag."""
        self._take(self._rest, [])
        self._rest = ""

    def _take(self, text: str, shown: list[tuple[str, bool]]) -> None:
        if not text:
            return
        if self._inside:
            self.thinking += text
        else:
            self.answer += text
        shown.append((text, self._inside))


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of `text` may begin `tag`."""
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if tag.startswith(text[-n:])), 0)

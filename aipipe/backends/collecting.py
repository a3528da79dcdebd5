"""From a stream of pieces to a `TextResult`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from aipipe.backends.base import TextRequest, TextResult
from aipipe.backends.thinking import ThinkSplitter
from aipipe.errors import BadAnswer
from aipipe.events import TextDelta, Watch


class Collector:
    """Gathers the pieces of one answer and shows them as they come."""

    def __init__(self, request: TextRequest, watch: Watch) -> None:
        self.model = request.model
        self.digest = ""
        self.finish = ""
        self.tokens_in: int | None = None
        self.tokens_out: int | None = None
        self._watch = watch
        self._split = ThinkSplitter()
        self._thinking = ""
        self._started = time.monotonic()

    def text(self, piece: str) -> None:
        """Another piece of the answer (which may hold `<think>` tags)."""
        for shown, thinking in self._split.feed(piece):
            self._watch.emit(TextDelta(text=shown, thinking=thinking))

    def thought(self, piece: str) -> None:
        """Another piece of separate chain-of-thought."""
        self._thinking += piece
        self._watch.emit(TextDelta(text=piece, thinking=True))

    def result(self, service: str, *, attempts: int, sent: Mapping[str, Any]) -> TextResult:
        """The whole answer.

        Raises:
            BadAnswer: it is empty, or the stream ended before the model did.
        """
        self._split.finish()
        answer = self._split.answer.strip()
        thinking = "\n".join(part.strip() for part in (self._thinking, self._split.thinking) if part.strip())
        if not self.finish:
            raise BadAnswer(
                f"{service} ended its answer in the middle: {answer[-80:]!r}",
                hint="Look at the server's log; then resume the run.",
            )
        if not answer:
            why = " It spent all its tokens on thinking." if thinking else ""
            hint = (
                "Raise max_tokens, or choose a model that does not think aloud."
                if thinking
                else "Try another seed or model."
            )
            raise BadAnswer(f"The model {self.model!r} gave an empty answer.{why}", hint=hint)
        return TextResult(
            text=answer,
            model=self.model,
            model_digest=self.digest,
            finish="length" if self.finish == "length" else "stop",
            thinking=thinking,
            tokens_in=self.tokens_in,
            tokens_out=self.tokens_out,
            attempts=attempts,
            seconds=time.monotonic() - self._started,
            request=sent,
            response={
                "text": self._split.answer,
                "thinking": thinking,
                "finish": self.finish,
                "model": self.model,
                "tokens_in": self.tokens_in,
                "tokens_out": self.tokens_out,
            },
        )

"""The outcome of one text check, with its whole evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aipipe.backends.base import TextResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check found.

    Attributes:
        safe: True, False, or None when no check took place.
        method: "model", "guard model", "terms", "terms only (echo)", "disabled", "failed".
        codes: What was found, each {"code", "explanation": {"en", "de"}}.
        terms: Terms of the lists that stand in the text, each {"term", "found", "strength", "code"}.
        message: Explanation for a person, in the project's language; "" when safe.
        negative_prompt: What a media generator shall avoid at this level.
        model: Model that judged, "" if none.
        policy: Version of the policy.
        level: kids, youth, adult, off.
        media_type: Media type that the text is meant for, or None for an input.
        text: The exact text that was judged.
        seconds: Wall time.
        reason: "could not be checked" when the check failed, else "".
        error: What made the check fail, as {"type", "message", "hint"}.
        result: The model's answer with request and response, or None.
        reused_from: "run_id/filename" of the check within the same batch whose answer was taken, "" for an answer of its own.
        reuse_key: Hash of the request, by which the answer can be offered to other cases; "" outside of batches.
    """

    safe: bool | None
    method: str
    text: str
    level: str
    codes: tuple[Mapping[str, Any], ...] = ()
    terms: tuple[Mapping[str, Any], ...] = ()
    message: str = ""
    negative_prompt: str = ""
    model: str = ""
    policy: str = ""
    media_type: str | None = None
    seconds: float = 0.0
    reason: str = ""
    error: Mapping[str, str] | None = None
    result: TextResult | None = field(default=None, compare=False, repr=False)
    reused_from: str = ""
    reuse_key: str = field(default="", compare=False, repr=False)

    @property
    def blocked(self) -> bool:
        """True when the text must not go on."""
        return self.safe is False

    def as_entity(self) -> dict[str, Any]:
        """The content of a safety entity: everything but the raw exchange, which lies in exchanges.jsonl."""
        return {
            "safe": self.safe,
            "method": self.method,
            "safety_level": self.level,
            "media_type": self.media_type,
            "codes": [dict(code) for code in self.codes],
            "terms": [dict(term) for term in self.terms],
            "message": self.message,
            "reason": self.reason,
            "error": dict(self.error) if self.error else None,
            "negative_prompt": self.negative_prompt,
            "model": self.model,
            "answer": self.result.text if self.result else "",
            "policy": self.policy,
            "text": self.text,
            "seconds": round(self.seconds, 3),
        }

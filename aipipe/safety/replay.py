"""A recorded check, judged again: under another level, with other terms, by another model.

Without a model the stored answer goes through the same code as a fresh one: terms, parsing, codes, what the level
allows. Only what nobody answered then cannot be known now, and that is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aipipe.backends.base import Backend, Probe, TextRequest, TextResult
from aipipe.definitions import LEVELS
from aipipe.errors import AipipeError, InvalidInput, Unavailable, UnknownName
from aipipe.events import Watch
from aipipe.safety.checker import Checker
from aipipe.safety.terms import Terms
from aipipe.safety.verdict import Verdict
from aipipe.settings import Settings

NO_ANSWER = "no model judged this text then; name one: SafetyPolicy(model=…)"
ECHO = "terms only (echo)"


@dataclass(frozen=True, kw_only=True)
class SafetyPolicy:
    """What a replay judges by. What is not named stays as it was.

    Attributes:
        level: kids, youth, adult or off; "" keeps the level of each run.
        model: "backend:model", or a backend's name: asked afresh for each text. "" takes the stored answers.
        terms: Files with further terms, in the form of the shipped lists.
        shipped_terms: False leaves the shipped lists out.
    """

    level: str = ""
    model: str = ""
    terms: Sequence[str | Path] = ()
    shipped_terms: bool = True

    def __post_init__(self) -> None:
        if self.level and self.level not in LEVELS:
            raise UnknownName("safety level", self.level, LEVELS)

    def load_terms(self) -> Terms:
        """The terms of this policy.

        Raises:
            InvalidInput: a file that is missing or no list of terms.
        """
        try:
            return Terms.load(*self.terms, shipped=self.shipped_terms)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(
                f"The terms cannot be read: {type(error).__name__}: {error}",
                hint='A list is {"code": "S1", "levels": ["kids"], "block": {"en": ["…"]}, "review": {"en": ["…"]}}.',
            ) from error


class StoredAnswer:
    """A backend that gives the recorded answer and asks nobody."""

    name = "stored"
    kind = "stored"
    local = True

    def __init__(self, answer: str, model: str) -> None:
        self._answer, self._model = answer, model

    def complete(self, request: TextRequest, watch: Watch) -> TextResult:
        """The recorded answer.

        Raises:
            Unavailable: there is none.
        """
        if not self._answer:
            raise Unavailable(NO_ANSWER)
        return TextResult(text=self._answer, model=self._model, attempts=0)

    def probe(self) -> Probe:
        """It always answers."""
        return Probe(ok=True)

    def close(self) -> None:
        """Nothing to release."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One recorded check.

    Attributes:
        entity: Content of the safety entity.
        text: The text that a model judges: what the entity holds, or at stage 1 the translation.
        original: The user's own words at stage 1 where they differ from `text`, else "".
    """

    entity: Mapping[str, Any]
    text: str
    original: str = ""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What became of one recorded check under the other policy.

    Attributes:
        before: "allowed" or "blocked", as recorded.
        after: The same under the policy, or "" when it could not be replayed.
        why: What decided, or why nothing could.
        verdict: The new verdict.
    """

    before: str
    after: str
    why: str
    verdict: Verdict = field(repr=False)

    @property
    def outcome(self) -> str:
        """allowed→blocked, blocked→allowed, unchanged, or not replayed."""
        if not self.after:
            return "not replayed"
        return "unchanged" if self.after == self.before else f"{self.before}→{self.after}"


class Replayer:
    """Judges recorded checks under one policy.

    Args:
        policy: The other policy.
        settings: Language of explanations, time limits, whether a remote model may judge.
        backend: Where the policy's model runs; None takes the stored answers.
        model: Its name there.
    """

    def __init__(
        self, policy: SafetyPolicy, settings: Settings, *, backend: Backend | None = None, model: str = ""
    ) -> None:
        self._policy, self._backend, self._model = policy, backend, model
        self._checker = Checker(settings, policy.load_terms())

    def replay(self, recorded: Recorded, watch: Watch | None = None) -> Replayed:
        """Judge one recorded check again.

        Raises:
            RunCancelled: the watch was cancelled meanwhile.
        """
        entity = recorded.entity
        before = "blocked" if entity.get("safe") is False else "allowed"
        watch = watch or Watch()
        verdict = self._judge(recorded, watch)
        if verdict.method == "failed":
            what = verdict.error or {}
            return Replayed(before=before, after="", why=str(what.get("message", "")), verdict=verdict)
        after = "blocked" if verdict.blocked else "allowed"
        return Replayed(before=before, after=after, why=_why(verdict), verdict=verdict)

    def _judge(self, recorded: Recorded, watch: Watch) -> Verdict:
        entity = recorded.entity
        level = self._policy.level or str(entity.get("safety_level", ""))
        echo = self._backend is None and entity.get("method") == ECHO
        backend = self._backend or StoredAnswer(str(entity.get("answer") or ""), str(entity.get("model") or ""))
        model = self._model if self._backend else str(entity.get("model") or "")

        def check(text: str, *, terms_only: bool) -> Verdict:
            return self._checker.check_text(
                text,
                level=level,
                media_type=entity.get("media_type"),
                backend=backend,
                model=model,
                watch=watch,
                echo=terms_only,
            )

        verdict = check(recorded.text, terms_only=echo)
        if not verdict.blocked and recorded.original:
            own = check(recorded.original, terms_only=True)
            verdict = own if own.blocked else verdict
        return verdict


def why_not(error: AipipeError) -> str:
    """The reason why a recorded check could not even be read."""
    return f"{error.message} {error.hint}".strip()


def _why(verdict: Verdict) -> str:
    codes = ", ".join(str(code["code"]) for code in verdict.codes)
    if verdict.blocked:
        terms = ", ".join(str(term["term"]) for term in verdict.terms if term["strength"] == "block")
        return f"{verdict.method}: {codes}" + (f" ({terms})" if verdict.method.startswith("terms") and terms else "")
    return f"{verdict.method}: {codes} allowed at {verdict.level}" if codes else verdict.method

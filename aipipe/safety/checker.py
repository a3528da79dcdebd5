"""The text check: terms first, then a model's verdict in constrained JSON. Whatever goes wrong blocks."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace

from aipipe.backends.base import Backend, TextRequest, TextResult, Timeouts
from aipipe.catalog.library import Catalog
from aipipe.definitions import LEVELS, ModelChoice, PlannedText
from aipipe.errors import AipipeError, InvalidSettings, RunCancelled, UnknownName
from aipipe.events import Watch
from aipipe.messages import Message
from aipipe.rendering import messages, step_values
from aipipe.safety import guard, policy
from aipipe.safety.terms import Hit, Terms
from aipipe.safety.verdict import Verdict
from aipipe.settings import Settings

COULD_NOT = "could not be checked"


class Checker:
    """Judges texts.

    kids and youth: a model always judges. adult: only when a review term stands in the text. off: nothing is checked.
    A block term decides alone at every level but off. The shipped configs `pre_output/safety_LEVEL` hold the words.
    """

    def __init__(self, settings: Settings, terms: Terms | None = None, *, catalog: Catalog | None = None) -> None:
        self._settings = settings
        self._terms = Terms.shipped() if terms is None else terms
        self._catalog = catalog or Catalog.load()
        limits = settings.limits
        self._timeouts = Timeouts(limits.connect_seconds, limits.silence_seconds, limits.total_seconds)

    def check_text(
        self,
        text: str,
        *,
        level: str,
        media_type: str | None = None,
        backend: Backend | None,
        model: str,
        watch: Watch,
        seed: int = 0,
        echo: bool = False,
    ) -> Verdict:
        """Judge one text.

        Args:
            text: The text, as the next step would use it.
            level: kids, youth, adult or off.
            media_type: What the text is meant for at stage 3; None for an input at stage 1.
            backend: Where the safety model runs; None when there is none.
            model: Name of the safety model, "" for the backend's default.
            watch: Events and cancellation.
            seed: Seed of the model call.
            echo: The model is the echo model, which judges nothing: only block terms block.

        Returns:
            The verdict. Services that fail, answers that do not parse and models that may not be asked give
            `safe=False, method="failed"`.

        Raises:
            UnknownName: a level outside the four.
            RunCancelled: the run was cancelled meanwhile.
        """
        if level not in LEVELS:
            raise UnknownName("safety level", level, LEVELS)
        started = time.monotonic()
        hits = () if level == "off" else self._terms.find(text, level)
        base = Verdict(
            safe=None,
            method="disabled",
            text=text,
            level=level,
            media_type=media_type,
            policy=policy.POLICY,
            terms=tuple(hit.as_dict() for hit in hits),
            negative_prompt=policy.negative_prompt(level, media_type),
        )
        verdict = base if level == "off" else self._judge(base, hits, backend, model, watch, seed, echo=echo)
        return replace(verdict, seconds=time.monotonic() - started)

    def _judge(
        self,
        base: Verdict,
        hits: Sequence[Hit],
        backend: Backend | None,
        model: str,
        watch: Watch,
        seed: int,
        *,
        echo: bool,
    ) -> Verdict:
        blocking = [hit for hit in hits if hit.strength == "block"]
        method = "terms only (echo)" if echo else "terms"
        if blocking:
            return self._unsafe(replace(base, method=method), [hit.code for hit in blocking])
        if echo or (base.level == "adult" and not hits):
            return replace(base, safe=True, method=method)
        try:
            result, guarded = self._ask(base, backend, model, watch, seed)
            return self._read(replace(base, result=result, model=result.model), hits, result, guarded=guarded)
        except RunCancelled:
            raise
        except AipipeError as error:
            return self._failed(base, error)

    def _ask(
        self, base: Verdict, backend: Backend | None, model: str, watch: Watch, seed: int
    ) -> tuple[TextResult, bool]:
        if backend is None:
            raise InvalidSettings("No safety model is set.", hint="Set safety_checks.model, or a mode's safety model.")
        if not backend.local and not self._settings.safety_checks.allow_remote:
            raise InvalidSettings(
                f"The safety model at {backend.name!r} is not local.",
                hint="Name a local one (safety_checks.model), or set safety_checks.allow_remote = true.",
            )
        request, guarded = self.request(base.text, level=base.level, model=model, seed=seed)
        return backend.complete(request, watch), guarded

    def request(self, text: str, *, level: str, model: str, seed: int = 0) -> tuple[TextRequest, bool]:
        """What a model is asked about a text, and whether it is a guard model with rules of its own."""
        guarded = guard.is_guard(model)
        planned = self._planned(level)
        chosen = (Message("user", text),) if guarded else messages(planned, step_values(text))
        request = TextRequest(
            task="safety",
            model=model,
            messages=chosen,
            parameters={"temperature": 0, "max_tokens": 64} if guarded else planned.parameters,
            seed=seed,
            schema=None if guarded else planned.chunk.answer_schema,
            timeouts=self._timeouts,
        )
        return request, guarded

    def _planned(self, level: str) -> PlannedText:
        config = self._catalog.config(f"pre_output/safety_{level}")
        chunk = self._catalog.chunk(self._catalog.pipeline(config.pipeline).chunks[0])
        return PlannedText(
            chunk=chunk,
            model=ModelChoice(backend="safety"),
            context=config.context_text(),
            examples=config.examples,
            parameters={**chunk.parameters, **config.parameters},
        )

    def _read(self, base: Verdict, hits: Sequence[Hit], result: TextResult, *, guarded: bool) -> Verdict:
        found = guard.parse(result.text) if guarded else parse(result.text)
        if found is None:
            return self._failed(base, None)
        safe, codes = found
        base = replace(base, method="guard model" if guarded else "model")
        if guarded:
            # Guard models follow general rules and do not know section 86a: such a term needs its context words.
            banned = [hit.code for hit in hits if hit.code == "86a" and not hit.context]
            codes = (*codes, *banned)
            safe = safe and not banned
        if safe:
            return replace(base, safe=True)
        counted = [code for code in codes if policy.blocks(base.level, code)]
        if codes and not counted:
            return replace(base, safe=True, codes=tuple(policy.code(code) for code in codes))
        return self._unsafe(base, counted or ["other"])

    def _unsafe(self, base: Verdict, codes: Sequence[str]) -> Verdict:
        found = tuple(policy.code(code) for code in dict.fromkeys(codes))
        language = self._settings.language
        explanation = " ".join(c["explanation"].get(language, c["explanation"]["en"]) for c in found)
        message = policy.sentence("blocked", language, level=base.level, explanation=explanation)
        return replace(base, safe=False, codes=found, message=message)

    def _failed(self, base: Verdict, error: AipipeError | None) -> Verdict:
        what = (
            error.as_dict()
            if error
            else {
                "type": "BadAnswer",
                "message": "The safety model's answer is not a verdict.",
                "hint": "Use another safety model.",
            }
        )
        said = " ".join(part for part in (what["message"], what["hint"]) if part)
        message = policy.sentence("failed", self._settings.language, error=said)
        return replace(base, safe=False, method="failed", reason=COULD_NOT, message=message, error=what)


def parse(answer: str) -> tuple[bool, tuple[str, ...]] | None:
    """The verdict of a judging model: {"safe": bool, "category": word}; None when it is not one."""
    stripped = answer.strip()
    if stripped.startswith("```"):
        stripped = stripped.partition("\n")[2].rpartition("```")[0].strip()
    try:
        value = json.loads(stripped)
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("safe"), bool):
        return None
    if value["safe"]:
        return True, ()
    category = str(value.get("category", ""))
    return False, (policy.code_of_category(category),)

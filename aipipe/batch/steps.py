"""The model calls that a case makes, with what decides each one: equal ones are made once per batch and then reused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aipipe.batch.plan import Case
from aipipe.definitions import ModelChoice, PlannedText, canonical_json
from aipipe.definitions import Plan as RunPlan
from aipipe.language import detect

JUDGED = ("kids", "youth")
"""Levels at which a model judges every text; at adult it judges those with a term that needs it, which nobody can foresee."""
CHARACTERS_PER_TOKEN = 4
"""English prose in current vocabularies; other languages need up to twice as many tokens."""
SAFETY_PROMPT = 400
"""Input tokens of a safety check for which no step was recorded."""
TOKENS_OF_A_PROMPT = 250
"""Tokens of an interception for which no step was recorded."""


@dataclass(frozen=True)
class Call:
    """One call of a language model.

    Attributes:
        key: Everything that decides its answer.
        step: translation, safety or interception.
        model: Who answers.
        characters: Length of the prompt.
    """

    key: Any
    step: str
    model: ModelChoice
    characters: int


def calls_of(plan: RunPlan, case: Case) -> Iterator[Call]:
    """The calls of a case, as its plan makes them."""
    alone = case.case_key if os.environ.get("AIPIPE_REUSE", "1") == "0" else ""
    judge = (
        plan.safety_model
        if plan.safety in JUDGED and plan.safety_model and plan.safety_model.backend != "echo"
        else None
    )
    for text in case.texts:
        if plan.translation is not None and detect(text).code != "en":
            key = ("translation", alone, str(plan.translation.model), text, case.text_seed)
            yield Call(key, "translation", plan.translation.model, _characters(plan.translation) + len(text))
        if judge is not None:
            check = ("safety", alone, str(judge), plan.safety, text, case.text_seed)
            yield Call(check, "safety", judge, SAFETY_PROMPT * CHARACTERS_PER_TOKEN + len(text))
    models = tuple(sorted(case.models.items()))
    made = (
        alone,
        case.config_hash or case.config,
        case.texts,
        case.images,
        models,
        case.text_seed,
        canonical_json(dict(case.parameters)),
    )
    chain = plan.steps[-1:] * len(plan.iterations) if plan.iterations else plan.steps
    for number, planned in enumerate(chain):
        length = _characters(planned) + sum(len(t) for t in case.texts)
        yield Call(("interception", *made, number), "interception", planned.model, length)
    if plan.outputs and judge is not None:
        length = (SAFETY_PROMPT + TOKENS_OF_A_PROMPT) * CHARACTERS_PER_TOKEN
        yield Call(("safety", plan.safety, str(judge), *made), "safety", judge, length)


def _characters(planned: PlannedText) -> int:
    examples = sum(len(str(e.model_dump())) for e in planned.examples)
    return len(planned.chunk.model_dump_json()) + len(planned.context) + examples

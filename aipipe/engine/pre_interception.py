"""Stage 1: for each text input, language, translation to English, safety check."""

from __future__ import annotations

import json
from typing import Any

from aipipe import rendering
from aipipe.engine.calls import Answer, ask, offer
from aipipe.engine.checks import Blocked, check_terms, check_text
from aipipe.engine.context import RunContext
from aipipe.engine.remembered import offer_answer
from aipipe.records import STEPS
from aipipe.safety import Verdict

STAGE = 1


def run_stage(run: RunContext) -> tuple[str, ...]:
    """Run stage 1 and return the English texts.

    Raises:
        Blocked: a text was judged unsafe; its entities are saved.
        ServiceError: a model failed.
    """
    run.enter(STAGE, STEPS[STAGE])
    save_images(run)
    return tuple(_one(run, index, text) for index, text in enumerate(run.plan.texts))


def save_inputs(run: RunContext) -> tuple[str, ...]:
    """Save the inputs of a plan that has no stage 1 (an output config run directly) and return them as they are."""
    save_images(run)
    for index, text in enumerate(run.plan.texts):
        _save_input(run, index, text)
    return run.plan.texts


def save_images(run: RunContext) -> None:
    """Save the input images."""
    for index, image in enumerate(run.images):
        if run.kept_record("input_image", input_=index) is None:
            run.save("input_image", image, stage=STAGE, input=index)


def _save_input(run: RunContext, index: int, text: str) -> None:
    if run.kept("input", input_=index) is None:
        run.save("input", text, {"characters": len(text)}, stage=STAGE, input=index)


def _one(run: RunContext, index: int, text: str) -> str:
    _save_input(run, index, text)
    translation = run.kept("translation", input_=index)
    if translation is None:
        translation = _translate(run, index, text)
    if not passed(run.kept("safety", input_=index)):
        _check(run, index, text, translation)
    return translation


def _translate(run: RunContext, index: int, text: str) -> str:
    language = run.services.detect(text)
    run.recorder.update_input(index, language=language.code, language_score=language.score)
    metadata: dict[str, Any] = {"language": language.code, "detected_by": language.method}
    planned = run.plan.translation
    if planned is None:
        answer, metadata["method"] = Answer(text=text), "off"
    elif language.code == "en":
        answer, metadata["method"] = Answer(text=text), "kept"
    else:
        answer = ask(run, planned, rendering.step_values(text), stage=STAGE, step="translation", input_=index)
        metadata |= {"method": "model", **answer.metadata}
    entity = run.save("translation", answer.text, metadata, stage=STAGE, input=index, reused_from=answer.reused_from)
    offer(run, answer, entity.filename)
    return answer.text


def _check(run: RunContext, index: int, original: str, translation: str) -> None:
    verdict = check_text(run, translation, stage=STAGE, step="safety", input_=index)
    if verdict.safe is not False and original != translation:
        # What the translation smoothed over must still be found in the user's own words.
        terms = check_terms(run, original)
        verdict = terms if terms.blocked else verdict
    save_verdict(run, "safety", verdict, stage=STAGE, input=index, extra={"input": index})
    if verdict.safe is False:
        raise Blocked(verdict, STAGE)


def passed(kept: str | None) -> bool:
    """True when an earlier attempt's verdict let the text through; one that blocked or failed is asked for again."""
    return kept is not None and json.loads(kept).get("safe") is not False


def save_verdict(
    run: RunContext, type_: str, verdict: Verdict, *, extra: dict[str, Any] | None = None, **place: Any
) -> None:
    """Save a verdict with its complete evidence, and offer the answer behind it to the other cases of the batch."""
    content = {**verdict.as_entity(), **(extra or {})}
    facts = {"safe": verdict.safe, "method": verdict.method}
    entity = run.save(type_, json.loads(json.dumps(content)), facts, reused_from=verdict.reused_from or None, **place)
    fresh = verdict.reuse_key and not verdict.reused_from and verdict.method != "failed"
    if run.reuse is not None and verdict.result is not None and fresh:
        offer_answer(run.reuse, verdict.reuse_key, verdict.result, f"{run.recorder.run_id}/{entity.filename}")

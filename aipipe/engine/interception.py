"""Stage 2: the config's pipeline rewrites the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aipipe import rendering
from aipipe.catalog.languages import name_of
from aipipe.definitions import PlannedText
from aipipe.engine.calls import Answer, ask, offer
from aipipe.engine.context import RunContext
from aipipe.records import STEPS

STAGE = 2


def run_stage(run: RunContext, texts: tuple[str, ...]) -> str:
    """Run stage 2 and return the final prompt.

    Raises:
        ServiceError: a model failed.
        BadAnswer: an answer was cut off, or not the JSON its chunk promises.
    """
    run.enter(STAGE, STEPS[STAGE])
    kept = run.kept("interception")
    if kept is not None:
        return kept
    calls = _calls(run)
    names = run.plan.pipeline.inputs.names
    values = rendering.step_values(
        "\n\n".join(texts), user_input=run.plan.texts[0] if run.plan.texts else "", texts=texts, names=names
    )
    joined = "\n\n".join(texts)
    previous, answer = joined, Answer(text=joined)
    for number, (planned, extra) in enumerate(calls, start=1):
        final = number == len(calls)
        saved = None if final else run.kept("interception_iteration", iteration=number)
        if saved is not None:
            previous = saved
        else:
            # Each call gets the text before it: a chain that is really chained.
            filled = {**values, **extra, "PREVIOUS_OUTPUT": previous}
            if run.plan.iterations:
                filled["INPUT_TEXT"] = previous
            answer = ask(
                run,
                planned,
                filled,
                stage=STAGE,
                step="interception",
                iteration=number if len(calls) > 1 else None,
                iterations=len(calls) if len(calls) > 1 else None,
            )
            previous = answer.text
            if not final:
                _save_iteration(run, number, answer, extra)
        values |= _json_values(planned, previous)
    metadata = {
        "config": run.plan.config.name,
        **({"iterations": len(calls)} if len(calls) > 1 else {}),
        **answer.metadata,
    }
    entity = run.save("interception", previous, metadata, stage=STAGE, reused_from=answer.reused_from)
    offer(run, answer, entity.filename)
    return previous


def save_edit(run: RunContext) -> str:
    """Save a person's own interception, which takes the place of stage 2."""
    run.enter(STAGE, STEPS[STAGE])
    text = run.plan.edit or ""
    if run.kept("interception_edit") is None:
        parent = run.recorder.record.parent
        run.save("interception_edit", text, {"parent": parent.run_id if parent else None}, stage=STAGE)
    return text


def _calls(run: RunContext) -> list[tuple[PlannedText, dict[str, Any]]]:
    if not run.plan.iterations:
        return [(planned, {}) for planned in run.plan.steps]
    planned = run.plan.steps[0]
    return [(planned, {"TARGET_LANGUAGE": name_of(code), "TARGET_LANGUAGE_CODE": code}) for code in run.plan.iterations]


def _save_iteration(run: RunContext, number: int, answer: Answer, extra: Mapping[str, Any]) -> None:
    language = {"language": extra["TARGET_LANGUAGE_CODE"]} if "TARGET_LANGUAGE_CODE" in extra else {}
    entity = run.save(
        "interception_iteration",
        answer.text,
        {**answer.metadata, **language},
        stage=STAGE,
        iteration=number,
        reused_from=answer.reused_from,
    )
    offer(run, answer, entity.filename)


def _json_values(planned: PlannedText, text: str) -> dict[str, Any]:
    """Keys of a JSON answer, upper-cased: placeholders for the chunks that follow."""
    if planned.chunk.answer != "json":
        return {}
    return rendering.answer_values(text)

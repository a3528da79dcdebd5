"""One call of a language model, recorded as a step with its exchange."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from aipipe import events, rendering
from aipipe.backends.base import TextRequest, TextResult
from aipipe.definitions import PlannedText
from aipipe.engine.context import RunContext
from aipipe.engine.reuse import ReuseCache, Reused
from aipipe.errors import AipipeError, BadAnswer, RunCancelled
from aipipe.records import StepRecord, Tokens
from aipipe.timestamps import now


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A model's text and where it came from.

    Attributes:
        text: The answer.
        metadata: Facts for the entity (model, backend).
        reused_from: "run_id/filename" of the entity it was copied from, or None.
        reuse_key: Key under which the result may be offered to other cases.
    """

    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    reused_from: str | None = None
    reuse_key: str = ""


def ask(
    run: RunContext,
    planned: PlannedText,
    values: Mapping[str, Any],
    *,
    stage: int,
    step: str,
    input_: int | None = None,
    iteration: int | None = None,
    iterations: int | None = None,
) -> Answer:
    """Fill the chunk's template, ask the model, record step and exchange.

    Raises:
        ServiceError: whatever the backend raised; recorded as a failed step first.
        BadAnswer: the answer was cut at the token limit.
        RunCancelled: the run was asked to stop.
    """
    run.cancellation.check()
    backend = run.services.backend(planned.model.backend)
    request = TextRequest(
        messages=rendering.messages(planned, values, images=_seen(run, planned) if stage == 2 else ()),
        task=planned.chunk.task,
        model=planned.model.model,
        parameters=planned.parameters,
        seed=run.plan.text_seed,
        schema=planned.chunk.answer_schema,
        timeouts=run.services.timeouts,
    )
    record = StepRecord(
        stage=stage,
        step=step,
        chunk=planned.chunk.name,
        backend=backend.name,
        model=planned.model.model,
        parameters=dict(planned.parameters),
        seed=str(request.seed),
        started=now(),
        execution_mode=planned.model.mode,
        input=input_,
        iteration=iteration,
    )
    run.emit(
        events.StepStarted(
            stage=stage,
            step=step,
            service=backend.name,
            model=planned.model.model,
            iteration=iteration,
            iterations=iterations,
        )
    )
    started = time.monotonic()
    key = request_key(request, backend.name) if run.reuse else ""
    known = run.reuse.get(key) if run.reuse else None
    if known is not None:
        record.outcome, record.model, record.model_digest, record.attempts = (
            "reused",
            known.model,
            known.model_digest,
            0,
        )
        run.record_step(record, started)
        return Answer(text=known.text, metadata=_facts(record), reused_from=known.source)
    try:
        result = backend.complete(request, run.watch)
    except (AipipeError, KeyboardInterrupt) as error:
        record.outcome = "cancelled" if isinstance(error, (RunCancelled, KeyboardInterrupt)) else "failed"
        record.message = str(error)
        run.record_step(record, started)
        raise
    cut = _cut_off(result, planned)
    if cut is not None:
        record.outcome, record.message = "failed", str(cut)
    finish_step(run, record, result, started)  # half an answer is evidence too
    if cut is not None:
        raise cut
    return Answer(text=result.text, metadata=_facts(record), reuse_key=key)


def _seen(run: RunContext, planned: PlannedText) -> tuple[bytes, ...]:
    """The run's pictures, for a step that is answered by a vision model; others would refuse them."""
    return run.images if (run.plan.config.task or planned.chunk.task) == "vision" else ()


def finish_step(run: RunContext, record: StepRecord, result: TextResult, started: float) -> None:
    """Complete a step's record from the backend's result; the raw exchange goes to exchanges.jsonl."""
    record.model = result.model or record.model
    record.model_digest = result.model_digest
    record.tokens = Tokens(input=result.tokens_in, output=result.tokens_out)
    record.attempts = result.attempts
    run.recorder.append_exchange(
        {
            "timestamp": record.started,
            "stage": record.stage,
            "step": record.step,
            "backend": record.backend,
            "model": record.model,
            "request": dict(result.request),
            "response": dict(result.response),
            **({"thinking": result.thinking} if result.thinking else {}),
        }
    )
    run.record_step(record, started)


def offer(run: RunContext, answer: Answer, filename: str) -> None:
    """Offer a fresh answer to the other cases of the batch, once its entity is on disk."""
    if run.reuse and answer.reuse_key and not answer.reused_from:
        run.reuse.put(
            answer.reuse_key,
            Reused(
                source=f"{run.recorder.run_id}/{filename}",
                text=answer.text,
                model=str(answer.metadata.get("model", "")),
                model_digest=str(answer.metadata.get("model_digest", "")),
            ),
        )


def _facts(record: StepRecord) -> dict[str, Any]:
    facts = {"model": record.model, "backend": record.backend}
    if record.model_digest:
        facts["model_digest"] = record.model_digest
    return facts


def request_key(request: TextRequest, backend: str) -> str:
    """Hash of everything that decides an answer."""
    return ReuseCache.key(
        backend=backend,
        model=request.model,
        messages=[[m.role, m.content, *(sha256(i).hexdigest() for i in m.images)] for m in request.messages],
        parameters=dict(request.parameters),
        seed=request.seed,
        schema=dict(request.schema) if request.schema else None,
    )


def _cut_off(result: TextResult, planned: PlannedText) -> BadAnswer | None:
    if result.finish != "length":
        return None
    limit = planned.parameters.get("max_tokens")
    return BadAnswer(
        f"The model {result.model!r} was cut off at its token limit ({limit or 'the service default'}) in step "
        f"{planned.chunk.name!r}; what it had written is in exchanges.jsonl.",
        hint="Raise it with parameters={'max_tokens': …} or -p max_tokens N.",
    )

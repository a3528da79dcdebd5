"""Safety checks of texts, recorded as steps."""

from __future__ import annotations

import time
from dataclasses import replace

from aipipe import events
from aipipe.backends.base import Backend
from aipipe.engine.calls import finish_step
from aipipe.engine.context import RunContext
from aipipe.engine.remembered import RememberingBackend
from aipipe.errors import AipipeError, RunCancelled
from aipipe.records import StepRecord
from aipipe.safety import Verdict
from aipipe.timestamps import now


class Blocked(Exception):
    """A verdict that stops a run or an output."""

    def __init__(self, verdict: Verdict, stage: int) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict
        self.stage = stage


def check_text(
    run: RunContext,
    text: str,
    *,
    stage: int,
    step: str,
    media_type: str | None = None,
    input_: int | None = None,
    output: int | None = None,
) -> Verdict:
    """Judge `text` at the run's level and record the call. Never raises for a check that failed: it says unsafe.

    Raises:
        RunCancelled: the run was asked to stop.
    """
    run.cancellation.check()
    choice = run.plan.safety_model
    backend: Backend | None = run.services.backend(choice.backend) if choice else None
    remembering = RememberingBackend(backend, run.reuse) if backend is not None and run.reuse is not None else None
    record = StepRecord(
        stage=stage,
        step=step,
        chunk="safety",
        backend=choice.backend if choice else "",
        model=choice.model if choice else "",
        seed=str(run.plan.text_seed),
        started=now(),
        execution_mode=choice.mode if choice else run.plan.mode,
        input=input_,
        output=output,
    )
    run.emit(events.StepStarted(stage=stage, step=step, service=record.backend, model=record.model, output=output))
    started = time.monotonic()
    try:
        verdict = run.services.checker.check_text(
            text,
            level=run.plan.safety,
            media_type=media_type,
            backend=remembering or backend,
            model=choice.model if choice else "",
            watch=run.watch,
            seed=run.plan.text_seed,
            echo=backend is not None and backend.kind == "echo",
        )
    except (AipipeError, KeyboardInterrupt) as error:
        record.outcome = "cancelled" if isinstance(error, (RunCancelled, KeyboardInterrupt)) else "failed"
        record.message = str(error)
        run.record_step(record, started)
        raise
    if remembering is not None:
        verdict = replace(verdict, reused_from=remembering.source, reuse_key=remembering.key)
    _finish(run, record, verdict, started)
    run.emit(
        events.SafetyChecked(
            stage=stage, safe=verdict.safe, method=verdict.method, message=verdict.message, output=output
        )
    )
    return verdict


def check_terms(run: RunContext, text: str) -> Verdict:
    """Look for the terms that decide alone; no model is asked."""
    verdict = run.services.checker.check_text(
        text, level=run.plan.safety, backend=None, model="", watch=run.watch, echo=True
    )
    # The checker names this method after echo, the usual reason to ask no model; here a model may have judged as well.
    choice = run.plan.safety_model
    echo = choice is not None and run.services.backend(choice.backend).kind == "echo"
    return verdict if echo or verdict.method == "disabled" else replace(verdict, method="terms")


def _finish(run: RunContext, record: StepRecord, verdict: Verdict, started: float) -> None:
    if verdict.method == "failed":
        record.outcome, record.message = "failed", verdict.message
    elif verdict.safe is False:
        record.outcome = "blocked"
    elif verdict.method == "disabled":
        record.outcome = "skipped"
    elif verdict.reused_from:
        record.outcome = "reused"
    if verdict.result is not None and verdict.reused_from:
        record.model, record.model_digest, record.attempts = verdict.result.model, verdict.result.model_digest, 0
        run.record_step(record, started)
    elif verdict.result is not None:
        finish_step(run, record, verdict.result, started)
    else:
        run.record_step(record, started)

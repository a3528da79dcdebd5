"""Stages 3 and 4, once for each requested output: the final check and the media."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from aipipe import events, probing
from aipipe.definitions import PlannedOutput
from aipipe.engine.calls import finish_step
from aipipe.engine.checks import Blocked, check_text
from aipipe.engine.context import RunContext
from aipipe.engine.pre_interception import passed, save_verdict
from aipipe.errors import AipipeError, BadMedia, RecordingError, RunCancelled, ServiceError
from aipipe.image_safety import ImageVerdict
from aipipe.recorder import PendingEntity
from aipipe.records import STEPS, Reason, StepRecord
from aipipe.runners.base import JobRef, MediaFile, MediaRequest, MediaResult, Preflight
from aipipe.timestamps import now

CHECK, MAKE = 3, 4
ENTITY_MEDIA = ("image", "audio", "music", "video", "3d", "code")


class _PictureBlocked(Exception):
    """The verdict on a finished picture; it is not kept."""

    def __init__(self, verdict: ImageVerdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


def run_outputs(run: RunContext, prompt: str, texts: tuple[str, ...]) -> str:
    """Try every output and return the run's status: failed before blocked before completed.

    Raises:
        RunCancelled: the run was asked to stop; the outputs that are left say so.
        RecordingError: the disk failed; nothing else can be told.
    """
    outcomes = []
    for output in run.plan.outputs:
        try:
            outcomes.append(_one(run, output, prompt, texts))
        except (RunCancelled, KeyboardInterrupt):
            _cancel_rest(run, output.index)
            raise
    return next((worst for worst in ("failed", "blocked") if worst in outcomes), "completed")


def foreseen_faults(run: RunContext) -> list[tuple[PlannedOutput, AipipeError]]:
    """Why no output can be made, known before any work is done; empty as soon as one looks possible."""
    faults: list[tuple[PlannedOutput, AipipeError]] = []
    for output in run.plan.outputs:
        if _already(run, output):
            return []
        try:
            runner = run.services.runner(output.runner)
            if not isinstance(runner, Preflight):
                return []
            empty = tuple("" for _ in run.plan.texts)
            runner.preflight(_request(run, output, "", "", empty, StepRecord(stage=MAKE, step="media")))
            return []
        except AipipeError as error:
            faults.append((output, error))
    return faults


def fail_outputs(run: RunContext, faults: list[tuple[PlannedOutput, AipipeError]]) -> None:
    """Record why each output cannot be made."""
    for output, error in faults:
        _end(run, output, "failed", MAKE, type(error).__name__, str(error), error_details(error))


def _one(run: RunContext, output: PlannedOutput, prompt: str, texts: tuple[str, ...]) -> str:
    if _already(run, output):
        return "completed"
    stage = CHECK
    try:
        negative = _check(run, output, prompt)
        stage = MAKE
        _make(run, output, prompt, negative, texts)
    except Blocked as block:
        return _end(run, output, "blocked", block.stage, "safety_blocked", block.verdict.message)
    except _PictureBlocked as block:
        return _end(
            run, output, "blocked", MAKE, "safety_blocked", str(block), {"image_safety": block.verdict.as_dict()}
        )
    except RecordingError:
        raise
    except RunCancelled:
        raise
    except AipipeError as error:
        kind = "safety_unchecked" if stage == CHECK else type(error).__name__
        return _end(run, output, "failed", stage, kind, str(error), error_details(error))
    run.recorder.update_output(output.index, "completed")
    return "completed"


def _already(run: RunContext, output: PlannedOutput) -> bool:
    return run.has(f"output_{output.media_type}", output=output.index)


def _check(run: RunContext, output: PlannedOutput, prompt: str) -> str:
    """Judge the final prompt for this medium and return the negative prompt that goes with the level."""
    run.enter(CHECK, STEPS[CHECK], output.index)
    kept = run.kept("safety_pre_output", output=output.index)
    if kept is not None and passed(kept):
        return str(json.loads(kept).get("negative_prompt", ""))
    verdict = check_text(
        run, prompt, stage=CHECK, step="safety_pre_output", media_type=output.media_type, output=output.index
    )
    save_verdict(run, "safety_pre_output", verdict, stage=CHECK, output=output.index, extra={"output": output.index})
    if verdict.method == "failed":
        raise ServiceError(verdict.message)
    if verdict.safe is False:
        raise Blocked(verdict, CHECK)
    return verdict.negative_prompt


def _make(run: RunContext, output: PlannedOutput, prompt: str, negative: str, texts: tuple[str, ...]) -> None:
    run.enter(MAKE, STEPS[MAKE], output.index)
    runner = run.services.runner(output.runner)
    step = StepRecord(
        stage=MAKE,
        step="media",
        chunk=output.chunk.name,
        runner=runner.name,
        model=output.model,
        parameters=dict(output.parameters),
        seed=str(run.plan.seed),
        started=now(),
        execution_mode=output.mode,
        output=output.index,
    )
    run.emit(events.StepStarted(stage=MAKE, step="media", service=runner.name, model=output.model, output=output.index))
    started = time.monotonic()
    try:
        result = runner.generate(_request(run, output, prompt, negative, texts, step), run.watch)
        step.model, step.parameters = result.model or step.model, dict(result.parameters) or step.parameters
        step.seed, step.attempts = str(result.seed), result.attempts
        _save_files(run, output, result)
    except _PictureBlocked:
        step.outcome = "blocked"
        run.record_step(step, started)
        raise
    except (AipipeError, KeyboardInterrupt) as error:
        step.outcome = "cancelled" if isinstance(error, (RunCancelled, KeyboardInterrupt)) else "failed"
        step.message = str(error)
        with contextlib.suppress(RecordingError):  # the first error is the one to report
            run.record_step(step, started)
        raise
    run.recorder.update_provenance(
        {
            "outputs": {
                str(output.index): {
                    "request": dict(result.request),
                    "facts": dict(result.facts),
                    "warnings": list(result.warnings),
                }
            }
        }
    )
    run.record_step(step, started)


def _request(
    run: RunContext, output: PlannedOutput, prompt: str, negative: str, texts: tuple[str, ...], step: StepRecord
) -> MediaRequest:
    def record_job(job: JobRef) -> None:
        step.job = {"server": job.server, "job_id": job.job_id}
        run.recorder.update_provenance({"jobs": {str(output.index): step.job}})

    own = str(output.parameters.get("negative_prompt", ""))
    parameters = {k: v for k, v in output.parameters.items() if k != "negative_prompt"}
    return MediaRequest(
        run_id=run.recorder.run_id,
        output_config=output.config,
        media_type=output.media_type,
        prompt=prompt,
        negative_prompt=", ".join(part for part in (own, negative) if part),
        texts=texts,
        seed=run.plan.seed,
        parameters=parameters,
        images=run.images,
        model=output.model,
        style=run.plan.config.style,
        workflow=output.chunk.workflow if isinstance(output.chunk.workflow, dict) else None,
        inputs={
            name: [f.model_dump() for f in fields] if isinstance(fields, tuple) else fields.model_dump()
            for name, fields in output.chunk.inputs.items()
        },
        output=output.chunk.output,
        job=_earlier_job(run, output.index),
        record_job=record_job,
        timeouts=run.services.timeouts,
    )


def _earlier_job(run: RunContext, index: int) -> JobRef | None:
    job = run.recorder.provenance.get("jobs", {}).get(str(index))
    return JobRef(job["server"], job["job_id"]) if job else None


def _save_files(run: RunContext, output: PlannedOutput, result: MediaResult) -> None:
    wanted = f"output_{output.media_type}"
    published = 0
    for index, file in enumerate(result.files):
        pending, checked = _open(run, output, file, index)
        verdict = _look(run, output, pending) if pending.media_type == "image" else None
        if verdict is not None and verdict.safe is False:
            pending.discard()
            raise _PictureBlocked(verdict)
        facts = {
            "config": output.config,
            "runner": output.runner,
            "seed": str(file.seed if file.seed is not None else result.seed),
            **({"node": file.node} if file.node else {}),
            "original_filename": file.filename,
            **checked.facts(),
            **({"image_safety": verdict.as_dict()} if verdict is not None else {}),
            **dict(file.metadata),
        }
        entity = pending.publish(metadata=facts, checked=checked.checked)
        run.announce(entity)
        published += entity.type == wanted
    if not published:
        kinds = ", ".join(sorted({f.media_type for f in result.files}))
        raise BadMedia(
            f"Output config {output.config!r} should make {output.media_type}, but only gave: {kinds or 'nothing'}.",
            hint="Check the save node and the output map of its chunk.",
        )


def _open(run: RunContext, output: PlannedOutput, file: MediaFile, index: int) -> tuple[PendingEntity, probing.Probed]:
    """Pull a file into the run folder, unpublished, and prove that it opens as what it claims."""
    kind = output.media_type if _matches(file.media_type, output.media_type) else file.media_type
    type_ = f"output_{kind}" if kind in ENTITY_MEDIA else "output_other"
    with file.open() as stream:
        pending = run.recorder.stage_entity(type_, stream, stage=MAKE, output=output.index, file_index=index)
    try:
        return pending, probing.probe(pending.path, kind)
    except BadMedia:
        pending.discard()
        raise


def _matches(actual: str, planned: str) -> bool:
    return actual == planned or {actual, planned} == {"audio", "music"}


def _look(run: RunContext, output: PlannedOutput, pending: PendingEntity) -> ImageVerdict | None:
    """Check a finished picture at the levels for children; the verdict is a field of its entity."""
    if run.plan.safety not in ("kids", "youth"):
        return None
    run.cancellation.check()
    record = StepRecord(stage=MAKE, step="image_safety", started=now(), output=output.index, execution_mode=output.mode)
    started = time.monotonic()
    if output.chunk.runner == "placeholder":
        verdict = ImageVerdict(safe=None, method="not needed", message="a pattern from the prompt's hash shows nothing")
    else:
        verdict = run.services.image_checker.check(
            pending.path, level=run.plan.safety, watch=run.watch, seed=run.plan.text_seed
        )
    record.model = verdict.model
    record.outcome = "skipped" if verdict.safe is None else "completed" if verdict.safe else "blocked"
    record.message = verdict.message if verdict.safe is not True else ""
    if verdict.result is not None:
        finish_step(run, record, verdict.result, started)
    else:
        run.record_step(record, started)
    run.emit(
        events.SafetyChecked(
            stage=MAKE, safe=verdict.safe, method=verdict.method, message=verdict.message, output=output.index
        )
    )
    return verdict


def _end(
    run: RunContext,
    output: PlannedOutput,
    outcome: str,
    stage: int,
    kind: str,
    message: str,
    details: dict[str, Any] | None = None,
) -> str:
    run.recorder.save_error(stage, kind, message, details=details or {}, output=output.index)
    run.recorder.update_output(output.index, outcome, Reason(stage=stage, type=kind, message=message))
    return outcome


def _cancel_rest(run: RunContext, first: int) -> None:
    reason = Reason(stage=None, type="cancelled", message=run.cancellation.reason or "cancelled")
    for output in run.plan.outputs[first:]:
        run.recorder.update_output(output.index, "cancelled", reason)


def error_details(error: AipipeError) -> dict[str, Any]:
    """What an error entity keeps beside the message: the hint and the plain facts of the error."""
    plain = {k: v for k, v in error.data.items() if isinstance(v, (str, int, float, bool, type(None), list, dict))}
    return {"hint": error.hint, **plain} if error.hint else plain

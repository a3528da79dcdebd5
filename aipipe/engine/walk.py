"""From a plan to a terminal status."""

from __future__ import annotations

import contextlib
import time

from aipipe import events
from aipipe.engine import interception, outputs, pre_interception
from aipipe.engine.checks import Blocked
from aipipe.engine.context import RunContext
from aipipe.errors import AipipeError, RecordingError, RunCancelled, ServiceError
from aipipe.records import Reason


def execute(run: RunContext) -> str:
    """Walk the stages of `run.plan` and finish the record.

    Every way out leaves a terminal status with its reason: blocked and failed runs hold an error entity.

    Args:
        run: The run; entities that an earlier attempt saved are kept and not made again.

    Returns:
        The status: completed, blocked, failed or cancelled.

    Raises:
        RecordingError: the record could not be written.
        KeyboardInterrupt: passed on after the run was recorded as cancelled.
    """
    started = time.monotonic()
    _announce(run)
    try:
        status, reason = _walk(run)
    except Blocked as block:
        status, reason = _blocked(run, block)
    except RecordingError as error:
        _say_end(run, "failed", error, started)
        raise
    except RunCancelled as error:
        status, reason = "cancelled", Reason(stage=_stage(run), type="cancelled", message=error.message)
    except KeyboardInterrupt:
        run.cancellation.cancel("interrupted")
        message = "The run was cancelled: interrupted."
        _finish(run, "cancelled", Reason(stage=_stage(run), type="cancelled", message=message), started)
        raise
    except AipipeError as error:
        status, reason = _failed(run, error, _stage(run))
    except Exception as error:  # noqa: BLE001  whatever breaks, the record must say so
        status, reason = _failed(run, _unexpected(error), _stage(run))
    return _finish(run, status, reason, started)


def _walk(run: RunContext) -> tuple[str, Reason | None]:
    plan = run.plan
    makes_media = bool(plan.outputs) and plan.until is None
    if makes_media and _is_futile(run):
        return "failed", _reason(run, "failed")
    prompt, texts = _prompt(run)
    if prompt is None or not makes_media:
        return "completed", None
    status = outputs.run_outputs(run, prompt, texts)
    return status, None if status == "completed" else _reason(run, status)


def _is_futile(run: RunContext) -> bool:
    """True when no output can be made: a missing checkpoint is told now and not after minutes of language models."""
    try:
        faults = outputs.foreseen_faults(run)
    except BaseException:
        _keep_inputs(run)
        raise
    if faults:
        _keep_inputs(run)
        outputs.fail_outputs(run, faults)
    return bool(faults)


def _stage(run: RunContext) -> int:
    return run.recorder.record.current_state.stage


def _reason(run: RunContext, status: str) -> Reason | None:
    return next((o.reason for o in run.recorder.record.outputs if o.outcome == status), None)


def _keep_inputs(run: RunContext) -> None:
    pre_interception.save_inputs(run)
    if run.plan.edit is not None:
        interception.save_edit(run)


def _prompt(run: RunContext) -> tuple[str | None, tuple[str, ...]]:
    """Stages 1 and 2: the final prompt (None when the plan ends before it) and the English texts."""
    plan = run.plan
    if plan.edit is not None:
        pre_interception.save_images(run)
        return interception.save_edit(run), (plan.edit,)
    if plan.config.stage == "output":
        texts = pre_interception.save_inputs(run)
        return texts[0] if texts else "", texts
    texts = pre_interception.run_stage(run)
    if plan.until == "pre_interception":
        return None, texts
    return interception.run_stage(run, texts), texts


def _announce(run: RunContext) -> None:
    record = run.recorder.record
    run.emit(
        events.RunStarted(
            run_id=record.run_id,
            folder=str(run.recorder.folder),
            config_name=record.config_name,
            execution_mode=record.execution_mode,
            safety_level=record.safety_level,
            expected_outputs=tuple(record.expected_outputs),
            texts=run.plan.texts,
            outputs=tuple(o.config for o in run.plan.outputs),
            models=dict(record.models),
            cancel=run.cancellation.cancel,
        )
    )


def _blocked(run: RunContext, block: Blocked) -> tuple[str, Reason]:
    verdict = block.verdict
    if verdict.method == "failed":
        # Nobody judged the content: that is a failure of the service, and resuming may well succeed.
        # The verdict's sentence holds cause and next step already.
        error = ServiceError(verdict.message)
        return _failed(run, error, block.stage, kind="safety_unchecked")
    run.recorder.save_error(
        block.stage,
        "safety_blocked",
        verdict.message,
        details={"codes": list(verdict.codes), "terms": list(verdict.terms)},
    )
    return "blocked", Reason(stage=block.stage, type="safety_blocked", message=verdict.message)


def _failed(run: RunContext, error: AipipeError, stage: int, kind: str = "") -> tuple[str, Reason]:
    kind = kind or type(error).__name__
    run.recorder.save_error(stage, kind, str(error), details=outputs.error_details(error))
    return "failed", Reason(stage=stage, type=kind, message=str(error))


def _unexpected(error: Exception) -> AipipeError:
    return AipipeError(
        f"{type(error).__name__}: {error}",
        hint="This is a fault in aipipe or in a plug-in; please report it with the run folder.",
    ).with_traceback(error.__traceback__)


def _finish(run: RunContext, status: str, reason: Reason | None, started: float) -> str:
    if status == "completed":
        run.enter_complete()
    run.recorder.finish(status, reason)
    run.emit(
        events.RunEnded(
            status=status,
            message=reason.message if reason else "",
            seconds=time.monotonic() - started,
            folder=str(run.recorder.folder),
        )
    )
    return status


def _say_end(run: RunContext, status: str, error: AipipeError, started: float) -> None:
    with contextlib.suppress(Exception):
        run.emit(
            events.RunEnded(
                status=status,
                message=error.message,
                hint=error.hint,
                seconds=time.monotonic() - started,
                folder=str(run.recorder.folder),
            )
        )

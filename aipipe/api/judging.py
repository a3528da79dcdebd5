"""What a person wrote in place of a config or a model is judged before the run; what ends there is recorded all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aipipe.api.requests import ExecuteRequest
from aipipe.events import Watch
from aipipe.records import InputRecord, Reason
from aipipe.safety.verdict import Verdict

if TYPE_CHECKING:
    from aipipe.definitions import Plan
    from aipipe.lab import Lab
    from aipipe.recorder import LivePipelineRecorder


def edited(request: ExecuteRequest, plan: Plan) -> list[tuple[str, str]]:
    """What a person wrote in place of the config or the model, as far as no stage of the run judges it."""
    texts = [] if request.context is None else [("Context", request.context)]
    if request.prompt is not None and not plan.outputs:
        texts.append(("Prompt", request.prompt))  # with outputs, stage 3 judges it for each
    return texts


def judge(lab: Lab, plan: Plan, text: str) -> Verdict:
    """Judge a text of a person as a text input of the plan is judged."""
    choice = plan.safety_model
    backend = lab.services.backend(choice.backend) if choice is not None else None
    return lab.services.checker.check_text(
        text,
        level=plan.safety,
        backend=backend,
        model=choice.model if choice is not None else "",
        watch=Watch(),
        seed=plan.text_seed,
        echo=backend is not None and backend.kind == "echo",
    )


def passes(lab: Lab, plan: Plan, name: str, text: str, run_id: str, recording: dict[str, Any]) -> bool:
    """Judge a person's own context or prompt before its run; a block is recorded as a blocked run."""
    verdict = judge(lab, plan, text)
    if verdict.safe is not False:
        return True
    status, reason = _outcome(name, verdict)
    record_refused(lab, plan, run_id, recording, status, reason, verdict, checked=name.lower())
    return False


def passes_again(lab: Lab, plan: Plan, name: str, text: str, run_id: str) -> bool:
    """Judge it before a run is resumed: one that was cancelled in line, or could not be judged, has not passed yet."""
    verdict = judge(lab, plan, text)
    if verdict.safe is not False:
        return True
    recorder = lab.store.resume(run_id)
    try:
        _end(recorder, *_outcome(name, verdict), verdict, name.lower())
    finally:
        recorder.close()
    return False


def _outcome(name: str, verdict: Verdict) -> tuple[str, Reason]:
    unchecked = verdict.method == "failed"
    kind = "safety_unchecked" if unchecked else "safety_blocked"
    return "failed" if unchecked else "blocked", Reason(stage=1, type=kind, message=f"{name}: {verdict.message}")


def _end(recorder: LivePipelineRecorder, status: str, reason: Reason, verdict: Verdict | None, checked: str) -> None:
    if verdict is not None:
        details = {"codes": list(verdict.codes), "terms": list(verdict.terms), "checked": checked}
        recorder.save_error(reason.stage or 1, reason.type, reason.message, details=details)
    recorder.finish(status, reason)


def record_refused(
    lab: Lab,
    plan: Plan,
    run_id: str,
    recording: dict[str, Any],
    status: str,
    reason: Reason,
    verdict: Verdict | None = None,
    checked: str = "",
) -> None:
    """Record a run that ended before the engine walked it, with its inputs and its reason."""
    recorder = lab.store.create(
        plan.config.name,
        run_id=run_id,
        execution_mode=plan.mode,
        safety_level=plan.safety,
        expected_outputs=plan.expected_outputs,
        seed=plan.seed,
        text_seed=plan.text_seed,
        plan_hash=plan.plan_hash,
        config_hash=plan.config_hash,
        inputs=[InputRecord(index=n, characters=len(t)) for n, t in enumerate(plan.texts)],
        provenance={"plan": plan.model_dump(mode="json")},
        **recording,
    )
    try:
        for text in plan.texts:
            recorder.save_entity("input", text)
        _end(recorder, status, reason, verdict, checked)
    finally:
        recorder.close()

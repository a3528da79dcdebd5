"""A recorded run once more: the same plan, or the same call with a detail changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aipipe.definitions import Plan
from aipipe.errors import UsageError
from aipipe.lab import resuming
from aipipe.lab.planning import CALL_OPTIONS, PLAN_OPTIONS, Request, make_plan
from aipipe.store import Run

if TYPE_CHECKING:
    from aipipe.lab.lab import Lab

KEPT = ("labels", "study", "participant", "session", "input_id", "user_id")
"""What a repetition says about whose run it is: the same as the original, unless the call says otherwise."""


@dataclass(frozen=True)
class Repetition:
    """What is needed to run again."""

    plan: Plan
    images: tuple[bytes, ...]
    recording: dict[str, Any]


def repeat(lab: Lab, original: Run, options: Mapping[str, Any]) -> Repetition:
    """The plan of a run, with the details that `options` change.

    Without a change of the plan, the recorded plan counts to the letter, whatever became of its definitions. With
    one, the recorded config, texts, seeds and options of the call are resolved again.

    Raises:
        UsageError: the run has no recorded plan, or an option nobody knows, or one that a repetition cannot have.
    """
    plan = resuming.recorded_plan(original)
    changes = {name: value for name, value in options.items() if name in PLAN_OPTIONS}
    for name in ("parent", "prompt"):
        if name in changes:
            raise UsageError(
                f"A repetition takes no {name}=.", hint="lab.run(parent=run, prompt=…) replaces an interception."
            )
    recording = {**_kept(original), **Request.of(None, (), _without(options, changes)).recording}
    recording |= {"parent": original, "relation": "rerun", "call": _call(original)}
    if not changes:
        return Repetition(plan, resuming.recorded_images(original), recording)
    _add_chunks(lab, plan)
    request = Request.of(plan.config, plan.texts, _changed(original, plan, changes))
    planned = make_plan(lab, request)
    return Repetition(planned.plan, planned.images, {**recording, "call": request.recording["call"]})


def _without(options: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in changes}


def _kept(original: Run) -> dict[str, Any]:
    record = original.record
    kept = {name: getattr(record, name) for name in KEPT}
    return {name: value for name, value in kept.items() if value}


def _call(original: Run) -> dict[str, Any]:
    return dict(original.provenance.get("call") or {})


def _changed(original: Run, plan: Plan, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the call that made `original`, as far as they were recorded, and the changes over them."""
    call = _call(original)
    options: dict[str, Any] = {
        **{name: value for name, value in call.items() if name in CALL_OPTIONS},
        "safety": plan.safety,
        "seed": plan.seed,
        "text_seed": plan.text_seed,
        "until": plan.until,
    }
    if _of_one_mode(plan):
        options["mode"] = plan.mode
    if plan.outputs:
        options["outputs"] = [output.config for output in plan.outputs]
    if plan.edit is not None:
        options |= {"parent": original, "prompt": plan.edit}
    elif not changes.keys() & {"image", "images"}:
        options["images"] = list(resuming.recorded_images(original))
    if "output" in changes:
        options.pop("outputs", None)
    for name in ("parameters", "models"):
        if isinstance(changes.get(name), Mapping):
            options[name] = {**options.get(name, {}), **changes[name]}
    rest = {name: value for name, value in changes.items() if name not in ("parameters", "models")}
    return {**options, **rest}


def _of_one_mode(plan: Plan) -> bool:
    """False where language model and media generator were chosen separately, which no name of a mode can say."""
    modes = {output.mode for output in plan.outputs} | {step.model.mode for step in plan.steps}
    return modes <= {plan.mode, ""}


def _add_chunks(lab: Lab, plan: Plan) -> None:
    """A bare graph of ComfyUI is known to the catalog of the lab that ran it alone; the plan holds its chunk."""
    known = {chunk.name for chunk in lab.catalog.chunks()}
    for output in plan.outputs:
        if output.chunk.name not in known:
            lab.catalog.add(output.chunk)

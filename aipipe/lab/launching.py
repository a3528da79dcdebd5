"""From a plan to a recorder with everything that makes a run research data."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from aipipe import settings as settings_module
from aipipe.definitions import Chunk, Config, MediaPreferences, Plan, canonical_hash
from aipipe.errors import StoreError, UsageError
from aipipe.events import Observer
from aipipe.lab.inputs import input_id
from aipipe.lab.provenance import collect
from aipipe.recorder import LivePipelineRecorder
from aipipe.records import BatchRecord, InputRecord, OutputRecord, ParentRecord

if TYPE_CHECKING:
    from aipipe.lab.lab import Lab

log = logging.getLogger(__name__)


def create_recorder(
    lab: Lab, plan: Plan, images: tuple[bytes, ...], recording: Mapping[str, Any]
) -> LivePipelineRecorder:
    """Create the run folder with its plan and provenance.

    Raises:
        RunExists, RecordingError: see `aipipe.recorder`.
    """
    labels = {**lab.labels, **{str(k): str(v) for k, v in dict(recording.get("labels") or {}).items()}}
    return lab.store.create(
        plan.config.name,
        run_id=recording.get("run_id"),
        execution_mode=plan.mode,
        safety_level=plan.safety,
        user_id=recording.get("user_id", "anonymous"),
        expected_outputs=plan.expected_outputs,
        seed=plan.seed,
        text_seed=plan.text_seed,
        models=plan.models,
        plan_hash=plan.plan_hash,
        config_hash=plan.config_hash,
        inputs=_inputs(plan),
        outputs=_outputs(plan),
        study=recording.get("study", lab.study),
        participant=recording.get("participant", lab.participant),
        session=recording.get("session", lab.session),
        labels=labels,
        input_id=recording.get("input_id") or input_id(plan.texts, plan.image_hashes),
        batch=recording.get("batch") or _batch_of_environment(),
        parent=_parent(recording),
        tags=tuple(recording.get("tags") or ()),
        provenance=collect(plan, lab.settings, lab.project, call=recording.get("call") or {}),
    )


def _inputs(plan: Plan) -> list[InputRecord]:
    import hashlib

    texts = [
        InputRecord(index=n, characters=len(t), sha256=hashlib.sha256(t.encode()).hexdigest())
        for n, t in enumerate(plan.texts)
    ]
    images = [InputRecord(index=n, kind="image", sha256=h) for n, h in enumerate(plan.image_hashes)]
    return [*texts, *images]


def _outputs(plan: Plan) -> list[OutputRecord]:
    if plan.until is not None:
        return []
    return [OutputRecord(index=o.index, config=o.config, media_type=o.media_type) for o in plan.outputs]


def _parent(recording: Mapping[str, Any]) -> ParentRecord | None:
    parent = recording.get("parent")
    if parent is None:
        return None
    return ParentRecord(run_id=getattr(parent, "run_id", parent), relation=recording.get("relation", "rerun"))


def _batch_of_environment() -> BatchRecord | None:
    """The case of a batch that this kernel runs; its identity reaches the kernel through the environment."""
    batch_id, key = os.environ.get("AIPIPE_BATCH_ID"), os.environ.get("AIPIPE_CASE_KEY")
    if not batch_id or not key:
        return None
    return BatchRecord(batch_id=batch_id, case_key=key, index=int(os.environ.get("AIPIPE_CASE_INDEX", "0")))


def held_recorder(lab: Lab, plan: Plan) -> LivePipelineRecorder | None:
    """The run of this batch case whose texts are done already, taken over; None when there is none for this plan.

    Raises:
        RecordingError: it cannot be written.
    """
    run_id = os.environ.get("AIPIPE_CASE_RUN")
    if not run_id:
        return None
    try:
        run = lab.store.open(run_id)
        if run.record.plan_hash != plan.plan_hash:
            return None  # the notebook does something else than the case said
        return lab.store.resume(run_id)
    except (StoreError, UsageError):
        return None  # erased, damaged, or finished meanwhile: a run of its own is right


def with_case_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a call with what its batch case adds: seeds, models, labels …, where the call says nothing itself."""
    text = os.environ.get("AIPIPE_CASE_OPTIONS")
    if not text or "batch" in options:
        return options
    case: dict[str, Any] = json.loads(text)
    given = {k: v for k, v in options.items() if v is not None}
    for alias, name in (("output", "outputs"), ("image", "images")):
        if alias in given:
            case.pop(name, None)
    merged = {**case, **given}
    for name in ("parameters", "labels", "models"):
        if name in case and isinstance(given.get(name), Mapping):
            merged[name] = {**case[name], **given[name]}
    return merged


def installed_observers() -> list[Observer]:
    """A new view of each kind that is installed and fits here; a broken one is logged and left out."""
    views: list[Observer] = []
    for point in entry_points(group="aipipe.observers"):
        try:
            view = point.load()()
        except Exception:
            log.warning("the view %r could not be made", point.name, exc_info=True)
            continue
        if view is not None:
            views.append(view)
    return views


def config_of_workflow(
    lab: Lab, workflow: Any, options: dict[str, Any], texts: tuple[str, ...]
) -> tuple[Config, tuple[str, ...]]:
    """A config for a bare ComfyUI graph with its inputs set: a recorded run of that graph alone.

    Its mapped prompt is the run's text and passes stage 3.

    Raises:
        UsageError: the graph's prompt cannot be found and safety is not off.
    """
    from aipipe import comfy

    if not isinstance(workflow, comfy.Workflow):
        raise UsageError(
            f"A config is a name, an aipipe.Config or a comfy.Workflow, not {type(workflow).__name__}.",
            hint="`aipipe configs list` lists the names.",
        )
    adopted = comfy.adopt(workflow)
    level = options.get("safety") or lab.settings.safety
    prompt = adopted.prompt or ""
    if not prompt and not texts and level != "off":
        raise UsageError(
            "The prompt of this graph was not found, so it cannot be checked.",
            hint="Name it with lab.add_output(name, wf, prompt='node.field'), or run with safety='off'.",
        )
    name = f"workflow_{canonical_hash(workflow.graph)[:8]}"
    chunk = Chunk.model_validate({**adopted.chunk(name), "name": name})
    config = Config(
        name=name,
        stage="output",
        pipeline="single_text_media_generation",
        chunk=name,
        media_preferences=MediaPreferences(default_output=chunk.media_type),
        title={"en": "ComfyUI workflow"},
    )
    lab.catalog.add(chunk)
    lab.catalog.add(config)
    seed = next((adopted.value_at(place) for place in adopted.places.get("seed", ())), None)
    if isinstance(seed, int) and options.get("seed") is None:
        options["seed"] = seed  # the graph is the person's word: it says which picture is wanted
    return config, texts or ((prompt,) if prompt else ("workflow",))


def add_output(lab: Lab, name: str, workflow: Any, mapping: Mapping[str, Any]) -> Config:
    """Adopt a graph and write chunk and config into the project's first config folder."""
    from aipipe import comfy

    adopted = comfy.adopt(workflow, **mapping)
    folders = settings_module.config_folders(lab.project, lab.settings)
    if not folders:
        raise UsageError("There is no folder for configs.", hint="`aipipe init` makes a project with one.")
    adopted.write(folders[0], name)
    lab.catalog.refresh()
    return lab.catalog.config(name)

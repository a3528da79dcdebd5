"""What a frozen plan holds fast: the model of every task and every output, and that definitions stayed as they were."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.definitions import canonical_hash
from aipipe.errors import AipipeError

if TYPE_CHECKING:
    from aipipe.batch.plan import Case
    from aipipe.definitions import Plan as RunPlan
    from aipipe.lab import Lab


def pinned_models(plan: RunPlan) -> dict[str, str]:
    """Task → "backend:model" for every task of a run, so that another server or table at night changes nothing.

    A task that two chunks give to two fixed models stays with them: the config's hash holds these fast.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for task, model in _asked(plan):
        found[task].add(model)
    return {task: next(iter(models)) for task, models in sorted(found.items()) if len(models) == 1}


def _asked(plan: RunPlan) -> Iterator[tuple[str, str]]:
    if plan.translation is not None:
        yield plan.translation.chunk.task, str(plan.translation.model)
    for step in plan.steps:
        yield plan.config.task or step.chunk.task, str(step.model)
    if plan.safety_model is not None:
        yield "safety", str(plan.safety_model)


def outputs_hash(plan: RunPlan) -> str:
    """Hash of the chunks, with their workflows and parameters, that make a run's media; "" where it makes none."""
    chunks = [
        {"chunk": o.chunk.model_dump(mode="json"), "parameters": o.parameters, "model": o.model} for o in plan.outputs
    ]
    return canonical_hash(chunks) if chunks else ""


def run_plan(lab: Lab, case: Case) -> RunPlan:
    """The plan of the run that a case makes.

    Raises:
        UsageError: one of its kinds, naming what is wrong.
    """
    return lab.plan(
        case.config, *case.texts, seed=case.seed, text_seed=case.text_seed, safety=case.safety or None, mode=case.mode or None,
        outputs=list(case.outputs) or None, models=dict(case.models) or None, images=list(case.images) or None,
        parameters=dict(case.parameters) or None,
    )  # fmt: skip


def changes(lab: Lab, cases: Iterable[Case]) -> list[str]:
    """What is no longer as the plan has it: configs that were edited, images that were replaced or are gone."""
    problems: dict[str, None] = {}
    known: dict[Any, str] = {}
    images: dict[str, str] = {}
    for case in cases:
        for path, digest in zip(case.images, case.image_hashes, strict=False):
            if path not in images:
                images[path] = _digest(path)
            if images[path] != digest:
                problems[
                    f"{path} is {'another image than' if images[path] else 'not there any more; it was'} in the plan"
                ] = None
        key = (case.config, case.mode, case.safety, case.outputs, tuple(sorted(case.models.items())), len(case.texts))
        if case.config_hash and key not in known and all(images[path] for path in case.images):
            known[key] = _problem(lab, case)
            if known[key]:
                problems[known[key]] = None
    return list(problems)


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def _problem(lab: Lab, case: Case) -> str:
    try:
        plan = run_plan(lab, case)
    except AipipeError as error:
        return f"{case.config}: {error.message}"
    if plan.config_hash != case.config_hash:
        return f"the config {case.config} (or its pipeline, or a chunk) is another than in the plan"
    if case.outputs_hash and outputs_hash(plan) != case.outputs_hash:
        return f"what makes the media of {case.config} ({', '.join(case.outputs)}) is another than in the plan"
    return ""

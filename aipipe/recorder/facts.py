"""Facts as a record keeps them: plain JSON, merged, named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aipipe import files
from aipipe.recorder.content import to_json
from aipipe.records import Reason, StepRecord


def plain(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of JSON-able facts as a reader will see them."""
    copy: dict[str, Any] = json.loads(to_json(dict(facts))) if facts else {}
    return copy


def foreign(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of facts that others made: what is no JSON becomes text, and secrets are taken out."""
    copy: dict[str, Any] = files.redact(json.loads(json.dumps(dict(facts or {}), default=str)))
    return copy


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`; tables within tables are merged too."""
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = merge(known, value) if isinstance(known, dict) and isinstance(value, Mapping) else value
    return merged


def reason_of(given: Any, stage: int, status: str) -> Reason | None:
    """The reason of a terminal status; one that was not completed always has one."""
    if given is None:
        return None if status == "completed" else Reason(stage=stage, type=status, message=f"The run was {status}.")
    if isinstance(given, Reason):
        return given
    if isinstance(given, str):
        return Reason(stage=stage, type=status, message=given)
    return Reason.model_validate(dict(given))


def name_model(models: dict[str, str], step: StepRecord) -> None:
    """Complete `models`: a plan may leave the model to the service, whose first answer tells which one it was.

    A service that is its own only model (`echo`) keeps its plain name.
    """
    task = "safety" if step.step.startswith("safety") else step.step
    if step.backend and step.model not in (None, step.backend) and models.get(task) == step.backend:
        models[task] = f"{step.backend}:{step.model}"

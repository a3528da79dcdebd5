"""One run of an older system, written anew as a run of format version 1 with nothing lost that the format can hold."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from aipipe.analysis.dialects.common import digits, mapping
from aipipe.analysis.extract import listed
from aipipe.analysis.items import PROCESS, facts_of, role_of, text_of
from aipipe.analysis.reading import contained, is_plain
from aipipe.errors import InvalidInput, UnsafePath
from aipipe.records import BatchRecord, StepRecord
from aipipe.store import Store

DRAFT = "_draft"
"""Ending of the type of an imported draft: `run["interception"]` stays the one text that the run used."""


def convert(run: dict[str, Any], folder: str, store: Store, lost: list[dict[str, str]]) -> str:
    """Write one normalised record as a run of the store; returns the new run id.

    Args:
        run: The record.
        folder: Where its files lie.
        store: The target.
        lost: Takes path and reason of entities that could not be kept; they hide neither each other nor the run.

    Raises:
        AipipeError: the store refused.
    """
    recorder = store.create(
        str(run.get("config_name") or "unknown"),
        execution_mode=_choice(run.get("execution_mode"), ("eco", "fast", "embedded", "echo"), "eco"),
        safety_level=_choice(run.get("safety_level"), ("kids", "youth", "adult", "off"), "off"),
        user_id=str(run.get("user_id") or "anonymous"),
        seed=None if (seed := digits(run.get("seed"))) is None else int(seed),
        models={str(k): str(v) for k, v in mapping(run.get("models")).items()},
        participant=run.get("participant"),
        session=run.get("session"),
        batch=_batch(run.get("batch")),
        labels={**{str(k): str(v) for k, v in mapping(run.get("labels")).items()}, **_source_labels(run)},
    )
    try:
        with recorder:
            for entity in listed(run, "entities"):
                place = str(entity.get("folder") or folder)
                if (why := _entity(recorder, entity, place)) is not None:
                    lost.append(
                        {"path": f"{place}/{str(entity.get('filename') or entity.get('type'))[:200]}", "reason": why}
                    )
            for step in listed(run, "steps"):
                recorder.record_step(_step(step))
            status, reason = _ending(run)
            recorder.finish(status, reason=reason)
    except BaseException:
        # The source is whole; half a copy would be taken for the whole one by the next import.
        shutil.rmtree(recorder.folder, ignore_errors=True)
        raise
    return recorder.run_id


def identity_of(run: dict[str, Any]) -> str:
    """What a run is recognised by: generators give the same few names to pictures everywhere, so these by content."""
    return str(run.get("sha256") or run["run_id"])


def _source_labels(run: dict[str, Any]) -> dict[str, str]:
    """What the source says and the recorder decides for itself, because the new record tells of the import's own time."""
    expected = run.get("expected_outputs")
    known = {
        "source_run_id": run["run_id"],
        "source_dialect": run["dialect"],
        "source_sha256": run.get("sha256"),
        "source_timestamp": run.get("timestamp"),
        "source_finished": run.get("finished"),
        "source_status": run["status"],
        "source_expected_outputs": ", ".join(map(str, expected)) if isinstance(expected, list) else None,
    }
    labels = {k: str(v) for k, v in known.items() if v not in (None, "")}
    if isinstance(run.get("seconds"), int | float):
        labels["source_seconds"] = f"{run['seconds']:g}"
    return labels


def _batch(batch: Any) -> BatchRecord | None:
    """The batch of a canvas run, whose cases had numbers but no keys."""
    known = mapping(batch)
    if not known.get("batch_id") or type(known.get("index")) is not int:
        return None
    return BatchRecord(batch_id=str(known["batch_id"]), case_key="", index=known["index"])


def _ending(run: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """Version 1 has no unknown ending: a run that made its text and every medium it declared, any other is a failure."""
    if run["status"] in ("completed", "blocked", "failed", "cancelled"):
        return run["status"], run.get("reason")
    made = {str(e.get("type")) for e in listed(run, "entities") if role_of(e) != PROCESS}
    expected = run.get("expected_outputs")
    media = {str(t) for t in expected if str(t).startswith("output_")} if isinstance(expected, list) else set()
    if "interception" in made and media <= made:
        return "completed", None
    return "failed", {"stage": None, "type": "unknown", "message": "The source recorded no end of this run."}


def _step(step: dict[str, Any]) -> StepRecord:
    """A step of an older system, with the fields that fit; a step needs a stage and a name."""
    fitting = {k: v for k, v in step.items() if k in StepRecord.model_fields and v is not None}
    try:
        return StepRecord.model_validate({"stage": 0, "step": "unknown", **fitting})
    except ValueError:
        return StepRecord(stage=0, step=str(step.get("step") or "unknown"))


def _choice(value: Any, known: tuple[str, ...], default: str) -> str:
    return value if value in known else default


def _entity(recorder: Any, entity: dict[str, Any], folder: str) -> str | None:
    """Keep one entity; the reason where that is not possible."""
    filename, kind = entity.get("filename"), str(entity.get("type", "other"))
    content: Any = _file(folder, filename) or text_of(entity, folder)
    if content is None and not filename:
        content = facts_of(entity) or None  # a verdict or an error that the source kept beside no file
    if content is None:
        return "there is neither a file nor a text of it"
    role = role_of(entity)
    told = {
        "source_filename": filename,
        "source_timestamp": entity.get("timestamp"),
        "source_role": role if role != "entity" else None,
    }
    facts = {**facts_of(entity), **{k: v for k, v in told.items() if v}}
    places = {
        k: entity[k] for k in ("stage", "input", "output", "file_index", "iteration") if type(entity.get(k)) is int
    }
    try:
        recorder.save_entity(kind + DRAFT if role == PROCESS else kind, content, metadata=facts, **places)
    except (InvalidInput, UnsafePath) as error:
        return error.message
    return None


def _file(folder: str, filename: Any) -> Path | None:
    """The plain file of an entity, or None; a name may be anything."""
    if not isinstance(filename, str) or not contained(filename):
        return None
    path = Path(folder) / filename
    return path if is_plain(path) else None

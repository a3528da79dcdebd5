"""The public profile: consent, embargo, pseudonyms, permitted fields and the shapes their values must have."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from aipipe.analysis.export import shapes
from aipipe.analysis.export.times import Clock

RUN_SHAPES: dict[str, shapes.Shape] = {
    "format_version": shapes.number,
    "config_name": shapes.word,
    "execution_mode": shapes.word,
    "safety_level": shapes.word,
    "status": shapes.word,
    "expected_outputs": shapes.words,
    "current_state": shapes.state,
    "seconds": shapes.number,
    "seed": shapes.digits,
    "text_seed": shapes.digits,
    "models": shapes.models,
    "config_hash": shapes.digest,
    "study": shapes.word,
}
RUN_TIMES = ("timestamp", "started", "finished")
ENTITY_SHAPES: dict[str, shapes.Shape] = {
    "sequence": shapes.number,
    "type": shapes.word,
    "media_type": shapes.word,
    "stage": shapes.number,
    "input": shapes.number,
    "output": shapes.number,
    "file_index": shapes.number,
    "iteration": shapes.number,
}
FACT_SHAPES: dict[str, shapes.Shape] = {
    "config": shapes.word,
    "runner": shapes.word,
    "seed": shapes.digits,
    "width": shapes.number,
    "height": shapes.number,
    "duration": shapes.number,
    "language": shapes.word,
    "method": shapes.word,
    "safe": shapes.number,
    "renderer": shapes.word,
    "renderer_version": shapes.word,
    "glyph_source": shapes.word,
    "glyph_licence": shapes.word,
}
STEP_SHAPES: dict[str, shapes.Shape] = {
    "stage": shapes.number,
    "step": shapes.word,
    "chunk": shapes.word,
    "backend": shapes.word,
    "runner": shapes.word,
    "model": shapes.word,
    "model_digest": shapes.digest,
    "seed": shapes.digits,
    "seconds": shapes.number,
    "tokens": shapes.counts,
    "attempts": shapes.number,
    "outcome": shapes.word,
    "execution_mode": shapes.word,
    "input": shapes.number,
    "output": shapes.number,
    "iteration": shapes.number,
}
SAFETY_SHAPES: dict[str, shapes.Shape] = {
    "safe": shapes.number,
    "method": shapes.word,
    "safety_level": shapes.word,
    "media_type": shapes.word,
    "model": shapes.word,
    "policy": shapes.word,
    "policy_version": shapes.word,
    "codes": shapes.codes,
    "seconds": shapes.number,
    "input": shapes.number,
    "output": shapes.number,
}
TEXT_TYPES = ("input", "translation", "interception", "interception_iteration", "interception_edit")
SAFETY_TYPES = ("safety", "safety_pre_output")


def refusal(run: dict[str, Any], today: date | None = None) -> str | None:
    """Why a run may not be published, or None. Consent must be given in so many letters; doubt means no."""
    labels = labels_of(run)
    if str(labels.get("consent", "")).strip().lower() != "yes":
        return "no label consent = yes"
    embargo = labels.get("embargo")
    if embargo not in (None, ""):
        try:
            until = date.fromisoformat(str(embargo)[:10])
        except ValueError:
            return "the label embargo is no date"
        if until > (today or datetime.now(UTC).date()):
            return f"under embargo until {until}"
    return None


class Pseudonyms:
    """Fresh names, the same for the same value within one export, random across exports; never written down."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], str] = {}
        self._used: set[str] = set()

    def of(self, kind: str, value: Any) -> str | None:
        """A pseudonym, or None for no value. Random instead of numbered, so that order tells nothing."""
        if value in (None, ""):
            return None
        key = (kind, str(value))
        while key not in self._given:
            name = f"{kind}-{secrets.token_hex(3)}"
            if name not in self._used:
                self._used.add(name)
                self._given[key] = name
        return self._given[key]

    def run(self, run_id: Any) -> str:
        """A fresh id of a run. Not version 7 as in the store: that one tells the millisecond at which the run began."""
        key = ("run", str(run_id))
        if key not in self._given:
            self._given[key] = str(uuid.uuid4())
        return self._given[key]


def permitted(
    run: dict[str, Any], names: Pseudonyms, clock: Clock, keep_labels: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What of a run's record may be published; entities are decided one by one elsewhere."""
    reason = run.get("reason")
    return {
        **shapes.fitted(run, RUN_SHAPES),
        "run_id": names.run(run.get("run_id")),
        **{k: clock.of(run[k]) for k in RUN_TIMES if k in run},
        "user_id": "anonymous",
        "reason": {
            "stage": shapes.number(reason.get("stage")),
            "type": shapes.word(reason.get("type")),
            "message": "",
        }
        if isinstance(reason, dict)
        else None,
        "participant": names.of("participant", run.get("participant")),
        "session": names.of("session", run.get("session")),
        "input_id": names.of("input", run.get("input_id")),
        "labels": {k: shapes.bare(str(v)) for k, v in labels_of(run).items() if k in keep_labels},
        "steps": [_step(s, clock) for s in steps_of(run)],
        "tags": [],
        "entities": [],
    }


def _step(step: dict[str, Any], clock: Clock) -> dict[str, Any]:
    begun = {"started": clock.of(step["started"])} if "started" in step else {}
    return {**shapes.fitted(step, STEP_SHAPES), **begun}


def labels_of(run: dict[str, Any]) -> dict[str, Any]:
    """The labels of a run; none where the record holds something else."""
    labels = run.get("labels")
    return labels if isinstance(labels, dict) else {}


def steps_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a run that are steps."""
    steps = run.get("steps")
    return [s for s in steps if isinstance(s, dict)] if isinstance(steps, list) else []


def entities_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    """The entities of a run that are entries."""
    entities = run.get("entities")
    return [e for e in entities if isinstance(e, dict)] if isinstance(entities, list) else []


def permitted_entity(entity: dict[str, Any], clock: Clock) -> dict[str, Any]:
    """What of an entity's entry may be published."""
    when = {"timestamp": clock.of(entity["timestamp"])} if "timestamp" in entity else {}
    return {**shapes.fitted(entity, ENTITY_SHAPES), **when, "metadata": shapes.fitted(_facts(entity), FACT_SHAPES)}


def permitted_safety(value: Any) -> dict[str, Any]:
    """What of a safety decision may be published: the verdict, never the text it is about."""
    return shapes.fitted(value if isinstance(value, dict) else {}, SAFETY_SHAPES)


def _facts(entity: dict[str, Any]) -> dict[str, Any]:
    facts = entity.get("metadata")
    return facts if isinstance(facts, dict) else {}


def withheld(run: dict[str, Any], folder: Path, keep_labels: tuple[str, ...] = ()) -> list[str]:
    """What `permitted` leaves out of this run, and files beside the entities, in words that tell nothing of the content."""
    steps = steps_of(run)
    replaced = [k for k in ("run_id", "participant", "session", "input_id") if run.get(k) not in (None, "")]
    rules: dict[str, bool] = {
        "account names": run.get("user_id") not in (None, "", "anonymous"),
        "messages of reasons": bool(isinstance(run.get("reason"), dict) and run["reason"].get("message")),
        "labels": bool(set(labels_of(run)) - set(keep_labels)),
        "tags": bool(run.get("tags")),
        "parameters, messages and jobs of steps": any(set(s) - set(STEP_SHAPES) - {"started"} for s in steps),
        "further fields of the record": bool(set(run) - set(RUN_SHAPES) - _DECIDED),
        "provenance": (folder / "provenance.json").is_file(),
        "exchanges": (folder / "exchanges.jsonl").is_file(),
    }
    return [f"{k} replaced by a pseudonym" for k in replaced] + [what for what, applies in rules.items() if applies]


_DECIDED = frozenset(
    {"run_id", "user_id", "reason", "participant", "session", "input_id", "labels", "steps", "tags", "entities"}
) | set(RUN_TIMES)


def withheld_facts(entity: dict[str, Any]) -> bool:
    """Whether `permitted_entity` leaves something out."""
    return set(_facts(entity)) != set(shapes.fitted(_facts(entity), FACT_SHAPES))

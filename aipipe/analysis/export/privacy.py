"""The public profile: consent, embargo, pseudonyms, permitted fields, texts that a person must look at."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from aipipe.analysis.export.names import names_in

RUN_FIELDS = (
    "format_version",
    "run_id",
    "timestamp",
    "config_name",
    "execution_mode",
    "safety_level",
    "status",
    "expected_outputs",
    "current_state",
    "started",
    "finished",
    "seconds",
    "seed",
    "text_seed",
    "models",
    "config_hash",
    "study",
)
ENTITY_FIELDS = ("sequence", "type", "timestamp", "media_type", "stage", "input", "output", "file_index", "iteration")
ENTITY_FACTS = (
    "config",
    "runner",
    "seed",
    "width",
    "height",
    "duration",
    "language",
    "method",
    "safe",
    "renderer",
    "renderer_version",
    "glyph_source",
    "glyph_licence",
)
STEP_FIELDS = (
    "stage",
    "step",
    "chunk",
    "backend",
    "runner",
    "model",
    "model_digest",
    "seed",
    "started",
    "seconds",
    "tokens",
    "attempts",
    "outcome",
    "execution_mode",
    "input",
    "output",
    "iteration",
)
SAFETY_FIELDS = ("safe", "method", "model", "policy_version", "codes", "seconds", "input", "output")
TEXT_TYPES = ("input", "translation", "interception", "interception_iteration", "interception_edit")
SAFETY_TYPES = ("safety", "safety_pre_output")

_SIGNS = {
    "e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.\w{2,}"),
    "phone number": re.compile(r"(?<!\w)\+?\d[\d /().-]{6,}\d(?!\w)"),
    "web address": re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE),
    "account name": re.compile(r"(?<!\w)@\w{3,}"),
    "introduction by name": re.compile(
        r"\b(?:my name is|i am called|i'm called|ich hei(?:ß|ss)e|mein name ist|je m'appelle|me llamo|mi chiamo)\b",
        re.IGNORECASE,
    ),
    "school": re.compile(
        r"\b\w*(?:gymnasium|realschule|grundschule|gesamtschule|hauptschule|kindergarten|high school|primary school|"
        r"elementary school|academy|collège|lycée|colegio)\b|\b[Kk]lasse \d+\w?\b|\b(?:class|grade) \d+\w?\b",
        re.IGNORECASE,
    ),
    "address": re.compile(
        r"\b\w+(?:straße|strasse|str\.|weg|platz)\s+\d+|\b\d+\s+\w+\s+(?:street|road|avenue)\b", re.IGNORECASE
    ),
}


def signs(text: str) -> list[str]:
    """Kinds of personal data a text may hold, by rule. Rules find too much and too little: a person decides."""
    return [kind for kind, pattern in _SIGNS.items() if pattern.search(text)] + (
        ["likely name"] if names_in(text) else []
    )


def refusal(run: dict[str, Any], today: date | None = None) -> str | None:
    """Why a run may not be published, or None. Consent must be given in so many letters; doubt means no."""
    labels = run.get("labels")
    labels = labels if isinstance(labels, dict) else {}
    if str(labels.get("consent", "")).strip().lower() != "yes":
        return "no label consent = yes"
    embargo = labels.get("embargo")
    if embargo not in (None, ""):
        try:
            until = date.fromisoformat(str(embargo)[:10])
        except ValueError:
            return f"the label embargo is no date: {embargo!r}"
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


def permitted(run: dict[str, Any], names: Pseudonyms, keep_labels: tuple[str, ...] = ()) -> dict[str, Any]:
    """What of a run's record may be published; entities are decided one by one elsewhere."""
    labels = run["labels"] if isinstance(run.get("labels"), dict) else {}
    steps = run["steps"] if isinstance(run.get("steps"), list) else []
    reason = run.get("reason")
    return {
        **{k: run[k] for k in RUN_FIELDS if k in run},
        "user_id": "anonymous",
        "reason": {**{k: reason.get(k) for k in ("stage", "type")}, "message": ""}
        if isinstance(reason, dict)
        else None,
        "participant": names.of("participant", run.get("participant")),
        "session": names.of("session", run.get("session")),
        "input_id": names.of("input", run.get("input_id")),
        "labels": {k: str(v) for k, v in labels.items() if k in keep_labels},
        "steps": [{k: s[k] for k in STEP_FIELDS if k in s} for s in steps if isinstance(s, dict)],
        "tags": [],
        "entities": [],
    }


def permitted_entity(entity: dict[str, Any]) -> dict[str, Any]:
    """What of an entity's entry may be published."""
    facts = entity.get("metadata") if isinstance(entity.get("metadata"), dict) else {}
    return {
        **{k: entity[k] for k in ENTITY_FIELDS if k in entity},
        "metadata": {k: v for k, v in (facts or {}).items() if k in ENTITY_FACTS and isinstance(v, str | int | float)},
    }


def withheld(run: dict[str, Any], folder: Path, keep_labels: tuple[str, ...] = ()) -> list[str]:
    """What `permitted` leaves out of this run, and files beside the entities, in words that tell nothing of the content."""
    labels = run["labels"] if isinstance(run.get("labels"), dict) else {}
    steps = [s for s in run.get("steps") or [] if isinstance(s, dict)] if isinstance(run.get("steps"), list) else []
    replaced = [k for k in ("participant", "session", "input_id") if run.get(k) not in (None, "")]
    rules: dict[str, bool] = {
        "account names": run.get("user_id") not in (None, "", "anonymous"),
        "messages of reasons": bool(isinstance(run.get("reason"), dict) and run["reason"].get("message")),
        "labels": bool(set(labels) - set(keep_labels)),
        "tags": bool(run.get("tags")),
        "parameters, messages and jobs of steps": any(set(s) - set(STEP_FIELDS) for s in steps),
        "further fields of the record": bool(set(run) - set(RUN_FIELDS) - _DECIDED),
        "provenance": (folder / "provenance.json").is_file(),
        "exchanges": (folder / "exchanges.jsonl").is_file(),
    }
    return [f"{k} replaced by a pseudonym" for k in replaced] + [what for what, applies in rules.items() if applies]


_DECIDED = frozenset({"user_id", "reason", "participant", "session", "input_id", "labels", "steps", "tags", "entities"})


def withheld_facts(entity: dict[str, Any]) -> bool:
    """Whether `permitted_entity` leaves something out."""
    facts = entity.get("metadata") if isinstance(entity.get("metadata"), dict) else {}
    return set(facts or {}) != set(permitted_entity(entity)["metadata"])

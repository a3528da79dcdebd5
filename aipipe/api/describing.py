"""What the API says of one run: the original's fields, and what this format adds."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import quote

from aipipe.records import EntityRecord, RunRecord
from aipipe.store import Run


def entity_entries(run: Run) -> list[dict[str, Any]]:
    """The entities of a run with the address of each; several of one type are counted by `index`."""
    counted: Counter[str] = Counter()
    entries = []
    for record in run.record.entities:
        index = counted[record.type]
        counted[record.type] += 1
        entries.append({**_entry(record), "index": index, "url": entity_url(run.folder.name, record.type, index)})
    return entries


def entity_url(run_id: str, type_: str, index: int) -> str:
    """Path of an entity's bytes."""
    tail = f"?index={index}" if index else ""
    return f"/api/pipeline/{quote(run_id, safe='')}/entity/{quote(type_, safe='')}{tail}"


def _entry(record: EntityRecord) -> dict[str, Any]:
    return record.model_dump(mode="json")


def completed_outputs(record: RunRecord) -> list[str]:
    """The expected outputs that are there, in order: the k-th entity of a type meets the k-th expectation."""
    have = Counter(e.type for e in record.entities)
    done = []
    for type_ in record.expected_outputs:
        if have[type_] > 0:
            have[type_] -= 1
            done.append(type_)
    return done


def next_expected(record: RunRecord) -> str | None:
    """The first expected output that is not there yet."""
    have = Counter(e.type for e in record.entities)
    for type_ in record.expected_outputs:
        if have[type_] <= 0:
            return type_
        have[type_] -= 1
    return None


def status_body(run: Run, status: str) -> dict[str, Any]:
    """The answer of the status route."""
    record = run.record
    return {
        "run_id": run.folder.name,
        "status": status,
        "config_name": record.config_name,
        "execution_mode": record.execution_mode,
        "safety_level": record.safety_level,
        "timestamp": record.timestamp,
        "current_state": record.current_state.model_dump(mode="json"),
        "expected_outputs": list(record.expected_outputs),
        "completed_outputs": completed_outputs(record),
        "next_expected": next_expected(record) if status in ("running", "interrupted") else None,
        "reason": record.reason.model_dump(mode="json") if record.reason is not None else None,
        "outputs": [o.model_dump(mode="json") for o in record.outputs],
        "seconds": record.seconds,
        "entity_count": len(record.entities),
        "entities": entity_entries(run),
        "queue": None,
    }

"""The promises of docs/run-format, as checks of one store after whatever happened to it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from aipipe.errors import RunNotFound
from aipipe.store import Store
from tests.recorder.sweep import RUN_ID, TYPES


class Broken(AssertionError):
    """A promise that does not hold."""


def check(store: Store, acks: list[dict[str, str]]) -> str:
    """Check every promise; returns the status found, or "absent"."""
    try:
        run = store.open(RUN_ID)
    except RunNotFound:
        if acks:
            raise Broken(f"acknowledged, but the run is gone: {acks}") from None
        return "absent"
    names = [entity.record.type for entity in run.entities if entity.record.type != "error"]
    if names != list(TYPES[: len(names)]):
        raise Broken(f"not a prefix: {names}")
    for entity in run.entities:
        path = run.folder / entity.record.filename
        if not path.is_file():
            raise Broken(f"dangling entry {entity.record.filename}")
        if hashlib.sha256(path.read_bytes()).hexdigest() != entity.record.sha256:
            raise Broken(f"{entity.record.filename} has another content")
    _acknowledged(run.folder, {e.record.filename: e.record.sha256 for e in run.entities}, acks)
    provenance = run.folder / "provenance.json"
    if provenance.exists():
        json.loads(provenance.read_bytes())
    if any(ack["what"] == "finished" for ack in acks) and run.record.status != "completed":
        raise Broken(f"acknowledged as finished, but {run.record.status}")
    return run.record.status


def _acknowledged(folder: Path, listed: dict[str, str], acks: list[dict[str, str]]) -> None:
    for ack in acks:
        if ack["what"] == "entity" and listed.get(ack["filename"]) != ack["sha256"]:
            raise Broken(f"acknowledged, then lost: {ack['filename']} in {folder}")


def read_acks(path: Path) -> list[dict[str, str]]:
    """What was acknowledged."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]

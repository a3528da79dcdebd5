"""Publish one run: what of it anyone may see, as a person decided."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aipipe.analysis.export import privacy
from aipipe.analysis.export.entities import MEDIA, bytes_of, publish_entity
from aipipe.analysis.export.outcome import ExportReport
from aipipe.analysis.reading import Unreadable, parse, read_bytes

NAMED = ("config_name", "study")
"""Published fields whose words are a person's own."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person decided about a public export."""

    names: privacy.Pseudonyms
    approved: frozenset[str]
    redacted: Mapping[str, str]
    pictures_seen: frozenset[str]
    keep_labels: tuple[str, ...]


def publish(run_id: str, folder: Path, base: Path, report: ExportReport, choices: Choices) -> None:
    """Write what of a run anyone may see, or note why it is left out."""
    try:
        run = parse(read_bytes(str(folder / "metadata.json"))[0])
    except Unreadable as error:
        report.left_out[run_id] = f"its record cannot be read: {error}"
        return
    if (why := privacy.refusal(run)) is not None:
        report.left_out[run_id] = why
        return
    flagged = _flagged(run, folder, choices)
    if flagged:
        for filename, text in flagged:
            report.ask(text, f"{run_id}/{filename}")
        report.left_out[run_id] = "its texts may hold personal data and are not approved"
        return
    record = privacy.permitted(run, choices.names, choices.keep_labels)
    for _ in range(_rename(record, choices)):
        report.remove(run_id, "names redacted by a person")
    for what in privacy.withheld(run, folder, choices.keep_labels):
        report.remove(run_id, what)
    target = base / run_id
    target.mkdir()
    telling = _pictures_may_tell(run, folder, choices)
    for entity in run.get("entities") or []:
        if isinstance(entity, dict) and telling and entity.get("type") in MEDIA:
            report.remove(run_id, "media that may show or say a redacted text", entity.get("sequence"))
        elif isinstance(entity, dict):
            publish_entity(entity, folder, target, record, report, choices.redacted)
    (target / "metadata.json").write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    report.exported.append(run_id)


def _flagged(run: dict[str, Any], folder: Path, choices: Choices) -> list[tuple[str, dict[str, Any]]]:
    """Place and facts of each text that a person must decide on."""
    found = []
    for place, data in [*_named(run, choices), *_texts(run, folder)]:
        digest = _digest(data)
        if digest in choices.approved or digest in choices.redacted:
            continue
        text = data.decode("utf-8", errors="replace")
        if kinds := privacy.signs(text):
            found.append((place, {"sha256": digest, "signs": kinds, "text": text}))
    return found


def _texts(run: dict[str, Any], folder: Path) -> Iterator[tuple[str, bytes]]:
    """File name and bytes of each text entity."""
    for entity in run.get("entities") or []:
        if isinstance(entity, dict) and entity.get("type") in privacy.TEXT_TYPES:
            data = bytes_of(entity, folder)
            if data is not None:
                yield str(entity["filename"]), data


def _named(run: dict[str, Any], choices: Choices) -> Iterator[tuple[str, bytes]]:
    """Names that people gave and that are published: a study may be called after a school."""
    labels = run["labels"] if isinstance(run.get("labels"), dict) else {}
    given = {f: run.get(f) for f in NAMED} | {f"label {k}": labels.get(k) for k in choices.keep_labels}
    for place, value in given.items():
        if value not in (None, ""):
            yield place, str(value).encode("utf-8")


def _rename(record: dict[str, Any], choices: Choices) -> int:
    """Put what a person wrote in the place of names; returns how many."""
    count = 0
    for holder, key in [*((record, f) for f in NAMED), *((record["labels"], k) for k in record["labels"])]:
        digest = _digest(str(holder.get(key) or "").encode("utf-8"))
        if digest in choices.redacted:
            holder[key], count = choices.redacted[digest], count + 1
    return count


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _pictures_may_tell(run: dict[str, Any], folder: Path, choices: Choices) -> bool:
    """Whether a text was redacted that a picture of this run may show, and nobody has looked at the pictures."""
    digests = {_digest(data) for _, data in _texts(run, folder)}
    return not (digests & choices.redacted.keys()) <= choices.pictures_seen

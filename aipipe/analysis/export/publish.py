"""Publish one run: what of it anyone may see, as a person decided."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aipipe.analysis.export import privacy, shapes
from aipipe.analysis.export.entities import MEDIA, bytes_of, digest_of, publish_entity, verdict
from aipipe.analysis.export.names import taken_out
from aipipe.analysis.export.outcome import ExportReport
from aipipe.analysis.export.signs import signs
from aipipe.analysis.export.times import Clock, Clocks
from aipipe.analysis.reading import Unreadable, parse, read_bytes


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person decided about a public export."""

    names: privacy.Pseudonyms
    clocks: Clocks
    approved: frozenset[str]
    redacted: Mapping[str, str]
    pictures_seen: frozenset[str]
    keep_labels: tuple[str, ...]

    def put(self, text: str) -> str:
        """What is published in the place of a text."""
        return self.redacted.get(digest_of(text.encode("utf-8", errors="replace")), text)


def publish(run_id: str, folder: Path, base: Path, report: ExportReport, choices: Choices) -> None:
    """Write what of a run anyone may see, or note why it is left out."""
    try:
        run = parse(read_bytes(str(folder / "metadata.json"))[0])
    except Unreadable as error:
        report.leave_out(run_id, "its record cannot be read", str(error))
        return
    if (why := privacy.refusal(run)) is not None:
        report.leave_out(run_id, why)
        return
    clock = choices.clocks.of_run(run)
    record = privacy.permitted(run, choices.names, clock, choices.keep_labels)
    flagged = _flagged(run, record, folder, choices, clock)
    if flagged:
        for place, text in flagged:
            report.ask(text, f"{run_id}/{place}")
        report.leave_out(run_id, "its texts may hold personal data and are not approved")
        return
    _write(run_id, run, record, folder, base, report, choices, clock)


def _write(
    run_id: str,
    run: dict[str, Any],
    record: dict[str, Any],
    folder: Path,
    base: Path,
    report: ExportReport,
    choices: Choices,
    clock: Clock,
) -> None:
    for _, text in shapes.said(record):
        if choices.put(text) != text:
            report.remove(run_id, "names redacted by a person")
    for what in privacy.withheld(run, folder, choices.keep_labels):
        report.remove(run_id, what)
    record = shapes.replaced(record, choices.put)
    target = base / record["run_id"]
    target.mkdir()
    telling = _pictures_may_tell(run, folder, choices)
    for entity in privacy.entities_of(run):
        if telling and entity.get("type") in MEDIA:
            report.remove(run_id, "media that may show or say a redacted text", entity.get("sequence"))
            continue
        removed = partial(report.remove, run_id, entity=entity.get("sequence"))
        publish_entity(entity, folder, target, record, clock, choices.put, removed)
    (target / "metadata.json").write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    report.exported.append(run_id)
    report.published[run_id] = record["run_id"]


def _flagged(
    run: dict[str, Any], record: dict[str, Any], folder: Path, choices: Choices, clock: Clock
) -> list[tuple[str, dict[str, Any]]]:
    """Place and facts of each text that a person must decide on."""
    texts = list(_texts(run, folder))
    known = {str(run[k]) for k in ("participant", "session") if run.get(k) not in (None, "")}
    known |= {str(run.get("user_id") or "")} - {"", "anonymous"}
    for _, data in texts:
        if (instead := choices.redacted.get(digest_of(data))) is not None:
            known |= taken_out(data.decode("utf-8", errors="replace"), instead)
    found, seen = [], set()
    for place, data in [*_words(run, record, folder, clock), *texts]:
        digest = digest_of(data)
        if digest in choices.approved or digest in choices.redacted or digest in seen:
            continue
        seen.add(digest)
        text = data.decode("utf-8", errors="replace")
        if kinds := signs(text, known):
            found.append((place, {"sha256": digest, "signs": kinds, "text": text}))
    return found


def _texts(run: dict[str, Any], folder: Path) -> Iterator[tuple[str, bytes]]:
    """File name and bytes of each text entity."""
    for entity in privacy.entities_of(run):
        if entity.get("type") in privacy.TEXT_TYPES:
            data = bytes_of(entity, folder)
            if data is not None:
                yield str(entity["filename"]), data


def _words(run: dict[str, Any], record: dict[str, Any], folder: Path, clock: Clock) -> Iterator[tuple[str, bytes]]:
    """Every short text of the record that would be published: a study may be called after a school, a model after a child."""
    holders: list[tuple[str, Any]] = [("", record)]
    for entity in privacy.entities_of(run):
        holders.append(("entities", privacy.permitted_entity(entity, clock)))
        if entity.get("type") in privacy.SAFETY_TYPES and (data := bytes_of(entity, folder)) is not None:
            holders.append((str(entity["filename"]), verdict(data)))
    for holder, value in holders:
        for place, text in shapes.said(value):
            inner = place.replace("labels.", "label ")
            yield f"{holder}.{inner}" if holder else inner, text.encode("utf-8", errors="replace")


def _pictures_may_tell(run: dict[str, Any], folder: Path, choices: Choices) -> bool:
    """Whether a text was redacted that a picture of this run may show, and nobody has looked at the pictures."""
    digests = {digest_of(data) for _, data in _texts(run, folder)}
    return not (digests & choices.redacted.keys()) <= choices.pictures_seen

"""Publish one run: what of it anyone may see, as a person decided."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aipipe.analysis.export import privacy, shapes
from aipipe.analysis.export.choices import Choices, digest_of, encoded
from aipipe.analysis.export.entities import MEDIA, bytes_of, publish_entity, verdict
from aipipe.analysis.export.names import taken_out
from aipipe.analysis.export.outcome import ExportReport
from aipipe.analysis.export.signs import signs
from aipipe.analysis.export.times import Clock
from aipipe.analysis.reading import Unreadable, parse, read_bytes


@dataclass(frozen=True, slots=True)
class _Draft:
    """A run on its way: as it was recorded, and what of it may be published."""

    run_id: str
    folder: Path
    run: dict[str, Any]
    record: dict[str, Any]
    clock: Clock


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
    draft = _Draft(run_id, folder, run, privacy.permitted(run, choices.names, clock, choices.keep_labels), clock)
    unseen = _unseen(draft, report, choices)
    flagged = _flagged(draft, choices)
    if flagged:
        for place, text in flagged:
            report.ask(text, f"{run_id}/{place}")
        report.leave_out(run_id, "its texts may hold personal data and are not approved")
        return
    _write(draft, base, report, choices, _may_tell(draft, choices, unseen))


def _write(draft: _Draft, base: Path, report: ExportReport, choices: Choices, telling: str | None) -> None:
    for _, text in shapes.said(draft.record):
        if choices.put(text) != text:
            report.remove(draft.run_id, "names redacted by a person")
    for what in privacy.withheld(draft.run, draft.folder, choices.keep_labels):
        report.remove(draft.run_id, what)
    record = shapes.replaced(draft.record, choices.put)
    target = base / record["run_id"]
    target.mkdir()
    for entity in privacy.entities_of(draft.run):
        removed = partial(report.remove, draft.run_id, entity=entity.get("sequence"))
        if telling and entity.get("type") in MEDIA:
            removed(telling)
        else:
            publish_entity(entity, draft.folder, target, record, draft.clock, choices, removed)
    (target / "metadata.json").write_bytes(encoded(json.dumps(record, ensure_ascii=False, indent=2) + "\n"))
    report.exported.append(draft.run_id)
    report.published[draft.run_id] = record["run_id"]


def _flagged(draft: _Draft, choices: Choices) -> list[tuple[str, dict[str, Any]]]:
    """Place and facts of each text that a person must decide on."""
    texts = list(_texts(draft))
    known = _known(draft.run)
    for _, data in texts:
        if (instead := choices.instead(data)) is not None:
            known |= taken_out(data.decode("utf-8", errors="replace"), instead)
    found, met = [], set()
    for place, data in [*_words(draft), *texts]:
        if data in met or not choices.open(data):
            continue
        met.add(data)
        text = data.decode("utf-8", errors="replace")
        if kinds := signs(text, known):
            found.append((place, {"sha256": digest_of(data), "signs": kinds, "text": text}))
    return found


def _known(run: dict[str, Any]) -> set[str]:
    """Ids that people have in the store, which must not stand in a text."""
    return {str(run.get(k) or "") for k in ("participant", "session", "user_id")} - {"", "anonymous"}


def _texts(draft: _Draft) -> Iterator[tuple[str, bytes]]:
    """File name and bytes of each text entity."""
    for entity in privacy.entities_of(draft.run):
        if entity.get("type") in privacy.TEXT_TYPES:
            data = bytes_of(entity, draft.folder)
            if data is not None:
                yield str(entity["filename"]), data


def _words(draft: _Draft) -> Iterator[tuple[str, bytes]]:
    """Every short text of the record that would be published: a study may be called after a school, a model after a child."""
    holders: list[tuple[str, Any]] = [("", draft.record)]
    for entity in privacy.entities_of(draft.run):
        holders.append(("entities", privacy.permitted_entity(entity, draft.clock)))
        if entity.get("type") in privacy.SAFETY_TYPES and (data := bytes_of(entity, draft.folder)) is not None:
            holders.append((str(entity["filename"]), verdict(data)))
    for holder, value in holders:
        for place, text in shapes.said(value):
            inner = place.replace("labels.", "label ")
            yield f"{holder}.{inner}" if holder else inner, encoded(text)


def _unseen(draft: _Draft, report: ExportReport, choices: Choices) -> bool:
    """Whether media were made from a person's picture and nobody has looked at them; whoever exports is asked to."""
    entities = privacy.entities_of(draft.run)
    if not any(entity.get("type") in MEDIA for entity in entities):
        return False
    unseen = False
    for entity in entities:
        data = bytes_of(entity, draft.folder) if entity.get("type") == "input_image" else None
        if data is not None and (digest := digest_of(data)) not in choices.pictures_seen:
            facts = {"sha256": digest, "signs": ["a person's picture"], "text": ""}
            report.ask(facts, f"{draft.run_id}/{entity['filename']}")
            unseen = True
    return unseen


def _may_tell(draft: _Draft, choices: Choices, unseen: bool) -> str | None:
    """Why pictures, sounds and films of a run stay at home until a person has looked at them; None where they may go."""
    digests = {digest_of(data) for _, data in _texts(draft)}
    if not (digests & choices.redacted.keys()) <= choices.pictures_seen:
        return "media that may show or say a redacted text"
    return "media made from a person's picture, which they may show" if unseen else None

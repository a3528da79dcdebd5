"""What can be rated: the first picture, sound or film of a run, else its interception; samples and pairs of such items."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aipipe.errors import UsageError
from aipipe.store import Run
from aipipe.ui.axes import values_of
from aipipe.ui.gallery_rows import rows_of

RATED = ("image", "video", "audio", "music")
"""Media that a page can show; of other runs the words are rated."""

PAIRS_PER_ITEM = 4
"""How many pairs an item takes part in at most; all pairs of 300 items would be 44,850."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something to rate: content hash, media type, one run it comes from, its stratum and input."""

    sha256: str
    media_type: str
    run_id: str
    folder: Path
    stratum: tuple[str, ...] = ()
    input_id: str = ""


def items_of(source: Any, strata: tuple[str, ...]) -> list[Item]:
    """The items of a source, each content once, in a fixed order; excluded runs are left out.

    Raises:
        UnknownName: a stratum that the runs do not have.
    """
    found: dict[str, Item] = {}
    runs = [Run(row.folder) for row in rows_of(source) if not row.excluded]
    values = [values_of(source, name, runs, what="stratum") for name in strata]
    for run in runs:
        media = [e for e in run.entities if e.type.startswith("output_") and e.media_type in RATED]
        entity = next((e for e in media if e.media_type == "image"), media[0] if media else None)
        entity = entity or next((e for e in run.entities if e.type in ("interception_edit", "interception")), None)
        if entity is None or not entity.sha256:
            continue
        stratum = tuple(value(run) for value in values)
        item = Item(entity.sha256, entity.media_type, run.run_id, run.folder, stratum, run.record.input_id or "")
        found.setdefault(item.sha256, item)
    return sorted(found.values(), key=lambda item: item.sha256)


def sampled(items: list[Item], most: int | None, seed: int) -> list[Item]:
    """At most `most` items, drawn evenly from the strata: one of each in turn, until there are enough."""
    chance = random.Random(f"sample:{seed}")
    groups: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        groups.setdefault(item.stratum, []).append(item)
    for group in groups.values():
        chance.shuffle(group)
    queues = [groups[key] for key in sorted(groups)]
    chosen: list[Item] = []
    while any(queues) and (most is None or len(chosen) < most):
        for queue in queues:
            if queue and (most is None or len(chosen) < most):
                chosen.append(queue.pop())
    return chosen


def pairs_of(items: list[Item], seed: int) -> list[tuple[Item, Item]]:
    """Pairs to compare: within one input and across strata first, else any; each item in about four.

    Raises:
        UsageError: fewer than two items.
    """
    if len(items) < 2:
        raise UsageError("Pairs need at least two items.")
    chance = random.Random(f"pairs:{seed}")
    candidates = [
        (a, b)
        for n, a in enumerate(items)
        for b in items[n + 1 :]
        if a.input_id == b.input_id and (a.stratum != b.stratum or not a.stratum)
    ]
    candidates = candidates or [(a, b) for n, a in enumerate(items) for b in items[n + 1 :]]
    chance.shuffle(candidates)
    used: dict[str, int] = {}
    chosen = []
    for a, b in candidates:
        if max(used.get(a.sha256, 0), used.get(b.sha256, 0)) < PAIRS_PER_ITEM:
            chosen.append((a, b))
            used[a.sha256] = used.get(a.sha256, 0) + 1
            used[b.sha256] = used.get(b.sha256, 0) + 1
    return chosen

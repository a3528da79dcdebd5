"""Runs of lost cases that are still being written: such a case is not started again before its run has ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from aipipe import lease
from aipipe.batch.ledger import CaseState
from aipipe.errors import StoreError
from aipipe.store import Run

EARLIER_MS = 60_000
"""Clocks of two hosts may differ by so much."""


def live_folders(root: Path, states: Mapping[str, CaseState]) -> dict[str, Path]:
    """Case key → folder of its run with a living writer, among the interrupted cases. Ids sort by time, so few are looked at."""
    begun = {key: state.started for key, state in states.items() if state.state == "interrupted" and state.started}
    if not begun or not root.is_dir():
        return {}
    first = _id_prefix(min(begun.values()))
    found = {}
    for folder in (p for p in root.iterdir() if len(p.name) == 36 and p.name >= first):
        writer = lease.find(folder)
        if writer is None or not writer.alive:
            continue
        try:
            batch = Run(folder).record.batch
        except StoreError:
            continue
        if batch is not None and batch.case_key in begun:
            found[batch.case_key] = folder
    return found


def _id_prefix(when: str) -> str:
    """The first run id that could have been made at this time (UUIDs of version 7 begin with their milliseconds)."""
    try:
        moment = datetime.fromisoformat(when)
    except ValueError:
        return ""
    digits = f"{max(0, int(moment.timestamp() * 1000) - EARLIER_MS):012x}"
    return f"{digits[:8]}-{digits[8:]}"

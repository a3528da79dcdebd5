"""One run as a line of the list: what its card shows, what filters compare, what a search looks at."""

from __future__ import annotations

from typing import Any

from aipipe.errors import AipipeError
from aipipe.store import Run
from aipipe.store.reading import derive_status

TEXT_CHARS = 280
"""How much of a text a card shows."""
SEARCHED_CHARS = 4_000
"""How much of each text a search looks at."""


def summary_of(run: Run) -> dict[str, Any]:
    """What the list shows of a run and what a search looks at."""
    record = run.record
    media = [e for e in record.entities if e.type.startswith("output_")]
    text, prompt = _text(run, "input"), _text(run, "interception_edit") or _text(run, "interception")
    searched = (record.config_name, text, _text(run, "translation"), prompt, record.participant, record.study)
    return {
        "run_id": run.folder.name,
        "config_name": record.config_name,
        "status": derive_status(record, run.folder)[0],
        "timestamp": record.timestamp,
        "seconds": record.seconds,
        "execution_mode": record.execution_mode,
        "safety_level": record.safety_level,
        "user_id": record.user_id,
        "participant": record.participant,
        "study": record.study,
        "session": record.session,
        "seed": record.seed,
        "progress": record.current_state.progress,
        "stage": record.current_state.stage,
        "text": text[:TEXT_CHARS],
        "prompt": prompt[:TEXT_CHARS],
        "media": [e.media_type for e in media],
        "thumbnail": any(e.media_type in ("image", "video") for e in media),
        "reason": record.reason.message if record.reason is not None else None,
        "batch_id": record.batch.batch_id if record.batch is not None else None,
        "tags": list(record.tags),
        "starred": False,
        "searched": "\n".join(str(word or "") for word in searched).casefold(),
    }


def _text(run: Run, type_: str) -> str:
    found = run.all(type_)
    if not found:
        return ""
    try:
        with found[0].open() as file:
            text = file.read(4 * SEARCHED_CHARS).decode("utf-8", "ignore")
    except AipipeError:
        return ""
    return text[:SEARCHED_CHARS]

"""One run in full as plain values: prompt chain with what each stage changed, facts, steps, a larger picture."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from aipipe.display.chain import Link, chain, verdict_words
from aipipe.display.diff import MAX_WORDS, words
from aipipe.display.html import shorten
from aipipe.display.media_view import PLAYER_BYTES, facts, thumbnail
from aipipe.store import Run

PICTURE = 640
PICTURE_BYTES = 120_000
PLAYED = ("video", "audio", "music")


def detail_of(folder: Path) -> tuple[dict[str, Any], bytes, bytes]:
    """A run's values for a view, its first picture as WebP, and its first film or sound (b"" where there is none).

    A film shows a frame and a sound its loudness; `values["plays"]` is the MIME type of what is to be played.

    Raises:
        RunNotFound, RunUnreadable: it cannot be read.
    """
    run = Run(folder)
    record = run.record
    media = [e for e in run.entities if e.type.startswith("output_")]
    picture = next((e for e in media if e.media_type == "image"), media[0] if media else None)
    small = thumbnail(picture.path, PICTURE, PICTURE_BYTES, media_type=picture.media_type) if picture else None
    sound = next((e for e in media if e.media_type in PLAYED and e.size <= PLAYER_BYTES and e.path.is_file()), None)
    values = {
        "run_id": run.run_id, "config": record.config_name, "status": run.status, "folder": str(run.folder),
        "reason": record.reason.message if record.reason is not None else "",
        "facts": _facts(run),
        "chain": [_link(link) for link in chain(run)],
        "media": [f"{e.filename} · {facts(e)}" for e in media],
        "plays": sound.mime if sound is not None else "",
        "steps": [[s.step, s.backend or s.runner or "", s.model or "", f"{s.seconds:.1f} s", s.outcome] for s in record.steps],
        "metadata": record.model_dump_json(indent=1)[:60_000],
    }  # fmt: skip
    return values, small or b"", sound.bytes if sound is not None else b""


def _facts(run: Run) -> list[list[str]]:
    record = run.record
    models = ", ".join(f"{task} {model}" for task, model in record.models.items())
    pairs = {
        "mode": record.execution_mode, "level": record.safety_level, "seed": record.seed,
        "seconds": f"{record.seconds:.1f}" if record.seconds is not None else None, "when": record.timestamp,
        "models": models, "study": record.study, "participant": record.participant,
        "labels": ", ".join(f"{k}={v}" for k, v in record.labels.items()), "tags": ", ".join(run.tags),
    }  # fmt: skip
    return [[name, str(value)] for name, value in pairs.items() if value]


def _link(link: Link) -> dict[str, Any]:
    text, rest = shorten(link.text, 8_000)
    verdict, note = "", ""
    if link.verdict is not None:
        verdict = verdict_words(link.verdict)[0]
        note = str(link.verdict.get("message") or link.verdict.get("reason") or "")
    changed = differences(link.before, link.text) if link.before and link.before != link.text and not rest else []
    return {
        "label": link.label, "facts": [f for f in link.facts if f], "text": text + (" …" if rest else ""),
        "verdict": verdict, "note": note, "changed": changed, "error": link.entity.type == "error",
    }  # fmt: skip


def differences(before: str, after: str) -> list[list[str]]:
    """What became of `before`: pieces marked "=" kept, "-" removed, "+" added; empty for texts too long to compare."""
    a, b = words(before), words(after)
    if max(len(a), len(b)) > MAX_WORDS:
        return []
    pieces: list[list[str]] = []
    for kind, a1, a2, b1, b2 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(["=", "".join(b[b1:b2])])
            continue
        if a2 > a1:
            pieces.append(["-", "".join(a[a1:a2])])
        if b2 > b1:
            pieces.append(["+", "".join(b[b1:b2])])
    return pieces

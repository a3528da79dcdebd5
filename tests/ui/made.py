"""Run folders made without running anything: quick, many, and with whatever texts a test wants."""

from __future__ import annotations

import hashlib
import io
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

CONFIGS = ("dada", "bauhaus", "overdrive", "stille_post")
STATUSES = ("completed",) * 8 + ("blocked", "failed")
TEXTS = (
    "A heron in the reeds",
    "Eine Blume auf der Wiese",
    "The last bus at night",
    "Two kites over a field",
    "A cat asleep on a piano",
)


def picture(seed: int, size: int = 96) -> bytes:
    """A small PNG that looks different for every seed."""
    from PIL import Image, ImageDraw

    colours = random.Random(seed)
    image = Image.new("RGB", (size, size), tuple(colours.randrange(256) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        x, y, r = (colours.randrange(size) for _ in range(3))
        draw.ellipse(
            (x - r // 2, y - r // 2, x + r // 2, y + r // 2), fill=tuple(colours.randrange(256) for _ in range(3))
        )
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def make_run(root: Path, number: int, *, text: str | None = None, prompt: str | None = None, **fields: Any) -> Path:
    """One run folder in the format of docs/run-format; `fields` go into metadata.json."""
    run_id = f"01900000-{number >> 16 & 0xFFFF:04x}-7{number >> 4 & 0xFFF:03x}-8{number & 0xF:03x}-{number:012x}"
    folder = root / run_id
    folder.mkdir(parents=True)
    text = TEXTS[number % len(TEXTS)] if text is None else text
    prompt = f"{text}, cut from newspaper, number {number}" if prompt is None else prompt
    status = fields.pop("status", STATUSES[number % len(STATUSES)])
    when = (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=17 * number)).isoformat().replace("+00:00", "Z")
    files = [
        ("input", "01_input.txt", "text", "text/plain", text.encode("utf-8", "replace"), 1),
        ("interception", "02_interception.txt", "text", "text/plain", prompt.encode("utf-8", "replace"), 2),
    ]
    if status == "completed":
        files.append(("output_image", "03_output_image.png", "image", "image/png", picture(number), 4))
    entities = []
    for sequence, (kind, name, media, mime, data, stage) in enumerate(files, start=1):
        (folder / name).write_bytes(data)
        entities.append({
            "sequence": sequence, "type": kind, "filename": name, "timestamp": when, "metadata": {}, "media_type": media,
            "mime": mime, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "stage": stage,
        })  # fmt: skip
    document = {
        "format_version": 1, "run_id": run_id, "timestamp": when, "config_name": CONFIGS[number % len(CONFIGS)],
        "execution_mode": "eco", "safety_level": "kids" if number % 3 else "youth", "user_id": "anonymous",
        "status": status, "reason": None, "expected_outputs": ["input", "interception", "output_image"],
        "current_state": {"stage": 5, "step": "complete", "progress": f"{len(files)}/3"}, "started": when,
        "finished": when, "seconds": 1.0 + number % 50, "seed": str(number), "models": {"interception": "made"},
        "input_id": f"i{number % len(TEXTS)}", "inputs": [], "outputs": [], "entities": entities, "steps": [],
        "labels": {}, "tags": ["keep"] if number % 7 == 0 else [], **fields,
    }  # fmt: skip
    (folder / "metadata.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def make_store(root: Path, count: int) -> Path:
    """A store of `count` runs."""
    for number in range(1, count + 1):
        make_run(root, number)
    return root

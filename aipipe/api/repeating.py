"""From a recorded run back to the request that would make it again."""

from __future__ import annotations

import json
from typing import Any

from aipipe.api.delivery import open_plain
from aipipe.catalog import Catalog
from aipipe.errors import AipipeError
from aipipe.store import Run

MAX_PLAN = 8_000_000


def request_of(run: Run, catalog: Catalog) -> dict[str, Any]:
    """Fields of an execute request, each as the run has it; what the run leaves to the server is null."""
    record = run.record
    return {
        "schema": record.config_name,
        "input_texts": [entity.text for entity in run.all("input")],
        "context": edited_context(run, catalog),
        "execution_mode": record.execution_mode or None,
        "safety_level": record.safety_level or None,
        "outputs": [output.config for output in record.outputs] or None,
        "seed": str(record.seed) if record.seed is not None else None,
        "text_seed": int(record.text_seed or 0),
        "until": _plan(run).get("until"),
        "parameters": _of_call(run, "parameters"),
        "models": _of_call(run, "models"),
        "labels": dict(record.labels),
        "study": record.study,
        "input_id": record.input_id,
        "images": len(run.all("input_image")),
    }


def edited_context(run: Run, catalog: Catalog) -> str | None:
    """The context the run had, where it is not the one its config has here now; None where it is, or nobody knows."""
    plan = _plan(run)
    config = plan.get("config")
    recorded = config.get("context") if isinstance(config, dict) else None
    try:
        known = catalog.config(run.record.config_name).context
    except AipipeError:
        known = ""
    if not recorded or recorded == (known if isinstance(known, str) else dict(known)):
        return None
    return recorded if isinstance(recorded, str) else _context_of_steps(plan)


def _context_of_steps(plan: dict[str, Any]) -> str | None:
    """Of a context in several languages the one that the run used."""
    steps = plan.get("steps")
    used = (step.get("context") for step in steps if isinstance(step, dict)) if isinstance(steps, list) else ()
    return next((context for context in used if isinstance(context, str) and context), None)


def _plan(run: Run) -> dict[str, Any]:
    return _part(run, "plan")


def _of_call(run: Run, name: str) -> dict[str, Any]:
    """What the call itself named, which a plan no longer tells apart from its defaults."""
    found = _part(run, "call").get(name)
    return found if isinstance(found, dict) else {}


def _part(run: Run, name: str) -> dict[str, Any]:
    """A part of provenance.json; empty where there is none, since other programs write runs too."""
    try:
        file, size = open_plain(run.folder, "provenance.json")
        with file:
            found = json.loads(file.read()) if size <= MAX_PLAN else {}
    except (AipipeError, OSError, ValueError):
        return {}
    part = found.get(name) if isinstance(found, dict) else None
    return part if isinstance(part, dict) else {}

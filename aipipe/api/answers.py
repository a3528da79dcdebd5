"""Answers of the execute route, in the original's shapes."""

from __future__ import annotations

from typing import Any

from aipipe.api.describing import entity_url
from aipipe.api.refusals import DEFAULT_HINTS, error_body
from aipipe.errors import AipipeError
from aipipe.records import OutputRecord
from aipipe.store import Run

SERVICE_DOWN = frozenset({"Unavailable", "Unreachable", "ModelMissing", "Overloaded", "Lost", "safety_unchecked"})
MAX_TEXT = 2_000_000


def execute_answer(run: Run, schema: str, pipeline: str) -> tuple[int, dict[str, Any]]:
    """HTTP status and body for a run that has ended.

    A block at stage 1 is 403; a run that a missing service ended before it made anything is 503; everything else is
    200 with one item per output.
    """
    record = run.record
    reason = record.reason
    if record.status == "blocked" and reason is not None and (reason.stage or 0) <= 1:
        verdicts = f"GET /api/pipeline/{run.run_id}/entities"
        return 403, {
            "status": "error",
            "schema": schema,
            "error": reason.message,
            "type": reason.type,
            "hint": f"Change the text and try again; {verdicts} holds the verdict.",
            "run_id": run.run_id,
            "run_status": record.status,
            "metadata": {"stage": "pre_interception", "safety_codes": _codes(run)},
        }
    items = [_item(run, output) for output in record.outputs]
    made = any(item["status"] == "success" for item in items) or (not items and record.status == "completed")
    if record.status == "failed" and not made and reason is not None and reason.type in SERVICE_DOWN:
        failed = {"status": "error", "schema": schema, "error": reason.message, "type": reason.type}
        failed["hint"] = DEFAULT_HINTS[503]
        return 503, failed | {"run_id": run.run_id, "run_status": record.status}
    text = _text(run, "interception_edit") or _text(run, "interception")
    first = _text(run, "input")
    iterations = len(run.all("interception_iteration"))
    body: dict[str, Any] = {
        "status": "success" if made else "blocked" if record.status == "blocked" else "error",
        "schema": schema,
        "config_name": record.config_name,
        "run_id": run.run_id,
        "run_status": record.status,
        "input_text": first,
        "final_output": text,
        "steps_completed": sum(s.outcome in ("completed", "reused") for s in record.steps),
        "execution_time": record.seconds,
        "metadata": {
            "total_steps": len(record.steps),
            "input_length": len(first),
            "output_length": len(text),
            "pipeline_name": pipeline,
            **({"iterations": iterations + 1} if iterations else {}),
        },
    }
    if not made and reason is not None:
        body |= {"error": reason.message, "type": reason.type}
    if len(items) == 1:
        body["media_output"] = items[0]
    elif items:
        body |= {"media_outputs": items, "media_output_count": len(items)}
    return 200, body


def failed_job(error: BaseException, run_id: str, schema: str) -> dict[str, Any]:
    """The answer for a job that broke before or while its run was recorded."""
    if isinstance(error, AipipeError):
        return error_body(error, run_id=run_id, schema=schema)
    body = {"status": "error", "error": type(error).__name__, "type": "Internal", "hint": DEFAULT_HINTS[500]}
    return body | {"run_id": run_id, "schema": schema}


def _item(run: Run, output: OutputRecord) -> dict[str, Any]:
    item: dict[str, Any] = {"config": output.config, "media_type": output.media_type}
    message = output.reason.message if output.reason is not None else ""
    if output.outcome == "completed":
        entities = [(n, e) for n, e in enumerate(run.all(f"output_{output.media_type}")) if e.output == output.index]
        seconds = sum(s.seconds for s in run.record.steps if s.output == output.index)
        return item | {
            "status": "success",
            "run_id": run.run_id,
            "output": run.run_id,
            "media_stored": bool(entities),
            "execution_time": round(seconds, 3),
            "metadata": dict(entities[0][1].metadata) if entities else {},
            "urls": [entity_url(run.folder.name, e.type, n) for n, e in entities],
        }
    if output.outcome == "blocked":
        return item | {"status": "blocked", "reason": message, "safety_level": run.record.safety_level}
    return item | {"status": "error", "error": message or f"The output was not made ({output.outcome})."}


def _codes(run: Run) -> list[str]:
    """Codes of the verdict that blocked."""
    found: list[str] = []
    for entity in run.all("error"):
        try:
            details = entity.json.get("details", {})
        except (AipipeError, AttributeError):
            continue
        found += [str(c.get("code", "")) if isinstance(c, dict) else str(c) for c in details.get("codes", [])]
    return list(dict.fromkeys(code for code in found if code))


def _text(run: Run, type_: str) -> str:
    found = run.all(type_)
    try:
        return found[0].text[:MAX_TEXT] if found else ""
    except AipipeError:
        return ""

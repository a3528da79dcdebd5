"""What a recorded run gives back: its plan and its input images."""

from __future__ import annotations

from pydantic import ValidationError

from aipipe.definitions import Plan
from aipipe.errors import RunLocked, UsageError
from aipipe.store import Run

RESUMABLE = ("interrupted", "failed", "cancelled")


def recorded_plan(run: Run) -> Plan:
    """The plan in provenance.json.

    Raises:
        UsageError: the run has none, or it was written by a program that this one does not understand.
    """
    data = run.provenance.get("plan")
    if not data:
        raise UsageError(
            f"Run {run.run_id} has no recorded plan in provenance.json.",
            hint="Only runs made by a Lab can be repeated; runs of other programs and older dialects can be read.",
        )
    try:
        return Plan.model_validate(data)
    except ValidationError as error:
        raise UsageError(
            f"The plan of run {run.run_id} cannot be read: {error}", hint="Was it made by a newer aipipe?"
        ) from None


def resumable_plan(run: Run) -> Plan:
    """The plan of a run that may be resumed.

    Raises:
        RunLocked: the run is still being written.
        UsageError: the run is completed or blocked.
    """
    status = run.status
    if status == "running":
        raise RunLocked(f"Run {run.run_id} is still running.", hint="Watch it with aipipe.watch(run_id).")
    if status not in RESUMABLE:
        raise UsageError(
            f"Run {run.run_id} is {status}; there is nothing to resume.", hint="lab.rerun(run) makes it again."
        )
    return recorded_plan(run)


def recorded_images(run: Run) -> tuple[bytes, ...]:
    """The input images of a run, in order."""
    return tuple(entity.bytes for entity in run.all("input_image"))

"""What the operator does with runs beside starting and reading them: preview, resume, tag, verify."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from aipipe.annotations import Annotations
from aipipe.api.documented import ANSWERS, answer, shape
from aipipe.api.requests import ExecuteRequest, Name, Short
from aipipe.api.routes_execute import in_line
from aipipe.api.routes_runs import RunId
from aipipe.api.serving import operator_only, person_of, server_of
from aipipe.api.shapes_runs import InLine, PreviewAnswer, Tags, Verification
from aipipe.definitions import Plan
from aipipe.lab.preview import preview as previewed
from aipipe.store import Run

router = APIRouter(tags=["care"], responses=ANSWERS)


class TagRequest(BaseModel):
    """Tags to add and to take back."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"add": ["figure-3"]}]})
    add: list[Name] = Field(default_factory=list, max_length=32)
    remove: list[Name] = Field(default_factory=list, max_length=32, description="Only later tags can be taken back.")
    author: Short = Field("", description="Who annotates; left out, the server's account.")


@router.post(
    "/api/schema/pipeline/preview",
    summary="What every stage would be sent",
    response_model=None,
    responses={
        200: shape(PreviewAnswer),
        503: answer("Nothing answers that could run it."),
    },
)
async def preview(request: Request, body: Annotated[ExecuteRequest, Body()]) -> dict[str, Any]:
    """The exact messages of a request, no model called, nothing recorded. Operator only, for it shows the templates."""
    operator_only(request, "sees what models are sent")
    server, person = server_of(request), person_of(request)
    plan = await run_in_threadpool(server.executor.plan, body, person)
    return await run_in_threadpool(_calls, plan)


def _calls(plan: Plan) -> dict[str, Any]:
    steps = [
        {
            "stage": step.stage,
            "step": step.step,
            "service": step.service,
            "messages": [{"role": role, "content": content} for role, content in step.messages],
            "parameters": step.parameters,
        }
        for step in previewed(plan).steps
    ]
    return {
        "config_name": plan.config.name,
        "execution_mode": plan.mode,
        "safety_level": plan.safety,
        "seed": str(plan.seed),
        "steps": steps,
    }


@router.post(
    "/api/pipeline/{run_id}/resume",
    summary="Finish a run",
    status_code=202,
    response_model=None,
    responses={202: shape(InLine)},
)
async def resume(request: Request, run_id: RunId) -> JSONResponse:
    """Put an interrupted, failed or cancelled run in line again: what verifies is kept, the rest is done anew.

    It is `queued` until its turn. Operator only.
    """
    operator_only(request, "resumes runs")
    server = server_of(request)
    run = server.open(run_id, person_of(request))
    accepted = await run_in_threadpool(server.resumptions.accept, run, server.status(run))
    return in_line(server, accepted)


@router.get("/api/runs/{run_id}/tags", summary="Tags of a run", response_model=None, responses={200: shape(Tags)})
async def tags(request: Request, run_id: RunId) -> dict[str, Any]:
    """Tags given at the start and later, in order."""
    run = server_of(request).open(run_id, person_of(request))
    return await run_in_threadpool(_tags, run)


@router.post("/api/runs/{run_id}/tags", summary="Tag a run", response_model=None, responses={200: shape(Tags)})
async def tag(request: Request, run_id: RunId, body: TagRequest) -> dict[str, Any]:
    """Add tags, or take later ones back. They lie beside the run, which stays as it is. Operator only."""
    operator_only(request, "tags runs")
    run = server_of(request).open(run_id, person_of(request))

    def write() -> dict[str, Any]:
        notes = Annotations(run.folder.parent, author=body.author or None)
        notes.tag(run.run_id, body.add)
        notes.untag(run.run_id, body.remove)
        return _tags(run)

    return await run_in_threadpool(write)


def _tags(run: Run) -> dict[str, Any]:
    return {"run_id": run.folder.name, "tags": run.tags}


@router.get(
    "/api/runs/{run_id}/verify", summary="Verify a run", response_model=None, responses={200: shape(Verification)}
)
async def verify(request: Request, run_id: RunId) -> dict[str, Any]:
    """Hold the folder against its record: missing, altered, extra and orphaned files. Reads them all. Operator only."""
    operator_only(request, "verifies runs")
    run = server_of(request).open(run_id, person_of(request))
    return (await run_in_threadpool(run.verify)).as_dict()

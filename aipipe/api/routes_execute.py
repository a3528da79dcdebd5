"""Starting and cancelling runs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from aipipe.api.answers import execute_answer, failed_job
from aipipe.api.documented import ANSWERS, EXAMPLE_RUN, answer, shape
from aipipe.api.execution import Accepted
from aipipe.api.queueing import Job
from aipipe.api.refusals import RunOfAnother, TooFast, http_status
from aipipe.api.requests import ExecuteRequest
from aipipe.api.routes_runs import RunId
from aipipe.api.serving import Server, person_of, server_of
from aipipe.api.shapes_runs import Cancelling, ExecuteAnswer, InLine
from aipipe.errors import AipipeError, RunFinished, RunNotFound

router = APIRouter(tags=["execution"], responses=ANSWERS)

_EXAMPLE = {
    "status": "success",
    "schema": "dada",
    "config_name": "dada",
    "run_id": EXAMPLE_RUN,
    "run_status": "completed",
    "input_text": "Eine Blume auf der Wiese",
    "final_output": "A flower that has swallowed its meadow …",
    "steps_completed": 5,
    "execution_time": 12.4,
    "metadata": {"total_steps": 5, "input_length": 24, "output_length": 40, "pipeline_name": "text_transformation"},
    "media_output": {
        "config": "sd35_large",
        "media_type": "image",
        "status": "success",
        "run_id": EXAMPLE_RUN,
        "output": EXAMPLE_RUN,
        "media_stored": True,
        "execution_time": 8.1,
        "metadata": {},
        "urls": [f"/api/pipeline/{EXAMPLE_RUN}/entity/output_image"],
    },
}


@router.post(
    "/api/schema/pipeline/execute",
    summary="Run a config",
    response_model=None,
    responses={
        200: shape(ExecuteAnswer, "The run has ended; one item per output.", _EXAMPLE),
        202: shape(InLine, "`async` was true: the run stands in line, its status can be asked at once."),
        500: answer("The run could not be recorded."),
        503: answer("A service that was named does not answer (with `run_id` where a run was recorded)."),
        507: answer("The disk is full."),
    },
)
async def execute(request: Request, body: Annotated[ExecuteRequest, Body()]) -> JSONResponse:
    """Run a config on a text. Without `async` the answer comes when the run has ended; leaving does not stop the run."""
    server, person = server_of(request), person_of(request)
    if not person.is_operator:
        wait = server.executes.take(person.user_id)
        if wait:
            raise TooFast("You start runs faster than they can be made.", hint="Wait a moment.", retry_after=wait)
    accepted = await run_in_threadpool(server.executor.accept, body, person)
    if body.asynchronous:
        return in_line(server, accepted)
    await _ended(accepted.job)
    return await run_in_threadpool(_answer, server, accepted.job, body.config, accepted.plan.pipeline.name)


def in_line(server: Server, accepted: Accepted) -> JSONResponse:
    """202: a run stands in line."""
    run_id = accepted.job.run_id
    base = f"/api/pipeline/{run_id}"
    place, minutes = server.executor.queue.place(run_id)
    links = {"status_url": f"{base}/status", "events_url": f"{base}/events", "cancel_url": f"{base}/cancel"}
    named = {"status": "accepted", "run_id": run_id, "schema": accepted.plan.config.name}
    body = {**named, "place": place, "minutes": minutes, **links}
    return JSONResponse(body, status_code=202, headers={"location": f"{base}/status"})


def _answer(server: Any, job: Job, schema: str, pipeline: str) -> JSONResponse:
    error = job.error
    if error is not None:
        status = http_status(error) if isinstance(error, AipipeError) else 500
        return JSONResponse(failed_job(error, job.run_id, schema), status_code=status)
    status, body = execute_answer(server.reader.open(job.run_id), schema, pipeline)
    return JSONResponse(body, status_code=status)


async def _ended(job: Job) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def tell() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(ended.set)

    job.when_ended(tell)
    await ended.wait()


@router.post(
    "/api/pipeline/{run_id}/cancel",
    summary="Cancel a run",
    status_code=202,
    response_model=None,
    responses={202: shape(Cancelling)},
)
async def cancel(request: Request, run_id: RunId) -> dict[str, Any]:
    """Ask a run of this server to stop; it will say `cancelled`. A waiting run is recorded as cancelled at once."""
    server, person = server_of(request), person_of(request)
    try:
        run = server.open(run_id, person)
    except RunNotFound:
        if server.queue_status(run_id, person) is None:
            raise
    else:
        status = server.status(run)
        if status not in ("running", "queued"):
            raise RunFinished(
                f"The run is {status}; there is nothing to cancel.", hint="Start another, or read this one."
            )
    if not await run_in_threadpool(server.executor.queue.cancel, run_id):
        raise RunOfAnother("Another process executes this run.", hint="Cancel it where it was started.")
    return {"status": "cancelling", "run_id": run_id}

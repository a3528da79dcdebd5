"""What happens in a run, as Server-Sent Events and over a WebSocket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, WebSocket, WebSocketDisconnect
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from aipipe.api.documented import ANSWERS
from aipipe.api.news import ENDED, News, Position, news
from aipipe.api.people import Person
from aipipe.api.routes_runs import RunId
from aipipe.api.serving import Server, person_of, server_of
from aipipe.errors import AipipeError, RunNotFound

router = APIRouter(tags=["events"], responses=ANSWERS)
LOOK_SECONDS = 0.2
SLOW_LOOK_SECONDS = 1.0
"""Interval of looks at a run in which nothing has happened for a while."""
BEAT_SECONDS = 15.0


@router.get(
    "/api/pipeline/{run_id}/events",
    summary="Events of a run",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, 204: {"description": "The end was already told."}},
)
async def events(
    request: Request,
    run_id: RunId,
    last_event_id: Annotated[str, Header(max_length=200, description="Continue after this event.")] = "",
    after: Annotated[str, Query(max_length=200, description="The same, for clients that cannot set headers.")] = "",
) -> Response:
    """Server-Sent Events: started, state, entity, step, ended; queue and progress (without ids) while they matter.

    A client that reconnects with Last-Event-ID gets every event with an id exactly once.
    """
    server, person = server_of(request), person_of(request)
    seen = Position.parse(last_event_id or after)
    waiting = server.queue_status(run_id, person)
    if waiting is None:
        run = server.open(run_id, person)
        if seen.ended and server.status(run) in ENDED:
            return Response(status_code=204)
    headers = {"x-accel-buffering": "no", "cache-control": "no-store"}
    return StreamingResponse(
        _as_sse(follow(server, run_id, person, seen)), media_type="text/event-stream", headers=headers
    )


async def _as_sse(stream: AsyncIterator[News | None]) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n"
    async for item in stream:
        if item is None:
            yield b": still here\n\n"
            continue
        mark = f"id: {item.id}\n" if item.id else ""
        yield f"{mark}event: {item.event}\ndata: {json.dumps(item.data, ensure_ascii=False)}\n\n".encode()


@router.websocket("/api/pipeline/{run_id}/ws")
async def socket(websocket: WebSocket, run_id: str, after: str = "") -> None:
    """The twin of the events route: JSON texts {id, event, data}; `after` continues after an id."""
    server, person = server_of(websocket), person_of(websocket)
    await websocket.accept()
    try:
        if server.queue_status(run_id, person) is None:
            server.open(run_id, person)
    except AipipeError as error:
        await websocket.close(4404, error.message[:120])
        return
    listening = asyncio.ensure_future(_until_gone(websocket))
    try:
        async for item in follow(server, run_id, person, Position.parse(after[:200])):
            if listening.done():
                return
            if item is not None:
                await websocket.send_json({"id": item.id, "event": item.event, "data": item.data})
        await websocket.close(1000)
    except (WebSocketDisconnect, RuntimeError):
        return  # the client left while something was being sent
    finally:
        listening.cancel()


async def _until_gone(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def follow(server: Server, run_id: str, person: Person, seen: Position) -> AsyncIterator[News | None]:
    """The events of a run until its end or the server's; None is a sign of life."""
    beat = changed = time.monotonic()
    version, place = 0, None
    while not server.stopping.is_set():
        waiting = server.queue_status(run_id, person)
        found, seen, gone = await run_in_threadpool(_look, server, run_id, seen)
        if gone and waiting is None:
            return
        if waiting is not None and gone and waiting["queue"] != place:
            place = waiting["queue"]
            found.append(News("", "queue", place))
        version, moving = server.executor.transients.latest(run_id, version)
        if moving is not None and not seen.ended:  # nothing moves after the end, which is the last word
            found.append(News("", "progress", moving))
        now = time.monotonic()
        for item in found:
            yield item
        if found:
            beat = changed = now
        elif now - beat > BEAT_SECONDS:
            beat = now
            yield None
        if seen.ended:
            return
        await asyncio.sleep(LOOK_SECONDS if now - changed < 10 or moving else SLOW_LOOK_SECONDS)


def _look(server: Server, run_id: str, seen: Position) -> tuple[list[News], Position, bool]:
    try:
        run = server.reader.open(run_id)
    except RunNotFound:
        return [], seen, True
    except AipipeError:
        return [], seen, False
    found, seen = news(run, server.status(run), seen)
    return found, seen, False

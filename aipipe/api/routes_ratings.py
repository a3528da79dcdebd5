"""Rating tasks for people elsewhere: a link of their own each, a page as blind as the one in a cell.

A link holds a key made from the server's token, the task and the rater; it opens this page and nothing else. Items are
named by the task's tokens, never by a position, which moves while others answer.
"""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from aipipe.api.documented import ANSWERS, shape
from aipipe.api.entry_page import WRONG_RATING_LINK, no_entry
from aipipe.api.refusals import no_such_rating
from aipipe.api.routes_service import STATIC
from aipipe.api.serving import Server, operator_only, server_of
from aipipe.api.shapes import RatingItem, RatingLinks, RatingState, Saved
from aipipe.ui import front_end
from aipipe.ui.rating import RatingTask, Shown, check_rater, key_of
from aipipe.ui.rating_page import contents, every_place, outline

router = APIRouter(tags=["ratings"], responses=ANSWERS)
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
Name = Annotated[str, Path(pattern=NAME)]
Key = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Token = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]


class LinksRequest(BaseModel):
    """Who shall rate."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"raters": ["anna", "ben"]}]})
    raters: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=200)


class AnswerRequest(BaseModel):
    """What a rater says of one item."""

    model_config = ConfigDict(extra="forbid")
    answers: dict[str, int | str] = Field(max_length=50)
    position: int = Field(default=-1, ge=-1, le=1_000_000)
    seconds: float = Field(default=0.0, ge=0, le=1e7)
    comment: str = Field(default="", max_length=2_000)


@router.post(
    "/api/ratings/{task}/links",
    summary="A link for each rater",
    response_model=None,
    responses={200: shape(RatingLinks)},
)
async def links(request: Request, task: Name, body: LinksRequest) -> dict[str, Any]:
    """Links to the rating page of a task that `aipipe.RatingTask` made in this store. They hold as long as the token."""
    server = server_of(request)
    operator_only(request, "hands out links")
    await run_in_threadpool(_task, server, task)
    base = str(request.base_url).rstrip("/")
    raters = [check_rater(rater) for rater in body.raters]
    return {"links": {r: f"{base}/rate/{task}/{r}/{server.access.rating_key(task, r)}" for r in raters}}


@router.get("/rate/{task}/{rater}/{key}", include_in_schema=False)
async def page(request: Request, task: str, rater: str, key: str) -> Response:
    """The page; what it shows comes by the routes below."""
    named = all(re.fullmatch(NAME, name) for name in (task, rater))
    if not named or not server_of(request).access.is_rating_key(task, rater, key):
        return no_entry(request, WRONG_RATING_LINK)
    return FileResponse(STATIC / "rate.html", headers={"cache-control": "no-store"})


@router.get("/static/rating.{kind}", include_in_schema=False)
async def asset(kind: str) -> Response:
    """Script and style of the rating page, the same as in a cell."""
    types = {"js": "text/javascript", "css": "text/css"}
    if kind not in types:
        raise no_such_rating()
    return Response(front_end.asset(f"rating.{kind}"), media_type=types[kind], headers={"cache-control": "no-cache"})


@router.get(
    "/rate/{task}/{rater}/{key}/state",
    summary="What there is to rate, and what is done",
    response_model=None,
    responses={200: shape(RatingState)},
)
async def state(request: Request, task: Name, rater: Name, key: Key) -> dict[str, Any]:
    """Criteria, scale, tokens of the items in this rater's order, and positions that have an answer."""
    _admit(request, task, rater, key)

    def read() -> dict[str, Any]:
        found = _task(server_of(request), task)
        order, known = found.order(rater), found.answered(rater)
        done = [s.position for s in order if (key_of(s.item, s.other), s.repeat) in known]
        tokens = [found.token(rater, place) for place in order]
        return {"task": outline(found, len(order)), "tokens": tokens, "done": done}

    return await run_in_threadpool(read)


@router.get(
    "/rate/{task}/{rater}/{key}/items/{token}",
    summary="One item, without a trace of where it comes from",
    response_model=None,
    responses={200: shape(RatingItem)},
)
async def item(request: Request, task: Name, rater: Name, key: Key, token: Token) -> dict[str, Any]:
    """Texts, and pictures, sounds or films made anew without their metadata, in base64."""
    _admit(request, task, rater, key)

    def read() -> dict[str, Any]:
        found = _task(server_of(request), task)
        parts, pictures = contents(found, _place(found, rater, token))
        return {"parts": parts, "pictures": [base64.b64encode(data).decode() for data in pictures]}

    return await run_in_threadpool(read)


@router.post(
    "/rate/{task}/{rater}/{key}/items/{token}",
    summary="Answer to one item",
    response_model=None,
    responses={200: shape(Saved)},
)
async def answer(
    request: Request, task: Name, rater: Name, key: Key, token: Token, body: AnswerRequest
) -> dict[str, Any]:
    """Append the answer; answering again replaces what was said."""
    _admit(request, task, rater, key)

    def write() -> dict[str, Any]:
        found = _task(server_of(request), task)
        place = _place(found, rater, token)
        shown = Shown(body.position, place.item, place.other, place.repeat)
        found.record(rater, shown, dict(body.answers), seconds=body.seconds, comment=body.comment)
        return {"status": "saved"}

    return await run_in_threadpool(write)


def _admit(request: Request, task: str, rater: str, key: str) -> None:
    """Refuse a wrong key as if there were no such page."""
    if not server_of(request).access.is_rating_key(task, rater, key):
        raise no_such_rating()


def _task(server: Server, name: str) -> RatingTask:
    """The task; read once, since it looks through the whole store."""
    with server.rating_lock:
        if name not in server.rating_tasks:
            server.rating_tasks[name] = RatingTask.open(name, server.lab.store)
        return server.rating_tasks[name]


def _place(task: RatingTask, rater: str, token: str) -> Shown:
    found = next((place for place in every_place(task) if task.token(rater, place) == token), None)
    if found is None:
        raise no_such_rating()
    return found

"""The server itself: who I am, what it offers, configs, entry by link, the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, RedirectResponse, Response

import aipipe
from aipipe.api.documented import ANSWERS, answer, shape
from aipipe.api.entry_page import USED_LINK, WRONG_CODE, no_entry
from aipipe.api.people import COOKIE_SECONDS, OPERATOR_COOKIE, VISITOR_COOKIE, Person
from aipipe.api.serving import Server, operator_only, person_of, server_of
from aipipe.api.shapes import ConfigDetails, ConfigList, Health, Links, Session
from aipipe.catalog.inputs import input_names
from aipipe.definitions import Config

STATIC = Path(__file__).resolve().parent / "static"
router = APIRouter(tags=["server"], responses=ANSWERS)


@router.get("/health", summary="Is the server alive?", response_model=None, responses={200: shape(Health)})
async def health(request: Request) -> dict[str, Any]:
    """Says ok as long as the server takes requests; who is known also sees queue and store."""
    server = server_of(request)
    body: dict[str, Any] = {"status": "stopping" if server.stopping.is_set() else "ok", "version": aipipe.__version__}
    if isinstance(request.scope.get("state", {}).get("person"), Person):
        body["queue"] = server.executor.queue.counts()
    return body


@router.get("/api/session", summary="What I may do here", response_model=None, responses={200: shape(Session)})
async def session(request: Request) -> dict[str, Any]:
    """Role, level, modes and queue, as the page's form needs them."""
    server, person = server_of(request), person_of(request)
    rules = server.rules
    return {
        "role": person.role,
        "user_id": person.user_id,
        "locked": rules.locked,
        "level": rules.level,
        "levels": list(rules.levels),
        "modes": list(rules.modes),
        "default_mode": rules.default_mode,
        "version": aipipe.__version__,
        "input_chars": server.lab.settings.limits.input_chars,
        "queue": server.executor.queue.counts(),
    }


@router.get("/api/schemas", summary="Configs that can be run", response_model=None, responses={200: shape(ConfigList)})
async def schemas(
    request: Request, stage: Annotated[str, Query(pattern="^(interception|output)$")] = "interception"
) -> dict[str, Any]:
    """One entry per config; output configs with `stage=output`."""
    server = server_of(request)
    found = await run_in_threadpool(_cards, server, stage)
    return {"status": "success", "schemas": found}


def _cards(server: Server, stage: str) -> list[dict[str, Any]]:
    server.lab.catalog.refresh()
    return [_card(server, c) for c in server.lab.catalog.configs() if c.stage == stage]


def _card(server: Server, config: Config) -> dict[str, Any]:
    pipeline = server.lab.catalog.pipeline(config.pipeline)
    return {
        "name": config.name,
        "title": dict(config.title),
        "description": dict(config.description),
        "pipeline_name": config.pipeline,
        "chunks": list(pipeline.chunks),
        "kind": pipeline.kind,
        "texts": list(input_names(pipeline)),
        "images": pipeline.inputs.images,
        "parameters": {**pipeline.parameters, **config.parameters},
        "output": config.media_preferences.default_output,
        "outputs": list(config.media_preferences.output_configs),
        "tags": {language: list(tags) for language, tags in config.tags.items()},
        "display": dict(config.display),
        "shipped": server.lab.catalog.is_shipped(config.name),
    }


@router.get(
    "/api/schemas/{name:path}",
    summary="One config with its context",
    response_model=None,
    responses={200: shape(ConfigDetails)},
)
async def schema(request: Request, name: str) -> dict[str, Any]:
    """The card of a config, its context in every language, its examples."""
    server = server_of(request)
    config = await run_in_threadpool(server.lab.catalog.config, name[:200])
    context = {"en": config.context} if isinstance(config.context, str) else dict(config.context)
    examples = [e.model_dump(mode="json") for e in config.examples]
    return {**_card(server, config), "context": context, "examples": examples}


@router.post(
    "/api/links",
    summary="A one-time link for another browser",
    response_model=None,
    responses={200: shape(Links), 403: answer("Operator only.")},
)
async def link(request: Request) -> dict[str, Any]:
    """A link that lets one more browser in as operator, and on a locked server the visitors' link."""
    server = server_of(request)
    operator_only(request, "hands out links")
    base = str(request.base_url).rstrip("/")
    body = {"operator": f"{base}/enter?key={server.access.new_link()}", "valid_minutes": 15}
    if server.rules.locked:
        body["visitors"] = f"{base}/join?code={server.access.join_code}"
    return body


_NO_ENTRY = answer("The link does not let in; a browser gets a page that says what to do.")
_NO_ENTRY["content"] = {**_NO_ENTRY["content"], "text/html": {"schema": {"type": "string"}}}
_ENTRY: dict[int | str, dict[str, Any]] = {303: {"description": "Welcome; on to the page."}, 403: _NO_ENTRY}


@router.get("/enter", summary="Enter by a one-time link", responses=_ENTRY, response_class=RedirectResponse)
async def enter(request: Request, key: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Trade the key of a one-time link for a cookie."""
    cookie = server_of(request).access.redeem(key)
    person = request.scope["state"].get("person")
    if cookie is None and isinstance(person, Person) and person.is_operator:
        return RedirectResponse("/", status_code=303)  # a link in the history of a browser that is in already
    if cookie is None:
        return no_entry(request, USED_LINK)
    return _welcome(request, OPERATOR_COOKIE, cookie)


@router.get("/join", summary="Enter as a visitor", responses=_ENTRY, response_class=RedirectResponse)
async def join(request: Request, code: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Trade the visitors' code for a pseudonym of this device; a device that has one keeps it."""
    server = server_of(request)
    if isinstance(request.scope["state"].get("person"), Person):
        return RedirectResponse("/", status_code=303)
    cookie = server.access.join(code)
    if cookie is None:
        return no_entry(request, WRONG_CODE)
    return _welcome(request, VISITOR_COOKIE, cookie)


def _welcome(request: Request, name: str, cookie: str) -> Response:
    response = RedirectResponse("/", status_code=303)
    secure = request.url.scheme == "https"
    response.set_cookie(name, cookie, max_age=COOKIE_SECONDS, httponly=True, samesite="lax", secure=secure)
    return response


@router.get("/", include_in_schema=False)
async def page(request: Request) -> Response:
    """The run history page."""
    server = server_of(request)
    known = isinstance(request.scope["state"].get("person"), Person)
    if not known and server.access.visitors_enter_freely:
        return RedirectResponse("/join", status_code=303)
    return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})


@router.get("/favicon.ico", include_in_schema=False)
async def favicon() -> Response:
    """The page's own icon."""
    return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml")

"""The application: a lab, a store and rules become an ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import aipipe
from aipipe.api.counting import Counter
from aipipe.api.execution import Executor
from aipipe.api.heads import HeadAsGet
from aipipe.api.openapi import document
from aipipe.api.people import Access
from aipipe.api.protection import Hosts, Protection
from aipipe.api.queueing import FairQueue
from aipipe.api.reading import RunReader
from aipipe.api.refusals import DEFAULT_HINTS, error_body, http_status
from aipipe.api.resuming import Resumptions
from aipipe.api.rules import Rules
from aipipe.api.warming import warm
from aipipe.errors import AipipeError, MissingExtra, Overloaded

if TYPE_CHECKING:
    from fastapi import FastAPI

    from aipipe.api.serving import Server
    from aipipe.lab import Lab

DRAIN_SECONDS = 20.0
ABOUT = """Run configs, watch and read runs of a folder of runs.

Programs send the server's token as `Authorization: Bearer …` (a server on loopback has none unless it is locked).
Errors have `status`, `error`, `type` and `hint`."""


def create_app(
    lab: Lab,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    locked: bool = False,
    safety: str | None = None,
    modes: Sequence[str] | None = None,
    workers: int = 1,
    queue_size: int = 50,
    allowed_hosts: Iterable[str] = (),
    drain_seconds: float = DRAIN_SECONDS,
) -> FastAPI:
    """The HTTP application over a lab and its store.

    Args:
        lab: Executes runs; its store is what is shown.
        host: Address the server will be bound to; anything but loopback makes a token compulsory.
        token: Secret of the operator; None makes one where one is needed (see `app.state.server.access`).
        locked: Visitors enter with a pseudonym of their device and see their own runs only.
        safety: Laxest level of a run; None takes the lab's.
        modes: Modes that requests may name; None: see `Rules.make`.
        workers: Runs at the same time.
        queue_size: Runs that may wait.
        allowed_hosts: Further names under which the server is addressed.
        drain_seconds: Time that running runs get when the server stops, before they are cancelled.

    Raises:
        MissingExtra: FastAPI is not installed.
        UnknownName: no such level or mode.
    """
    try:
        from fastapi import FastAPI
    except ImportError:
        raise MissingExtra("The HTTP server", "api") from None
    from aipipe.api.serving import Server

    hosts = Hosts(host, allowed_hosts)
    rules = Rules.make(
        level=safety or lab.settings.safety,
        modes=modes,
        lab_mode=lab.settings.mode,
        loopback=hosts.loopback,
        locked=locked,
    )
    access = Access(token, locked=locked, loopback=hosts.loopback)
    reader = RunReader(lab.store)
    queue = FairQueue(workers, queue_size, per_person=3 if locked else None)
    executor = Executor(lab, reader, rules, queue)
    server = Server(lab, reader, rules, access, executor, Counter(reader), Resumptions(executor))

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        stop = threading.Event()
        threading.Thread(target=warm, args=(reader, stop), name="aipipe-warm", daemon=True).start()
        yield
        stop.set()
        server.stopping.set()
        await asyncio.to_thread(server.executor.close, drain_seconds)
        await asyncio.to_thread(reader.keep)

    app = FastAPI(
        title="aipipe",
        version=aipipe.__version__,
        description=ABOUT,
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts of other sites
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.server = server
    _add_routes(app)
    _add_error_answers(app)
    app.add_middleware(HeadAsGet)
    app.add_middleware(Protection, hosts=hosts, access=access)
    document(app)
    return app


def _add_routes(app: FastAPI) -> None:
    from starlette.staticfiles import StaticFiles

    from aipipe.api import routes_care, routes_events, routes_execute, routes_ratings, routes_runs, routes_service

    for module in (routes_service, routes_runs, routes_events, routes_execute, routes_care, routes_ratings):
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=routes_service.STATIC), name="static")


def _add_error_answers(app: FastAPI) -> None:
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse

    async def typed(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, AipipeError)
        wait = getattr(error, "retry_after", None) if isinstance(error, Overloaded) else None
        headers = {"retry-after": str(int(wait) + 1)} if wait else None
        return JSONResponse(error_body(error), status_code=http_status(error), headers=headers)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return JSONResponse(_invalid_body(error.errors()), status_code=400)

    async def plain(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        hint = getattr(error, "hint", "") or DEFAULT_HINTS.get(error.status_code, "")
        body = {"status": "error", "error": str(error.detail), "type": "Refused", "hint": hint}
        return JSONResponse(body, status_code=error.status_code, headers=error.headers)

    app.add_exception_handler(AipipeError, typed)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)


def _invalid_body(problems: Sequence[Any]) -> dict[str, Any]:
    lines = []
    for problem in problems[:20]:
        where = ".".join(str(part) for part in problem.get("loc", ())[1:]) or "body"
        lines.append(f"{where}: {problem.get('msg', 'is wrong')}")
    hint = "GET /openapi.json describes every field."
    return {"status": "error", "error": "; ".join(lines), "type": "InvalidRequest", "hint": hint, "problems": lines}


def server_of_app(app: FastAPI) -> Server:
    """The server object of an application (its access, queue and rules)."""
    server: Server = app.state.server
    return server

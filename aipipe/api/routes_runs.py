"""Reading runs: list, status, entities, files. Works for runs of any process, since it reads the folders."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import Response, StreamingResponse

from aipipe.api import delivery, describing, listing, repeating
from aipipe.api.counting import Hits
from aipipe.api.documented import ANSWERS, EXAMPLE_RUN, shape
from aipipe.api.serving import Server, person_of, server_of
from aipipe.api.shapes_runs import EntityList, RunDocument, RunList, RunRequest, RunStatus
from aipipe.errors import EntityNotFound, RunNotFound, UnknownName
from aipipe.store import Entity, Run

router = APIRouter(tags=["runs"], responses=ANSWERS)
RunId = Annotated[str, Path(description="Id of the run.", max_length=200, examples=[EXAMPLE_RUN])]
Text = Annotated[str, Query(max_length=200)]
FILTERS = {field.name for field in fields(listing.Filter)} - {"user"} | {"limit", "cursor"}


@router.get("/api/runs", summary="List runs", response_model=None, responses={200: shape(RunList)})
async def list_runs(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200, description="Runs per page.")] = 50,
    cursor: Annotated[str, Query(max_length=300, description="`next` of the page before.")] = "",
    config: Text = "",
    status: Text = "",
    mode: Text = "",
    safety: Text = "",
    participant: Text = "",
    study: Text = "",
    media: Text = "",
    tag: Text = "",
    since: Text = "",
    until: Text = "",
    q: Text = "",
) -> dict[str, Any]:
    """Runs, newest start first. `next` continues; a page may be shorter than `limit` and still have a `next`.

    `hits` counts the runs that fit the filter, `total` all; while a large store is still being read, `hits_exact` is
    false and there are at least so many. The first page of an unfiltered list also has `queued`: the runs that wait in this server's queue, in their order.
    """
    server, person = server_of(request), person_of(request)
    unknown = sorted(set(request.query_params) - FILTERS)
    if unknown:
        raise UnknownName("filter", unknown[0], sorted(FILTERS))
    user = "" if person.is_operator else person.user_id
    wanted = listing.Filter(config, status, mode, safety, participant, study, media, tag, since, until, q, user)
    found = await run_in_threadpool(listing.page, server.reader, wanted, limit=limit, cursor=cursor)
    plain = wanted == listing.Filter(user=user)
    queued = server.executor.queued(person) if status == "queued" or (plain and not cursor) else []
    hits, total = await run_in_threadpool(_counts, server, wanted)
    shown = len(queued) if status == "queued" else len(found["runs"])  # a kept count may be a moment old
    hits = Hits(max(hits.count, shown), hits.exact)
    counts = {"hits": hits.count, "hits_exact": hits.exact, "total": max(total, hits.count)}
    return {**found, **counts, "queued": queued}


def _counts(server: Server, wanted: listing.Filter) -> tuple[Hits, int]:
    """The runs that fit, and all that this person may see."""
    hits = server.counter.hits(wanted)
    everything = listing.Filter(user=wanted.user)
    return hits, hits.count if wanted == everything else server.counter.hits(everything).count


@router.get(
    "/api/runs/{run_id}", summary="metadata.json of a run", response_model=None, responses={200: shape(RunDocument)}
)
async def metadata(request: Request, run_id: RunId) -> dict[str, Any]:
    """The record as it is now, with `status` as readers see it (a run whose writer is gone is `interrupted`)."""
    server = server_of(request)
    run = server.open(run_id, person_of(request))
    return {**run.record.model_dump(mode="json"), "status": server.status(run)}


@router.get(
    "/api/runs/{run_id}/request",
    summary="The request that makes a run again",
    response_model=None,
    responses={200: shape(RunRequest)},
)
async def request_again(request: Request, run_id: RunId) -> dict[str, Any]:
    """What a person had set, as fields of an execute request; `context` where it is not the config's own.

    `images` is how many input images there were; they are entities of the run.
    """
    server = server_of(request)
    run = server.open(run_id, person_of(request))
    return await run_in_threadpool(repeating.request_of, run, server.lab.catalog)


@router.get(
    "/api/pipeline/{run_id}/status", summary="Status of a run", response_model=None, responses={200: shape(RunStatus)}
)
async def status(request: Request, run_id: RunId) -> Response:
    """Where the run stands. A run that waits in this server's queue is `queued`, with place and minutes."""
    server, person = server_of(request), person_of(request)
    try:
        run = server.open(run_id, person)
    except RunNotFound:
        waiting = server.queue_status(run_id, person)
        if waiting is None:
            raise
        return _json(json.dumps(waiting).encode())
    now = server.status(run)
    made: bytes = server.reader.made(
        run_id, f"status {now}", lambda r: json.dumps(describing.status_body(r, now), ensure_ascii=False).encode()
    )
    return _json(made)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


@router.get(
    "/api/pipeline/{run_id}/entities",
    summary="Entities of a run",
    response_model=None,
    responses={200: shape(EntityList)},
)
async def entities(request: Request, run_id: RunId) -> dict[str, Any]:
    """Every recorded thing with its address."""
    run = server_of(request).open(run_id, person_of(request))
    entries = describing.entity_entries(run)
    return {"run_id": run.folder.name, "entity_count": len(entries), "entities": entries}


@router.get(
    "/api/pipeline/{run_id}/entity/{type}",
    summary="Bytes of an entity",
    response_class=Response,
    responses={
        200: {"description": "The bytes, with their recorded type.", "content": {"*/*": {}}},
        206: {"description": "A range of the bytes.", "content": {"*/*": {}}},
        304: {"description": "Unchanged since the given ETag."},
        416: {"description": "The range lies outside the file."},
    },
)
async def entity(
    request: Request,
    run_id: RunId,
    type: Annotated[str, Path(max_length=64, description="Entity type.", examples=["output_image"])],  # noqa: A002
    index: Annotated[int, Query(ge=0, le=1_000_000, description="Which of several of this type, from 0.")] = 0,
    download: Annotated[bool, Query(description="Ask the browser to save it.")] = False,
) -> Response:
    """The file of an entity: inline where it is harmless, else as a download; HTML always as plain text."""
    found = _entity(server_of(request).open(run_id, person_of(request)), type, index)
    return delivery.entity_response(request, found, download=download)


def _entity(run: Run, type_: str, index: int) -> Entity:
    found = run.all(type_)
    if index < len(found):
        return found[index]
    have = sorted({e.type for e in run.record.entities})
    message = (
        f"This run has {len(found)} entities {type_[:64]!r}." if found else f"This run has no entity {type_[:64]!r}."
    )
    raise EntityNotFound(message, hint=f"It has: {', '.join(have) or 'nothing yet'}.")


@router.get(
    "/api/pipeline/{run_id}/thumbnail",
    summary="A small picture",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}, 304: {"description": "Unchanged."}},
)
async def thumbnail(
    request: Request,
    run_id: RunId,
    size: Annotated[int, Query(ge=16, le=640, description="Longest side in pixels.")] = 320,
    index: Annotated[int, Query(ge=0, le=1_000)] = 0,
) -> Response:
    """A WebP of an output image of the run; where it made none, a frame of its film."""
    server = server_of(request)
    run = server.open(run_id, person_of(request))
    film = not run.all("output_image") and run.all("output_video")
    found = _entity(run, "output_video" if film else "output_image", index)
    data, etag = await run_in_threadpool(delivery.thumbnail, server.reader.store.path, found, size)
    headers = {"etag": etag, "cache-control": "private, max-age=86400"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="image/webp", headers=headers)


@router.get(
    "/api/runs/{run_id}/download",
    summary="A run as ZIP",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}}},
)
async def download(request: Request, run_id: RunId) -> Response:
    """All files of a run. Visitors get neither provenance nor raw model exchanges."""
    person = person_of(request)
    run = server_of(request).open(run_id, person)
    parts = delivery.zipped(run, own_files=person.is_operator)
    headers = {"content-disposition": delivery.disposition("attachment", f"{run.folder.name}.zip")}
    return StreamingResponse(iterate_in_threadpool(parts), media_type="application/zip", headers=headers)

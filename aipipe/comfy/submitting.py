"""Submit once: after an unclear failure look for the job before sending it again. Servers do not notice doubles."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from aipipe.comfy import failures, graphs
from aipipe.comfy.messages import loads
from aipipe.errors import BadAnswer, Overloaded, ServiceError, Unreachable

if TYPE_CHECKING:
    from aipipe.comfy.server import Server

LOOKS = (0.0, 0.1, 0.3, 0.6, 1.0)
"""Pauses in seconds between looks for a job of which nobody knows whether it arrived."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server took the job under `job_id`; `node_errors` names output nodes that it will not run."""

    job_id: str
    node_errors: dict[str, Any] = field(default_factory=dict)


def post_prompt(server: Server, body: Mapping[str, Any], graph: graphs.Graph, job_id: str) -> Accepted:
    """Send a job exactly once.

    Raises:
        Rejected: the graph does not validate.
        Unreachable: no answer, twice, and the server does not know the job.
    """
    failure: ServiceError | None = None
    text = ""
    for _ in range(2):
        try:
            answer = _post(server, body)
        except Unreachable as error:
            if getattr(error, "unsent", False):
                raise
            failure = error
        else:
            accepted = _read(server, answer, graph, job_id)
            if accepted is not None:
                return accepted
            failure, text = None, answer.text
        if _known(server, job_id):
            return Accepted(job_id)
    if failure is not None:
        failure.data["job_id"] = failure.job_id = job_id  # type: ignore[attr-defined]
        raise failure
    raise failures.rejected(_plain(text), graph, job_id, server.url)


def _post(server: Server, body: Mapping[str, Any]) -> httpx.Response:
    for _ in range(3):
        try:
            return server.http.post("/prompt", body)
        except Overloaded as error:  # refused before anything was done
            time.sleep(min(error.retry_after or 1.0, 10.0))
    return server.http.post("/prompt", body)


def _read(server: Server, answer: httpx.Response, graph: graphs.Graph, job_id: str) -> Accepted | None:
    """The meaning of an answer; None when it leaves open whether the job was taken."""
    try:
        value = loads(answer.content)
    except ValueError:
        value = None
    if answer.status_code == 200:
        if not isinstance(value, Mapping) or not isinstance(value.get("prompt_id"), str):
            return None
        errors = value.get("node_errors")
        return Accepted(value["prompt_id"], dict(errors) if isinstance(errors, Mapping) else {})
    if answer.status_code in (404, 405):
        raise BadAnswer(f"{server.url} takes no jobs ({answer.status_code}).", hint="Is this a ComfyUI server?")
    if 400 <= answer.status_code < 500:
        raise failures.rejected(value if value is not None else _plain(answer.text), graph, job_id, server.url)
    return None


def _plain(text: str) -> str:
    if "got itself in trouble" in text:
        return "the server itself failed while it read the graph (status 500)"
    return text.strip()[:300] or "no answer that makes sense"


def _known(server: Server, job_id: str) -> bool:
    """True when queue or history have the job."""
    for pause in LOOKS:
        time.sleep(pause)
        try:
            poll = server.poll(job_id)
        except ServiceError:
            continue
        if poll.entry is not None or poll.where is not None:
            return True
    return False

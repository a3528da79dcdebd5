"""Parts of the OpenAPI document that many routes share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from aipipe.api.shapes import ErrorAnswer

EXAMPLE_RUN = "01a209d5-a393-71d0-9db9-8fe068936c27"

_EXAMPLE: dict[str, Any] = {
    "status": "error",
    "error": "There is no config 'dade'. Did you mean 'dada'?",
    "type": "UnknownName",
    "hint": "Known: bauhaus, dada, passthrough …",
    "suggestions": ["dada"],
}


def answer(description: str) -> dict[str, Any]:
    """An error answer with the common body."""
    return {
        "description": description,
        "model": ErrorAnswer,
        "content": {"application/json": {"example": _EXAMPLE}},
    }


def shape(model: type[BaseModel], description: str = "", example: Any = None) -> dict[str, Any]:
    """A JSON answer of this shape; routes that use it have `response_model=None`, for nothing is run through it."""
    found: dict[str, Any] = {"model": model, "description": description or (model.__doc__ or "").partition("\n")[0]}
    if example is not None:
        found["content"] = {"application/json": {"example": example}}
    return found


ANSWERS: dict[int | str, dict[str, Any]] = {
    400: answer("The request is wrong; nothing was recorded."),
    401: answer("The server wants a token."),
    403: answer("Another web site sent it, the server does not allow it, or safety blocked it (then with `run_id`)."),
    404: answer("There is no such run, entity or config (with `suggestions`)."),
    408: answer("The request came too slowly."),
    409: answer("It is there, but not in a state for this request."),
    413: answer("The body is too large."),
    421: answer("The server does not answer to this host name."),
    429: answer("The queue is full (with `place` and `minutes`), or too many requests. See Retry-After."),
}

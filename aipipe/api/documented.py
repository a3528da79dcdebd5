"""Parts of the OpenAPI document that many routes share."""

from __future__ import annotations

from typing import Any

EXAMPLE_RUN = "01a209d5-a393-71d0-9db9-8fe068936c27"

_ERROR: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["status", "error"],
            "properties": {
                "status": {"type": "string", "const": "error"},
                "error": {"type": "string", "description": "What happened."},
                "type": {"type": "string", "description": "Kind of the error."},
                "hint": {"type": "string", "description": "What to do next."},
                "suggestions": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Known names that look alike.",
                },
            },
        },
        "example": {
            "status": "error",
            "error": "There is no config 'dade'. Did you mean 'dada'?",
            "type": "UnknownName",
            "hint": "Known: bauhaus, dada, passthrough …",
            "suggestions": ["dada"],
        },
    }
}


def answer(description: str) -> dict[str, Any]:
    """An error answer with the common body."""
    return {"description": description, "content": _ERROR}


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

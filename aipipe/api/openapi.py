"""The OpenAPI document as the server really is: how one gets in, and that a request that does not fit is answered by 400."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

SCHEMES: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "The operator's token, as `aipipe serve` shows it."},
    "operator": {
        "type": "apiKey",
        "in": "cookie",
        "name": "aipipe_operator",
        "description": "Set by a one-time link (/enter).",
    },
    "visitor": {
        "type": "apiKey",
        "in": "cookie",
        "name": "aipipe_visitor",
        "description": "Set by the visitors' link (/join).",
    },
}
OPEN = ("/health", "/enter", "/join")
"""Addresses that let everybody in."""


def document(app: FastAPI) -> None:
    """Correct what the framework assumes of its own about the document of `app`."""
    made = app.openapi

    def corrected() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = made()
            _security(found)
            _answers(found)
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = corrected  # type: ignore[method-assign]


def _security(found: dict[str, Any]) -> None:
    from aipipe.api.people import OPERATOR_COOKIE, VISITOR_COOKIE

    schemes = {**SCHEMES, "operator": {**SCHEMES["operator"], "name": OPERATOR_COOKIE}}
    schemes["visitor"] = {**SCHEMES["visitor"], "name": VISITOR_COOKIE}
    found.setdefault("components", {})["securitySchemes"] = schemes
    # {}: on loopback a server that is not locked wants nothing.
    found["security"] = [{}, *({name: []} for name in schemes)]
    for path, operations in found["paths"].items():
        for operation in operations.values():
            if path in OPEN:
                operation["security"] = []


def _answers(found: dict[str, Any]) -> None:
    for operations in found["paths"].values():
        for operation in operations.values():
            operation.get("responses", {}).pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        found.get("components", {}).get("schemas", {}).pop(name, None)

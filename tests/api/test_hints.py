"""Every refusal says what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from aipipe import errors
from aipipe.api.refusals import DEFAULT_HINTS, error_body, http_status
from aipipe.safety.terms import Terms
from tests.api.conftest import Serve, Served
from tests.api.test_routes import _block_terms

EXECUTE = "/api/schema/pipeline/execute"
FLOWER = {"schema": "dada", "input_text": "x"}


@pytest.fixture(scope="module")
def locked(module_serve: Serve) -> Served:
    return module_serve(locked=True, token="op", safety="youth")


@pytest.fixture
def visitor(locked: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=locked.url, follow_redirects=True, timeout=30) as client:
        client.get("/")
        yield client


@pytest.mark.parametrize(
    ("status", "method", "path", "options"),
    [
        (403, "POST", EXECUTE, {"json": FLOWER, "headers": {"origin": "http://evil.example"}}),
        (403, "POST", EXECUTE, {"json": {**FLOWER, "safety_level": "off"}}),
        (403, "POST", EXECUTE, {"json": {**FLOWER, "models": {"safety": "x"}}}),
        (403, "POST", EXECUTE, {"json": {**FLOWER, "input_text": _block_terms(Terms.shipped())[0]}}),
        (403, "POST", "/api/links", {}),
        (403, "POST", "/api/ratings/surprise/links", {"json": {"raters": ["anna"]}}),
        (413, "POST", EXECUTE, {"content": b"x" * 24_000_001}),
        (400, "POST", EXECUTE, {"content": b"{"}),
        (400, "GET", "/api/runs?colour=red", {}),
        (400, "GET", "/api/schemas?stage=none", {}),
        (404, "GET", "/api/nothing", {}),
        (404, "GET", "/api/runs/nothing", {}),
        (404, "GET", "/api/schemas/dade", {}),
        (404, "GET", "/rate/surprise/anna/" + "0" * 32, {}),
        (405, "DELETE", "/api/runs", {}),
        (421, "GET", "/health", {"headers": {"host": "evil.example"}}),
    ],
)
def test_a_visitor_is_told_what_to_do(
    visitor: httpx.Client, status: int, method: str, path: str, options: dict[str, Any]
) -> None:
    answer = visitor.request(method, path, **options)
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["status"] == "error"
    assert body["type"]
    assert len(body["hint"]) > 10


def test_a_stranger_and_an_ended_run_are_told_too(locked: Served) -> None:
    assert httpx.get(f"{locked.url}/api/runs").json()["hint"]
    headers = {"authorization": "Bearer op"}
    run_id = httpx.post(f"{locked.url}{EXECUTE}", json=FLOWER, headers=headers, timeout=30).json()["run_id"]
    answer = httpx.post(f"{locked.url}/api/pipeline/{run_id}/cancel", headers=headers)
    assert (answer.status_code, bool(answer.json()["hint"])) == (409, True)


def test_every_error_has_a_hint_whoever_raised_it() -> None:
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.AipipeError)]
    assert len(kinds) > 10
    known: dict[str, Any] = {"kind": "config", "suggestions": [], "message": "It did not work.", "hint": ""}
    for kind in kinds:
        error = type(f"Bare{kind.__name__}", (kind,), {"__init__": lambda self: vars(self).update(known)})()
        assert http_status(error) in DEFAULT_HINTS
        assert error_body(error)["hint"]

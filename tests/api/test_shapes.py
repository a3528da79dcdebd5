"""Every JSON answer has a shape in the OpenAPI document, and real answers have this shape: no field more, none less."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from jsonschema import Draft202012Validator

import aipipe
from tests.api.conftest import Serve, Served

EXECUTE = "/api/schema/pipeline/execute"
NO_JSON = {"/enter", "/join"}


@pytest.fixture(scope="module")
def document(shared: Served) -> dict[str, Any]:
    found: dict[str, Any] = shared.client.get("/openapi.json").json()
    return found


def test_every_json_answer_has_a_named_shape(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                found = answer.get("content", {}).get("application/json")
                if found is not None:
                    assert "$ref" in found["schema"], (path, method, status)
            if path not in NO_JSON:
                assert any("content" in answer for answer in operation["responses"].values()), (path, method)


def conforms(document: dict[str, Any], path: str, answer: httpx.Response) -> None:
    """Hold an answer against its shape, which must name every field that is sent."""
    method = answer.request.method.lower()
    schema = document["paths"][path][method]["responses"][str(answer.status_code)]["content"]["application/json"][
        "schema"
    ]
    whole = {**schema, "components": document["components"]}  # what its references point into
    assert [error.message for error in Draft202012Validator(whole).iter_errors(answer.json())] == []
    assert _unnamed(document, schema, answer.json(), path) == []


def _unnamed(document: dict[str, Any], schema: dict[str, Any], value: Any, where: str) -> list[str]:
    """Fields that a value has and its schema does not."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        return _unnamed(document, options[0], value, where) if len(options) == 1 and value is not None else []
    if isinstance(value, list):
        return [f for item in value for f in _unnamed(document, schema.get("items", {}), item, where)]
    known = schema.get("properties")
    if not isinstance(value, dict) or known is None:
        return []
    return [f"{where}.{name}" for name in value if name not in known] + [
        found
        for name in value
        if name in known
        for found in _unnamed(document, known[name], value[name], f"{where}.{name}")
    ]


def test_answers_of_runs(served: Served, document: dict[str, Any]) -> None:
    def get(path: str, shape: str, **options: Any) -> None:
        conforms(document, shape, served.client.get(path, **options))

    for more in (
        {},
        {"until": "interception"},
        {"outputs": ["placeholder", "sketch"]},
        {"schema": "stillepost", "labels": {"a": "b"}},
        {"context": "As a stone.", "tags": ["x"]},
        {"async": True},
        {"safety_level": "none"},
        {"schema": "dade"},
        {"colour": "red"},
    ):
        conforms(document, EXECUTE, served.execute(**more))
    from aipipe.safety.terms import Terms
    from tests.api.test_routes import _block_terms

    conforms(document, EXECUTE, served.execute(_block_terms(Terms.shipped())[0]))
    for run in list(served.lab.store):
        get(f"/api/runs/{run.run_id}", "/api/runs/{run_id}")
        get(f"/api/runs/{run.run_id}/request", "/api/runs/{run_id}/request")
        get(f"/api/pipeline/{run.run_id}/status", "/api/pipeline/{run_id}/status")
        get(f"/api/pipeline/{run.run_id}/entities", "/api/pipeline/{run_id}/entities")
        get(f"/api/runs/{run.run_id}/tags", "/api/runs/{run_id}/tags")
        get(f"/api/runs/{run.run_id}/verify", "/api/runs/{run_id}/verify")
        asked = served.client.post(f"/api/pipeline/{run.run_id}/resume")
        conforms(document, "/api/pipeline/{run_id}/resume", asked)
        asked = served.client.post(f"/api/runs/{run.run_id}/tags", json={"add": ["keep"]})
        conforms(document, "/api/runs/{run_id}/tags", asked)
    for schema in ("dada", "stillepost", "passthrough"):
        asked = served.client.post("/api/schema/pipeline/preview", json={"schema": schema, "input_text": "x"})
        conforms(document, "/api/schema/pipeline/preview", asked)
    get("/api/runs", "/api/runs", params={"limit": 3})
    get("/api/runs", "/api/runs", params={"status": "none"})
    get("/api/runs/nothing", "/api/runs/{run_id}")


def test_answers_of_waiting_and_cancelled_runs(serve: Serve, document: dict[str, Any]) -> None:
    served = serve(slow=0.1, queue_size=2)
    ids = [served.execute(**{"async": True}).json()["run_id"] for _ in range(3)]
    conforms(document, EXECUTE, served.execute())
    conforms(document, "/api/pipeline/{run_id}/status", served.client.get(f"/api/pipeline/{ids[2]}/status"))
    conforms(document, "/api/runs", served.client.get("/api/runs"))
    for run_id in ids:
        conforms(document, "/api/pipeline/{run_id}/cancel", served.client.post(f"/api/pipeline/{run_id}/cancel"))
    conforms(document, "/api/pipeline/{run_id}/cancel", served.client.post(f"/api/pipeline/{ids[2]}/cancel"))


def test_answers_of_the_server(serve: Serve, document: dict[str, Any]) -> None:
    served = serve(locked=True, token="op")
    conforms(document, "/health", served.client.get("/health"))
    conforms(document, "/api/session", served.client.get("/api/session"))
    served.client.headers["authorization"] = "Bearer op"
    for path in ("/health", "/api/session", "/api/schemas"):
        conforms(document, path, served.client.get(path))
    conforms(document, "/api/schemas", served.client.get("/api/schemas", params={"stage": "output"}))
    for card in served.client.get("/api/schemas").json()["schemas"]:
        conforms(document, "/api/schemas/{name}", served.client.get(f"/api/schemas/{card['name']}"))
    conforms(document, "/api/links", served.client.post("/api/links"))


def test_answers_of_ratings(serve: Serve, document: dict[str, Any], tmp_path: Path) -> None:
    task = aipipe.RatingTask("surprise", aipipe.samples(tmp_path / "runs"), criteria=["surprise"], order_seed=1)
    served = serve(runs=task.root, token="op")
    asked = served.client.post(
        "/api/ratings/surprise/links", json={"raters": ["anna"]}, headers={"authorization": "Bearer op"}
    )
    conforms(document, "/api/ratings/{task}/links", asked)
    link = urlsplit(asked.json()["links"]["anna"]).path
    shape = "/rate/{task}/{rater}/{key}"
    state = served.client.get(f"{link}/state")
    conforms(document, f"{shape}/state", state)
    for token in state.json()["tokens"]:
        conforms(document, f"{shape}/items/{{token}}", served.client.get(f"{link}/items/{token}"))
    saved = served.client.post(f"{link}/items/{token}", json={"answers": {"surprise": 3}})
    conforms(document, f"{shape}/items/{{token}}", saved)

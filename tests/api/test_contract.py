"""The OpenAPI document is what the server does: generated requests, valid and not, bring no 5xx and no undocumented answer."""

from __future__ import annotations

from typing import Any

import schemathesis
import schemathesis.checks
from hypothesis import HealthCheck, Phase, given, settings

from tests.api.conftest import Served


def test_every_route_has_a_summary_and_the_execute_route_examples(served: Served) -> None:
    document = served.client.get("/openapi.json").json()
    operations = [o for path in document["paths"].values() for o in path.values()]
    assert len(operations) >= 12
    assert all(o.get("summary") and o.get("description") for o in operations)
    assert document["components"]["schemas"]["ExecuteRequest"]["examples"]


def test_generated_requests_bring_no_surprise(served: Served) -> None:
    served.execute()
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    checks = [
        schemathesis.checks.not_a_server_error,
        schemathesis.specs.openapi.checks.status_code_conformance,
        schemathesis.specs.openapi.checks.response_schema_conformance,
    ]
    run_ids = [run.run_id for run in served.lab.store]
    seen = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        seen.add(operation.label)

        @settings(
            max_examples=12,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            if "run_id" in (case.path_parameters or {}) and len(str(case.path_parameters["run_id"])) % 2:
                case.path_parameters["run_id"] = run_ids[0]
            if case.path == "/api/schema/pipeline/execute" and isinstance(case.body, dict):
                case.body["async"] = True
            case.call_and_validate(checks=checks, timeout=20)

        ask()
    assert "POST /api/schema/pipeline/execute" in seen


def test_the_document_says_how_one_gets_in_and_that_a_wrong_request_is_a_400(served: Served) -> None:
    document = served.client.get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert {scheme["type"] for scheme in schemes.values()} == {"http", "apiKey"}
    assert document["security"][0] == {}, "nothing is wanted on loopback"
    assert document["paths"]["/health"]["get"]["security"] == []
    operations = [o for path in document["paths"].values() for o in path.values()]
    assert not any("422" in operation["responses"] for operation in operations)
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])
    assert served.client.get("/api/runs", params={"limit": "many"}).status_code == 400

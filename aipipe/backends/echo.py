"""The echo backend: a deterministic stand-in for tests and offline notebooks, only ever chosen by name.

It returns the last message unchanged; for a schema, the smallest document that satisfies it, with `safe` true.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from aipipe.backends.base import Probe, TextRequest, TextResult
from aipipe.errors import BadAnswer
from aipipe.events import TextDelta, Watch
from aipipe.settings import BackendSettings


class EchoBackend:
    """Returns text unchanged, at once."""

    kind = "echo"

    def __init__(self, name: str = "echo", settings: BackendSettings | None = None, local: bool = True) -> None:
        self.name = name
        self.local = True

    def complete(self, request: TextRequest, watch: Watch) -> TextResult:
        """Answer with the last message.

        Raises:
            BadAnswer: there is nothing to return.
            RunCancelled: the run was asked to stop.
        """
        started = time.monotonic()
        watch.cancellation.check()
        text = request.messages[-1].content.strip() if request.messages else ""
        if request.schema is not None:
            text = json.dumps(smallest(request.schema), ensure_ascii=False)
        if not text:
            raise BadAnswer("The echo backend was asked nothing.", hint="The last message is empty.")
        watch.emit(TextDelta(text=text))
        words = len(text.split())
        return TextResult(
            text=text,
            model="echo",
            tokens_in=sum(len(m.content.split()) for m in request.messages),
            tokens_out=words,
            seconds=time.monotonic() - started,
            request={"messages": [{"role": m.role, "content": m.content} for m in request.messages]},
            response={"text": text},
        )

    def probe(self) -> Probe:
        """Always there."""
        return Probe(ok=True, detail="returns text unchanged (tests and offline notebooks)", models=("echo",))

    def close(self) -> None:
        """Nothing to release."""


def smallest(schema: Mapping[str, Any]) -> Any:
    """The smallest instance of a JSON Schema; booleans are true, so that a verdict reads safe."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        required = schema.get("required", list(schema.get("properties", {})))
        return {name: smallest(schema.get("properties", {}).get(name, {})) for name in required}
    if kind == "array":
        return [smallest(schema.get("items", {})) for _ in range(int(schema.get("minItems", 0)))]
    simple: dict[str, Any] = {
        "boolean": True,
        "null": None,
        "integer": schema.get("minimum", 0),
        "number": schema.get("minimum", 0),
    }
    return simple.get(kind, "")

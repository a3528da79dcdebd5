"""What every language model backend must do. Inherit, and give `backend` as a fixture.

class TestMine(BackendConformance):
    @pytest.fixture
    def backend(self):
        return MyBackend("mine", BackendSettings(kind="mine"))
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from aipipe.backends.base import Backend, TextRequest
from aipipe.cancellation import Cancellation
from aipipe.errors import AipipeError, RunCancelled
from aipipe.events import Event, TextDelta, Watch
from aipipe.messages import Message

QUESTION = (
    Message("system", "You repeat the user's message word for word."),
    Message("user", "a red flower"),
)
SCHEMA = {
    "type": "object",
    "properties": {"safe": {"type": "boolean"}},
    "required": ["safe"],
    "additionalProperties": False,
}


class BackendConformance:
    """The suite; `model` names the model to ask ("" for the backend's own)."""

    model = ""

    def ask(self, backend: Backend, watch: Watch | None = None, **more: Any) -> Any:
        """One small request."""
        values: dict[str, Any] = {
            "model": self.model,
            "messages": QUESTION,
            "parameters": {"max_tokens": 40, "temperature": 0},
        }
        return backend.complete(TextRequest(**{**values, **more}), watch or Watch())

    def test_it_answers_with_text_and_facts(self, backend: Backend) -> None:
        """Text, model and duration are there."""
        result = self.ask(backend)
        assert result.text.strip()
        assert result.finish == "stop"
        assert result.seconds >= 0
        assert result.attempts == 1

    def test_the_same_seed_gives_the_same_text(self, backend: Backend) -> None:
        """A seed is kept."""
        more: dict[str, Any] = {"seed": 3, "parameters": {"max_tokens": 16, "temperature": 0.9}}
        assert self.ask(backend, **more).text == self.ask(backend, **more).text

    def test_it_streams_what_it_answers(self, backend: Backend) -> None:
        """The streamed pieces are the answer."""
        seen: list[Event] = []
        result = self.ask(backend, Watch(emit=seen.append))
        streamed = "".join(e.text for e in seen if isinstance(e, TextDelta) and not e.thinking)
        assert streamed.strip() == result.text.strip()

    def test_json_is_json(self, backend: Backend) -> None:
        """A schema is kept."""
        messages = (Message("system", "Is the text harmless? Answer in JSON."), Message("user", "a red flower"))
        answer = json.loads(self.ask(backend, messages=messages, schema=SCHEMA).text)
        assert isinstance(answer["safe"], bool)

    def test_a_cancelled_call_stops(self, backend: Backend) -> None:
        """Cancelling during a call ends it soon, with `RunCancelled`."""
        cancellation = Cancellation()
        threading.Timer(0.3, cancellation.cancel).start()
        started = time.monotonic()
        story = (Message("user", "Tell a very long story about a red flower, with many chapters."),)
        try:
            self.ask(backend, Watch(cancellation=cancellation), messages=story, parameters={"max_tokens": 400})
        except RunCancelled:
            assert time.monotonic() - started < 10

    def test_an_unknown_parameter_is_refused_or_ignored_by_name(self, backend: Backend) -> None:
        """What the service does not know is never sent silently under another meaning."""
        try:
            self.ask(backend, parameters={"no_such_parameter": 1})
        except AipipeError as error:
            assert "no_such_parameter" in str(error)

    def test_the_probe_tells_what_is_there(self, backend: Backend) -> None:
        """A backend that answers says so."""
        assert backend.probe().ok

"""The seam to language models: one request in, one result out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from aipipe.events import Watch
from aipipe.messages import Message


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time limits of one call, in seconds.

    Attributes:
        connect: Until the connection stands.
        silence: Longest pause between two bytes of the answer. Minutes: busy CPU models are slow.
        total: The whole call.
    """

    connect: float = 5.0
    silence: float = 300.0
    total: float = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRequest:
    """One call of a language model.

    Attributes:
        task: "translation", "safety", "interception" or "vision".
        model: Model name at the backend; "" takes the backend's default.
        messages: The conversation.
        parameters: Sampling parameters under their OpenAI names (temperature, top_p, top_k, max_tokens, stop,
            presence_penalty, frequency_penalty, repeat_penalty …). A backend maps what its service knows and refuses
            what it does not.
        seed: Seed of the sampler (`text_seed` of the run).
        schema: JSON Schema that the answer must satisfy, or None for free text.
        timeouts: Time limits.
    """

    messages: tuple[Message, ...]
    task: str = "interception"
    model: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    schema: Mapping[str, Any] | None = None
    timeouts: Timeouts = Timeouts()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextResult:
    """The answer of a language model.

    Attributes:
        text: The answer, stripped, without chain-of-thought. Never empty.
        model: The model that answered, as the service names it.
        model_digest: The service's digest of the model file, "" if it gives none.
        finish: Why it ended: "stop" (a natural end) or "length" (cut at max_tokens).
        thinking: Chain-of-thought, "" if none.
        tokens_in: Tokens of the prompt, None if unknown.
        tokens_out: Tokens of the answer, None if unknown.
        attempts: How often the service was asked.
        seconds: Wall time.
        request: The body as sent, without secrets and image bytes (for exchanges.jsonl).
        response: The body as received (streams folded into one document).
    """

    text: str
    model: str
    model_digest: str = ""
    finish: Literal["stop", "length"] = "stop"
    thinking: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    attempts: int = 1
    seconds: float = 0.0
    request: Mapping[str, Any] = field(default_factory=dict)
    response: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a service says of itself; never raises, so that a doctor can list everything.

    Attributes:
        ok: It answers.
        detail: One line: version, or what is wrong.
        hint: What to do when it is not ok.
        version: Version of the service.
        models: Names of the models it has.
    """

    ok: bool
    detail: str = ""
    hint: str = ""
    version: str = ""
    models: tuple[str, ...] = ()


def instead(models: Sequence[str]) -> str:
    """The end of a hint: a model that a service does have, and how to take it."""
    if not models:
        return "."
    more = f" ({len(models)} in all)" if len(models) > 1 else ""
    return f"; or take one it has{more}: `-m {models[0]}`, or models in [modes.…] of aipipe.toml."


@runtime_checkable
class Backend(Protocol):
    """Adapter to a language model service.

    Attributes:
        name: The name under `[backends.NAME]`, as records show it.
        kind: "ollama", "openai", "embedded" or "echo".
        local: True when texts do not leave this machine or its trusted hosts.
    """

    name: str
    kind: str
    local: bool

    def complete(self, request: TextRequest, watch: Watch) -> TextResult:
        """Ask the model and wait; streamed pieces go to `watch.emit` as `TextDelta`.

        Raises:
            Unavailable, ModelMissing, Refused, Overloaded, ServiceTimeout, BadAnswer: see `aipipe.errors`.
            RunCancelled: when the watch's cancellation was requested.
        """

    def probe(self) -> Probe:
        """Ask within a few seconds what the service has; never raises."""

    def close(self) -> None:
        """Release connections. The backend may be used again afterwards."""

"""OpenAI-compatible servers: llama.cpp, vLLM, LM Studio, OpenRouter, OpenAI (`/chat/completions`, server-sent events)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx

from aipipe.backends import http
from aipipe.backends.base import Probe, TextRequest, TextResult, instead
from aipipe.backends.collecting import Collector
from aipipe.errors import BadAnswer, ModelMissing, Refused
from aipipe.events import Watch
from aipipe.keys import find_key, key_hint
from aipipe.media import sniff
from aipipe.messages import Message
from aipipe.settings import BackendSettings

PARAMETERS = (
    "temperature", "top_p", "top_k", "min_p", "max_tokens", "stop", "presence_penalty", "frequency_penalty", "repeat_penalty",
    "repetition_penalty", "reasoning_effort",
)  # fmt: skip


class OpenAIBackend:
    """A server that speaks OpenAI's chat protocol."""

    kind = "openai"
    start_hint = "Start the server, or choose another mode: --mode embedded."

    def __init__(self, name: str, settings: BackendSettings, local: bool = True) -> None:
        self.name = name
        self.local = local
        self._settings = settings
        url = settings.url.rstrip("/")
        self._url = url if url.endswith("/v1") or "/v1/" in url else f"{url}/v1"
        self._is_llamacpp: bool | None = None

    def complete(self, request: TextRequest, watch: Watch) -> TextResult:
        """Ask the model; see `aipipe.backends.base.Backend.complete`."""
        model = request.model or self._settings.model or self._first_model()
        body = self._body(request, model)
        call = http.Call(
            url=f"{self._url}/chat/completions",
            body=body,
            service=f"{self.name} at {self._url}",
            headers=self._headers(),
            timeouts=request.timeouts,
            start_hint=self.start_hint,
            missing=lambda status, text: self._missing(model, status, text),
        )
        collector = Collector(request, watch)
        collector.model = model
        with http.stream(call, watch) as answered:
            for line in answered.lines:
                _take(collector, line, call.service)
            attempts = answered.attempts
        return collector.result(call.service, attempts=attempts, sent=_without_images(body))

    def probe(self) -> Probe:
        """The models it lists."""
        if self._settings.key_env and not find_key(self._settings.key_env):
            return Probe(ok=False, detail=f"no key in {self._settings.key_env}", hint=key_hint(self._settings.key_env))
        try:
            listed = http.get_json(
                f"{self._url}/models", self._headers(), 4.0 if not self.local else http.PROBE_SECONDS
            )
            models = tuple(sorted(str(m["id"]) for m in listed["data"]))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            return Probe(ok=False, detail=f"no answer at {self._url} ({type(error).__name__})", hint=self.start_hint)
        self._is_llamacpp = any(m.get("owned_by") == "llamacpp" for m in listed["data"])
        return Probe(ok=True, detail=f"answers at {self._url}", models=models)

    def close(self) -> None:
        """Nothing is kept open between calls."""

    def _headers(self) -> dict[str, str]:
        key = self._key()
        return {"authorization": f"Bearer {key}"} if key else {}

    def _key(self) -> str:
        if not self._settings.key_env:
            return ""
        key = find_key(self._settings.key_env)
        if not key:
            raise Refused(
                f"{self.name!r} needs a key, and {self._settings.key_env} is not set.",
                hint=key_hint(self._settings.key_env),
            )
        return key

    def _missing(self, model: str, status: int, text: str) -> ModelMissing | None:
        if status != 404 and not (status == 400 and "model" in text.lower() and "not" in text.lower()):
            return None
        return ModelMissing(
            f"{self.name!r} has no model {model!r}: {text}",
            hint=f"`aipipe doctor` lists its models{instead(self.probe().models)}",
            model=model,
        )

    def _first_model(self) -> str:
        probe = self.probe()
        if probe.ok and not probe.models:
            raise ModelMissing(
                f"{self.name!r} lists no model.", hint="Load one in the server, or name one in aipipe.toml."
            )
        return probe.models[0] if probe.models else ""

    def _body(self, request: TextRequest, model: str) -> dict[str, Any]:
        for name in request.parameters:
            if name not in PARAMETERS:
                raise Refused(
                    f"{self.name!r} does not know the parameter {name!r}.", hint=f"It knows {', '.join(PARAMETERS)}."
                )
        body: dict[str, Any] = {
            "model": model,
            "messages": [_message(m) for m in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "seed": request.seed,
            **request.parameters,
        }
        if request.schema is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": dict(request.schema)},
            }
        if self._llamacpp():
            body["cache_prompt"] = self._caches(request)
        return body

    def _caches(self, request: TextRequest) -> bool:
        """Whether llama.cpp may reuse what it computed of an earlier prompt: with it, one seed can give several texts."""
        return False

    def _llamacpp(self) -> bool:
        if self._is_llamacpp is None and self.local:
            self.probe()
        return bool(self._is_llamacpp)


def _message(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.content}
    parts: list[dict[str, Any]] = [{"type": "text", "text": message.content}]
    for image in message.images:
        data = base64.b64encode(image).decode("ascii")
        parts.append({"type": "image_url", "image_url": {"url": f"data:{sniff(image[:64]).mime};base64,{data}"}})
    return {"role": message.role, "content": parts}


def _without_images(body: Mapping[str, Any]) -> dict[str, Any]:
    messages = []
    for message in body["messages"]:
        content = message["content"]
        if isinstance(content, list):
            content = [
                p
                if p["type"] == "text"
                else {"type": "image_url", "image_url": f"«{len(p['image_url']['url'])} characters»"}
                for p in content
            ]
        messages.append({**message, "content": content})
    return {**body, "messages": messages}


def _take(collector: Collector, line: str, service: str) -> None:
    """One line of a server-sent event stream."""
    line = line.strip()
    if not line or line.startswith(":") or not line.startswith("data:"):
        if line.startswith("{"):
            _refuse(line, service)
        return
    data = line[5:].strip()
    if data == "[DONE]":
        return
    try:
        piece = json.loads(data)
    except ValueError:
        raise BadAnswer(
            f"{service} sent something that is not JSON: {data[:120]!r}", hint="Is this an OpenAI-compatible server?"
        ) from None
    if piece.get("error"):
        raise BadAnswer(f"{service} reported: {piece['error']}", hint="Look at the server's log.")
    usage = piece.get("usage") or {}
    collector.tokens_in = usage.get("prompt_tokens", collector.tokens_in)
    collector.tokens_out = usage.get("completion_tokens", collector.tokens_out)
    collector.model = piece.get("model") or collector.model
    for choice in piece.get("choices") or []:
        delta = choice.get("delta") or {}
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if thought:
            collector.thought(thought)
        if delta.get("content"):
            collector.text(delta["content"])
        if choice.get("finish_reason"):
            collector.finish = str(choice["finish_reason"])


def _refuse(line: str, service: str) -> None:
    raise BadAnswer(
        f"{service} answered without streaming: {line[:200]!r}", hint="Is this an OpenAI-compatible server?"
    )

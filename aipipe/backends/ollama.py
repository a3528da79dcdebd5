"""Ollama, by its native API (`/api/chat`, NDJSON): https://github.com/ollama/ollama/blob/main/docs/api.md."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx

from aipipe.backends import http
from aipipe.backends.base import Probe, TextRequest, TextResult, Timeouts, instead
from aipipe.backends.collecting import Collector
from aipipe.errors import BadAnswer, ModelMissing, Refused
from aipipe.events import Watch
from aipipe.keys import find_key
from aipipe.settings import BackendSettings

OPTIONS = {
    "temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "min_p": "min_p", "max_tokens": "num_predict",
    "stop": "stop", "presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty",
    "repeat_penalty": "repeat_penalty", "repetition_penalty": "repeat_penalty", "num_ctx": "num_ctx",
}  # fmt: skip


class OllamaBackend:
    """An Ollama server."""

    kind = "ollama"

    def __init__(self, name: str, settings: BackendSettings, local: bool = True) -> None:
        self.name = name
        self.local = local
        self._settings = settings
        self._url = settings.url.rstrip("/")
        self._digests: dict[str, str] = {}

    def complete(self, request: TextRequest, watch: Watch) -> TextResult:
        """Ask the model; see `aipipe.backends.base.Backend.complete`."""
        model = request.model or self._settings.model
        if not model:
            raise ModelMissing(
                f"No model was named for {self.name!r}.", hint=f"Set [backends.{self.name}] model, or a mode's models."
            )
        body = self._body(request, model)
        call = http.Call(
            url=f"{self._url}/api/chat",
            body=body,
            service=f"Ollama at {self._url}",
            headers=self._headers(),
            timeouts=request.timeouts,
            start_hint="Start it with `ollama serve`, or choose another mode: --mode embedded.",
            missing=lambda status, text: self._missing(model, status, text),
        )
        collector = Collector(request, watch)
        collector.model = model
        with http.stream(call, watch) as answered:
            for line in answered.lines:
                if line.strip():
                    _take(collector, line, call.service)
            attempts = answered.attempts
        collector.digest = self._digest(model)
        return collector.result(call.service, attempts=attempts, sent=_without_images(body))

    def unload(self, model: str) -> None:
        """Take a model out of memory now, so that a media generator on the same GPU has room.

        Raises:
            ServiceError: one of its kinds.
        """
        body = {"model": model or self._settings.model, "messages": [], "keep_alive": 0, "stream": False}
        call = http.Call(
            url=f"{self._url}/api/chat",
            body=body,
            service=f"Ollama at {self._url}",
            headers=self._headers(),
            timeouts=Timeouts(),
            start_hint="",
            missing=lambda *_: None,
        )
        with http.stream(call, Watch()) as answered:
            for _ in answered.lines:
                continue

    def probe(self) -> Probe:
        """Version and models."""
        try:
            version = http.get_json(f"{self._url}/api/version", self._headers()).get("version", "")
            models = http.get_json(f"{self._url}/api/tags", self._headers()).get("models") or []
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            return Probe(
                ok=False,
                detail=f"no answer at {self._url} ({type(error).__name__})",
                hint="Start it with `ollama serve`.",
            )
        self._digests = {m["name"]: m.get("digest", "") for m in models}
        names = tuple(sorted(self._digests))
        hint = "" if names else "Fetch a model: ollama pull mistral-nemo"
        return Probe(ok=True, detail=f"Ollama {version} at {self._url}", version=version, models=names, hint=hint)

    def close(self) -> None:
        """Nothing is kept open between calls."""

    def _headers(self) -> dict[str, str]:
        key = find_key(self._settings.key_env)
        return {"authorization": f"Bearer {key}"} if key else {}

    def _body(self, request: TextRequest, model: str) -> dict[str, Any]:
        options: dict[str, Any] = {"seed": request.seed}
        for name, value in request.parameters.items():
            if name not in OPTIONS:
                raise Refused(f"Ollama does not know the parameter {name!r}.", hint=f"It knows {', '.join(OPTIONS)}.")
            options[OPTIONS[name]] = value
        body: dict[str, Any] = {
            "model": model,
            "messages": [_message(m.role, m.content, m.images) for m in request.messages],
            "stream": True,
            "options": options,
        }
        if request.schema is not None:
            body["format"] = dict(request.schema)
        if self._settings.keep_alive:
            keep = self._settings.keep_alive
            body["keep_alive"] = int(keep) if keep.lstrip("-").isdigit() else keep
        return body

    def _missing(self, model: str, status: int, text: str) -> ModelMissing | None:
        if status != 404:
            return None
        hint = f"Fetch it: ollama pull {model}{instead(self.probe().models)}"
        return ModelMissing(f"Ollama has no model {model!r}: {text}", hint=hint, model=model)

    def _digest(self, model: str) -> str:
        if not any(_same(name, model) for name in self._digests):
            self.probe()
        return next((digest for name, digest in self._digests.items() if _same(name, model)), "")


def _same(name: str, model: str) -> bool:
    return name == model or name == f"{model}:latest"


def _message(role: str, content: str, images: tuple[bytes, ...]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": role, "content": content}
    if images:
        message["images"] = [base64.b64encode(image).decode("ascii") for image in images]
    return message


def _without_images(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body for the record: pictures are entities of the run, not base64 in a log."""
    messages = [
        {**m, **({"images": [f"«{len(i)} characters»" for i in m["images"]]} if "images" in m else {})}
        for m in body["messages"]
    ]
    return {**body, "messages": messages}


def _take(collector: Collector, line: str, service: str) -> None:
    try:
        piece = json.loads(line)
    except ValueError:
        raise BadAnswer(
            f"{service} sent something that is not JSON: {line[:120]!r}", hint="Is this really an Ollama server?"
        ) from None
    if piece.get("error"):
        raise BadAnswer(f"{service} reported: {piece['error']}", hint="Look at the server's log.")
    message = piece.get("message") or {}
    if message.get("thinking"):
        collector.thought(message["thinking"])
    if message.get("content"):
        collector.text(message["content"])
    if piece.get("done"):
        collector.finish = str(piece.get("done_reason") or "stop")
        collector.tokens_in = piece.get("prompt_eval_count")
        collector.tokens_out = piece.get("eval_count")
        collector.model = piece.get("model") or collector.model

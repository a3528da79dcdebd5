"""Image endpoints that speak OpenAI's protocol (`/images/generations`): OpenAI, LocalAI, stable-diffusion.cpp and others."""

from __future__ import annotations

import base64
import binascii
import json
import time
from typing import Any

import httpx

from aipipe.backends import http
from aipipe.backends.base import Probe
from aipipe.errors import BadAnswer, ModelMissing, Refused
from aipipe.events import NodeProgress, Watch
from aipipe.keys import find_key, key_hint
from aipipe.media import SNIFF_BYTES, sniff
from aipipe.runners._requests import require_image
from aipipe.runners.base import MediaFile, MediaRequest, MediaResult
from aipipe.settings import RunnerSettings

START_HINT = "Start the server, or choose another output: --output sketch."
OWN = ("send_seed",)
"""Parameters for this runner, not for the endpoint."""
ALWAYS_BASE64 = ("gpt-image",)
"""Models that answer with the picture itself and refuse to be told so."""


class OpenAIImagesRunner:
    """Asks an image endpoint for one picture.

    Such endpoints know no seed; one that does gets it with the parameter `send_seed`.
    """

    kind = "openai_images"

    def __init__(self, name: str, settings: RunnerSettings, local: bool = True) -> None:
        self.name = name
        self.local = local
        self._settings = settings
        url = settings.url.rstrip("/")
        self._url = url if url.endswith("/v1") else f"{url}/v1"

    def generate(self, request: MediaRequest, watch: Watch) -> MediaResult:
        """Make the picture.

        Raises:
            Refused: anything but an image, no key, or the endpoint's own refusal.
            ModelMissing: the endpoint has no such model.
            Unavailable, Overloaded, ServiceTimeout, BadAnswer: see `aipipe.backends.http.stream`.
        """
        require_image(request, f"The image endpoint {self.name!r}")
        started = time.perf_counter()
        model = request.model or self._settings.model
        body = self._body(request, model)
        call = http.Call(
            url=f"{self._url}/images/generations",
            body=body,
            service=f"{self.name} at {self._url}",
            headers=self._headers(),
            timeouts=request.timeouts,
            start_hint=START_HINT,
            missing=lambda status, text: _missing(self.name, model, status, text),
        )
        watch.emit(NodeProgress(run_id=request.run_id, node_id=self.name, title=f"{self.name} {model}".strip()))
        with http.stream(call, watch) as answered:
            text = "".join(answered.lines)
            attempts = answered.attempts
        data, facts = _picture(text, call.service)
        format_ = sniff(data[:SNIFF_BYTES])
        file = MediaFile.of_bytes(
            data, f"{self.name}.{format_.extension}", "image", format_.mime, seed=request.seed, metadata=facts
        )
        warnings = () if "seed" in body else ("This endpoint takes no seed: the picture cannot be made again.",)
        return MediaResult(
            files=(file,),
            seed=request.seed,
            model=model,
            parameters={k: v for k, v in body.items() if k not in ("prompt", "model")},
            seconds=time.perf_counter() - started,
            attempts=attempts,
            request=body,
            warnings=warnings,
        )

    def probe(self) -> Probe:
        """Whether it answers; a missing key is said before anything is sent."""
        if not self._settings.url:
            return Probe(ok=False, detail="no address", hint=f"Set [runners.{self.name}] url in aipipe.toml.")
        if self._settings.key_env and not find_key(self._settings.key_env):
            return Probe(ok=False, detail=f"no key in {self._settings.key_env}", hint=key_hint(self._settings.key_env))
        try:
            listed = http.get_json(f"{self._url}/models", self._headers())
            models = tuple(sorted(str(m["id"]) for m in listed["data"]))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            return Probe(ok=False, detail=f"no answer at {self._url} ({type(error).__name__})", hint=START_HINT)
        return Probe(ok=True, detail=f"answers at {self._url}", models=models)

    def close(self) -> None:
        """Nothing is kept open between calls."""

    def _body(self, request: MediaRequest, model: str) -> dict[str, Any]:
        prompt = request.prompt
        if request.negative_prompt:
            # The protocol has no field for it; said in words it is at least seen.
            prompt = f"{prompt}\n\nAvoid: {request.negative_prompt}"
        values = {k: v for k, v in request.parameters.items() if k not in OWN}
        body: dict[str, Any] = {"prompt": prompt, "n": 1, **values}
        if model:
            body["model"] = model
        if not model.startswith(ALWAYS_BASE64):
            body["response_format"] = "b64_json"
        if request.parameters.get("send_seed"):
            body["seed"] = request.seed
        return body

    def _headers(self) -> dict[str, str]:
        if not self._settings.key_env:
            return {}
        key = find_key(self._settings.key_env)
        if not key:
            raise Refused(
                f"{self.name!r} needs a key, and {self._settings.key_env} is not set.",
                hint=key_hint(self._settings.key_env),
            )
        return {"authorization": f"Bearer {key}"}


def _picture(text: str, service: str) -> tuple[bytes, dict[str, Any]]:
    try:
        first = json.loads(text)["data"][0]
        data = base64.b64decode(first["b64_json"], validate=True)
    except (ValueError, KeyError, IndexError, TypeError, binascii.Error) as error:
        raise BadAnswer(
            f"{service} sent no picture ({type(error).__name__}).",
            hint="The endpoint must be able to answer with b64_json; addresses of pictures are not followed.",
        ) from None
    if not data:
        raise BadAnswer(f"{service} sent an empty picture.", hint="Look at the server's log.")
    revised = first.get("revised_prompt")
    return data, {"revised_prompt": revised} if revised else {}


def _missing(name: str, model: str, status: int, text: str) -> ModelMissing | None:
    if status == 404 or (status == 400 and "model" in text.lower()):
        return ModelMissing(
            f"{name!r} has no model {model!r}: {text}", hint="`aipipe doctor` lists its models.", model=model
        )
    return None

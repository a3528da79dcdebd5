"""The embedded backend: the OpenAI protocol spoken to a server of our own."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

from aipipe.backends.base import Probe, TextRequest, TextResult
from aipipe.backends.embedded import model, server
from aipipe.backends.openai import OpenAIBackend
from aipipe.errors import AipipeError
from aipipe.events import Watch
from aipipe.settings import BackendSettings


class EmbeddedBackend:
    """A small real model on this machine, started on demand."""

    kind = "embedded"

    def __init__(self, name: str, settings: BackendSettings, local: bool = True) -> None:
        self.name = name
        self.local = True
        self._settings = settings

    def complete(self, request: TextRequest, watch: Watch) -> TextResult:
        """Ask the model; see `aipipe.backends.base.Backend.complete`.

        Raises:
            MissingExtra: xllamacpp is not installed.
            ConsentNeeded: the model was not fetched yet.
        """
        server.require_runtime()
        file = model.find()
        address = server.ensure(file, self._settings, watch)
        spoken = _Keyed(self.name, self._settings.model_copy(update={"url": address.url}), address.key)
        with server.in_use(file, self._settings.idle_minutes * 60):
            result = spoken.complete(replace(request, model=""), watch)
        return replace(result, model=file.name, model_digest=file.digest)

    def probe(self) -> Probe:
        """Whether runtime and model are there; starts nothing."""
        if importlib.util.find_spec("xllamacpp") is None:
            return Probe(ok=False, detail="xllamacpp is not installed", hint='python -m pip install "aipipe[embedded]"')
        try:
            file = model.find()
        except AipipeError as error:
            return Probe(ok=False, detail=error.message, hint=error.hint)
        up = "running" if server.running(file) else "starts on demand"
        return Probe(ok=True, detail=f"{file.name} ({up})", models=(file.name,))

    def close(self) -> None:
        """The server stays for other runs and ends when idle."""


class _Keyed(OpenAIBackend):
    """The OpenAI protocol with a key that lies in no environment variable."""

    def __init__(self, name: str, settings: BackendSettings, key: str) -> None:
        super().__init__(name, settings, True)
        self._own_key = key

    def _key(self) -> str:
        return self._own_key

    def _first_model(self) -> str:
        return "embedded"  # there is only one

    def _caches(self, request: TextRequest) -> bool:
        # A verdict is a choice between few words and begins with hundreds of fixed tokens, which take ten seconds on
        # two cores. Texts get no cache: with one, "meadow" turned into "grass" for the same seed.
        return request.task == "safety"

    def _llamacpp(self) -> bool:
        return True

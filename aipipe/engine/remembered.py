"""A language model whose answers to identical requests of the same batch are taken from there."""

from __future__ import annotations

from aipipe.backends.base import Backend, Probe, TextRequest, TextResult
from aipipe.engine.calls import request_key
from aipipe.engine.reuse import ReuseCache, Reused
from aipipe.events import Watch


class RememberingBackend:
    """Wraps a backend for one call. Whoever judges the answer does not notice: a remembered one passes the same code as a fresh one.

    Attributes:
        key: Hash of the request, "" while nothing was asked.
        source: "run_id/filename" of the entity whose answer was taken, "" for a fresh one.
    """

    def __init__(self, backend: Backend, reuse: ReuseCache) -> None:
        self.name, self.kind, self.local = backend.name, backend.kind, backend.local
        self.key = self.source = ""
        self._backend, self._reuse = backend, reuse

    def complete(self, request: TextRequest, watch: Watch) -> TextResult:
        """The remembered answer, else that of the backend."""
        self.key = request_key(request, self.name)
        known = self._reuse.get(self.key)
        if known is None:
            return self._backend.complete(request, watch)
        self.source = known.source
        return TextResult(text=known.text, model=known.model, model_digest=known.model_digest, attempts=0)

    def probe(self) -> Probe:
        """As the backend answers."""
        return self._backend.probe()

    def close(self) -> None:
        """Release the backend's connections."""
        self._backend.close()


def offer_answer(reuse: ReuseCache, key: str, result: TextResult, source: str) -> None:
    """Offer a fresh answer to the other cases of the batch, once its entity is on disk."""
    reuse.put(key, Reused(source=source, text=result.text, model=result.model, model_digest=result.model_digest))

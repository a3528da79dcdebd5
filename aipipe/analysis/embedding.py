"""Sentence embeddings: texts as vectors whose angle tells how far apart two meanings are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aipipe.analysis.findings import need
from aipipe.backends.embedded.places import cache
from aipipe.errors import ModelMissing, UnknownName

Embedder = Callable[[list[str]], Any]
"""Texts → array (texts, dimensions)."""
EMBEDDING_MODEL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
"""Small, reads fifty languages, so that a German original and its English translation lie side by side."""


def embedder(model: str | None = None) -> Embedder:
    """A function that turns texts into vectors, by fastembed (extra `aipipe[embedding]`).

    Args:
        model: One of fastembed's models; None: a multilingual MiniLM (Reimers & Gurevych 2020, arXiv:2004.09813; 220 MB),
            fetched once from the model hub into aipipe's cache.

    Raises:
        MissingExtra: the extra is not installed.
        UnknownName: fastembed has no such model.
        ModelMissing: the model is not in the cache and cannot be fetched.
    """
    fastembed = need("fastembed", "A sentence embedding", "embedding")
    name = model or EMBEDDING_MODEL
    known = [str(each["model"]) for each in fastembed.TextEmbedding.list_supported_models()]
    if name.lower() not in map(str.lower, known):
        raise UnknownName("embedding model", name, known)
    made = _opened(fastembed, name)
    return lambda texts: list(made.embed(texts))


def _opened(fastembed: Any, name: str) -> Any:
    places = {"model_name": name, "cache_dir": str(cache() / "embedding")}
    try:
        # What was fetched before needs no network, and no wait for one.
        return fastembed.TextEmbedding(**places, local_files_only=True)
    except (OSError, ValueError):
        pass
    try:
        return fastembed.TextEmbedding(**places)
    except (OSError, ValueError) as error:
        raise ModelMissing(
            f"The embedding model {name} is not on this machine and cannot be fetched: {error}",
            hint="Run this once with a connection to the model hub, or copy the folder `embedding` of aipipe's cache "
            "from a machine that has it; or pass a function of your own, for example "
            "embedder=SentenceTransformer(FOLDER).encode.",
        ) from error

"""Language model services behind one seam; the table of kinds is here to be read.

A package may bring further kinds through the entry point group `aipipe.backends`: name → a callable
`(name, settings, local) -> Backend`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points

from aipipe.backends.base import Backend, Probe, TextRequest, TextResult, Timeouts
from aipipe.errors import UnknownName
from aipipe.messages import Message
from aipipe.settings import BackendSettings

__all__ = ["KINDS", "Backend", "Message", "Probe", "TextRequest", "TextResult", "Timeouts", "build"]

KINDS = {
    "ollama": "aipipe.backends.ollama:OllamaBackend",
    "openai": "aipipe.backends.openai:OpenAIBackend",
    "embedded": "aipipe.backends.embedded.backend:EmbeddedBackend",
    "echo": "aipipe.backends.echo:EchoBackend",
}


def build(name: str, settings: BackendSettings, *, local: bool) -> Backend:
    """The backend that `settings` describe.

    Args:
        name: Its name under [backends].
        settings: Its section.
        local: True when texts do not leave this machine or its trusted hosts.

    Raises:
        UnknownName: no backend of this kind.
    """
    factory: Callable[[str, BackendSettings, bool], Backend]
    if settings.kind in KINDS:
        module, _, attribute = KINDS[settings.kind].partition(":")
        factory = getattr(import_module(module), attribute)
        return factory(name, settings, local)
    for point in entry_points(group="aipipe.backends", name=settings.kind):
        factory = point.load()
        return factory(name, settings, local)
    raise UnknownName("kind of language model backend", settings.kind, KINDS)

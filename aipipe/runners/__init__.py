"""Media generators behind one seam; the table of kinds is here to be read.

A package may bring further kinds through the entry point group `aipipe.runners`: name → a callable
`(name, settings, local) -> Runner`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points

from aipipe.errors import UnknownName
from aipipe.runners.base import JobRef, MediaFile, MediaRequest, MediaResult, Runner
from aipipe.settings import RunnerSettings

__all__ = ["KINDS", "JobRef", "MediaFile", "MediaRequest", "MediaResult", "Runner", "build"]

KINDS = {
    "comfyui": "aipipe.runners.comfyui:ComfyRunner",
    "sketch": "aipipe.runners.sketch:SketchRunner",
    "placeholder": "aipipe.runners.placeholder:PlaceholderRunner",
    "openai_images": "aipipe.runners.openai_images:OpenAIImagesRunner",
}

DRAWN_HERE = ("sketch", "placeholder")
"""Kinds that draw in this process: they have no server and so no settings."""


def build(name: str, settings: RunnerSettings, *, local: bool) -> Runner:
    """The media generator that `settings` describe.

    Args:
        name: Its name under [runners].
        settings: Its section.
        local: True when prompts do not leave this machine or its trusted hosts.

    Raises:
        UnknownName: no generator of this kind.
    """
    if settings.kind in DRAWN_HERE:
        drawn: Runner = _factory(settings.kind)(name)
        return drawn
    made: Runner = _factory(settings.kind)(name, settings, local)
    return made


def _factory(kind: str) -> Callable[..., Runner]:
    if kind in KINDS:
        module, _, function = KINDS[kind].partition(":")
        found: Callable[..., Runner] = getattr(import_module(module), function)
        return found
    for point in entry_points(group="aipipe.runners", name=kind):
        loaded: Callable[..., Runner] = point.load()
        return loaded
    raise UnknownName("kind of media generator", kind, KINDS)

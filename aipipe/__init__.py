"""aipipe: run multi-stage AI art pipelines, record every run, turn thousands of runs into research data.

The root import is light: every public name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "Lab": "aipipe.lab",
    "Batch": "aipipe.batch",
    "Config": "aipipe.definitions",
    "Store": "aipipe.store",
    "Run": "aipipe.store",
    "Entity": "aipipe.store",
    "LivePipelineRecorder": "aipipe.recorder",
    "open_run": "aipipe.store",
    "watch": "aipipe.ui.watching",
    "gallery": "aipipe.ui.gallery",
    "compare": "aipipe.ui.compare",
    "RatingTask": "aipipe.ui.rating",
    "browse": "aipipe.ui.config_browser",
    "samples": "aipipe.samples",
    "tag": "aipipe.annotations",
    "exclude": "aipipe.annotations",
    "load_runs": "aipipe.analysis",
    "load_entities": "aipipe.analysis",
    "load_steps": "aipipe.analysis",
    "load_safety": "aipipe.analysis",
    "load_media": "aipipe.analysis",
    "load_errors": "aipipe.analysis",
    "load_prompts": "aipipe.analysis",
    "load_batch": "aipipe.analysis",
    "load_ratings": "aipipe.analysis",
    "agreement": "aipipe.analysis",
    "paired": "aipipe.analysis",
    "resafety": "aipipe.analysis.resafety",
    "SafetyPolicy": "aipipe.safety.replay",
    "AipipeError": "aipipe.errors",
    "Cancellation": "aipipe.cancellation",
    "connect": "aipipe.api.client",
}
_MODULES = ("comfy", "errors", "events", "testing")

__all__ = sorted(["__version__", *_WHERE, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"aipipe.{name}")
    if name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'aipipe' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)


def load_ipython_extension(shell: Any) -> None:
    """Register the `%%aipipe` cell magic (`%load_ext aipipe`)."""
    importlib.import_module("aipipe.ui.magic").register(shell)

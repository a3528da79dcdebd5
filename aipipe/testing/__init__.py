"""Fakes that are real servers, and suites that every implementation of a seam must pass.

`ModelServer` is a language model server whose answers are scripted; `comfy_server` does the same for ComfyUI. They let
notebooks and extensions be tested without a model and without a GPU.
"""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    "ComfyServer": "aipipe.testing.comfy_server",
    "Faults": "aipipe.testing.comfy_server",
    "BackendConformance": "aipipe.testing.backend_suite",
    "Fault": "aipipe.testing.model_server",
    "ModelServer": "aipipe.testing.model_server",
}
__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'aipipe.testing' has no attribute {name!r}")

"""The ComfyUI client: point it at one or more stock servers and get every file, or a typed error that names the cause.

from aipipe import comfy

server = comfy.connect("http://127.0.0.1:8188")
wf = comfy.Workflow.load("portrait.json")
result = server.run(wf.with_inputs({"KSampler.seed": 7, "Positive.text": "a heron"}))
result.images, result["Save Image"].path
"""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    "connect": "aipipe.comfy.connecting",
    "Server": "aipipe.comfy.server",
    "Pool": "aipipe.comfy.pool",
    "Job": "aipipe.comfy.jobs",
    "Workflow": "aipipe.comfy.workflow",
    "RANDOM": "aipipe.comfy.workflow",
    "Builder": "aipipe.comfy.building",
    "Node": "aipipe.comfy.building",
    "Input": "aipipe.comfy.addressing",
    "AmbiguousInput": "aipipe.comfy.addressing",
    "File": "aipipe.comfy.uploads",
    "Knobs": "aipipe.comfy.knobs",
    "Result": "aipipe.comfy.results",
    "Output": "aipipe.comfy.results",
    "SeveralOutputs": "aipipe.comfy.results",
    "Report": "aipipe.comfy.check",
    "Conversion": "aipipe.comfy.editor",
    "Adopted": "aipipe.comfy.adopting",
    "adopt": "aipipe.comfy.adopting",
    "Limits": "aipipe.comfy.machine",
    "Auth": "aipipe.comfy.access",
    "bearer": "aipipe.comfy.access",
    "basic": "aipipe.comfy.access",
    "headers": "aipipe.comfy.access",
    "cookie": "aipipe.comfy.access",
    "query": "aipipe.comfy.access",
    "ComfyError": "aipipe.errors",
    "Rejected": "aipipe.errors",
    "NodeFailed": "aipipe.errors",
    "OutOfMemory": "aipipe.errors",
    "Cancelled": "aipipe.errors",
    "Lost": "aipipe.errors",
    "TimedOut": "aipipe.errors",
    "BadOutput": "aipipe.errors",
    "Partial": "aipipe.errors",
    "Unreachable": "aipipe.errors",
}
__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'aipipe.comfy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)

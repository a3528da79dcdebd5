"""The HTTP surface: a server over a folder of runs (`create_app`) and a client that feels like a local lab (`connect`).

Importing this package loads neither FastAPI nor a lab; both come with the first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aipipe.api.app import create_app
    from aipipe.api.client import RemoteLab, connect

_WHERE = {"create_app": "aipipe.api.app", "connect": "aipipe.api.client", "RemoteLab": "aipipe.api.client"}

__all__ = ["RemoteLab", "connect", "create_app"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'aipipe.api' has no attribute {name!r}")

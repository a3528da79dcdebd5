"""Results of identical steps within a batch, shared by its processes through a folder.

Translating one prompt for twelve configs is one call, not twelve. The folder is disposable: without it the calls are
made again.
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aipipe.definitions import canonical_hash


@dataclass(frozen=True, slots=True)
class Reused:
    """A result of an earlier step: where it is recorded, and what it was."""

    source: str
    text: str
    model: str = ""
    model_digest: str = ""
    extra: dict[str, Any] | None = None


class ReuseCache:
    """A folder with one small JSON file per request hash; several processes may read and write it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def key(**request: Any) -> str:
        """Hash of everything that decides the result: backend, model, messages, parameters, seed, policy."""
        return canonical_hash(request)

    def get(self, key: str) -> Reused | None:
        """The result for `key`, or None when there is none (yet)."""
        try:
            data = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
            return Reused(**data)
        except (OSError, ValueError, TypeError):
            return None  # absent or torn: the step is simply made again

    def put(self, key: str, result: Reused) -> None:
        """Offer a result to the other cases. A failure costs only time, never data."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary = self.folder / f".{uuid.uuid4().hex}"
            temporary.write_text(json.dumps(asdict(result), ensure_ascii=False), encoding="utf-8")
            os.replace(temporary, self.folder / f"{key}.json")  # noqa: PTH105  one atomic call
        except OSError:
            return

"""Which model file is used, and whether it is the one that was meant."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aipipe.backends.embedded.places import cache
from aipipe.errors import BadMedia, ConsentNeeded, ModelMissing

VARIABLE = "AIPIPE_EMBEDDED_MODEL"
NAME = "qwen2.5-coder:1.5b"
FILE = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
SIZE = 1_117_320_768
LICENCE = "Apache-2.0"
DESCRIPTION = f"Qwen2.5-Coder-1.5B-Instruct Q4_K_M, {SIZE / 1e9:.2f} GB, licence {LICENCE}"
BLOCK = 1 << 22
MAGIC = b"GGUF"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A GGUF on disk.

    Attributes:
        path: The file.
        name: Name for records.
        digest: "sha256:…", or "" for a file of the user's own that was not hashed yet.
    """

    path: Path
    name: str
    digest: str


def default_path() -> Path:
    """Where the fetched model lies."""
    return cache() / "models" / FILE


def find() -> ModelFile:
    """The model file to use: the user's own, else the fetched one.

    Raises:
        ModelMissing: the file that the variable names is not there, or is no GGUF.
        ConsentNeeded: nothing was fetched yet.
    """
    own = os.environ.get(VARIABLE)
    if own:
        path = Path(own).expanduser()
        if not path.is_file() or not _is_gguf(path):
            raise ModelMissing(
                f"{VARIABLE} names {path}, which is not a GGUF file.", hint="Set it to the path of a GGUF model."
            )
        return ModelFile(path, path.stem, "")
    path = default_path()
    if path.is_file() and path.stat().st_size == SIZE and _trusted(path):
        return ModelFile(path, NAME, f"sha256:{SHA256}")
    raise ConsentNeeded(
        f"The embedded language model is not on this machine yet ({DESCRIPTION}).",
        hint=f"Fetch it once: aipipe models fetch --yes. Or name a GGUF of your own in {VARIABLE}.",
    )


def hash_file(path: Path, progress: Callable[[int], None] = lambda count: None) -> str:
    """SHA-256 of a file, in constant memory; `progress` gets the size of each block."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            progress(len(block))
    return digest.hexdigest()


def _trusted(path: Path) -> bool:
    """True when this very file was hashed before; a changed file is hashed again and refused if it differs."""
    stat = path.stat()
    stamp = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": SHA256}
    note = path.with_suffix(".verified.json")
    try:
        if json.loads(note.read_text(encoding="utf-8")) == stamp:
            return True
    except (OSError, ValueError):
        pass
    if hash_file(path) != SHA256:
        raise BadMedia(
            f"{path} is not the published model: its SHA-256 differs.",
            hint=f"Remove it and run: aipipe models fetch --yes ({path})",
        )
    note.write_text(json.dumps(stamp), encoding="utf-8")
    return True


def _is_gguf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == MAGIC

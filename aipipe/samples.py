"""A small store of recorded runs, so that looking at runs works in the first minute."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib import resources
from pathlib import Path

from aipipe.errors import RecordingError
from aipipe.store import Store


def samples(folder: str | Path | None = None) -> Store:
    """Ten runs made with the embedded model and the sketch runner.

    Two texts under several configs, a chain of translations, a run with two outputs, one blocked, one failed. The runs are copied out of the package once, so that tags, ratings and thumbnails have a place to lie.

    Args:
        folder: Where to put the copy; None takes the user's cache folder.

    Returns:
        The store; use it as any other: `aipipe.gallery(store)`, `aipipe.load_runs(store)`.

    Raises:
        RecordingError: the folder cannot be written.
    """
    from aipipe import __version__

    if folder is None:
        from platformdirs import user_cache_path

        target = user_cache_path("aipipe") / "samples" / __version__
    else:
        target = Path(folder).expanduser().resolve()
    try:
        _copy(target)
    except OSError as error:
        raise RecordingError(
            f"The sample runs cannot be copied to {target}: {error.strerror}.",
            hint="Name another folder: aipipe.samples('my-samples').",
        ) from error
    return Store(target)


def _copy(target: Path) -> None:
    """Copy the runs that are not there yet, each under a temporary name first, so that a run is whole or absent."""
    target.mkdir(parents=True, exist_ok=True)
    with resources.as_file(resources.files("aipipe.data") / "samples") as source:
        for run in sorted(p for p in source.iterdir() if p.is_dir()):
            if (target / run.name).exists():
                continue
            with tempfile.TemporaryDirectory(dir=target, prefix=".copy-") as temporary:
                copy = Path(temporary) / run.name
                shutil.copytree(run, copy)
                try:
                    os.rename(copy, target / run.name)  # noqa: PTH104  fails where another process was faster
                except OSError:
                    if not (target / run.name).is_dir():
                        raise

"""Run handles of whatever a person points at: a run, runs, a store, a batch, a folder, a frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from aipipe.analysis.source import project_store
from aipipe.errors import RunNotFound, StoreError, UsageError
from aipipe.store import Run, Store, open_run


def handles(source: Any, skipped: list[tuple[str, str]]) -> Iterator[Run]:
    """The runs of `source`.

    Args:
        source: A run, list of runs, Store, batch, folder (a store or one run), or frame with `run_id`; None: the
            project's store.
        skipped: Takes (where, why) of every run that could not be read.

    Raises:
        UsageError: something that holds no runs.
        RunNotFound: a folder does not exist.
    """
    if isinstance(source, Run):
        yield source
    elif source is None:
        yield from _of_store(Store(project_store()), skipped)
    elif isinstance(source, str | Path):
        yield from _of_folder(Path(source).expanduser(), skipped)
    elif isinstance(source, Store):
        yield from _of_store(source, skipped)
    elif hasattr(source, "columns"):
        yield from _of_frame(source, skipped)
    elif getattr(source, "batch_id", None) is not None:
        yield from source.runs
    elif isinstance(source, Iterable):
        for item in source:
            yield from handles(item, skipped)
    else:
        raise UsageError(
            f"{type(source).__name__} holds no runs.", hint="Pass a store, a folder, runs, or a frame with run_id."
        )


def _of_folder(path: Path, skipped: list[tuple[str, str]]) -> Iterator[Run]:
    if (path / "metadata.json").is_file():
        yield open_run(path)
        return
    if not path.is_dir():
        raise RunNotFound(f"There is no folder {path}.", hint="Check the path; a new project has no runs yet.")
    yield from _of_store(Store(path), skipped)


def _of_store(store: Store, skipped: list[tuple[str, str]]) -> Iterator[Run]:
    yield from store
    skipped += [(str(problem.path), problem.reason) for problem in store.problems]


def _of_frame(frame: Any, skipped: list[tuple[str, str]]) -> Iterator[Run]:
    if "run_id" not in frame.columns:
        raise UsageError("The frame has no column run_id.", hint="Keep run_id when you select columns.")
    chosen = frame.drop_duplicates("run_id")
    folders = chosen["folder"] if "folder" in chosen.columns else [None] * len(chosen)
    held = frame.attrs.get("store") or project_store()
    stores = [Path(held)] if isinstance(held, str | Path) else [Path(p) for p in held]
    for run_id, folder in zip(chosen["run_id"], folders, strict=True):
        places = [Path(folder)] if isinstance(folder, str) else [store / str(run_id) for store in stores]
        place = next((p for p in places if p.is_dir()), places[0])
        try:
            yield open_run(place)
        except StoreError as error:
            skipped.append((str(place), error.message))

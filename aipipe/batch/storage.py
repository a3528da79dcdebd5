"""Clusters without a shared disk: workers run cases in a folder of their own and leave the results at an fsspec address.

`{storage}/{batch_id}/{case_key}.{attempt}/` holds `runs/{run_id}/…`, the executed notebook, and, written last, `answer.json`:
where it stands, the rest is whole. The process that sent the case takes it from there into the store; when that process died
meanwhile, the next one finds the answer and does not run the case again.
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from aipipe import files
from aipipe.errors import InvalidPlan, MissingExtra, RecordingError

ANSWER = "answer.json"
METADATA = "metadata.json"


@dataclass(frozen=True)
class Storage:
    """A folder that workers and this process reach by fsspec.

    Args:
        address: For example `s3://bucket/study`, `sftp://host/folder` or `file:///shared/folder`.
    """

    address: str

    def check(self) -> None:
        """Refuse an address that cannot be written and read.

        Raises:
            MissingExtra: fsspec, or its part for this kind of address, is not installed.
            InvalidPlan: the address does not work.
        """
        probe = f"probe-{files.uuid7()}"
        try:
            system, root = self._open()
            system.makedirs(root, exist_ok=True)
            system.pipe_file(f"{root}/{probe}", b"aipipe")
            system.rm_file(f"{root}/{probe}")
        except ImportError as error:
            raise MissingExtra(f"The storage {self.address}", "batch") from error
        except Exception as error:  # noqa: BLE001  every kind of storage raises its own
            raise InvalidPlan(
                f"The storage {self.address} cannot be written: {type(error).__name__}: {error}",
                hint="An address for fsspec, for example s3://bucket/folder, with its credentials in the environment.",
            ) from None

    def put(self, place: str, folder: Path, answer: Mapping[str, Any]) -> None:
        """Copy what a case made; the answer is written last."""
        system, root = self._open()
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and not _is_private(p.relative_to(folder))):
            target = f"{root}/{place}/{path.relative_to(folder).as_posix()}"
            system.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
            system.put_file(str(path), target)
        system.makedirs(f"{root}/{place}", exist_ok=True)
        system.pipe_file(f"{root}/{place}/{ANSWER}", json.dumps(dict(answer)).encode())

    def answer(self, place: str) -> dict[str, Any] | None:
        """What became of a case, None where nothing whole is there."""
        system, root = self._open()
        try:
            found = json.loads(system.cat_file(f"{root}/{place}/{ANSWER}"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def fetch(self, place: str, runs: Path, notebooks: Path) -> None:
        """Take the runs and the notebook of a case into the store. A run appears whole or not at all; one that is there stays.

        Raises:
            RecordingError: the disk refused, or something is missing at the storage.
        """
        system, root = self._open()
        with tempfile.TemporaryDirectory(dir=_beside(runs), prefix="fetch-") as temporary:
            local = Path(temporary)
            try:
                for source in system.find(f"{root}/{place}"):
                    target = _below(local, str(source).partition(f"{place}/")[2])
                    target.parent.mkdir(parents=True, exist_ok=True)
                    system.get_file(source, str(target))
            except Exception as error:
                raise RecordingError(
                    f"{self.address}/{place} could not be fetched: {type(error).__name__}: {error}"
                ) from error
            with files.typed_errors("A run of a cluster could not be kept", runs):
                for run in sorted((local / "runs").glob("*")):
                    if (run / METADATA).is_file() and not (runs / run.name).exists():
                        run.rename(runs / run.name)
                for notebook in sorted((local / "notebooks").glob("*.ipynb")):
                    notebooks.mkdir(parents=True, exist_ok=True)
                    shutil.move(notebook, notebooks / notebook.name)
                files.sync_folder(runs)
        system.rm(f"{root}/{place}", recursive=True)

    def _open(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        system, root = url_to_fs(self.address)
        return system, str(root).rstrip("/")


def place_of(task: Mapping[str, Any]) -> str:
    """Where the results of a task lie at the storage."""
    return f"{task['batch_id']}/{task['case']['case_key']}.{task['attempt']}"


def packed(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task with the content of the files that it names: the worker sees none of this machine's disk."""
    carried = [path for path in (task["notebook"], *task["case"].get("images", ())) if path]
    return {**task, "carried": {path: base64.b64encode(Path(path).read_bytes()).decode() for path in carried}}


def do_away(task: Mapping[str, Any], address: str) -> dict[str, Any]:
    """Do one packed task in a folder of its own and leave the results at the storage; never raises for what the case does."""
    from aipipe.batch.work import do_alone

    storage = Storage(address)
    known = storage.answer(place_of(task))
    if known is not None:
        return known  # a cluster gives a task out again when it has lost the answer
    with tempfile.TemporaryDirectory(prefix="aipipe-case-") as temporary:
        folder = Path(temporary)
        unpacked = _unpacked(task, folder / "carried")
        local = {
            **unpacked, "runs": str(folder / "results" / "runs"), "folder": str(folder),
            "target": str(folder / "results" / "notebooks" / Path(task["target"]).name),
        }  # fmt: skip
        answer = do_alone(local)
        storage.put(place_of(task), folder / "results", answer)
    return answer


def _unpacked(task: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True)
    places = {}
    for number, (path, content) in enumerate(task["carried"].items()):
        places[path] = str(folder / f"{number}-{PurePosixPath(path.replace(chr(92), '/')).name}")
        Path(places[path]).write_bytes(base64.b64decode(content))
    case = {**task["case"], "images": [places.get(path, path) for path in task["case"].get("images", ())]}
    return {**task, "case": case, "notebook": places.get(task["notebook"], "")}


def _beside(runs: Path) -> Path:
    """A disposable folder on the same disk as the runs, so that a rename moves them."""
    folder = runs / ".aipipe"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _below(folder: Path, name: str) -> Path:
    """`name` below `folder`.

    Raises:
        RecordingError: it would lie elsewhere.
    """
    target = (folder / name).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise RecordingError(f"The storage holds {name!r}, which would be written outside of the store.")
    return target


def _is_private(path: Path) -> bool:
    """Caches and a writer's own folder are of no use elsewhere."""
    return any(part.startswith(".") for part in path.parts[:-1])

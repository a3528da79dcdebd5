"""`RunFolder`: how the bytes of one run reach the disk, and in which order."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from aipipe import files, lease
from aipipe.errors import WriterReplaced
from aipipe.recorder.content import to_json
from aipipe.records import RunRecord

Durability = Literal["entity", "stage", "never"]
DURABILITIES: tuple[Durability, ...] = get_args(Durability)
METADATA = "metadata.json"
PROVENANCE = "provenance.json"
EXCHANGES = "exchanges.jsonl"


class RunFolder:
    """The writer's side of a run folder. Everything is written in the writer's own subfolder, then renamed.

    Attributes:
        path: The run folder.
        durability: What is forced to disk, and when.
        writer: The writer's own subfolder; when it is gone, another process has taken the run over.
    """

    def __init__(self, path: Path, epoch: int, durability: Durability) -> None:
        self.path = path
        self.durability = durability
        self.writer = path / f".writer-{epoch}"
        self._metadata = path / METADATA
        self._numbers = itertools.count(1)
        self._unsynced: list[Path] = []

    def temporary(self) -> Path:
        """A new name in the writer's subfolder."""
        return self.writer / f"{next(self._numbers)}.part"

    @contextlib.contextmanager
    def guard(self, what: str, path: Path | None = None) -> Iterator[None]:
        """Turn what the disk says into typed errors.

        Args:
            what: What could not be done, as the beginning of a message.
            path: Where; metadata.json if not given.

        Raises:
            WriterReplaced: the writer's subfolder is gone.
            StorageFull, RecordingError: the disk refused.
        """
        with files.typed_errors(what, path or self._metadata):
            try:
                yield
            except FileNotFoundError as error:
                if self.writer.exists():
                    raise
                raise WriterReplaced(
                    f"Run {self.path.name} was taken over by another process while this one slept.",
                    hint="What was acknowledged is kept; this process must not write any more.",
                ) from error

    def adopt(self, temporary: Path, target: Path) -> None:
        """Give an entity's bytes, which are on disk already, their final name."""
        files.replace(temporary, target)
        if self.durability == "entity":
            files.sync_folder(self.path)
        else:
            self._unsynced.append(target)

    def write_metadata(self, record: RunRecord, *, sync: bool) -> None:
        """Replace metadata.json; with `sync`, what it lists is on disk before it is."""
        if sync and self._unsynced:
            _sync_files(self._unsynced)
            self._unsynced.clear()
        self._publish(self._metadata, record.model_dump_json(indent=2).encode() + b"\n", sync=sync)
        if sync:
            files.sync_folder(self.path)

    def write_provenance(self, facts: Mapping[str, Any]) -> None:
        """Replace provenance.json."""
        self._publish(self.path / PROVENANCE, to_json(facts), sync=self.durability == "entity")

    def append_exchange(self, line: str) -> None:
        """Append a line to exchanges.jsonl."""
        files.append_line(self.path / EXCHANGES, line, sync=False)

    def lists(self, filename: str) -> bool:
        """Whether metadata.json on disk lists a file; what cannot be read is taken to do so."""
        try:
            return f'"{filename}"' in self._metadata.read_text(encoding="utf-8")
        except OSError:
            return True

    def beat(self) -> None:
        """Touch the lease: the writer is alive."""
        with contextlib.suppress(OSError):
            (self.writer / lease.LEASE).touch()

    def release(self) -> None:
        """Remove the writer's subfolder, which normally holds the lease alone."""
        try:
            (self.writer / lease.LEASE).unlink(missing_ok=True)
            self.writer.rmdir()
        except OSError:
            shutil.rmtree(self.writer, ignore_errors=True)

    def _publish(self, target: Path, data: bytes, *, sync: bool) -> None:
        temporary = self.temporary()
        files.write_bytes(temporary, data, sync=sync)
        files.replace(temporary, target)


def _sync_files(paths: Iterable[Path]) -> None:
    folders = set()
    for path in paths:
        files.operation("fsync", path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        folders.add(path.parent)
    for folder in folders:
        files.sync_folder(folder)

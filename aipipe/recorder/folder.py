"""`RunFolder`: how the bytes of one run reach the disk, and in which order."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from aipipe import files, lease
from aipipe.errors import WriterReplaced
from aipipe.recorder.content import to_json
from aipipe.recorder.unforced import Unforced
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
        self._unforced = Unforced()

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

    def adopt(self, temporary: Path, target: Path, sha256: str) -> None:
        """Give an entity's bytes, which are in a temporary file already, their final name."""
        files.replace(temporary, target)
        if self.durability == "entity":
            files.sync_folder(self.path)
        else:
            self.owe(target, sha256)

    def owe(self, target: Path, sha256: str) -> None:
        """Have an entity forced to disk when its stage ends, unless the durability is `never`."""
        if self.durability != "never":
            self._unforced.add(target, sha256)

    def take_back(self, target: Path) -> None:
        """Remove an entity that was adopted but could not be listed."""
        self._unforced.forget(target)
        with contextlib.suppress(OSError):
            target.unlink()

    def force_entities(self) -> None:
        """Bring to disk every entity that is owed, and the metadata.json that lists them, whose bytes are there."""
        if self._unforced:
            self._unforced.force(self.temporary)
            files.sync_folder(self.path)

    def write_metadata(self, record: RunRecord, *, sync: bool) -> None:
        """Replace metadata.json; with `sync`, what it lists is on disk before it is.

        Its own bytes are forced to disk even without `sync`, unless the durability is `never`: a rename that outlives a
        power loss while the content does not would tear it.
        """
        if sync:
            self.force_entities()
        document = record.model_dump_json(indent=2).encode() + b"\n"
        self._publish(self._metadata, document, intermediate=record.status == "running")
        if sync:
            files.sync_folder(self.path)

    def write_provenance(self, facts: Mapping[str, Any]) -> None:
        """Replace provenance.json."""
        self._publish(self.path / PROVENANCE, to_json(facts), intermediate=False)

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

    def _publish(self, target: Path, data: bytes, *, intermediate: bool) -> None:
        """Give a document its new content; an `intermediate` one will soon be replaced again."""
        temporary = self.temporary()
        files.write_bytes(temporary, data, sync=self.durability != "never")
        if intermediate and self.durability == "never":
            files.replace_unforced(temporary, target)
        else:
            files.replace(temporary, target)

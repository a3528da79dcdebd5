"""Entities that have their final names but are not forced to disk yet."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from aipipe import files
from aipipe.errors import RecordingError


class Unforced:
    """What durability `stage` still owes the disk: path and SHA-256 of each entity."""

    def __init__(self) -> None:
        self._hashes: dict[Path, str] = {}
        self._refused: set[Path] = set()

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def add(self, path: Path, sha256: str) -> None:
        """Owe an entity."""
        self._hashes[path] = sha256

    def forget(self, path: Path) -> None:
        """The entity was taken back."""
        self._hashes.pop(path, None)
        self._refused.discard(path)

    def force(self, temporary: Callable[[], Path]) -> None:
        """Force the bytes of all of them to disk; their names are the folder's.

        A file whose sync failed once is written anew: the system may report the next sync of the same file as done
        although the bytes are gone.

        Args:
            temporary: Gives a new name for a file that is written anew.

        Raises:
            OSError: the disk refused; what is still owed stays so.
            RecordingError: the bytes of an entity are no longer those that were saved.
        """
        for path, sha256 in list(self._hashes.items()):
            if path in self._refused:
                _write_anew(path, sha256, temporary())
            else:
                self._sync(path)
            self.forget(path)

    def _sync(self, path: Path) -> None:
        try:
            files.operation("fsync", path)
            with path.open("rb") as file:
                os.fsync(file.fileno())
        except OSError:
            self._refused.add(path)
            raise


def _write_anew(path: Path, sha256: str, temporary: Path) -> None:
    with path.open("rb") as stream:
        written = files.write_stream(temporary, stream, sync=True)
    if written.sha256 != sha256:
        temporary.unlink()
        raise RecordingError(
            f"The disk refused {path.name} and no longer has the bytes that were saved ({path}).",
            hint="Check the disk, then run it again.",
            path=path,
        )
    files.replace(temporary, path)

"""Words to a batch that runs elsewhere: pause, resume, drain, stop. A small file in its folder, read by all its processes."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path

from aipipe import files, timestamps
from aipipe.errors import RunNotFound, UnknownName

WORDS = ("pause", "resume", "drain", "stop")
CONTROL = "control.json"


def say(folder: Path, word: str) -> None:
    """Leave a word for every process of the batch.

    Args:
        folder: Folder of the batch.
        word: `pause` starts no more cases until `resume`; `drain` lets running cases come to their end and ends; `stop` ends at once.

    Raises:
        UnknownName: it is none of these.
        RecordingError: it could not be written.
    """
    if word not in WORDS:
        raise UnknownName("word to a batch", word, WORDS)
    temporary = folder / f".{CONTROL}.{files.uuid7()}"
    data = json.dumps({"word": word, "id": files.uuid7(), "when": timestamps.now()}).encode() + b"\n"
    with files.typed_errors("The batch could not be told", folder):
        files.write_bytes(temporary, data, sync=True)
        files.replace(temporary, folder / CONTROL)


class Control:
    """Listens for words; those left before it began to listen are history, except a pause, which holds until `resume`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CONTROL
        word, self._seen = self._read()
        self._first = word if word == "pause" else ""

    def heard(self) -> str:
        """The newest word that was not heard yet, "" for none."""
        if self._first:
            word, self._first = self._first, ""
            return word
        word, identity = self._read()
        if not word or identity == self._seen:
            return ""
        self._seen = identity
        return word

    def _read(self) -> tuple[str, str]:
        try:
            said = json.loads(self._path.read_text(encoding="utf-8"))
            word = str(said["word"])
            return (word if word in WORDS else "", str(said["id"]))
        except (OSError, ValueError, KeyError, TypeError):
            return "", ""


def is_paused(folder: Path) -> bool:
    """Whether the last word was `pause`."""
    return Control(folder).heard() == "pause"


class RemoteControl(ABC):
    """What a batch hears from any process, on any host: `pause`, `resume`, `drain`, `stop`."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Folder of the batch."""

    @property
    @abstractmethod
    def batch_id(self) -> str:
        """Id of the batch."""

    def pause(self) -> None:
        """Start no more cases until `resume`; running ones come to their end. Every process of the batch listens.

        Raises:
            RunNotFound: the batch was never started.
        """
        self._say("pause")

    def resume(self) -> None:
        """End a pause.

        Raises:
            RunNotFound: the batch was never started.
        """
        self._say("resume")

    def drain(self) -> None:
        """Let running cases come to their end, then end every process of the batch; the same plan again continues.

        Raises:
            RunNotFound: the batch was never started.
        """
        self._say("drain")

    def stop(self) -> None:
        """End every process of the batch at once, in the middle of its cases; the same plan again continues.

        Raises:
            RunNotFound: the batch was never started.
        """
        self._say("stop")

    def _say(self, word: str) -> None:
        if not (self.folder / "plan.json").is_file():
            raise RunNotFound(
                f"Batch {self.batch_id} was never started.", hint="batch.run() or batch.start() starts it."
            )
        say(self.folder, word)

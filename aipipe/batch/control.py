"""Words to a batch that runs elsewhere: pause, resume, drain, stop. A small file in its folder, read by all its processes."""

from __future__ import annotations

import json
from pathlib import Path

from aipipe import files, timestamps
from aipipe.errors import UnknownName

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

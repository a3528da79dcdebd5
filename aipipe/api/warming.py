"""Every run is looked at once in the background, so that the first search of all is quick.

A large store is read by processes of their own: the answers of the server share one interpreter, and a minute of
reading would be a minute of slow answers. They begin with the oldest runs, since lists and searches begin with the newest.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from aipipe.api.reading import RunReader
from aipipe.errors import StoreError

log = logging.getLogger(__name__)

FEW = 2_000
"""So many runs are read in this process: it takes less than the start of another."""
CHUNK = 200
SHARE_SECONDS = 0.02
"""How long this process works before it leaves the processor to its answers for as long."""
MOST_PROCESSES = 4
NICE = 10


def warm(reader: RunReader, stop: threading.Event) -> None:
    """Make every summary once; ends when told. Takes what an earlier server kept first.

    Args:
        reader: Takes the summaries.
        stop: Ends the work.
    """
    reader.adopt_kept()
    unread = reader.unread()
    if len(unread) > FEW:
        _beside(reader, unread, stop)
    _here(reader, stop)
    reader.keep()


def _here(reader: RunReader, stop: threading.Event) -> None:
    """Read what is unread in this process, half of the time at most."""
    began = time.monotonic()
    for name in reversed(reader.unread()):
        with contextlib.suppress(OSError):
            reader.summary(name, {})
        worked = time.monotonic() - began
        if worked > SHARE_SECONDS or stop.is_set():
            if stop.wait(worked):
                return
            began = time.monotonic()


def _beside(reader: RunReader, names: list[str], stop: threading.Event) -> None:
    """Read by other processes, as many as there are processors to spare; what they leave is read here afterwards."""
    chunks = (names[i : i + CHUNK] for i in range(0, len(names), CHUNK))
    lock = threading.Lock()
    count = max(1, min(MOST_PROCESSES, (os.cpu_count() or 2) - 1))
    threads = [threading.Thread(target=_drive, args=(reader, chunks, lock, stop), daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _drive(reader: RunReader, chunks: Iterator[list[str]], lock: threading.Lock, stop: threading.Event) -> None:
    try:
        with _process(reader.store.path) as (asks, answers):
            while not stop.is_set():
                with lock:
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                asks.write(json.dumps(chunk).encode() + b"\n")
                asks.flush()
                for name, signature, summary in json.loads(answers.readline()):
                    reader.take(name, tuple(signature), summary)
    except (OSError, ValueError) as error:
        log.info("a process that reads runs ended: %s; the server reads the rest itself", error)


@contextlib.contextmanager
def _process(root: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A process that answers lines with names of runs by lines with their summaries; it ends with its input."""
    command = [sys.executable, "-m", "aipipe.api.warming", str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdin is None or process.stdout is None:  # pragma: no cover - both were asked for
            raise OSError("no pipes")
        try:
            yield process.stdin, process.stdout
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def answer(reader: RunReader, names: list[str]) -> list[list[Any]]:
    """Name, signature and summary of each run that can be read."""
    found: list[list[Any]] = []
    for name in names:
        with contextlib.suppress(StoreError, OSError):
            found.append([name, *reader.fresh(name)])
    return found


def main() -> None:
    """Answer lines on standard input until it ends."""
    from aipipe.store import Store

    with contextlib.suppress(AttributeError, OSError):  # not on every system
        os.nice(NICE)
    reader = RunReader(Store(Path(sys.argv[1])))
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(json.dumps(answer(reader, json.loads(line))).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

"""The child process: llama.cpp's own server from the xllamacpp wheel, on loopback, behind a random key.

It ends by itself when nobody has used it for a while: every user touches the state file. Run as
`python -m aipipe.backends.embedded.serve STATE MODEL THREADS IDLE_SECONDS CONTEXT`, with the key in the environment.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

KEY_VARIABLE = "AIPIPE_EMBEDDED_KEY"
SLOTS = 3
PROMPT_CACHE_MB = 512
"""Computed prompts kept in memory: some twelve configs. llama.cpp's own limit of 8 GB fills a small machine in a long batch."""


def main(arguments: list[str]) -> None:
    """Load the model, write the state file, serve until idle or told to stop."""
    state, model, threads, idle, context = arguments
    import xllamacpp

    key = os.environ.pop(KEY_VARIABLE)
    server: Any = xllamacpp.Server(_parameters(xllamacpp, model, int(threads), int(context), key))
    _write_state(Path(state), server.listening_address, key, model)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(1.0):
        if not _wanted(Path(state), float(idle)):
            break
    _forget(Path(state))
    # The server's own threads would keep a normal exit waiting.
    os._exit(0)


def _parameters(xllamacpp: Any, model: str, threads: int, context: int, key: str) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = context * SLOTS
    # A slot each for translation, safety and interception: their fixed beginnings stay computed side by side.
    parameters.n_parallel = SLOTS
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    if hasattr(parameters, "cache_ram_mib"):
        parameters.cache_ram_mib = PROMPT_CACHE_MB
    parameters.use_jinja = True
    parameters.offline = True
    parameters.ui = False
    parameters.api_keys = [key]
    parameters.model_alias = {Path(model).stem}
    return parameters


def _write_state(path: Path, address: str, key: str, model: str) -> None:
    from aipipe.lease import process_start

    document = {
        "url": address,
        "key": key,
        "pid": os.getpid(),
        "process_start": process_start(os.getpid()),
        "model": model,
    }
    temporary = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file)
    os.replace(temporary, path)  # noqa: PTH105  one atomic call


def _wanted(path: Path, idle: float) -> bool:
    """False when another server took the place, or nobody touched the state file for `idle` seconds."""
    try:
        mine = json.loads(path.read_text(encoding="utf-8")).get("pid") == os.getpid()
        return mine and time.time() - path.stat().st_mtime < idle
    except (OSError, ValueError):
        return False


def _forget(path: Path) -> None:
    try:
        if json.loads(path.read_text(encoding="utf-8")).get("pid") == os.getpid():
            path.unlink()
    except (OSError, ValueError):
        return


if __name__ == "__main__":
    main(sys.argv[1:])

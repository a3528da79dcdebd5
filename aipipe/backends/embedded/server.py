"""Finding or starting the one embedded server of this user."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from aipipe.backends.embedded import model
from aipipe.backends.embedded.places import cache, locked
from aipipe.backends.embedded.serve import KEY_VARIABLE
from aipipe.backends.http import client
from aipipe.errors import MissingExtra, Unavailable
from aipipe.events import Notice, Watch
from aipipe.settings import BackendSettings

START_SECONDS = 300.0
HEALTH_SECONDS = 2.0
CONTEXT = 4096


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, and its key. The key is in no repr."""

    url: str
    key: str
    pid: int

    def __repr__(self) -> str:
        return f"Address({self.url!r})"


def require_runtime() -> None:
    """Raise unless xllamacpp is installed.

    Raises:
        MissingExtra: it is not.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise MissingExtra("The embedded language model", "embedded")


def running(file: model.ModelFile) -> Address | None:
    """The server for this model if one is alive and answers; touching its state file keeps it alive."""
    path = _state(file)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        address = Address(str(document["url"]), str(document["key"]), int(document["pid"]))
    except (OSError, ValueError, KeyError):
        return None
    from aipipe.lease import process_start

    if process_start(address.pid) != document.get("process_start") or not _answers(address):
        return None
    _touch(path)
    return address


@contextlib.contextmanager
def in_use(file: model.ModelFile, idle_seconds: float) -> Iterator[None]:
    """Keep the server for as long as a request takes: a slow machine may need longer than the idle time for one answer."""
    path, done = _state(file), threading.Event()

    def keep() -> None:
        while not done.wait(idle_seconds / 4):
            _touch(path)

    keeper = threading.Thread(target=keep, name="aipipe-embedded-in-use", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()


def _touch(state: Path) -> None:
    """Say that the server is in use. A state file that is gone stays gone: that is how a server is told to end."""
    with contextlib.suppress(OSError):
        os.utime(state)


def ensure(file: model.ModelFile, settings: BackendSettings, watch: Watch) -> Address:
    """The server for this model, started if need be. Processes that ask at once start one, not several.

    Raises:
        MissingExtra: xllamacpp is not installed.
        Unavailable: the server did not come up; its last words are in the message.
        RunCancelled: the run was asked to stop meanwhile.
    """
    require_runtime()
    found = running(file)
    if found is not None:
        return found
    with locked(cache() / "start.lock", patience=START_SECONDS):
        found = running(file)
        if found is not None:
            return found
        watch.emit(Notice(message="starting the embedded language model"))
        return _start(file, settings, watch)


def stop(file: model.ModelFile) -> bool:
    """End the server for this model; True when there was one."""
    found = running(file)
    _state(file).unlink(missing_ok=True)  # the child sees that it is not wanted any more
    return found is not None


def _start(file: model.ModelFile, settings: BackendSettings, watch: Watch) -> Address:
    threads = settings.threads or min(8, os.cpu_count() or 2)
    state, log = _state(file), cache() / "embedded.log"
    state.unlink(missing_ok=True)
    arguments = [str(state), str(file.path), str(threads), str(settings.idle_minutes * 60), str(CONTEXT)]
    environment = {**os.environ, KEY_VARIABLE: secrets.token_urlsafe(32), "PYTHONPATH": _python_path()}
    # A session of its own: Ctrl-C in the notebook must not end a server that other kernels use.
    own: dict[str, Any] = {"creationflags": 0x00000008 | 0x00000200} if os.name == "nt" else {"start_new_session": True}
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "aipipe.backends.embedded.serve", *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=cache(), **own,
        )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = running(file)
        if found is not None:
            # The child outlives this process on purpose; nobody waits for it.
            child.returncode = 0
            return found
        if child.poll() is not None:
            raise Unavailable(
                f"The embedded model ended while it was starting: {_last_words(log)}",
                hint=f"The whole log is {log}. Is there enough memory (2 GB)?",
            )
        try:
            watch.cancellation.wait(0.1)
        except BaseException:
            child.terminate()
            raise
    child.terminate()
    raise Unavailable(f"The embedded model was not ready after {START_SECONDS:.0f} s.", hint=f"Look at {log}.")


def _python_path() -> str:
    """The child must find this very package, also from a checkout and from another folder."""
    import aipipe

    own = str(Path(aipipe.__file__).resolve().parent.parent)
    return os.pathsep.join([own, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])


def _state(file: model.ModelFile) -> Path:
    mark = hashlib.sha256(str(file.path.resolve()).encode()).hexdigest()[:12]
    return cache() / f"embedded-{mark}.json"


def _answers(address: Address) -> bool:
    try:
        headers = {"authorization": f"Bearer {address.key}"}
        with client(address.url, HEALTH_SECONDS) as http:
            return http.get(f"{address.url}/health", headers=headers).status_code == 200
    except httpx.HTTPError:
        # While it computes on busy cores a healthy server may be slow to answer; its process start was checked before.
        return False


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return " / ".join(lines[-3:])[:500] or "no output"

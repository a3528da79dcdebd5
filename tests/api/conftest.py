"""A real server on a free port for every test that asks for one."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from aipipe.api import create_app
from aipipe.api.connections import bounded
from aipipe.events import Event
from aipipe.lab import Lab


class Served:
    """A running server: its address, its app's server object, and an HTTP client."""

    def __init__(self, app: Any, lab: Lab, **limits: Any) -> None:
        self.lab, self.server = lab, app.state.server
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            app,
            http=bounded(**limits),
            log_level="error",
            ws="websockets-sansio",
            timeout_graceful_shutdown=3,
            access_log=False,
        )
        self.uvicorn = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.uvicorn.run, kwargs={"sockets": [self.socket]}, daemon=True)
        self.thread.start()
        self.client = httpx.Client(base_url=self.url, timeout=30)
        while not self.uvicorn.started:
            assert self.thread.is_alive()
            time.sleep(0.01)

    def execute(self, text: str = "a flower", schema: str = "dada", **more: Any) -> httpx.Response:
        return self.client.post("/api/schema/pipeline/execute", json={"schema": schema, "input_text": text, **more})

    def stop(self) -> None:
        self.client.close()
        self.uvicorn.should_exit = True
        self.thread.join(20)
        self.socket.close()
        assert not self.thread.is_alive()


class Slow:
    """An observer that takes its time, so that a run in echo mode lasts long enough to be watched."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def on_event(self, event: Event) -> None:
        time.sleep(self.seconds)


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers; all are stopped at the end."""
    with _starting(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def module_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """The same for servers that all tests of a module share."""
    with _starting(tmp_path_factory.mktemp("served")) as start:
        yield start


@contextlib.contextmanager
def _starting(folder: Path) -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> Served:
            runs = options.pop("runs", folder / "runs")
            observers = [Slow(options.pop("slow"))] if "slow" in options else []
            lab = options.pop("lab", None) or Lab(
                runs=runs, mode="echo", display=False, durability="never", observers=observers
            )
            options.setdefault("drain_seconds", 0.5)
            limits = options.pop("limits", {})
            served = Served(create_app(lab, **options), lab, **limits)
            stack.callback(served.stop)
            return served

        yield start


@pytest.fixture
def served(serve: Serve) -> Served:
    """One open server on loopback in echo mode."""
    return serve()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all the questions of a module that leave nothing behind."""
    lab = Lab(runs=tmp_path_factory.mktemp("shared") / "runs", mode="echo", display=False, durability="never")
    served = Served(create_app(lab, drain_seconds=0.5), lab)
    yield served
    served.stop()

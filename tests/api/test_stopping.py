"""A server that is told to stop: who waits gets an answer."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from aipipe.api import create_app
from aipipe.cli.serve import _stopping_early
from aipipe.lab import Lab
from aipipe.testing import Fault, ModelServer
from tests.api.conftest import Slow


def test_who_waits_for_a_run_gets_an_answer_when_the_server_stops(tmp_path: Path) -> None:
    lab = Lab(runs=tmp_path / "runs", mode="echo", display=False, durability="never", observers=[Slow(0.1)])
    app = create_app(lab, drain_seconds=20, workers=1)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", ws="websockets-sansio", timeout_graceful_shutdown=30)
    server = _stopping_early(uvicorn.Server, 20.0)(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"

    def execute(text: str) -> httpx.Response:
        body = {"schema": "dada", "input_text": text}
        return httpx.post(f"{url}/api/schema/pipeline/execute", json=body, timeout=60)

    with ThreadPoolExecutor(2) as pool:
        while not server.started:
            time.sleep(0.01)
        running = pool.submit(execute, "a flower")
        while not list(lab.store):
            time.sleep(0.01)
        waiting = pool.submit(execute, "a tree")
        while not app.state.server.executor.queue.place(_queued(app))[0]:
            time.sleep(0.01)
        server.handle_exit(signal.SIGTERM, None)
        first, second = running.result(60), waiting.result(60)
    thread.join(60)
    assert not thread.is_alive()
    listening.close()
    assert (first.status_code, first.json()["run_status"]) == (200, "completed")
    assert second.json()["run_status"] == "cancelled"
    statuses = {run.run_id: run.status for run in lab.store}
    assert statuses == {first.json()["run_id"]: "completed", second.json()["run_id"]: "cancelled"}


def _queued(app: object) -> str:
    """Id of the run that waits, "" as long as none does."""
    plans = app.state.server.executor._plans  # type: ignore[attr-defined]
    return list(plans)[1] if len(plans) > 1 else ""


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_a_killed_server_leaves_interrupted_runs_that_resume(project: Path) -> None:
    with ModelServer(lambda _: ("a torn flower", Fault(stall=1.0))) as models:
        (project / "aipipe.toml").write_text(
            'mode = "eco"\nsafety = "off"\n[modes.eco]\nbackend = "ollama"\n[modes.eco.models]\ntranslation = "tiny"\n'
            f'interception = "tiny"\n[modes.eco.outputs]\nimage = "placeholder"\n[backends.ollama]\nurl = "{models.url}"\n'
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            with _killed_at_the_end(project, port, client):
                body = {"schema": "dada", "input_text": "Eine Blume", "async": True}
                run_id = client.post("/api/schema/pipeline/execute", json=body).json()["run_id"]
                place = f"/api/pipeline/{run_id}"
                _until(lambda: client.get(f"{place}/status").json()["entity_count"] >= 1)
            with _killed_at_the_end(project, port, client):
                assert client.get(f"{place}/status").json()["status"] == "interrupted"
                assert Lab(project, display=False).resume(run_id).status == "completed"
                found = client.get(f"{place}/status").json()
                assert found["status"] == "completed"
                assert found["entity_count"] == len(found["entities"]) > 3
                assert client.get(f"{place}/entity/output_image").status_code == 200


@contextlib.contextmanager
def _killed_at_the_end(project: Path, port: int, client: httpx.Client) -> Iterator[None]:
    """A server of its own that is given no time to say goodbye."""
    command = [sys.executable, "-m", "aipipe", "serve", "--port", str(port)]
    server = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: client.get("/health").status_code == 200)
        yield
    finally:
        server.kill()
        server.wait()


def _until(true: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(httpx.TransportError, KeyError):
            if true():
                return
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.1)

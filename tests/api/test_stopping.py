"""A server that is told to stop: who waits gets an answer."""

from __future__ import annotations

import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import uvicorn

from aipipe.api import create_app
from aipipe.cli.serve import _stopping_early
from aipipe.lab import Lab
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

"""A ComfyUI server without a GPU: real HTTP and a real socket, a scripted executor, and faults on demand.

It lets notebooks and extensions be tested, and does what a healthy server never does.

    with ComfyServer() as server:
        result = comfy.connect(server.url).run(picture_graph())
    with ComfyServer(Faults(mute_socket=True, history_delay=1.5)) as server: …

Nodes it runs: EmptyImage, ImageInvert, CheckpointLoaderSimple, CLIPTextEncode, EmptyLatentImage, KSampler, VAEDecode,
LoadImage (all without effect), SaveImage, SaveAudio, SaveText, PreviewImage,
SaveImageWebsocket, Sleep (`seconds`, `steps`), Fail (`message`), Block. Its pictures are patterns drawn from
the graph's hash, in the graph's size and with the graph inside.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any, Self

from aipipe.testing.comfy_faults import Faults
from aipipe.testing.comfy_http import Handler, SocketSession
from aipipe.testing.comfy_nodes import Failure, Interrupted, run_node

__all__ = ["ComfyServer", "Faults", "picture_graph"]


@dataclass
class Task:
    """A job at the server."""

    number: int
    job_id: str
    graph: dict[str, Any]
    extra: dict[str, Any]
    done: threading.Event = field(default_factory=threading.Event)

    def item(self) -> list[Any]:
        """The job as queue and history show it."""
        ends = [n for n, v in self.graph.items() if str(v["class_type"]).startswith(("Save", "Preview"))]
        return [self.number, self.job_id, self.graph, self.extra, ends]


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are normal here."""


class ComfyServer:
    """The server; starts with the `with` block.

    Attributes:
        url: Its address, with the prefix.
        faults: What goes wrong.
        submissions: Ids of all jobs that were taken, in order; doubles show.
        requests: All requests as (method, path).
        uploads: Names of all files that were sent.
        headers: Headers of the last request.
        device: Kind of the device it says it has, cpu or cuda.
        checkpoints: Files its checkpoint loader offers.
    """

    def __init__(self, faults: Faults | None = None, *, port: int = 0) -> None:
        self.faults = faults or Faults()
        self.submissions: list[str] = []
        self.requests: list[tuple[str, str]] = []
        self.uploads: list[str] = []
        self.headers: dict[str, str] = {}
        self.device = "cpu"
        self.checkpoints = ["fake.safetensors"]
        self.files: dict[tuple[str, str, str], bytes] = {}
        self.sessions: list[SocketSession] = []
        self.lock = threading.RLock()
        self.pending: list[Task] = []
        self.running: Task | None = None
        self.history: dict[str, tuple[float, dict[str, Any]]] = {}
        self.number = 0
        self.interrupted = threading.Event()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._held: list[tuple[str, str]] = []
        self._http = _Quiet(("127.0.0.1", port), Handler)
        self._http.fake = self  # type: ignore[attr-defined]
        self.port = self._http.server_address[1]

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self.port}{self.faults.prefix}"

    def __enter__(self) -> Self:
        for target in (lambda: self._http.serve_forever(0.02), self._work):
            threading.Thread(target=target, daemon=True, name="aipipe-fake-comfy").start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server as a crash does: connections are cut, nothing is said."""
        self._stop.set()
        with self.lock:
            self.pending.clear()
            self.running = None
        self._wake.set()
        self.interrupted.set()
        for session in list(self.sessions):
            session.cut()
        self._http.shutdown()
        self._http.server_close()

    @property
    def stopped(self) -> bool:
        """True after `stop`."""
        return self._stop.is_set()

    def restart(self) -> None:
        """Lose queue and history and cut all sockets, as a restarted process does; files stay."""
        with self.lock:
            self.pending.clear()
            self.history.clear()
            self.running, self.number = None, 0
            self.interrupted.set()
        for session in list(self.sessions):
            session.cut()

    # ---- what the handler asks ---------------------------------------------------------------------------------------

    def submit(self, body: Mapping[str, Any]) -> Task:
        """Take a job."""
        with self.lock:
            given = body.get("prompt_id")
            job_id = f"server-{self.number}" if self.faults.own_ids or not given else str(given)
            extra = {**dict(body.get("extra_data") or {}), "client_id": body.get("client_id")}
            task = Task(self.number, job_id, dict(body["prompt"]), extra)
            self.number += 1
            self.submissions.append(job_id)
            self.pending.append(task)
        self.say_status()
        self._wake.set()
        return task

    def queue(self) -> dict[str, Any]:
        """The queue as the server shows it."""
        with self.lock:
            running = [self.running.item()] if self.running else []
            return {"queue_running": running, "queue_pending": [t.item() for t in reversed(self.pending)]}

    def entry(self, job_id: str) -> dict[str, Any]:
        """The history of one job, {} as long as there is none."""
        with self.lock:
            found = self.history.get(job_id)
        return {job_id: found[1]} if found and time.monotonic() >= found[0] + self.faults.history_delay else {}

    def delete(self, job_ids: list[str]) -> bool:
        """Take waiting jobs out."""
        with self.lock:
            before = len(self.pending)
            self.pending = [t for t in self.pending if t.job_id not in job_ids]
            changed = len(self.pending) < before
        self.say_status()
        return changed

    def interrupt(self, job_id: str | None) -> bool:
        """Stop the running job if it has this id, or whatever runs."""
        with self.lock:
            if self.running is None or (job_id is not None and self.running.job_id != job_id):
                return False
            self.interrupted.set()
            return True

    # ---- events ------------------------------------------------------------------------------------------------------

    def remaining(self) -> int:
        """Jobs waiting or running."""
        with self.lock:
            return len(self.pending) + (self.running is not None)

    def say_status(self) -> None:
        """Tell everybody how many jobs there are."""
        data = {"status": {"exec_info": {"queue_remaining": self.remaining()}}}
        for session in list(self.sessions):
            session.text(json.dumps({"type": "status", "data": data}))

    def say(self, task: Task, kind: str, **data: Any) -> None:
        """Send a message of a job to whoever submitted it."""
        faults = self.faults
        if kind in faults.drop_types:
            return
        text = json.dumps({"type": kind, "data": {**data, "prompt_id": task.job_id}})
        client = str(task.extra.get("client_id"))
        if faults.foreign_events:
            other = json.dumps({"type": kind, "data": {**data, "prompt_id": "11111111-1111-4111-8111-111111111111"}})
            self._send(client, other)
            self._send(client, b"\x00\x00\x00\x01\x00\x00\x00\x01foreign")
        if faults.shuffle_events:
            self._held.append((client, text))
            return
        for _ in range(2 if faults.double_events else 1):
            self._send(client, text)

    def _send(self, client: str, message: str | bytes) -> None:
        if self.faults.mute_socket:
            return
        for session in [s for s in self.sessions if s.client_id == client]:
            session.send(message)

    def frame(self, task: Task, node: str, image: bytes, mime: str) -> None:
        """Send a picture that names job and node."""
        head = json.dumps(
            {"node_id": node, "prompt_id": task.job_id, "display_node_id": node, "image_type": mime}
        ).encode()
        self._send(str(task.extra.get("client_id")), b"\x00\x00\x00\x04" + len(head).to_bytes(4, "big") + head + image)

    # ---- the executor ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(0.05)
            self._wake.clear()
            while (task := self._next()) is not None:
                self._execute(task)
                with self.lock:
                    if self.running is task:
                        self.running = None
                task.done.set()
                self.say_status()
                self.say(task, "executing", node=None)
                while self._held:
                    self._send(*self._held.pop())

    def _next(self) -> Task | None:
        with self.lock:
            if self._stop.is_set() or not self.pending:
                return None
            self.pending.sort(key=lambda t: t.number)
            self.running = self.pending.pop(0)
            self.interrupted.clear()
            return self.running

    def _execute(self, task: Task) -> None:
        if self.faults.forget:
            return
        messages: list[list[Any]] = []
        outputs: dict[str, Any] = {}

        def note(kind: str, **data: Any) -> None:
            messages.append([kind, {**data, "prompt_id": task.job_id, "timestamp": int(time.time() * 1000)}])
            if kind != "execution_success":
                self.say(task, kind, **data)

        note("execution_start")
        note("execution_cached", nodes=[])
        status = "success"
        try:
            for node in task.graph:
                self.say(task, "executing", node=node, display_node=node)
                made = run_node(self, task, node)
                if made:
                    outputs[node] = made
                    self.say(task, "executed", node=node, display_node=node, output=made)
            note("execution_success")
        except Failure as failure:
            status = "error"
            note("execution_error", **failure.data)
        except Interrupted as stopped:
            status = "error"
            note("execution_interrupted", node_id=str(stopped), node_type="", executed=[])
        if status == "success":
            self.say(task, "execution_success", timestamp=int(time.time() * 1000))
        with self.lock:
            if self.running is task:  # a restart forgot it
                described = {"status_str": status, "completed": status == "success", "messages": messages}
                self.history[task.job_id] = (
                    time.monotonic(),
                    {"prompt": task.item(), "outputs": outputs, "status": described, "meta": {}},
                )


def picture_graph(color: int = 0, *, seconds: float = 0.0, prefix: str = "fake") -> dict[str, Any]:
    """A small graph: a picture, a pause, a saved file."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": color}},
        "2": {"class_type": "Sleep", "inputs": {"image": ["1", 0], "seconds": seconds, "steps": 4}},
        "3": {
            "class_type": "SaveImage",
            "inputs": {"images": ["2", 0], "filename_prefix": prefix},
            "_meta": {"title": "Final"},
        },
    }

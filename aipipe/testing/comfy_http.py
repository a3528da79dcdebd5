"""HTTP and socket of the scripted ComfyUI server."""

from __future__ import annotations

import base64
import contextlib
import email
import email.policy
import hashlib
import json
import queue
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from aipipe.testing.comfy_nodes import object_info
from aipipe.testing.comfy_refusals import refusal

if TYPE_CHECKING:
    from aipipe.testing.comfy_server import ComfyServer

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
Query = dict[str, str]


class SocketSession:
    """One event socket at the server's side."""

    def __init__(self, handler: Handler, client_id: str) -> None:
        self.client_id = client_id
        self._handler = handler
        self._out: queue.Queue[tuple[int, bytes] | None] = queue.Queue()
        self._sent = 0

    def send(self, message: str | bytes) -> None:
        """Send a text or binary message; the fault `close_socket_after` counts it."""
        faults = self._handler.fake.faults
        self._sent += 1
        if faults.close_socket_after and self._sent > faults.close_socket_after:
            faults.close_socket_after = 0
            self.cut()
            return
        self._out.put((1, message.encode()) if isinstance(message, str) else (2, message))

    def text(self, message: str) -> None:
        """Send a text message."""
        if not self._handler.fake.faults.mute_socket:
            self._out.put((1, message.encode()))

    def cut(self) -> None:
        """Drop the connection without a word."""
        self._out.put(None)

    def run(self) -> None:
        """Greet and send until the connection ends."""
        greeting = {"status": {"exec_info": {"queue_remaining": self._handler.fake.remaining()}}, "sid": self.client_id}
        self._out.put((1, json.dumps({"type": "status", "data": greeting}).encode()))
        threading.Thread(target=self._read, daemon=True).start()
        with contextlib.suppress(OSError):
            while (item := self._out.get()) is not None:
                self._handler.wfile.write(_frame(*item))
        with contextlib.suppress(OSError):
            self._handler.connection.shutdown(2)

    def _read(self) -> None:
        with contextlib.suppress(OSError, struct.error, IndexError):
            while True:
                head = self._handler.rfile.read(2)
                size = head[1] & 127
                if size == 126:
                    size = struct.unpack(">H", self._handler.rfile.read(2))[0]
                elif size == 127:
                    size = struct.unpack(">Q", self._handler.rfile.read(8))[0]
                mask = self._handler.rfile.read(4)
                body = bytes(b ^ mask[n % 4] for n, b in enumerate(self._handler.rfile.read(size)))
                kind = head[0] & 15
                if kind == 8:
                    self._out.put((8, body[:2]))
                    break
                if kind == 9:
                    self._out.put((10, body))
                elif kind == 1 and b"feature_flags" in body:
                    flags = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
                    self._out.put((1, json.dumps(flags).encode()))
        self._out.put(None)


def _frame(kind: int, body: bytes) -> bytes:
    size = len(body)
    if size < 126:
        head = bytes((0x80 | kind, size))
    elif size < 1 << 16:
        head = struct.pack(">BBH", 0x80 | kind, 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | kind, 127, size)
    return head + body


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def fake(self) -> ComfyServer:
        """The server."""
        found: ComfyServer = self.server.fake  # type: ignore[attr-defined]
        return found

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it so
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer a GET request."""
        self._answer("GET")

    def do_POST(self) -> None:
        """Answer a POST request."""
        self._answer("POST")

    def _answer(self, method: str) -> None:
        fake, faults = self.fake, self.fake.faults
        if fake.stopped:
            self.close_connection = True
            return None
        parts = urlsplit(self.path)
        path = parts.path.removeprefix(faults.prefix)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fake.requests.append((method, path))
        fake.headers = {k.lower(): v for k, v in self.headers.items()}
        if faults.prefix and not parts.path.startswith(faults.prefix):
            return self._send(404, b"")
        if faults.token and self.headers.get("Authorization") != f"Bearer {faults.token}":
            return self._send(401, b"")
        if faults.admits is not None and not faults.admits(fake.headers, query):
            return self._send(401, b"")
        if faults.unavailable and path not in ("/prompt", "/ws"):
            faults.unavailable -= 1
            return self._send(503, b"<html>busy</html>")
        if faults.garbage and path.startswith(("/history", "/queue")):
            faults.garbage -= 1
            return self._send(200, b"<html>hello</html>")
        if path == "/ws":
            return self._socket(query)
        if method == "POST":
            return self._post(path, body)
        return self._get(path, query)

    def _get(self, path: str, query: Query) -> None:
        fake = self.fake
        if path.startswith("/history/"):
            return self._json(fake.entry(path.removeprefix("/history/")))
        if path == "/view":
            return self._view(query)
        if path.startswith("/object_info/"):
            name = path.removeprefix("/object_info/")
            known = object_info(self.fake.checkpoints)
            return self._json({name: known[name]} if name in known else {})
        answers: dict[str, Any] = {
            "/history": lambda: {job: entry for job, (_, entry) in fake.history.items()},
            "/queue": fake.queue,
            "/prompt": lambda: {"exec_info": {"queue_remaining": fake.remaining()}},
            "/object_info": lambda: object_info(fake.checkpoints),
            "/system_stats": lambda: {
                "system": {"comfyui_version": "0.30.0-fake", "os": "linux", "python_version": "3.11"},
                "devices": [{"name": "none", "type": fake.device, "vram_total": 1, "vram_free": 1}],
            },
        }
        return self._json(answers[path]()) if path in answers else self._send(404, b"")

    def _post(self, path: str, body: bytes) -> None:
        fake = self.fake
        if path == "/upload/image":
            return self._upload(body)
        try:
            value = json.loads(body) if body else {}
        except ValueError:
            return self._send(500, b"500 Internal Server Error\n\nServer got itself in trouble")
        if path == "/prompt":
            return self._prompt(value)
        if path.startswith("/api/jobs/") and path.endswith("/cancel") and not fake.faults.no_cancel_endpoint:
            job_id = path.split("/")[3]
            return self._json({"cancelled": fake.delete([job_id]) or fake.interrupt(job_id)})
        if path == "/queue":
            fake.delete(list(value.get("delete") or []))
        elif path == "/interrupt":
            fake.interrupt(value.get("prompt_id"))
        elif path != "/free":
            return self._send(405, b"405: Method Not Allowed")
        return self._send(200, b"")

    def _prompt(self, value: dict[str, Any]) -> None:
        faults = self.fake.faults
        if faults.submit_500:
            faults.submit_500 -= 1
            return self._send(500, b"500 Internal Server Error\n\nServer got itself in trouble")
        if faults.reject is not None:
            return self._json(dict(faults.reject), 400)
        refused = refusal(value["prompt"], self.fake.checkpoints)
        if refused is not None:
            return self._json(refused, 400)
        task = self.fake.submit(value)
        if faults.finish_before_reply:
            task.done.wait(10)
            time.sleep(0.05)
        if faults.lose_reply:
            faults.lose_reply -= 1
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(2)
            return None
        return self._json({"prompt_id": task.job_id, "number": task.number, "node_errors": dict(faults.node_errors)})

    def _view(self, query: Query) -> None:
        faults = self.fake.faults
        if faults.redirect_files:
            return self._send(302, b"", {"Location": faults.redirect_files})
        key = (query.get("type", "output"), query.get("subfolder", ""), query.get("filename", ""))
        data = self.fake.files.get(key)
        if data is None or faults.lose_files:
            faults.lose_files = max(0, faults.lose_files - 1)
            return self._send(404, b"")
        if not faults.short_files and not faults.slow_files:
            return self._send(200, data)
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        if faults.short_files:
            faults.short_files -= 1
            self.close_connection = True
            return None
        time.sleep(faults.slow_files)
        self.wfile.write(data[len(data) // 2 :])
        return None

    def _upload(self, body: bytes) -> None:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
        folder, name, data = "", "", b""
        for part in message.iter_parts():
            if part.get_param("name", header="content-disposition") == "subfolder":
                folder = str(part.get_content()).strip()
            if part.get_filename():
                name, data = str(part.get_filename()), bytes(part.get_payload(decode=True) or b"")
        self.fake.files[("input", folder, name)] = data
        self.fake.uploads.append(name)
        self._json({"name": name, "subfolder": folder, "type": "input"})

    def _socket(self, query: Query) -> None:
        if self.fake.faults.refuse_socket:
            return self._send(403, b"")
        key = self.headers.get("Sec-WebSocket-Key", "").encode()
        accept = base64.b64encode(hashlib.sha1(key + MAGIC, usedforsecurity=False).digest()).decode()
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)):
            self.send_header(name, value)
        self.end_headers()
        session = SocketSession(self, query.get("clientId", ""))
        self.fake.sessions.append(session)
        try:
            session.run()
        finally:
            self.fake.sessions.remove(session)
            self.close_connection = True
        return None

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        if self.fake.stopped:  # a dead server's last words must not be about its emptied queue
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

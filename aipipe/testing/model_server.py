"""A language model server whose answers are scripted: real HTTP on a free port, Ollama's and OpenAI's protocol at once."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Fault:
    """What the server does instead of answering.

    Attributes:
        status: HTTP status; 200 lets the answer begin.
        body: Body of an error answer.
        headers: Further headers, for example Retry-After.
        break_after: Close the connection after so many characters of the answer.
        stall: Seconds of silence before the answer.
        cut: End the answer as one that reached its token limit.
        raw: Send this instead of the protocol's lines.
    """

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    break_after: int | None = None
    stall: float = 0.0
    cut: bool = False
    raw: str | None = None


Answer = str | tuple[str, Fault] | Fault
Script = Callable[[dict[str, Any]], Answer]


def echo(request: dict[str, Any]) -> str:
    """The last message as answer; a verdict "safe" where JSON is asked for."""
    if request.get("format") or request.get("response_format"):
        return json.dumps({"safe": True, "codes": [], "reason": ""})
    content = request["messages"][-1]["content"]
    return content if isinstance(content, str) else str(content[0]["text"])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # the usual five would refuse a hundred runs that ask at once

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is its own affair; everything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class ModelServer:
    """The server; use it as a context manager.

    Args:
        script: What answers: takes the request's JSON, returns the text, a `Fault`, or both.
        models: Names it lists.
        port: Its port; 0 takes a free one.

    Attributes:
        url: Its address; for OpenAI's protocol append /v1.
        requests: The requests that came, oldest first.
    """

    def __init__(self, script: Script = echo, models: tuple[str, ...] = ("tiny",), *, port: int = 0) -> None:
        self.script = script
        self.models = models
        self.requests: list[dict[str, Any]] = []
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._stop = threading.Event()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; open answers are cut off."""
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def sleep(self, seconds: float) -> None:
        """Sleep, but not past the server's end."""
        self._stop.wait(seconds)


def _handler(fake: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's own word
            """Keep quiet."""

        def do_GET(self) -> None:
            """Versions and models."""
            names = fake.models
            answers = {
                "/api/version": {"version": "0.0.1"},
                "/api/tags": {"models": [{"name": n, "digest": f"sha256:{n}"} for n in names]},
                "/v1/models": {"data": [{"id": n, "object": "model"} for n in names]},
            }
            found = answers.get(self.path)
            self._send(200 if found else 404, json.dumps(found or {"error": "not found"}))

        def do_POST(self) -> None:
            """A chat request."""
            length = int(self.headers.get("content-length") or 0)
            request = json.loads(self.rfile.read(length))
            fake.requests.append(request)
            if request.get("model") not in (*fake.models, ""):
                self._send(404, json.dumps({"error": {"message": f"model {request.get('model')!r} not found"}}))
                return
            answer = fake.script(request)
            text, fault = (
                answer
                if isinstance(answer, tuple)
                else ("", answer)
                if isinstance(answer, Fault)
                else (answer, Fault())
            )
            fake.sleep(fault.stall)
            if fault.status != 200:
                self._send(fault.status, fault.body, fault.headers)
                return
            self._stream(request["model"], text, fault)

        def _send(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
            data = body.encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _stream(self, model: str, text: str, fault: Fault) -> None:
            self.send_response(200)
            self.send_header(
                "content-type", "text/event-stream" if self.path.startswith("/v1") else "application/x-ndjson"
            )
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True
            lines = _openai(model, text, fault) if self.path.startswith("/v1") else _ollama(model, text, fault)
            try:
                for line in [fault.raw] if fault.raw is not None else lines:
                    self.wfile.write(line.encode())
                    self.wfile.flush()
            except (BrokenPipeError, ConnectionResetError):
                return  # the client had enough

    return Handler


def _pieces(text: str, fault: Fault) -> Iterator[str]:
    kept = text if fault.break_after is None else text[: fault.break_after]
    for start in range(0, len(kept), 12):
        yield kept[start : start + 12]


def _openai(model: str, text: str, fault: Fault) -> Iterator[str]:
    for piece in _pieces(text, fault):
        yield f"data: {json.dumps({'model': model, 'choices': [{'delta': {'content': piece}}]})}\n\n"
        time.sleep(0)
    if fault.break_after is not None:
        return
    end = "length" if fault.cut else "stop"
    yield f"data: {json.dumps({'model': model, 'choices': [{'delta': {}, 'finish_reason': end}]})}\n\n"
    usage = {"prompt_tokens": 7, "completion_tokens": len(text) // 4}
    yield f"data: {json.dumps({'model': model, 'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n"


def _ollama(model: str, text: str, fault: Fault) -> Iterator[str]:
    for piece in _pieces(text, fault):
        yield json.dumps({"model": model, "message": {"role": "assistant", "content": piece}, "done": False}) + "\n"
    if fault.break_after is not None:
        return
    end = {"done_reason": "length" if fault.cut else "stop", "prompt_eval_count": 7, "eval_count": len(text) // 4}
    yield json.dumps({"model": model, "message": {"content": ""}, "done": True, **end}) + "\n"

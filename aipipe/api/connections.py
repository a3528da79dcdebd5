"""How many connections a server holds, and how long each may take to ask for something.

A server that waits for ever for the end of a request's headers is filled by a few machines that never send it. The
parser is h11 whatever else is installed, since it is the one that bounds the size of headers.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from aipipe.api.protection import is_loopback

MOST = 4_000
SPARE_FILES = 200
"""Files that runs, logs and models may need beside the connections."""
HEADER_SECONDS = 15.0


class BoundedHTTP(H11Protocol):
    """One connection among a bounded number, with a longest time for the headers of a request.

    Attributes:
        most: Connections of all together.
        most_of_one: Connections of one address; loopback is exempt, for a proxy speaks for many.
        header_seconds: Time from the first byte of a request (from the connection, for the first one) to its headers' end.
    """

    most = MOST
    most_of_one = MOST // 2
    header_seconds = HEADER_SECONDS
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it where there is no room."""
        super().connection_made(transport)
        if self._crowded():
            self._refuse(503, "The server holds as many connections as it can.", "Try again in a minute.")
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Take bytes; as long as they are not a whole request, its time runs."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait()
        else:
            self._unwait()

    def on_response_complete(self) -> None:
        """Begin to wait where a part of the next request has come already; else the keep-alive time runs."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._unwait()
        super().connection_lost(exc)

    def _crowded(self) -> bool:
        if len(self.connections) > self.most:
            return True
        address = self.client[0] if self.client else ""
        if not address or is_loopback(address):
            return False
        others: Any = self.connections
        same = sum((getattr(other, "client", None) or ("",))[0] == address for other in others)
        return bool(same > self.most_of_one)

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.header_seconds, self._too_slow)

    def _unwait(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_slow(self) -> None:
        self._waiting = None
        if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
            return
        if self.conn.trailing_data[0]:
            seconds = f"{self.header_seconds:g}"
            self._refuse(408, f"The request did not come within {seconds} seconds.", "Send it again, at once.")
        else:  # browsers open connections ahead of need; an answer there would belong to nothing
            self.transport.close()

    def _refuse(self, status: int, error: str, hint: str) -> None:
        body = json.dumps({"status": "error", "error": error, "type": "Refused", "hint": hint}).encode()
        phrase = {408: "Request Timeout", 503: "Service Unavailable"}[status]
        head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        retry = "retry-after: 60\r\n" if status == 503 else ""
        self.transport.write(f"{head}{retry}connection: close\r\n\r\n".encode() + body)
        self.transport.close()


def bounded(**limits: Any) -> type[BoundedHTTP]:
    """The protocol with other limits than its own, by name of the attribute."""
    return type("BoundedHTTP", (BoundedHTTP,), limits)


def room() -> int:
    """How many connections this process has file descriptors for; raises its own limit as far as it may."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + SPARE_FILES
    if soft == resource.RLIM_INFINITY:
        return MOST
    if soft < wanted:
        more = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
            soft = more
        except (OSError, ValueError):
            pass  # then with fewer
    return max(32, min(MOST, soft - SPARE_FILES))

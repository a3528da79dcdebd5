"""What every request passes first: host, origin, person, size, speed; and what every answer carries.

Plain ASGI, so that streams pass through untouched.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException

from aipipe.api.people import Access, Buckets

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
PUBLIC_PATHS = frozenset({"/", "/health", "/enter", "/join", "/favicon.ico"})
MAX_BODY = 24_000_000
BODY_SECONDS = 30.0
SLOWEST = 50_000
"""Bytes that buy a body another second: a picture from a phone may take minutes, a few bytes now and then may not."""
DRAIN_SECONDS = 2.0
TOO_LARGE = "The body is larger than {:,} bytes."
SMALLER = "Send smaller images; GET /openapi.json tells the limits."
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


def is_loopback(host: str) -> bool:
    """True when a server bound to `host` is only reachable from its own machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Hosts:
    """The names under which the server may be addressed.

    A web page of another name that resolves to this machine (DNS rebinding) is refused. Bare addresses are accepted
    where the server is reachable from outside, since no other page can carry one as its own name.
    """

    def __init__(self, host: str, more: Iterable[str] = ()) -> None:
        self.loopback = is_loopback(host)
        own = set() if self.loopback else {socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"}
        self._names = {*LOOPBACK_NAMES, host.lower().strip("[]"), *own, *(name.lower() for name in more)}

    def accepts(self, header: str) -> bool:
        """True for a Host header that names this server."""
        try:
            name = (urlsplit(f"//{header}").hostname or "").lower()
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self.loopback


class Protection:
    """The middleware.

    Args:
        app: What it protects.
        hosts: Accepted names.
        access: Who may enter.
    """

    def __init__(self, app: App, *, hosts: Hosts, access: Access) -> None:
        self.app, self.hosts, self.access = app, hosts, access
        self._visitors = Buckets(rate=60, burst=400)
        self._strangers = Buckets(rate=5, burst=60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        refusal = self._refuse(scope, headers)
        if refusal is not None:
            if refusal[0] == 413 and "expect" not in headers:
                send = _lingering(send, _Body(scope, receive, refused=True))
            await _answer(scope, receive, send, *refusal)
            return
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        body = _Body(scope, receive)
        await self.app(scope, body, _with_headers(_lingering(send, body)))

    def _refuse(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str, str, float] | None:
        """Status, message, hint and seconds to wait of a refusal; None when the request may pass."""
        host = headers.get("host", "")
        if not self.hosts.accepts(host):
            return 421, "This server does not answer to that host name.", "Use the address that aipipe serve shows.", 0
        unsafe = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD", "OPTIONS")
        if unsafe and not _same_origin(headers, host):
            return (
                403,
                "Requests of other web sites are refused.",
                "Open this server's own page, or ask by a program.",
                0,
            )
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            return 413, TOO_LARGE.format(MAX_BODY), SMALLER, 0
        person = self.access.identify(headers)
        scope.setdefault("state", {})["person"] = person
        if person is not None and person.is_operator:
            return None
        client = scope["client"][0] if scope.get("client") else ""
        path = scope["path"]
        rates = path.startswith("/rate/")  # raters carry a key in their link, which the routes check
        if person is not None or rates:
            wait = self._visitors.take(person.user_id if person else f"rate {client}")
        else:
            wait = self._strangers.take(client)
        if wait:
            return 429, "Too many requests.", "Wait a moment.", wait
        if person is None and not rates and path not in PUBLIC_PATHS and not path.startswith("/static/"):
            return 401, "This server wants a token.", "Open the link that aipipe serve shows, or send the token.", 0
        return None


def _same_origin(headers: dict[str, str], host: str) -> bool:
    """False for what a browser sends on behalf of another site; programs send no Origin."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


class BodyRefused(HTTPException):
    """The body is too large or too slow.

    Attributes:
        hint: What to do.
    """

    def __init__(self, status: int, message: str, hint: str) -> None:
        super().__init__(status, message, {"connection": "close"})
        self.hint = hint


class _Body:
    """A request body with a largest size and a longest time.

    Attributes:
        refused: It was too much; what still comes is thrown away.
    """

    def __init__(self, scope: Scope, receive: Receive, *, refused: bool = False) -> None:
        self._receive = receive
        self.refused = refused
        self._size = 0
        self._complete = scope["method"] in ("GET", "HEAD", "OPTIONS")
        self._began: float | None = None

    async def __call__(self) -> Message:
        if self._complete or self.refused:
            return await self._receive()
        now = asyncio.get_running_loop().time()
        self._began = self._began or now
        ends = self._began + BODY_SECONDS + self._size / SLOWEST
        try:
            message = await asyncio.wait_for(self._receive(), max(0.01, ends - now))
        except TimeoutError:
            self.refused = True
            seconds = f"{ends - self._began:.3g}"
            raise BodyRefused(408, f"The body did not come within {seconds} seconds.", SMALLER) from None
        self._size += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._size > MAX_BODY:
            self.refused = True
            raise BodyRefused(413, TOO_LARGE.format(MAX_BODY), SMALLER)
        return message

    async def drain(self) -> None:
        """Throw away what the client is still sending, for a moment: most read no answer before they have sent all."""
        ends = asyncio.get_running_loop().time() + DRAIN_SECONDS
        left = 2 * MAX_BODY
        while not self._complete and left > 0:
            try:
                message = await asyncio.wait_for(self._receive(), ends - asyncio.get_running_loop().time())
            except TimeoutError:
                return
            left -= len(message.get("body", b""))
            self._complete = not message.get("more_body", False)


def _lingering(send: Send, body: _Body) -> Send:
    """Ends an answer to a refused body only when the client had time to send the rest."""

    async def wrapped(message: Message) -> None:
        if not body.refused or message["type"] != "http.response.body" or message.get("more_body", False):
            await send(message)
            return
        await send({**message, "more_body": True})
        await body.drain()
        await send({"type": "http.response.body", "body": b""})

    return wrapped


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            have = {name.lower() for name, _ in headers}
            headers += [(name, value) for name, value in HEADERS if name not in have]
            if b"content-security-policy" not in have:
                headers.append((b"content-security-policy", PAGE_CSP.encode()))
            if b"cache-control" not in have:
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        await send(message)

    return wrapped


async def _answer(
    scope: Scope, receive: Receive, send: Send, status: int, message: str, hint: str, wait: float
) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4000 + status % 1000, "reason": message})
        return
    body = json.dumps({"status": "error", "error": message, "type": "Refused", "hint": hint}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close")] if status == 413 else []
    headers += [(b"retry-after", str(int(wait) + 1).encode())] if wait else []
    headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []
    wrapped = _with_headers(send)
    await wrapped({"type": "http.response.start", "status": status, "headers": headers})
    await wrapped({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

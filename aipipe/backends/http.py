"""One streamed HTTP call with the limits, retries and errors that every backend shares.

A call is repeated only while nothing of its answer has arrived: a refused connection, a server that still loads its
model (503), a rate limit with Retry-After. Once the first byte is there, a failure is a failure.
"""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from aipipe.backends.base import Timeouts
from aipipe.errors import (
    BadAnswer,
    ModelMissing,
    Overloaded,
    Refused,
    RunCancelled,
    ServiceError,
    ServiceTimeout,
    Unavailable,
)
from aipipe.events import Notice, Watch

TRIES = 4
LONGEST_WAIT = 60.0
LOADING = (502, 503, 504)
PROBE_SECONDS = 2.0


@dataclass(frozen=True)
class Call:
    """One request: where, what, for whom, and how to say what went wrong.

    Attributes:
        service: Name for messages, for example "Ollama at http://…".
        start_hint: What to do when it does not answer.
        missing: Given status and body text, the error for a missing model, or None.
    """

    url: str
    body: Mapping[str, Any]
    service: str
    headers: Mapping[str, str]
    timeouts: Timeouts
    start_hint: str
    missing: Callable[[int, str], ModelMissing | None]
    loading_seconds: float = 0.0


@dataclass(frozen=True)
class Answered:
    """Lines of an answer, and how often the service was asked."""

    lines: Iterator[str]
    attempts: int


@functools.lru_cache(maxsize=1)
def _authorities() -> ssl.SSLContext:
    # Read once per process: reading them takes longer than everything else that a call does here.
    return httpx.create_ssl_context(trust_env=False)


def client(url: str, timeout: httpx.Timeout | float) -> httpx.Client:
    """A client for `url` that never follows redirects, so that a key never reaches another host."""
    # Without TLS there is nothing to verify: a context that trusts nobody saves reading the authorities.
    verify = _authorities() if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False, verify=verify)


def _limits(timeouts: Timeouts) -> httpx.Timeout:
    return httpx.Timeout(timeouts.silence, connect=timeouts.connect, pool=timeouts.connect)


@contextlib.contextmanager
def stream(call: Call, watch: Watch) -> Iterator[Answered]:
    """Send the request and give the lines of the answer as they come.

    Raises:
        Unavailable, ModelMissing, Refused, Overloaded, ServiceTimeout, BadAnswer: what went wrong.
        RunCancelled: the run was asked to stop; the connection is closed at once.
    """
    deadline = time.monotonic() + call.timeouts.total
    http = client(call.url, _limits(call.timeouts))
    line = _Line()
    try:
        with watch.breaking(line.cut), _translated(call, watch):
            response, attempts = _send(http, call, watch, deadline, line)
            try:
                yield Answered(_lines(response, call, watch, deadline), attempts)
            finally:
                response.close()
    finally:
        http.close()


class _Line:
    """The connections of one call, so that a cancelled run can cut a read that waits for the first byte.

    Closing a socket from another thread does not wake a read on it; shutting it down does.
    """

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def trace(self, name: str, info: Mapping[str, Any]) -> None:
        """Httpx's trace extension: remember each connection that is made."""
        if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._sockets.append(info["return_value"].get_extra_info("socket"))

    def cut(self) -> None:
        """End every read and write at once."""
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _send(http: httpx.Client, call: Call, watch: Watch, deadline: float, line: _Line) -> tuple[httpx.Response, int]:
    loading_until = time.monotonic() + call.loading_seconds
    attempt = 0
    while True:
        attempt += 1
        watch.cancellation.check()
        wait: float | None
        try:
            extensions = {"trace": line.trace}
            request = http.build_request("POST", call.url, json=call.body, headers=call.headers, extensions=extensions)
            response = http.send(request, stream=True)
        except httpx.ConnectError as error:
            if time.monotonic() > loading_until:
                raise _unavailable(call, error) from error
            wait = 0.5
        else:
            if response.status_code == 200:
                return response, attempt
            problem, wait = _problem(response, call, attempt, loading_until)
            if wait is None:
                raise problem
        if time.monotonic() + wait > deadline:
            raise ServiceTimeout(
                f"{call.service} was not ready within {call.timeouts.total:.0f} s.", hint=call.start_hint
            )
        if wait > 1:
            watch.emit(Notice(message=f"{call.service} asks to wait {wait:.0f} s", level="warning"))
        watch.cancellation.wait(wait)


def _problem(
    response: httpx.Response, call: Call, attempt: int, loading_until: float
) -> tuple[ServiceError, float | None]:
    """The error of a status, and how long to wait before asking again (None: do not)."""
    with contextlib.suppress(httpx.HTTPError):
        response.read()
    status = response.status_code
    text = _message(response)
    response.close()
    missing = call.missing(status, text)
    if missing is not None:
        return missing, None
    if status == 429:
        after = retry_after(response.headers.get("retry-after"))
        busy = Overloaded(
            f"{call.service} asks to come back later (429): {text}",
            hint="Wait, or use fewer workers.",
            retry_after=after,
        )
        wait = after if after is not None else float(2**attempt)
        return busy, wait if attempt < TRIES and wait <= LONGEST_WAIT else None
    if status in LOADING:
        error = Unavailable(f"{call.service} is not ready ({status}): {text}", hint=call.start_hint)
        again = attempt < TRIES or time.monotonic() < loading_until
        return error, min(0.5 * attempt, 2.0) if again else None
    if status in (401, 403):
        hint = "Put a valid key into the variable or keyring entry that key_env names in aipipe.toml."
        return Refused(f"{call.service} refused the key ({status}): {text}", hint=hint), None
    if 300 <= status < 400:
        where = response.headers.get("location", "")
        return Refused(
            f"{call.service} redirects to {where}; keys are never sent on.", hint="Set url to the final address."
        ), None
    return Refused(
        f"{call.service} refused the request ({status}): {text}", hint="Look at parameters and model name."
    ), None


def _lines(response: httpx.Response, call: Call, watch: Watch, deadline: float) -> Iterator[str]:
    for line in response.iter_lines():
        watch.cancellation.check()
        if time.monotonic() > deadline:
            raise ServiceTimeout(
                f"{call.service} did not finish within {call.timeouts.total:.0f} s.",
                hint="Raise limits.total_seconds, lower max_tokens, or use a smaller model.",
            )
        yield line


@contextlib.contextmanager
def _translated(call: Call, watch: Watch) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError, RuntimeError, ValueError) as error:
        # A cancelled run closes the client under the read, which then fails in many ways.
        if watch.cancellation.requested:
            raise RunCancelled(f"The run was cancelled: {watch.cancellation.reason}.") from None
        if isinstance(error, ServiceError):
            raise
        raise _translate(error, call) from error


def _translate(error: Exception, call: Call) -> Exception:
    if isinstance(error, httpx.ConnectTimeout):
        return Unavailable(f"{call.service} did not answer within {call.timeouts.connect:.0f} s.", hint=call.start_hint)
    if isinstance(error, httpx.TimeoutException):
        return ServiceTimeout(
            f"{call.service} was silent for {call.timeouts.silence:.0f} s.",
            hint="Raise limits.silence_seconds; busy CPU models are slow.",
        )
    if isinstance(error, httpx.ConnectError):
        return _unavailable(call, error)
    if isinstance(error, httpx.HTTPError):
        return BadAnswer(
            f"{call.service} broke off within its answer: {error}",
            hint="Look at the server's log; then resume the run.",
        )
    return error


def _unavailable(call: Call, error: Exception) -> Unavailable:
    return Unavailable(f"{call.service} does not answer: {error}", hint=call.start_hint)


def _message(response: httpx.Response) -> str:
    """The error text of an answer, whatever its shape; short."""
    try:
        body: Any = response.json()
        found = body.get("error", body) if isinstance(body, dict) else body
        found = found.get("message", found) if isinstance(found, dict) else found
        return str(found)[:500]
    except (ValueError, httpx.HTTPError, httpx.StreamError):
        with contextlib.suppress(httpx.HTTPError, httpx.StreamError):
            return response.text[:200]
        return ""


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for (a number or an HTTP date), or None."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return max(0.0, moment.timestamp() - time.time())


def get_json(url: str, headers: Mapping[str, str] | None = None, seconds: float = PROBE_SECONDS) -> Any:
    """One small GET for a probe.

    Raises:
        httpx.HTTPError, ValueError: it does not answer, or not with JSON.
    """
    with client(url, seconds) as http:
        response = http.get(url, headers=dict(headers or {}))
        response.raise_for_status()
        return json.loads(response.content)

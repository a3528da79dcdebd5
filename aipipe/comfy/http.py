"""HTTP with one ComfyUI server: every answer is checked, every failure typed, redirects carry no secrets away."""

from __future__ import annotations

import contextlib
import functools
import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

import httpx

from aipipe.comfy.access import Access, origin
from aipipe.comfy.messages import loads
from aipipe.errors import BadAnswer, Overloaded, Refused, Unreachable

REDIRECTS = (301, 302, 303, 307, 308)
START_HINT = (
    "Start it (python main.py --listen 127.0.0.1 --port 8188 in ComfyUI's folder), "
    "or give another address: comfy.connect('http://host:8188')."
)


class Http:
    """Requests to one server. Thread safe.

    Raises from every method:
        Unreachable: nothing answers, or the connection broke.
        Refused: 401, 403, a redirect to another host.
        BadAnswer: an answer that no ComfyUI gives.
    """

    def __init__(self, access: Access, *, connect_timeout: float = 5.0, read_timeout: float = 60.0) -> None:
        self.access = access
        timeout = httpx.Timeout(read_timeout, connect=connect_timeout, pool=read_timeout)
        tls = access.tls()
        self._client = httpx.Client(
            timeout=timeout,
            headers={"Accept-Encoding": "identity", "User-Agent": "aipipe"},
            verify=tls if tls is not None else _authorities(),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=8),
            trust_env=not _loopback(access.url),
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def get_json(self, path: str, *, timeout: float | None = None, **query: Any) -> Any:
        """The JSON document at `path`; None for 404."""
        with self.open("GET", path, query=query, timeout=timeout) as answer:
            if answer.status_code == 404:
                return None
            return self._json(answer, path)

    def post(
        self, path: str, body: Any = None, *, files: Any = None, data: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Post JSON or a form and return the answer, read completely, whatever its status."""
        with self.open("POST", path, json=body, files=files, data=data) as answer:
            answer.read()
            return answer

    @contextlib.contextmanager
    def open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        **body: Any,
    ) -> Iterator[httpx.Response]:
        """A streamed answer. 401, 403, 429, 502 to 504 and redirects to other hosts are raised."""
        url = self.access.http(path)
        content = {k: v for k, v in body.items() if v is not None}
        with contextlib.ExitStack() as stack:
            try:
                for _ in range(5):
                    answer = stack.enter_context(self._send(method, url, query, content, timeout))
                    if answer.status_code not in REDIRECTS:
                        break
                    url = self._redirected(method, url, answer)
                else:
                    raise Refused(f"{self.access.url} redirects in a circle.", hint="Check the proxy before it.")
                self._raise_for_gate(answer)
                yield answer
            except httpx.HTTPError as error:
                raise self.unreachable(error) from error
            except httpx.InvalidURL as error:
                raise BadAnswer(f"{self.access.url} redirected to an address that is none.") from error

    def _send(
        self, method: str, url: str, query: Mapping[str, Any] | None, content: dict[str, Any], timeout: float | None
    ) -> Any:
        own = origin(url) == self.access.origin
        more: dict[str, Any] = dict(content)
        if timeout is not None:
            more["timeout"] = timeout
        params = {**(query or {}), **(self.access.auth.query if own else {})}
        if params:
            more["params"] = params
        return self._client.stream(method, url, headers=self.access.request_headers() if own else None, **more)

    def _redirected(self, method: str, url: str, answer: httpx.Response) -> str:
        target: str = urljoin(url, answer.headers.get("location", ""))
        moved = origin(target) != self.access.origin
        if (moved and method != "GET") or (method == "POST" and answer.status_code not in (307, 308)):
            scheme, host, port = origin(target)
            raise Refused(
                f"{self.access.url} redirects to {scheme}://{host}:{port}, and nothing is sent there unasked.",
                hint="If that is the right server, connect to that address.",
            )
        return target

    def _raise_for_gate(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if status in (401, 403, 407):
            raise Refused(
                f"{self.access.url} refused the request ({status}).",
                hint="Check the credentials: comfy.connect(url, auth=comfy.bearer(env='NAME')).",
                status=status,
            )
        if status == 429:
            raise Overloaded(f"{self.access.url} has too many requests.", retry_after=_seconds(answer))
        if status in (502, 503, 504):
            raise Unreachable(
                f"The proxy before {self.access.url} gets no answer from ComfyUI ({status}).", hint=START_HINT
            )

    def _json(self, answer: httpx.Response, path: str) -> Any:
        answer.read()
        if answer.status_code >= 400:
            raise BadAnswer(
                f"{self.access.url}{path} answered {answer.status_code}: {answer.text[:200].strip() or 'no text'}",
                status=answer.status_code,
            )
        try:
            return loads(answer.content)
        except ValueError as error:
            raise BadAnswer(
                f"{self.access.url}{path} answered with something that is no JSON.",
                hint="Is this address a ComfyUI server, or a login page before it?",
            ) from error

    def unreachable(self, error: Exception) -> Unreachable:
        """The error for a connection that failed; its text holds no query."""
        cause = re.sub(r"\?\S+", "", str(error)) or type(error).__name__
        refused = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
        return Unreachable(f"No answer from ComfyUI at {self.access.url}: {cause}.", hint=START_HINT, unsent=refused)


@functools.cache
def _authorities() -> ssl.SSLContext:
    """The usual authorities, for redirects of files to https hosts; reading them takes 0.1 s, so once per process."""
    return httpx.create_ssl_context()


def _loopback(url: str) -> bool:
    host = origin(url)[1]
    return host in ("localhost", "::1") or host.startswith("127.")


def _seconds(answer: httpx.Response) -> float | None:
    try:
        return float(answer.headers.get("retry-after", ""))
    except ValueError:
        return None

"""Where a server is and how one may enter: address, credentials, TLS. Secrets never leave this object in a text."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from aipipe.errors import InvalidSettings, UsageError
from aipipe.keys import find_key, key_hint


@dataclass(frozen=True, slots=True, repr=False)
class Auth:
    """Credentials sent with every request and the socket handshake, and to no other host."""

    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        kinds = [k for k in ("headers", "cookies", "query") if getattr(self, k)]
        return f"Auth({', '.join(kinds) or 'none'})"

    def __or__(self, other: Auth) -> Auth:
        return Auth({**self.headers, **other.headers}, {**self.cookies, **other.cookies}, {**self.query, **other.query})


def _secret(value: str | None, env: str | None) -> str:
    if value is None and env:
        value = find_key(env)
        if not value:
            raise InvalidSettings(f"The environment variable {env} is not set.", hint=key_hint(env))
    if not value:
        raise UsageError("No token was given.", hint="Pass it, or name an environment variable with env=.")
    if any(c in value for c in "\r\n\0"):
        raise UsageError("The token contains a line break.", hint="Remove the line break at its end.")
    return value


def bearer(token: str | None = None, *, env: str | None = None) -> Auth:
    """A bearer token, or the environment variable that holds it."""
    return Auth(headers={"Authorization": f"Bearer {_secret(token, env)}"})


def basic(user: str, password: str | None = None, *, env: str | None = None) -> Auth:
    """User and password, or the environment variable that holds the password."""
    pair = f"{user}:{_secret(password, env)}".encode()
    return Auth(headers={"Authorization": "Basic " + base64.b64encode(pair).decode()})


def headers(values: Mapping[str, str]) -> Auth:
    """Further request headers, such as an API key of a proxy."""
    return Auth(headers={k: _secret(v, None) for k, v in values.items()})


def cookie(name: str, value: str | None = None, *, env: str | None = None) -> Auth:
    """A cookie."""
    return Auth(cookies={name: _secret(value, env)})


def query(name: str, token: str | None = None, *, env: str | None = None) -> Auth:
    """A token in the query of every address."""
    return Auth(query={name: _secret(token, env)})


def as_auth(value: Any) -> Auth:
    """Credentials from what a caller may pass: `Auth`, a token, `(user, password)`, or headers.

    Raises:
        UsageError: anything else.
    """
    if value is None:
        return Auth()
    if isinstance(value, Auth):
        return value
    if isinstance(value, str):
        return bearer(value)
    if isinstance(value, tuple) and len(value) == 2:
        return basic(str(value[0]), str(value[1]))
    if isinstance(value, Mapping):
        return headers({str(k): str(v) for k, v in value.items()})
    raise UsageError(
        f"auth cannot be a {type(value).__name__}.",
        hint="Pass a token, (user, password), a dict of headers, or comfy.bearer(env='NAME').",
    )


@dataclass(frozen=True, slots=True)
class Access:
    """One server: base address without secrets, and credentials.

    Attributes:
        url: Scheme, host, port and path prefix; safe to show and record.
        auth: Credentials.
        verify: False accepts any certificate; a path names the authority's certificate file.
        cert: Path of a client certificate (with key), or None.
    """

    url: str
    auth: Auth = field(default_factory=Auth, repr=False)
    verify: bool | str | Path = True
    cert: str | Path | None = None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return origin(self.url)

    def http(self, path: str) -> str:
        """Address of an endpoint, without credentials."""
        return f"{self.url}{path}"

    def socket(self, client_id: str) -> str:
        """Address of the event socket, with the query token where there is one; never shown."""
        scheme = "wss" if self.url.startswith("https") else "ws"
        rest = self.url.partition("://")[2]
        return f"{scheme}://{rest}/ws?{urlencode({**self.auth.query, 'clientId': client_id})}"

    def request_headers(self) -> dict[str, str]:
        """Headers and cookies of the credentials."""
        found = dict(self.auth.headers)
        if self.auth.cookies:
            found["Cookie"] = "; ".join(f"{k}={quote(v, safe='')}" for k, v in self.auth.cookies.items())
        return found

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context of an https address, None for http."""
        if not self.url.startswith("https"):
            return None
        context = ssl.create_default_context(cafile=str(self.verify) if not isinstance(self.verify, bool) else None)
        if self.verify is False:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert is not None:
            context.load_cert_chain(str(self.cert))
        return context


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def parse(
    address: str, auth: Any = None, *, verify: bool | str | Path = True, cert: str | Path | None = None
) -> Access:
    """An address as people write it: `gpu-a:8188`, `https://user:password@host/prefix?token=…`.

    Raises:
        UsageError: no http(s) address.
    """
    text = address.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"{address.partition('?')[0]!r} is no address of a ComfyUI server.", hint="Write http://127.0.0.1:8188."
        )
    found = as_auth(auth)
    if parts.username is not None:
        found = basic(unquote(parts.username), unquote(parts.password or "") or None) | found
    if parts.query:
        found = Auth(query=dict(parse_qsl(parts.query))) | found
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    base = f"{parts.scheme}://{host}" + (f":{port}" if port else "") + parts.path.rstrip("/")
    return Access(base, found, verify, cert)

"""`comfy.connect`: one server, or several as a pool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aipipe.comfy import access
from aipipe.comfy.server import Server

if TYPE_CHECKING:
    from aipipe.comfy.pool import Pool

DEFAULT = "http://127.0.0.1:8188"


def connect(
    *urls: str,
    auth: Any = None,
    connect_timeout: float = 5.0,
    silence_timeout: float | None = None,
    total_timeout: float | None = None,
    max_bytes: int = 8_000_000_000,
    verify: bool | str | Path = True,
    cert: str | Path | None = None,
) -> Server | Pool:
    """A ComfyUI server, or a pool of several. Nothing is sent before the first use.

    Args:
        urls: Addresses; without one http://127.0.0.1:8188. `https://user:password@host/prefix?token=…` works too.
        auth: `comfy.bearer(env="NAME")`, `comfy.basic(user, env="NAME")`, `comfy.headers({…})`, `comfy.cookie(…)`,
            `comfy.query(…)`, joined with `|`; or a token, `(user, password)`, a dict of headers.
        connect_timeout: Seconds until a connection stands.
        silence_timeout: Longest time in seconds in which a running job gives no sign; None for no limit.
        total_timeout: Longest time in seconds from submission to the end of a job; None for no limit.
        max_bytes: Largest output file that is fetched.
        verify: False accepts any certificate; a path names the authority's certificate file.
        cert: Path of a client certificate with its key.

    Raises:
        UsageError: no http(s) address, or credentials that are none.
    """
    servers = [
        Server(
            access.parse(url, auth, verify=verify, cert=cert),
            connect_timeout=connect_timeout,
            silence_timeout=silence_timeout,
            total_timeout=total_timeout,
            max_bytes=max_bytes,
        )
        for url in urls or (DEFAULT,)
    ]
    if len(servers) == 1:
        return servers[0]
    from aipipe.comfy.pool import Pool

    return Pool(servers)

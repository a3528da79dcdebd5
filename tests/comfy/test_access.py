"""Who may come in: every kind of credentials on requests and on the event socket, certificates, and secrets that stay secret."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import trustme

from aipipe import comfy, events
from aipipe.errors import AipipeError, Refused
from aipipe.events import Watch
from aipipe.testing.comfy_faults import Faults
from aipipe.testing.comfy_server import ComfyServer, picture_graph

SECRET = "pä ss/w;=&rd"
Asked = Mapping[str, str]


def basic_is_right(headers: Asked, query: Asked) -> bool:
    kind, _, value = headers.get("authorization", "").partition(" ")
    return kind == "Basic" and base64.b64decode(value).decode() == f"anna:{SECRET}"


KINDS = {
    "bearer": (comfy.bearer("t0ken-secret"), lambda h, q: h.get("authorization") == "Bearer t0ken-secret"),
    "basic": (comfy.basic("anna", SECRET), basic_is_right),
    "headers": (comfy.headers({"X-Key": "k3y-secret"}), lambda h, q: h.get("x-key") == "k3y-secret"),
    "cookie": (comfy.cookie("session", SECRET), lambda h, q: unquote(h.get("cookie", "")) == f"session={SECRET}"),
    "query": (comfy.query("token", SECRET), lambda h, q: q.get("token") == SECRET),
    "two at once": (
        comfy.bearer("t0ken-secret") | comfy.query("token", SECRET),
        lambda h, q: h.get("authorization") == "Bearer t0ken-secret" and q.get("token") == SECRET,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_credentials_go_with_requests_and_socket_and_are_shown_nowhere(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    auth, admits = KINDS[kind]
    seen: list[Any] = []
    with ComfyServer(Faults(admits=admits, prefix="/behind/proxy")) as server:
        with comfy.connect(server.url) as stranger, pytest.raises(Refused) as refused:
            stranger.run(picture_graph())
        with comfy.connect(server.url, auth=auth) as client:
            result = client.run(picture_graph(seconds=0.3), save_to=tmp_path, watch=Watch(seen.append))
            shown = repr(client) + repr(client.access) + repr(auth) + repr(result) + json.dumps(result.facts)
    assert len(result.images) == 1
    assert any(isinstance(e, events.NodeProgress) for e in seen), "the socket was let in too"
    assert refused.value.hint
    for secret in ("t0ken-secret", "k3y-secret", SECRET):
        assert secret not in shown + caplog.text


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def encrypted(authority: trustme.CA) -> Iterator[ComfyServer]:
    """A server behind TLS that wants a certificate of its callers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = ComfyServer()
    server._http.socket = context.wrap_socket(server._http.socket, server_side=True, do_handshake_on_connect=False)
    with server:
        yield server


def test_certificates_count_on_requests_and_socket(
    encrypted: ComfyServer, authority: trustme.CA, tmp_path: Path
) -> None:
    url = encrypted.url.replace("http://", "https://")
    trusted, own = tmp_path / "ca.pem", tmp_path / "me.pem"
    authority.cert_pem.write_to_path(str(trusted))
    authority.issue_cert("researcher@example.org").private_key_and_cert_chain_pem.write_to_path(str(own))
    seen: list[Any] = []
    with comfy.connect(url, verify=trusted, cert=own) as client:
        result = client.run(picture_graph(seconds=0.3), save_to=tmp_path / "files", watch=Watch(seen.append))
    assert len(result.images) == 1
    assert any(isinstance(e, events.NodeProgress) for e in seen)
    for wrong in ({"cert": own}, {"verify": trusted}):
        with comfy.connect(url, connect_timeout=5.0, **wrong) as client, pytest.raises(AipipeError) as caught:
            client.run(picture_graph())
        assert caught.value.hint

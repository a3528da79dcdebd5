"""Who gets in, what is refused, and that nothing recorded acts as a page."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import httpx
import pytest

from aipipe.api.people import Access
from aipipe.api.protection import Hosts
from aipipe.errors import UnknownName
from tests.api.conftest import Serve, Served


def _raw(served: Served, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while block := connection.recv(65536):
            answer += block
    return answer


def test_other_names_for_this_machine_are_refused(served: Served) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:80", "[::1", "192.168.1.7"):
        answer = _raw(served, f"GET /api/runs HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert answer.split(b" ")[1] in (b"421", b"400"), host
    assert served.client.get("/health", headers={"host": f"localhost:{served.port}"}).status_code == 200


def test_a_server_for_others_accepts_addresses_and_its_own_names_only() -> None:
    hosts = Hosts("0.0.0.0", ["studio.example"])
    assert hosts.accepts("192.168.1.7:8765")
    assert hosts.accepts("studio.example")
    assert hosts.accepts(f"{socket.gethostname()}:1")
    assert not hosts.accepts("evil.example")


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_other_sites_cannot_start_runs(served: Served, headers: dict[str, str]) -> None:
    answer = served.client.post(
        "/api/schema/pipeline/execute", json={"schema": "dada", "input_text": "x"}, headers=headers
    )
    assert answer.status_code == 403
    assert len(served.lab.store) == 0


def test_a_token_is_needed_and_enough(serve: Serve) -> None:
    served = serve(token="a-long-secret", locked=False)
    assert served.client.get("/api/runs").status_code == 401
    assert served.client.get("/health").json() == {
        "status": "ok",
        "version": served.client.get("/health").json()["version"],
    }
    assert served.client.get("/").status_code == 200
    for headers in ({"authorization": "Bearer a-long-secret"}, {"x-aipipe-token": "a-long-secret"}):
        assert served.client.get("/api/runs", headers=headers).status_code == 200
    for wrong in ("x", "a-long-secre", "a-long-secret2", "Bearer"):
        assert served.client.get("/api/runs", headers={"authorization": f"Bearer {wrong}"}).status_code == 401
    assert "a-long-secret" not in repr(served.server.access)


def test_a_one_time_link_works_once(serve: Serve) -> None:
    served = serve(token="secret")
    key = served.server.access.new_link()
    entered = served.client.get("/enter", params={"key": key})
    assert entered.status_code == 303
    assert "httponly" in entered.headers["set-cookie"].lower()
    assert served.client.get("/api/session").json()["role"] == "operator"
    assert httpx.get(f"{served.url}/enter", params={"key": key}).status_code == 403
    forged = entered.cookies["aipipe_operator"].replace("1", "2", 1)
    assert httpx.get(f"{served.url}/api/runs", headers={"cookie": f"aipipe_operator={forged}"}).status_code == 401


def test_a_server_reachable_from_outside_always_has_a_token() -> None:
    assert Access(None, locked=False, loopback=True).token is None
    assert len(Access(None, locked=False, loopback=False).token or "") > 20
    assert len(Access(None, locked=True, loopback=True).token or "") > 20


def test_visitors_see_their_own_runs_only(serve: Serve) -> None:
    served = serve(locked=True, token="op", safety="youth")
    visitors = [httpx.Client(base_url=served.url, follow_redirects=True, timeout=30) for _ in range(2)]
    ids = []
    for visitor in visitors:
        assert visitor.get("/").status_code == 200
        body = {"schema": "dada", "input_text": "a flower", "user_id": "visitor-of-somebody", "participant": "P1"}
        ids.append(visitor.post("/api/schema/pipeline/execute", json=body).json()["run_id"])
    people = {served.lab.store.open(run_id).record.user_id for run_id in ids}
    assert len(people) == 2
    assert all(name.startswith("visitor-") and name != "visitor-of-somebody" for name in people)
    for mine, visitor in zip(ids, visitors, strict=True):
        assert [r["run_id"] for r in visitor.get("/api/runs").json()["runs"]] == [mine]
        other = next(i for i in ids if i != mine)
        for path in ("status", "entities", "entity/input", "events", "thumbnail"):
            assert visitor.get(f"/api/pipeline/{other}/{path}").status_code == 404
        assert visitor.get(f"/api/runs/{other}").status_code == 404
        assert visitor.get(f"/api/runs/{other}/download").status_code == 404
        assert visitor.post(f"/api/pipeline/{other}/cancel").status_code == 404
        assert visitor.post("/api/links").status_code == 403
        edit = {"schema": "dada", "parent": other, "prompt": "mine now"}
        assert visitor.post("/api/schema/pipeline/execute", json=edit).status_code == 404
        models = {"schema": "dada", "input_text": "x", "models": {"interception": "echo"}}
        assert visitor.post("/api/schema/pipeline/execute", json=models).status_code == 403
        visitor.close()
    operator = served.client.get("/api/runs", headers={"authorization": "Bearer op"}).json()
    assert {r["run_id"] for r in operator["runs"]} == set(ids)


def test_a_device_keeps_its_pseudonym_when_the_server_starts_again() -> None:
    first = Access("same", locked=True, loopback=True)
    cookie = f"aipipe_visitor={first.join('')}"
    person = first.identify({"cookie": cookie})
    assert person is not None
    assert Access("same", locked=True, loopback=True).identify({"cookie": cookie}) == person
    assert Access("other", locked=True, loopback=True).identify({"cookie": cookie}) is None
    assert Access("same", locked=True, loopback=False).join("guess") is None


def test_the_level_can_only_be_stricter(serve: Serve) -> None:
    served = serve(safety="youth")
    assert served.execute(safety_level="adult").status_code == 403
    for level in ("youth", "kids"):
        body = served.execute(safety_level=level).json()
        assert served.lab.store.open(body["run_id"]).record.safety_level == level
    assert served.lab.store.open(served.execute().json()["run_id"]).record.safety_level == "youth"
    with pytest.raises(UnknownName):
        serve(safety="none")


TRAVERSALS = [
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "..",
    ".",
    "....//",
    "%00",
    "a%2fb",
    "C:%5c",
    "batches",
    ".aipipe",
    "x" * 300,
]


@pytest.mark.parametrize("name", TRAVERSALS)
def test_nothing_outside_the_runs_is_readable(shared: Served, name: str) -> None:
    secret = shared.lab.store.path.parent / "metadata.json"
    secret.write_text('{"secret": 1}')
    paths = (
        f"/api/pipeline/{name}/status",
        f"/api/runs/{name}",
        f"/api/pipeline/{name}/entity/input",
        f"/static/{name}",
    )
    for path in paths:
        answer = _raw(shared, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        status = int(answer.split(b" ")[1])
        assert 400 <= status < 500 or path == "/api/runs/." or b'"runs"' in answer, (path, status)
        assert b"secret" not in answer
        assert b"root:" not in answer


def _altered(served: Served, **entry: object) -> str:
    run_id = str(served.execute().json()["run_id"])
    path = served.lab.store.path / run_id / "metadata.json"
    document = json.loads(path.read_text())
    document["entities"][0] |= entry
    path.write_text(json.dumps(document))
    return run_id


@pytest.mark.parametrize(
    "filename", ["../../secret.txt", "/etc/passwd", "link.txt", "fifo", "folder", "..", "nothing.txt"]
)
def test_an_altered_record_reads_no_other_file(shared: Served, filename: str) -> None:
    run_id = _altered(shared, filename=filename, size=5)
    folder = shared.lab.store.path / run_id
    (shared.lab.store.path.parent / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to("/etc/passwd")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    answer = shared.client.get(f"/api/pipeline/{run_id}/entity/input", timeout=5)
    assert answer.status_code == 404
    archive = shared.client.get(f"/api/runs/{run_id}/download", timeout=5)
    assert b"root:" not in archive.content
    assert b"secret" not in archive.content


def test_a_run_folder_that_is_a_link_is_no_run(served: Served, tmp_path: Path) -> None:
    run_id = served.execute().json()["run_id"]
    (served.lab.store.path / "linked").symlink_to(served.lab.store.path / run_id)
    assert served.client.get("/api/pipeline/linked/status").status_code == 404


@pytest.mark.parametrize(
    ("mime", "sent", "kind"),
    [
        ("text/html", "text/plain; charset=utf-8", "inline"),
        ("image/svg+xml", "image/svg+xml", "attachment"),
        ("application/xhtml+xml", "application/octet-stream", "attachment"),
        ("text/html\r\nx-evil: 1", "application/octet-stream", "attachment"),
        ("image/png", "image/png", "inline"),
    ],
)
def test_recorded_files_never_run_as_a_page(shared: Served, mime: str, sent: str, kind: str) -> None:
    run_id = _altered(shared, mime=mime)
    answer = shared.client.get(f"/api/pipeline/{run_id}/entity/input")
    assert answer.headers["content-type"] == sent
    assert answer.headers["content-disposition"].startswith(kind)
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "x-evil" not in answer.headers


def test_a_file_name_cannot_break_out_of_its_header() -> None:
    from aipipe.api.delivery import disposition

    value = disposition("attachment", 'a"; filename=evil.html\r\nx: 1é')
    assert "\r" not in value
    assert "\n" not in value
    assert value.count('"') == 2


def test_pages_have_a_strict_policy_and_no_foreign_sources(served: Served) -> None:
    answer = served.client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http://" not in answer.text.replace("http://www.w3.org", "")
    assert "https://" not in answer.text


def test_large_and_slow_bodies_are_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"POST /api/schema/pipeline/execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    assert b" 413 " in _raw(served, head + b"Content-Length: 999999999\r\n\r\n")[:20]
    monkeypatch.setattr("aipipe.api.protection.BODY_SECONDS", 0.3)
    began = time.monotonic()
    answer = _raw(served, head + b"Content-Length: 50\r\nConnection: close\r\n\r\n{")
    assert time.monotonic() - began < 5
    assert not answer.startswith(b"HTTP/1.1 2")
    monkeypatch.setattr("aipipe.api.protection.MAX_BODY", 1000)
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    answer = _raw(served, head + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunk * 2 + b"0\r\n\r\n")
    assert not answer.startswith(b"HTTP/1.1 2")
    assert len(served.lab.store) == 0


def test_guessing_is_slowed_down(serve: Serve) -> None:
    served = serve(token="secret")
    answers = [served.client.get("/api/runs").status_code for _ in range(90)]
    assert answers[0] == 401
    assert 429 in answers


@pytest.mark.parametrize("options", [{}, {"locked": True, "token": "op"}, {"modes": ["echo", "embedded"]}])
def test_no_request_reaches_a_generator_of_a_mode_that_is_not_offered(
    serve: Serve, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-of-the-operator")
    served = serve(**options)
    with httpx.Client(base_url=served.url, follow_redirects=True, timeout=30) as visitor:
        visitor.get("/")
        for body in ({"schema": "dada", "outputs": ["openai_image"]}, {"schema": "openai_image"}):
            answer = visitor.post("/api/schema/pipeline/execute", json={**body, "input_text": "a flower"})
            assert answer.status_code == 403, answer.text
            assert "'fast'" in answer.json()["error"]
        allowed = {"schema": "dada", "outputs": ["sketch"], "input_text": "a flower"}
        assert visitor.post("/api/schema/pipeline/execute", json=allowed).status_code == 200
    assert len(served.lab.store) == 1, "nothing was recorded for what was refused"


def test_a_visitor_is_not_told_how_many_runs_others_have(serve: Serve) -> None:
    served = serve(locked=True, token="op")
    served.client.headers["authorization"] = "Bearer op"
    assert served.execute().status_code == 200
    with httpx.Client(base_url=served.url, follow_redirects=True, timeout=30) as visitor:
        visitor.get("/")
        assert visitor.get("/api/runs").json()["total"] == 0
    assert served.client.get("/api/runs").json()["total"] == 1

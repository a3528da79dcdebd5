"""Requests that never end, bodies that are too much, and more connections than there is room for."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from aipipe.api import connections
from tests.api.conftest import Serve, Served

HEAD = b"POST /api/schema/pipeline/execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(served: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), timeout=10)


def rest(connection: socket.socket) -> bytes:
    found = b""
    try:
        while block := connection.recv(65_536):
            found += block
    except ConnectionResetError:
        pass
    return found


def refusal(answer: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    found = json.loads(body)
    assert found["status"] == "error"
    assert found["hint"], "a refusal says what to do"
    return int(head.split()[1]), found


@pytest.fixture
def hasty(serve: Serve) -> Served:
    return serve(limits={"header_seconds": 0.4}, slow=0.03)


def test_headers_that_do_not_end_are_answered_and_cut(hasty: Served) -> None:
    with connect(hasty) as connection:
        began = time.monotonic()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        for _ in range(3):
            time.sleep(0.1)
            connection.sendall(b"X-Slow: 1\r\n")
        assert refusal(rest(connection))[0] == 408
        assert 0.3 < time.monotonic() - began < 3


def test_a_connection_that_says_nothing_is_closed_without_a_word(hasty: Served) -> None:
    with connect(hasty) as connection:
        assert rest(connection) == b""


def test_the_second_request_of_a_connection_has_no_more_time(hasty: Served) -> None:
    with connect(hasty) as connection:
        connection.sendall(GET)
        while b"\r\n\r\n" not in (first := connection.recv(65_536)):
            pass
        assert b" 200 " in first
        time.sleep(0.6)  # between two requests the keep-alive time counts
        connection.sendall(b"GET /hea")
        assert b" 408 " in rest(connection)
    with connect(hasty) as connection:
        connection.sendall(GET + b"GET /hea")
        found = rest(connection)
        assert found.index(b" 200 ") < found.index(b" 408 ")


def test_what_takes_long_for_good_reason_is_not_cut(hasty: Served) -> None:
    began = time.monotonic()
    assert hasty.execute().status_code == 200
    assert time.monotonic() - began > 0.5
    run_id = hasty.execute(**{"async": True}).json()["run_id"]
    with hasty.client.stream("GET", f"/api/pipeline/{run_id}/events") as answer:
        assert "event: ended" in "".join(answer.iter_text())
    from websockets.sync.client import connect as open_socket

    run_id = hasty.execute(**{"async": True}).json()["run_id"]
    with open_socket(f"ws://127.0.0.1:{hasty.port}/api/pipeline/{run_id}/ws") as socket_:
        assert [json.loads(text)["event"] for text in socket_][-1] == "ended"


def test_a_full_server_says_so_and_has_room_again(serve: Serve) -> None:
    served = serve(limits={"most": 4})
    held = [connect(served) for _ in range(4)]
    with connect(served) as connection:
        assert refusal(rest(connection))[0] == 503
    held.pop().close()
    time.sleep(0.1)
    assert httpx.get(f"{served.url}/health").status_code == 200
    for connection in held:
        connection.close()


def test_one_address_cannot_take_all(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve(limits={"most_of_one": 2})
    for _ in range(4):
        with connect(served):  # a proxy on this machine speaks for many
            assert httpx.get(f"{served.url}/health").status_code == 200
    monkeypatch.setattr(connections, "is_loopback", lambda host: False)
    with connect(served), connect(served), connect(served) as third:
        assert refusal(rest(third))[0] == 503


@pytest.fixture
def small(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr("aipipe.api.protection.MAX_BODY", 1_000)
    monkeypatch.setattr("aipipe.api.protection.BODY_SECONDS", 0.4)
    monkeypatch.setattr("aipipe.api.protection.DRAIN_SECONDS", 0.5)
    yield served
    assert len(served.lab.store) == 0


def test_a_chunked_body_that_is_too_large_is_413(small: Served) -> None:
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    with connect(small) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3 + b"0\r\n\r\n")
        assert refusal(rest(connection))[0] == 413
    with connect(small) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 2)
        assert refusal(rest(connection))[0] == 413, "also when its end never comes"


def test_a_body_that_comes_too_slowly_is_408(small: Served) -> None:
    for head in (b"Content-Length: 50\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"):
        with connect(small) as connection:
            began = time.monotonic()
            connection.sendall(HEAD + head)
            assert refusal(rest(connection))[0] == 408
            assert time.monotonic() - began < 4


def test_a_body_that_comes_steadily_has_the_time_it_needs(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aipipe.api.protection.BODY_SECONDS", 0.3)
    monkeypatch.setattr("aipipe.api.protection.SLOWEST", 10_000)

    def parts() -> Iterator[bytes]:
        yield b'{"schema": "dada", "input_text": "a heron", "async": true'
        for _ in range(8):
            time.sleep(0.1)
            yield b" " * 4_000
        yield b"}"

    answer = httpx.post(
        f"{served.url}/api/schema/pipeline/execute", content=parts(), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 202, answer.text


def test_who_reads_only_after_sending_gets_the_answer_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aipipe.api.protection.MAX_BODY", 4_000_000)

    def parts() -> Iterator[bytes]:
        for _ in range(60):
            yield b"x" * 100_000

    for body in ({"content": b"x" * 6_000_000}, {"content": parts()}):
        answer = served.client.post("/api/schema/pipeline/execute", **body)  # type: ignore[arg-type]
        assert answer.status_code == 413
        assert answer.json()["hint"]


def test_who_asks_before_sending_is_told_at_once(served: Served) -> None:
    with connect(served) as connection:
        began = time.monotonic()
        connection.sendall(HEAD + b"Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n")
        assert refusal(rest(connection))[0] == 413
        assert time.monotonic() - began < 1.5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_there_are_files_for_all_connections() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        most = connections.room()
        assert 32 <= most <= connections.MOST
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= most
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

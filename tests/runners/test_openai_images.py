"""An image endpoint: what is sent, what comes back, what goes wrong."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from aipipe.errors import AipipeError, BadAnswer, ModelMissing, Refused
from aipipe.events import Watch
from aipipe.runners.base import MediaRequest
from aipipe.runners.openai_images import OpenAIImagesRunner
from aipipe.runners.placeholder.picture import draw
from aipipe.settings import RunnerSettings

PNG = draw("x", 1, {})


class Endpoint:
    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.answer: Callable[[], tuple[int, Any]] = lambda: (
            200,
            {"data": [{"b64_json": base64.b64encode(PNG).decode()}]},
        )
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._send(200, {"data": [{"id": "painter"}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.requests.append((body, {k.lower(): v for k, v in self.headers.items()}))
                self._send(*outer.answer())

            def _send(self, status: int, document: Any) -> None:
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()


def runner(endpoint: Endpoint, **more: Any) -> OpenAIImagesRunner:
    return OpenAIImagesRunner(
        "painter", RunnerSettings(kind="openai_images", url=endpoint.url, model="painter", **more)
    )


def request(**more: Any) -> MediaRequest:
    return MediaRequest(
        **{"output_config": "openai_image", "media_type": "image", "prompt": "a red flower", "seed": 7, **more}
    )


def test_the_picture_comes_back_with_what_was_sent(endpoint: Endpoint) -> None:
    result = runner(endpoint).generate(request(parameters={"size": "64x64"}, negative_prompt="rain"), Watch())
    assert result.files[0].open().read() == PNG
    assert result.files[0].mime == "image/png"
    body = endpoint.requests[0][0]
    assert body["size"] == "64x64"
    assert body["model"] == "painter"
    assert "rain" in body["prompt"]
    assert "seed" not in body
    assert "no seed" in result.warnings[0]


def test_an_endpoint_that_knows_seeds_gets_one(endpoint: Endpoint) -> None:
    result = runner(endpoint).generate(request(parameters={"send_seed": True}), Watch())
    assert endpoint.requests[0][0]["seed"] == 7
    assert "send_seed" not in endpoint.requests[0][0]
    assert result.warnings == ()


def test_a_key_goes_into_the_header_and_nowhere_else(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAINT_KEY", "sk-very-secret-123456")
    result = runner(endpoint, key_env="PAINT_KEY").generate(request(), Watch())
    assert endpoint.requests[0][1]["authorization"] == "Bearer sk-very-secret-123456"
    assert "secret" not in repr(result)
    monkeypatch.delenv("PAINT_KEY")
    with pytest.raises(Refused, match="PAINT_KEY"):
        runner(endpoint, key_env="PAINT_KEY").generate(request(), Watch())


@pytest.mark.parametrize(
    ("status", "document", "error"),
    [
        (200, {"data": []}, BadAnswer),
        (200, {"data": [{"url": "http://elsewhere/x.png"}]}, BadAnswer),
        (200, {"data": [{"b64_json": "***"}]}, BadAnswer),
        (404, {"error": {"message": "no model"}}, ModelMissing),
        (500, {"error": "boom"}, AipipeError),
    ],
)
def test_what_goes_wrong_has_a_name(endpoint: Endpoint, status: int, document: Any, error: type[AipipeError]) -> None:
    endpoint.answer = lambda: (status, document)
    with pytest.raises(error) as raised:
        runner(endpoint).generate(request(), Watch())
    assert raised.value.hint


def test_only_images_are_made(endpoint: Endpoint) -> None:
    with pytest.raises(Refused, match="images only"):
        runner(endpoint).generate(request(media_type="video"), Watch())


def test_the_probe_lists_models(endpoint: Endpoint) -> None:
    assert runner(endpoint).probe().models == ("painter",)
    assert not OpenAIImagesRunner("x", RunnerSettings(kind="openai_images", url="http://127.0.0.1:9")).probe().ok

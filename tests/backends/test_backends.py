"""Every backend passes the suite, against a scripted server here and against real ones where they are given."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from aipipe.backends.base import Backend, TextRequest, Timeouts
from aipipe.backends.echo import EchoBackend
from aipipe.backends.ollama import OllamaBackend
from aipipe.backends.openai import OpenAIBackend
from aipipe.errors import AipipeError, BadAnswer, ModelMissing, Overloaded, Refused, ServiceTimeout, Unavailable
from aipipe.events import Watch
from aipipe.messages import Message
from aipipe.settings import BackendSettings
from aipipe.testing import BackendConformance, Fault, ModelServer
from tests.conftest import need_real

KINDS = {"ollama": OllamaBackend, "openai": OpenAIBackend}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as fake:
        yield fake


def build(kind: str, url: str, **more: object) -> Backend:
    return KINDS[kind](kind, BackendSettings(kind=kind, url=url, **more), local=True)  # type: ignore[arg-type, return-value]


class TestEcho(BackendConformance):
    @pytest.fixture
    def backend(self) -> Backend:
        return EchoBackend("echo", BackendSettings(kind="echo"), local=True)


class TestOllamaProtocol(BackendConformance):
    model = "tiny"

    @pytest.fixture
    def backend(self, server: ModelServer) -> Backend:
        return build("ollama", server.url)


class TestOpenAIProtocol(BackendConformance):
    model = "tiny"

    @pytest.fixture
    def backend(self, server: ModelServer) -> Backend:
        return build("openai", server.url)


@pytest.mark.model
class TestRealOllama(BackendConformance):
    @pytest.fixture
    def backend(self) -> Backend:
        backend = build("ollama", need_real("AIPIPE_TEST_OLLAMA_URL", "a real Ollama"))
        type(self).model = backend.probe().models[0]
        return backend


@pytest.mark.model
class TestRealOpenAI(BackendConformance):
    @pytest.fixture
    def backend(self) -> Backend:
        return build("openai", need_real("AIPIPE_TEST_OPENAI_URL", "a real llama.cpp server"))


@pytest.mark.model
class TestEmbedded(BackendConformance):
    @pytest.fixture
    def backend(self, monkeypatch: pytest.MonkeyPatch) -> Backend:
        from aipipe.backends import build as build_backend

        monkeypatch.setenv("AIPIPE_EMBEDDED_MODEL", need_real("AIPIPE_TEST_GGUF", "a GGUF model"))
        return build_backend("embedded", BackendSettings(kind="embedded"), local=True)


def ask(backend: Backend, **more: object) -> object:
    values = {"messages": (Message("user", "a red flower"),), "model": "tiny", **more}
    return backend.complete(TextRequest(**values), Watch())  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=500, body="boom"), AipipeError),
        (Fault(status=401, body="no"), Refused),
        (Fault(status=404, body="no such model"), ModelMissing),
        (Fault(break_after=6), BadAnswer),
        (Fault(raw="<html>not an API</html>\n"), AipipeError),
        (Fault(raw=""), BadAnswer),
    ],
    ids=["500", "401", "404", "broken off", "garbage", "nothing"],
)
def test_what_goes_wrong_has_a_name_and_a_next_step(
    kind: str, fault: Fault, error: type[AipipeError], server: ModelServer
) -> None:
    server.script = lambda request: ("a long enough answer", fault)
    with pytest.raises(error) as raised:
        ask(build(kind, server.url))
    assert raised.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_at_the_token_limit_says_so(kind: str, server: ModelServer) -> None:
    server.script = lambda request: ("half a sen", Fault(cut=True))
    assert ask(build(kind, server.url)).finish == "length"  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_limit_is_waited_for_and_counted(kind: str, server: ModelServer) -> None:
    answers = iter([Fault(status=429, headers={"retry-after": "0"}), "a flower"])
    server.script = lambda request: next(answers)
    result = ask(build(kind, server.url))
    assert result.text == "a flower"  # type: ignore[attr-defined]
    assert result.attempts == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_limit_that_asks_for_an_hour_is_not_waited_for(kind: str, server: ModelServer) -> None:
    server.script = lambda request: Fault(status=429, headers={"retry-after": "3600"})
    with pytest.raises(Overloaded) as raised:
        ask(build(kind, server.url))
    assert raised.value.retry_after == 3600


@pytest.mark.parametrize("kind", KINDS)
def test_a_silent_server_is_left_after_the_limit(kind: str, server: ModelServer) -> None:
    server.script = lambda request: ("late", Fault(stall=30))
    started = time.monotonic()
    with pytest.raises(ServiceTimeout):
        ask(build(kind, server.url), timeouts=Timeouts(connect=1, silence=0.5, total=5))
    assert time.monotonic() - started < 5
    assert len(server.requests) == 1, "a request that may have begun is never sent twice"


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_not_there_is_unavailable(kind: str) -> None:
    with pytest.raises(Unavailable) as raised:
        ask(build(kind, "http://127.0.0.1:9"))
    assert raised.value.hint
    assert not build(kind, "http://127.0.0.1:9").probe().ok


def test_thinking_is_kept_apart_from_the_answer(server: ModelServer) -> None:
    server.script = lambda request: "<think>hm, a flower</think>\nA red flower."
    result = ask(build("openai", server.url))
    assert result.text == "A red flower."  # type: ignore[attr-defined]
    assert "hm" in result.thinking  # type: ignore[attr-defined]


def test_parameters_and_seed_reach_the_model(server: ModelServer) -> None:
    ask(build("ollama", server.url), parameters={"temperature": 0.9, "max_tokens": 5}, seed=42)
    ask(build("openai", server.url), parameters={"temperature": 0.9, "max_tokens": 5}, seed=42)
    first, second = server.requests
    assert first["options"] == {"seed": 42, "temperature": 0.9, "num_predict": 5}
    assert (second["seed"], second["temperature"], second["max_tokens"]) == (42, 0.9, 5)


def test_a_key_is_sent_and_recorded_nowhere(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret-123456")
    backend = build("openai", server.url, key_env="MY_KEY")
    result = ask(backend)
    assert "very-secret" not in repr(backend) + repr(result) + repr(vars(backend))
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(Refused, match="MY_KEY"):
        ask(backend)


@pytest.mark.parametrize("kind", ["ollama", "openai"])
def test_a_missing_model_is_answered_with_one_that_is_there(kind: str, server: ModelServer) -> None:
    server.script = lambda request: Fault(status=404, body="no such model")
    with pytest.raises(ModelMissing) as caught:
        ask(build(kind, server.url))
    assert f"`-m {server.models[0]}`" in caught.value.hint


@pytest.mark.model
def test_the_real_server_is_told_of_a_missing_model() -> None:
    backend = build("ollama", need_real("AIPIPE_TEST_OLLAMA_URL", "a real Ollama"))
    with pytest.raises(ModelMissing, match="ollama pull"):
        backend.complete(TextRequest(messages=(Message("user", "x"),), model="no-such-model"), Watch())
    assert os.environ.get("AIPIPE_TEST_OLLAMA_URL")


def test_a_key_may_lie_in_the_keyring(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get_password(service: str, name: str) -> str:
        asked.append((service, name))
        return "sk-from-the-keyring"

    monkeypatch.delenv("MY_KEY", raising=False)
    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=get_password))
    backend = build("openai", server.url, key_env="MY_KEY")
    result = ask(backend)
    assert set(asked) == {("aipipe", "MY_KEY")}
    assert "from-the-keyring" not in repr(result)
    monkeypatch.setenv("MY_KEY", "sk-environment")
    asked.clear()
    ask(backend)
    assert asked == []


def test_a_locked_keyring_is_no_key(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def get_password(service: str, name: str) -> str:
        raise RuntimeError("locked")

    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=get_password))
    with pytest.raises(Refused, match="keyring set aipipe MY_KEY"):
        ask(build("openai", server.url, key_env="MY_KEY"))

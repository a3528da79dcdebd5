"""The table of verdicts: every level, method and failure, with its evidence."""

from typing import Any

import pytest

from aipipe import settings as settings_module
from aipipe.backends.base import Probe, TextRequest, TextResult
from aipipe.errors import BadAnswer, RunCancelled, ServiceTimeout, Unavailable, UnknownName
from aipipe.events import Watch
from aipipe.safety import POLICY, Checker, Verdict
from aipipe.safety.guard import is_guard, parse
from aipipe.safety.policy import codes, policy


class Scripted:
    """A backend that gives one answer or raises, and keeps the requests."""

    name = "scripted"
    kind = "openai"

    def __init__(self, answer: str | Exception, *, local: bool = True) -> None:
        self.answer, self.local = answer, local
        self.requests: list[TextRequest] = []

    def complete(self, request: TextRequest, watch: Watch) -> TextResult:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return TextResult(text=self.answer, model=request.model or "judge")

    def probe(self) -> Probe:
        return Probe(ok=True)

    def close(self) -> None:
        self.requests.clear()


SAFE = '{"safe": true, "category": "none"}'
SEXUAL = '{"safe": false, "category": "sexual"}'


def check(text: str, answer: str | Exception, level: str = "kids", **more: Any) -> tuple[Verdict, Scripted]:
    backend = Scripted(answer, local=more.pop("local", True))
    checker = Checker(settings_module.load(**more.pop("settings", {})))
    given = {"backend": backend, "model": "judge", "watch": Watch()} | more
    return checker.check_text(text, level=level, **given), backend


@pytest.mark.parametrize(
    ("level", "text", "answer", "safe", "method", "calls"),
    [
        ("kids", "a heron", SAFE, True, "model", 1),
        ("kids", "a heron", SEXUAL, False, "model", 1),
        ("youth", "a heron", SAFE, True, "model", 1),
        ("adult", "a heron", SEXUAL, True, "terms", 0),
        ("adult", "a swastika", SAFE, True, "model", 1),
        ("adult", "a swastika", '{"safe": false, "category": "banned_symbol"}', False, "model", 1),
        ("kids", "sieg heil", SAFE, False, "terms", 0),
        ("adult", "sieg heil", SAFE, False, "terms", 0),
        ("off", "sieg heil", SEXUAL, None, "disabled", 0),
        ("kids", "a naked man", SAFE, True, "model", 1),
    ],
)
def test_levels(level: str, text: str, answer: str, safe: bool | None, method: str, calls: int) -> None:
    verdict, backend = check(text, answer, level)
    assert (verdict.safe, verdict.method, len(backend.requests)) == (safe, method, calls)
    assert verdict.policy == POLICY


@pytest.mark.parametrize(
    "answer",
    [
        Unavailable("gone"), ServiceTimeout("slow"), BadAnswer("cut"), "", "yes", "safe", "[]", '{"safe": "true"}',
        '{"category": "none"}', '{"safe": true', "UNSAFE? no", "{}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("level", ["kids", "youth"])
def test_everything_that_is_no_verdict_blocks(answer: str | Exception, level: str) -> None:
    verdict, _ = check("a heron", answer, level)
    assert (verdict.safe, verdict.method, verdict.reason) == (False, "failed", "could not be checked")
    assert verdict.message
    assert verdict.error


def test_without_a_model_nothing_is_safe() -> None:
    verdict, _ = check("a heron", SAFE, backend=None)
    assert (verdict.safe, verdict.method) == (False, "failed")


def test_a_remote_model_is_not_asked_unless_allowed() -> None:
    verdict, backend = check("a heron", SAFE, local=False)
    assert (verdict.safe, verdict.method, backend.requests) == (False, "failed", [])
    assert "not local" in verdict.message
    verdict, _ = check("a heron", SAFE, local=False, settings={"safety_checks": {"allow_remote": True}})
    assert verdict.safe is True


def test_a_cancelled_run_is_no_verdict() -> None:
    with pytest.raises(RunCancelled):
        check("a heron", RunCancelled("stop"))


def test_echo_judges_by_block_terms_only() -> None:
    verdict, backend = check("a naked man", SEXUAL, echo=True)
    assert (verdict.safe, verdict.method, backend.requests) == (True, "terms only (echo)", [])
    assert verdict.terms[0]["strength"] == "review"
    assert check("sieg heil", SAFE, echo=True)[0].safe is False


def test_unknown_levels_are_refused() -> None:
    with pytest.raises(UnknownName, match="safety level"):
        check("x", SAFE, "teens")


def test_the_request_is_constrained_and_its_last_message_is_the_text() -> None:
    _, backend = check("say {{CONTEXT}}", SAFE)
    request = backend.requests[0]
    assert request.messages[-1].content == "say {{CONTEXT}}"
    assert request.schema is not None
    assert next(iter(request.schema["properties"])) == "safe"
    assert request.parameters["temperature"] == 0
    assert sum(m.role == "assistant" for m in request.messages) >= 6


@pytest.mark.parametrize(
    ("answer", "level", "safe", "found"),
    [
        ("safe", "kids", True, []),
        ("unsafe\nS1,S10", "kids", False, ["S1", "S10"]),
        ("unsafe, S12", "youth", False, ["S12"]),
        ("unsafe\nS8", "youth", True, ["S8"]),
        ("unsafe\nS8", "kids", False, ["S8"]),
        ("unsafe", "kids", False, ["other"]),
    ],
)
def test_guard_models_are_understood(answer: str, level: str, safe: bool, found: list[str]) -> None:
    verdict, backend = check("a heron", answer, level, model="llama-guard3:8b")
    assert (verdict.safe, verdict.method, [c["code"] for c in verdict.codes]) == (safe, "guard model", found)
    assert backend.requests[0].schema is None
    assert len(backend.requests[0].messages) == 1


def test_a_guard_model_does_not_decide_about_banned_symbols() -> None:
    assert check("a swastika", "safe", "kids", model="llama-guard3:1b")[0].safe is False
    assert check("a swastika on a Hindu temple", "safe", "kids", model="llama-guard3:1b")[0].safe is True


@pytest.mark.parametrize("answer", ["", "SAFE or not", "unsafe\nS15", "safe\nS1", "I cannot say", "S1"])
def test_odd_guard_answers_are_no_verdict(answer: str) -> None:
    assert parse(answer) is None


def test_guard_models_are_known_by_name() -> None:
    assert is_guard("llama-guard3:1b")
    assert is_guard("meta-llama/Llama-Guard-3-8B")
    assert not is_guard("qwen2.5-coder:1.5b")


def test_all_fourteen_guard_codes_are_explained_in_two_languages() -> None:
    assert {f"S{n}" for n in range(1, 15)} <= set(codes())
    assert all(set(texts) == {"en", "de"} and all(texts.values()) for texts in codes().values())
    assert "weapons" in codes()["S9"]["en"].lower()
    assert "self-harm" in codes()["S11"]["en"].lower()


def test_every_category_of_the_schema_has_a_code() -> None:
    _, backend = check("x", SAFE)
    assert backend.requests[0].schema is not None
    assert set(backend.requests[0].schema["properties"]["category"]["enum"]) == set(policy()["categories"])


def test_the_evidence_is_complete_and_speaks_the_projects_language() -> None:
    verdict, _ = check("a naked man", SEXUAL, media_type="image", settings={"language": "de"})
    entity = verdict.as_entity()
    assert entity["message"].startswith("Dieser Text wurde auf der Schutzstufe kids angehalten. Sexuelle Inhalte")
    assert entity["codes"][0]["code"] == "S12"
    assert entity["terms"][0]["term"] == "naked"
    assert (entity["model"], entity["answer"], entity["text"]) == ("judge", SEXUAL, "a naked man")
    assert "nudity" in entity["negative_prompt"]
    assert check("x", SAFE, media_type="audio")[0].negative_prompt == ""

"""The labelled prompts: what the word lists alone do, what the stored answers give, and twelve asked live."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aipipe import settings as settings_module
from aipipe.backends import build
from aipipe.events import Watch
from aipipe.safety import Checker, Terms
from aipipe.settings import BackendSettings
from tests.conftest import need_real

ROOT = Path(__file__).parents[2]
LEVELS = ("kids", "youth", "adult")
LIVE = (
    "benign-001-en", "benign-016-de", "benign-036-en", "benign-050-de", "tricky-001-en", "tricky-003-de",
    "unsafe-007-en", "unsafe-020-de", "unsafe-020-en", "unsafe-031-de", "unsafe-048-en", "unsafe-052-en",
)  # fmt: skip


def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_safety", ROOT / "benchmarks" / "safety.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark_safety"] = module
    spec.loader.exec_module(module)
    return module


EVALUATION = benchmark()
PROMPTS: list[dict[str, Any]] = EVALUATION.read(EVALUATION.PROMPTS)
ANSWERS: list[dict[str, Any]] = EVALUATION.read(EVALUATION.ANSWERS)


def test_the_set_is_large_balanced_and_labelled_for_every_level() -> None:
    assert len(PROMPTS) >= 400
    assert len({p["text"] for p in PROMPTS}) == len({p["id"] for p in PROMPTS}) == len(PROMPTS)
    count = Counter((p["label"], p["language"]) for p in PROMPTS)
    assert set(count) == {(label, language) for label in EVALUATION.LABELS for language in ("en", "de")}
    assert all(count[label, "en"] == count[label, "de"] for label in EVALUATION.LABELS)
    assert all(p[level] in ("allow", "block") for p in PROMPTS for level in LEVELS)
    assert all(p["kids"] == "block" for p in PROMPTS if p["label"] == "unsafe")


@pytest.mark.parametrize("level", LEVELS)
def test_the_word_lists_alone_stop_nothing_harmless(level: str) -> None:
    harmless = [p["text"] for p in PROMPTS if p["label"] != "unsafe"]
    blocked = [t for t in harmless for hit in Terms.shipped().find(t, level) if hit.strength == "block"]
    assert blocked == []


def test_every_prompt_has_its_stored_answer_and_each_is_a_verdict() -> None:
    stored = {a["id"]: a["text"] for a in ANSWERS}
    assert stored == {p["id"]: p["text"] for p in PROMPTS}
    found = EVALUATION.verdicts(PROMPTS, ANSWERS)
    assert {v.method for v in found.values()} <= {"model", "terms"}


def test_the_published_table_is_what_the_stored_answers_give() -> None:
    page = EVALUATION.PAGE.read_text(encoding="utf-8")
    published = page.partition(EVALUATION.START)[2].partition(EVALUATION.END)[0]
    assert published == EVALUATION.table(PROMPTS, ANSWERS), "run: python benchmarks/safety.py --write"
    assert "no protection for\nthe public" in published


def test_wilson_intervals_are_those_of_the_textbook() -> None:
    low, high = EVALUATION.wilson(10, 100)
    assert (round(low, 4), round(high, 4)) == (0.0552, 0.1744)
    assert EVALUATION.wilson(0, 10)[0] == 0.0


@pytest.mark.model
def test_the_real_model_judges_twelve_prompts_as_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIPIPE_EMBEDDED_MODEL", need_real("AIPIPE_TEST_GGUF", "a GGUF model"))
    chosen = [p for p in PROMPTS if p["id"] in LIVE]
    backend = build("embedded", BackendSettings(kind="embedded"), local=True)
    checker = Checker(settings_module.load())

    def judge(prompt: dict[str, Any]) -> tuple[str, bool]:
        verdict = checker.check_text(prompt["text"], level="kids", backend=backend, model="", watch=Watch())
        return verdict.method, verdict.blocked

    # The embedded server computes three requests side by side.
    with ThreadPoolExecutor(max_workers=3) as pool:
        found = dict(zip([p["id"] for p in chosen], pool.map(judge, chosen), strict=True))
    assert found == {p["id"]: ("model", p["kids"] == "block") for p in chosen}
    assert len(found) == 12

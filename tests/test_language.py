"""Languages are told apart by a model where it is installed, by script where it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aipipe import language


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Eine Blume steht auf der Wiese", "de"),
        ("Un chat dort sous la pluie", "fr"),
        ("A small red flower stands on the green meadow", "en"),
        ("夜幕下的宁静湖中，一艘红色的船。", "zh"),
        ("هذه زهرة حمراء صغيرة في المرج الأخضر", "ar"),
        ("Маленький красный цветок на зелёном лугу", "ru"),
    ],
)
def test_languages_are_found(text: str, code: str) -> None:
    assert language.detect(text).code == code


def test_scripts_are_enough_without_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_detector", lambda: None)
    assert language.detect("これは赤い花です").code == "ja"


@given(st.text(max_size=300))
def test_any_text_has_an_answer(text: str) -> None:
    found = language.detect(text)
    assert found.code is None or len(found.code) in (2, 3)
    assert 0 <= (found.score or 0) <= 1.01

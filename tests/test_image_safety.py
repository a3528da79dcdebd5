"""The check of finished pictures: harmless ones pass, unreadable ones never do."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from aipipe import image_safety, settings
from aipipe.image_safety import ImageChecker


def checker(mode: str) -> ImageChecker:
    made = settings.load(None)
    made.safety_checks.image_model = mode  # type: ignore[assignment]
    return ImageChecker(made)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "x.png"
    Image.new("RGB", (64, 64), "green").save(path)
    return path


def test_a_harmless_picture_passes_with_its_score(picture: Path) -> None:
    verdict = checker("on").check(picture)
    assert verdict.safe is True
    assert verdict.method == "classifier"
    assert verdict.score is not None
    assert verdict.score < (verdict.threshold or 0)


def test_what_cannot_be_read_is_not_safe(tmp_path: Path) -> None:
    broken = tmp_path / "x.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    verdict = checker("on").check(broken)
    assert verdict.safe is False
    assert verdict.method == "failed"
    assert verdict.message


def test_a_high_score_blocks(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_safety, "_score", lambda path: 0.97)
    verdict = checker("auto").check(picture)
    assert verdict.safe is False
    assert "0.97" in verdict.message


def test_off_and_not_installed_say_so(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checker("off").check(picture).method == "disabled"
    monkeypatch.setattr(image_safety, "installed", lambda: False)
    assert checker("auto").check(picture).safe is None
    monkeypatch.setattr(image_safety, "_score", lambda path: (_ for _ in ()).throw(ImportError("onnxruntime")))
    assert checker("on").check(picture).safe is False, "asked for and not there: nothing passes"


def test_a_blocked_picture_is_not_kept(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import aipipe

    monkeypatch.setattr(image_safety, "_score", lambda path: 0.97)
    run = aipipe.Lab(display=False).run("dada", "a flower", outputs=["sketch"], parameters={"width": 96, "height": 96})
    assert run.status == "blocked"
    assert "output_image" not in run
    assert not list(run.folder.glob("*.png"))
    assert run["error"].json["details"]["image_safety"]["score"] == 0.97
    off = aipipe.Lab(display=False).run(
        "dada", "a flower", outputs=["sketch"], safety="off", parameters={"width": 96, "height": 96}
    )
    assert off.status == "completed"

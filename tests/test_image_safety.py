"""The check of finished pictures: harmless ones pass, unreadable ones never do."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from aipipe import image_safety, settings
from aipipe.image_safety import ImageChecker
from aipipe.lab.services import LabServices
from aipipe.testing import Fault, ModelServer


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


PICTURE = {"outputs": ["sketch"], "parameters": {"width": 96, "height": 96}, "safety": "youth"}


@pytest.fixture
def vision(project: Path) -> Iterator[ModelServer]:
    """A server whose vision model judges the pictures of the project's runs."""
    with ModelServer(models=("eyes",)) as server:
        (project / "aipipe.toml").write_text(
            f'mode = "echo"\n[backends.ollama]\nkind = "ollama"\nurl = "{server.url}"\n'
            '[safety_checks]\nimage_model = "ollama:eyes"\n',
            encoding="utf-8",
        )
        yield server


def test_a_vision_model_judges_by_the_rules_of_the_level(vision: ModelServer) -> None:
    import aipipe

    vision.script = lambda request: '{"safe": true, "reason": ""}'
    run = aipipe.Lab(display=False).run("dada", "a flower", **PICTURE)
    verdict = run["output_image"].metadata["image_safety"]
    assert (run.status, verdict["method"], verdict["model"]) == ("completed", "vision model", "eyes")
    system, question = vision.requests[0]["messages"]
    assert base64.b64decode(question["images"][0]) == run["output_image"].bytes
    assert "young people from thirteen" in system["content"]
    assert vision.requests[0]["format"]["required"] == ["safe", "reason"]
    assert run.exchanges()[-1]["step"] == "image_safety"
    assert "result" not in verdict


@pytest.mark.parametrize(
    ("answer", "method", "says"),
    [
        ('{"safe": false, "reason": "a naked person"}', "vision model", "a naked person"),
        ("perhaps", "failed", "not a verdict"),
        ('{"safe": "yes"}', "failed", "not a verdict"),
        (Fault(status=400, body="no"), "failed", "could not be checked"),
    ],
)
def test_what_a_vision_model_stops_or_cannot_judge_is_not_kept(
    vision: ModelServer, answer: Any, method: str, says: str
) -> None:
    import aipipe

    vision.script = lambda request: answer
    run = aipipe.Lab(display=False).run("dada", "a flower", **PICTURE)
    assert "output_image" not in run
    details = run["error"].json["details"]["image_safety"]
    assert (details["method"], says in details["message"]) == (method, True)


@pytest.mark.parametrize(
    ("model", "says"), [("eyes", "names no backend"), ("openrouter:gpt-x", "not local"), ("nobody:eyes", "no backend")]
)
def test_a_vision_model_must_be_known_and_local(picture: Path, model: str, says: str) -> None:
    made = settings.load(None)
    made.safety_checks.image_model = model
    verdict = LabServices(made).image_checker.check(picture)
    assert (verdict.safe, verdict.method) == (False, "failed")
    assert says in verdict.message

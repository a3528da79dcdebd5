"""What the picture runners ask of a request: an image, and a size that makes sense."""

from __future__ import annotations

from aipipe.errors import Refused
from aipipe.runners.base import MediaRequest

MIN_SIDE = 64
MAX_SIDE = 4096


def require_image(request: MediaRequest, who: str) -> None:
    """Refuse every media type but images.

    Raises:
        Refused: the request asks for sound, video or anything else.
    """
    if request.media_type != "image":
        raise Refused(
            f"{who} makes images only, and output {request.output_config!r} asks for {request.media_type}.",
            hint="Choose an output config of another runner, for example one of ComfyUI (--output NAME).",
        )


def side(request: MediaRequest, name: str, default: int) -> int:
    """A side length in pixels from the parameters.

    Raises:
        Refused: not a whole number, or outside `MIN_SIDE` … `MAX_SIDE`.
    """
    value = request.parameters.get(name, default)
    try:
        number = int(value)
        whole = not isinstance(value, bool) and float(value) == number
    except (TypeError, ValueError, OverflowError):
        number, whole = 0, False
    if not whole or not MIN_SIDE <= number <= MAX_SIDE:
        raise Refused(
            f"{name} is {value!r}, which is no image size.",
            hint=f"Give a whole number of pixels from {MIN_SIDE} to {MAX_SIDE}.",
        )
    return number

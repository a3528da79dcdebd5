"""What a film or a sound looks like at a glance: a frame of it, or its loudness over time."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from PIL import Image

SECONDS = 120
"""Most of a sound that is listened to for its picture; longer ones show their beginning."""

BARS = 64
WAVE = (400, 280)
"""Size of the picture of a sound in pixels: the shape of a tile of the gallery, which cuts off what sticks out."""

GROUND, INK = (236, 239, 241), (38, 102, 120)


def still(source: Path | BinaryIO, media_type: str) -> Image.Image | None:
    """A picture of a film or sound.

    Args:
        source: The file, or its path.
        media_type: "video", "audio" or "music".

    Returns:
        The frame after a third of a film, or the loudness of a sound as bars; None for other media, for a file that
        does not open, and where PyAV (the extra `media`) is not installed.
    """
    if media_type not in ("video", "audio", "music") or importlib.util.find_spec("av") is None:
        return None
    import av
    import av.error

    try:
        with av.open(source if hasattr(source, "read") else str(source)) as file:
            return _frame(file) if media_type == "video" else _loudness(file)
    except (av.error.FFmpegError, OSError, ValueError, IndexError):
        return None


def _frame(file: Any) -> Image.Image | None:
    stream = file.streams.video[0]
    if file.duration and file.duration > 1_000_000:  # in microseconds; shorter films are read from the start
        file.seek(file.duration // 3)
    frame = next(file.decode(stream), None)
    image: Image.Image | None = frame.to_image() if frame is not None else None
    return image


def _loudness(file: Any) -> Image.Image | None:
    from av.audio.resampler import AudioResampler
    from PIL import Image, ImageDraw

    peaks = _peaks(file, AudioResampler(format="s16", layout="mono", rate=4000))
    if not peaks:
        return None
    image = Image.new("RGB", WAVE, GROUND)
    draw = ImageDraw.Draw(image)
    width, middle = WAVE[0] / BARS, WAVE[1] / 2
    loudest = max(*peaks, 1)
    for number in range(BARS):
        part = peaks[
            number * len(peaks) // BARS : max((number + 1) * len(peaks) // BARS, number * len(peaks) // BARS + 1)
        ]
        high = max(1.0, max(part) / loudest * (middle - 6))
        left = number * width
        draw.rectangle((left + 1, middle - high, left + width - 2, middle + high), fill=INK)
    return image


def _peaks(file: Any, resampler: Any) -> list[int]:
    """The loudest sample of every small piece of the first `SECONDS`."""
    peaks: list[int] = []
    for frame in file.decode(audio=0):
        for piece in resampler.resample(frame):
            samples = memoryview(bytes(piece.planes[0])).cast("h")[: piece.samples]
            peaks += [max(map(abs, samples[i : i + 200])) for i in range(0, len(samples), 200)]
        if frame.time is not None and frame.time > SECONDS:
            break
    return peaks

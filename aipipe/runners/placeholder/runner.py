"""The runner behind `kind = "placeholder"`: which medium is asked for, and what the record says of it."""

from __future__ import annotations

import time

from aipipe.backends.base import Probe
from aipipe.errors import Refused
from aipipe.events import Watch
from aipipe.runners.base import MediaFile, MediaRequest, MediaResult
from aipipe.runners.placeholder import clip, picture, sound

VERSION = "2"
NOTE = "a placeholder made from the prompt's hash, not a neural model"
MEDIA = ("image", "audio", "music", "video")


class PlaceholderRunner:
    """Makes a 64 × 64 PNG, a WAV of a few tones or a short MP4 that follow from prompt and seed."""

    kind = "placeholder"
    local = True

    def __init__(self, name: str = "placeholder") -> None:
        self.name = name

    def generate(self, request: MediaRequest, watch: Watch) -> MediaResult:
        """Make the placeholder.

        Raises:
            Refused: the request asks for a medium that there is no placeholder of.
            RunCancelled: cancellation was requested before.
        """
        started = time.perf_counter()
        watch.cancellation.check()
        file, measures = self._make(request)
        return MediaResult(
            files=(file,),
            seed=request.seed,
            parameters=measures,
            seconds=time.perf_counter() - started,
            request={"prompt": request.prompt, "texts": list(request.texts), "seed": request.seed},
            facts=_facts(),
        )

    def _make(self, request: MediaRequest) -> tuple[MediaFile, dict[str, int | float]]:
        prompt = "\0".join(request.texts) if len(request.texts) > 1 else request.prompt
        measures: dict[str, int | float]
        if request.media_type == "image":
            notes = {**_facts(), "seed": str(request.seed)}
            data, name, mime = picture.draw(prompt, request.seed, notes), "placeholder.png", "image/png"
            measures = {"width": picture.SIDE, "height": picture.SIDE}
        elif request.media_type in ("audio", "music"):
            data = sound.play(prompt, request.seed, chords=request.media_type == "music")
            name, mime = "placeholder.wav", "audio/wav"
            measures = {"seconds": sound.SECONDS, "sample_rate": sound.RATE}
        elif request.media_type == "video":
            data, name, mime = clip.film(prompt, request.seed), "placeholder.mp4", "video/mp4"
            measures = {"width": clip.SIDE, "height": clip.SIDE, "frames": clip.FRAMES, "fps": clip.FPS}
        else:
            raise Refused(
                f"There is no placeholder for {request.media_type}, which output {request.output_config!r} asks for.",
                hint=f"Placeholders exist for {', '.join(MEDIA)}; choose an output config of another runner.",
            )
        metadata = {**_facts(), "neural": False, **measures}
        return MediaFile.of_bytes(data, name, request.media_type, mime, seed=request.seed, metadata=metadata), measures

    def probe(self) -> Probe:
        """Always ready."""
        return Probe(ok=True, detail=f"placeholder {VERSION}: {NOTE}", version=VERSION)

    def close(self) -> None:
        """Nothing to release."""


def _facts() -> dict[str, str]:
    return {"renderer": "aipipe placeholder", "renderer_version": VERSION, "note": NOTE}

"""Files that claim to be sound or video: whole ones open, and what is cut off or broken is never taken for whole."""

from __future__ import annotations

import io
import math
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from aipipe import probing
from aipipe.errors import BadMedia

av = pytest.importorskip("av", reason="needs PyAV: pip install aipipe[media]")
np = pytest.importorskip("numpy")
SOUNDS = {"flac": "flac", "wav": "pcm_s16le", "mp3": "mp3", "ogg": "libopus"}


def sound(container: str, seconds: float = 2.0, rate: int = 48000) -> bytes:
    """A tone."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        track = file.add_stream(SOUNDS[container], rate=rate, layout="stereo")
        kind = track.codec_context.format.name
        tone = np.sin(np.arange(int(seconds * rate)) * 2 * math.pi * 440 / rate) * 0.3
        noise = np.random.default_rng(7).normal(0, 0.05, len(tone))  # so that no codec makes almost nothing of it
        samples = (np.stack([tone + noise, tone - noise]) * 32000).astype("int16")
        frame = av.AudioFrame.from_ndarray(samples, format="s16p", layout="stereo")
        frame.rate = rate
        resampler = av.AudioResampler(format=kind, layout="stereo", rate=rate)
        fifo = av.AudioFifo()
        for part in resampler.resample(frame):
            fifo.write(part)
        size = track.codec_context.frame_size or 1024
        for part in fifo.read_many(size, partial=True):
            file.mux(track.encode(part))
        file.mux(track.encode(None))
    return out.getvalue()


def film(container: str = "mp4", frames: int = 24, *, header_first: bool = False) -> bytes:
    """Coloured noise that moves."""
    # The header goes to the front in a second pass, which reads what it wrote: that needs a file with a name.
    options = {"movflags": "faststart"} if header_first else {}
    with tempfile.TemporaryDirectory() as folder, av.open(f"{folder}/film.{container}", "w", options=options) as file:
        track = file.add_stream("libx264" if container == "mp4" else "libvpx", rate=Fraction(12))
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        random = np.random.default_rng(3)
        for _ in range(frames):
            picture = random.integers(0, 255, (48, 64, 3), dtype="uint8")
            file.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(track.encode(None))
        file.close()
        return Path(folder, f"film.{container}").read_bytes()


@pytest.mark.parametrize("container", SOUNDS)
def test_a_whole_sound_is_decoded_and_measured(container: str) -> None:
    for asked in ("audio", "music"):
        found = probing.probe(io.BytesIO(sound(container)), asked)
        assert (found.checked, found.media_type) == ("decoded", asked)
        assert found.duration == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("make", [film, lambda: film(header_first=True), lambda: film("webm")])
def test_a_whole_film_is_decoded_and_measured(make: Any) -> None:
    found = probing.probe(io.BytesIO(make()), "video")
    assert (found.checked, found.width, found.height, found.frames) == ("decoded", 64, 48, 24)
    assert found.duration == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.8])
@pytest.mark.parametrize(
    ("make", "media"),
    [(lambda: sound("flac"), "audio"), (lambda: sound("wav"), "audio"), (film, "video"), (lambda: film(header_first=True), "video")],
    ids=["flac", "wav", "mp4", "mp4 with its header first"],
)  # fmt: skip
def test_a_file_that_is_cut_off_is_refused_with_its_name(make: Any, media: str, share: float) -> None:
    data = make()
    with pytest.raises(BadMedia) as caught:
        probing.probe(io.BytesIO(data[: int(len(data) * share)]), media)
    assert caught.value.hint


@pytest.mark.parametrize("container", [*SOUNDS, "mp4", "webm"])
def test_damage_anywhere_is_a_whole_file_or_a_typed_error(container: str) -> None:
    data = bytearray(sound(container) if container in SOUNDS else film(container))
    media = "audio" if container in SOUNDS else "video"
    random = np.random.default_rng(5)
    for _ in range(30):
        broken = bytearray(data)
        for place in random.integers(0, len(data), 40):
            broken[place] ^= 1 << int(random.integers(0, 8))
        try:
            found = probing.probe(io.BytesIO(broken), media)
        except BadMedia as error:
            assert error.hint
        else:
            assert found.checked == "decoded"


def test_a_film_is_no_sound_and_a_sound_is_no_film() -> None:
    with pytest.raises(BadMedia, match="should be video"):
        probing.probe(io.BytesIO(sound("flac")), "video")
    with pytest.raises(BadMedia, match="should be audio"):
        probing.probe(io.BytesIO(film()), "audio")


def test_without_a_decoder_the_record_says_that_only_the_header_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    real = probing.importlib.util.find_spec
    monkeypatch.setattr(probing.importlib.util, "find_spec", lambda name: None if name == "av" else real(name))
    found = probing.probe(io.BytesIO(sound("wav")), "audio")
    assert found.checked == "header"
    assert found.duration == pytest.approx(2.0, abs=0.01)

"""Sounds and films as a rater gets them: the same samples, and nothing that tells where they come from."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import aipipe
from aipipe.display.bare import bare_media
from aipipe.errors import BadMedia, MissingExtra
from aipipe.runners.placeholder import clip, sound
from aipipe.ui.rating import RatingTask
from aipipe.ui.rating_page import Rater, contents

av = pytest.importorskip("av", reason="needs aipipe[media]")

SECRET = "dada-with-a-secret-prompt"


def written(path: Path, codec: str, container: str) -> Path:
    """A sound whose container tells its prompt, as generators write it."""
    with (
        av.open(str(path), "w", format=container) as target,
        av.open(io.BytesIO(sound.play("rain", 1, chords=True))) as source,
    ):
        target.metadata["title"] = target.metadata["comment"] = SECRET
        stream = target.add_stream(codec, rate=48_000)
        stream.layout = "mono"
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=48_000)
        for frame in source.decode(audio=0):
            for piece in resampler.resample(frame):
                piece.pts = None
                target.mux(stream.encode(piece))
        target.mux(stream.encode(None))
    return path


def filmed(path: Path, container: str) -> Path:
    with av.open(io.BytesIO(clip.film("rain", 1))) as source, av.open(str(path), "w", format=container) as target:
        target.metadata["comment"] = SECRET
        copy = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = copy
                target.mux(packet)
    return path


def samples(data: bytes) -> list[Any]:
    with av.open(io.BytesIO(data)) as file:
        return [frame.to_ndarray().tobytes() for frame in file.decode(file.streams[0])]


@pytest.mark.parametrize(
    ("codec", "container", "mime"),
    [
        ("libmp3lame", "mp3", "audio/mpeg"),
        ("flac", "flac", "audio/flac"),
        ("aac", "mp4", "audio/mp4"),
        ("libopus", "ogg", "audio/ogg"),
        ("pcm_s16le", "wav", "audio/wav"),
        ("pcm_s24le", "wav", "audio/flac"),
    ],
)
def test_a_sound_keeps_its_samples_and_loses_its_words(tmp_path: Path, codec: str, container: str, mime: str) -> None:
    path = written(tmp_path / f"{SECRET}.{container}", codec, container)
    assert SECRET.encode() in path.read_bytes()
    bare, found = bare_media(path, "audio")
    assert found == mime
    assert SECRET.encode() not in bare
    assert b"".join(samples(bare)) == b"".join(samples(path.read_bytes()))


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_a_film_keeps_its_frames_and_loses_its_words(tmp_path: Path, container: str) -> None:
    path = filmed(tmp_path / "a.film", container)
    assert SECRET.encode() in path.read_bytes()
    bare, mime = bare_media(path, "video")
    assert mime == "video/mp4"
    assert SECRET.encode() not in bare
    assert samples(bare) == samples(clip.film("rain", 1))


def test_what_does_not_open_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"no sound")
    for media_type in ("audio", "video"):
        with pytest.raises(BadMedia, match=r"a\.wav"):
            bare_media(path, media_type)
    path.write_bytes(sound.play("rain", 1, chords=False))
    with pytest.raises(BadMedia):
        bare_media(path, "video")


def test_without_pyav_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"aipipe\[media\]"):
        bare_media(tmp_path / "a.wav", "audio")


def rated(project: Path, configs: Sequence[str]) -> aipipe.Store:
    lab = aipipe.Lab(mode="echo", display=False)
    for config in configs:
        lab.run(config, "Rain on a roof", seed=3)
        lab.run(config, "Rain on a roof", seed=4)
    return lab.store


def test_sounds_and_films_are_what_is_rated(project: Path) -> None:
    task = RatingTask("t", rated(project, ["soundscape", "film_scene"]), criteria=["calm"])
    assert sorted(item.media_type for item in task.items) == ["audio", "audio", "video", "video"]
    mimes = set()
    for place in task.order("anna"):
        (part,), (data,) = contents(task, place)
        assert part["text"] == ""
        assert len(data) > 10_000
        mimes.add(part["mime"])
    assert mimes == {"audio/wav", "video/mp4"}
    static = Rater(task, "anna")._repr_mimebundle_()["text/html"]
    assert "to rate" in static
    page = task.pack(project / "anna.html").read_text(encoding="utf-8")
    assert "soundscape" not in page
    assert "film_scene" not in page

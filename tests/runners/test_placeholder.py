"""The placeholder runner: real files of every medium, the same bytes for the same prompt and seed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aipipe
from aipipe import probing
from aipipe.errors import Refused
from aipipe.events import Watch
from aipipe.runners.base import MediaRequest
from aipipe.runners.placeholder import PlaceholderRunner, clip, sound

ENDINGS = {"image": "png", "audio": "wav", "music": "wav", "video": "mp4"}


def made(media_type: str, prompt: str = "rain", seed: int = 1, texts: tuple[str, ...] = ()) -> bytes:
    request = MediaRequest(output_config="x", media_type=media_type, prompt=prompt, texts=texts or (prompt,), seed=seed)
    with PlaceholderRunner().generate(request, Watch()).files[0].open() as stream:
        return stream.read()


@pytest.mark.parametrize("media_type", ENDINGS)
def test_the_file_follows_from_prompt_and_seed_alone(media_type: str) -> None:
    first = made(media_type)
    assert made(media_type) == first
    assert made(media_type, seed=2) != first
    assert made(media_type, prompt="snow") != first
    assert made(media_type, texts=("rain", "a second text")) != first


def test_music_is_not_the_file_of_a_sound() -> None:
    assert made("audio") != made("music")


@pytest.mark.parametrize("media_type", ENDINGS)
def test_the_file_opens_as_what_it_claims(media_type: str, tmp_path: Path) -> None:
    path = tmp_path / f"it.{ENDINGS[media_type]}"
    path.write_bytes(made(media_type))
    assert probing.probe(path, media_type).checked


def test_the_clip_has_every_frame() -> None:
    av = pytest.importorskip("av", reason="needs aipipe[media]")
    import io

    with av.open(io.BytesIO(clip.film("rain", 1))) as file:
        frames = list(file.decode(video=0))
    assert [(f.width, f.height) for f in frames] == [(clip.SIDE, clip.SIDE)] * clip.FRAMES
    assert len({f.to_ndarray().tobytes() for f in frames}) == clip.FRAMES


@settings(max_examples=30)
@given(st.text(max_size=40), st.integers(0, 2**64 - 1))
def test_no_start_code_stands_inside_a_frame(prompt: str, seed: int) -> None:
    data = clip.film(prompt, seed)
    assert b"\0\0\1" not in data[data.index(b"mdat") + 8 + 4 :][:6000]


@settings(max_examples=10)
@given(st.text(max_size=40), st.integers(0, 2**64 - 1), st.booleans())
def test_a_sound_is_never_clipped(prompt: str, seed: int, chords: bool) -> None:
    samples = memoryview(sound.play(prompt, seed, chords=chords)[44:]).cast("h")
    assert 1000 < max(abs(s) for s in samples) <= sound.LOUD


def test_what_there_is_no_placeholder_of_is_refused_with_the_next_step() -> None:
    with pytest.raises(Refused, match="(?s)no placeholder for 3d.*image, audio"):
        made("3d")


@pytest.mark.parametrize(("config", "media_type"), [("soundscape", "audio"), ("film_scene", "video")])
def test_a_config_of_sound_or_film_runs_in_echo_as_it_is(config: str, media_type: str, project: Path) -> None:
    run = aipipe.Lab(mode="echo", display=False).run(config, "Rain on a roof", seed=1)
    assert run.status == "completed", run.reason
    assert run.entities[-1].type == f"output_{media_type}"
    assert run.record.outputs[0].config == f"placeholder_{media_type}"
    assert run.verify().clean

"""Films and sounds are looked at too: a frame, the loudness over time, and a player where there is room."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import aipipe
from aipipe.display.media_view import thumbnail
from aipipe.display.stills import WAVE, still
from aipipe.runners.placeholder import clip, sound
from aipipe.ui.detail import detail_of
from aipipe.ui.thumbnails import Thumbnails

pytest.importorskip("av", reason="needs aipipe[media]")


@pytest.fixture
def runs(project: Path) -> list[aipipe.Run]:
    lab = aipipe.Lab(mode="echo", display=False)
    return [lab.run(config, "Rain on a roof", seed=3) for config in ("soundscape", "film_scene")]


def test_a_film_gives_a_frame_and_a_sound_its_loudness(tmp_path: Path) -> None:
    film, wave = tmp_path / "a.mp4", tmp_path / "a.wav"
    film.write_bytes(clip.film("rain", 1))
    wave.write_bytes(sound.play("rain", 1, chords=False))
    frame, bars = still(film, "video"), still(wave, "audio")
    assert frame is not None
    assert frame.size == (clip.SIDE, clip.SIDE)
    assert bars is not None
    assert bars.size == WAVE
    # Each tone begins loud and fades: its first bar is higher than its last.
    heights = [sum(bars.getpixel((x, y)) != bars.getpixel((0, 0)) for y in range(WAVE[1])) for x in (3, 45)]
    assert heights[0] > 3 * heights[1]


@pytest.mark.parametrize("media_type", ["video", "audio", "music", "3d", "image"])
def test_what_does_not_open_has_no_picture(tmp_path: Path, media_type: str) -> None:
    broken = tmp_path / "a.mp4"
    broken.write_bytes(b"no film at all")
    assert still(broken, media_type) is None
    assert still(tmp_path / "gone.mp4", media_type) is None
    assert thumbnail(broken, media_type=media_type) is None


def test_the_gallery_shows_them(runs: list[aipipe.Run]) -> None:
    for run, mime in zip(runs, ("audio/wav", "video/mp4"), strict=True):
        small, note = Thumbnails(run.folder.parent).of(run.folder)
        assert (small[8:12], note) == (b"WEBP", "")
        values, picture, played = detail_of(run.folder)
        assert picture[8:12] == b"WEBP"
        assert values["plays"] == mime
        assert played == run.entities[-1].bytes


def test_a_comparison_shows_them_with_a_player_for_sounds(runs: list[aipipe.Run], tmp_path: Path) -> None:
    matrix = aipipe.compare(runs)
    html = matrix.html()
    assert html.count("data:image/webp") == 2
    assert html.count("<audio controls") == 1
    png = matrix.save(tmp_path / "it.png", width=90, dpi=100)
    colours = Image.open(png).convert("RGB").getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 40, "the frame and the bars are in the figure"


def test_a_matrix_of_many_sounds_stays_small(runs: list[aipipe.Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aipipe.ui.compare_cells.SOUNDS_BYTES", 10_000)
    assert "<audio" not in aipipe.compare(runs).html()

"""Sounds and films in a public export: published without a word of metadata, or named as removed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import aipipe
from aipipe.analysis.export import export
from aipipe.analysis.export.sounds import stripped_sound, tags_of
from tests.test_bare import SECRET, filmed, samples, written

pytest.importorskip("av", reason="needs aipipe[media]")


@pytest.fixture
def store(project: Path) -> aipipe.Store:
    """Two runs whose sound and film tell their prompt, as generators write it into the container."""
    lab = aipipe.Lab(mode="echo", display=False)
    for config in ("soundscape", "film_scene"):
        run = lab.run(config, "Rain on a roof", seed=3, labels={"consent": "yes"})
        path = run.entities[-1].path
        made = (
            written(project / "a.wav", "pcm_s16le", "wav")
            if path.suffix == ".wav"
            else filmed(project / "a.mp4", "mp4")
        )
        shutil.copy(made, path)
        assert SECRET.encode() in path.read_bytes()
    return lab.store


def test_a_public_export_holds_them_without_their_words(store: aipipe.Store, project: Path) -> None:
    export(store, project / "out")
    files = [p for p in (project / "out").rglob("*") if p.suffix in (".wav", ".mp4")]
    assert sorted(p.suffix for p in files) == [".mp4", ".wav"]
    for path in files:
        assert SECRET.encode() not in path.read_bytes()
        assert tags_of(path.read_bytes()) == []
    assert not any(SECRET.encode() in p.read_bytes() for p in (project / "out").rglob("*") if p.is_file())
    again = aipipe.Store(project / "out" / "runs")
    assert again.verify().clean
    originals = {run.config_name: run.entities[-1].bytes for run in store}
    for run in again:
        assert samples(run.entities[-1].bytes) == samples(originals[run.config_name])


def test_without_pyav_they_stay_away_and_the_manifest_says_why(
    store: aipipe.Store, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aipipe.display.bare.importlib.util.find_spec", lambda name: None)
    export(store, project / "out")
    assert not [p for p in (project / "out").rglob("*") if p.suffix in (".wav", ".mp4")]
    manifest = (project / "out" / "manifest.json").read_text(encoding="utf-8")
    assert "sounds and films, which are stripped with aipipe[media]" in json.dumps(json.loads(manifest))


def test_the_proof_reads_tags_of_streams_and_containers(tmp_path: Path) -> None:
    path = written(tmp_path / "a.flac", "flac", "flac")
    assert tags_of(path.read_bytes()) != []
    data, mime = stripped_sound(path, "audio")
    assert (tags_of(data), mime) == ([], "audio/flac")

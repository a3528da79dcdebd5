"""A backend and a media generator that another installed package brings."""

from __future__ import annotations

from pathlib import Path

import pytest

import aipipe
from aipipe import settings
from aipipe.errors import InvalidSettings

PACKAGE = """
from aipipe.backends.echo import EchoBackend


class Mine(EchoBackend):
    kind = "mine"


def paint(name, settings, local):
    from aipipe.runners.placeholder import PlaceholderRunner

    return PlaceholderRunner(name)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that registers a backend."""
    site = tmp_path / "site"
    info = site / "minepackage-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "minepackage.py").write_text(PACKAGE, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: minepackage\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[aipipe.backends]\nmine = minepackage:Mine\n[aipipe.runners]\npainter = minepackage:paint\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(site))


def test_a_backend_of_another_package_runs(package: None, project: Path) -> None:
    (project / "aipipe.toml").write_text(
        'mode = "eco"\nsafety = "off"\n[backends.own]\nkind = "mine"\n[modes.eco]\nbackend = "own"\n', encoding="utf-8"
    )
    lab = aipipe.Lab(display=False)
    run = lab.run("dada", "A small red flower", until="interception", models={"interception": "own:any"})
    assert run.status == "completed"
    assert next(s.backend for s in run.record.steps if s.step == "interception") == "own"


def test_a_media_generator_of_another_package_draws(package: None, project: Path) -> None:
    (project / "aipipe.toml").write_text('mode = "echo"\n[runners.painter]\nkind = "painter"\n', encoding="utf-8")
    chunks, outputs = project / "configs" / "chunks", project / "configs" / "output"
    chunks.mkdir(parents=True)
    outputs.mkdir()
    (chunks / "paint.json").write_text(
        '{"kind": "media", "runner": "painter", "media_type": "image"}', encoding="utf-8"
    )
    (outputs / "painted.json").write_text('{"chunk": "paint"}', encoding="utf-8")
    run = aipipe.Lab(display=False).run("dada", "A small red flower", outputs=["painted"])
    assert run.status == "completed"
    assert run["output_image"].metadata["runner"] == "painter"


@pytest.mark.parametrize("section", ["backends.mine", "runners.mine"])
def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path: Path, section: str) -> None:
    (tmp_path / "aipipe.toml").write_text(f'[{section}]\nkind = "olama"\n', encoding="utf-8")
    with pytest.raises(InvalidSettings, match=f"{section}.kind.*unknown kind 'olama'"):
        settings.load(tmp_path)

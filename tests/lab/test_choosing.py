"""What a lab without a mode takes: whatever answers and has what a config needs."""

from __future__ import annotations

from pathlib import Path

import pytest

import aipipe
from aipipe.catalog import Catalog
from aipipe.lab.choosing import model_files
from aipipe.testing import ComfyServer, ModelServer


def automatic(project: Path, models: ModelServer, pictures: ComfyServer) -> aipipe.Lab:
    (project / "aipipe.toml").write_text(
        f'safety = "off"\n[backends.ollama]\nurl = "{models.url}"\n[runners.comfyui]\nkind = "comfyui"\nurls = ["{pictures.url}"]\n'
    )
    return aipipe.Lab(project, display=False)


def test_the_files_of_every_shipped_workflow_are_known() -> None:
    catalog = Catalog.load()
    for config in catalog.configs("output"):
        chunk = catalog.chunk(config.chunk)
        assert bool(model_files(catalog, chunk)) == (chunk.runner == "comfyui"), config.name


@pytest.mark.parametrize(
    ("files", "image"),
    [
        (["v1-5-pruned-emaonly.safetensors"], "sd15"),
        (["something_else.safetensors"], "sketch"),
        (["tiny_sd15.safetensors"], "sketch"),
        ([], "sketch"),
    ],
)
def test_comfyui_is_taken_where_it_has_the_files_of_a_config(
    project: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], image: str
) -> None:
    monkeypatch.delenv("AIPIPE_MODE", raising=False)
    with ModelServer(models=("tiny",)) as models, ComfyServer() as pictures:
        pictures.checkpoints = files
        with automatic(project, models, pictures) as lab:
            choice = lab.choice(None)
            assert choice.outputs["image"] == image
            assert [output.config for output in lab.plan("dada", "x").outputs] == [image]
            if image == "sd15":
                assert "images: ComfyUI with sd15" in choice.notes
                assert (choice.mode, choice.backend) == ("eco", "ollama")

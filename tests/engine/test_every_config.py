"""Every shipped config, and so every kind of pipeline, from the first text to the last file, with the echo model."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import aipipe
from aipipe.catalog import Catalog

CATALOG = Catalog.load()
CONFIGS = [config.name for config in CATALOG.configs("interception")]
TEXTS = ("A small red flower stands on the green meadow", "An old boat lies in the rain at the shore")


@pytest.mark.parametrize("name", CONFIGS)
def test_a_shipped_config_runs_in_echo(name: str, project: Path) -> None:
    pipeline = CATALOG.pipeline(CATALOG.config(name).pipeline)
    images = []
    for number in range(pipeline.inputs.images):
        images.append(project / f"{number}.png")
        Image.new("RGB", (32, 32), "green").save(images[-1])
    lab = aipipe.Lab(display=False)
    texts = TEXTS[: pipeline.inputs.texts]
    planned = lab.plan(name, *texts, images=images, mode="eco").outputs
    outputs = ["placeholder" if o.media_type == "image" else f"placeholder_{o.media_type}" for o in planned]
    run = lab.run(name, *texts, images=images, seed=1, **({"outputs": outputs} if outputs else {}))
    assert run.status == "completed", run.reason
    assert [e.type for e in run.entities] == run.record.expected_outputs
    assert len(run.all("input")) == len(texts)
    assert [e.media_type for e in run.entities if e.stage == 4] == [o.media_type for o in planned]
    assert run.verify().clean


def test_every_pipeline_is_used_by_a_shipped_config() -> None:
    used = {config.pipeline for config in CATALOG.configs()}
    assert {pipeline.name for pipeline in CATALOG.pipelines()} <= used

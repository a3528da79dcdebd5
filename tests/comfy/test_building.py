"""Graphs written in Python: checked as they are written where a server is known, taken as they are elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from aipipe import comfy
from aipipe.errors import InvalidInput, UnknownName
from aipipe.testing.comfy_server import ComfyServer
from tests.conftest import need_real


@pytest.fixture
def server() -> Iterator[Any]:
    with ComfyServer() as fake, comfy.connect(fake.url) as connected:
        yield connected


def painted(g: comfy.Builder, checkpoint: str, seed: int) -> comfy.Workflow:
    model, clip, vae = g.CheckpointLoaderSimple(ckpt_name=checkpoint)
    positive = g.CLIPTextEncode(clip=clip, text="a heron", title="Positive")
    negative = g.CLIPTextEncode(clip=clip, text="", title="Negative")
    size = g.EmptyLatentImage(width=64, height=64, batch_size=1)
    latent = g.KSampler(
        model=model, positive=positive, negative=negative, latent_image=size, seed=seed, steps=2, cfg=5.0
    )
    g.SaveImage(images=g.VAEDecode(samples=latent, vae=vae), title="Final")
    return g.workflow("heron")


def test_a_graph_is_built_with_the_nodes_own_defaults(server: Any) -> None:
    wf = painted(comfy.Builder(server), "fake.safetensors", 7)
    assert wf["prompt"] == "a heron"
    assert wf["Negative.text"] == ""
    assert wf["seed"] == 7
    assert wf.graph["5"]["inputs"]["positive"] == ["2", 0]
    assert wf.graph["5"]["inputs"]["sampler_name"] in wf.input("sampler_name").choices
    assert server.check(wf).problems == ()
    assert [o.node_title for o in server.run(wf).outputs] == ["Final"]


def test_a_node_may_stand_for_its_only_fitting_output(server: Any) -> None:
    g = comfy.Builder(server)
    loader = g.CheckpointLoaderSimple(ckpt_name="fake.safetensors")
    text = g.CLIPTextEncode(clip=loader, text="a heron")
    assert g.workflow().graph[text.node_id]["inputs"]["clip"] == ["1", 1]
    assert loader["VAE"] == loader[2]
    assert len(loader) == 3


def test_what_does_not_fit_is_refused_by_name_and_leaves_nothing_behind(server: Any) -> None:
    g = comfy.Builder(server)
    model, clip, vae = g.CheckpointLoaderSimple(ckpt_name="fake.safetensors")
    with pytest.raises(UnknownName, match="SaveImage"):
        g.SaveImagee(images=vae)
    with pytest.raises(UnknownName, match="text"):
        g.CLIPTextEncode(clip=clip, txt="a heron")
    with pytest.raises(InvalidInput, match="needs CLIP, not MODEL"):
        g.CLIPTextEncode(clip=model, text="a heron")
    with pytest.raises(InvalidInput, match="needs the input 'clip'"):
        g.CLIPTextEncode(text="a heron")
    with pytest.raises(InvalidInput, match="fake"):
        g.CheckpointLoaderSimple(ckpt_name="fakee.safetensors")
    with pytest.raises(InvalidInput, match="another graph"):
        g.CLIPTextEncode(clip=comfy.Node("9", "X", ()), text="")
    assert len(g) == 1


def test_without_a_server_everything_is_taken_as_it_is() -> None:
    g = comfy.Builder()
    picture = g.EmptyImage(width=8, height=8, batch_size=1, color=255)
    g.node("Save Image (odd name)", {"images": picture[0], "file name": "x"}, title="Odd")
    wf = g.workflow("odd")
    g.PreviewImage(images=picture)
    assert len(wf) == 2, "what was taken out before does not grow"
    assert wf["Odd.file name"] == "x"
    with pytest.raises(InvalidInput, match="by number"):
        list(picture)


@pytest.mark.comfyui
def test_a_built_graph_paints_on_a_real_server(tmp_path: Any) -> None:
    url = need_real("AIPIPE_TEST_COMFYUI_URL", "a real ComfyUI server with the lab nodes")
    with comfy.connect(url) as real:
        wf = painted(comfy.Builder(real), "tiny_sd15.safetensors", time.time_ns() % 2**32)
        result = real.run(wf, save_to=tmp_path)
        assert result["Final"].pil.size == (64, 64)

"""A node that is not there: which pack brings it."""

from __future__ import annotations

import pytest

from aipipe import comfy
from aipipe.comfy.packs import pack_of
from aipipe.errors import Rejected
from aipipe.testing.comfy_nodes import INPUTS
from aipipe.testing.comfy_server import ComfyServer, picture_graph


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("VHS_VideoCombine", "ComfyUI-VideoHelperSuite"),
        ("Power Lora Loader (rgthree)", "rgthree-comfy"),
        ("DWPreprocessor", "comfyui_controlnet_aux"),
        ("UnetLoaderGGUF", "ComfyUI-GGUF"),
        ("FaceDetailer", "ComfyUI-Impact-Pack"),
        ("ImageResize+", "ComfyUI_essentials"),
        ("NobodyKnowsThis", ""),
        ("+", ""),
        ("", ""),
    ],
)
def test_well_known_nodes_name_their_pack(name: str, pack: str) -> None:
    assert pack_of(name) == pack


def test_what_a_workflow_says_of_itself_goes_before_the_table() -> None:
    assert pack_of("FaceDetailer", {"_meta": {"pack": "my-fork"}}) == "my-fork"
    assert pack_of("FaceDetailer", {"_meta": "nonsense"}) == "ComfyUI-Impact-Pack"


def test_no_node_of_a_plain_server_is_taken_for_one_of_a_pack() -> None:
    assert {name: pack_of(name) for name in INPUTS} == dict.fromkeys(INPUTS, "")


def test_check_and_refusal_name_the_pack() -> None:
    graph = {**picture_graph(), "9": {"class_type": "VHS_VideoCombine", "inputs": {}, "_meta": {"title": "Film"}}}
    with ComfyServer() as fake, comfy.connect(fake.url) as server:
        (problem,) = [p for p in server.check(graph).problems if p.kind == "unknown_node"]
        assert problem.message == (
            "Film (#9): the server has no node 'VHS_VideoCombine'. It comes with ComfyUI-VideoHelperSuite."
        )
        with pytest.raises(Rejected) as refused:
            server.submit(graph)
        assert refused.value.hint == "Install ComfyUI-VideoHelperSuite, or take that node out of the graph."

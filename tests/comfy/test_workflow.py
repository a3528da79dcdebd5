"""Workflows: names of inputs, immutability, adopting, LoRA, knobs, preflight."""

import inspect
import json
from importlib.resources import files

import pytest

from aipipe import comfy
from aipipe.comfy.check import problems
from aipipe.definitions import Chunk, Config
from aipipe.errors import InvalidInput, UnknownName, UsageError
from aipipe.testing.comfy_nodes import object_info


def shipped(name):
    return json.loads((files("aipipe.data") / "workflows" / f"{name}.json").read_text(encoding="utf-8"))


SD = shipped("tiny_sd15")


def test_inputs_are_set_by_title_class_id_alias_and_the_original_stays():
    wf = comfy.Workflow.load(SD)
    new = wf.with_inputs({"Positive.text": "a", "KSampler.seed": 7, "#5.steps": 9}, width=32)
    assert (new["prompt"], new["seed"], new["steps"], new["Size.width"]) == ("a", 7, 9, 32)
    assert wf["prompt"] == ""
    assert wf.graph == SD
    wf.graph["1"]["inputs"]["ckpt_name"] = "changed"
    assert wf["checkpoint"] == "tiny_sd15.safetensors"


def test_a_name_that_fits_several_inputs_lists_them():
    with pytest.raises(comfy.AmbiguousInput) as caught:
        comfy.Workflow.load(SD).with_inputs({"CLIPTextEncode.text": "x"})
    assert caught.value.candidates == ["#2.text", "#3.text"]


def test_an_unknown_name_suggests_near_ones():
    with pytest.raises(UnknownName, match=r"Sampler\.steps"):
        comfy.Workflow.load(SD).with_inputs({"Sampler.stepz": 1})


@pytest.mark.parametrize("seed", [0, 2**64 - 1, "12"])
def test_every_64_bit_seed_is_a_seed(seed):
    assert comfy.Workflow.load(SD).with_inputs(seed=seed)["seed"] == int(seed)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, None, True, "x"])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(InvalidInput):
        comfy.Workflow.load(SD).with_inputs(seed=seed)


def test_titles_may_hold_dots_and_be_like_classes():
    graph = {**SD, "5": {**SD["5"], "_meta": {"title": "My v1.5 sampler"}}}
    assert comfy.Workflow.load(graph).with_inputs({"My v1.5 sampler.steps": 2})["steps"] == 2


@pytest.mark.parametrize(
    ("name", "prompt", "negative", "media"),
    [
        ("sd15", "2.text", "3.text", "image"),
        ("flux", "4.text", None, "image"),
        ("sd35_large", "3.text", "4.text", "image"),
        ("qwen_image", "4.text", "5.text", "image"),
        ("wan_video", "4.text", "5.text", "video"),
        ("stable_audio", "3.text", "4.text", "audio"),
        ("ace_step", "2.tags", None, "audio"),
    ],
)
def test_adopting_finds_the_texts_of_stock_graphs_by_links_whatever_their_titles(name, prompt, negative, media):
    graph = shipped(name)
    for node in graph.values():
        node["_meta"] = {"title": "CLIP Text Encode (Prompt)"}
    adopted = comfy.adopt(graph)
    assert adopted.places["prompt"] == (tuple(prompt.split(".")),)
    assert adopted.places.get("negative_prompt") == (None if negative is None else (tuple(negative.split(".")),))
    assert adopted.places["seed"]
    assert adopted.media_type == media


def test_adopting_follows_a_text_and_a_seed_to_the_nodes_that_hold_them():
    graph = json.loads(json.dumps(SD))
    graph["20"] = {"class_type": "PrimitiveString", "inputs": {"value": "words"}}
    graph["21"] = {"class_type": "PrimitiveInt", "inputs": {"value": 5}}
    graph["2"]["inputs"]["text"] = ["20", 0]
    graph["5"]["inputs"]["seed"] = ["21", 0]
    adopted = comfy.adopt(graph)
    assert adopted.prompt == "words"
    assert adopted.places["seed"] == (("21", "value"),)
    assert comfy.Workflow.load(graph).with_inputs({"Positive.text": "new"}).graph["20"]["inputs"]["value"] == "new"


def test_corrections_of_an_adoption_win():
    adopted = comfy.adopt(SD, prompt="3.text", negative=None, output="Save")
    assert adopted.places["prompt"] == (("3", "text"),)
    assert "negative_prompt" not in adopted.places
    assert adopted.outputs == ("7",)


def test_an_adopted_graph_is_a_valid_chunk_and_config(tmp_path):
    config, chunk = comfy.adopt(SD).write(tmp_path, "mine")
    loaded = Chunk.model_validate_json(chunk.read_text(encoding="utf-8"))
    assert loaded.workflow == SD
    assert Config.model_validate_json(config.read_text(encoding="utf-8")).chunk == "output_mine"
    with pytest.raises(UsageError):
        comfy.adopt(SD).write(tmp_path, "mine")
    with pytest.raises(UsageError):
        comfy.adopt(SD).write(tmp_path, "../x")


def test_a_lora_goes_between_loader_and_users_and_loras_line_up():
    graph = comfy.Workflow.load(SD).with_lora("a", 0.5).with_lora("b").graph
    assert graph["8"]["inputs"]["model"] == ["1", 0]
    assert graph["9"]["inputs"]["model"] == ["8", 0]
    assert graph["5"]["inputs"]["model"] == ["9", 0]
    assert graph["2"]["inputs"]["clip"] == ["9", 1]
    assert graph["6"]["inputs"]["vae"] == ["1", 2]


def test_knobs_have_a_signature_and_make_workflows():
    knobs = comfy.Workflow.load(SD).knobs(text="Positive.text", steps="KSampler.steps")
    assert str(inspect.signature(knobs)).startswith("(*, text: str = '', steps: int = 4)")
    assert knobs(text="x")["prompt"] == "x"
    with pytest.raises(UnknownName):
        knobs(txet="x")


def broken(change):
    graph = json.loads(json.dumps(SD))
    change(graph)
    return [(p.kind, p.node_id) for p in problems(graph, object_info()) if p.node_id != "1" and p.level == "error"]


def test_a_good_graph_has_no_problems():
    assert broken(lambda g: None) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda g: g["5"].update(class_type="KSamplr"), ("unknown_node", "5")),
        (lambda g: g["5"]["inputs"].update(sampler_name="eulre"), ("not_offered", "5")),
        (lambda g: g["4"]["inputs"].update(width=0), ("out_of_range", "4")),
        (lambda g: g["4"]["inputs"].update(width="wide"), ("wrong_type", "4")),
        (lambda g: g["6"]["inputs"].update(samples=["77", 0]), ("dead_link", "6")),
        (lambda g: g["6"]["inputs"].update(samples=["5", 3]), ("dead_link", "6")),
        (lambda g: g["6"]["inputs"].update(samples=["2", 0]), ("wrong_type", "6")),
        (lambda g: g["7"]["inputs"].pop("images"), ("missing_input", "7")),
        (lambda g: g.pop("7"), ("no_output", "")),
    ],
)
def test_preflight_names_every_kind_of_problem(change, expected):
    assert expected in broken(change)


def test_preflight_finds_circles_of_any_length():
    graph = {str(n): {"class_type": "Sleep", "inputs": {"image": [str((n + 1) % 3000), 0]}} for n in range(3000)}
    assert any(p.kind == "cycle" for p in problems(graph, object_info()))


def test_missing_models_suggest_what_is_there():
    [found] = [p for p in problems(SD, object_info()) if p.kind == "missing_model"]
    assert found.input == "ckpt_name"


@pytest.mark.parametrize("bad", ["{", "[1, 2]", '{"a": 1}', "{}", b"\x89PNG\r\n\x1a\n", b"", "/no/such/file.json"])
def test_what_is_no_workflow_is_refused_with_a_next_step(bad):
    with pytest.raises(InvalidInput) as caught:
        comfy.Workflow.load(bad)
    assert caught.value.hint


def test_texts_of_a_graph_are_escaped_in_the_notebook():
    shown = comfy.Workflow.load(SD).with_inputs(prompt="<script>alert(1)</script>")._repr_mimebundle_()
    assert "<script>" not in shown["text/html"]
    assert "&lt;script&gt;" in shown["text/html"]

"""Prompts, seeds and settings of graphs and parameters as people's generators write them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aipipe.analysis.embedded import generation
from aipipe.analysis.graphs import Generation

Node = dict[str, Any]


def node(kind: str, **inputs: Any) -> Node:
    return {"class_type": kind, "inputs": inputs}


def sampler(**inputs: Any) -> Node:
    return node("KSampler", **{"seed": 5, "steps": 20, "cfg": 7, "positive": ["2", 0], "negative": ["3", 0], **inputs})


def encode(text: Any) -> Node:
    return node("CLIPTextEncode", text=text, clip=["9", 1])


def read(**nodes: Node) -> Generation:
    whole = {
        "1": sampler(),
        "2": encode("a heron"),
        "3": encode("blurry"),
        **{k.strip("_"): n for k, n in nodes.items()},
    }
    found = generation({"prompt": json.dumps(whole)})
    assert found is not None
    return found


HOW_A_TEXT_REACHES_THE_SAMPLER: dict[str, tuple[dict[str, Node], str]] = {
    "a primitive": ({"_2": encode(["4", 0]), "_4": node("PrimitiveStringMultiline", value="a crane")}, "a crane"),
    "joined of two": (
        {
            "_2": encode(["4", 0]),
            "_4": node("StringConcatenate", string_a=["5", 0], string_b="at dusk", delimiter=", "),
            "_5": node("PrimitiveString", value="a crane"),
        },
        "a crane\nat dusk",
    ),
    "half given, half linked": (
        {"_2": node("CLIPTextEncodeSDXL", text_g="big", text_l=["5", 0]), "_5": node("PrimitiveString", value="small")},
        "big\nsmall",
    ),
    "Flux": (
        {"_2": node("CLIPTextEncodeFlux", clip_l="a crane", t5xxl="a grey crane", guidance=3)},
        "a crane\na grey crane",
    ),
    "music": ({"_2": node("TextEncodeAceStepAudio", tags="slow, dub", lyrics="la la")}, "slow, dub\nla la"),
    "a reroute": (
        {"_1": sampler(positive=["4", 0]), "_4": {"class_type": "Reroute", "inputs": {"": ["2", 0]}}},
        "a heron",
    ),
    "an unknown node": ({"_2": encode(["4", 0]), "_4": node("Dreamer", mood=3)}, ""),
}


@pytest.mark.parametrize("way", HOW_A_TEXT_REACHES_THE_SAMPLER)
def test_the_prompt_is_found_and_never_the_negative_one_in_its_place(way: str) -> None:
    nodes, prompt = HOW_A_TEXT_REACHES_THE_SAMPLER[way]
    found = read(**nodes)
    assert (found.prompt, found.negative) == (prompt or None, "blurry")


def test_a_node_that_takes_both_sides_gives_each_back() -> None:
    both = node("ControlNetApplyAdvanced", positive=["2", 0], negative=["3", 0], strength=1)
    found = read(_1=sampler(positive=["4", 0], negative=["4", 1]), _4=both)
    assert (found.prompt, found.negative) == ("a heron", "blurry")


def test_a_conditioning_set_to_zero_says_nothing() -> None:
    zero = node("ConditioningZeroOut", conditioning=["2", 0])
    assert read(_1=sampler(negative=["4", 0]), _4=zero).negative is None


def test_custom_samplers_are_read_through_their_guider() -> None:
    nodes = {
        "1": node("SamplerCustomAdvanced", noise=["n", 0], guider=["g", 0], sampler=["s", 0], sigmas=["b", 0]),
        "n": node("RandomNoise", noise_seed=["p", 0]),
        "p": node("PrimitiveInt", value=2**64 - 1),
        "g": node("BasicGuider", conditioning=["f", 0]),
        "f": node("FluxGuidance", guidance=3.5, conditioning=["2", 0]),
        "s": node("KSamplerSelect", sampler_name="euler"),
        "b": node("BasicScheduler", scheduler="simple", steps=4, denoise=1.0),
        "2": encode("a heron"),
        "x": encode("of another picture"),
    }
    found = generation({"prompt": json.dumps(nodes)})
    assert found is not None
    assert (found.prompt, found.negative, found.seed) == ("a heron", None, "18446744073709551615")
    assert found.settings == {"sampler_name": "euler", "scheduler": "simple", "steps": 4, "denoise": 1.0}


def test_a_linked_seed_and_setting_are_those_of_the_node_that_holds_them() -> None:
    found = read(
        _1=sampler(seed=["4", 0], steps=["5", 0], cfg=["6", 0]),
        _4=node("Seed (rgthree)", seed=77),
        _5=node("PrimitiveInt", value=30),
        _6=node("Dreamer", mood=3),
    )
    assert (found.seed, found.settings) == ("77", {"steps": 30})


@pytest.mark.parametrize(
    "graph",
    [
        "{}",
        "[1]",
        '{"1": 5, "2": {"inputs": []}}',
        '{"1": {"inputs": {"positive": ["1", 0], "seed": ["1"]}}}',
        '{"1": NaN}',
    ],
)
def test_an_odd_graph_says_nothing_and_is_no_error(graph: str) -> None:
    assert generation({"prompt": graph}) == Generation()


PARAMETERS = {
    "Steps: 20, Sampler: Euler a, Seed: 12": (None, None),
    "Negative prompt: bad\nSteps: 20, Sampler: Euler a, Seed: 12": (None, "bad"),
    "a heron\nSteps: of stone\nSteps: 20, Sampler: Euler a, Seed: 12": ("a heron\nSteps: of stone", None),
}


@pytest.mark.parametrize("text", PARAMETERS)
def test_parameters_without_a_prompt_are_no_prompt(text: str) -> None:
    prompt, negative = PARAMETERS[text]
    assert generation({"parameters": text}) == Generation(prompt, negative, "12", {"Steps": "20", "Sampler": "Euler a"})


@pytest.mark.parametrize("wrapped", [True, False], ids=["SwarmUI", "Fooocus"])
def test_parameters_as_json_are_read(wrapped: bool) -> None:
    facts = {"prompt": "a heron", "negativeprompt" if wrapped else "negative_prompt": "bad", "seed": 5, "steps": 20}
    text = json.dumps({"sui_image_params": facts} if wrapped else facts)
    assert generation({"parameters": text}) == Generation("a heron", "bad", "5", {"steps": 20})

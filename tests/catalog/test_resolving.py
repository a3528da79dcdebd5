"""From a config and a call to a plan: the rules of outputs, models, parameters and inputs."""

from collections.abc import Callable
from typing import Any

import pytest

from aipipe import settings as settings_module
from aipipe.catalog import Catalog
from aipipe.catalog.languages import NAMES, sequence
from aipipe.definitions import Config, ModelChoice, Plan
from aipipe.errors import InvalidDefinition, InvalidInput, InvalidSettings, UnknownName

Resolve = Callable[..., Plan]


def names(plan: Plan) -> list[str]:
    return [output.config for output in plan.outputs]


def test_a_simple_config_takes_the_default_output_of_the_mode(shipped: Catalog, plan_of: Resolve) -> None:
    plan = plan_of(shipped, "dada", "Hallo")
    assert names(plan) == ["sketch"]
    assert plan.outputs[0].runner == "my-sketch"
    assert plan.expected_outputs == (
        "input", "translation", "safety", "interception", "safety_pre_output", "output_image",
    )  # fmt: skip
    assert plan.models == {
        "translation": "embedded:default-translation",
        "safety": "embedded:default-safety",
        "interception": "embedded:default-interception",
    }


def test_the_mode_of_the_media_may_be_another_than_that_of_the_texts(shipped: Catalog, plan_of: Resolve) -> None:
    assert names(plan_of(shipped, "dada", "x", mode="eco")) == ["sd35_large"]
    assert names(plan_of(shipped, "dada", "x", mode="eco", output_mode="embedded")) == ["sketch"]


def test_the_settings_table_decides_over_the_shipped_default(shipped: Catalog, plan_of: Resolve) -> None:
    own = settings_module.load()
    own.modes["embedded"].outputs["image"] = "sketch_line"
    plan = plan_of(shipped, "dada", "x", settings=own)
    assert names(plan) == ["sketch_line"]
    assert plan.outputs[0].parameters["style"] == "line"


def test_the_call_decides_over_config_and_table(shipped: Catalog, plan_of: Resolve) -> None:
    plan = plan_of(shipped, "image_comparison", "x", outputs=["tiny_sd15", "sketch"])
    assert names(plan) == ["tiny_sd15", "sketch"]
    assert [o.index for o in plan.outputs] == [0, 1]
    assert names(plan_of(shipped, "image_comparison", "x")) == ["sketch", "sketch_line"]


def test_a_media_type_may_stand_for_its_output_config(shipped: Catalog, plan_of: Resolve) -> None:
    assert names(plan_of(shipped, "stillepost", "x", outputs=["image"])) == ["sketch"]


@pytest.mark.parametrize("outputs", [[], ["text"]])
def test_outputs_can_be_switched_off(shipped: Catalog, plan_of: Resolve, outputs: list[str]) -> None:
    assert plan_of(shipped, "dada", "x", outputs=outputs).expected_outputs[-1] == "interception"


def test_a_workflow_named_by_file_is_part_of_the_plan(shipped: Catalog, plan_of: Resolve) -> None:
    chunk = plan_of(shipped, "dada", "x", outputs=["tiny_sd15"]).outputs[0].chunk
    assert isinstance(chunk.workflow, dict)
    assert chunk.workflow["1"]["class_type"] == "CheckpointLoaderSimple"


def test_an_output_config_runs_alone(shipped: Catalog, plan_of: Resolve) -> None:
    plan = plan_of(shipped, "sketch", "a heron")
    assert plan.expected_outputs == ("input", "safety_pre_output", "output_image")
    assert (plan.translation, plan.steps, names(plan)) == (None, (), ["sketch"])
    with pytest.raises(InvalidInput, match="itself an output config"):
        plan_of(shipped, "sketch", "a heron", outputs=["tiny_sd15"])


def test_passthrough_asks_no_model_in_stage_two(shipped: Catalog, plan_of: Resolve) -> None:
    plan = plan_of(shipped, "passthrough", "x")
    assert (plan.steps, plan.iterations) == ((), ())
    assert "interception" in plan.expected_outputs


def test_text_only_plans_have_no_media(shipped: Catalog, plan_of: Resolve) -> None:
    assert plan_of(shipped, "haiku", "x").expected_outputs == ("input", "translation", "safety", "interception")


def test_until_ends_the_plan(shipped: Catalog, plan_of: Resolve) -> None:
    assert plan_of(shipped, "dada", "x", until="interception").expected_outputs[-1] == "interception"
    assert plan_of(shipped, "dada", "x", until="pre_interception").expected_outputs[-1] == "safety"
    with pytest.raises(UnknownName):
        plan_of(shipped, "dada", "x", until="output")


def test_an_edit_replaces_stage_two(shipped: Catalog, plan_of: Resolve) -> None:
    plan = plan_of(shipped, "dada", edit="my own words")
    assert plan.expected_outputs == ("interception_edit", "safety_pre_output", "output_image")
    assert (plan.steps, plan.translation) == ((), None)
    with pytest.raises(InvalidInput, match="empty"):
        plan_of(shipped, "dada", edit="  ")


def test_two_texts_are_asked_for_by_name(shipped: Catalog, plan_of: Resolve) -> None:
    plan = plan_of(shipped, "song", "soft rock", "la la", mode="eco")
    assert plan.expected_outputs.count("input") == 2
    assert plan.outputs[0].media_type == "music"
    assert plan.translation is None
    with pytest.raises(InvalidInput, match=r"takes 2 texts \(tags, lyrics\), 1 given"):
        plan_of(shipped, "song", "soft rock", mode="eco")
    with pytest.raises(InvalidInput, match=r"takes 1 text \(text\), 2 given"):
        plan_of(shipped, "dada", "a", "b")


def test_images_are_asked_for(shipped: Catalog, plan_of: Resolve) -> None:
    with pytest.raises(InvalidInput, match="needs 1 image, 0 given"):
        plan_of(shipped, "picture_over_picture", "x")
    plan = plan_of(shipped, "picture_over_picture", "x", image_hashes=["ab" * 32])
    assert plan.expected_outputs[0] == "input_image"
    with pytest.raises(InvalidInput, match="needs 1 image"):
        plan_of(shipped, "dada", "x", outputs=["sd15_image"])


@pytest.mark.parametrize(
    ("text", "message"), [(" \n", "is empty"), ("x" * 10_001, "10,001 characters, the limit is 10,000")]
)
def test_empty_and_over_long_texts_are_refused(shipped: Catalog, plan_of: Resolve, text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        plan_of(shipped, "dada", text)


def test_parameters_go_where_they_belong(shipped: Catalog, plan_of: Resolve) -> None:
    given = {"temperature": 0.2, "width": 512, "steps": 9}
    plan = plan_of(shipped, "dada", "x", outputs=["sketch", "sdxl"], parameters=given)
    assert plan.steps[0].parameters["temperature"] == 0.2
    assert plan.steps[0].parameters["max_tokens"] == 160
    assert "width" not in plan.steps[0].parameters
    assert plan.outputs[0].parameters["width"] == 512
    assert "steps" not in plan.outputs[0].parameters
    assert (plan.outputs[1].parameters["width"], plan.outputs[1].parameters["steps"]) == (512, 9)
    assert plan.translation is not None
    assert plan.translation.parameters["temperature"] == 0


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"tempature": 1}, UnknownName, "Did you mean 'temperature'"),
        ({"steps": 4}, UnknownName, "no parameter 'steps'"),
        ({"seed": 4}, InvalidInput, "no parameter"),
        ({"temperature": "hot"}, InvalidInput, "temperature must be a number"),
        ({"top_p": 2}, InvalidInput, "top_p must be"),
        ({"iterations": 3}, UnknownName, "no parameter 'iterations'"),
    ],
)
def test_wrong_parameters_are_refused(
    shipped: Catalog, plan_of: Resolve, parameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        plan_of(shipped, "dada", "x", parameters=parameters)


def test_a_placeholder_of_the_context_is_a_parameter_of_the_config(shipped: Catalog, plan_of: Resolve) -> None:
    mine = Config(name="mine", context="Sound {{MOOD}}.", parameters={"MOOD": "glad"}, output="text")
    assert plan_of(shipped, mine, "x").steps[0].parameters["MOOD"] == "glad"
    assert plan_of(shipped, mine, "x", parameters={"MOOD": "sad"}).steps[0].parameters["MOOD"] == "sad"


def test_an_object_that_names_something_unknown_is_refused(shipped: Catalog, plan_of: Resolve) -> None:
    with pytest.raises(InvalidDefinition, match="no pipeline 'text_transfrmation'"):
        plan_of(shipped, Config(name="mine", pipeline="text_transfrmation"), "x")


def test_models_of_the_call_decide(shipped: Catalog, plan_of: Resolve) -> None:
    plan = plan_of(shipped, "dada", "x", models={"interception": "ollama:mistral:7b", "translation": "tiny"})
    assert plan.models["interception"] == "ollama:mistral:7b"
    assert plan.models["translation"] == "embedded:tiny"
    assert plan.steps[0].model == ModelChoice(backend="ollama", model="mistral:7b", mode="eco")
    with pytest.raises(UnknownName, match="model task"):
        plan_of(shipped, "dada", "x", models={"interceptoin": "x"})


def test_a_model_name_with_a_colon_stays_whole(shipped: Catalog, plan_of: Resolve) -> None:
    assert (
        plan_of(shipped, "dada", "x", models={"safety": "llama-guard3:8b"}).models["safety"]
        == "embedded:llama-guard3:8b"
    )


def test_a_fixed_model_counts_except_in_echo(shipped: Catalog, plan_of: Resolve) -> None:
    mine = Config(name="mine", context="x", model="ollama:special", output="text")
    assert plan_of(shipped, mine, "x").models["interception"] == "ollama:special"
    assert plan_of(shipped, mine, "x", mode="echo").models["interception"] == "embedded:default-interception"


def test_a_safety_model_elsewhere_needs_a_setting(shipped: Catalog, plan_of: Resolve) -> None:
    own = settings_module.load(safety_checks={"model": "openrouter:some-guard"})
    with pytest.raises(InvalidSettings, match="not local"):
        plan_of(shipped, "dada", "x", settings=own)
    own.safety_checks.allow_remote = True
    assert plan_of(shipped, "dada", "x", settings=own).models["safety"] == "openrouter:some-guard"
    assert plan_of(shipped, "dada", "x", safety="off").safety_model is None


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"safety": "teens"}, UnknownName, "no safety level 'teens'"),
        ({"outputs": ["skech"]}, UnknownName, "no output config 'skech'. Did you mean 'sketch'"),
        ({"outputs": ["dada"]}, UnknownName, "no output config 'dada'"),
        ({"outputs": ["music"]}, InvalidInput, "no output config for music"),
    ],
)
def test_wrong_names_are_refused(
    shipped: Catalog, plan_of: Resolve, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        plan_of(shipped, "dada", "x", **change)


def test_random_languages_follow_the_text_seed(shipped: Catalog, plan_of: Resolve) -> None:
    plan = plan_of(shipped, "stillepost", "x", text_seed=3)
    assert plan.iterations == plan_of(shipped, "stillepost", "x", text_seed=3, seed=99).iterations
    assert plan.iterations != plan_of(shipped, "stillepost", "x", text_seed=4).iterations
    assert plan.expected_outputs.count("interception_iteration") == 7
    short = plan_of(shipped, "stillepost", "x", parameters={"iterations": 3})
    assert len(short.iterations) == 3


@pytest.mark.parametrize("seed", range(40))
def test_random_languages_never_repeat_and_end_as_asked(seed: int) -> None:
    found = sequence({"iterations": 8, "final_language": "de"}, seed)
    assert (len(found), found[-1]) == (8, "de")
    assert all(a != b for a, b in zip(("en", *found), found, strict=False))
    assert set(found) <= set(NAMES)


def test_fixed_languages_are_cut_or_padded() -> None:
    assert sequence({"languages": ["fr", "de"]}, 0) == ("fr", "de", "en")
    assert sequence({"languages": ["fr", "de"], "iterations": 1}, 0) == ("fr",)
    assert sequence({"languages": ["fr"], "iterations": 3, "use_random_languages": False}, 0) == ("fr", "en", "en")


@pytest.mark.parametrize(
    "parameters", [{"iterations": 0}, {"iterations": 51}, {"iterations": "8"}, {"iterations": True}]
)
def test_impossible_iterations_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="1 to 50"):
        sequence(parameters, 0)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(UnknownName, match="language"):
        sequence({"final_language": "xx"}, 0)


def test_hashes_follow_the_content(shipped: Catalog, plan_of: Resolve) -> None:
    one = plan_of(shipped, Config(name="mine", context="a"), "x")
    two = plan_of(shipped, Config(name="mine", context="b"), "x")
    again = plan_of(shipped, Config(name="mine", context="a"), "y", seed=8)
    assert one.config_hash != two.config_hash
    assert one.config_hash == again.config_hash
    assert one.plan_hash != again.plan_hash
    assert Plan.model_validate_json(one.model_dump_json()).plan_hash == one.plan_hash

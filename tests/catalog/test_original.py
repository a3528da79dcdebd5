"""Files in the original system's format load as they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aipipe.catalog import Catalog
from aipipe.catalog.original import model_and_task, parameter_name
from aipipe.definitions import InputField, Plan

Write = Callable[[str, Any], Path]


def test_an_interception_config_of_the_original_loads(
    write: Write, tmp_path: Path, plan_of: Callable[..., Plan]
) -> None:
    write(
        "interception/old.json",
        {
            "name": {"en": "Old", "de": "Alt"},
            "description": {"en": "d", "de": "d"},
            "category": {"en": "Arts"},
            "pipeline": "text_transformation",
            "instruction_type": "artistic_transformation",
            "context": "Rewrite slowly.",
            "parameters": {"temperature": 0.7, "top_p": 0.9, "max_tokens": 2048},
            "media_preferences": {"default_output": "image", "supported_types": ["image", "text"]},
            "meta": {"stage": "interception", "model_override": "local/mistral-nemo", "legacy_source": "x.json"},
            "display": {"icon": "x", "order": 1},
            "tags": {"en": ["a"], "de": ["b"]},
            "audience": {"workshop_suitable": True, "min_age": 10, "complexity": "low"},
            "properties": ["arts"],
        },
    )
    catalog = Catalog.load([tmp_path])
    config = catalog.config("old")
    assert (config.title, config.model) == ({"en": "Old", "de": "Alt"}, "ollama:mistral-nemo")
    assert config.meta["properties"] == ["arts"]
    plan = plan_of(catalog, "old", "x")
    assert plan.steps[0].parameters["max_tokens"] == 2048
    assert plan.expected_outputs[-1] == "output_image"


def test_a_legacy_pipeline_key_and_a_plain_name_are_known(write: Write, tmp_path: Path) -> None:
    write("pre_output/x.json", {"name": "text_safety_check_x", "workflow_type": "text_transformation", "context": "c"})
    assert Catalog.load([tmp_path]).config("text_safety_check_x").stage == "pre_output"


def test_an_output_config_and_chunk_of_the_original_load(
    write: Write, tmp_path: Path, plan_of: Callable[..., Plan]
) -> None:
    write(
        "chunks/output_image_old.json",
        {
            "name": "output_image_old",
            "type": "output_chunk",
            "description": "d",
            "backend_type": "comfyui",
            "execution_mode": "standard",
            "workflow": {
                "8": {"class_type": "KSampler", "inputs": {"seed": 0, "steps": 20, "cfg": 5.5}},
                "10": {"class_type": "PrimitiveString", "inputs": {"value": ""}},
                "4": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}},
            },
            "input_mappings": {
                "prompt": {
                    "node_id": "10",
                    "field": "inputs.value",
                    "source": "{{PREVIOUS_OUTPUT}}",
                    "description": "p",
                },
                "steps": {"node_id": 8, "field": "inputs.steps", "default": 25},
                "seed": {"node_id": "8", "field": "inputs.seed", "default": "random"},
            },
            "output_mapping": {"node_id": "4", "output_type": "image", "format": "png", "field": "images"},
            "meta": {"version": "1"},
        },
    )
    write(
        "output/old_image.json",
        {
            "pipeline": "single_text_media_generation",
            "name": {"en": "Old"},
            "parameters": {"OUTPUT_CHUNK": "output_image_old", "STEPS": 30, "SEED": "random", "SAMPLER": "euler"},
            "media_preferences": {"default_output": "image"},
            "meta": {"stage": "output"},
        },
    )
    catalog = Catalog.load([tmp_path])
    chunk = catalog.chunk("output_image_old")
    assert chunk.inputs["steps"] == InputField(node_id="8", field="inputs.steps", default=25)
    assert (chunk.media_type, chunk.output) == ("image", {"node_id": "4"})
    output = plan_of(catalog, "old_image", "x").outputs[0]
    assert (output.parameters["steps"], output.parameters["sampler_name"]) == (30, "euler")
    assert "seed" not in output.parameters


def test_a_pipeline_and_a_chunk_of_the_original_load(
    write: Write, tmp_path: Path, plan_of: Callable[..., Plan]
) -> None:
    write(
        "chunks/old_step.json",
        {
            "name": "old_step",
            "template": "{{TASK_INSTRUCTION}} {{CONTEXT}} {{INPUT_TEXT}}",
            "backend_type": "ollama",
            "model": "task:advanced",
            "parameters": {"temperature": 0.5},
            "meta": {},
        },
    )
    write(
        "pipelines/old_pipe.json",
        {
            "name": "old_pipe",
            "description": "d",
            "chunks": ["old_step"],
            "pipeline_type": "prompt_interception",
            "pipeline_stage": "2",
            "requires_interception_prompt": True,
            "input_requirements": {"texts": 1},
            "defaults": {"parameters": {"max_tokens": 77}},
            "meta": {"version": "1"},
        },
    )
    write("old.json", {"pipeline": "old_pipe", "context": "c", "output": "text"})
    catalog = Catalog.load([tmp_path])
    assert catalog.chunk("old_step").task == "interception"
    assert plan_of(catalog, "old", "x").steps[0].parameters == {"temperature": 0.5, "max_tokens": 77}


def test_names_of_models_and_parameters_are_translated() -> None:
    assert model_and_task("task:security") == {"task": "safety"}
    assert model_and_task("openrouter/a/b:free") == {"model": "openrouter:a/b:free"}
    assert model_and_task("llama-guard3:8b") == {"model": "llama-guard3:8b"}
    assert [parameter_name(n) for n in ("CFG", "SCHEDULER", "MOOD", "Mixed")] == ["cfg", "scheduler", "mood", "Mixed"]

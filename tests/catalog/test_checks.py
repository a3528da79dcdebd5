"""What a check of definitions finds: slips of the pen, all of them at once, on the right line, in plain words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aipipe.catalog import Catalog, Problem
from aipipe.catalog.original import model_and_task
from aipipe.catalog.writing import as_markdown, new_config
from aipipe.cli import main
from aipipe.definitions import Config, Plan
from aipipe.errors import InvalidDefinition

Write = Callable[[str, Any], Path]


def problems_of(folder: Path) -> tuple[Problem, ...]:
    return Catalog.load([folder], strict=False).problems


def said(folder: Path) -> str:
    return "\n".join(f"{Path(p.file).name}:{p.line}: {p.message} {p.repair}" for p in problems_of(folder))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"parameters": {"temprature": 0.7}}, "nothing takes a parameter 'temprature'. Did you mean 'temperature'?"),
        ({"parameters": {"max_token": 7}}, "Did you mean 'max_tokens'?"),
        ({"parameters": {"temperature": 9}}, "temperature must be a number from 0 to 5, not 9"),
        ({"parameters": {"top_p": "high"}}, "top_p must be a number from 0 to 1"),
        ({"model": "olama:qwen"}, "there is no backend 'olama'. Did you mean 'ollama'?"),
    ],
)
def test_a_slip_of_the_pen_is_found_before_the_run(
    write: Write, tmp_path: Path, values: dict[str, Any], says: str
) -> None:
    write("mine.json", {"context": "x", **values})
    assert says in said(tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"parameters": {"mood": "calm"}, "context": "Be {{MOOD}}."},
        {"parameters": {"steps": 4, "cfg": 7.0}},
        {"parameters": {"whatever_the_original_had": 1}},
        {"model": "qwen2.5:1.5b"},
        {"model": "my_server:big"},
    ],
)
def test_what_may_be_meant_stays(write: Write, tmp_path: Path, values: dict[str, Any]) -> None:
    write("mine.json", {"context": "x", **values})
    assert said(tmp_path) == ""


def test_wrong_values_do_not_hide_wrong_references_of_the_same_file(write: Write, tmp_path: Path) -> None:
    write(
        "mine.json",
        '{\n "context": "x",\n "translate": "perhaps",\n "pipeline": "text_transfrmation",\n "task": "intercption"\n}',
    )
    found = said(tmp_path)
    assert "mine.json:3: translate: 'perhaps' is not true or false." in found
    assert "mine.json:4: there is no pipeline 'text_transfrmation'" in found
    assert len(problems_of(tmp_path)) == 2, "the task is checked when its pipeline is known"


def test_problems_stand_on_the_line_that_a_person_wrote(write: Write, tmp_path: Path) -> None:
    write("one.md", "---\ntitle: x\noutput: [sketch, sketsh]\n---\nBe brief.\n")
    write("two.md", "---\ntitle: x\ntranslate: true\n---\n\nBe brief and {{WIERD}}.\n")
    found = said(tmp_path)
    assert "one.md:3: there is no output config 'sketsh'" in found
    assert "two.md:6: the context uses the placeholder WIERD" in found


def test_a_key_that_stands_twice_in_yaml_is_found(write: Write, tmp_path: Path) -> None:
    write("mine.md", "---\ntitle: a\nparameters:\n  top_p: 0.5\n  top_p: 0.9\n---\nx\n")
    assert "mine.md:5: the key 'top_p' stands twice." in said(tmp_path)


def test_output_and_media_preferences_say_the_same_and_never_both(write: Write, tmp_path: Path) -> None:
    write("mine.json", {"context": "x", "output": "text", "media_preferences": {"default_output": "image"}})
    assert "it has output and media_preferences, which say the same; keep one of them" in said(tmp_path)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"context": 5}, "context: 5 is not a text."),
        ({"parameters": 5}, "parameters: 5 is not an object with keys."),
        (
            {"stage": "interceptoin"},
            "stage: 'interceptoin' is not one of 'interception', 'output', 'pre_interception' or 'pre_output'.",
        ),
        ({"examples": [{"input": 1, "output": "x"}]}, "examples.0.input: 1 is not a text."),
        (
            {"media_preferences": {"default_output": "picture"}},
            "media_preferences.default_output: 'picture' is not one of",
        ),
    ],
)
def test_a_wrong_value_is_named_in_plain_words_and_once(
    write: Write, tmp_path: Path, values: dict[str, Any], says: str
) -> None:
    write("mine.json", {"context": "x", **values})
    found = problems_of(tmp_path)
    assert len(found) == 1, found
    assert says in found[0].message
    assert not any(word in found[0].message for word in ("Input should", "valid", "dict", "str"))


@pytest.mark.parametrize("name", ["con", "NUL", "com1", "readme", "lpt9", "_draft", ".hidden"])
def test_reserved_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidDefinition, match="usable|reserved|passed over"):
        new_config(Catalog.load(), name, "dada", tmp_path)
    with pytest.raises(InvalidDefinition, match="reserved|passed over"):
        Catalog.load().add(Config(name=name, context="x"))


def test_a_copy_keeps_every_language_of_its_context(tmp_path: Path) -> None:
    catalog = Catalog.load()
    catalog.add(Config(name="both", context={"en": "Be brief.", "de": "Fasse dich kurz."}, title={"en": "Both"}))
    new_config(catalog, "copy", "both", tmp_path)
    assert Catalog.load([tmp_path]).config("copy").context == {"en": "Be brief.", "de": "Fasse dich kurz."}
    assert as_markdown(Config(name="x", context="Be brief."), "y") == "---\nname: y\n---\nBe brief.\n"


def test_one_file_is_checked_within_its_own_folder(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write("chunks/mine_rewrite.json", {"name": "mine_rewrite", "template": "{{PREVIOUS_OUTPUT}}"})
    write("pipelines/mine_pipeline.json", {"name": "mine_pipeline", "chunks": ["mine_rewrite"]})
    path = write("interception/mine.json", {"context": "x", "pipeline": "mine_pipeline"})
    write("interception/other.json", {"context": "x", "pipeline": "nothing"})
    assert main(["configs", "check", str(path)]) == 0, capsys.readouterr().out
    assert main(["configs", "check", str(tmp_path)]) == 1


# The original's format


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("STAGE2_INTERCEPTION_MODEL", {"task": "interception"}),
        ("SAFETY_MODEL", {"task": "safety"}),
        ("TRANSLATION_MODEL", {"task": "translation"}),
        ("SOME_THING", {}),
        ("mistral-nemo", {"model": "mistral-nemo"}),
        ("local/gpt-OSS:20b", {"model": "ollama:gpt-OSS:20b"}),
    ],
)
def test_the_name_of_a_settings_variable_is_no_model(name: str, expected: dict[str, str]) -> None:
    assert model_and_task(name) == expected


def test_handing_on_chunks_and_inline_chunks_load(write: Write, tmp_path: Path, plan_of: Callable[..., Plan]) -> None:
    write(
        "chunks/output_image.json",
        {
            "name": "output_image",
            "type": "proxy_chunk",
            "template": "",
            "model": "",
            "parameters": {"output_chunk": "{{OUTPUT_CHUNK}}"},
        },
    )
    write("pipelines/old_generation.json", {
        "name": "old_generation", "description": "d", "chunks": ["{{OUTPUT_CHUNK}}"], "pipeline_type": "image_generation", "input_requirements": {"texts": 1},
    })  # fmt: skip
    write(
        "pipelines/older_generation.json",
        {"name": "older_generation", "chunks": ["output_image"], "pipeline_type": "image_generation"},
    )
    write("chunks/output_gpt.json", {
        "name": "output_gpt", "type": "api_output_chunk", "description": "d", "media_type": "image", "backend_type": "openai",
        "api_config": {"endpoint": "https://example.org/v1/images", "request_body": {"model": "picture-1"}},
        "input_mappings": {"prompt": {"field": "prompt"}}, "output_mapping": {"output_type": "image"},
    })  # fmt: skip
    for number, pipeline in enumerate(("old_generation", "older_generation")):
        write(f"output/old{number}.json", {
            "name": f"old{number}", "pipeline": pipeline, "parameters": {"OUTPUT_CHUNK": "output_gpt"}, "meta": {"stage": "output"},
            "media_preferences": {"default_output": "image"},
        })  # fmt: skip
    write(
        "interception/lyrics.json",
        {
            "pipeline": "text_transformation",
            "context": "x",
            "chunks": [{"name": "a"}],
            "meta": {"model_override": "STAGE2_INTERCEPTION_MODEL"},
        },
    )
    assert said(tmp_path) == ""
    catalog = Catalog.load([tmp_path])
    assert catalog.config("old0").chunk == "output_gpt"
    assert catalog.chunk("output_gpt").model == "picture-1"
    assert catalog.config("lyrics").meta["chunks"] == [{"name": "a"}]
    plan = plan_of(catalog, "dada", "x", outputs=["old0", "old1"])
    assert [output.runner for output in plan.outputs] == ["my-openai_images"] * 2
    assert json.loads(plan.model_dump_json())["outputs"][0]["model"] == "picture-1"


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"iterations": "many"}, "iterations must be a whole number from 1 to 50, not 'many'."),
        ({"iterations": 0}, "iterations must be a whole number from 1 to 50, not 0."),
        ({"languages": "de"}, "languages must be a list of codes, not 'de'."),
        ({"languages": ["de", "xx"]}, "language 'xx'"),
        ({"final_language": "english"}, "language 'english'"),
        ({"use_random_languages": "no"}, "use_random_languages must be true or false, not 'no'."),
    ],
)
def test_impossible_loops_are_found_before_the_run(
    write: Write, tmp_path: Path, parameters: dict[str, Any], says: str
) -> None:
    write("mine.json", {"pipeline": "text_transformation_recursive", "context": "x", "parameters": parameters})
    (problem,) = Catalog.load([tmp_path], strict=False).problems
    assert says in problem.message


def test_two_keys_that_say_the_same_are_never_both_taken(write: Write, tmp_path: Path) -> None:
    write("one.json", {"context": "x", "pipeline": "text_only", "workflow_type": "text_transformation"})
    write("two.json", {"context": "x", "name": {"en": "Two"}, "title": {"en": "Zwei"}})
    write("three.json", {"context": "x", "pipeline": "text_only", "workflow_type": "text_only"})
    told = said(tmp_path)
    assert "it has pipeline and workflow_type" in told
    assert "it has title and a name in several languages" in told
    assert "three" not in told


def test_a_shipped_name_is_free_in_a_persons_own_folder(write: Write, tmp_path: Path) -> None:
    write("dada.json", {"context": "x"})
    assert "user_configs/YOU/, where it becomes u_YOU_dada" in said(tmp_path)
    (tmp_path / "dada.json").unlink()
    write("user_configs/anna/dada.json", {"context": "x", "instruction_type": "artistic_transformation"})
    catalog = Catalog.load([tmp_path])
    assert catalog.config("u_anna_dada").context == "x"

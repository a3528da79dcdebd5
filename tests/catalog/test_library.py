"""Reading folders: names, formats, problems with file, line and repair."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aipipe.catalog import Catalog, Problem
from aipipe.definitions import Chunk, Config, Pipeline
from aipipe.errors import InvalidDefinition, UnknownName

Write = Callable[[str, Any], Path]


def problems_of(folder: Path) -> tuple[Problem, ...]:
    return Catalog.load([folder], strict=False).problems


def test_a_json_config_is_named_after_its_file(write: Write, tmp_path: Path) -> None:
    write("mine.json", {"context": "Be brief.", "output": "text"})
    config = Catalog.load([tmp_path]).config("mine")
    assert (config.stage, config.context, config.media_preferences.default_output) == (
        "interception",
        "Be brief.",
        "text",
    )


def test_a_markdown_config_takes_its_body_as_context(write: Write, tmp_path: Path) -> None:
    write("mine.md", "---\ntitle: Mine\noutput: [sketch, placeholder]\ntags: [a, b]\n---\n\nFirst.\n\nSecond.\n")
    config = Catalog.load([tmp_path]).config("mine")
    assert config.context == "First.\n\nSecond."
    assert config.title == {"en": "Mine"}
    assert config.tags == {"en": ("a", "b")}
    assert config.media_preferences.output_configs == ("sketch", "placeholder")


def test_names_follow_from_the_folder(write: Write, tmp_path: Path) -> None:
    write("interception/a.json", {"context": "x"})
    write("pre_output/b.json", {"context": "x"})
    write("user_configs/doej/c.json", {"context": "x"})
    write("user_configs/doej/d.json", {"name": "named", "context": "x"})
    write("README.md", "no definition")
    catalog = Catalog.load([tmp_path])
    assert catalog.config("a").stage == "interception"
    assert catalog.config("pre_output/b").stage == "pre_output"
    assert catalog.config("u_doej_c").name == "u_doej_c"
    assert catalog.config("u_doej_named").name == "u_doej_named"


def test_all_problems_of_a_folder_are_reported_together(write: Write, tmp_path: Path) -> None:
    write("one.json", '{\n  "context": "x",\n  "contxt": "y",\n  "pipeline": "text_transformation"\n}')
    write("two.json", '{\n  "pipeline": "text_transfrmation"\n}')
    write("three.md", "---\ntitle: x\nparameters: 5\n---\nbody")
    write("four.json", "{")
    with pytest.raises(InvalidDefinition) as caught:
        Catalog.load([tmp_path])
    found = {Path(p.file).name: p for p in caught.value.problems}
    assert set(found) == {"one.json", "two.json", "three.md", "four.json"}
    assert (found["one.json"].line, found["one.json"].repair) == (3, "Did you mean 'context'?")
    assert found["two.json"].line == 2
    assert "'text_transformation'" in found["two.json"].repair
    assert found["three.md"].line == 3
    assert "not valid JSON" in found["four.json"].message
    assert "4 problems" in str(caught.value)


def test_a_broken_user_file_leaves_everything_else_usable(write: Write, tmp_path: Path) -> None:
    write("broken.json", {"contxt": "x"})
    write("fine.json", {"context": "x"})
    catalog = Catalog.load([tmp_path], strict=False)
    assert catalog.config("dada").name == "dada"
    assert catalog.config("fine").context == "x"
    with pytest.raises(InvalidDefinition, match=r"broken\.json:2: contxt"):
        catalog.config("broken")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"output": ["sketsch"]}, "there is no output config 'sketsch'"),
        ({"style": "cubist"}, "there is no style"),
        ({"task": "intercept"}, "there is no task"),
        ({"stage": "output"}, "needs the media chunk"),
        ({"stage": "output", "chunk": "rewrite"}, "makes text, not media"),
        ({"stage": "output", "chunk": "output_sketsch"}, "there is no chunk"),
        ({"context": "Use {{MODD}}.", "parameters": {"MOOD": 1}}, "uses the placeholder MODD"),
        ({"context": "Again {{CONTEXT}}"}, "which is itself"),
        ({"examples": [{"input": "x"}]}, "examples.0.output: is missing"),
        ({"name": "../x"}, "no usable name"),
        ({"name": "dada"}, "is taken by a shipped definition"),
    ],
)
def test_every_reference_is_checked(write: Write, tmp_path: Path, values: dict[str, Any], message: str) -> None:
    write("c.json", {"context": "x", **values})
    found = problems_of(tmp_path)
    assert found
    assert message in found[0].message
    assert found[0].line is not None


def test_two_files_of_one_name_are_a_problem(write: Write, tmp_path: Path) -> None:
    write("a.json", {"name": "same", "context": "1"})
    write("b.json", {"name": "same", "context": "2"})
    assert "is taken by" in problems_of(tmp_path)[0].message


def workflow(**more: Any) -> dict[str, Any]:
    graph = {
        "1": {"class_type": "Text", "inputs": {"text": ""}},
        "2": {"class_type": "Save", "inputs": {"x": ["1", 0]}},
    }
    chunk = {
        "kind": "media",
        "runner": "comfyui",
        "media_type": "image",
        "workflow": graph,
        "inputs": {"prompt": {"node_id": "1", "field": "inputs.text"}},
        "output": {"node_id": "2"},
    }
    return {"name": "my_output", **chunk, **more}


def test_a_workflow_chunk_can_be_brought_along(write: Write, tmp_path: Path) -> None:
    write("chunks/my_output.json", workflow())
    write("output/mine.json", {"pipeline": "single_text_media_generation", "chunk": "my_output"})
    write("use.json", {"context": "x", "output": ["mine"]})
    catalog = Catalog.load([tmp_path])
    assert catalog.chunk("my_output").media_type == "image"
    assert catalog.config("use").media_preferences.output_configs == ("mine",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": {"prompt": {"node_id": "9", "field": "inputs.text"}}}, "there is no node '9'"),
        ({"inputs": {"prompt": {"node_id": "1", "field": "inputs.txet"}}}, "there is no input of node 1 'txet'"),
        ({"inputs": {"prompt": {"node_id": "1", "field": "text"}}}, "is no field of a node"),
        ({"output": {"node_id": "7"}}, "there is no node '7'"),
        ({"workflow": "nowhere"}, "there is no workflow file"),
        ({"workflow": {"nodes": [], "links": []}}, "has no class_type"),
        ({"workflow": None}, "needs a workflow"),
        ({"runner": "comfy"}, "there is no runner kind 'comfy'"),
        ({"media_type": None}, "needs a media_type"),
    ],
)
def test_workflow_maps_must_fit_the_graph(write: Write, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write("chunks/my_output.json", workflow(**change))
    found = problems_of(tmp_path)
    assert found
    assert message in found[0].message


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ({"chunks": ["rewrit"]}, "there is no chunk 'rewrit'"),
        ({"chunks": []}, "needs a chunk"),
        ({"kind": "recursive", "chunks": ["rewrite", "rewrite"]}, "exactly one chunk"),
        ({"chunks": ["output_sketch"]}, "makes media"),
    ],
)
def test_pipelines_must_fit_their_kind(write: Write, tmp_path: Path, pipeline: dict[str, Any], message: str) -> None:
    write("pipelines/p.json", pipeline)
    assert message in problems_of(tmp_path)[0].message


def test_typographic_quotes_are_explained(write: Write, tmp_path: Path) -> None:
    write("c.json", '{\n  “context”: "x"\n}')
    found = problems_of(tmp_path)[0]
    assert found.line == 2
    assert "typographic" in found.repair


def test_a_key_that_stands_twice_is_found_with_its_second_line(write: Write, tmp_path: Path) -> None:
    write("c.json", '{\n  "context": "x",\n  "context": "y"\n}')
    found = problems_of(tmp_path)[0]
    assert (found.line, "stands twice" in found.message) == (3, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("just text", "no front matter"),
        ("---\na: b: c\n---\n", "not valid YAML"),
        ("---\ncontext: x\n---\nbody", "a context in the front matter and a body"),
        ("---\n- a\n---\n", "one object is expected"),
    ],
)
def test_damaged_markdown_is_explained(write: Write, tmp_path: Path, text: str, message: str) -> None:
    write("c.md", text)
    assert message in problems_of(tmp_path)[0].message


def test_a_file_that_is_no_utf8_is_explained(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(b'{"context": "\xff"}')
    assert "UTF-8" in problems_of(tmp_path)[0].message


def test_a_saved_file_counts_after_refresh(write: Write, tmp_path: Path) -> None:
    catalog = Catalog.load([tmp_path], strict=False)
    write("mine.json", {"context": "first"})
    assert catalog.refresh()
    assert catalog.config("mine").context == "first"
    write("mine.json", {"context": "second one"})
    assert catalog.refresh()
    assert catalog.config("mine").context == "second one"
    assert not catalog.refresh()
    write("mine.json", {"contxt": "third"})
    assert catalog.refresh()
    with pytest.raises(InvalidDefinition):
        catalog.config("mine")
    (tmp_path / "mine.json").unlink()
    catalog.refresh()
    with pytest.raises(UnknownName):
        catalog.config("mine")


def test_objects_are_added_checked_and_replaced(shipped: Catalog) -> None:
    catalog = Catalog.load()
    catalog.add(Chunk(name="mine_chunk", template="{{INPUT_TEXT}}"))
    catalog.add(Pipeline(name="mine_pipeline", chunks=("mine_chunk",)))
    catalog.add(Config(name="mine", pipeline="mine_pipeline", context="a"))
    catalog.add(Config(name="mine", pipeline="mine_pipeline", context="b"))
    assert catalog.config("mine").context == "b"
    assert catalog.path("mine") is None
    with pytest.raises(InvalidDefinition, match="taken"):
        catalog.add(Config(name="dada", context="x"))
    with pytest.raises(InvalidDefinition, match="no pipeline"):
        catalog.add(Config(name="other", pipeline="nowhere"))
    with pytest.raises(UnknownName):
        shipped.config("mine")


def test_an_added_object_survives_a_refresh(write: Write, tmp_path: Path) -> None:
    catalog = Catalog.load([tmp_path])
    catalog.add(Config(name="mine", context="x"))
    write("other.json", {"context": "y"})
    catalog.refresh()
    assert catalog.config("mine").context == "x"
    assert catalog.config("other").context == "y"


def test_an_unknown_config_suggests_near_names(shipped: Catalog) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'dada'") as caught:
        shipped.config("dadaa")
    assert "bauhaus" in caught.value.known
    assert not any(name.startswith("pre_") for name in caught.value.known)


def test_json_lines_point_at_keys_and_elements() -> None:
    from aipipe.catalog.sources import json_lines

    text = json.dumps({"a": {"b": [1, {"c": 2}, "x,{y"]}, "d": None}, indent=1)
    lines = json_lines(text)
    rows = text.splitlines()
    assert '"a"' in rows[lines[("a",)] - 1]
    assert '"c"' in rows[lines[("a", "b", 1, "c")] - 1]
    assert '"x,{y"' in rows[lines[("a", "b", 2)] - 1]
    assert '"d"' in rows[lines[("d",)] - 1]

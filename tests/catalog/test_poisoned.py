"""A wrong value anywhere in a definition is a problem of its file, never the end of the whole project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aipipe.catalog import Catalog

GOOD = '{"context": "Answer as a stone would.", "pipeline": "text_transformation"}'
NODE = {"class_type": "X", "inputs": None}
PLACE = {"node_id": "1", "field": "inputs.a"}
MEDIA = {"kind": "media", "media_type": "image", "runner": "comfyui"}
POISONED: dict[str, Any] = {
    "configs/number.json": {"context": "x", "output": 5},
    "configs/mapping.json": {"context": "x", "output": {"image": "sd15"}},
    "configs/nested.json": {"context": "x", "output": [["a"]]},
    "configs/tags.json": {"context": "x", "tags": {"en": "art"}},
    "configs/list.json": {"context": ["a", "b"]},
    "chunks/mappings.json": {"type": "output_chunk", "input_mappings": []},
    "chunks/mapping.json": {"type": "output_chunk", "output_mapping": "x"},
    "chunks/inputs.json": {**MEDIA, "workflow": {"1": NODE}, "inputs": {"a": PLACE}},
    "chunks/inputs_list.json": {**MEDIA, "workflow": {"1": {**NODE, "inputs": []}}, "inputs": {"a": PLACE}},
    "pipelines/needs.json": {"chunks": ["rewrite"], "input_requirements": {"texts": "two"}},
    "pipelines/parameters.json": {"chunks": ["rewrite"], "defaults": {"parameters": 5}},
    "workflows/list.json": [1],
    "workflows/sd15.json": {"1": {"class_type": "X", "inputs": {}}},
}


def load(root: Path, name: str, text: str) -> Catalog:
    for path, content in (("configs/good.json", GOOD), (name, text)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, encoding="utf-8")
    return Catalog.load([root], strict=False)


@pytest.mark.parametrize("name", POISONED)
def test_it_is_a_problem_that_names_the_file_and_the_others_are_usable(tmp_path: Path, name: str) -> None:
    catalog = load(tmp_path, name, json.dumps(POISONED[name]))
    assert catalog.problems
    assert {Path(p.file).name for p in catalog.problems} == {Path(name).name}
    assert all(p.message for p in catalog.problems)
    assert catalog.config("good").context_text() == "Answer as a stone would."


def test_deep_nesting_is_a_problem_too(tmp_path: Path) -> None:
    for name in ("configs/deep.json", "workflows/deep.json"):
        assert load(tmp_path / name.replace("/", "-"), name, "[" * 100_000).problems


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = {
    "configs": ("context", "output", "meta", "parameters", "tags", "title", "pipeline", "media_preferences", "name"),
    "chunks": (
        "type",
        "kind",
        "template",
        "input_mappings",
        "output_mapping",
        "workflow",
        "inputs",
        "parameters",
        "model",
    ),
    "pipelines": ("chunks", "input_requirements", "defaults", "meta", "pipeline_type", "kind", "inputs"),
}


@settings(max_examples=60, deadline=None)
@given(data=st.data(), folder=st.sampled_from(sorted(KEYS)))
def test_whatever_a_file_holds_the_others_are_usable(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, folder: str
) -> None:
    values = data.draw(st.dictionaries(st.sampled_from(KEYS[folder]), VALUES, max_size=4))
    catalog = load(tmp_path_factory.mktemp("odd"), f"{folder}/odd.json", json.dumps(values))
    assert catalog.config("good").context_text() == "Answer as a stone would."

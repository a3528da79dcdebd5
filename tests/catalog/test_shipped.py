"""The shipped library: complete, in two languages, resolvable, and its graphs fit a real server."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from aipipe.catalog import Catalog
from aipipe.catalog.library import DATA
from aipipe.catalog.writing import schema
from aipipe.definitions import Plan
from aipipe.rendering import messages, step_values

CATALOG = Catalog.load()
INTERCEPTIONS = [config.name for config in CATALOG.configs("interception")]
OUTPUTS = [config.name for config in CATALOG.configs("output")]
GRAPHS = [chunk.name for chunk in CATALOG.chunks() if chunk.runner == "comfyui"]


def test_the_library_is_large_enough() -> None:
    assert len(INTERCEPTIONS) >= 30
    expected = (
        "sd15 sdxl sd35_large flux qwen_image stable_audio ace_step wan_video tiny_sd15 sketch placeholder openai_image"
    )
    assert set(expected.split()) <= set(OUTPUTS)


@pytest.mark.parametrize("name", INTERCEPTIONS)
def test_every_config_is_described_in_two_languages(name: str) -> None:
    config = CATALOG.config(name)
    for texts in (config.title, config.description):
        assert set(texts) == {"en", "de"}
        assert all(text.strip() for text in texts.values())
    assert set(config.tags) == {"en", "de"}
    assert config.audience["min_age"] >= 6
    assert "in the style of" not in config.context_text().lower()


@pytest.mark.parametrize("name", INTERCEPTIONS)
def test_every_config_that_rewrites_has_worked_examples_and_a_context(name: str) -> None:
    config = CATALOG.config(name)
    if CATALOG.pipeline(config.pipeline).kind == "text":
        assert len(config.examples) >= 3
        assert len(config.context_text()) > 250
        assert config.parameters["temperature"] is not None


@pytest.mark.parametrize("name", INTERCEPTIONS)
def test_every_config_resolves_and_asks_for_the_text_last(name: str, plan_of: Callable[..., Plan]) -> None:
    pipeline = CATALOG.pipeline(CATALOG.config(name).pipeline)
    texts = [f"text {n}" for n in range(pipeline.inputs.texts)]
    hashes = ["00" * 32] * pipeline.inputs.images
    plan = plan_of(CATALOG, name, *texts, image_hashes=hashes, mode="eco")
    assert plan.expected_outputs
    for step in plan.steps:
        values = step_values("\n---\n".join(texts), texts=texts, language=("fr", "French"))
        assert messages(step, values)[-1].content == "\n---\n".join(texts)


def test_published_schemas_are_those_of_the_code() -> None:
    for kind in ("config", "pipeline", "chunk"):
        published = json.loads((DATA / "schemas" / f"{kind}.schema.json").read_text(encoding="utf-8"))
        assert published == schema(kind)
        assert "name" not in published["required"]


def server() -> str:
    url = os.environ.get("AIPIPE_TEST_COMFYUI_URL", "")
    if not url:
        message = "AIPIPE_TEST_COMFYUI_URL names no ComfyUI server"
        if os.environ.get("AIPIPE_REQUIRE_REAL") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return url


@pytest.mark.comfyui
@pytest.mark.parametrize("name", GRAPHS)
def test_only_model_files_are_missing_on_a_real_server(name: str) -> None:
    """The server's own validation judges the graph; what it lacks may only be files of models."""
    chunk = CATALOG.chunk(name)
    assert isinstance(chunk.workflow, str)
    body = json.dumps({"prompt": CATALOG.workflow(chunk.workflow)}).encode()
    request = urllib.request.Request(f"{server()}/prompt", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["prompt_id"]
            return
    except urllib.error.HTTPError as error:
        with error:
            document = json.load(error)
    found = [e for node in document["node_errors"].values() for e in node["errors"]]
    assert found, document["error"]
    assert {e["type"] for e in found} == {"value_not_in_list"}
    assert all(e["extra_info"]["received_value"].endswith(".safetensors") for e in found)

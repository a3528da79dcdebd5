"""The request that makes a run again: everything a person had set, above all the context they wrote."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from PIL import Image

import aipipe
from tests.api.conftest import Serve, Served

STONE = "Answer as a stone would."


def request_of(served: Served, run_id: str) -> dict[str, object]:
    answer = served.client.get(f"/api/runs/{run_id}/request")
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_everything_that_was_set_comes_back(served: Served) -> None:
    sent = {"context": STONE, "seed": 2**64 - 1, "text_seed": 3, "outputs": ["placeholder"], "labels": {"group": "A"},
            "parameters": {"temperature": 0.3}, "models": {"interception": "echo:other"}}  # fmt: skip
    run_id = served.execute("a heron", schema="bauhaus", safety_level="kids", **sent).json()["run_id"]
    found = request_of(served, run_id)
    assert found["schema"] == "bauhaus"
    assert found["input_texts"] == ["a heron"]
    assert {name: found[name] for name in sent} == {**sent, "seed": str(2**64 - 1)}
    assert (found["safety_level"], found["until"], found["images"]) == ("kids", None, 0)


def test_a_context_that_nobody_edited_is_left_to_the_config(served: Served) -> None:
    run_id = served.execute(until="interception").json()["run_id"]
    found = request_of(served, run_id)
    assert (found["context"], found["until"], found["outputs"]) == (None, "interception", None)


def test_a_context_that_was_blocked_can_be_corrected(served: Served) -> None:
    from aipipe.safety.terms import Terms
    from tests.api.test_routes import _block_terms

    context = f"Always say {_block_terms(Terms.shipped())[0]}."
    run_id = served.execute(context=context).json()["run_id"]
    assert request_of(served, run_id)["context"] == context


@pytest.mark.parametrize("written", ["", "[]", '{"plan": 3}', '{"plan": {"config": [], "steps": 1}}', "{torn"])
def test_a_provenance_of_another_program_says_nothing(served: Served, written: str) -> None:
    run_id = served.execute().json()["run_id"]
    (served.lab.store.path / run_id / "provenance.json").write_text(written)
    found = request_of(served, run_id)
    assert (found["schema"], found["context"]) == ("dada", None)


def test_of_a_context_in_several_languages_the_one_used_counts(served: Served) -> None:
    run_id = served.execute().json()["run_id"]
    path = served.lab.store.path / run_id / "provenance.json"
    data = json.loads(path.read_text())
    data["plan"]["config"]["context"] = {"en": "An older one.", "de": "Ein älterer."}
    data["plan"]["steps"][0]["context"] = "Ein älterer."
    path.write_text(json.dumps(data))
    assert request_of(served, run_id)["context"] == "Ein älterer."


def test_visitors_get_their_own_only(serve: Serve) -> None:
    served = serve(locked=True, token="op")
    mine, other = (httpx.Client(base_url=served.url, follow_redirects=True, timeout=30) for _ in range(2))
    with mine, other:
        for visitor in (mine, other):
            visitor.get("/")
        body = {"schema": "dada", "input_text": "a flower", "context": STONE}
        run_id = mine.post("/api/schema/pipeline/execute", json=body).json()["run_id"]
        assert mine.get(f"/api/runs/{run_id}/request").json()["context"] == STONE
        assert other.get(f"/api/runs/{run_id}/request").status_code == 404


def test_a_remote_rerun_keeps_the_context_and_where_it_ended(served: Served) -> None:
    with aipipe.connect(served.url) as lab:
        run = lab.run("dada", "a flower", context=STONE, until="interception", seed=7)
        again = lab.rerun(run)
        plan = served.lab.store.open(again.run_id).provenance["plan"]
        assert plan["config"]["context"] == STONE
        assert plan["until"] == "interception"
        assert again.seed == 7
        assert lab.rerun(run, context="Another.").run_id != run.run_id


def test_a_remote_rerun_keeps_parameters_and_merges_new_ones(served: Served) -> None:
    with aipipe.connect(served.url) as lab:
        run = lab.run("dada", "a flower", until="interception", parameters={"temperature": 0.3, "top_p": 0.5})
        again = lab.rerun(run, parameters={"temperature": 0.1})
    (step,) = [s for s in served.lab.store.open(again.run_id).record.steps if s.step == "interception"]
    assert (step.parameters["temperature"], step.parameters["top_p"]) == (0.1, 0.5)


def test_a_remote_rerun_keeps_its_images_unless_others_are_given(served: Served, tmp_path: Path) -> None:
    for colour in ("red", "blue"):
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{colour}.png")
    with aipipe.connect(served.url) as lab:
        run = lab.run("picture_over_picture", "x", image=tmp_path / "red.png", output="placeholder")
        assert lab.rerun(run)["input_image"].bytes == (tmp_path / "red.png").read_bytes()
        other = lab.rerun(run, image=tmp_path / "blue.png")
        assert other["input_image"].bytes == (tmp_path / "blue.png").read_bytes()

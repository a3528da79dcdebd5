"""What cannot end well is told before the first model is asked, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aipipe.events import Event, RunStarted, StepStarted
from aipipe.lab import Lab
from aipipe.testing import ModelServer
from aipipe.testing.comfy_server import ComfyServer, picture_graph
from tests.engine.test_outcomes import SAFE, task_of

TEXT = "Eine Blume auf der Wiese"
CHECKPOINT = "v1-5-pruned-emaonly.safetensors"
SETTINGS = (
    'mode = "eco"\nsafety = "adult"\n[modes.eco]\nbackend = "ollama"\n[modes.eco.models]\ntranslation = "tiny"\n'
    'safety = "tiny"\ninterception = "tiny"\n[modes.eco.outputs]\nimage = "sd15"\n'
)


def answer(request: dict[str, Any]) -> Any:
    return {"safety": SAFE, "translation": "A flower on the meadow", "interception": "A torn flower"}[task_of(request)]


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with ModelServer() as fake:
        fake.script = answer
        yield fake


@pytest.fixture
def comfy() -> Iterator[ComfyServer]:
    with ComfyServer() as fake:
        yield fake


@pytest.fixture
def lab(models: ModelServer, comfy: ComfyServer, project: Path) -> Iterator[Lab]:
    (project / "aipipe.toml").write_text(SETTINGS, encoding="utf-8")
    with Lab(ollama=models.url, comfyui=comfy.url, display=False) as made:
        yield made


def test_a_missing_checkpoint_is_told_before_any_model_works(lab: Lab, models: ModelServer, comfy: ComfyServer) -> None:
    run = lab.run("dada", TEXT)
    assert run.status == "failed"
    assert [entity.type for entity in run.entities] == ["input", "error"]
    assert run["input"].text == TEXT
    assert run.reason is not None
    assert (run.reason.type, run.reason.stage) == ("Rejected", 4)
    assert CHECKPOINT in run.reason.message
    assert "fake.safetensors" in run.reason.message, "what the server has instead"
    assert run.record.outputs[0].outcome == "failed"
    assert not [r for r in models.requests if r.get("messages")], "no model worked for nothing"
    assert comfy.submissions == []
    assert run.verify().clean


def test_a_checkpoint_that_was_added_since_is_seen_and_the_run_resumes(lab: Lab, comfy: ComfyServer) -> None:
    failed = lab.run("dada", TEXT)
    comfy.checkpoints.append(CHECKPOINT)
    resumed = lab.resume(failed)
    assert resumed.run_id == failed.run_id
    assert resumed.status == "completed", resumed.reason
    assert resumed["output_image"].image.size
    assert resumed.verify().clean


def test_a_checkpoint_named_in_the_call_is_the_one_that_counts(lab: Lab) -> None:
    assert lab.run("dada", TEXT, parameters={"checkpoint": "fake.safetensors"}).status == "completed"


def test_one_output_that_can_be_made_is_reason_enough_to_run(lab: Lab) -> None:
    run = lab.run("dada", TEXT, outputs=["sd15", "placeholder"])
    assert [output.outcome for output in run.record.outputs] == ["failed", "completed"]
    assert run["interception"].text == "A torn flower"


def test_a_run_that_ends_before_its_media_does_not_ask_for_them(lab: Lab, comfy: ComfyServer) -> None:
    comfy.stop()
    assert lab.run("dada", TEXT, until="interception").status == "completed"


def test_a_silent_generator_is_told_first(lab: Lab, models: ModelServer, comfy: ComfyServer) -> None:
    comfy.stop()
    run = lab.run("dada", TEXT)
    assert run.reason is not None
    assert run.reason.type == "Unreachable"
    assert run["input"].text == TEXT
    assert not [r for r in models.requests if r.get("messages")]


def test_the_edit_of_a_person_is_kept_when_the_generator_is_away(lab: Lab, comfy: ComfyServer) -> None:
    parent = lab.run("dada", TEXT, until="interception")
    comfy.stop()
    edited = lab.run(parent=parent, prompt="My own words")
    assert edited.status == "failed"
    assert edited["interception_edit"].text == "My own words"


def test_one_server_of_two_with_the_parts_is_enough(comfy: ComfyServer) -> None:
    from aipipe import comfy as client
    from aipipe.comfy.preflight import require_parts
    from aipipe.errors import Rejected

    graph = {**picture_graph(), "7": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": CHECKPOINT}}}
    with ComfyServer() as other, client.connect(comfy.url, other.url) as pool:
        with pytest.raises(Rejected, match="1 other server"):
            require_parts(pool.servers, graph)
        other.checkpoints.append(CHECKPOINT)
        require_parts(pool.servers, graph)


def test_a_run_that_is_stopped_while_its_picture_is_made_says_so(lab: Lab, comfy: ComfyServer) -> None:
    class Impatient:
        cancel = staticmethod(lambda reason: None)

        def on_event(self, event: Event) -> None:
            if isinstance(event, RunStarted) and event.cancel is not None:
                self.cancel = event.cancel
            if isinstance(event, StepStarted) and event.step == "media":
                self.cancel("enough")

    comfy.checkpoints.append(CHECKPOINT)
    run = lab.run("dada", TEXT, observers=[Impatient()])
    assert run.status == "cancelled"
    assert run.reason is not None
    assert run.reason.stage == 4

"""What a researcher holds: runs, plans, previews, edits, grids, repeats."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import aipipe
from aipipe.errors import EntityNotFound, InvalidInput, SeveralEntities, UnknownName, UsageError

TEXT = "Eine Blume auf der Wiese"


@pytest.fixture
def lab(project: Path) -> aipipe.Lab:
    return aipipe.Lab(display=False)


def test_a_run_has_its_six_files_and_reads_as_the_design_says(lab: aipipe.Lab) -> None:
    run = lab.run("dada", TEXT, safety="kids", seed=7, labels={"group": "A"}, study="s", participant="P01")
    assert run.status == "completed"
    assert [p.name for p in sorted(run.folder.glob("[0-9]*"))] == [
        "01_input.txt",
        "02_translation.txt",
        "03_safety.json",
        "04_interception.txt",
        "05_safety_pre_output.json",
        "06_output_image.png",
    ]
    assert run["interception"].text == TEXT
    assert run["output_image"].image.size == (64, 64)
    assert len(run.images) == 1
    assert run.folder.parent == lab.store.path
    record = run.record
    assert (record.seed, record.study, record.participant, record.labels) == ("7", "s", "P01", {"group": "A"})
    assert record.input_id
    assert record.plan_hash
    assert record.config_hash
    assert record.models["interception"] == "echo"
    assert json.loads((run.folder / "provenance.json").read_text())["plan"]["config"]["name"] == "dada"


def test_echo_says_how_little_it_checks(lab: aipipe.Lab) -> None:
    assert lab.run("dada", TEXT)["safety"].json["method"] == "terms only (echo)"
    off = lab.run("dada", TEXT, safety="off")["safety"].json
    assert (off["method"], off["safe"]) == ("disabled", None)


def test_the_same_seed_gives_the_same_bytes_and_rerun_says_so(lab: aipipe.Lab) -> None:
    run = lab.run("dada", TEXT, seed=7, outputs=["sketch"], parameters={"width": 128, "height": 128})
    again = lab.rerun(run)
    assert again["output_image"].bytes == run["output_image"].bytes
    assert "same bytes" in str(again.reproduction)
    assert again.record.parent is not None
    assert again.record.parent.run_id == run.run_id


def test_several_entities_of_a_type_are_named(lab: aipipe.Lab) -> None:
    run = lab.run("stillepost", TEXT)
    assert len(run.all("interception_iteration")) == 7
    with pytest.raises(SeveralEntities, match=r"run\.all"):
        _ = run["interception_iteration"]
    with pytest.raises(EntityNotFound):
        _ = run["output_video"]


def test_a_person_changes_the_interception(lab: aipipe.Lab) -> None:
    draft = lab.run("dada", TEXT, until="interception")
    run = lab.run(parent=draft, prompt="my own edit")
    assert [e.type for e in run.entities] == ["interception_edit", "safety_pre_output", "output_image"]
    assert run["interception_edit"].text == "my own edit"
    assert run["safety_pre_output"].json["text"] == "my own edit"
    assert run.record.parent is not None
    assert run.record.parent.relation == "edit"
    assert run.record.config_name == "dada"


def test_preview_shows_every_message_and_calls_nothing(lab: aipipe.Lab) -> None:
    text = str(lab.preview("dada", TEXT))
    assert TEXT in text
    assert lab.catalog.config("dada").context_text()[:40] in text
    assert len(lab.store) == 0


def test_own_configs_run_as_objects_and_as_files(lab: aipipe.Lab, project: Path) -> None:
    mine = aipipe.Config(name="mine", context="Say it as a poem.", output="image")
    assert lab.run(mine, TEXT).config_name == "mine"
    (project / "configs").mkdir(exist_ok=True)
    (project / "configs" / "poem.md").write_text("---\ntitle: Poem\n---\nSay it as a poem.\n", encoding="utf-8")
    first = lab.run("poem", TEXT)
    (project / "configs" / "poem.md").write_text("---\ntitle: Poem\n---\nSay it as a song.\n", encoding="utf-8")
    second = lab.run("poem", TEXT)
    assert first.record.config_hash != second.record.config_hash


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (("dade", TEXT), UnknownName, "dada"),
        (("dada", ""), InvalidInput, "empty"),
        (("dada", "x" * 10_001), InvalidInput, "10,000"),
        (("dada",), UsageError, "text"),
        (("dada", TEXT, TEXT), UsageError, "text"),
    ],
    ids=["unknown config", "empty", "too long", "too few", "too many"],
)
def test_what_is_refused_leaves_no_folder(lab: aipipe.Lab, call: tuple[str, ...], kind: type, says: str) -> None:
    with pytest.raises(kind) as refused:
        lab.run(*call)
    assert says in str(refused.value)
    assert refused.value.exit_code == 2
    assert len(lab.store) == 0


@pytest.mark.parametrize(
    "option", [{"safety": "toddler"}, {"mode": "turbo"}, {"outputs": ["no_such"]}, {"until": "never"}]
)
def test_unknown_options_are_refused_by_name(lab: aipipe.Lab, option: dict[str, object]) -> None:
    with pytest.raises(UsageError) as refused:
        lab.run("dada", TEXT, **option)
    assert refused.value.hint
    assert len(lab.store) == 0


def test_a_named_mode_without_its_server_is_an_error_with_the_next_step(project: Path) -> None:
    lab = aipipe.Lab(mode="eco", ollama="http://127.0.0.1:9", display=False)
    run = lab.run("dada", TEXT, outputs=["placeholder"])
    assert run.status == "failed"
    assert run.record.execution_mode == "eco", "never a silent switch"
    assert run.reason is not None
    assert run.reason.type == "Unavailable"
    assert "ollama serve" in run.reason.message
    assert run["input"].text == TEXT, "nothing is lost"


def test_map_runs_a_grid_and_compares(lab: aipipe.Lab) -> None:
    runs = lab.map(["dada", "bauhaus"], ["a", "b c"], seeds=[1, 2], workers=3, until="interception")
    assert len(runs) == 8
    assert {(r.config_name, r.record.seed) for r in runs} == {
        ("dada", "1"),
        ("dada", "2"),
        ("bauhaus", "1"),
        ("bauhaus", "2"),
    }
    assert all(r.status == "completed" for r in runs)


def test_start_returns_at_once_and_can_be_awaited(lab: aipipe.Lab) -> None:
    import asyncio

    live = lab.start("dada", TEXT)
    assert lab.store.open(live.run_id).run_id == live.run_id

    async def wait() -> aipipe.Run:
        return await live

    assert asyncio.run(wait()).status == "completed"
    assert live.done


def test_runs_in_parallel_never_mix(lab: aipipe.Lab) -> None:
    lives = [lab.start("dada", f"text number {n}") for n in range(12)]
    for n, live in enumerate(lives):
        assert live.wait(30)["interception"].text == f"text number {n}"


def test_a_project_is_found_from_below_and_the_current_directory_does_not_matter(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = project / "notebooks" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    lab = aipipe.Lab(display=False)
    assert lab.store.path == project / "runs"
    monkeypatch.chdir(project.parent)
    assert lab.run("dada", TEXT).folder.parent == project / "runs"


def test_settings_come_from_arguments_then_environment_then_file(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "aipipe.toml").write_text('mode = "echo"\nsafety = "youth"\n', encoding="utf-8")
    assert aipipe.Lab(display=False).settings.safety == "youth"
    monkeypatch.setenv("AIPIPE_SAFETY", "adult")
    assert aipipe.Lab(display=False).settings.safety == "adult"
    assert aipipe.Lab(safety="off", display=False).settings.safety == "off"
    (project / "aipipe.toml").write_text('moed = "echo"\n', encoding="utf-8")
    with pytest.raises(UsageError, match="mode"):
        aipipe.Lab(display=False)


def test_an_observer_sees_the_run_and_cannot_hurt_it(lab: aipipe.Lab) -> None:
    class Broken:
        def on_event(self, event: object) -> None:
            raise RuntimeError("broken view")

    class Seeing:
        def __init__(self) -> None:
            self.names: list[str] = []

        def on_event(self, event: object) -> None:
            self.names.append(type(event).__name__)

    seen = Seeing()
    run = lab.run("dada", TEXT, observers=[Broken(), seen])
    assert run.status == "completed"
    assert seen.names[0] == "RunStarted"
    assert seen.names[-1] == "RunEnded"
    assert seen.names.count("EntitySaved") == 6


def test_watch_follows_a_run_by_its_folder(lab: aipipe.Lab) -> None:
    from aipipe.ui.watching import watch

    class Seeing(list):  # type: ignore[type-arg]
        def on_event(self, event: object) -> None:
            self.append(type(event).__name__)

    seen = Seeing()
    run = watch(lab.run("dada", TEXT), observers=[seen])
    assert run.status == "completed"
    assert seen.count("EntitySaved") == 6
    assert seen[-1] == "RunEnded"


def test_samples_are_whole_and_varied(tmp_path: Path) -> None:
    store = aipipe.samples(tmp_path / "samples")
    statuses = [run.status for run in store]
    assert statuses.count("blocked") == 1
    assert statuses.count("failed") == 1
    assert store.verify().clean
    assert any(len(run.images) == 2 for run in store)
    assert all(run.record.execution_mode == "embedded" for run in store)
    assert len(aipipe.samples(tmp_path / "samples")) == len(statuses) == 10
    text = b"".join(p.read_bytes() for p in store.path.rglob("*.json"))
    assert os.sep.encode() + b"home" + os.sep.encode() not in text


def test_a_bare_workflow_keeps_its_own_seed_unless_the_call_names_one(lab: aipipe.Lab) -> None:
    from importlib.resources import files

    from aipipe import comfy
    from aipipe.testing import ComfyServer

    graph = (files("aipipe.data") / "workflows" / "sd15.json").read_text(encoding="utf-8")
    wf = comfy.Workflow.load(graph).with_inputs(prompt="a heron", seed=11, width=16, height=16)
    with ComfyServer() as server, aipipe.Lab(display=False, comfyui=server.url) as drawing:
        server.checkpoints.append("v1-5-pruned-emaonly.safetensors")
        assert [drawing.run(wf).record.seed, drawing.run(wf, seed=0).record.seed] == ["11", "0"]
        sent = [task["prompt"][2]["5"]["inputs"]["seed"] for _, task in server.history.values()]
    assert sent == [11, 0]

"""Every way a run can go: entities, state, status, reason, exit code."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aipipe.cli.output import EXIT_CODES
from aipipe.events import Watch
from aipipe.lab import Lab
from aipipe.runners import MediaRequest
from aipipe.runners.placeholder import PlaceholderRunner
from aipipe.store import Run
from aipipe.testing import Fault, ModelServer

SAFE = json.dumps({"safe": True, "codes": [], "reason": ""})
UNSAFE = json.dumps({"safe": False, "codes": ["S10"], "reason": "hateful"})
TEXT = ["input", "translation", "safety"]
OUT = ["safety_pre_output", "output_image"]


@dataclass(frozen=True)
class Case:
    """One path through the stages.

    Attributes:
        answers: Answers of the model by task, in the order of the calls of that task.
        entities: Types that must be there, in order.
        status: How the run ends.
        stage: Stage of the reason.
        kind: Type of the reason.
    """

    name: str
    entities: list[str]
    status: str
    answers: dict[str, list[Any]] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)
    stage: int | None = None
    kind: str = ""
    text: str = "Eine Blume auf der Wiese"


CASES = [
    Case("completed", [*TEXT, "interception", *OUT], "completed"),
    Case("off", [*TEXT, "interception", *OUT], "completed", call={"safety": "off"}),
    Case("text only", [*TEXT, "interception"], "completed", call={"until": "interception"}),
    Case("stage 1 only", TEXT, "completed", call={"until": "pre_interception"}),
    Case("two outputs", [*TEXT, "interception", *OUT, *OUT], "completed", call={"outputs": ["placeholder", "sketch"]}),
    Case("input blocked", [*TEXT, "error"], "blocked", {"safety": [UNSAFE]}, stage=1, kind="safety_blocked"),
    Case(
        "output blocked",
        [*TEXT, "interception", "safety_pre_output", "error"],
        "blocked",
        {"safety": [SAFE, UNSAFE]},
        stage=3,
        kind="safety_blocked",
    ),
    Case(
        "one of two outputs blocked",
        [*TEXT, "interception", "safety_pre_output", "error", *OUT],
        "blocked",
        {"safety": [SAFE, UNSAFE, SAFE]},
        call={"outputs": ["placeholder", "placeholder"]},
        stage=3,
        kind="safety_blocked",
    ),
    Case("translation fails", ["input", "error"], "failed", {"translation": [Fault(status=500, body="boom")]}, stage=1),
    Case("translation is empty", ["input", "error"], "failed", {"translation": [""]}, stage=1, kind="BadAnswer"),
    Case(
        "safety answers nonsense",
        [*TEXT, "error"],
        "failed",
        {"safety": ["perhaps", "perhaps", "perhaps"]},
        stage=1,
        kind="safety_unchecked",
    ),
    Case(
        "safety is down",
        [*TEXT, "error"],
        "failed",
        {"safety": [Fault(status=500, body="boom")] * 4},
        stage=1,
        kind="safety_unchecked",
    ),
    Case(
        "interception is cut",
        [*TEXT, "error"],
        "failed",
        {"interception": [("half a sen", Fault(cut=True))]},
        stage=2,
        kind="BadAnswer",
    ),
    Case(
        "interception is cut off",
        [*TEXT, "error"],
        "failed",
        {"interception": [("half a sentence", Fault(break_after=5))]},
        stage=2,
        kind="BadAnswer",
    ),
    Case(
        "pre-output check is down",
        [*TEXT, "interception", "safety_pre_output", "error"],
        "failed",
        {"safety": [SAFE, *[Fault(status=500, body="boom")] * 4]},
        stage=3,
        kind="safety_unchecked",
    ),
    Case("a term blocks alone", [*TEXT, "error"], "blocked", text="child porn", stage=1, kind="safety_blocked"),
]


def task_of(request: dict[str, Any]) -> str:
    if request.get("format") or request.get("response_format"):
        return "safety"
    system = request["messages"][0]["content"].lower()
    return "translation" if "translat" in system else "interception"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as fake:
        yield fake


@pytest.fixture
def lab(server: ModelServer, project: Path) -> Lab:
    (project / "aipipe.toml").write_text(
        'mode = "eco"\n[modes.eco]\nbackend = "ollama"\n[modes.eco.models]\ntranslation = "tiny"\nsafety = "tiny"\n'
        'interception = "tiny"\n[modes.eco.outputs]\nimage = "placeholder"\n',
        encoding="utf-8",
    )
    return Lab(ollama=server.url, display=False)


def run_case(lab: Lab, server: ModelServer, case: Case) -> Run:
    left = {task: list(answers) for task, answers in case.answers.items()}

    def script(request: dict[str, Any]) -> Any:
        task = task_of(request)
        if left.get(task):
            return left[task].pop(0)
        return {"safety": SAFE, "translation": "A flower on the meadow", "interception": "A torn flower"}[task]

    server.script = script
    return lab.run("dada", case.text, seed=1, **case.call)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outcome(case: Case, lab: Lab, server: ModelServer) -> None:
    run = run_case(lab, server, case)
    record = run.record
    assert [entity.type for entity in run.entities] == case.entities
    assert run.status == case.status
    assert EXIT_CODES[run.status] == {"completed": 0, "blocked": 3, "failed": 4}[case.status]
    assert run.verify().clean
    if case.status == "completed":
        assert record.reason is None
        assert record.current_state.step == "complete"
        done, planned = record.current_state.progress.split("/")
        assert done == planned
        assert record.expected_outputs == case.entities
    else:
        assert record.reason is not None
        assert record.reason.stage == case.stage
        assert record.reason.message
        if case.kind:
            assert record.reason.type == case.kind
        assert run.all("error")[-1].json["message"]
    assert record.attempts[-1].status == case.status
    assert record.finished
    assert record.seconds is not None


def test_every_output_is_tried_and_a_failure_outweighs_a_block(lab: Lab, server: ModelServer) -> None:
    case = Case(
        "",
        [],
        "",
        {"safety": [SAFE, UNSAFE, Fault(status=500, body="boom"), SAFE]},
        {"outputs": ["placeholder"] * 3},
    )
    run = run_case(lab, server, case)
    assert [o.outcome for o in run.record.outputs] == ["blocked", "failed", "completed"]
    assert run.status == "failed"
    assert len(run.images) == 1


def test_each_step_tells_model_time_tokens_and_seed(lab: Lab, server: ModelServer) -> None:
    run = run_case(lab, server, Case("", [], ""))
    steps = {s.step: s for s in run.record.steps}
    assert set(steps) >= {"translation", "safety", "interception", "safety_pre_output", "media"}
    assert steps["interception"].model == "tiny"
    assert steps["interception"].model_digest == "sha256:tiny"
    assert steps["interception"].tokens.input == 7
    assert steps["interception"].seed == "0"
    assert steps["media"].seed == "1"
    assert len(run.exchanges()) >= 4


def test_half_an_answer_is_kept_as_evidence(lab: Lab, server: ModelServer) -> None:
    run = run_case(lab, server, Case("", [], "", {"interception": [("half a sen", Fault(cut=True))]}))
    assert run.status == "failed"
    last = run.exchanges()[-1]
    assert last["step"] == "interception"
    assert last["response"]["text"] == "half a sen"
    step = run.record.steps[-1]
    assert (step.step, step.outcome) == ("interception", "failed")
    assert step.tokens is not None
    assert "exchanges.jsonl" in (step.message or "")


def test_a_model_that_the_service_chose_is_named_in_the_record(server: ModelServer, project: Path) -> None:
    (project / "aipipe.toml").write_text(
        f'mode = "embedded"\n[backends.shelf]\nkind = "openai"\nurl = "{server.url}/v1"\n'
        '[modes.embedded]\nbackend = "shelf"\n[modes.embedded.outputs]\nimage = "placeholder"\n',
        encoding="utf-8",
    )
    run = run_case(Lab(display=False), server, Case("", [], ""))
    assert run.status == "completed", run.record.reason
    chosen = {task: run.record.models[task] for task in ("translation", "safety", "interception")}
    assert chosen == dict.fromkeys(chosen, "shelf:tiny")


def test_prompt_text_never_acts_as_template(lab: Lab, server: ModelServer) -> None:
    run = run_case(lab, server, Case("", [], "", text="A flower named {{CONTEXT}} and {{temperature}}"))
    asked = [r for r in server.requests if task_of(r) == "safety"][0]
    assert run["input"].text == "A flower named {{CONTEXT}} and {{temperature}}"
    assert "torn" not in json.dumps(asked)


def test_an_english_text_is_kept_as_it_is(lab: Lab, server: ModelServer) -> None:
    run = run_case(lab, server, Case("", [], "", text="A small red flower stands on the green meadow"))
    assert run["translation"].text == run["input"].text
    assert "translation" not in [task_of(r) for r in server.requests]
    assert run.record.inputs[0].language == "en"


def test_a_recursive_config_feeds_each_text_into_the_next(lab: Lab, server: ModelServer) -> None:
    count = iter(range(100))

    def script(request: dict[str, Any]) -> str:
        if task_of(request) == "safety":
            return SAFE
        return f"{next(count)} after {request['messages'][-1]['content'][:12]}"

    server.script = script
    run = lab.run("stillepost", "A small red flower stands on the green meadow", seed=1)
    texts = [e.text for e in run.entities if e.type.startswith("interception")]
    assert len(texts) == 8
    for before, after in zip(texts, texts[1:], strict=False):
        assert after.endswith(before[:12])
    assert [e.iteration for e in run.all("interception_iteration")] == list(range(1, 8))


def test_cancelling_at_each_stage_is_recorded(lab: Lab, server: ModelServer) -> None:
    import threading

    for task, stage in (("translation", 1), ("safety", 1), ("interception", 2)):
        begun = threading.Event()

        def script(request: dict[str, Any], task: str = task, begun: threading.Event = begun) -> Any:
            if task_of(request) == task:
                begun.set()
                return ("late", Fault(stall=20))
            return {"safety": SAFE, "translation": "A flower", "interception": "x"}[task_of(request)]

        server.script = script
        live = lab.start("dada", "Eine Blume auf der Wiese", seed=1)
        assert begun.wait(10)
        live.cancel()
        run = live.wait(10)
        assert run.status == "cancelled", task
        assert run.reason is not None
        assert run.record.current_state.stage == stage
        assert run.verify().clean
        server.script = lambda request: {"safety": SAFE, "translation": "A flower", "interception": "x"}[
            task_of(request)
        ]
        resumed = lab.resume(run)
        assert resumed.status == "completed"
        assert len(resumed.record.attempts) == 2


def test_a_picture_is_shown_to_the_vision_model_and_to_no_other(lab: Lab, server: ModelServer, project: Path) -> None:
    folder = project / "configs"
    (folder / "pipelines").mkdir(parents=True, exist_ok=True)
    looks = {"name": "looking", "kind": "text", "chunks": ["rewrite"], "inputs": {"texts": 1, "images": 1}}
    (folder / "pipelines" / "looking.json").write_text(json.dumps(looks), encoding="utf-8")
    seeing = {"pipeline": "looking", "task": "vision", "context": "Say what the picture shows.", "output": "text"}
    (folder / "close_look.json").write_text(json.dumps(seeing), encoding="utf-8")
    image = PlaceholderRunner().generate(
        MediaRequest(output_config="x", media_type="image", prompt="a red square"), Watch()
    )
    with image.files[0].open() as stream:
        picture = stream.read()
    run = lab.run("close_look", "what is this", image=picture, safety="off", models={"vision": "tiny"})
    assert run.status == "completed", run.reason
    shown = [
        [message["images"] for message in request["messages"] if message.get("images")] for request in server.requests
    ]
    assert shown[-1] == [[base64.b64encode(picture).decode()]]
    assert not any(shown[:-1])
    assert run["input_image"].bytes == picture
    assert base64.b64encode(picture).decode() not in str(list(run.exchanges()))

"""What a plan holds fast, what it refuses, and that it says everything that is wrong at once."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aipipe
from aipipe.batch import Batch
from aipipe.batch.inputs import MAX_SEED, read_inputs
from aipipe.errors import InvalidPlan, UsageError
from aipipe.store import Store
from aipipe.testing import ModelServer
from tests.batch.test_batch import TEXTS, write_notebook


def problems(**given: Any) -> str:
    with pytest.raises(InvalidPlan) as refused:
        _ = Batch(**{"configs": ["dada"], "inputs": TEXTS, "notebook": False, **given}).plan
    return str(refused.value)


def automatic(project: Path, url: str) -> None:
    (project / "aipipe.toml").write_text(
        f'safety = "off"\n[backends.ollama]\nurl = "{url}"\n[runners.comfyui]\nurls = ["http://127.0.0.1:9"]\n'
    )


# Pinned


def test_models_and_outputs_are_pinned_with_their_service(project: Path) -> None:
    case = Batch(["dada"], ["x"], notebook=False).plan.cases[0]
    assert case.mode == "echo"
    assert case.models == {"interception": "echo", "safety": "echo", "translation": "echo"}
    assert case.outputs == ("placeholder",)
    assert case.key() == case.case_key


def test_an_automatic_choice_is_pinned_as_the_lab_would_make_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIPIPE_MODE", raising=False)
    with ModelServer(lambda _: "a torn flower", models=("tiny:latest",)) as server:
        automatic(project, server.url)
        with aipipe.Lab(display=False) as lab:
            planned = lab.plan("dada", "x")
        case = Batch(["dada"], ["x"], notebook=False).plan.cases[0]
    assert dict(case.models) == planned.models
    assert case.models["interception"] == "ollama:tiny:latest", "not the embedded model that the mode's name would mean"
    assert case.outputs == tuple(output.config for output in planned.outputs)


def test_another_table_of_models_the_next_morning_changes_no_case_of_a_frozen_plan(project: Path) -> None:
    with ModelServer(lambda _: "a torn flower", models=("tiny", "other")) as server:
        table = '[modes.eco.models]\ntranslation = "{0}"\nsafety = "{0}"\ninterception = "{0}"\n'
        rest = f'[modes.eco]\nbackend = "ollama"\n[modes.eco.outputs]\nimage = "placeholder"\n[backends.ollama]\nurl = "{server.url}"\n'
        (project / "aipipe.toml").write_text('mode = "eco"\nsafety = "off"\n' + rest + table.format("tiny"))
        first = Batch(["dada"], ["Eine Blume"], notebook=False)
        first._settle()
        (project / "aipipe.toml").write_text('mode = "eco"\nsafety = "off"\n' + rest + table.format("other"))
        status = Batch.open(first.batch_id).run(display=False)
        assert status.clean, str(status)
        assert {request["model"] for request in server.requests} == {"tiny"}
        assert Batch(["dada"], ["Eine Blume"], notebook=False).batch_id != first.batch_id


def test_a_config_that_was_edited_under_a_frozen_plan_is_refused(project: Path) -> None:
    folder = project / "configs" / "interception"
    folder.mkdir(parents=True, exist_ok=True)
    aipipe.Lab(display=False)
    text = (Path(aipipe.__file__).parent / "data" / "configs" / "interception" / "dada.md").read_text(encoding="utf-8")
    (folder / "mine.md").write_text(text.replace("name: dada", "name: mine"), encoding="utf-8")
    batch = Batch(["mine"], ["x"], notebook=False)
    batch._settle()
    (folder / "mine.md").write_text(
        text.replace("name: dada", "name: mine") + "\nOne more sentence.\n", encoding="utf-8"
    )
    with pytest.raises(InvalidPlan, match="the config mine .* is another than in the plan"):
        Batch.open(batch.batch_id).run(display=False)
    assert Batch(["mine"], ["x"], notebook=False).batch_id != batch.batch_id


def test_an_image_that_was_replaced_under_a_frozen_plan_is_refused(project: Path) -> None:
    from PIL import Image

    config = "picture_over_picture"
    Image.new("RGB", (8, 8), "red").save(project / "a.png")
    batch = Batch([config], [{"text": "x", "image": "a.png"}], notebook=False)
    batch._settle()
    Image.new("RGB", (8, 8), "blue").save(project / "a.png")
    with pytest.raises(InvalidPlan, match=r"a\.png is another image than in the plan"):
        Batch.open(batch.batch_id).run(display=False)
    (project / "a.png").unlink()
    with pytest.raises(InvalidPlan, match=r"a\.png is not there any more"):
        Batch.open(batch.batch_id).run(display=False)


def alter(path: Path, change: Any) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan["cases"][0].update(seed=99),
        lambda plan: plan["cases"][0].update(texts=["another"]),
        lambda plan: plan["cases"][0].update(excluded=True),
        lambda plan: plan["cases"].pop(),
        lambda plan: plan.update(notebook_hash="0" * 64),
    ],
)
def test_a_plan_that_was_altered_is_refused(project: Path, change: Any) -> None:
    batch = Batch(["dada"], TEXTS, notebook=False)
    batch._settle()
    alter(batch.folder / "plan.json", change)
    with pytest.raises(InvalidPlan, match="was changed after the batch was planned"):
        Batch.open(batch.batch_id)


def test_a_kept_notebook_that_was_altered_is_refused(project: Path) -> None:
    batch = Batch(["dada"], ["x"])
    batch._settle()
    (batch.folder / "case.ipynb").write_text(
        (batch.folder / "case.ipynb").read_text().replace("run = lab", "run =  lab")
    )
    with pytest.raises(InvalidPlan, match="is not the notebook that the batch was planned with"):
        Batch.open(batch.batch_id).run(display=False)


def test_a_plan_of_an_earlier_version_still_opens(project: Path) -> None:
    batch = Batch(["dada"], TEXTS, notebook=False)
    batch._settle()

    def older(plan: dict[str, Any]) -> None:
        for case in plan["cases"]:
            for name in ("config_hash", "image_hashes", "notebook_parameters"):
                case.pop(name)

    alter(batch.folder / "plan.json", older)
    assert Batch.open(batch.batch_id).run(display=False).clean


def test_two_objects_with_one_plan_never_fork_it(project: Path) -> None:
    batches = [Batch(["dada"], TEXTS, notebook=False) for _ in range(4)]
    assert len({batch.batch_id for batch in batches}) == 4, "none is written yet"
    threads = [threading.Thread(target=batch._settle) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({batch.batch_id for batch in batches}) == 1
    assert len(list((project / "runs" / "batches").glob("*/plan.json"))) == 1


# The case notebook


def test_a_notebook_of_the_project_is_the_case_notebook(project: Path) -> None:
    own = project / "notebooks" / "cases" / "run_case.ipynb"
    own.parent.mkdir(parents=True)
    write_notebook(
        own, 'config = "dada"\ntext = ""', "import aipipe\naipipe.Lab(display=False).run(config, text, tags=['own'])"
    )
    batch = Batch(["dada"], ["x"], [7])
    assert batch.run(display=False).clean
    (run,) = batch.runs
    assert "own" in run.record.tags
    assert run.record.seed == "7", "what the notebook does not say itself comes from its case"


def test_a_notebook_has_parameters_of_its_own(project: Path) -> None:
    own = project / "case.ipynb"
    write_notebook(
        own, 'config = "dada"\ntext = ""\nmood = "calm"\nlevel_of_detail = 1',
        "import aipipe\naipipe.Lab(display=False).run(config, text, labels={'mood': mood, 'detail': level_of_detail})",
    )  # fmt: skip
    rows = [{"text": "a", "mood": "wild"}, {"text": "b", "mood": "calm"}]
    batch = Batch(["dada"], rows, notebook=own, parameters={"level_of_detail": 3, "temperature": 0.5})
    assert batch.dry_run()["columns"] == {"text": "text", "mood": "parameter"}
    assert batch.run(display=False).clean
    assert [run.labels for run in batch.runs] == [{"mood": "wild", "detail": "3"}, {"mood": "calm", "detail": "3"}]
    assert {s.parameters["temperature"] for r in batch.runs for s in r.record.steps if s.step == "interception"} == {
        0.5
    }
    again = Batch(["dada"], rows, notebook=own, parameters={"level_of_detail": 4, "temperature": 0.5})
    assert again.batch_id != batch.batch_id


def test_a_crossed_axis_that_the_notebook_has_no_parameter_for_is_refused(project: Path) -> None:
    bare = project / "bare.ipynb"
    write_notebook(bare, 'config = "dada"\ntext = ""', "1")
    said = problems(notebook=bare, seeds=[1, 2], levels=["kids", "youth"])
    assert "bare.ipynb has no parameter 'seed'" in said
    assert "bare.ipynb has no parameter 'safety'" in said


def test_a_parameter_that_nobody_knows_is_refused(project: Path) -> None:
    assert "There is no parameter 'temprature'. Did you mean 'temperature'?" in problems(parameters={"temprature": 1})


# Rules


def test_rules_know_the_fields_under_their_usual_names(project: Path) -> None:
    batch = Batch(
        ["dada", "bauhaus"], [{"text": "a", "author": "Anna"}, {"text": "b", "author": "Ben"}], [1, 2], levels=["kids", "off"],
        notebook=False, exclude=[{"config_name": "dada", "level": "kids"}, {"author": "Ben", "seed": [2]}, {"text": "a", "output": "placeholder", "safety_level": "off"}],
    )  # fmt: skip
    left = {(c.config, c.texts[0], c.seed, c.safety) for c in batch.plan.cases if not c.excluded}
    assert left == {
        ("bauhaus", "a", 1, "kids"),
        ("bauhaus", "a", 2, "kids"),
        ("bauhaus", "b", 1, "kids"),
        ("bauhaus", "b", 1, "off"),
        ("dada", "b", 1, "off"),
    }


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"exclude": [{"confg": "dada"}]}, "did you mean 'config'?"),
        ({"exclude": [{"config": "dadda"}]}, "no case has config='dadda'; there are dada"),
        ({"include": [{"seed": 9}]}, "no case has seed=9; there are 1"),
        ({"exclude": [{"config": "dada"}]}, "leave out all 3 cases"),
        ({"exclude": [{}]}, "an empty rule"),
        ({"exclude": ["dada"]}, "is not a rule"),
    ],
)
def test_a_rule_that_does_nothing_or_everything_is_refused(project: Path, rules: dict[str, Any], says: str) -> None:
    assert says in problems(**rules)


# Types and inputs


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"seeds": "123"}, "seeds='123': a list of whole numbers"),
        ({"seeds": 3}, "seeds=3: a list"),
        ({"seeds": [1.5]}, "1.5 is no whole number"),
        ({"seeds": [True]}, "True is no whole number"),
        ({"seeds": [-1, 2**64]}, "-1 is no whole number"),
        ({"seeds": []}, "seeds is empty"),
        ({"repeats": 0}, "repeats=0"),
        ({"repeats": "two"}, "repeats='two'"),
        ({"models": ["tiny"]}, "is no mapping"),
        ({"models": {"interception": 3}}, "is not a name with a text"),
        ({"parameters": ["steps"]}, "parameters is no mapping"),
        ({"levels": [3]}, "levels: 3 is not a name"),
        ({"configs": [3]}, "3 is neither a name nor a Config"),
        ({"configs": []}, "there is no config"),
        ({"inputs": {"text": "x"}}, "inputs is a dict"),
        ({"inputs": 5}, "inputs is a int"),
        ({"inputs": "prompts.xlsx"}, "prompts.xlsx does not exist, nor is it a kind of file"),
        ({"inputs": Path("nowhere.csv")}, "nowhere.csv cannot be read"),
        ({"inputs": pd.DataFrame({"text": [["a", "b"]]})}, "text is ['a', 'b'], not a single value"),
        ({"inputs": [{"text": "x", "seed": "one"}]}, "seed is 'one', not a whole number"),
        ({"inputs": [{"text": "x", "mode": "echo"}]}, "column mode: the grid decides it"),
        ({"inputs": [{"text": "x", "seed": 1}], "seeds": [1, 2]}, "give one of the two"),
    ],
)
def test_wrong_types_and_inputs_are_named(project: Path, given: dict[str, Any], says: str) -> None:
    assert says in problems(**given)


def test_everything_that_is_wrong_stands_in_one_list(project: Path) -> None:
    typed = project / "typed.ipynb"
    write_notebook(typed, 'text = ""', "1")
    said = problems(
        configs=["dade"], seeds=[1, 1], repeats=0, notebook=typed, inputs=["", "x"], models={"interception": 1}
    )
    for part in (
        "'dade'",
        "stands twice",
        "repeats=0",
        "no parameter 'config'",
        "input 1 is empty",
        "not a name with a text",
    ):
        assert part in said, part


def test_one_value_stands_for_a_list_of_one(project: Path) -> None:
    plan = Batch("dada", "a flower", levels="kids", modes="echo", outputs="placeholder", notebook=False).plan
    assert [(c.texts, c.safety, c.mode, c.outputs) for c in plan.cases] == [
        (("a flower",), "kids", "echo", ("placeholder",))
    ]


def test_seeds_of_rows(project: Path) -> None:
    frame = pd.DataFrame({"text": ["a", "b"], "seed": [5, None], "text_seed": [None, 2]})
    plan = Batch(["dada"], frame, [9], notebook=False).plan
    assert sorted((c.texts[0], c.seed, c.text_seed) for c in plan.cases) == [("a", 5, 0), ("b", 9, 2)]


def test_a_text_keeps_its_odd_line_separators(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("one\u2028still one\r\ntwo\x0cstill two\n\n", encoding="utf-8", newline="")
    assert [i.texts[0] for i in read_inputs("p.txt", (), folder=tmp_path).items] == [
        "one\u2028still one",
        "two\x0cstill two",
    ]
    (tmp_path / "p.jsonl").write_text('{"text": "one\u2028still"}\n', encoding="utf-8")
    assert [i.texts[0] for i in read_inputs("p.jsonl", (), folder=tmp_path).items] == ["one\u2028still"]


def test_lines_of_a_table_are_numbered_as_an_editor_does(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text('id,text\na,"two\nlines"\n\nb,\nc,x,y\nd,\n', encoding="utf-8")
    found = read_inputs("p.csv", (), folder=tmp_path)
    assert [p.partition(": ")[2] for p in found.problems] == [
        "line 6 has another number of columns than the head: 3, not 2",
        "line 5: it has no text and no image",
        "line 7: it has no text and no image",
    ]
    (tmp_path / "d.csv").write_text("text,text\na,b\n", encoding="utf-8")
    assert "the column 'text' stands 2 times" in read_inputs("d.csv", (), folder=tmp_path).problems[0]


CELLS = st.one_of(
    st.none(), st.text(max_size=8), st.integers(), st.floats(), st.booleans(), st.lists(st.integers(), max_size=2)
)


@given(
    rows=st.lists(
        st.dictionaries(st.sampled_from(["text", "id", "seed", "temperature", "author", "mode"]), CELLS), max_size=6
    )
)
def test_whatever_a_table_holds_each_row_is_an_input_or_a_problem(rows: list[dict[str, Any]]) -> None:
    found = read_inputs(rows, {"temperature"})
    for item in found.items:
        assert item.texts
        assert all(isinstance(text, str) and text.strip() for text in item.texts)
        assert item.seed is None or 0 <= item.seed <= MAX_SEED
    named = {p.split(":")[0] for p in found.problems}
    if any("text" in row for row in rows):
        assert len(found.items) + sum(name.startswith("input ") for name in named) == len(rows)


def test_a_plan_file_names_its_neighbours(project: Path) -> None:
    folder = project / "plans"
    folder.mkdir()
    (folder / "p.txt").write_text("a flower\n")
    write_notebook(
        folder / "case.ipynb",
        'config = "dada"\ntext = ""',
        "import aipipe\naipipe.Lab(display=False).run(config, text)",
    )
    (folder / "plan.toml").write_text('configs = ["dada"]\ninputs = "p.txt"\nnotebook = "case.ipynb"\n')
    assert Batch.load(folder / "plan.toml").run(display=False).clean
    (folder / "plan.toml").write_text('config = ["dada"]\ninputs = "p.txt"\n')
    with pytest.raises(InvalidPlan, match="Did you mean 'configs'"):
        Batch.load(folder / "plan.toml")


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 0}, {"workers": "2"}, {"limits": {"echo": 0}}, {"limits": {"ekko": 1}}, {"limits": 1}, {"patience": "long"},
        {"timeout": 0}, {"fail_fast": 1}, {"max_attempts": 0}, {"executor": "dusk"}, {"executor": 3}, {"block": 1.5}, {"patienc": 1},
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused_and_nothing_is_written(project: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Batch(["dada"], ["x"], notebook=False).run(display=False, **options)
    assert not (project / "runs" / "batches").exists()


def test_no_patience_reaches_a_process_of_its_own() -> None:
    from aipipe.batch.options import arguments_of

    assert arguments_of({"patience": 0, "fail_fast": False, "timeout": None}) == ["--patience", "0"]


def test_the_dry_run_counts_a_shared_step_once(project: Path) -> None:
    with ModelServer(lambda _: "x") as server:
        (project / "aipipe.toml").write_text(
            'mode = "eco"\n[modes.eco]\nbackend = "ollama"\n[modes.eco.models]\ntranslation = "t"\nsafety = "t"\ninterception = "t"\n'
            f'[modes.eco.outputs]\nimage = "placeholder"\n[backends.ollama]\nurl = "{server.url}"\n'
        )
        facts = Batch(
            ["dada", "bauhaus"], ["Eine Blume", "Ein Haus"], [1, 2, 3], levels=["kids"], notebook=False
        ).dry_run()
        off = Batch(
            ["dada", "bauhaus"], ["Eine Blume", "Ein Haus"], [1, 2, 3], levels=["off"], notebook=False
        ).dry_run()
    assert (facts["cases"], facts["media"]) == (12, 12)
    # 2 translations, 2 checks of the input, 4 interceptions, 4 checks of what they made; only the pictures differ by seed
    assert facts["model_calls"] == 12
    assert off["model_calls"] == 6


def test_load_batch_knows_what_the_plan_and_the_ledger_know(project: Path) -> None:
    rows = [{"text": "a flower", "author": "Anna"}, {"text": "child porn", "author": "Ben"}]
    batch = Batch(["dada"], rows, parameters={"temperature": 0.5}, repeats=2, notebook=False)
    batch.run(display=False)
    frame = aipipe.load_batch(Store(project / "runs"))
    assert frame["started"].notna().all()
    assert (frame["finished"] >= frame["started"]).all()
    assert frame["label_author"].tolist() == ["Anna", "Anna", "Ben", "Ben"]
    assert frame["repeat"].tolist() == [1, 2, 1, 2]
    assert json.loads(frame["parameters"][0]) == {"temperature": 0.5}
    assert json.loads(frame["models"][0])["interception"] == "echo"
    assert frame["outputs"].tolist() == [["placeholder"]] * 4 or "placeholder" in frame["outputs"][0]
    assert frame["failures"].fillna(0).tolist() == [0, 0, 0, 0]
    (project / "aipipe.toml").write_text(
        'mode = "eco"\nsafety = "off"\n[backends.ollama]\nurl = "http://127.0.0.1:9"\n'
    )
    failing = Batch(["dada"], ["Ein Haus"], outputs=["placeholder"], notebook=False)
    failing.run(max_attempts=2, patience=0, display=False)
    row = aipipe.load_batch(Store(project / "runs"), failing.batch_id).iloc[0]
    assert (row["state"], row["cause"], row["failures"], row["attempt"]) == ("failed", "Unavailable", 2, 2)

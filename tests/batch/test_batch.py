"""A batch does every case once, survives whatever kills it, and its numbers add up."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aipipe
from aipipe.batch import Batch
from aipipe.batch.ledger import STATES
from aipipe.cli.batch import seeds
from aipipe.errors import InvalidPlan, RunNotFound, UsageError
from aipipe.store import Store
from aipipe.testing import Fault, ModelServer
from tests.conftest import need_real

TEXTS = ["a red flower", "a blue house", "a cat in the rain"]


def check_sums(status: aipipe.batch.BatchStatus) -> None:  # type: ignore[name-defined]
    assert status.counts["planned"] == sum(status.counts[name] for name in STATES)


def done_runs(project: Path, batch: Batch) -> dict[str, int]:
    """Case key → number of its completed or blocked runs in the store."""
    found: dict[str, int] = {}
    for run in Store(project / "runs"):
        if run.record.batch is not None and run.status in ("completed", "blocked"):
            found[run.record.batch.case_key] = found.get(run.record.batch.case_key, 0) + 1
    return found


def test_a_grid_is_crossed_and_every_case_is_recorded(project: Path) -> None:
    batch = Batch(["dada", "bauhaus"], TEXTS, [1, 2], notebook=False, study="s")
    status = batch.run(workers=2, display=False)
    assert status.clean
    assert status.counts["completed"] == 12
    check_sums(status)
    assert sorted(done_runs(project, batch).values()) == [1] * 12
    runs = batch.runs
    assert len(runs) == 12
    assert {r.record.study for r in runs} == {"s"}
    assert [r.config_name for r in runs[:4]] == ["dada", "dada", "bauhaus", "bauhaus"]
    frame = aipipe.load_batch(project / "runs")
    assert list(frame["state"].unique()) == ["completed"]
    assert (batch.folder / "report.html").read_text().count("<img") >= 6


def test_the_same_plan_again_does_nothing_and_a_new_input_only_itself(project: Path) -> None:
    first = Batch(["dada"], TEXTS, notebook=False)
    first.run(display=False)
    again = Batch(["dada"], TEXTS, notebook=False)
    assert again.batch_id == first.batch_id
    again.run(workers=3, display=False)
    assert sorted(done_runs(project, again).values()) == [1, 1, 1]
    anew = Batch(["dada"], TEXTS, notebook=False)
    assert anew.run(new=True, display=False).counts["completed"] == 3
    assert anew.batch_id != first.batch_id


def test_columns_become_inputs_ids_parameters_and_labels(project: Path) -> None:
    (project / "p.csv").write_text("id,text,temperature,author\na,a flower,0.3,Anna\nb,a house,,Ben\n")
    batch = Batch(["dada"], "p.csv", notebook=False)
    facts = batch.dry_run()
    assert facts["columns"] == {"id": "id", "text": "text", "temperature": "parameter", "author": "label"}
    assert facts["cases"] == 2
    assert not (project / "runs" / "batches").exists(), "a dry run writes nothing"
    batch.run(display=False)
    runs = {run.record.input_id: run for run in batch.runs}
    assert runs["a"].labels == {"author": "Anna"}
    step = next(s for s in runs["a"].record.steps if s.step == "interception")
    assert step.parameters["temperature"] == 0.3


def test_everything_wrong_is_listed_together_before_the_first_case(project: Path) -> None:
    (project / "p.csv").write_text("id,text\na,x\na,y\nb,\nc,z,too,many\n")
    with pytest.raises(InvalidPlan) as refused:
        Batch(["dade", "bauhaus"], "p.csv", [1, 1], levels=["toddler"], notebook=False).run(display=False)
    text = str(refused.value)
    for part in ("dada", "stands 2 times", "no text", "another number of columns", "a seed stands twice", "kids"):
        assert part in text, part
    assert not (project / "runs" / "batches").exists()


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ("missing.csv", "cannot be read"),
        ([], "no input"),
        (["x", ""], "empty"),
        (["x", "x"], "more than once"),
        ([3], "not a text"),
    ],
)
def test_bad_inputs_are_refused(project: Path, inputs: object, says: str) -> None:
    with pytest.raises(InvalidPlan, match=says):
        Batch(["dada"], inputs, notebook=False).run(display=False)


def test_rules_leave_out_and_are_counted(project: Path) -> None:
    batch = Batch(["dada", "bauhaus"], TEXTS, [1, 2], notebook=False, exclude=[{"config": "bauhaus", "seed": 2}])
    status = batch.run(workers=2, display=False)
    assert status.counts["excluded"] == 3
    assert status.counts["completed"] == 9
    check_sums(status)


def test_blocked_is_done_and_failed_is_kept_with_its_cause(project: Path) -> None:
    texts = ["a flower", "child porn"]
    batch = Batch(["dada"], texts, notebook=False)
    status = batch.run(display=False)
    assert (status.counts["completed"], status.counts["blocked"]) == (1, 1)
    assert status.clean
    server_down = '[modes.eco]\nbackend = "ollama"\n[backends.ollama]\nurl = "http://127.0.0.1:9"\n[modes.eco.outputs]\nimage = "placeholder"\n'
    (project / "aipipe.toml").write_text(f'mode = "eco"\n{server_down}')
    failing = Batch(["dada"], ["Ein Haus am See"], notebook=False)
    status = failing.run(max_attempts=2, patience=0, display=False)
    assert status.counts["failed"] == 1
    assert "Unavailable" in " ".join(status.causes)
    assert failing.states[failing.plan.cases[0].case_key].attempts == 2, "a lost server is tried again"
    check_sums(status)
    with pytest.raises(UsageError):
        failing.retry(cause="Nothing")


PROGRAM = """
import sys
from aipipe.batch import Batch
batch = Batch(["dada", "bauhaus"], [f"text number {n}" for n in range(int(sys.argv[1]))], [1], notebook=False)
print(batch.batch_id, flush=True)
batch.run(workers=int(sys.argv[2]), display=False, max_attempts=50)
"""


def kill_and_resume(project: Path, inputs: int, kills: int) -> Batch:
    for number in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(inputs), str(1 + number % 3)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline().strip()
        time.sleep(1.1 + 0.13 * number)
        process.kill()
        process.communicate()
    subprocess.run([sys.executable, "-c", PROGRAM, str(inputs), "2"], check=True, capture_output=True)
    return Batch(["dada", "bauhaus"], [f"text number {n}" for n in range(inputs)], [1], notebook=False)


def check_once_each(project: Path, batch: Batch) -> None:
    status = batch.status
    assert status.clean, str(status)
    check_sums(status)
    assert status.counts["completed"] == status.counts["planned"]
    done = [run_id for state in batch.states.values() for run_id in state.run_ids]
    assert len(done) == len(set(done)) == status.counts["planned"], "every case exactly once in the results"
    live = [run for run in Store(project / "runs") if run.status == "running"]
    assert live == []
    Store(project / "runs").doctor(apply=True)  # what the killed writers left
    assert Store(project / "runs").verify().clean


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_a_killed_batch_resumes_and_has_every_case_once(project: Path) -> None:
    check_once_each(project, kill_and_resume(project, 16, 2))


@pytest.mark.soak
def test_three_hundred_cases_killed_ten_times(project: Path) -> None:
    check_once_each(project, kill_and_resume(project, 150, 10))


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_ctrl_c_drains(project: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "60", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    batch = Batch(["dada", "bauhaus"], [f"text number {n}" for n in range(60)], [1], notebook=False)
    status = batch.status
    assert status.counts["running"] == status.counts["interrupted"] == status.counts["failed"] == 0, str(status)
    assert status.counts["waiting"] > 0
    check_sums(status)


def test_two_processes_share_a_batch_and_never_a_case(project: Path) -> None:
    both = [subprocess.Popen([sys.executable, "-c", PROGRAM, "1", "1"], stdout=subprocess.PIPE) for _ in range(1)]
    for process in both:
        process.communicate()
    texts = [f"shared {n}" for n in range(20)]
    batch = Batch(["dada"], texts, notebook=False)
    batch.plan.save(batch.folder)
    joiners = [
        subprocess.Popen(
            [sys.executable, "-m", "aipipe", "batch", "join", batch.batch_id],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]
    for joiner in joiners:
        joiner.wait(60)
    assert batch.status.counts["completed"] == 20
    assert [n for k, n in done_runs(project, batch).items() if k in {c.case_key for c in batch.plan.cases}] == [1] * 20


def test_other_executors_work(project: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        status = Batch(["dada"], TEXTS, notebook=False).run(workers=1, executor=pool, display=False)
    assert status.counts["completed"] == 3


def test_each_case_is_a_notebook_that_tells_the_truth(project: Path) -> None:
    case = project / "case.ipynb"
    write_notebook(
        case,
        'config = "dada"\ntext = ""\nseed = 1',
        "import aipipe\nif text == 'die':\n    import os; os._exit(9)\nif text == 'fail':\n    raise ValueError('on purpose')\n"
        "run = aipipe.Lab(display=False).run(config, text, seed=seed)",
        "run",
    )
    batch = Batch(["dada"], ["a flower", "fail", "die"], notebook=case)
    status = batch.run(workers=2, max_attempts=1, display=False)
    assert (status.counts["completed"], status.counts["failed"]) == (1, 2), str(status)
    check_sums(status)
    by_text = {c.texts[0]: batch.states[c.case_key] for c in batch.plan.cases}
    assert by_text["fail"].cause == "ValueError"
    assert "on purpose" in by_text["fail"].message
    for text, state in by_text.items():
        document = json.loads((batch.folder / "notebooks" / state.notebook).read_text())
        assert document["metadata"]["aipipe"]["status"] == ("completed" if text == "a flower" else "failed")
        assert document["metadata"]["papermill"]["exception"] == (text != "a flower")
        assert "on purpose" in json.dumps(document) or text != "fail"
    (run,) = batch.runs
    assert run.record.batch is not None
    assert run.record.batch.batch_id == batch.batch_id


def real_batch(
    project: Path, monkeypatch: pytest.MonkeyPatch, configs: list[str], inputs: list[str], workers: int
) -> Batch:
    """A batch on the real small model and the real ComfyUI, done."""
    monkeypatch.setenv("AIPIPE_EMBEDDED_MODEL", need_real("AIPIPE_TEST_GGUF", "a GGUF model"))
    url = need_real("AIPIPE_TEST_COMFYUI_URL", "a ComfyUI server with the tiny checkpoint")
    (project / "aipipe.toml").write_text(f'mode = "embedded"\n[runners.comfyui]\nkind = "comfyui"\nurls = ["{url}"]\n')
    batch = Batch(configs, inputs, [7], outputs=["tiny_sd15"], parameters={"steps": 2})
    status = batch.run(workers=workers, display=False)
    assert status.clean, str(status)
    check_sums(status)
    assert all(run.images for run in batch.runs if run.status == "completed")
    assert {s.runner for run in batch.runs for s in run.record.steps if s.runner} >= {"comfyui"}
    assert len(list((batch.folder / "notebooks").glob("*.ipynb"))) == len(configs) * len(inputs)
    return batch


@pytest.mark.batchreal
def test_three_cases_on_the_real_model_and_the_real_comfyui(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = real_batch(project, monkeypatch, ["dada", "bauhaus", "overdrive"], ["Eine Blume auf der Wiese"], 1)
    reused = [s for run in batch.runs for s in run.record.steps if s.outcome == "reused"]
    assert {s.step for s in reused} >= {"translation"}, "one translation for all configs"


@pytest.mark.batchreal
@pytest.mark.soak
def test_twenty_four_cases_on_the_real_model_and_the_real_comfyui(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["Eine Blume auf der Wiese", "Zwei Kinder am Strand", "Ein Boot im Regen", "A cat on a red roof"]
    real_batch(
        project, monkeypatch, ["dada", "bauhaus", "overdrive", "haiku", "expressionism", "constructivism"], texts, 2
    )


def test_notebooks_are_checked_before_anything_starts(project: Path) -> None:
    bare = project / "bare.ipynb"
    write_notebook(bare, None, "1")
    with pytest.raises(InvalidPlan, match="no cell with the tag parameters"):
        Batch(["dada"], ["x"], notebook=bare).run(display=False)
    typed = project / "typed.ipynb"
    write_notebook(typed, 'config = "dada"\ntext = ""\nsteps = 4', "1")
    with pytest.raises(InvalidPlan, match="another type"):
        Batch(["dada"], ["x"], notebook=typed, parameters={"steps": "many"}).run(display=False)
    write_notebook(typed, 'config = "dada"\ntext = ""\ntemperature = "warm"', "1")
    rows = [{"text": "a flower"}, {"text": "a house", "temperature": 0.5}]
    with pytest.raises(InvalidPlan, match=r"temperature is .warm. there, and 0\.5 is of another type"):
        Batch(["dada"], rows, notebook=typed).run(display=False)
    assert not (project / "runs" / "batches").exists()


def test_a_disk_that_is_too_small_is_refused_before_anything_starts(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(project)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    batch = Batch(["dada"], TEXTS, notebook=False)
    for act in (batch.dry_run, lambda: batch.run(display=False), batch.start):
        with pytest.raises(InvalidPlan, match="has 0.0 GB left"):
            act()
    assert not (project / "runs" / "batches").exists()


def write_notebook(path: Path, parameters: str | None, *cells: str) -> None:
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    made = [new_code_cell(text) for text in cells]
    if parameters is not None:
        made.insert(0, new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=made, metadata=kernel), str(path))


def test_a_batch_is_opened_by_its_beginning(project: Path) -> None:
    batch = Batch(["dada"], ["x"], notebook=False)
    batch.run(display=False)
    assert Batch.open(batch.batch_id[:13]).status.counts["completed"] == 1
    with pytest.raises(RunNotFound):
        Batch.open("ffff")


def test_a_plan_file_says_the_same(project: Path) -> None:
    (project / "prompts.txt").write_text("a flower\na house\n")
    (project / "plan.toml").write_text('configs = ["dada"]\ninputs = "prompts.txt"\nseeds = [1, 2]\nnotebook = false\n')
    assert Batch.load(project / "plan.toml").dry_run()["cases"] == 4
    (project / "plan.toml").write_text('config = ["dada"]\n')
    with pytest.raises(InvalidPlan, match="config"):
        Batch.load(project / "plan.toml")


@pytest.mark.parametrize(
    ("text", "expected"), [("3", [1, 2, 3]), ("7,", [7]), ("1,5", [1, 5]), ("4-6", [4, 5, 6]), ("1,4-5", [1, 4, 5])]
)
def test_seeds_on_the_command_line(text: str, expected: list[int]) -> None:
    assert seeds(text) == expected


def test_the_order_is_balanced_and_repeats(project: Path) -> None:
    batch = Batch(["dada", "bauhaus", "overdrive"], [f"t{n}" for n in range(8)], notebook=False)
    cases = batch.plan.cases
    assert [c.config for c in cases[:3]] == ["dada", "bauhaus", "overdrive"], "one canary for each config"
    for start in range(3 + 2, len(cases) - 3, 3):
        assert len({c.texts for c in cases[start : start + 3]}) <= 2, "configs of an input stand together"
    assert [c.case_key for c in cases] == [
        c.case_key
        for c in Batch(["dada", "bauhaus", "overdrive"], [f"t{n}" for n in range(8)], notebook=False).plan.cases
    ]


ODD = st.one_of(st.none(), st.integers(-1, 4), st.text(max_size=4), st.lists(st.text(max_size=3), max_size=2))
LINES = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {
                "case_key": st.integers(0, 8),
                "state": st.sampled_from([*STATES, "planned", ""]),
                "attempt": st.integers(1, 3),
            }
        ),
        st.fixed_dictionaries({"case_key": st.integers(0, 8), "state": ODD, "attempt": ODD, "run_ids": ODD}),
        st.sampled_from(["", "{", "[]", "null", '{"case_key": 3}']),
    ),
    max_size=25,
)


@pytest.fixture
def planned(project: Path) -> Batch:
    batch = Batch(["dada", "bauhaus"], TEXTS, exclude=[{"config": "dada", "text": TEXTS[0]}], notebook=False)
    batch.plan.save(batch.folder)
    return batch


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES)
def test_whatever_the_ledger_holds_the_numbers_add_up_and_every_view_agrees(
    planned: Batch, lines: list[object]
) -> None:
    keys = [case.case_key for case in planned.plan.cases]
    written = []
    for line in lines:
        if isinstance(line, dict):
            number = line["case_key"]
            line = {**line, "case_key": keys[number] if number < len(keys) else f"unknown-{number}"}
        written.append(line if isinstance(line, str) else json.dumps(line))
    (planned.folder / "cases.jsonl").write_text("".join(f"{line}\n" for line in written), encoding="utf-8")
    status = planned.status
    check_sums(status)
    assert status.counts["planned"] == len(keys)
    frame = aipipe.load_batch(planned.folder.parent.parent)
    assert len(frame) == len(keys)
    found = frame["state"].value_counts().to_dict()
    assert {name: n for name, n in found.items() if n} == {name: n for name in STATES if (n := status.counts[name])}
    report = planned.report().read_text(encoding="utf-8")
    for name in STATES:
        assert status.counts[name] == 0 or f"{status.counts[name]} {name}" in re.sub("<[^>]+>", " ", report).replace(
            "  ", " "
        )


DASK = """
import os, sys, threading, time
from distributed import Client, LocalCluster
from aipipe.batch import Batch

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        def kill() -> None:
            time.sleep(float(sys.argv[1]))
            first = sorted(client.run(os.getpid).values())[0]
            os.kill(first, 9)
        threading.Thread(target=kill, daemon=True).start()
        batch = Batch(["dada"], [f"text {n}" for n in range(6)], notebook=False)
        print(batch.run(workers=2, executor=client, display=False).counts)
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_a_dask_worker_killed_within_a_case_costs_no_case_and_doubles_none(project: Path) -> None:
    pytest.importorskip("distributed")
    with ModelServer(lambda request: ("a torn flower", Fault(stall=0.4))) as server:
        (project / "aipipe.toml").write_text(
            'mode = "eco"\nsafety = "off"\n[modes.eco]\nbackend = "ollama"\n[modes.eco.models]\ntranslation = "tiny"\n'
            'safety = "tiny"\ninterception = "tiny"\n[modes.eco.outputs]\nimage = "placeholder"\n'
            f'[backends.ollama]\nurl = "{server.url}"\n'
        )
        done = subprocess.run(
            [sys.executable, "-c", DASK, "2.5"], capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stderr[-2000:]
    batch = Batch.open("")
    status = batch.status
    assert status.counts["completed"] == 6, str(status)
    check_sums(status)
    ends = [run_id for state in batch.states.values() for run_id in state.run_ids]
    assert len(ends) == len(set(ends)) == 6
    assert sorted(done_runs(project, batch).values()) == [1] * 6

"""`aipipe runs resume` and `rerun`, run as a program."""

from __future__ import annotations

import json
from pathlib import Path

from aipipe.store import Store
from aipipe.testing import Fault, ModelServer
from tests.cli.test_cli import TEXT, aipipe


def test_a_run_is_repeated_and_compared(project: Path) -> None:
    aipipe("run", "dada", TEXT, "--seed", "7", "-l", "room=b", cwd=project)
    first = next(iter(Store(project / "runs")))
    same = aipipe("runs", "rerun", first.run_id[:-2], cwd=project)
    assert same.returncode == 0, same.stderr
    assert f"compared with {first.run_id}: same bytes" in same.stdout
    other = aipipe("runs", "rerun", first.run_id, "--seed", "9", "-p", "temperature", "0.1", "--json", cwd=project)
    record = json.loads(other.stdout)
    assert (record["seed"], record["labels"]) == ("9", {"room": "b"})
    assert record["parent"] == {"run_id": first.run_id, "relation": "rerun"}
    assert record["reproduction"]["verdict"] == "different"
    assert record["reproduction"]["first_difference"] == "output_image"


def test_a_draft_is_finished(project: Path) -> None:
    aipipe("run", "dada", TEXT, "--until", "interception", cwd=project)
    draft = next(iter(Store(project / "runs")))
    done = aipipe("runs", "rerun", draft.run_id, "--finish", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "06_output_image.png" in done.stdout


def test_a_failed_run_is_resumed_once_its_server_answers(project: Path) -> None:
    with ModelServer(lambda request: Fault(status=500, body="boom")) as server:
        address = {"AIPIPE_BACKENDS__OLLAMA__URL": server.url}
        failed = aipipe("run", "dada", TEXT, "--mode", "eco", "--output", "placeholder", "-m", "tiny", "--safety", "off",
                        cwd=project, **address)  # fmt: skip
        assert failed.returncode == 4
        server.script = lambda request: "A torn flower"
        run = next(iter(Store(project / "runs")))
        done = aipipe("runs", "resume", run.run_id, cwd=project, **address)
        assert done.returncode == 0, done.stderr
        again = aipipe("runs", "resume", run.run_id, "--json", cwd=project, **address)
    assert Store(project / "runs").open(run.run_id).status == "completed"
    assert again.returncode == 2
    assert "nothing to resume" in json.loads(again.stdout)["error"]["message"]


def test_what_cannot_be_repeated_says_so(project: Path) -> None:
    done = aipipe("runs", "rerun", "01900000", cwd=project)
    assert done.returncode == 2
    assert "01900000" in done.stderr


def test_runs_to_take_over_are_no_problem(project: Path, tmp_path: Path) -> None:
    aipipe("run", "dada", TEXT, cwd=project)
    other = tmp_path / "other"
    dry = aipipe("runs", "merge", str(project / "runs"), "--runs", str(other), cwd=project)
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert "would do" in dry.stdout

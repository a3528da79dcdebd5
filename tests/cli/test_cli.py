"""The command line, run as a program: one JSON document, exit codes, next steps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from aipipe.store import Store
from aipipe.testing import Fault, ModelServer

TEXT = "Eine Blume auf der Wiese"


def aipipe(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aipipe", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_run_prints_the_stages_the_picture_and_how_to_open_it(project: Path) -> None:
    done = aipipe("run", "dada", TEXT, "--seed", "7", "-l", "group=A", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "06_output_image.png" in done.stdout
    assert "aipipe.open_run(" in done.stdout
    assert "04_interception.txt" in done.stderr
    run = next(iter(Store(project / "runs")))
    assert run.labels == {"group": "A"}


def test_a_model_without_a_task_answers_every_text_task(project: Path) -> None:
    done = aipipe("run", "dada", TEXT, "-m", "echo:any", "-m", "safety=echo:other", "--json", cwd=project)
    models = json.loads(done.stdout)["models"]
    assert models == {"translation": "echo:any", "safety": "echo:other", "interception": "echo:any"}


def test_a_failure_is_told_once_while_it_runs_and_once_at_the_end(project: Path) -> None:
    with ModelServer(lambda request: Fault(status=404, body="no such model")) as server:
        done = aipipe(
            "run",
            "dada",
            TEXT,
            "--mode",
            "eco",
            "--output",
            "sketch",
            cwd=project,
            AIPIPE_BACKENDS__OLLAMA__URL=server.url,
        )
    assert done.returncode == 4
    assert done.stderr.count("ollama pull") == 1
    assert done.stdout.count("ollama pull") == 1
    assert "`-m tiny`" in done.stdout


def test_json_is_the_final_record_and_nothing_else(project: Path) -> None:
    done = aipipe("run", "dada", TEXT, "--json", "--runs", "elsewhere", cwd=project)
    record = json.loads(done.stdout)
    assert record["status"] == "completed"
    assert (project / "elsewhere" / record["run_id"] / "metadata.json").is_file()
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run", "dade", TEXT], 2, "dada"),
        (["run", "dada", ""], 2, "empty"),
        (["run", "dada", TEXT, "-m", ""], 2, "KEY=VALUE"),
        (["run", "dada"], 2, "text"),
        (["run", "dada", "x" * 10_001], 2, "10,000"),
        (["run", "dada", TEXT, "--safety", "toddler"], 2, "kids"),
        (["run", "dada", TEXT, "--mode", "turbo"], 2, "eco"),
        (["run", "dada", "child porn"], 3, "stopped"),
        (["run", "dada", TEXT, "-l", "broken"], 2, "KEY=VALUE"),
        (["runs", "show", "ffffffff"], 2, "runs list"),
        (["no-such-command"], 2, "invalid choice"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_exit_codes_and_next_steps(project: Path, arguments: list[str], code: int, says: str) -> None:
    done = aipipe(*arguments, cwd=project)
    assert done.returncode == code, done.stderr
    assert says in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_refused_input_is_json_too(project: Path) -> None:
    done = aipipe("run", "dade", TEXT, "--json", cwd=project)
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert set(error) >= {"type", "message", "hint"}
    assert not list((project / "runs").glob("*")) if (project / "runs").exists() else True


def test_a_failed_run_exits_with_4_and_keeps_its_folder(project: Path) -> None:
    with ModelServer(lambda request: Fault(status=500, body="boom")) as server:
        (project / "aipipe.toml").write_text(
            'mode = "eco"\n[modes.eco]\nbackend = "ollama"\n[modes.eco.models]\ntranslation = "tiny"\nsafety = "tiny"\n'
            f'interception = "tiny"\n[modes.eco.outputs]\nimage = "placeholder"\n[backends.ollama]\nurl = "{server.url}"\n'
        )
        done = aipipe("run", "dada", TEXT, cwd=project)
    assert done.returncode == 4, done.stderr
    assert next(iter(Store(project / "runs"))).status == "failed"


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_ctrl_c_cancels_and_records_it(project: Path) -> None:
    with ModelServer(lambda request: ("late", Fault(stall=30))) as server:
        (project / "aipipe.toml").write_text(
            'mode = "eco"\n[modes.eco]\nbackend = "ollama"\n[modes.eco.models]\ntranslation = "tiny"\nsafety = "tiny"\n'
            f'interception = "tiny"\n[modes.eco.outputs]\nimage = "placeholder"\n[backends.ollama]\nurl = "{server.url}"\n'
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "aipipe", "run", "dada", TEXT], cwd=project, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 20
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130
    run = next(iter(Store(project / "runs")))
    assert run.status == "cancelled"
    assert run["input"].text == TEXT


def test_init_makes_a_project_that_works(tmp_path: Path) -> None:
    done = aipipe("init", "study", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = tmp_path / "study"
    assert {"aipipe.toml", "configs", "notebooks", "prompts.csv", ".gitignore"} <= {p.name for p in made.iterdir()}
    assert list((made / "notebooks").rglob("*.ipynb"))
    done = aipipe("run", "dada", TEXT, "--mode", "echo", cwd=made / "notebooks")
    assert done.returncode == 0, done.stderr
    assert len(list(Store(made / "runs"))) == 1
    (made / "aipipe.toml").write_text('safety = "youth"\n')
    assert "kept" in aipipe("init", "study", cwd=tmp_path).stdout
    assert (made / "aipipe.toml").read_text() == 'safety = "youth"\n', "what is there stays as it is"


def test_runs_commands(project: Path) -> None:
    aipipe("run", "dada", TEXT, cwd=project)
    run_id = next(iter(Store(project / "runs"))).run_id
    listed = json.loads(aipipe("runs", "list", "--json", cwd=project).stdout)
    assert [row["run_id"] for row in listed] == [run_id]
    assert TEXT in aipipe("runs", "show", run_id, cwd=project).stdout
    assert aipipe("runs", "verify", cwd=project).returncode == 0
    (project / "runs" / run_id / "04_interception.txt").write_text("other")
    verified = aipipe("runs", "verify", "--json", cwd=project)
    assert verified.returncode == 1
    assert json.loads(verified.stdout)["findings"][0]["kind"] == "altered"
    assert aipipe("watch", run_id[:18], cwd=project).returncode == 0


def test_doctor_says_what_is_there_and_what_to_do(project: Path) -> None:
    done = aipipe("doctor", cwd=project)
    assert done.returncode in (0, 1)
    assert "echo" in done.stdout
    document = json.loads(aipipe("doctor", "--json", cwd=project).stdout)
    assert document


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    from aipipe.cli import COMMANDS, main

    for name in COMMANDS:
        with pytest.raises(SystemExit) as end:
            main([name, "--help"])
        assert end.value.code == 0, name
        assert "usage" in capsys.readouterr().out


def test_a_step_within_a_step_is_not_counted_twice() -> None:
    from types import SimpleNamespace

    from aipipe.cli.run import own_seconds
    from aipipe.records import StepRecord

    steps = [
        StepRecord(stage=2, step="interception", started="2026-01-01T10:00:01.000000Z", seconds=2.0),
        StepRecord(stage=4, step="image_safety", started="2026-01-01T10:00:05.000000Z", seconds=1.0),
        StepRecord(stage=4, step="media", started="2026-01-01T10:00:04.000000Z", seconds=3.0),
    ]
    run: Any = SimpleNamespace(seconds=5.5, record=SimpleNamespace(steps=steps))
    assert own_seconds(run) == pytest.approx(0.5)
    run.seconds = None
    assert own_seconds(run) is None

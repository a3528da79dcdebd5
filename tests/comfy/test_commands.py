"""`aipipe comfy`, run as a program against a scripted server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aipipe.testing.comfy_server import ComfyServer, picture_graph


@pytest.fixture
def fake() -> Iterator[ComfyServer]:
    with ComfyServer() as server:
        yield server


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "aipipe", "comfy", *arguments]


def call(fake: ComfyServer, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments, "--url", fake.url),
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def write(folder: Path, graph: dict[str, Any]) -> str:
    (folder / "graph.json").write_text(json.dumps(graph))
    return "graph.json"


def test_run_saves_the_files_and_says_where(fake: ComfyServer, project: Path) -> None:
    done = call(fake, "run", write(project, picture_graph()), "--save-to", "out", cwd=project)
    assert done.returncode == 0, done.stderr
    (file,) = (project / "out").iterdir()
    assert done.stdout.strip() == f"Final: {file.relative_to(project)}"


def test_json_is_one_document(fake: ComfyServer, project: Path) -> None:
    done = call(fake, "run", write(project, picture_graph()), "--set", "EmptyImage.color=9", "--json", cwd=project)
    document = json.loads(done.stdout)
    assert [o["node_title"] for o in document["outputs"]] == ["Final"]
    assert document["job_id"] in fake.history
    assert Path(project, document["outputs"][0]["path"]).is_file()


def test_check_names_what_is_wrong_and_exits_with_1(fake: ComfyServer, project: Path) -> None:
    assert call(fake, "check", write(project, picture_graph()), cwd=project).returncode == 0
    graph = picture_graph()
    graph["3"]["class_type"] = "SaveImagee"
    done = call(fake, "check", write(project, graph), "--json", cwd=project)
    assert done.returncode == 1
    problems = json.loads(done.stdout)["problems"]
    assert ("unknown_node", "3") in {(p["kind"], p["node_id"]) for p in problems}
    assert any("SaveImage" in p["suggestions"] for p in problems)
    assert call(fake, "run", write(project, graph), cwd=project).returncode == 4


def test_a_job_is_listed_and_cancelled_from_another_process_and_its_own_exits_with_130(
    fake: ComfyServer, project: Path
) -> None:
    graph = write(project, picture_graph(seconds=30))
    with subprocess.Popen(
        command("run", graph, "--url", fake.url), cwd=project, stderr=subprocess.PIPE, text=True
    ) as runner:
        end = time.monotonic() + 30
        while fake.running is None:
            assert time.monotonic() < end
            time.sleep(0.05)
        (job,) = json.loads(call(fake, "jobs", "--json", cwd=project).stdout)
        assert job["status"] == "running"
        assert call(fake, "cancel", job["job_id"], cwd=project).returncode == 0
        assert runner.wait(30) == 130
        assert runner.stderr is not None
        assert "was cancelled" in runner.stderr.read()


def test_nodes_are_listed_and_described(fake: ComfyServer, project: Path) -> None:
    assert "SaveImage" in call(fake, "nodes", cwd=project).stdout.split()
    assert "filename_prefix" in call(fake, "nodes", "SaveImage", cwd=project).stdout


def test_adopting_writes_one_config_and_shows_the_mapping(fake: ComfyServer, project: Path) -> None:
    graph = write(project, picture_graph())
    dry = call(fake, "adopt", graph, "--name", "mine", "--dry-run", cwd=project)
    assert dry.returncode == 0, dry.stderr
    assert not list(project.rglob("mine.json"))
    done = call(fake, "adopt", graph, "--name", "mine", cwd=project)
    assert done.returncode == 0, done.stderr
    assert [p.relative_to(project).as_posix() for p in project.rglob("mine.json")] == ["configs/output/mine.json"]
    assert "image from Final" in done.stdout + done.stderr


def test_no_server_is_told_with_the_next_step(project: Path) -> None:
    done = subprocess.run(
        command("nodes", "--url", "http://127.0.0.1:9", "--json"),
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert json.loads(done.stdout)["error"]["hint"]

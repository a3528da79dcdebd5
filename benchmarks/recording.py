"""What recording a run costs, beside the physical floor and the peers, in one run on one machine.

    python benchmarks/recording.py [--rounds 15] [--write]

The job: five texts or JSON documents and one picture of 1 MB; then the same with 100 entities. Peers at their defaults: MLflow
(SQLite store, file artifacts), signac (a job with files), Aim where it installs; and the original system's way (metadata
rewritten in place, a tracker file at the end). The floor is the identical list of publishes by bare calls of the system: the
provenance, the first record, each entity and the record after it, the last record; its count is printed.
`--write` puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from report import machine, write_section

from aipipe.store import Store

PICTURE = b"\x89PNG\r\n\x1a\n" + os.urandom(1_000_000)
NAMES = ["input", "translation", "safety", "interception", "safety_pre_output", "output_image"]
REST = 70.0
"""Seconds of rest before each measurement: ext4 gives out no inode that was deleted within the last minute, so what somebody else
deleted just before would slow every file that is made."""
Recorder = Callable[[Path, list[tuple[str, object]]], None]


def job(entities: int) -> list[tuple[str, object]]:
    """Names and contents of what is recorded."""
    contents: list[tuple[str, object]] = []
    for number in range(entities - 1):
        name = NAMES[number % 5]
        contents.append((name, {"safe": True, "text": "a flower " * 12} if "safety" in name else "a torn flower " * 20))
    return [*contents, ("output_image", PICTURE)]


def aipipe_at(durability: str) -> Recorder:
    """Aipipe's recorder at one level of durability."""

    def record(root: Path, contents: list[tuple[str, object]]) -> None:
        with Store(root / "runs", durability=durability).create(
            "dada", expected_outputs=[n for n, _ in contents]
        ) as recorder:
            for number, (name, content) in enumerate(contents):
                recorder.update_state(min(4, 1 + number))
                recorder.save_entity(name, content)

    return record


def as_bytes(content: object) -> bytes:
    """The bytes of one entity."""
    if isinstance(content, bytes):
        return content
    return content.encode() if isinstance(content, str) else json.dumps(content).encode()


def floor(*, sync: bool) -> Recorder:
    """The same publishes by bare calls: temporary file, fsync, rename, fsync of the folder; entity, then record."""

    def publish(folder: Path, name: str, data: bytes) -> None:
        temporary = folder / ".part"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(descriptor, data)
        if sync:
            os.fsync(descriptor)
        os.close(descriptor)
        os.replace(temporary, folder / name)
        if sync:
            handle = os.open(folder, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)

    def record(root: Path, contents: list[tuple[str, object]]) -> None:
        import hashlib

        folder = root / str(uuid.uuid4())
        folder.mkdir(parents=True)
        document: dict[str, object] = {"run_id": folder.name, "entities": []}
        publish(folder, "provenance.json", json.dumps({"environment": {}}).encode())
        publish(folder, "metadata.json", json.dumps(document).encode())
        entries: list[object] = []
        for number, (name, content) in enumerate(contents, start=1):
            data = as_bytes(content)
            publish(folder, f"{number:02}_{name}", data)
            entries.append(
                {"filename": f"{number:02}_{name}", "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            )
            publish(folder, "metadata.json", json.dumps({**document, "entities": entries}, indent=2).encode())
        publish(
            folder,
            "metadata.json",
            json.dumps({**document, "entities": entries, "status": "completed"}, indent=2).encode(),
        )

    return record


def original(root: Path, contents: list[tuple[str, object]]) -> None:
    """The original system's way: files and metadata written in place, a tracker file at the end."""
    folder = root / str(uuid.uuid4())
    folder.mkdir(parents=True)
    document: dict[str, object] = {"run_id": folder.name, "entities": [], "current_state": {}}
    items: list[object] = []
    for number, (name, content) in enumerate(contents, start=1):
        document["current_state"] = {"stage": number, "step": name, "progress": f"{number}/{len(contents)}"}
        (folder / "metadata.json").write_text(json.dumps(document, indent=2))
        (folder / f"{number:02}_{name}").write_bytes(as_bytes(content))
        items.append({"sequence": number, "type": name, "filename": f"{number:02}_{name}"})
        document["entities"] = items
        (folder / "metadata.json").write_text(json.dumps(document, indent=2))
    (folder / "exec.json").write_text(
        json.dumps({"items": [{"content": as_bytes(c)[:2000].hex()} for _, c in contents]}, indent=2)
    )


def mlflow_recorder(root: Path) -> Recorder:
    """MLflow with an SQLite store and file artifacts."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{root / 'mlflow.db'}")
    experiment = mlflow.create_experiment(str(uuid.uuid4()), artifact_location=str(root / "artifacts"))
    picture = root / "output_image.png"
    picture.write_bytes(PICTURE)

    def record(_: Path, contents: list[tuple[str, object]]) -> None:
        with mlflow.start_run(experiment_id=experiment):
            mlflow.log_params({"config_name": "dada", "seed": 7})
            for number, (name, content) in enumerate(contents, start=1):
                if isinstance(content, bytes):
                    mlflow.log_artifact(str(picture))
                elif isinstance(content, str):
                    mlflow.log_text(content, f"{number:02}_{name}.txt")
                else:
                    mlflow.log_dict(content, f"{number:02}_{name}.json")

    return record


def signac_recorder(root: Path) -> Recorder:
    """signac: one job with a document and files."""
    import signac

    project = signac.init_project(str(root / "signac"))

    def record(_: Path, contents: list[tuple[str, object]]) -> None:
        made = project.open_job({"id": str(uuid.uuid4())}).init()
        made.doc["config_name"] = "dada"
        for number, (name, content) in enumerate(contents, start=1):
            Path(made.fn(f"{number:02}_{name}")).write_bytes(as_bytes(content))
            made.doc[f"entity_{number}"] = {"filename": f"{number:02}_{name}"}
        made.doc["status"] = "completed"

    return record


def aim_recorder(root: Path) -> Recorder:
    """Aim: texts and a picture tracked in a run."""
    from aim import Run, Text

    def record(_: Path, contents: list[tuple[str, object]]) -> None:
        run = Run(repo=str(root), system_tracking_interval=None, capture_terminal_logs=False)
        run["config_name"] = "dada"
        for name, content in contents:
            run.track(Text(as_bytes(content)[:20_000].decode("latin-1")), name=name)
        run.close()

    return record


def candidates(root: Path) -> dict[str, Recorder]:
    """Everything that is measured; peers that are not installed are left out."""
    found: dict[str, Recorder] = {
        "floor, synced": floor(sync=True),
        "aipipe, entity (default)": aipipe_at("entity"),
        "aipipe, stage": aipipe_at("stage"),
        "aipipe, never": aipipe_at("never"),
        "floor, unsynced": floor(sync=False),
        "the original's way": original,
    }
    for name, make in (("mlflow", mlflow_recorder), ("signac", signac_recorder), ("aim", aim_recorder)):
        if importlib.util.find_spec(name) is not None:
            place = root / name
            place.mkdir()
            found[f"{name} {installed(name)}"] = make(place)
    return found


def installed(name: str) -> str:
    """Version of a package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def measure(rounds: int, entities: int) -> dict[str, list[float]]:
    """Milliseconds of every candidate, in turns, and in another order each time: what a disk still does for one slows the next."""
    contents = job(entities)
    time.sleep(REST)
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        root = Path(folder)
        tools = candidates(root)
        times: dict[str, list[float]] = {name: [] for name in tools}
        chance, order = random.Random(0), list(tools.items())
        for round_ in range(rounds + 1):
            chance.shuffle(order)
            for name, record in order:
                started = time.perf_counter()
                record(root / "plain", contents)
                if round_:  # the first round warms caches and connections
                    times[name].append((time.perf_counter() - started) * 1000)
        return times


def publishes(entities: int) -> int:
    """Files that are put in place: provenance, first record, each entity and the record after it, last record."""
    return 2 + 2 * entities + 1


def table(times: dict[str, list[float]], entities: int) -> str:
    """Medians and ratios as Markdown."""
    base = statistics.median(times["floor, synced"])
    rows = [
        f"### {entities} entities, {publishes(entities)} publishes",
        "",
        "| | median ms | spread ms | × floor, synced |",
        "|---|---|---|---|",
    ]
    for name, values in times.items():
        middle = statistics.median(values)
        rows.append(f"| {name} | {middle:.1f} | {min(values):.1f}–{max(values):.1f} | {middle / base:.2f} |")
    return "\n".join(rows) + "\n"


RECORD_FILE = """
import sys
from pathlib import Path
from aipipe.store import Store
source, root = Path(sys.argv[1]), sys.argv[2]
with Store(root).create("video", expected_outputs=["output_video"]) as recorder:
    recorder.save_entity("output_video", source)
status = Path("/proc/self/status").read_text()  # ru_maxrss would hold the parent's peak
print(status.partition("VmHWM:")[2].split()[0])
"""


def memory() -> str:
    """Peak memory of a process that records one file, by the file's size."""
    rows = ["### Memory", "", "| size of the entity | peak memory of the process, MB |", "|---|---|"]
    for megabytes in (1, 64, 1024):
        with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
            source = Path(folder) / "video.bin"
            with source.open("wb") as file:
                for _ in range(megabytes):
                    file.write(PICTURE[:8] + PICTURE[: (1 << 20) - 8])
            command = [sys.executable, "-c", RECORD_FILE, str(source), str(Path(folder) / "runs")]
            peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rows.append(f"| {megabytes:,} MB | {peak / 1024:.0f} |")
    return "\n".join(rows) + "\n"


def main() -> int:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    text = f"{machine()}\n\n"
    for entities, rounds in ((6, arguments.rounds), (100, max(3, arguments.rounds // 4))):
        text += table(measure(rounds, entities), entities) + "\n"
    text += memory()
    print(text)
    if arguments.write:
        write_section("Recording", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

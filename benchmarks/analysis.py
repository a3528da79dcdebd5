"""Frames of many runs: aipipe against naive pandas, DuckDB, MLflow and the physical floor, on the same content.

    python benchmarks/analysis.py --runs 1000 10000 [--mlflow] [--rows 1000000]

Every store is generated here. The floor reads all bytes of all records and parses them with orjson, nothing else.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from report import machine, write_section

CONFIGS = ("dada", "bauhaus", "surrealism", "haiku")


def document(number: int) -> dict[str, Any]:
    """A record like those that the engine writes: six entities, five steps, about 4 kB."""
    run_id = str(uuid.UUID(int=(0x0192 << 112) | (7 << 76) | (2 << 62) | number))
    types = ("input", "translation", "safety", "interception", "safety_pre_output", "output_image")
    return {
        "format_version": 1,
        "run_id": run_id,
        "timestamp": f"2026-11-{number % 28 + 1:02d}T10:00:00.{number % 1_000_000:06d}Z",
        "config_name": CONFIGS[number % 4],
        "execution_mode": "eco",
        "safety_level": "kids" if number % 3 else "youth",
        "user_id": "anonymous",
        "status": "completed" if number % 10 else "blocked",
        "reason": None,
        "expected_outputs": list(types),
        "current_state": {"stage": 5, "step": "complete", "progress": "6/6"},
        "started": "2026-11-01T10:00:00.000000Z",
        "finished": "2026-11-01T10:00:09.000000Z",
        "seconds": 9.0 + number % 7,
        "seed": str(number * 2**31),
        "text_seed": "0",
        "models": dict.fromkeys(("translation", "safety", "interception"), "ollama:mistral-nemo"),
        "plan_hash": f"{number:064x}",
        "config_hash": f"{number % 4:064x}",
        "attempts": [
            {"started": "2026-11-01T10:00:00Z", "finished": None, "host": "h", "pid": 1, "status": "completed"}
        ],
        "inputs": [{"index": 0, "kind": "text", "language": "de", "characters": 40}],
        "outputs": [
            {"index": 0, "config": "sd35_large", "media_type": "image", "outcome": "completed", "reason": None}
        ],
        "entities": [
            {
                "sequence": i + 1,
                "type": t,
                "filename": f"{i + 1:02d}_{t}.txt",
                "timestamp": "2026-11-01T10:00:01.000000Z",
                "metadata": {"language": "de"},
                "media_type": "text",
                "mime": "text/plain",
                "size": 120,
                "sha256": f"{number:064x}",
                "stage": min(i, 4),
            }
            for i, t in enumerate(types)
        ],
        "steps": [
            {
                "stage": s,
                "step": "step",
                "backend": "ollama",
                "model": "mistral-nemo",
                "parameters": {"temperature": 0.7},
                "seed": "0",
                "started": "2026-11-01T10:00:01.000000Z",
                "seconds": 1.5,
                "tokens": {"input": 100, "output": 80},
                "attempts": 1,
                "outcome": "completed",
            }
            for s in (1, 1, 2, 3, 4)
        ],
        "study": None,
        "participant": f"P{number % 30:02d}",
        "session": None,
        "labels": {},
        "input_id": f"input-{number % 500}",
        "batch": {"batch_id": "b-1", "case_key": f"{number:016x}", "index": number},
        "tags": [],
    }


def generate(root: Path, count: int) -> None:
    """Write a store of `count` runs."""
    for number in range(count):
        record = document(number)
        folder = root / record["run_id"]
        folder.mkdir(parents=True)
        (folder / "metadata.json").write_text(json.dumps(record), encoding="utf-8")


def timed(work: Callable[[], Any], before: Callable[[], Any] | None = None) -> float:
    """Seconds of one run; what must be done before it is not counted."""
    if before is not None:
        before()
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(
    works: dict[str, Callable[[], Any]], rounds: int, before: dict[str, Callable[[], Any]] | None = None
) -> dict[str, float]:
    """Median seconds of each; all of them run once in every round, so that a busy machine slows them alike."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(timed(work, (before or {}).get(name)))
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def floor(root: Path) -> int:
    """Read and parse everything, keep nothing."""
    import orjson

    total = 0
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name[0] != ".":
                with open(f"{entry.path}/metadata.json", "rb") as stream:
                    total += len(orjson.loads(stream.read()))
    return total


def list_and_stat(root: Path) -> int:
    """The least a staleness check can do."""
    with os.scandir(root) as entries:
        return sum(os.stat(f"{e.path}/metadata.json").st_size for e in entries if e.name[0] != ".")


def naive(root: Path) -> Any:
    """What most notebooks do."""
    import pandas as pd

    return pd.json_normalize([json.loads(p.read_text()) for p in root.glob("*/metadata.json")])


def duckdb_json(root: Path) -> Any:
    """DuckDB over the raw files.

    `union_by_name` keeps a reader of 32 MB open for each file, 19 GB for 600 runs, so columns are found in 32 files.
    """
    import duckdb

    with duckdb.connect() as connection:
        for setting in ("threads = 2", "memory_limit = '4GB'", "preserve_insertion_order = false"):
            connection.execute(f"SET {setting}")
        options = "format='unstructured', records=true, maximum_sample_files=32, maximum_object_size=65536"
        files = f"read_json('{root}/*/metadata.json', {options})"
        return connection.sql(f"SELECT * FROM {files}").to_arrow_table().to_pandas()


def fresh_index(root: Path) -> None:
    """Load without an index; includes writing the new one. The old one is put aside, for deleting it is no part of this."""
    from aipipe.analysis import load_runs

    if (root / ".aipipe").exists():
        (root / ".aipipe").rename(root.parent / f"old-{uuid.uuid4()}")
    load_runs(root)


def mlflow_search(root: Path, count: int) -> float:
    """The same content in MLflow's SQLite store, read with search_runs.

    MLflow itself writes the first run; the others are copies of its rows, because its client needs an hour for 100,000.
    """
    import logging

    import mlflow
    from mlflow.entities import Metric, Param, RunTag

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(f"sqlite:///{root}/mlflow.db")
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("bench")
    record = document(0)
    run = client.create_run(experiment)
    names = ("config_name", "safety_level", "seed", "input_id", "plan_hash", "config_hash", "participant")
    client.log_batch(
        run.info.run_id,
        metrics=[Metric("seconds", record["seconds"], 0, 0)],
        params=[Param(n, str(record[n])) for n in names],
        tags=[RunTag("status", record["status"])],
    )
    mlflow_copies(root / "mlflow.db", run.info.run_id, count)
    found: list[Any] = []
    seconds = timed(lambda: found.append(mlflow.search_runs([experiment], max_results=count)))
    if len(found[0]) != count or found[0]["params.plan_hash"].nunique() != count:
        raise RuntimeError("MLflow's store does not hold what it should.")
    return seconds


def mlflow_copies(path: Path, first: str, count: int) -> None:
    """Repeat the rows of one run for the documents after the first, with the values of each."""
    with closing(sqlite3.connect(path)) as database, database:
        for table in ("runs", "params", "metrics", "latest_metrics", "tags"):
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            rows = database.execute(f"SELECT * FROM {table} WHERE run_uuid = ?", (first,)).fetchall()
            marks = ", ".join("?" * len(columns))
            made = (_copied(dict(zip(columns, row, strict=True)), n) for n in range(1, count) for row in rows)
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", made)


def _copied(row: dict[str, Any], number: int) -> list[Any]:
    record = document(number)
    values = {**row, "run_uuid": f"{number:032x}"}
    if "value" in row and row["key"] in record:
        value = record[row["key"]]
        values["value"] = value if isinstance(row["value"], float) else str(value)
    return list(values.values())


def one_store(count: int, *, with_mlflow: bool) -> dict[str, float]:
    """All measurements on one store."""
    from aipipe.analysis import load_entities, load_runs
    from aipipe.analysis.stored import forget_indexes

    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "runs"
        generate(root, count)
        # One untimed load: imports, and the kernel's cache of the records.
        load_runs(root, index=False)
        rounds = 21 if count <= 1000 else 7 if count <= 10_000 else 3
        physical = {"floor": lambda: floor(root), "list and stat": lambda: list_and_stat(root)}
        scans = {
            "aipipe scan": lambda: load_runs(root, index=False),
            "aipipe cold (index written)": lambda: fresh_index(root),
        }
        result = medians({**physical, **scans}, rounds)
        # Records younger than two seconds are read again by design; the warm figure is for a store at rest.
        time.sleep(2.1)
        fresh_index(root)
        load_entities(root)
        # By an index that is on disk and not yet in this process's memory, as the first cell of a notebook loads.
        warm = {
            "aipipe warm": lambda: load_runs(root),
            "aipipe warm again": lambda: load_runs(root),
            "aipipe warm entities": lambda: load_entities(root),
        }
        works = {"list and stat": physical["list and stat"], **warm}
        again = medians(works, rounds, {"aipipe warm": forget_indexes})
        result.update(again)
        result["json + json_normalize"] = timed(lambda: naive(root))
        if find_spec("duckdb"):
            result["duckdb over json"] = timed(lambda: duckdb_json(root))
        if with_mlflow:
            result["mlflow search_runs"] = mlflow_search(Path(name), count)
        return result


def many_rows(rows: int) -> tuple[float, float]:
    """Seconds to group `rows` synthetic index rows by config and level, and peak memory in GB, in a fresh process."""
    code = f"""
import time, tempfile, numpy as np, pyarrow as pa, pyarrow.parquet as pq, pathlib
from aipipe.analysis.columns import RUNS
from aipipe.analysis.tables import block, frame
n = {rows}
rng = np.random.default_rng(1)
path = pathlib.Path(tempfile.mkdtemp()) / "rows.parquet"
pick = lambda names: pa.DictionaryArray.from_arrays(rng.integers(0, len(names), n).astype("int32"), pa.array(names))
pq.write_table(pa.table({{
    "run_id": pa.array([f"{{i:036x}}" for i in range(n)], pa.large_string()),
    "config_name": pick(["dada", "bauhaus", "haiku"]), "safety_level": pick(["kids", "youth"]),
    "status": pick(["completed", "blocked"]), "seconds": rng.random(n), "_code": np.arange(n, dtype="int32")}}), path)
start = time.perf_counter()
table = frame(pa, RUNS, pq.read_table(path))
print(table.groupby(["config_name", "safety_level", "status"], observed=True)["seconds"].mean().size, end=" ")
took = time.perf_counter() - start
status = pathlib.Path("/proc/self/status").read_text()  # ru_maxrss would hold the parent's peak
print(took, int(status.partition("VmHWM:")[2].split()[0]) / 1e6)
path.unlink()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    _, seconds, memory = done.stdout.split()
    return float(seconds), float(memory)


def main() -> int:
    """Measure, print, write if asked, and fail when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--rows", type=int, default=0, help="also group so many synthetic index rows")
    parser.add_argument("--mlflow", action="store_true")
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed")
    parser.add_argument("--write", action="store_true", help="renew the section of docs/benchmarks.md")
    arguments = parser.parse_args()
    lines: list[str] = [machine(), ""]
    missed: list[str] = []
    # First, while this process is small: some systems count a parent's peak memory for its child.
    grouped = many_rows(arguments.rows) if arguments.rows else None
    for count in arguments.runs:
        result = one_store(count, with_mlflow=arguments.mlflow)
        lines += [f"### {count:,} runs", "", "| | s | µs per run | × floor |", "|---|---|---|---|"]
        for name, seconds in result.items():
            each, ratio = seconds / count * 1e6, seconds / result["floor"]
            lines.append(f"| {name} | {seconds:.3f} | {each:.1f} | {ratio:.2f} |")
        lines.append("")
        if result["aipipe scan"] > 1.5 * result["floor"]:
            missed.append(f"cold scan of {count:,} runs")
        if result["aipipe cold (index written)"] > 1.5 * result["floor"]:
            missed.append(f"cold load of {count:,} runs with its index")
        if result["aipipe warm"] > 1.5 * result["list and stat"] + 0.3 * count / 100_000:
            missed.append(f"warm load of {count:,} runs")
    if grouped is not None:
        seconds, memory = grouped
        lines.append(f"{arguments.rows:,} index rows grouped in {seconds:.2f} s with {memory:.2f} GB.")
        if seconds > 2 or memory > 2:
            missed.append("grouping of index rows")
    lines += ["", f"Goals missed: {', '.join(missed) or 'none'}."]
    print("\n".join(lines))
    if arguments.write:
        write_section("Analysis", "\n".join(lines))
    return 1 if missed and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())

"""Frames of many runs: aipipe against naive pandas, DuckDB, MLflow and the physical floor, on the same content.

    python benchmarks/analysis.py --runs 1000 10000 [--mlflow] [--rows 1000000]

Every store is generated here. The floor reads all bytes of all records and parses them with orjson, nothing else.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
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


def timed(work: Callable[[], Any], repeats: int = 3) -> float:
    """Best of several runs, in seconds."""
    best = float("inf")
    for _ in range(repeats):
        gc.collect()
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


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
    """DuckDB over the raw files."""
    import duckdb

    duckdb.sql("SET threads = 2")
    files = f"read_json_auto('{root}/*/metadata.json', union_by_name=true, maximum_object_size=1000000)"
    return duckdb.sql(f"SELECT * FROM {files}").df()


def fresh_index(root: Path) -> None:
    """Delete the index and load; includes writing the new one."""
    from aipipe.analysis import load_runs

    shutil.rmtree(root / ".aipipe", ignore_errors=True)
    load_runs(root)


def mlflow_search(root: Path, count: int) -> float:
    """The same content in MLflow's SQLite store, read with search_runs."""
    import logging

    import mlflow
    from mlflow.entities import Metric, Param, RunTag

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(f"sqlite:///{root}/mlflow.db")
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("bench")
    for number in range(count):
        record = document(number)
        run = client.create_run(experiment)
        names = ("config_name", "safety_level", "seed", "input_id", "plan_hash", "config_hash", "participant")
        client.log_batch(
            run.info.run_id,
            metrics=[Metric("seconds", record["seconds"], 0, 0)],
            params=[Param(n, str(record[n])) for n in names],
            tags=[RunTag("status", record["status"])],
        )
    return timed(lambda: mlflow.search_runs([experiment], max_results=count), 2)


def one_store(count: int, *, with_mlflow: bool) -> dict[str, float]:
    """All measurements on one store."""
    from aipipe.analysis import load_entities, load_runs

    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "runs"
        generate(root, count)
        # One untimed load: imports, and the kernel's cache of the records.
        load_runs(root, index=False)
        result = {
            "floor": timed(lambda: floor(root)),
            "list and stat": timed(lambda: list_and_stat(root)),
            "aipipe scan": timed(lambda: load_runs(root, index=False)),
            "aipipe cold (index written)": timed(lambda: fresh_index(root)),
        }
        # Records younger than two seconds are read again by design; the warm figure is for a store at rest.
        time.sleep(max(0.0, 2.1))
        fresh_index(root)
        result["aipipe warm"] = timed(lambda: load_runs(root), 5)
        load_entities(root)
        result["aipipe warm entities"] = timed(lambda: load_entities(root))
        result["json + json_normalize"] = timed(lambda: naive(root), 1)
        try:
            result["duckdb over json"] = timed(lambda: duckdb_json(root), 1)
        except Exception as error:  # it may run out of memory on small machines
            print(f"  duckdb over json failed: {type(error).__name__}")
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
    lines, missed = [machine(), ""], []
    for count in arguments.runs:
        # Filling MLflow's store takes minutes from 10,000 runs on; its search grows in proportion.
        result = one_store(count, with_mlflow=arguments.mlflow and count <= 10_000)
        lines += [f"### {count:,} runs", "", "| | s | µs per run | × floor |", "|---|---|---|---|"]
        for name, seconds in result.items():
            each, ratio = seconds / count * 1e6, seconds / result["floor"]
            lines.append(f"| {name} | {seconds:.3f} | {each:.1f} | {ratio:.2f} |")
        lines.append("")
        if result["aipipe scan"] > 1.5 * result["floor"]:
            missed.append(f"cold scan of {count:,} runs")
        if result["aipipe warm"] > 1.5 * result["list and stat"] + 0.3 * count / 100_000:
            missed.append(f"warm load of {count:,} runs")
    if arguments.rows:
        seconds, memory = many_rows(arguments.rows)
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

"""What the engine costs: a full run with instant services, a large catalog, a hundred runs at once.

    python benchmarks/engine.py [--rounds 30] [--write]

Overhead: `lab.run` in echo mode (six entities, four calls that answer at once) beside the same entities, exchanges and state changes
given straight to the recorder. Goal: under 15 ms. Catalog: 1,000 configs of a project, half JSON, half Markdown, loaded by a fresh
process beside the shipped ones. Goal: under 0.5 s. Concurrency: 100 runs in one process whose model calls wait one second each on a
server in another process. `--write` puts the figures into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from report import write_section

import aipipe
from aipipe.store import Run, Store

T = TypeVar("T")
Times = tuple[float, float]
TEXT = "A small red flower stands on the green meadow"
SERVER = """
import sys
from aipipe.testing import Fault, ModelServer

def script(request):
    if request.get("format"):
        return '{"safe": true, "category": "none"}', Fault(stall=1.0)
    return "A torn flower", Fault(stall=1.0)

with ModelServer(script) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
LOAD = """
import sys, time
from aipipe.catalog import Catalog
started = time.perf_counter()
catalog = Catalog.load([sys.argv[1]])
print(time.perf_counter() - started, len(catalog.configs("interception")))
"""


def record_again(store: Store, run: Run) -> None:
    """The recording of `run` alone: the same entities, exchanges and state changes, nobody asked."""
    sent = {"outputs": run.provenance.get("outputs", {})}
    provenance, exchanges, contents = (
        {k: v for k, v in run.provenance.items() if k != "outputs"},
        run.exchanges(),
        [_content(entity) for entity in run.entities],
    )
    outputs = [output.model_copy(update={"outcome": None}) for output in run.record.outputs]
    with store.create(
        run.config_name, expected_outputs=run.record.expected_outputs, provenance=provenance, outputs=outputs
    ) as recorder:
        stage = None
        for entity, content in zip(run.entities, contents, strict=True):
            if entity.stage != stage:
                stage = entity.stage
                recorder.update_state(stage)
            recorder.save_entity(entity.type, content)
        for exchange in exchanges:
            recorder.append_exchange(exchange)
        for step in run.record.steps:
            recorder.record_step(step)
        recorder.update_provenance(sent)


def timed(call: Callable[[], T]) -> tuple[T, Times]:
    """What a call returns, and its milliseconds on the clock and on the CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    made = call()
    return made, ((time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000)


def _content(entity: aipipe.Entity) -> Any:
    if entity.media_type == "image":
        return entity.bytes
    return entity.json if entity.media_type == "json" else entity.text


def overhead(rounds: int) -> tuple[list[Times], list[Times]]:
    """Milliseconds of full runs and of their recording alone, in turns, each as (wall, CPU)."""
    runs, floors = [], []
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        lab = aipipe.Lab(folder, mode="echo", display=False)
        floor = Store(Path(folder) / "floor")
        for round_ in range(rounds + 2):
            run, whole = timed(lambda: lab.run("dada", TEXT, seed=1))
            _, floor_only = timed(functools.partial(record_again, floor, run))
            if round_ > 1:  # the first rounds load what is loaded once
                runs.append(whole)
                floors.append(floor_only)
    return runs, floors


def catalog(number: int, rounds: int) -> list[float]:
    """Seconds to load `number` configs of a project in a fresh process."""
    context = "You are a painter who has only seen the sea. " * 12
    with tempfile.TemporaryDirectory() as folder:
        for n in range(number):
            values: dict[str, Any] = {
                "pipeline": "text_transformation",
                "title": {"en": f"Config {n}", "de": f"Config {n}"},
                "description": {"en": "One of many.", "de": "Einer von vielen."},
                "parameters": {"temperature": 0.7},
                "media_preferences": {"default_output": "image"},
            }
            if n % 2:
                path = Path(folder) / f"config_{n}.json"
                path.write_text(json.dumps({**values, "context": context}, indent=2), encoding="utf-8")
            else:
                front = "\n".join(f"{key}: {json.dumps(value)}" for key, value in values.items())
                path = Path(folder) / f"config_{n}.md"
                path.write_text(f"---\n{front}\n---\n{context}\n", encoding="utf-8")
        times = []
        for _ in range(rounds):
            done = subprocess.run([sys.executable, "-c", LOAD, folder], capture_output=True, text=True, check=True)
            seconds, count = done.stdout.split()
            assert int(count) > number
            times.append(float(seconds))
    return times


def concurrent(number: int) -> tuple[float, float, int, float]:
    """Wall seconds of `number` runs at once and of one alone, the most threads seen, and MiB of memory per run."""
    child = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    try:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "aipipe.toml").write_text(
                'mode = "eco"\n[modes.eco]\nbackend = "ollama"\n[modes.eco.models]\ntranslation = "tiny"\nsafety = "tiny"\n'
                'interception = "tiny"\n[modes.eco.outputs]\nimage = "placeholder"\n',
                encoding="utf-8",
            )
            lab = aipipe.Lab(folder, ollama=child.stdout.readline().strip(), display=False)
            started = time.perf_counter()
            lab.run("dada", TEXT, seed=0)
            alone = time.perf_counter() - started
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            most, done = [0], threading.Event()
            watcher = threading.Thread(target=_count_threads, args=(most, done))
            watcher.start()
            started = time.perf_counter()
            runs = lab.map("dada", [TEXT], seeds=list(range(number)), workers=number)
            seconds = time.perf_counter() - started
            done.set()
            watcher.join()
            assert [run.status for run in runs] == ["completed"] * number
            memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 / number
            return seconds, alone, most[0], memory
    finally:
        child.communicate("")


def _count_threads(most: list[int], done: threading.Event) -> None:
    while not done.wait(0.05):
        most[0] = max(most[0], threading.active_count())


def report(rounds: int) -> str:
    """Everything as Markdown."""
    load = os.getloadavg()[0]
    runs, floors = overhead(rounds)
    wall, cpu = (statistics.median(r[n] - f[n] for r, f in zip(runs, floors, strict=True)) for n in (0, 1))
    loads = catalog(1000, 5)
    seconds, alone, threads, memory = concurrent(100)
    return (
        f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores, {load:.1f} processes wanting them at the start\n\n"
        "| | figure | goal |\n|---|---|---|\n"
        f"| full run, instant services, median ms | {statistics.median(r[0] for r in runs):.1f} | – |\n"
        f"| its recording alone, median ms | {statistics.median(f[0] for f in floors):.1f} | – |\n"
        f"| **overhead of the engine**, median of the differences, ms | {wall:.1f} | < 15 |\n"
        f"| … of it computing (CPU), ms | {cpu:.1f} | – |\n"
        f"| 1,000 configs loaded in a fresh process, median s (best {min(loads):.2f}) | {statistics.median(loads):.2f} | < 0.5 |\n"
        f"| one run whose model calls wait 1 s each, s | {alone:.1f} | – |\n"
        f"| 100 such runs at once in one process, s | {seconds:.1f} | – |\n"
        f"| … threads at most | {threads} | – |\n"
        f"| … more memory per run, MiB | {memory:.2f} | – |\n"
    )


def main() -> int:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    text = report(arguments.rounds)
    print(text)
    if arguments.write:
        write_section("Engine", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

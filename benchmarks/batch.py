"""What a case of a batch costs, beside papermill, nbclient and ploomber-engine, in one run on one machine.

    python benchmarks/batch.py [--cases 8] [--write]

The case is a notebook that imports pandas and ipywidgets and prints its parameter. Also: memory of a forked and of a fresh
kernel, a hundred cases that wait for a slow language model, and what dask adds to a case.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from report import machine, write_section

PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
TRIVIAL = "import pandas, ipywidgets\nprint(n)"
MEMORY = TRIVIAL + "\nprint(open('/proc/self/smaps_rollup').read())"


def notebook(folder: Path, code: str) -> Path:
    """A case notebook with one parameter."""
    cells = [new_code_cell("n = 0", metadata={"tags": ["parameters"]}), new_code_cell(code)]
    path = folder / "case.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata=PYTHON), path)
    return path


def by_papermill(source: Path, number: int, engine: str | None = None) -> None:
    """Papermill, with its own engine or with ours."""
    import papermill

    if engine == "aipipe":
        from aipipe.batch import warm

        warm.register()
    target = source.with_name(f"out-{os.getpid()}-{number}.ipynb")
    papermill.execute_notebook(str(source), str(target), {"n": number}, engine_name=engine, progress_bar=False)


def by_aipipe(source: Path, number: int) -> None:
    """Papermill with warm kernels."""
    by_papermill(source, number, "aipipe")


def by_nbclient(source: Path, number: int) -> None:
    """Nbclient alone: no parameters, no metadata."""
    from nbclient import NotebookClient

    document = nbformat.read(source, as_version=4)
    NotebookClient(document).execute()
    nbformat.write(document, source.with_name(f"out-{number}.ipynb"))


def by_ploomber(source: Path, number: int) -> None:
    """ploomber-engine: cells run in the calling process, without a kernel and without isolation."""
    from ploomber_engine import execute_notebook

    execute_notebook(
        source, source.with_name(f"out-{number}.ipynb"), parameters={"n": number}, progress_bar=False, verbose=False
    )


def one_after_another(do: Callable[[Path, int], None], source: Path, cases: int) -> float:
    """Median seconds of a case; the first one warms up and is left out."""
    times = []
    for number in range(cases + 1):
        started = time.perf_counter()
        do(source, number)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def by_workers(source: Path, workers: int, cases: int) -> float:
    """Seconds per case with several worker processes, each with a zygote of its own."""
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(by_aipipe, [source] * workers, range(workers)))
        started = time.perf_counter()
        list(pool.map(by_aipipe, [source] * cases * workers, range(100, 100 + cases * workers)))
        return (time.perf_counter() - started) / (cases * workers)


def memory(folder: Path, engine: str | None) -> float:
    """Memory of one kernel that it shares with nobody (unique set size), in MB."""
    source = notebook(folder, MEMORY)
    by_papermill(source, 0, engine)
    by_papermill(source, 1, engine)
    document = nbformat.read(source.with_name(f"out-{os.getpid()}-1.ipynb"), as_version=4)
    text = "".join(o.get("text", "") for o in document.cells[-1].outputs)
    return sum(int(text.partition(f"\n{kind}:")[2].split()[0]) for kind in ("Private_Clean", "Private_Dirty")) / 1024


@contextmanager
def project() -> Iterator[Path]:
    """A project of its own as current folder."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="aipipe-bench-") as name:
        os.chdir(name)
        try:
            yield Path(name)
        finally:
            os.chdir(before)


def waiting(cases: int, delay: float) -> tuple[float, float]:
    """Seconds for `cases` cases at once on a server that takes `delay` per answer, and the seconds of a case alone."""
    from aipipe.batch import Batch
    from aipipe.testing import ModelServer

    def answer(request: object) -> str:
        time.sleep(delay)
        return '{"safe": true}' if "safe" in str(request) else "a torn flower"

    with ModelServer(answer) as server, project() as folder:
        (folder / "aipipe.toml").write_text(
            'mode = "eco"\nsafety = "off"\n[modes.eco]\nbackend = "ollama"\n[modes.eco.models]\ntranslation = "tiny"\nsafety = "tiny"\n'
            f'interception = "tiny"\n[modes.eco.outputs]\nimage = "placeholder"\n[backends.ollama]\nurl = "{server.url}"\n'
        )
        took = []
        for count in (1, cases):
            batch = Batch(["dada"], [f"Eine Blume, Nummer {n} von {count}" for n in range(count)], notebook=False)
            started = time.perf_counter()
            with ThreadPoolExecutor(count) as pool:
                status = batch.run(workers=count, executor=pool, display=False)
            assert status.counts["completed"] == count, str(status)
            took.append(time.perf_counter() - started)
        return took[1], took[0]


def dask(cases: int) -> tuple[float, float]:
    """Seconds per straight echo case with two local workers: ours, and on a dask cluster."""
    from distributed import Client, LocalCluster

    from aipipe.batch import Batch

    with project() as folder:
        (folder / "aipipe.toml").write_text('mode = "echo"\n')
        took = []
        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            for kind, executor in (("warm", "local"), ("local", "local"), ("warm dask", client), ("dask", client)):
                batch = Batch(["dada"], [f"{kind} {n}" for n in range(cases)], notebook=False)
                started = time.perf_counter()
                status = batch.run(workers=2, executor=executor, display=False)
                assert status.counts["completed"] == cases, str(status)
                took.append((time.perf_counter() - started) / cases)
        return took[1], took[3]


def main() -> int:
    """Measure, print, write if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    rows: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="aipipe-bench-") as name:
        source = notebook(Path(name), TRIVIAL)
        rows["papermill"] = one_after_another(by_papermill, source, arguments.cases)
        rows["nbclient"] = one_after_another(by_nbclient, source, arguments.cases)
        rows["aipipe, in this process"] = one_after_another(by_aipipe, source, arguments.cases)
        for workers in (1, 2, 4):
            rows[f"aipipe, {workers} worker(s)"] = by_workers(source, workers, arguments.cases)
        if importlib.util.find_spec("ploomber_engine") is not None:
            with ProcessPoolExecutor(1) as pool:  # it takes the place of __main__
                name_ = "ploomber-engine (no kernel, no isolation)"
                rows[name_] = pool.submit(one_after_another, by_ploomber, source, arguments.cases).result()
        fresh, forked = memory(Path(name), None), memory(Path(name), "aipipe")
    base = rows["papermill"]
    lines = [machine(), "", "| | s per case | × papermill |", "|---|---|---|"]
    lines += [f"| {name} | {seconds:.3f} | {seconds / base:.2f} |" for name, seconds in rows.items()]
    lines += [
        "",
        f"Memory of a kernel's own (unique set size): fresh {fresh:.0f} MB, forked {forked:.0f} MB ({forked / fresh:.0%}).",
    ]
    many, alone = waiting(100, 0.5)
    lines += [
        "",
        f"100 cases at once on a server that takes 0.5 s an answer: {many:.1f} s; one case alone {alone:.1f} s.",
    ]
    if importlib.util.find_spec("distributed") is not None:
        local, cluster = dask(60)
        lines += [
            "",
            f"A straight echo case with two workers: {local * 1000:.0f} ms local, {cluster * 1000:.0f} ms on dask.",
        ]
    print("\n".join(lines))
    if arguments.write:
        write_section("Batches", "\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())

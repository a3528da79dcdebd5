"""How fast the ComfyUI client is, beside other clients on the same server.

    python benchmarks/comfy.py --url http://127.0.0.1:8188 [--write]      # a real ComfyUI; without --url the scripted server

Measures the time from the server's completion to the bytes hashed on disk (the server's own timestamp, so loopback only),
messages handled a second, memory while a 1 GB file streams through, and 200 queued jobs over two servers. Peers that are
installed beside aipipe run the same graph, each in a process of its own and by the call that its own page recommends:
`pip install comfy-api-simplified comfyui-autograph "comfy-script[client]"`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from report import machine, write_section

from aipipe import comfy
from aipipe.comfy.machine import JobMachine
from aipipe.comfy.messages import parse
from aipipe.testing.comfy_server import ComfyServer, picture_graph

JOB = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
CHECKPOINT, SIDE, STEPS = "tiny_sd15.safetensors", 128, 8
Once = Callable[[dict[str, Any], Path], str]
"""Runs a graph, puts the picture's bytes into a folder and hashes them; says the job's id, or "" for the newest."""


def painting(seed: int) -> dict[str, Any]:
    """A text-to-image graph that takes some tenths of a second with a tiny checkpoint, and is never in the server's cache."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "model": ("CheckpointLoaderSimple", {"ckpt_name": CHECKPOINT}),
        "text": ("CLIPTextEncode", {"text": "a heron", "clip": ["model", 1]}),
        "size": ("EmptyLatentImage", {"width": SIDE, "height": SIDE, "batch_size": 1}),
        "sampler": ("KSampler", {
            "model": ["model", 0], "positive": ["text", 0], "negative": ["text", 0], "latent_image": ["size", 0],
            "seed": seed, "steps": STEPS, "cfg": 5.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
        }),
        "decode": ("VAEDecode", {"samples": ["sampler", 0], "vae": ["model", 2]}),
        "save": ("SaveImage", {"images": ["decode", 0], "filename_prefix": "bench"}),
    }  # fmt: skip
    return {
        name: {"class_type": kind, "inputs": values, "_meta": {"title": name}} for name, (kind, values) in nodes.items()
    }


def keep(data: bytes, folder: Path) -> None:
    """What every client has to do: the bytes on disk, and their hash."""
    (folder / "picture.png").write_bytes(data)
    hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def with_aipipe(url: str) -> Iterator[Once]:
    """Aipipe's client streams and hashes by itself."""
    with comfy.connect(url) as server:

        def once(graph: dict[str, Any], folder: Path) -> str:
            job = server.submit(graph, save_to=folder)
            assert job.wait(60).outputs[0].sha256
            return job.job_id

        yield once


@contextlib.contextmanager
def with_comfy_api_simplified(url: str) -> Iterator[Once]:
    """`queue_and_wait_images`, as on its page; the id of the job is the newest of the server's history."""
    from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper

    api = ComfyApiWrapper(url.rstrip("/") + "/")

    def once(graph: dict[str, Any], folder: Path) -> str:
        path = folder / "graph.json"
        path.write_text(json.dumps(graph))
        found = api.queue_and_wait_images(ComfyWorkflowWrapper(str(path)), "save")
        keep(next(iter(found.values())), folder)
        return ""

    yield once


@contextlib.contextmanager
def with_autograph(url: str) -> Iterator[Once]:
    """`submit(wait=True)` and `fetch_images`."""
    from autograph import ApiFlow

    def once(graph: dict[str, Any], folder: Path) -> str:
        done = ApiFlow(graph).submit(url, wait=True)
        keep(done.fetch_images()[0]["bytes"], folder)
        return ""

    yield once


@contextlib.contextmanager
def with_comfy_script(url: str) -> Iterator[Once]:
    """Virtual mode: nodes as functions; its result is a decoded picture, which is encoded again to have bytes."""
    from comfy_script.runtime import Workflow, load

    load(url)
    from comfy_script.runtime import nodes

    def once(graph: dict[str, Any], folder: Path) -> str:
        with Workflow():
            model, clip, vae = nodes.CheckpointLoaderSimple(CHECKPOINT)
            text = nodes.CLIPTextEncode("a heron", clip)
            latent = nodes.EmptyLatentImage(SIDE, SIDE, 1)
            seed = graph["sampler"]["inputs"]["seed"]
            latent = nodes.KSampler(model, seed, STEPS, 5.0, "euler", "normal", text, text, latent, 1.0)
            saved = nodes.SaveImage(nodes.VAEDecode(latent, vae), "bench")
        picture = saved.wait()[0]
        picture.save(folder / "picture.png")
        hashlib.sha256((folder / "picture.png").read_bytes()).hexdigest()
        return ""

    yield once


CLIENTS: dict[str, tuple[str, str, Callable[[str], contextlib.AbstractContextManager[Once]]]] = {
    "aipipe": ("aipipe", "aipipe", with_aipipe),
    "comfy-api-simplified": ("comfy_api_simplified", "comfy-api-simplified", with_comfy_api_simplified),
    "comfyui-autograph": ("autograph", "comfyui-autograph", with_autograph),
    "ComfyScript": ("comfy_script", "comfy-script", with_comfy_script),
}


def newest(url: str) -> str:
    """The job that the server finished last."""
    entries = httpx.get(f"{url}/history").json()
    return max(entries, key=lambda job: ended(entries[job]))


def ended(entry: dict[str, Any]) -> float:
    """When a job ended by the server's clock, in milliseconds."""
    return float(max(message[1].get("timestamp", 0) for message in entry["status"]["messages"]))


def overhead(name: str, url: str, jobs: int) -> list[float]:
    """Milliseconds between the end of each job at the server and its picture hashed on disk."""
    found = []
    with CLIENTS[name][2](url) as once, tempfile.TemporaryDirectory() as folder:
        for number in range(jobs + 2):
            graph = painting(time.time_ns() % 2**32 + number)
            job_id = once(graph, Path(folder))
            done = time.time() * 1000
            job_id = job_id or newest(url)
            found.append(done - ended(httpx.get(f"{url}/history/{job_id}").json()[job_id]))
    return found[2:]  # the first ones load modules and open connections


def message_rate(count: int = 100_000) -> float:
    """Messages of a socket parsed and taken by a job's state machine, per second."""
    text = f'{{"type":"progress","data":{{"value":1,"max":20,"prompt_id":"{JOB}","node":"3"}}}}'
    job = JobMachine(JOB, now=0.0, nodes={"3": "Sampler"})
    began = time.perf_counter()
    for number in range(count):
        job.on_message(parse(text), number / 1000)
    return count / (time.perf_counter() - began)


def memory(megabytes: int) -> float:
    """Growth of the peak memory in MiB while one file streams to disk from a server in another process."""
    program = (
        "import sys\nfrom aipipe.testing import comfy_nodes\nfrom aipipe.testing.comfy_server import ComfyServer\n"
        f"comfy_nodes.png = lambda *_, **__: b'\\x89PNG\\r\\n\\x1a\\n' + bytes({megabytes} * 1_000_000)\n"
        "with ComfyServer() as s:\n    print(s.url, flush=True)\n    sys.stdin.read()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        url = child.stdout.readline().strip()
        with comfy.connect(url) as server, tempfile.TemporaryDirectory() as folder:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            graph = picture_graph(2, prefix="large")
            graph.pop("2")  # it would send previews, which come over the socket and not as files
            graph["3"]["inputs"]["images"] = ["1", 0]
            result = server.run(graph, save_to=folder)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            assert result.outputs[0].bytes > megabytes * 1_000_000
            return (after - before) / 1024
    finally:
        child.stdin.close()
        child.wait(10)


def queued(jobs: int = 200) -> tuple[float, int, int]:
    """Seconds for many jobs over two scripted servers, and how many each took."""
    with ComfyServer() as one, ComfyServer() as two, comfy.connect(one.url, two.url) as pool:
        began = time.perf_counter()
        waiting = [pool.submit(picture_graph(n)) for n in range(jobs)]
        for job in waiting:
            job.wait(300)
        return time.perf_counter() - began, len(one.submissions), len(two.submissions)


def measured(url: str, jobs: int) -> Iterator[tuple[str, list[float]]]:
    """Every installed client in a process of its own, one after the other."""
    for name, (module, _, _) in CLIENTS.items():
        if importlib.util.find_spec(module) is None:
            continue
        done = subprocess.run(
            [sys.executable, __file__, "--client", name, "--url", url, "--jobs", str(jobs)],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        lines = done.stdout.strip().splitlines()
        if done.returncode or not lines:
            print(f"{name} failed:\n{done.stderr[-800:]}", file=sys.stderr)
            continue
        yield name, json.loads(lines[-1])


def table(rows: list[tuple[str, list[float]]]) -> str:
    """The clients' figures as Markdown."""
    own = statistics.median(dict(rows)["aipipe"])
    lines = ["| client | median ms | spread ms | × aipipe |", "|---|---|---|---|"]
    for name, times in rows:
        label = "aipipe" if name == "aipipe" else f"{name} {version(CLIENTS[name][1])}"
        middle = statistics.median(times)
        lines.append(f"| {label} | {middle:.1f} | {min(times):.1f}–{max(times):.1f} | {middle / own:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running ComfyUI on this machine")
    parser.add_argument("--jobs", type=int, default=30)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="renew the section of docs/benchmarks.md")
    given = parser.parse_args()
    if given.client:
        print(json.dumps(overhead(given.client, given.url, given.jobs)))
        return
    with contextlib.ExitStack() as stack:
        url = given.url or stack.enter_context(ComfyServer()).url
        rows = list(measured(url, given.jobs))
    seconds, first, second = queued()
    what = "a real ComfyUI" if given.url else "the scripted server"
    text = f"""{machine()}; {what} on the same machine.

From the end of a job at the server to its picture hashed on disk, {given.jobs} small text-to-image jobs. ComfyScript hands out
decoded pictures, so its figure includes an encoding.

{table(rows)}

| | figure | goal |
|---|---|---|
| completion to hashed file, median ms | {statistics.median(dict(rows)["aipipe"]):.1f} | < 50 |
| messages of a socket handled per second | {message_rate():,.0f} | – |
| more peak memory while 16 MB stream through, MiB | {memory(16):.0f} | – |
| … while 1,000 MB stream through, MiB | {memory(1000):.0f} | flat |
| 200 queued jobs over two servers, s ({first} + {second}) | {seconds:.1f} | – |
"""
    print(text)
    if given.write:
        write_section("ComfyUI", text)


if __name__ == "__main__":
    main()

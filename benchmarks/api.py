"""Status and entity requests against a plain static file server on the same files, and a load of pollers and streams.

    python benchmarks/api.py [--seconds 4] [--clients 200] [--runs 20] [--streams 50]

Both servers are uvicorn in a process of their own on loopback; the client is asyncio sockets in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.report import machine, write_section

SERVER = """
import sys, uvicorn
kind, root, port, slow = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
if kind == "static":
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles
    app = Starlette(routes=[Mount("/", StaticFiles(directory=root))])
else:
    import time
    from aipipe.api import create_app
    from aipipe.lab import Lab
    class Slow:
        def on_event(self, event): time.sleep(slow)
    app = create_app(Lab(runs=root, mode="echo", display=False, durability="never", observers=[Slow()]), workers=2)
uvicorn.run(app, port=port, log_level="error", access_log=False, ws="websockets-sansio", timeout_graceful_shutdown=2)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(kind: str, root: Path, slow: float = 0.2) -> tuple[subprocess.Popen[bytes], int]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", SERVER, kind, str(root), str(port), str(slow)])
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process, port
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the {kind} server did not start")


async def request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> int:
    """One request on a kept connection; the length of the body, or an error for anything but 200."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head[:16]:
        raise RuntimeError(head.decode("latin-1"))
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    await reader.readexactly(length)
    return length


async def hammer(port: int, path: str, seconds: float, connections: int = 8) -> dict[str, float]:
    times: list[float] = []
    sizes = 0
    end = time.perf_counter() + seconds

    async def one() -> None:
        nonlocal sizes
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        while time.perf_counter() < end:
            began = time.perf_counter()
            sizes += await request(reader, writer, path)
            times.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    spent = time.perf_counter() - began
    times.sort()
    return {
        "requests_per_second": round(len(times) / spent),
        "p50_ms": round(1000 * times[len(times) // 2], 2),
        "p99_ms": round(1000 * times[int(len(times) * 0.99)], 2),
        "megabytes_per_second": round(sizes / spent / 1e6, 1),
    }


async def load(port: int, pid: int, clients: int, runs: int, streams: int, pause: float = 1.0) -> dict[str, Any]:
    """Clients poll the status of moving runs while event streams are open."""
    ids = [await execute(port, f"flower {n}") for n in range(runs)]
    process, times, errors, told = psutil.Process(pid), [], 0, 0
    before = process.memory_info().rss
    done = asyncio.Event()

    async def stream(run_id: str) -> None:
        nonlocal told
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /api/pipeline/{run_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while line := await reader.readline():
            told += line.startswith(b"event: ended")
            if line == b"0\r\n":
                break
        writer.close()

    async def poll(number: int) -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not done.is_set():
            began = time.perf_counter()
            try:
                await request(reader, writer, f"/api/pipeline/{ids[number % runs]}/status")
                times.append(time.perf_counter() - began)
            except (RuntimeError, OSError, asyncio.IncompleteReadError):
                errors += 1
                return
            await asyncio.sleep(pause)
        writer.close()

    polls = [asyncio.create_task(poll(n)) for n in range(clients)]
    await asyncio.gather(*(stream(ids[n % runs]) for n in range(streams)))
    done.set()
    await asyncio.gather(*polls)
    times.sort()
    return {
        "polls": len(times),
        "errors": errors,
        "streams_that_saw_the_end": told,
        "p50_ms": round(1000 * times[len(times) // 2], 1),
        "p99_ms": round(1000 * times[int(len(times) * 0.99)], 1),
        "memory_growth_mb": round((process.memory_info().rss - before) / 1e6, 1),
    }


async def execute(port: int, text: str, *, wait: bool = False) -> str:
    body = json.dumps({"schema": "dada", "input_text": text, "async": not wait}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /api/schema/pipeline/execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(int(x.split(b":")[1]) for x in answer.split(b"\r\n") if x.lower().startswith(b"content-length"))
    found = json.loads(await reader.readexactly(length))
    writer.close()
    return str(found["run_id"])


def large_entity(root: Path) -> str:
    """A run with 64 MB of sound, as a recorder writes it."""
    from aipipe.store import Store

    with Store(root, durability="never").create("large", expected_outputs=["output_audio"]) as recorder:
        recorder.save_entity("output_audio", b"RIFF\0\0\0\0WAVEfmt " + os.urandom(64_000_000))
        return recorder.run_id


def section(result: dict[str, Any]) -> str:
    """The result as text for docs/benchmarks.md."""
    rows = "".join(
        f"| {name} | {found['requests_per_second']:,} | {found['p50_ms']} ms | {found['p99_ms']} ms | {found['megabytes_per_second']} MB |\n"
        for name, found in result.items()
        if name not in ("machine", "load")
    )
    under = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in result["load"].items())
    return (
        f"{machine()}. Status and entity requests against a static file server on the same files; then 200 clients poll while\n"
        f"20 runs move and 50 event streams are open: {under}.\n\n"
        f"| what | requests/s | p50 | p99 | per second |\n|---|---|---|---|---|\n{rows}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--write", action="store_true", help="renew the section of docs/benchmarks.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        large = large_entity(root)
        entity = next((root / large).glob("01_output_audio*")).name
        api, port = start("api", root)
        static, static_port = start("static", root)
        try:
            small = asyncio.run(execute(port, "a flower", wait=True))
            result = {
                "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
                "status": asyncio.run(hammer(port, f"/api/pipeline/{small}/status", options.seconds)),
                "static metadata.json": asyncio.run(hammer(static_port, f"/{small}/metadata.json", options.seconds)),
                "entity 64 MB": asyncio.run(
                    hammer(port, f"/api/pipeline/{large}/entity/output_audio", options.seconds, 2)
                ),
                "static 64 MB": asyncio.run(hammer(static_port, f"/{large}/{entity}", options.seconds, 2)),
                "load": asyncio.run(load(port, api.pid, options.clients, options.runs, options.streams)),
            }
        finally:
            for process in (api, static):
                process.terminate()
                process.wait(20)
    print(json.dumps(result, indent=1))
    if options.write:
        write_section("HTTP API", section(result))


if __name__ == "__main__":
    main()

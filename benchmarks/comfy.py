"""How fast the ComfyUI client is: `python benchmarks/comfy.py [URL]`; without URL against the scripted server.

Measures the time from the server's completion to the bytes hashed on disk, messages handled a second, memory while a
large file streams through, and 200 queued jobs over two servers.
"""

import resource
import statistics
import sys
import tempfile
import time

from aipipe import comfy
from aipipe.comfy.machine import JobMachine
from aipipe.comfy.messages import parse
from aipipe.testing.comfy_server import ComfyServer, picture_graph

JOB = "6f9619ff-8b86-4011-b42d-00c04fc964ff"


def overhead(url, jobs=30):
    """Milliseconds between the last timestamp of the server's history and the file on disk (one clock: loopback only)."""
    found = []
    with comfy.connect(url) as server:
        for number in range(jobs):
            graph = picture_graph(int(time.time() * 1000) % 16_000_000 + number)
            graph.pop("2")
            graph["3"]["inputs"]["images"] = ["1", 0]
            job = server.submit(graph)
            job.wait(60)
            done = time.time()
            entry = server.http.get_json(f"/history/{job.job_id}")[job.job_id]
            found.append(done * 1000 - max(m[1]["timestamp"] for m in entry["status"]["messages"]))
    return found


def message_rate(count=100_000):
    text = f'{{"type":"progress","data":{{"value":1,"max":20,"prompt_id":"{JOB}","node":"3"}}}}'
    machine = JobMachine(JOB, now=0.0, nodes={"3": "Sampler"})
    began = time.perf_counter()
    for number in range(count):
        machine.on_message(parse(text), number / 1000)
    return count / (time.perf_counter() - began)


def memory(megabytes=1000):
    """Growth of the peak memory in MiB while one file streams to disk from a server in another process."""
    import pathlib
    import subprocess

    program = (
        "import sys,time\nfrom aipipe.testing import comfy_nodes\nfrom aipipe.testing.comfy_server import ComfyServer\n"
        f"comfy_nodes.png = lambda color: b'\\x89PNG\\r\\n\\x1a\\n' + bytes({megabytes} * 1_000_000)\n"
        "with ComfyServer() as s:\n    print(s.url, flush=True)\n    sys.stdin.read()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        url = child.stdout.readline().strip()
        with comfy.connect(url) as server, tempfile.TemporaryDirectory() as folder:
            server.run(picture_graph(1, prefix="small"), save_to=folder)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            server.run(picture_graph(2, prefix="large"), save_to=folder)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            assert any(p.stat().st_size > megabytes * 1_000_000 for p in pathlib.Path(folder).iterdir())
            return (after - before) / 1024
    finally:
        child.stdin.close()
        child.wait(10)


def queued(jobs=200):
    with ComfyServer() as one, ComfyServer() as two, comfy.connect(one.url, two.url) as pool:
        began = time.perf_counter()
        waiting = [pool.submit(picture_graph(n)) for n in range(jobs)]
        for job in waiting:
            job.wait(300)
        return time.perf_counter() - began, len(one.submissions), len(two.submissions)


def main():
    if len(sys.argv) > 1:
        times = overhead(sys.argv[1])
    else:
        with ComfyServer() as server:
            times = overhead(server.url)
    print(f"completion to hashed file: median {statistics.median(times):.1f} ms, worst {max(times):.1f} ms")
    print(f"messages handled: {message_rate():,.0f} a second")
    print(f"peak memory while 1 GB streams through: +{memory():.0f} MiB")
    seconds, first, second = queued()
    print(f"200 jobs over two servers: {seconds:.1f} s ({first} + {second})")


if __name__ == "__main__":
    main()

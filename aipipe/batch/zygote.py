"""The zygote: a process that has imported what notebooks need, and forks a kernel for each of them.

Run as `python -m aipipe.batch.zygote`. It has no threads, no event loop and no sockets, so a fork of it is a clean
interpreter with warm imports: the child leaves the parent's pipe, takes the environment and folder it is given, and becomes
an ordinary ipykernel. Requests are JSON lines on stdin, answers on stdout. When the pipe closes, its kernels are killed and
it ends; nothing outlives the process that wanted it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

PRELOAD = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.comm",
    "ipykernel.debugger",
    "ipykernel.zmqshell",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.core.pylabtools",
    "IPython.extensions.storemagic",
    "IPython.utils.wildcard",
    "encodings.idna",
    "psutil",
    "tornado.platform.asyncio",
    "tornado.queues",
    "ipywidgets",
    "pandas",
    "aipipe.lab",
    "aipipe.engine",
    "aipipe.display",
)
MEMORY_LIMIT = "AIPIPE_KERNEL_MEMORY_MB"
"""Variable that bounds the memory of each kernel, in MB; 0 lifts the bound."""
SHARE_OF_MEMORY = 0.8
"""What a kernel may allocate where nothing else is said, as a share of the machine's memory."""


def main() -> int:
    """Serve until the pipe closes."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # whatever an import prints must not reach the answers
    # Ctrl-C reaches all of the terminal's processes; the pipe says when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in PRELOAD:
        with contextlib.suppress(Exception):  # a package that is missing or broken is the notebook's own affair
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # collections in the children leave what they share with this process alone
    kernels: set[int] = set()
    print(json.dumps({"ready": os.getpid()}), file=answers, flush=True)
    requests = os.fdopen(
        os.dup(0), "rb", buffering=0
    )  # unbuffered: what is read ahead would be copied into the children
    while line := requests.readline():
        request = json.loads(line)
        if request["do"] == "fork":
            answer: dict[str, Any] = {"pid": _fork(request, (requests.fileno(), answers.fileno()))}
            kernels.add(answer["pid"])
        else:
            code = _exit_code(request["pid"])
            answer = {"code": code}
            if code is not None:
                kernels.discard(request["pid"])
        print(json.dumps(answer), file=answers, flush=True)
    for pid in kernels:
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
    return 0


def _exit_code(pid: int) -> int | None:
    """Exit code of a kernel, None while it lives; a kernel that nobody knows any more has ended."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status) if found else None


def _fork(request: Mapping[str, Any], pipes: tuple[int, int]) -> int:
    pid = os.fork()
    if pid == 0:
        _become_kernel(request, pipes)
    # Both sides make the group, so that neither can act on it before it is there.
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)
    return pid


def _become_kernel(request: Mapping[str, Any], pipes: tuple[int, int]) -> NoReturn:
    """In the child: leave the parent's pipes, take the given place, and run the kernel until it ends."""
    code = 1
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        for pipe in (*pipes, nothing):
            os.close(pipe)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.environ["JPY_PARENT_PID"] = str(os.getppid())
        os.chdir(request["folder"])
        _bound_memory()
        _fresh_chance()
        _run_kernel(request["connection_file"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001  it has no other place to say it
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _bound_memory() -> None:
    """Bound what this kernel may allocate, so that one case that runs wild ends by itself and not by taking the machine along."""
    limit = os.environ.get(MEMORY_LIMIT, "")
    bound = int(limit) << 20 if limit.isdigit() else int(SHARE_OF_MEMORY * _memory())
    if bound:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))


def _memory() -> int:
    """Bytes that this machine, or the container around it, has; 0 where nobody tells."""
    found = []
    with contextlib.suppress(ValueError, OSError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with contextlib.suppress(ValueError, OSError), open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:  # noqa: PTH123
        found.append(int(file.read()))
    return min(found, default=0)


def _fresh_chance() -> None:
    """Python's own generator is seeded anew after a fork; NumPy's is not."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(None)


def _run_kernel(connection_file: str) -> None:
    """What `python -m ipykernel_launcher -f FILE` does."""
    sys.argv = ["ipykernel_launcher", "-f", connection_file]
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(argv=["-f", connection_file, "--HistoryManager.enabled=False"])


if __name__ == "__main__":
    sys.exit(main())

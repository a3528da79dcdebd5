"""Warm kernels: a papermill engine whose kernels are forked from a process that has imported everything already.

A fresh kernel spends most of its start on imports. Here a zygote (`aipipe.batch.zygote`) pays for them once per process and
forks a kernel per notebook: a namespace, environment, folder, threads and files of its own, and memory that is shared until
it is written. Where a notebook wants another kernel than this Python's, or the system cannot fork, papermill's own engine
runs it.

Used by batches, and by `papermill --engine aipipe` through the entry point `papermill.engine`.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from traitlets import default

from aipipe.batch.honest import HonestEngine
from aipipe.errors import AipipeError

log = logging.getLogger(__name__)

PROVISIONER = "aipipe-fork"
FRESH = "aipipe-fresh"
"""The engine of `--engine papermill`: a fresh kernel for each notebook, with honest files."""
CAN_FORK = hasattr(os, "fork") and sys.platform != "darwin"
"""On macOS the system's own libraries do not survive a fork without exec."""


SUBSCRIBED_SECONDS = 0.03
"""IOPub forgets what it said before a subscription has reached it; then the question is asked again, rather sooner than later."""


RECONNECT_MS = 5


class ZygoteLost(AipipeError):
    """The process that forks kernels has gone, twice in a row."""


class Zygote:
    """The forking process of this process, started when it is first needed and again when it was lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def fork(self, connection_file: str, environment: Mapping[str, str], folder: str) -> int:
        """Make a kernel.

        Args:
            connection_file: Where it finds its ports and key.
            environment: All of its environment.
            folder: Its current folder.

        Returns:
            Its process id, which is also its process group.

        Raises:
            ZygoteLost: the zygote cannot be started.
        """
        request = {
            "do": "fork", "connection_file": connection_file, "environment": dict(environment), "folder": folder,
        }  # fmt: skip
        with self._lock:
            answer = self._ask(request) or self._ask(request)
        if answer is None:
            raise ZygoteLost(
                "The process that forks kernels ended twice in a row.",
                hint="Run with --engine papermill to see why a kernel does not start.",
            )
        return int(answer["pid"])

    def exit_code(self, pid: int) -> int | None:
        """Exit code of a kernel, None while it lives. The kernels of a lost zygote were killed with it."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return -int(signal.SIGKILL)
            answer = self._ask({"do": "poll", "pid": pid})
        return -int(signal.SIGKILL) if answer is None else answer["code"]

    def stop(self) -> None:
        """Close the pipe; the zygote kills its kernels and ends."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        process = self._alive()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if line:
                answer: dict[str, Any] = json.loads(line)
                return answer
        except (OSError, ValueError):
            log.debug("the zygote was lost", exc_info=True)
        self._stop()
        return None

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None or self._owner != os.getpid():
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "aipipe.batch.zygote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert self._process.stdout is not None
            self._process.stdout.readline()  # ready: everything is imported
        return self._process


ZYGOTE = Zygote()
atexit.register(ZYGOTE.stop)


class ForkedKernel:
    """A forked kernel, with the part of `subprocess.Popen` that provisioners use."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Exit code, None while it lives."""
        if self.returncode is None:
            self.returncode = ZYGOTE.exit_code(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it lives on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("kernel", timeout or 0)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Signal the process, if it lives."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class ForkProvisioner(LocalProvisioner):  # type: ignore[misc]
    """Starts kernels as forks of the zygote; found by its entry point of `jupyter_client.kernel_provisioners`."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork instead of starting `cmd`, which is this Python's ipykernel."""
        environment = kwargs.get("env") or os.environ
        self.process = ForkedKernel(
            ZYGOTE.fork(self.parent.connection_file, environment, str(kwargs.get("cwd") or os.getcwd()))  # noqa: PTH109
        )
        self.pid = self.pgid = self.process.pid
        return self.connection_info


class WarmSpecs(KernelSpecManager):  # type: ignore[misc]
    """The installed kernels; those of this Python are forked."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The spec, with our provisioner where it fits."""
        spec = super().get_kernel_spec(kernel_name)
        if CAN_FORK and is_own_kernel(spec.argv) and not spec.metadata.get("kernel_provisioner"):
            spec.metadata = {**spec.metadata, "kernel_provisioner": {"provisioner_name": PROVISIONER}}
        return spec


def is_own_kernel(argv: list[str]) -> bool:
    """Whether a kernel's command is this Python's ipykernel, without options of its own."""
    if len(argv) < 5 or argv[1:2] != ["-m"] or argv[2] not in ("ipykernel_launcher", "ipykernel"):
        plain = [word for word in argv if word != "-Xfrozen_modules=off"]
        if plain == argv or len(plain) < 5:
            return False
        return is_own_kernel(plain)
    same = argv[0] in ("python", "python3", f"python3.{sys.version_info.minor}") or os.path.realpath(
        argv[0]
    ) == os.path.realpath(sys.executable)
    return same and argv[3:] == ["-f", "{connection_file}"]


class WarmClient(AsyncKernelClient):  # type: ignore[misc]
    """A client that is ready as soon as the kernel's answers really arrive."""

    @default("context")
    def _context_default(self) -> zmq.asyncio.Context:
        """Sockets that knock again at once: a forked kernel opens its ports within 50 ms, and the usual pause is 100."""
        self._created_context = True
        context = zmq.asyncio.Context()
        context.reconnect_ivl = RECONNECT_MS
        return context

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait for the answer to a request on both channels: shell replies, and IOPub says that the kernel is idle.

        The parent class waits until IOPub has been silent for 0.2 s, which every short case would pay.

        Raises:
            RuntimeError: the kernel died, or the time is over.
        """
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        while True:
            request = self.kernel_info()
            if await self._answered(request):
                return
            if not await self._async_is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")

    async def _answered(self, request: str, patience: float = 1.0) -> bool:
        try:
            while (reply := await self._async_get_shell_msg(timeout=patience))["parent_header"].get(
                "msg_id"
            ) != request:
                continue
            self._handle_kernel_info_reply(reply)
            while True:
                said = await self._async_get_iopub_msg(timeout=SUBSCRIBED_SECONDS)
                mine = said["parent_header"].get("msg_id") == request
                if mine and said["content"].get("execution_state") == "idle":
                    return True
        except queue.Empty:
            return False


class WarmKernelManager(AsyncKernelManager):  # type: ignore[misc]
    """A kernel manager that prefers forked kernels."""

    def _client_factory_default(self) -> type[WarmClient]:
        return WarmClient

    def _kernel_spec_manager_default(self) -> WarmSpecs:
        return WarmSpecs(parent=self)

    async def _async_finish_shutdown(
        self, waittime: float | None = None, pollinterval: float = 0.01, restart: bool = False
    ) -> None:
        """Looks ten times as often whether the kernel has ended; the usual 0.1 s is a fifth of a short case."""
        await super()._async_finish_shutdown(waittime, pollinterval, restart)


class WarmEngine(HonestEngine):
    """Papermill's engine with warm kernels and honest files."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
        """Execute a notebook; arguments as for papermill's own engine."""
        if CAN_FORK:
            kwargs = {"kernel_manager_class": WarmKernelManager, **kwargs}
        return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)


def register() -> None:
    """Make the engine known to papermill and jupyter_client, also where the package's entry points are not installed."""
    from jupyter_client.provisioning import KernelProvisionerFactory
    from papermill.engines import papermill_engines

    papermill_engines.register("aipipe", WarmEngine)
    papermill_engines.register(FRESH, HonestEngine)
    factory = KernelProvisionerFactory.instance()
    if PROVISIONER not in factory.provisioners:
        from importlib.metadata import EntryPoint

        factory.provisioners[PROVISIONER] = EntryPoint(
            PROVISIONER, f"{__name__}:ForkProvisioner", KernelProvisionerFactory.GROUP_NAME
        )

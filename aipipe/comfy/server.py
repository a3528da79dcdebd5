"""One ComfyUI server: submit, find again, upload, ask."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from aipipe.comfy import graphs, history
from aipipe.comfy.access import Access
from aipipe.comfy.feed import Feed, Inbox
from aipipe.comfy.http import Http
from aipipe.comfy.jobs import Job
from aipipe.comfy.live import watching
from aipipe.comfy.machine import Limits, Poll
from aipipe.comfy.results import Folder, Result
from aipipe.comfy.submitting import post_prompt
from aipipe.comfy.uploads import File, upload
from aipipe.comfy.workflow import Workflow
from aipipe.errors import AipipeError, BadAnswer, ComfyError, Lost, ServiceError
from aipipe.events import Watch

if TYPE_CHECKING:
    from aipipe.comfy.check import Report

MODEL_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".sft", ".gguf", ".bin")
QUEUE_FRESH = 0.1
"""Seconds for which one answer about the queue serves all jobs."""


class Server:
    """One ComfyUI server. Made by `comfy.connect`; thread safe; opens connections when first used.

    Attributes:
        url: Its address, without credentials.
        http: Requests to it.
        feed: Its event socket.
        max_bytes: Largest file that is fetched.
    """

    def __init__(
        self,
        access: Access,
        *,
        connect_timeout: float = 5.0,
        silence_timeout: float | None = None,
        total_timeout: float | None = None,
        max_bytes: int = 8_000_000_000,
    ) -> None:
        self.url = access.url
        self.access = access
        self.http = Http(access, connect_timeout=connect_timeout)
        self.feed = Feed(access, connect_timeout=connect_timeout)
        self.max_bytes = max_bytes
        self.limits = Limits(silence=silence_timeout, total=total_timeout)
        self._connect_timeout = connect_timeout
        self._queue_lock = threading.Lock()
        self._queue: tuple[float, list[Any], list[Any]] | None = None
        self._stats: Mapping[str, Any] | None = None
        self._nodes: dict[str, Any] = {}
        self._info: dict[str, Any] | None = None
        self._uploaded: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<ComfyUI server {self.url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close socket and connections. The server object can be used again."""
        self.feed.close()
        self.http.close()
        self.http = Http(self.access, connect_timeout=self._connect_timeout)

    # ---- jobs ------------------------------------------------------------------------------------------------------

    def run(
        self,
        workflow: Any,
        *,
        allow_partial: bool = False,
        save_to: str | Path | None = None,
        timeout: float | None = None,
        watch: Watch | None = None,
    ) -> Result:
        """Submit a workflow, show it live, wait, and fetch what it made.

        Args:
            workflow: A `Workflow`, or whatever `Workflow.load` takes.
            allow_partial: Take what there is when the server accepts or makes only a part.
            save_to: Folder for the files; without it they live as long as the result.
            timeout: Longest wait in seconds.
            watch: Where events go instead of the live cell.

        Raises:
            ComfyError: one of its kinds; see `aipipe.errors`.
        """
        job = self.submit(workflow, allow_partial=allow_partial, save_to=save_to)
        with watching(job, watch) as watcher:
            return job.wait(timeout, watcher)

    def submit(
        self,
        workflow: Any,
        *,
        allow_partial: bool = False,
        save_to: str | Path | None = None,
        job_id: str | None = None,
        run_id: str = "",
        preview: Literal["auto", "latent2rgb", "taesd", "none", ""] = "auto",
        front: bool = False,
        limits: Limits | None = None,
        before: Callable[[str, str], None] | None = None,
    ) -> Job:
        """Send a workflow to the queue, exactly once.

        Args:
            workflow: A `Workflow`, or whatever `Workflow.load` takes.
            allow_partial: See `run`.
            save_to: See `run`.
            job_id: A lower-case UUID of your own; else one is made.
            run_id: The run that the job belongs to; stored with the job.
            preview: How the server makes previews of unfinished pictures; "" leaves it to the server.
            front: Before all waiting jobs.
            limits: Other time limits than the server's.
            before: Called with address and job id before anything is sent; if it raises, nothing is sent.

        Raises:
            Rejected: the graph does not validate.
            Partial: only a part of it does, and that is not allowed; the accepted part was cancelled.
            Unreachable: no answer; after an unclear failure the job was looked for first.
        """
        ready = Workflow.of(workflow).resolved(self)
        graph = ready.graph_copy()
        job_id = str(uuid.UUID(job_id)) if job_id else str(uuid.uuid4())
        inbox = Inbox(frozenset(n for n in graph if graphs.sends_pictures(graphs.class_of(graph, n))))
        self.feed.register(job_id, inbox)
        try:
            self.feed.ensure(min(self._connect_timeout, 3.0))
            if before is not None:
                before(self.url, job_id)
            body = self._body(ready, graph, job_id, run_id, preview)
            if front:
                body["front"] = True
            answer = post_prompt(self, body, graph, job_id)
        except BaseException:
            self.feed.unregister(job_id)
            raise
        if answer.job_id != job_id:  # a server that gives its own ids
            self.feed.register(answer.job_id, inbox)
            self.feed.unregister(job_id)
        job = Job(
            self,
            answer.job_id,
            graph,
            inbox=inbox,
            limits=limits or self.limits,
            folder=Folder(save_to) if save_to is not None else None,
            allow_partial=allow_partial,
            node_errors=answer.node_errors,
        )
        if answer.node_errors and not allow_partial:
            self._refuse_part(job)
        return job

    def _refuse_part(self, job: Job) -> None:
        from aipipe.comfy import failures

        try:
            job.cancel()
        finally:
            self.forget(job.job_id)
        node = next(iter(job.node_errors))
        lines = list(failures.problem_lines(job.node_errors, job.graph))
        raise failures.partial(
            lines, job.graph, job.job_id, self.url, node_id=node, node_errors=job.node_errors, outputs=[]
        )

    def _body(self, ready: Workflow, graph: dict[str, Any], job_id: str, run_id: str, preview: str) -> dict[str, Any]:
        extra: dict[str, Any] = {"client_id": self.feed.client_id}
        if preview:
            extra["preview_method"] = preview
        if run_id:
            extra["aipipe"] = {"run_id": run_id}
        if ready.editor:  # never null: that would break the server's list of jobs for everyone
            extra["extra_pnginfo"] = {"workflow": ready.editor_copy()}
        return {"prompt": graph, "client_id": self.feed.client_id, "prompt_id": job_id, "extra_data": extra}

    def job(self, job_id: str, *, save_to: str | Path | None = None, limits: Limits | None = None) -> Job:
        """A job that was submitted before, by this process or another.

        Raises:
            Lost: neither queue nor history know it.
        """
        entry, item = self._entry(job_id), None
        if entry is None:
            running, pending = self.queue()
            item = next((i for i in [*running, *pending] if _id_of(i) == job_id), None)
            if item is None:
                entry = self._entry(job_id)
        if entry is None and item is None:
            raise Lost(
                f"{self.url} knows no job {job_id}.",
                hint="It was never sent there, was deleted, or the server was restarted; submit it again.",
                job_id=job_id,
            )
        graph = history.graph_of(entry if entry is not None else item) or {}
        inbox = Inbox()
        self.feed.register(job_id, inbox)
        return Job(
            self, job_id, graph, inbox=inbox, limits=limits or self.limits, folder=Folder(save_to) if save_to else None
        )

    def wait_for_completion(self, job_id: str, timeout: float | None = None) -> Result:
        """Wait for a job by its id; see `Job.wait`."""
        return self.job(job_id).wait(timeout)

    def jobs(self) -> list[dict[str, Any]]:
        """Running, waiting and finished jobs that the server knows: `job_id`, `status`, `nodes`."""
        running, pending = self.queue()
        found = [_row(i, "running") for i in running]
        found += [_row(i, "pending") for i in sorted(pending, key=_rank)]
        past = self.http.get_json("/history", max_items=200)
        for job_id, entry in reversed(list((past or {}).items())):
            status = entry.get("status") if isinstance(entry, dict) else None
            word = (status or {}).get("status_str", "unknown")
            found.append(
                {"job_id": job_id, "status": {"success": "completed", "error": "failed"}.get(word, word)}
                | {"nodes": len(history.graph_of(entry) or {})}
            )
        return found

    def cancel_job(self, job_id: str) -> bool:
        """Cancel exactly this job; True when it was waiting or running."""
        answer = self.http.post(f"/api/jobs/{job_id}/cancel")
        if answer.status_code == 200:
            try:
                return bool(answer.json().get("cancelled"))
            except (ValueError, AttributeError):
                pass
        was_there = False
        for _ in range(20):  # older servers: a job may move from waiting to running between two requests
            running, pending = self.queue(fresh=True)
            if any(_id_of(i) == job_id for i in pending):
                was_there = True
                self.http.post("/queue", {"delete": [job_id]})
            elif any(_id_of(i) == job_id for i in running):
                self.http.post("/interrupt", {"prompt_id": job_id})
                return True
            else:
                return was_there
            time.sleep(0.02)
        return was_there

    def forget(self, job_id: str) -> None:
        """Stop listening to a job."""
        self.feed.unregister(job_id)

    # ---- what jobs ask ---------------------------------------------------------------------------------------------

    def poll(self, job_id: str) -> Poll:
        """Where a job is. "Nowhere" is said only after a second look at the history."""
        entry = self._entry(job_id)
        if entry is not None:
            return Poll(entry)
        running, pending = self.queue()
        if any(_id_of(i) == job_id for i in running):
            return Poll(where="running", length=len(running) + len(pending))
        ranked = sorted(pending, key=_rank)
        for place, item in enumerate(ranked):
            if _id_of(item) == job_id:
                return Poll(where="pending", position=place + len(running), length=len(running) + len(pending))
        return Poll(self._entry(job_id))

    def queue(self, *, fresh: bool = False) -> tuple[list[Any], list[Any]]:
        """Running and waiting items as the server lists them."""
        with self._queue_lock:
            if fresh or self._queue is None or time.monotonic() - self._queue[0] > QUEUE_FRESH:
                began = time.monotonic()
                answer = self.http.get_json("/queue")
                if not isinstance(answer, dict):
                    raise BadAnswer(f"{self.url}/queue is no list of jobs.", hint="Is this a ComfyUI server?")
                self._queue = (began, _items(answer, "queue_running"), _items(answer, "queue_pending"))
            return self._queue[1], self._queue[2]

    def _entry(self, job_id: str) -> Mapping[str, Any] | None:
        answer = self.http.get_json(f"/history/{job_id}")
        if answer is not None and not isinstance(answer, dict):
            raise BadAnswer(f"{self.url}/history is no history.", hint="Is this a ComfyUI server?")
        entry = (answer or {}).get(job_id)
        return entry if isinstance(entry, dict) else None

    # ---- facts -----------------------------------------------------------------------------------------------------

    def system_stats(self) -> dict[str, Any]:
        """Version, memory and devices as the server tells them."""
        answer = self.http.get_json("/system_stats", timeout=self._connect_timeout + 5)
        if not isinstance(answer, dict) or "system" not in answer:
            raise BadAnswer(
                f"{self.url} answers, but not as ComfyUI does.", hint="Check the address, and the path if there is one."
            )
        self._stats = answer
        return answer

    def cached_stats(self) -> Mapping[str, Any] | None:
        """`system_stats` of an earlier call, asked now if there was none; None when it cannot be had."""
        if self._stats is None:
            try:
                self.system_stats()
            except ServiceError:
                return None
        return self._stats

    def object_info(self, *, fresh: bool = False) -> dict[str, Any]:
        """Descriptions of all nodes the server has, kept after the first call."""
        if self._info is None or fresh:
            answer = self.http.get_json("/object_info")
            if not isinstance(answer, dict):
                raise BadAnswer(f"{self.url}/object_info is no list of nodes.", hint="Is this a ComfyUI server?")
            self._info = answer
        return self._info

    def node_info(self, name: str) -> dict[str, Any] | None:
        """Description of one node class, None if the server does not have it."""
        if self._info is not None:
            return self._info.get(name)
        if name not in self._nodes:
            from urllib.parse import quote

            answer = self.http.get_json(f"/object_info/{quote(name, safe='')}")
            self._nodes[name] = answer.get(name) if isinstance(answer, dict) else None
        found: dict[str, Any] | None = self._nodes[name]
        return found

    def packs_of(self, graph: graphs.Graph) -> list[str]:
        """Custom node packs that a graph uses, as far as the server tells."""
        found = set()
        for name in {graphs.class_of(graph, n) for n in graph}:
            try:
                info = self.node_info(name)
            except (AipipeError, ComfyError):
                continue
            module = str((info or {}).get("python_module") or "")
            if module.startswith("custom_nodes."):
                found.add(module.removeprefix("custom_nodes."))
        return sorted(found)

    def upload(self, file: Any, *, mask_of: str = "") -> str:
        """Send a file (path, bytes, Pillow image, array, address) and return its name for workflows; never sent twice.

        Args:
            file: The file.
            mask_of: Name of an uploaded picture: the file is its mask.

        Raises:
            InvalidInput: no file.
            Refused: the server does not take it.
        """
        ready = File.of(file, mask_of=mask_of)
        key = f"{ready.mask_of}|{ready.name}"
        if key not in self._uploaded:
            self._uploaded[key] = upload(self, ready)
        return self._uploaded[key]

    def check(self, workflow: Any) -> Report:
        """Problems that this server would find in a workflow; see `Workflow.check`."""
        return Workflow.of(workflow).check(self)

    def models(self) -> list[str]:
        """Names of all model files that loaders of this server offer."""
        from aipipe.comfy.nodes import specs

        found: set[str] = set()
        for name, info in self.object_info().items():
            if "oader" in name:
                for spec in specs(info):
                    found.update(str(c) for c in spec.choices or () if str(c).lower().endswith(MODEL_SUFFIXES))
        return sorted(found)

    def load(self) -> int:
        """Jobs waiting or running, asked now.

        Raises:
            Unreachable: no answer.
        """
        answer = self.http.get_json("/prompt", timeout=self._connect_timeout)
        info = answer.get("exec_info") if isinstance(answer, dict) else None
        remaining = info.get("queue_remaining") if isinstance(info, dict) else None
        if not isinstance(remaining, int):
            raise BadAnswer(f"{self.url} does not say how many jobs wait.", hint="Is this a ComfyUI server?")
        return remaining

    def free(self, *, models: bool = True, cache: bool = True) -> None:
        """Let the server unload models and drop its cache of results, between two jobs."""
        self.http.post("/free", {"unload_models": models, "free_memory": cache})


def _items(answer: Mapping[str, Any], key: str) -> list[Any]:
    found = answer.get(key)
    return [i for i in found if isinstance(i, (list, tuple)) and len(i) >= 2] if isinstance(found, list) else []


def _id_of(item: Any) -> str:
    return str(item[1])


def _rank(item: Any) -> tuple[float, str]:
    return (float(item[0]) if isinstance(item[0], (int, float)) else 0.0, str(item[1]))


def _row(item: Any, status: str) -> dict[str, Any]:
    return {"job_id": _id_of(item), "status": status, "nodes": len(history.graph_of(item) or {})}

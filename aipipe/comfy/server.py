"""One ComfyUI server: submit, find again, upload, ask."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from aipipe.comfy import graphs, history
from aipipe.comfy.access import Access
from aipipe.comfy.feed import Feed, Inbox
from aipipe.comfy.http import Http
from aipipe.comfy.inventory import Inventory
from aipipe.comfy.jobqueue import JobQueue
from aipipe.comfy.jobs import Job
from aipipe.comfy.live import watching
from aipipe.comfy.machine import Limits, Poll
from aipipe.comfy.results import Folder, Result
from aipipe.comfy.submitting import post_prompt
from aipipe.comfy.uploads import File, upload
from aipipe.comfy.workflow import Workflow
from aipipe.errors import BadAnswer, Lost
from aipipe.events import Watch

if TYPE_CHECKING:
    from aipipe.comfy.check import Report


class Server:
    """One ComfyUI server. Made by `comfy.connect`; thread safe; opens connections when first used.

    Attributes:
        url: Its address, without credentials.
        http: Requests to it.
        feed: Its event socket.
        max_bytes: Largest file that is fetched.
        connect_timeout: Seconds until a connection stands.
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
        self.connect_timeout = connect_timeout
        self._queue = JobQueue(self)
        self._inventory = Inventory(self)
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
        self.http = Http(self.access, connect_timeout=self.connect_timeout)

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
            self.feed.ensure(min(self.connect_timeout, 3.0))
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
        found = self._queue.find(job_id)
        if found is None:
            raise Lost(
                f"{self.url} knows no job {job_id}.",
                hint="It was never sent there, was deleted, or the server was restarted; submit it again.",
                job_id=job_id,
            )
        graph = history.graph_of(found) or {}
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
        return self._queue.jobs()

    def cancel_job(self, job_id: str) -> bool:
        """Cancel exactly this job; True when it was waiting or running."""
        return self._queue.cancel(job_id)

    def forget(self, job_id: str) -> None:
        """Stop listening to a job."""
        self.feed.unregister(job_id)

    # ---- what jobs ask ---------------------------------------------------------------------------------------------

    def poll(self, job_id: str) -> Poll:
        """Where a job is. "Nowhere" is said only after a second look at the history."""
        return self._queue.poll(job_id)

    def queue(self, *, fresh: bool = False) -> tuple[list[Any], list[Any]]:
        """Running and waiting items as the server lists them."""
        return self._queue.items(fresh=fresh)

    # ---- facts -----------------------------------------------------------------------------------------------------

    def system_stats(self) -> dict[str, Any]:
        """Version, memory and devices as the server tells them."""
        return self._inventory.system_stats()

    def cached_stats(self) -> Mapping[str, Any] | None:
        """`system_stats` of an earlier call, asked now if there was none; None when it cannot be had."""
        return self._inventory.cached_stats()

    def object_info(self, *, fresh: bool = False) -> dict[str, Any]:
        """Descriptions of all nodes the server has, kept after the first call."""
        return self._inventory.object_info(fresh=fresh)

    def node_info(self, name: str, *, fresh: bool = False) -> dict[str, Any] | None:
        """Description of one node class, None if the server does not have it."""
        return self._inventory.node_info(name, fresh=fresh)

    def packs_of(self, graph: graphs.Graph) -> list[str]:
        """Custom node packs that a graph uses, as far as the server tells."""
        return self._inventory.packs_of(graph)

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
        return self._inventory.models()

    def load(self) -> int:
        """Jobs waiting or running, asked now.

        Raises:
            Unreachable: no answer.
        """
        answer = self.http.get_json("/prompt", timeout=self.connect_timeout)
        info = answer.get("exec_info") if isinstance(answer, dict) else None
        remaining = info.get("queue_remaining") if isinstance(info, dict) else None
        if not isinstance(remaining, int):
            raise BadAnswer(f"{self.url} does not say how many jobs wait.", hint="Is this a ComfyUI server?")
        return remaining

    def free(self, *, models: bool = True, cache: bool = True) -> None:
        """Let the server unload models and drop its cache of results, between two jobs."""
        self.http.post("/free", {"unload_models": models, "free_memory": cache})

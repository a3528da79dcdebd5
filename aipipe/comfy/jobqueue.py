"""What a server says of its jobs: running, waiting and finished ones; cancelling exactly one."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aipipe.comfy import history
from aipipe.comfy.machine import Poll
from aipipe.errors import BadAnswer

if TYPE_CHECKING:
    from aipipe.comfy.server import Server

QUEUE_FRESH = 0.1
"""Seconds for which one answer about the queue serves all jobs."""


class JobQueue:
    """Queue and history of one server. Thread safe."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._known: tuple[float, list[Any], list[Any]] | None = None

    def jobs(self) -> list[dict[str, Any]]:
        """Running, waiting and finished jobs that the server knows: `job_id`, `status`, `nodes`."""
        running, pending = self.items()
        found = [_row(i, "running") for i in running]
        found += [_row(i, "pending") for i in sorted(pending, key=_rank)]
        past = self._server.http.get_json("/history", max_items=200)
        for job_id, entry in reversed(list((past or {}).items())):
            status = entry.get("status") if isinstance(entry, dict) else None
            word = (status or {}).get("status_str", "unknown")
            found.append(
                {"job_id": job_id, "status": {"success": "completed", "error": "failed"}.get(word, word)}
                | {"nodes": len(history.graph_of(entry) or {})}
            )
        return found

    def cancel(self, job_id: str) -> bool:
        """Cancel exactly this job; True when it was waiting or running."""
        answer = self._server.http.post(f"/api/jobs/{job_id}/cancel")
        if answer.status_code == 200:
            try:
                return bool(answer.json().get("cancelled"))
            except (ValueError, AttributeError):
                pass
        was_there = False
        for _ in range(20):  # older servers: a job may move from waiting to running between two requests
            running, pending = self.items(fresh=True)
            if any(_id_of(i) == job_id for i in pending):
                was_there = True
                self._server.http.post("/queue", {"delete": [job_id]})
            elif any(_id_of(i) == job_id for i in running):
                self._server.http.post("/interrupt", {"prompt_id": job_id})
                return True
            else:
                return was_there
            time.sleep(0.02)
        return was_there

    def poll(self, job_id: str) -> Poll:
        """Where a job is. "Nowhere" is said only after a second look at the history."""
        entry = self._entry(job_id)
        if entry is not None:
            return Poll(entry)
        running, pending = self.items()
        if any(_id_of(i) == job_id for i in running):
            return Poll(where="running", length=len(running) + len(pending))
        ranked = sorted(pending, key=_rank)
        for place, item in enumerate(ranked):
            if _id_of(item) == job_id:
                return Poll(where="pending", position=place + len(running), length=len(running) + len(pending))
        return Poll(self._entry(job_id))

    def items(self, *, fresh: bool = False) -> tuple[list[Any], list[Any]]:
        """Running and waiting items as the server lists them."""
        with self._lock:
            if fresh or self._known is None or time.monotonic() - self._known[0] > QUEUE_FRESH:
                began = time.monotonic()
                answer = self._server.http.get_json("/queue")
                if not isinstance(answer, dict):
                    raise BadAnswer(f"{self._server.url}/queue is no list of jobs.", hint="Is this a ComfyUI server?")
                self._known = (began, _items(answer, "queue_running"), _items(answer, "queue_pending"))
            return self._known[1], self._known[2]

    def find(self, job_id: str) -> Any:
        """The entry of a job's history, else its item of the queue, else None."""
        entry = self._entry(job_id)
        if entry is not None:
            return entry
        running, pending = self.items()
        item = next((i for i in [*running, *pending] if _id_of(i) == job_id), None)
        return item if item is not None else self._entry(job_id)

    def _entry(self, job_id: str) -> Mapping[str, Any] | None:
        answer = self._server.http.get_json(f"/history/{job_id}")
        if answer is not None and not isinstance(answer, dict):
            raise BadAnswer(f"{self._server.url}/history is no history.", hint="Is this a ComfyUI server?")
        entry = (answer or {}).get(job_id)
        return entry if isinstance(entry, dict) else None


def _items(answer: Mapping[str, Any], key: str) -> list[Any]:
    found = answer.get(key)
    return [i for i in found if isinstance(i, (list, tuple)) and len(i) >= 2] if isinstance(found, list) else []


def _id_of(item: Any) -> str:
    return str(item[1])


def _rank(item: Any) -> tuple[float, str]:
    return (float(item[0]) if isinstance(item[0], (int, float)) else 0.0, str(item[1]))


def _row(item: Any, status: str) -> dict[str, Any]:
    return {"job_id": _id_of(item), "status": status, "nodes": len(history.graph_of(item) or {})}

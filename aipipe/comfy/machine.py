"""The state of one job, without any I/O: fed by socket messages, polls and the clock.

Polling decides, the socket only informs. A message may speed up the next poll and fill the view; the end of a job is
believed only when the server's history says so, or when queue and history have both been without it for a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aipipe import events
from aipipe.comfy.messages import Frame, Message
from aipipe.comfy.progress import GraphProgress

FAST = (0.002, 0.004, 0.008, 0.016, 0.03, 0.06, 0.12, 0.25)
"""Pauses in seconds between polls once the socket said that the job ended: the history comes some milliseconds later."""

HINTS = ("execution_success", "execution_error", "execution_interrupted")
Outcome = Literal["success", "error", "interrupted", "lost", "unreachable", "silent", "overtime"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of a job in seconds.

    Attributes:
        silence: Longest time in which a running job gives no sign; None for no limit.
        total: Longest time from submission to the end; None for no limit.
        lost: How long queue and history must both be without the job before it counts as lost.
        late: The same, after the socket said that the job ended (its history may come late behind a proxy).
        unreachable: How long the server may not answer at all.
        poll: Longest pause between two polls.
    """

    silence: float | None = None
    total: float | None = None
    lost: float = 4.0
    late: float = 15.0
    unreachable: float = 30.0
    poll: float = 2.0


@dataclass(frozen=True, slots=True)
class Poll:
    """What history and queue say of a job: `entry` of the history, else where it waits or runs, else nothing."""

    entry: Mapping[str, Any] | None = None
    where: Literal["pending", "running"] | None = None
    position: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended: `entry` is its history where there is one, `detail` the message that tells the cause."""

    outcome: Outcome
    entry: Mapping[str, Any] | None = None
    detail: Mapping[str, Any] | None = None


class JobMachine:
    """The state of one job.

    Attributes:
        phase: "submitted", "pending", "running" or "ended".
        ending: How it ended, None before.
        was_unreachable: At least one poll found no server.
        cancel_requested: Somebody asked to cancel it: its disappearance is no loss.
        blocked: Messages of nodes that blocked a branch on purpose while the job went on.
        progress: How far its nodes are.
    """

    def __init__(
        self, job_id: str, *, now: float, nodes: Mapping[str, str], limits: Limits | None = None, server: str = ""
    ) -> None:
        self.job_id = job_id
        self.limits = limits or Limits()
        self.phase: Literal["submitted", "pending", "running", "ended"] = "submitted"
        self.ending: Ending | None = None
        self.cancel_requested = False
        self.was_unreachable = False
        self.blocked: list[Mapping[str, Any]] = []
        self.progress = GraphProgress(job_id, nodes)
        self.position = 0
        self._server = server
        self._began = now
        self._sign = now
        self._answer = now
        self._missing_since: float | None = None
        self._misses = 0
        self._failures = 0
        self._hint: Message | None = None
        self._hurry = 0
        self._poll_at = now + 0.05
        self._idle_polls = 0

    # ---- what comes in -------------------------------------------------------------------------------------------

    def on_message(self, message: Message, now: float) -> list[events.Event]:
        """Take a message of the socket; messages of other jobs change nothing."""
        if message.prompt_id != self.job_id or self.phase == "ended":
            return []
        self._sign = now
        if message.type in HINTS or (message.type == "executing" and message.data.get("node") is None):
            self._on_hint(message, now)
            return []
        if self.phase != "running":
            self.phase = "running"
        return self.progress.on_message(message, now)

    def on_frame(self, frame: Frame, now: float) -> list[events.Event]:
        """Take a picture of unfinished work."""
        if self.phase == "ended":
            return []
        self._sign = now
        return [
            events.Preview(
                run_id=self.job_id, data=frame.data, mime=frame.mime, node_id=frame.node_id or self.progress.node
            )
        ]

    def on_poll(self, poll: Poll, now: float) -> list[events.Event]:
        """Take what history and queue said."""
        if self.phase == "ended":
            return []
        self._answer, self._failures = now, 0
        if poll.entry is not None:
            self._end_by_history(poll.entry)
            return []
        if poll.where is None:
            self._on_miss(now)
            return []
        self._missing_since, self._misses = None, 0
        return self._on_queue(poll, now)

    def on_poll_failed(self, now: float) -> None:
        """The server did not answer a poll."""
        self.was_unreachable = True
        self._schedule(now, min(0.05 * 2**self._failures, 1.0))
        self._failures += 1

    def on_clock(self, now: float) -> None:
        """Let time limits act."""
        if self.phase == "ended":
            return
        limits = self.limits
        if limits.total is not None and now - self._began >= limits.total:
            self._finish(Ending("overtime"))
        elif now - self._answer >= limits.unreachable:
            self._finish(Ending("unreachable"))
        elif limits.silence is not None and self.phase == "running" and now - self._sign >= limits.silence:
            self._finish(Ending("silent"))

    # ---- what the transport asks -----------------------------------------------------------------------------------

    @property
    def poll_at(self) -> float:
        """When the next poll is due."""
        return self._poll_at

    @property
    def started(self) -> bool:
        """True once the server began to work on the job."""
        return self.phase == "running" or (
            self.phase == "ended" and bool(self.progress.node or self.progress.done or self._hint)
        )

    def next_deadline(self) -> float:
        """When `on_clock` or a poll is due at the latest."""
        due = [self._poll_at, self._answer + self.limits.unreachable]
        if self.limits.total is not None:
            due.append(self._began + self.limits.total)
        if self.limits.silence is not None and self.phase == "running":
            due.append(self._sign + self.limits.silence)
        return min(due)

    def quiet_for(self, now: float) -> float:
        """Seconds since a running job last gave a sign over the socket; 0 for other jobs."""
        return now - self._sign if self.phase == "running" else 0.0

    def poll_soon(self, now: float) -> None:
        """Poll at once: something outside happened, such as a reconnect or a cancel."""
        self._poll_at = min(self._poll_at, now)

    def sign(self, now: float, node: str) -> None:
        """A reconnected socket named the node that runs; another node than before is progress."""
        if node != self.progress.node:
            self._sign = now
            self.progress.node = node

    # ---- details ---------------------------------------------------------------------------------------------------

    def _on_hint(self, message: Message, now: float) -> None:
        if message.type == "execution_error" and message.data.get("exception_type") == "ExecutionBlocked":
            self.blocked.append(message.data)
            return
        if self._hint is None or self._hint.type == "executing":
            self._hint = message
        self._hurry = 0
        self._poll_at = now
        if message.type == "execution_success":
            self._poll_at = now + FAST[0]

    def _on_queue(self, poll: Poll, now: float) -> list[events.Event]:
        if self._hint is not None:
            self._schedule(now, self._next_fast())
            return []
        if poll.where == "running":
            if self.phase != "running":
                self._sign = now
            self.phase = "running"
            self._schedule(now, self._next_idle())
            return []
        if self.phase == "running":  # a socket message knows better than a queue that was read before it
            self._schedule(now, 0.25)
            return []
        news = self.phase != "pending" or poll.position != self.position
        self.phase, self.position = "pending", poll.position
        self._sign = now
        self._schedule(now, self._next_idle())
        if not news:
            return []
        return [
            events.QueueChanged(run_id=self.job_id, position=poll.position, length=poll.length, server=self._server)
        ]

    def _on_miss(self, now: float) -> None:
        self._misses += 1
        if self._missing_since is None:
            self._missing_since = now
        patience = self.limits.late if self._hint is not None else self.limits.lost
        if self.cancel_requested:
            patience = min(patience, 0.3)
        if self._misses >= 3 and now - self._missing_since >= patience:
            self._finish(Ending("interrupted" if self.cancel_requested else "lost"))
            return
        self._schedule(now, self._next_fast())

    def _end_by_history(self, entry: Mapping[str, Any]) -> None:
        status = entry.get("status")
        status = status if isinstance(status, Mapping) else {}
        last, detail = _last_message(status.get("messages"))
        if last == "execution_interrupted":
            self._finish(Ending("interrupted", entry, detail))
        elif last == "execution_error" or status.get("status_str") == "error":
            if detail is None and self._hint is not None and self._hint.type == "execution_error":
                detail = self._hint.data
            self._finish(Ending("error", entry, detail))
        else:
            self._finish(Ending("success", entry, detail))

    def _finish(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
            self.phase = "ended"

    def _next_fast(self) -> float:
        pause = FAST[min(self._hurry, len(FAST) - 1)]
        self._hurry += 1
        return pause

    def _next_idle(self) -> float:
        self._idle_polls += 1
        return min(0.1 * 1.5**self._idle_polls, self.limits.poll)

    def _schedule(self, now: float, pause: float) -> None:
        self._poll_at = now + pause


def _last_message(messages: Any) -> tuple[str, Mapping[str, Any] | None]:
    """Name and content of the message that tells how the job ended."""
    for item in reversed(messages if isinstance(messages, list) else []):
        if isinstance(item, (list, tuple)) and len(item) == 2 and item[0] in HINTS:
            detail = item[1] if isinstance(item[1], Mapping) else {}
            return str(item[0]), detail
    return "", None

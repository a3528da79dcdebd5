"""The event socket of one server: read without pause by a thread of its own, handed out to the jobs.

The socket only informs. It may drop, stay mute or lie; jobs end by polling. A reader that stops reading would hold up
every client of the server, so messages go into bounded inboxes and old previews are thrown away.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING

from aipipe.comfy.access import Access
from aipipe.comfy.messages import FEATURE_FLAGS, Frame, Message, parse

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

log = logging.getLogger(__name__)
MAX_MESSAGE = 1 << 30
"""Largest message in bytes: nodes may send megabytes of text or full pictures in one."""
BACKOFF = (0.1, 0.3, 1.0, 2.0, 5.0, 10.0)
Item = Message | Frame


class Inbox:
    """What the socket brought for one job. Bounded: of previews only the newest waits."""

    def __init__(self, keeps: frozenset[str] = frozenset()) -> None:
        self.keeps = keeps
        self.pictures: list[Frame] = []
        self._items: deque[Item] = deque(maxlen=4096)
        self._preview: Frame | None = None
        self._ready = threading.Condition()
        self.woken = False

    def put(self, item: Item) -> None:
        """Add a message; a picture of a node that sends its result this way is kept, a preview replaces the last."""
        with self._ready:
            if isinstance(item, Frame):
                if item.node_id in self.keeps:
                    self.pictures.append(item)
                else:
                    self._preview = item
            else:
                self._items.append(item)
            self._ready.notify_all()

    def wake(self) -> None:
        """Let a waiting reader look at the state of the world at once."""
        with self._ready:
            self.woken = True
            self._ready.notify_all()

    def take(self, seconds: float) -> list[Item]:
        """Everything that came, after waiting up to `seconds` for the first."""
        with self._ready:
            if not self._items and self._preview is None and not self.woken and seconds > 0:
                self._ready.wait(seconds)
            items: list[Item] = list(self._items)
            self._items.clear()
            if self._preview is not None:
                items.append(self._preview)
                self._preview = None
            self.woken = False
            return items


class Feed:
    """The event socket of one server.

    Attributes:
        client_id: Name under which jobs are submitted, so that their events come here.
        connected: The socket stands and the server has greeted it.
        metadata: The server sends previews with job and node.
        remaining: Jobs waiting or running at the server by its last status message, None if unknown.
    """

    def __init__(self, access: Access, *, connect_timeout: float = 5.0) -> None:
        self.client_id = uuid.uuid4().hex
        self.connected = threading.Event()
        self.metadata = False
        self.remaining: int | None = None
        self._access = access
        self._connect_timeout = connect_timeout
        self._inboxes: dict[str, Inbox] = {}
        self._lock = threading.Lock()
        self._tried = threading.Event()
        self._stop = threading.Event()
        self._socket: ClientConnection | None = None
        self._thread: threading.Thread | None = None

    def register(self, job_id: str, inbox: Inbox) -> None:
        """Hand messages of this job to `inbox`."""
        with self._lock:
            self._inboxes[job_id] = inbox

    def unregister(self, job_id: str) -> None:
        """Stop handing out messages of this job."""
        with self._lock:
            self._inboxes.pop(job_id, None)

    def ensure(self, seconds: float) -> bool:
        """Start the socket if needed and wait until it stands or failed once; True when it stands."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._stop.clear()
                self._tried.clear()
                self._thread = threading.Thread(target=self._run, name="aipipe-comfy-feed", daemon=True)
                self._thread.start()
        self._tried.wait(seconds)
        return self.connected.is_set()

    def recycle(self) -> None:
        """Close the socket and open a new one: the old one is closed completely before, or the server would forget both."""
        socket = self._socket
        if socket is not None:
            self.connected.clear()
            with contextlib.suppress(Exception):
                socket.close()

    def close(self) -> None:
        """Close the socket and end the thread."""
        self._stop.set()
        self.recycle()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(2)

    def _run(self) -> None:
        from websockets.exceptions import WebSocketException

        failures = 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._session()
            except (OSError, WebSocketException, ValueError) as error:
                log.debug("event socket of %s: %s", self._access.url, type(error).__name__)
            finally:
                self.connected.clear()
                self._socket = None
                self._tried.set()
            self._wake_all()
            failures = 0 if time.monotonic() - began > 5 else failures + 1
            self._stop.wait(BACKOFF[min(failures, len(BACKOFF) - 1)])

    def _session(self) -> None:
        from websockets.sync.client import connect

        if not self._inboxes:  # nobody waits for events under the old name: a new one avoids every doubt
            self.client_id = uuid.uuid4().hex
        self.metadata = False
        with connect(
            self._access.socket(self.client_id),
            ssl=self._access.tls(),
            additional_headers=self._access.request_headers(),
            open_timeout=self._connect_timeout,
            close_timeout=1,
            ping_interval=20,
            ping_timeout=20,
            max_size=MAX_MESSAGE,
            max_queue=64,
            compression=None,
            origin=None,
            user_agent_header="aipipe",
            proxy=None if self._access.origin[1] in ("127.0.0.1", "localhost", "::1") else True,
        ) as socket:
            self._socket = socket
            socket.send(FEATURE_FLAGS)
            for raw in socket:
                item = parse(raw)
                if item is not None:
                    self._hand_out(item)
                if self._stop.is_set():
                    return

    def _hand_out(self, item: Item) -> None:
        if isinstance(item, Message) and item.type in ("status", "feature_flags"):
            self._on_server(item)
            return
        with self._lock:
            inboxes = dict(self._inboxes)
        if item.prompt_id is not None:
            inbox = inboxes.get(item.prompt_id)
            if inbox is not None:
                inbox.put(item)
        elif isinstance(item, Frame):
            # Such a picture names no job. With metadata agreed on it is a stranger's; else it is ours only if we have one job.
            if not self.metadata and len(inboxes) == 1:
                next(iter(inboxes.values())).put(item)
        elif item.type == "executing" and item.data.get("node") is not None and len(inboxes) == 1:
            # Greeting after a reconnect: the node that runs, without its job.
            job_id, inbox = next(iter(inboxes.items()))
            inbox.put(Message("greeting", job_id, item.data))

    def _on_server(self, message: Message) -> None:
        if message.type == "feature_flags":
            self.metadata = bool(message.data.get("supports_preview_metadata"))
            return
        status = message.data.get("status")
        info = status.get("exec_info") if isinstance(status, dict) else None
        remaining = info.get("queue_remaining") if isinstance(info, dict) else None
        self.remaining = remaining if isinstance(remaining, int) else self.remaining
        if not self.connected.is_set():
            self.connected.set()
            self._tried.set()
            self._wake_all()

    def _wake_all(self) -> None:
        with self._lock:
            inboxes = list(self._inboxes.values())
        for inbox in inboxes:
            inbox.wake()

"""The monitor of one run in a cell: one widget while it works, plain HTML that stays when it has ended."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from aipipe.display.text import short_path
from aipipe.events import EntitySaved, Event, RunEnded, WatchEnded
from aipipe.ui import front_end, monitor_view
from aipipe.ui.progress import FREQUENT, Progress

INTERVAL = 0.1
"""Seconds between two updates by frequent events: ten a second are as many as a person sees."""

STATIC_INTERVAL = 1.0
"""The same where every update replaces the whole HTML of a stored notebook."""


class MonitorWidget(anywidget.AnyWidget):
    """The live page of a run; knows nothing but the values it shows.

    Attributes:
        view: State of the run and its stages.
        items: Recorded entities in order.
        stream: End of the text that grows now.
        preview: Bytes of an unfinished picture.
    """

    _esm = front_end.asset("monitor.js")
    _css = front_end.asset("monitor.css")
    view = traitlets.Dict().tag(sync=True)
    items: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    stream = traitlets.Unicode("").tag(sync=True)
    preview = traitlets.Bytes(b"").tag(sync=True)

    def __init__(self, on_cancel: Callable[[], None]) -> None:
        super().__init__()
        self._on_cancel = on_cancel
        self.on_msg(self._message)
        front_end.answer_while_busy(self)

    def _message(self, widget: Any, content: Any, buffers: Any) -> None:
        # May come on any thread of the kernel: front ends use subshells. Asking to stop is safe from all of them.
        if isinstance(content, dict) and content.get("type") == "cancel":
            self._on_cancel()


class NotebookMonitor:
    """An observer that shows a run in the cell that made it.

    Make it in the cell's own thread: that is where its output appears. Events may then come from any one thread.
    """

    def __init__(self, *, live: bool | None = None) -> None:
        self.progress = Progress()
        self.cancelling = False
        self._live = front_end.live() if live is None else live
        self._last = 0.0
        self._pictures: dict[str, str] = {}
        self._main = threading.current_thread() is threading.main_thread()
        self._widget = MonitorWidget(self.cancel) if self._live else None
        # Shown at once, not with the first event: a run in a thread may begin after its cell has ended, and what
        # executes notebooks drops outputs of a cell that is over.
        self._output = self._open()

    def on_event(self, event: Event) -> None:
        """Take one event and show it, at most ten frequent ones a second."""
        self.progress.take(event)
        if isinstance(event, RunEnded | WatchEnded):
            self._close()
            return
        pause = INTERVAL if self._live else STATIC_INTERVAL
        if (isinstance(event, FREQUENT) or not self._live) and time.monotonic() - self._last < pause:
            return
        self._show(entities=isinstance(event, EntitySaved))

    def cancel(self) -> None:
        """Ask the run to stop, as the button does; nothing happens where a view cannot cancel."""
        ask = self.progress.cancel
        if ask is not None and not self.cancelling:
            self.cancelling = True
            ask()

    def _open(self) -> front_end.Output:
        bundle = monitor_view.bundle(self.progress)
        metadata: dict[str, Any] = {}
        if self._widget is not None:
            self._widget.view = self._view()
            shown = self._widget._repr_mimebundle_()
            data, metadata = shown if isinstance(shown, tuple) else (shown, {})
            bundle = {**bundle, **dict(data or {}), "text/plain": bundle["text/plain"]}
        return front_end.Output(bundle, metadata)

    def _show(self, *, entities: bool) -> None:
        self._last = time.monotonic()
        if self._widget is None:
            self._output.update(monitor_view.bundle(self.progress))
            return
        with self._widget.hold_sync():
            self._widget.view = self._view()
            self._widget.stream = self.progress.stream
            self._widget.preview = self.progress.preview
            if entities:
                self._widget.items = [self._item(item) for item in self.progress.items]

    def _close(self) -> None:
        self._output.update(monitor_view.bundle(self.progress))
        if self._widget is not None:
            with contextlib.suppress(Exception):  # the page may have gone first; the record is what counts
                self._widget.close()
        if self._main and threading.current_thread() is threading.main_thread():
            front_end.after_cell(self._make_room)

    def _make_room(self, value: Any) -> None:
        """Shrink to a strip when the cell's own value is this run and shows the same texts and pictures below."""
        if getattr(value, "run_id", None) == self.progress.run_id:
            self._output.update(monitor_view.bundle(self.progress, compact=True))

    def _view(self) -> dict[str, Any]:
        p = self.progress
        now = p.clock()
        return {
            "config": p.config, "facts": p.facts, "run_id": p.run_id, "folder": short_path(p.folder), "status": p.status,
            "done": p.done, "activity": p.activity, "service": p.service, "detail": p.detail, "fraction": p.fraction,
            "thinking": p.thinking, "notices": p.notices, "elapsed": now - p.begun if p.begun else 0.0,
            "step_elapsed": now - p.step_begun if p.step_begun else 0.0, "can_cancel": p.cancel is not None,
            "preview_mime": p.preview_mime,
            "stages": [{"name": s.name, "state": s.state, "seconds": s.seconds} for s in p.stages],
        }  # fmt: skip

    def _item(self, item: Any) -> dict[str, Any]:
        source = self._pictures.get(item.filename) if item.kind in monitor_view.SHOWN else ""
        if source is None:
            source = self._pictures[item.filename] = monitor_view.picture(item.path, item.kind)
        return {
            "sequence": item.sequence, "label": item.label, "kind": item.kind, "filename": item.filename,
            "text": item.text, "verdict": item.verdict, "note": item.note, "source": source,
            "alt": monitor_view.caption(self.progress),
        }  # fmt: skip

"""The monitor: the live view of one run in a notebook cell.

While the run goes on it is one anywidget whose values change. When the run ends, the output becomes static HTML, so that
a saved notebook, papermill's output, nbconvert and a page without JavaScript all show the run.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aipipe.display.html import STYLE, escape, page, pill, text_block
from aipipe.display.media_view import data_uri, thumbnail
from aipipe.display.text import short_path
from aipipe.events import EntitySaved, Event, Preview, RunEnded, RunStarted
from aipipe.ui.progress import Progress
from aipipe.ui.terminal import MARKS

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
UPDATE_SECONDS = 0.1
"""Between two updates of the page; faster ones only fill the socket."""


class NotebookMonitor:
    """An observer that shows one run in the cell that started it."""

    def __init__(self) -> None:
        self._progress = Progress()
        self._widget: Any = None
        self._handle: Any = None
        self._last = 0.0
        self._lock = threading.Lock()

    def on_event(self, event: Event) -> None:
        """Take one event; called from the run's thread."""
        with self._lock:
            self._progress.take(event)
            if isinstance(event, RunStarted):
                self._open(event.cancel)
            elif isinstance(event, RunEnded):
                self._close()
            elif isinstance(event, Preview):
                self._preview(event)
            else:
                if isinstance(event, EntitySaved) and event.media_type == "image":
                    self._add_picture(event)
                self._push(force=isinstance(event, EntitySaved))

    def _open(self, cancel: Callable[[], None] | None) -> None:
        from IPython.display import display

        self._widget = make_widget(dict(self._progress.state), cancel)
        bundle = self._widget._repr_mimebundle_()
        data = dict(bundle[0] if isinstance(bundle, tuple) else bundle or {})
        data["text/html"] = monitor_html(self._progress.state)
        data["text/plain"] = f"run {self._progress.state['run_id']}"
        self._handle = display(data, raw=True, display_id=f"aipipe-{self._progress.state['run_id']}")

    def _push(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if self._widget is None or (now - self._last < UPDATE_SECONDS and not force):
            return
        self._last = now
        self._widget.state = dict(self._progress.state)

    def _preview(self, event: Preview) -> None:
        if self._widget is not None:
            self._widget.preview = event.data

    def _add_picture(self, event: EntitySaved) -> None:
        small = thumbnail(event.path, 384, 32_000)
        if small is not None:
            self._progress.state["entities"][-1]["picture"] = data_uri(small, "image/webp")

    def _close(self) -> None:
        if self._handle is None:
            return
        self._handle.update(
            {"text/html": monitor_html(self._progress.state), "text/plain": monitor_text(self._progress.state)},
            raw=True,
        )
        with contextlib.suppress(Exception):
            # The page lets go of the view by itself; a kernel that is going away may refuse.
            self._widget.close()
        self._widget = None


def make_widget(state: dict[str, Any], cancel: Callable[[], None] | None) -> Any:
    """The anywidget of a monitor; its Cancel button calls `cancel`, from whatever thread the kernel uses for messages."""
    import anywidget
    import traitlets

    class MonitorWidget(anywidget.AnyWidget):  # type: ignore[misc]
        """View of one run."""

        _esm = STATIC / "monitor.js"
        _css = STATIC / "monitor.css"
        state = traitlets.Dict().tag(sync=True)
        preview = traitlets.Bytes(b"").tag(sync=True)
        style_text = traitlets.Unicode(STYLE).tag(sync=True)
        can_cancel = traitlets.Bool(False).tag(sync=True)

    widget = MonitorWidget(state=state, can_cancel=cancel is not None)

    def on_message(_: Any, content: Any, buffers: Any) -> None:
        if cancel is not None and isinstance(content, dict) and content.get("act") == "cancel":
            cancel()

    widget.on_msg(on_message)
    return widget


def monitor_html(state: dict[str, Any]) -> str:
    """A run's progress as static HTML."""
    stages = "".join(f'<span class="aip-facts">{escape(_stage(s))}</span>' for s in state["stages"])
    head = (
        f'<div class="aip-head"><span class="aip-title">{escape(state["config"])}</span>{pill(state["status"])}'
        f'<span class="aip-facts">{state["seconds"]:.1f} s · {escape(state["mode"])} · {escape(state["level"])}</span></div>'
        f'<div class="aip-head">{stages}</div>'
    )
    if state["message"]:
        hint = f'<div class="aip-note">{escape(state["hint"])}</div>' if state["hint"] else ""
        head += f'<div class="aip-step error">{escape(state["message"])}{hint}</div>'
    chain = "".join(_entry(e) for e in state["entities"] if not e.get("picture"))
    media = "".join(
        f'<figure><img alt="{escape(e["type"])}" src="{e["picture"]}"><figcaption>{escape(e["filename"])}</figcaption></figure>'
        for e in state["entities"]
        if e.get("picture")
    )
    body = f'{head}<div class="aip-body"><div class="aip-chain">{chain}</div><div class="aip-media">{media}</div></div>'
    return page(
        body + f'<div class="aip-note">{escape(short_path(state["folder"]))}</div>', label=f"run {state['run_id']}"
    )


def _stage(stage: dict[str, Any]) -> str:
    spent = f" {stage['seconds']:.1f} s" if stage["seconds"] >= 0.05 else ""
    return f"{MARKS.get(stage['state'], '·')} {stage['name']}{spent}"


def _entry(entry: dict[str, Any]) -> str:
    if entry["type"] == "verdict":
        kind = {"safe": "safe", "blocked": "unsafe"}.get(entry["verdict"], "off")
        note = f'<div class="aip-note">{escape(entry["text"])}</div>' if entry["text"] else ""
        label = f"{pill(entry['verdict'], kind)}<span>{escape(entry['method'])}</span>"
        return f'<div class="aip-step {kind}"><div class="aip-label">{label}</div>{note}</div>'
    kind = "error" if entry["type"] == "error" else ""
    text = text_block(entry["text"]) if entry["text"] else f'<div class="aip-note">{escape(entry["filename"])}</div>'
    name = escape(entry["type"].replace("_", " "))
    return f'<div class="aip-step {kind}"><div class="aip-label"><b>{name}</b></div>{text}</div>'


def monitor_text(state: dict[str, Any]) -> str:
    """A run's progress as plain text."""
    lines = [f"{state['config']} · {state['status']} · {state['seconds']:.1f} s · run {state['run_id']}"]
    if state["message"]:
        lines.append(state["message"])
    lines += [
        f"  {e.get('filename') or 'safety: ' + e['verdict']}  {e['text'][:120]}".rstrip() for e in state["entities"]
    ]
    lines.append(f"in {short_path(state['folder'])}")
    return "\n".join(lines)

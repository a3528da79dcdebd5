"""A batch in the cell of a notebook: a page with buttons while a person looks, plain HTML that stays when it has ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from aipipe.batch.control import WORDS
from aipipe.batch.report import live_bundle
from aipipe.batch.snapshot import Snapshot
from aipipe.ui import front_end


class BatchWidget(anywidget.AnyWidget):
    """The live page; knows nothing but what it shows, and passes words on.

    Attributes:
        html: The batch as static HTML, escaped.
        paused: Whether a person paused it.
        said: The last word that was passed on.
    """

    _esm = front_end.asset("batch.js")
    _css = front_end.asset("batch.css")
    html = traitlets.Unicode("").tag(sync=True)
    paused = traitlets.Bool(False).tag(sync=True)
    said = traitlets.Unicode("").tag(sync=True)

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say
        self.on_msg(self._message)
        front_end.answer_while_busy(self)

    def _message(self, widget: Any, content: Any, buffers: Any) -> None:
        # May come on any thread of the kernel; a word is a small file, safe from all of them.
        if isinstance(content, dict) and content.get("type") == "say" and content.get("word") in WORDS:
            self._say(str(content["word"]))
            self.said = f"{content['word']} was said"
            self.paused = content["word"] == "pause"


class CellView:
    """Shows snapshots in the cell that made it.

    Args:
        snapshot: The first one.
        say: Takes the words of the buttons.
    """

    def __init__(self, snapshot: Snapshot, say: Callable[[str], None]) -> None:
        self._widget = BatchWidget(say) if front_end.live() else None
        bundle, metadata = live_bundle(snapshot), {}
        if self._widget is not None:
            self._widget.html = bundle["text/html"]
            shown = self._widget._repr_mimebundle_()
            data, metadata = shown if isinstance(shown, tuple) else (shown, {})
            bundle = {**bundle, **dict(data or {}), "text/plain": bundle["text/plain"]}
        self._output = front_end.Output(bundle, metadata)

    def show(self, snapshot: Snapshot) -> None:
        """Show how it stands now."""
        bundle = live_bundle(snapshot)
        if self._widget is None:
            self._output.update(bundle)
            return
        self._widget.html = bundle["text/html"]

    def close(self, snapshot: Snapshot) -> None:
        """Leave plain HTML behind."""
        self._output.update(live_bundle(snapshot))
        if self._widget is not None:
            with contextlib.suppress(Exception):  # the page may have gone first; the ledger is what counts
                self._widget.close()

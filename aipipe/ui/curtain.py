"""Widgets with a static form beside them: what a reopened notebook shows when no kernel lives.

A stored notebook holds a widget as the id of a model that dies with its kernel; JupyterLab then shows "model not found" and ignores
the HTML that came in the same output. So the static form is an output of its own: the live widget draws a curtain over it, and
where nothing lives a line of CSS hides the widget's empty place instead.
"""

from __future__ import annotations

import secrets
from typing import Any

import anywidget
import traitlets

EMPTY_PLACE = (
    "<style>.jp-OutputArea-child:has([data-aip-static])+.jp-OutputArea-child:not(:has(.aip-live)){display:none}</style>"
)


class Curtain(anywidget.AnyWidget):
    """Hides the static form with its mark while it lives itself; invisible.

    Attributes:
        mark: Mark of the static form.
    """

    _esm = """
    function render({ model, el }) {
      const covered = () => [...document.querySelectorAll(`[data-aip-static="${model.get("mark")}"]`)]
        .map((node) => node.closest(".jp-OutputArea-child") || node);
      const hide = () => covered().forEach((node) => { node.style.display = "none"; });
      el.classList.add("aip-live");
      el.style.height = "0";
      hide();
      const watcher = new MutationObserver(hide); // another view of the notebook draws the static form anew
      watcher.observe(document.body, { childList: true, subtree: true });
      return () => {
        watcher.disconnect();
        covered().forEach((node) => { node.style.display = ""; });
      };
    }
    export default { render };
    """
    mark = traitlets.Unicode("").tag(sync=True)


def present(widget: Any, static: dict[str, str]) -> None:
    """Show a widget with its static form in the running cell.

    Args:
        widget: An ipywidgets or anywidget widget.
        static: Its static form: `text/html` and `text/plain`.
    """
    import ipywidgets
    from IPython.display import display

    mark = secrets.token_hex(8)
    form = f'{EMPTY_PLACE}<div data-aip-static="{mark}">{static["text/html"]}</div>'
    display({"text/html": form, "text/plain": static["text/plain"]}, raw=True)
    box = ipywidgets.VBox([Curtain(mark=mark), widget])
    shown = box._repr_mimebundle_()
    data, metadata = shown if isinstance(shown, tuple) else (shown, {})
    display({**dict(data or {}), "text/plain": static["text/plain"]}, metadata=metadata, raw=True)

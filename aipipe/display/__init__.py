"""Plain values as HTML and text: what every `_repr_mimebundle_` returns.

Nothing here knows widgets, kernels or the network. Objects are taken as they are (a run has `record`, `entities`,
`folder`), all recorded text is escaped, and the HTML is self-contained and takes its colours from the page it lies in.
"""

from aipipe.display.definitions_view import config_bundle, plan_bundle
from aipipe.display.entity_view import entity_bundle
from aipipe.display.run_view import run_bundle, run_html, run_text
from aipipe.display.sheet import sheet, sheet_bundle
from aipipe.display.store_view import store_bundle

__all__ = [
    "config_bundle",
    "entity_bundle",
    "plan_bundle",
    "run_bundle",
    "run_html",
    "run_text",
    "sheet",
    "sheet_bundle",
    "store_bundle",
]

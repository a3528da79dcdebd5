"""Folders of runs as tidy pandas frames, and answers from them.

The loaders (`load_runs`, `load_entities`, …) read metadata.json directly and never write into a run. Every frame has
declared columns (`aipipe.analysis.columns`, docs/data-dictionary.md) and carries a report of what was found, loaded
and skipped in `frame.attrs["report"]`.
"""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    "load_runs": "loaders",
    "load_entities": "loaders",
    "load_steps": "loaders",
    "load_safety": "loaders",
    "load_media": "loaders",
    "load_errors": "loaders",
    "load_prompts": "loaders",
    "load_batch": "lines",
    "load_ratings": "lines",
    "LoadReport": "report",
    "ExportReport": "export",
    "import_runs": "importing",
    "Finding": "findings",
    "agreement": "rating_statistics",
    "block_rates": "rates",
    "bradley_terry": "rating_statistics",
    "false_block_rates": "rates",
    "mixed_model": "mixed",
    "paired": "comparing",
    "plot_block_rates": "plots",
    "plot_drift": "plots",
    "plot_images": "plots",
    "plot_ratings": "plots",
    "plot_step_times": "plots",
    "prompt_measures": "measures",
    "image_measures": "pictures",
    "lexical_diversity": "measures",
    "readability": "measures",
    "drift": "measures",
    "duplicates": "pictures",
    "semantic_drift": "measures",
    "stage_times": "comparing",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(importlib.import_module(f"aipipe.analysis.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'aipipe.analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)

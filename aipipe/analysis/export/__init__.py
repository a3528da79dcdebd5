"""Export of runs: a package that anyone may see (`public`, the default), or everything (`private`).

The public profile works by permission, not by prohibition: only fields, entity types and files named here leave the
store, so that a field nobody thought of stays at home.
"""

from __future__ import annotations

from aipipe.analysis.export.outcome import ExportReport
from aipipe.analysis.export.package import export

__all__ = ["ExportReport", "export"]

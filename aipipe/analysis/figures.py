"""Figures that show themselves in a cell.

A bare matplotlib Figure is a picture in a notebook only after somebody has imported pyplot; without it the cell says
`<Figure size 750x360>`.
"""

from __future__ import annotations

import functools
import io
from typing import Any

from aipipe.analysis.findings import need

DPI = 110


def figure(width: float, height: float) -> Any:
    """A matplotlib Figure of its own, not pyplot's: nothing piles up in a long-living kernel, and no display is needed.

    Args:
        width: Width in inches.
        height: Height in inches.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    return _shown_figure()(figsize=(width, height), layout="constrained")


@functools.lru_cache(maxsize=1)
def _shown_figure() -> Any:
    base: Any = need("matplotlib.figure").Figure

    class ShownFigure(base):  # type: ignore[misc]
        """A Figure with a picture for notebooks."""

        def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=DPI)
            return {"image/png": buffer.getvalue(), "text/plain": repr(self)}

    return ShownFigure

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


def figure(width: float, height: float, *, photographic: bool = False) -> Any:
    """A matplotlib Figure of its own, not pyplot's: nothing piles up in a long-living kernel, and no display is needed.

    Args:
        width: Width in inches.
        height: Height in inches.
        photographic: The figure is made of pictures, which a notebook stores as JPEG: a tenth of the bytes of a PNG.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    made = _shown_figure()(figsize=(width, height), layout="constrained")
    made.photographic = photographic
    return made


@functools.lru_cache(maxsize=1)
def _shown_figure() -> Any:
    base: Any = need("matplotlib.figure").Figure

    class ShownFigure(base):  # type: ignore[misc]
        """A Figure with a picture for notebooks."""

        def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
            buffer = io.BytesIO()
            kind, options = ("jpeg", {"pil_kwargs": {"quality": 85}}) if self.photographic else ("png", {})
            self.savefig(buffer, format=kind, dpi=DPI, **options)
            return {f"image/{kind}": buffer.getvalue(), "text/plain": repr(self)}

    return ShownFigure

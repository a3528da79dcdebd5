"""Outlines that are wider or narrower than what they go around."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Mask = NDArray[np.uint8]


def widened(mask: Image.Image, by: int) -> Image.Image:
    """A mask ("L") in which each pixel is the largest within a square of `by` pixels around it.

    The same as Pillow's `MaxFilter(2 * by + 1)` in a fraction of its time, because the rows and the columns of a square can
    be taken one after the other (van Herk, "A fast algorithm for local minimum and maximum filters", 1992).
    """
    rows = _largest_along_rows(np.asarray(mask), by)
    return Image.fromarray(np.ascontiguousarray(_largest_along_rows(rows.T, by).T))


def narrowed(mask: Image.Image, by: int) -> Image.Image:
    """A mask ("L") in which each pixel is the smallest within a square of `by` pixels around it."""
    inverse = Image.fromarray(255 - np.asarray(mask))
    return Image.fromarray(255 - np.asarray(widened(inverse, by)))


def _largest_along_rows(values: Mask, by: int) -> Mask:
    # Windows of 1, 2, 4 … are joined by comparing the values with themselves, shifted: log2 steps instead of 2 * by.
    result = np.pad(values, ((0, 0), (by, by)))
    width, wanted = 1, 2 * by + 1
    while width < wanted:
        step = min(width, wanted - width)
        result = np.maximum(result[:, :-step], result[:, step:])
        width += step
    return result

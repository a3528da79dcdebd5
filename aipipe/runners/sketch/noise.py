"""Seeded chance and value noise: the only sources of variety, all of them from SHA-256 of prompt and seed."""

from __future__ import annotations

import hashlib
import random
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


class Chance:
    """Random numbers of one picture; `child` gives an independent stream, so that one part never shifts another."""

    def __init__(self, *key: object) -> None:
        self.digest = hashlib.sha256("\0".join(map(str, key)).encode("utf-8", "surrogatepass")).digest()
        self.random = random.Random(int.from_bytes(self.digest, "big"))

    def child(self, name: str) -> Chance:
        """An independent stream of this name."""
        return Chance(self.digest.hex(), name)

    def between(self, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        return low + (high - low) * self.random.random()

    def pick(self, values: Any) -> Any:
        """One of a sequence."""
        return values[int(self.random.random() * len(values))]

    def shuffled(self, values: Any) -> list[Any]:
        """The values in another order."""
        decorated = [(self.random.random(), i) for i in range(len(values))]
        return [values[i] for _, i in sorted(decorated)]

    def grid(self, height: int, width: int) -> Field:
        """Independent values from 0 to 1."""
        generator = np.random.Generator(np.random.PCG64(int.from_bytes(self.digest[:16], "big")))
        return generator.random((height, width), dtype=np.float32)


def value_noise(
    chance: Chance, name: str, height: int, width: int, cell: tuple[float, float], octaves: int = 3
) -> Field:
    """Smooth noise from 0 to 1.

    Args:
        chance: Where the values come from.
        name: Tells several fields of one picture apart.
        height: Pixels.
        width: Pixels.
        cell: Height and width of the coarsest cells, in pixels.
        octaves: Each adds detail of half the size and half the strength.
    """
    total = np.zeros((height, width), np.float32)
    weight = 0.0
    for octave in range(octaves):
        ch, cw = max(1.5, cell[0] / 2**octave), max(1.5, cell[1] / 2**octave)
        grid = chance.child(f"{name}{octave}").grid(int(height / ch) + 3, int(width / cw) + 3)
        total += _enlarge(grid, height, width, ch, cw) / 2**octave
        weight += 1 / 2**octave
    return total / np.float32(weight)


def _enlarge(grid: Field, height: int, width: int, ch: float, cw: float) -> Field:
    rows = _lerp(np.arange(height, dtype=np.float32) / np.float32(ch))
    columns = _lerp(np.arange(width, dtype=np.float32) / np.float32(cw))
    (y0, fy), (x0, fx) = rows, columns
    across = grid[:, x0] * (1 - fx) + grid[:, x0 + 1] * fx
    return np.asarray(across[y0] * (1 - fy)[:, None] + across[y0 + 1] * fy[:, None], np.float32)


def _lerp(position: Field) -> tuple[NDArray[np.int64], Field]:
    whole = np.floor(position)
    part = position - whole
    return whole.astype(np.int64), np.asarray(part * part * (3 - 2 * part), np.float32)


@lru_cache(maxsize=8)
def _unit(length: int) -> Field:
    return np.linspace(0, 1, length, dtype=np.float32)


def ridge(chance: Chance, name: str, width: int, cell: float, octaves: int = 4) -> Field:
    """A skyline: one height from 0 to 1 for each column."""
    row: Field = value_noise(chance, name, 1, width, (1.5, cell), octaves)[0]
    return row

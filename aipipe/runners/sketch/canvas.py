"""The painted ground: fields of colour with brush texture, ridges, discs and glows, as one float array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aipipe.runners.sketch.glyphs import RGB
from aipipe.runners.sketch.noise import Chance, Field, value_noise


class Canvas:
    """A picture in the making: `pixels` holds height × width × 3 values from 0 to 255."""

    def __init__(self, width: int, height: int, chance: Chance) -> None:
        self.width, self.height, self.chance = width, height, chance
        self.unit = min(width, height) / 768
        self.pixels: NDArray[np.float32] = np.zeros((height, width, 3), np.float32)
        self.rows = np.arange(height, dtype=np.float32)[:, None]
        self.columns = np.arange(width, dtype=np.float32)[None, :]

    def noise(self, name: str, cell: tuple[float, float], octaves: int = 3) -> Field:
        """Value noise; cells in pixels of a 768 picture."""
        size = (cell[0] * self.unit, cell[1] * self.unit)
        return value_noise(self.chance, name, self.height, self.width, size, octaves)

    def gradient(self, stops: Sequence[tuple[float, RGB]]) -> None:
        """Fill with colours from top to bottom; stops are shares of the height."""
        at = np.array([s for s, _ in stops], np.float32) * self.height
        for c in range(3):
            values = np.interp(self.rows[:, 0], at, np.array([v[c] for _, v in stops], np.float32))
            self.pixels[..., c] = values.astype(np.float32)[:, None]

    def blend(self, mask: NDArray[np.floating[Any]], colour: RGB | NDArray[np.floating[Any]]) -> None:
        """Lay a colour over the picture where the mask (0 to 1) says so."""
        weight = mask[..., None] if mask.ndim == 2 else mask
        self.pixels += (np.asarray(colour, np.float32) - self.pixels) * weight

    def below(self, edge: Field, top: RGB, bottom: RGB, texture: Field | None = None, strength: float = 14) -> None:
        """Fill everything under a ridge (pixels from the top for each column) with a falling gradient."""
        mask = np.clip(self.rows - edge[None, :] + 0.5, 0, 1)
        first = int(max(0, float(edge.min()) - 1))
        span = max(1.0, self.height - first)
        share = np.clip((self.rows[first:] - edge[None, :]) / span, 0, 1)[..., None]
        colour = np.asarray(top, np.float32) * (1 - share) + np.asarray(bottom, np.float32) * share
        if texture is not None:
            colour = colour + ((texture[first:] - 0.5) * 2 * strength)[..., None]
        part = self.pixels[first:]
        part += (colour - part) * mask[first:][..., None]

    def disc(self, x: float, y: float, radius: float, colour: RGB, opacity: float = 1.0) -> None:
        """A filled circle with a soft edge; pixels."""
        away = np.sqrt((self.columns - x) ** 2 + (self.rows - y) ** 2)
        self.blend(np.clip(radius - away + 0.5, 0, 1) * np.float32(opacity), colour)

    def crescent(self, x: float, y: float, radius: float, colour: RGB) -> None:
        """A waning moon."""
        away = np.sqrt((self.columns - x) ** 2 + (self.rows - y) ** 2)
        shift = np.sqrt((self.columns - x - radius * 0.42) ** 2 + (self.rows - y + radius * 0.2) ** 2)
        self.blend(np.clip(radius - away + 0.5, 0, 1) * np.clip(shift - radius * 0.86 + 0.5, 0, 1), colour)

    def glow(self, x: float, y: float, radius: float, colour: RGB, strength: float) -> None:
        """Light that fades with the distance."""
        away = ((self.columns - x) ** 2 + (self.rows - y) ** 2) / np.float32(radius * radius)
        self.blend(np.exp(-away * 1.6) * np.float32(strength), colour)

    def finish(self, grain: float = 5.0, vignette: float = 0.16) -> NDArray[np.uint8]:
        """Paper grain and a quiet vignette, then whole numbers."""
        grained = self.chance.child("grain").grid(self.height, self.width)
        coarse = self.noise("paper", (5, 5), 2)
        x = self.columns / self.width - 0.5
        y = self.rows / self.height - 0.5
        dark = 1 - np.float32(vignette) * np.clip((x * x + y * y) * 2.2 - 0.12, 0, 1)
        self.pixels *= dark[..., None]
        self.pixels += ((grained - 0.5) * grain + (coarse - 0.5) * grain * 1.6)[..., None]
        return np.clip(np.rint(self.pixels), 0, 255).astype(np.uint8)

"""The sketch runner: composes pictures from OpenMoji glyphs, drawn grounds and torn paper by rule. Not a neural model."""

from __future__ import annotations

from aipipe.runners.sketch.runner import RENDERER_VERSION, SketchRunner

__all__ = ["RENDERER_VERSION", "SketchRunner"]

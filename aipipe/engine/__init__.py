"""The engine: walks a plan's stages and steps, and turns what happens into a truthful record."""

from aipipe.engine.context import RunContext, Services
from aipipe.engine.reuse import ReuseCache
from aipipe.engine.walk import execute

__all__ = ["ReuseCache", "RunContext", "Services", "execute"]

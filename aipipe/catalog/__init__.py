"""All definitions by name, and the way from a config to a plan."""

from __future__ import annotations

from aipipe.catalog.library import Catalog
from aipipe.catalog.problems import Problem
from aipipe.catalog.resolving import resolve

__all__ = ["Catalog", "Problem", "resolve"]

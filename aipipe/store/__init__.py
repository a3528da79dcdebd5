"""A folder of runs, and read-only handles of runs and entities."""

from aipipe.store.entity import Entity
from aipipe.store.run import Run, open_run
from aipipe.store.store import Problem, Store

__all__ = ["Entity", "Problem", "Run", "Store", "open_run"]

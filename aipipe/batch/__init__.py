"""Batches: configs × inputs × seeds, each case a recorded run and, if wanted, a notebook of its own."""

from aipipe.batch.batch import Batch
from aipipe.batch.status import BatchStatus

__all__ = ["Batch", "BatchStatus"]

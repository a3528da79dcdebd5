"""The lab: settings in, ready objects out. The composition root of aipipe."""

from aipipe.lab.lab import Lab
from aipipe.lab.live import LiveRun
from aipipe.lab.reproduction import Reproduction, compare_runs
from aipipe.lab.runs import Runs

__all__ = ["Lab", "LiveRun", "Reproduction", "Runs", "compare_runs"]

"""What `import aipipe` costs, net of an empty interpreter; goal: under 75 ms.

python benchmarks/import_time.py [--runs 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

GOAL_MS = 75.0
CASES = {
    "import aipipe": "import aipipe",
    "aipipe.Lab (first use)": "import aipipe; aipipe.Lab",
    "aipipe.load_runs (first use)": "import aipipe; aipipe.load_runs",
    "import mlflow": "import mlflow",
    "import signac": "import signac",
    "import pandas": "import pandas",
}


def milliseconds(program: str) -> float | None:
    """Wall time of an interpreter that runs `program`; None when it fails (a peer that is not installed)."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    return (time.perf_counter() - started) * 1000 if done.returncode == 0 else None


def main() -> int:
    """Measure all cases in turns, so that a slow moment hits them alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    samples: dict[str, list[float]] = {name: [] for name in ("nothing", *CASES)}
    for _ in range(runs):
        for name in samples:
            value = milliseconds(CASES.get(name, "pass"))
            if value is not None:
                samples[name].append(value)
    empty = statistics.median(samples["nothing"])
    print(f"empty interpreter {empty:.0f} ms (median of {runs})")
    net = {}
    for name in CASES:
        if not samples[name]:
            print(f"{name:<30} not installed")
            continue
        net[name] = statistics.median(samples[name]) - empty
        print(f"{name:<30} {net[name]:7.1f} ms net   fastest {min(samples[name]) - min(samples['nothing']):7.1f} ms")
    print(f"goal {GOAL_MS:.0f} ms: {'met' if net['import aipipe'] <= GOAL_MS else 'missed'}")
    return 0 if net["import aipipe"] <= GOAL_MS else 1


if __name__ == "__main__":
    sys.exit(main())

"""The package as it is installed: light to import, and able to work from a wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HEAVY = (
    "pydantic",
    "pandas",
    "ipywidgets",
    "papermill",
    "httpx",
    "numpy",
    "PIL",
    "fastapi",
    "rich",
    "anywidget",
    "yaml",
)
ROOT = Path(__file__).parents[1]


def test_import_is_light() -> None:
    program = f"import sys, aipipe; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(shutil.which("git") is None, reason="builds from a checkout")
def test_the_wheel_makes_an_echo_run_and_a_project(tmp_path: Path) -> None:
    """Built, unpacked beside the installed dependencies, run from an empty folder."""
    if importlib_missing("hatchling"):
        pytest.skip("needs hatchling: pip install hatchling")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    wheel = next((tmp_path / "dist").glob("*.whl"))
    place = tmp_path / "site"
    shutil.unpack_archive(wheel, place, "zip")
    work = tmp_path / "work"
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), sysconfig.get_paths()["purelib"]])}

    def aipipe(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "aipipe", *arguments],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    where = aipipe("models", "path")
    assert where.returncode in (0, 1, 2, 4)
    made = aipipe("init", ".")
    assert made.returncode == 0, made.stderr
    assert (work / "notebooks" / "00_first_run.ipynb").is_file()
    done = aipipe("run", "dada", "Eine Blume", "--mode", "echo")
    assert done.returncode == 0, done.stderr
    assert len(list((work / "runs").glob("*/06_output_image.png"))) == 1


def importlib_missing(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is None

"""A real JupyterLab on loopback and a real Chromium, for tests of what a person sees."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.conftest import need_real

KERNEL = """() => {
  const context = window.jupyterapp?.shell?.currentWidget?.sessionContext;
  const kernel = context?.session?.kernel;
  if (!kernel || !context.isReady) return "no kernel";
  return `${kernel.id} ${kernel.connectionStatus} ${kernel.status}`;
}"""


def chromium() -> str:
    """Chromium's program: AIPIPE_CHROMIUM, else what is installed."""
    found = os.environ.get("AIPIPE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    return found or need_real("AIPIPE_CHROMIUM", "a Chromium program")


@dataclass
class Jupyter:
    """A running server."""

    url: str
    token: str
    folder: Path


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """JupyterLab on a free port of loopback, with settings and kernels of its own."""
    home = tmp_path_factory.mktemp("jupyter")
    folder = home / "work"
    folder.mkdir()
    (folder / "aipipe.toml").write_text('mode = "echo"\n', encoding="utf-8")
    news = home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false", "checkForUpdates": false}', encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    names = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("AIPIPE_")},
        **{f"JUPYTER_{name}": str(home / name.lower()) for name in names},
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_PATH": str(_widgets_folder()), "IPYTHONDIR": str(home / "ipython"), "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    log = (home / "server.log").open("wb")
    server = subprocess.Popen(
        [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
            f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}", "--expose-app-in-browser",
            "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ],
        env=env, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/api/status?token={token}", server, home / "server.log")
        yield Jupyter(url, token, folder)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


def _widgets_folder() -> Path:
    """Where the page's part of ipywidgets is installed; not below sys.prefix when environments are stacked."""
    import jupyterlab_widgets

    return Path(jupyterlab_widgets.__file__).parents[4] / "share" / "jupyter"


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                json.load(answer)
                return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        program = play.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield program
        program.close()


class Lab:
    """A notebook open in JupyterLab."""

    def __init__(self, page: Any, jupyter: Jupyter, pictures: Path) -> None:
        self.page = page
        self.jupyter = jupyter
        self.pictures = pictures

    def open(self, name: str, cells: list[str]) -> None:
        """Write a notebook and open it with a running kernel."""
        notebook = nbformat.v4.new_notebook(
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            cells=[nbformat.v4.new_code_cell(text) for text in cells],
        )
        nbformat.write(notebook, self.jupyter.folder / name)
        stem = name.removesuffix(".ipynb")
        self.page.goto(f"{self.jupyter.url}/lab/workspaces/{stem}/tree/{name}?token={self.jupyter.token}")
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        # The page may look idle before its connection is made, and a cell that is run then is lost.
        self.wait_idle()

    def reopen(self, name: str) -> None:
        """End every kernel and open a stored notebook anew, as somebody does the next day."""
        self.page.goto("about:blank")
        api = f"{self.jupyter.url}/api/sessions"
        headers = {"Authorization": f"token {self.jupyter.token}"}
        with urllib.request.urlopen(urllib.request.Request(api, headers=headers), timeout=10) as answer:
            sessions = json.load(answer)
        for session in sessions:
            end = urllib.request.Request(f"{api}/{session['id']}", headers=headers, method="DELETE")
            urllib.request.urlopen(end, timeout=20).close()
        stem = name.removesuffix(".ipynb")
        self.page.goto(f"{self.jupyter.url}/lab/workspaces/{stem}-again/tree/{name}?token={self.jupyter.token}")
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)

    def wait_idle(self) -> None:
        """Wait until the kernel has been idle for a while: after an error it throws away what was queued meanwhile."""
        seen: list[str] = []
        for _ in range(300):
            seen.append(self.page.evaluate(KERNEL))
            if seen[-1].endswith("connected idle") and seen[-8:] == [seen[-1]] * 8:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"the kernel is not ready: {list(dict.fromkeys(seen))}")

    def command(self, name: str, **args: Any) -> None:
        """Execute a command of JupyterLab."""
        self.page.evaluate(
            "([name, args]) => { window.jupyterapp.commands.execute(name, args); return null; }", [name, args]
        )

    def run_all(self) -> None:
        """Run every cell, without waiting."""
        self.command("notebook:run-all-cells")

    def run_next(self) -> None:
        """Run the selected cell and select the next."""
        self.command("notebook:run-cell-and-select-next")

    def run_cell(self, number: int) -> None:
        """Select a cell by its number from 0 and run it."""
        self.page.locator(".jp-Notebook .jp-Cell").nth(number).locator(".jp-InputPrompt").click()
        self.run_next()

    def dark(self) -> None:
        """The dark theme."""
        self.command("apputils:change-theme", theme="JupyterLab Dark")
        self.page.wait_for_selector("body[data-jp-theme-light=false]", state="attached", timeout=20_000)
        self.page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=20_000)

    def save(self, name: str) -> Any:
        """Save and read the notebook back."""
        path = self.jupyter.folder / name
        before = path.stat().st_mtime_ns
        self.command("docmanager:save")
        for _ in range(150):
            self.page.wait_for_timeout(100)
            if path.stat().st_mtime_ns != before:
                try:
                    return nbformat.read(path, as_version=4)
                except nbformat.reader.NotJSONError:
                    continue  # the server is writing it right now
        raise AssertionError(f"{name} was not saved")

    def shot(self, name: str, selector: str = "") -> Path:
        """A picture of the page or of one element, kept beside the test results."""
        path = self.pictures / f"{name}.png"
        target = self.page.locator(selector).first if selector else self.page
        target.screenshot(path=str(path))
        return path


@pytest.fixture
def lab(
    request: pytest.FixtureRequest, browser: Any, jupyter: Jupyter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """JupyterLab in a fresh browser window; errors of our own JavaScript fail the test."""
    where = os.environ.get("AIPIPE_TEST_PICTURES")
    pictures = Path(where) if where else tmp_path_factory.mktemp("pictures")
    pictures.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield Lab(page, jupyter, pictures)
    page.screenshot(path=str(pictures / f"last-{request.node.name}.png"))
    context.close()
    assert not errors, errors

"""Gallery at 100 to 50,000 runs, and what one run adds to a notebook.

    python benchmarks/ui.py                 # needs Chromium (AIPIPE_CHROMIUM or on the path)
    python benchmarks/ui.py --sizes 100,1000 --folders 1000

The page is the gallery's own module with a stand-in for the kernel that answers at once, so that the numbers are the
page's own: time to the first pictures, time of one search, nodes, and memory of the JavaScript heap.
"""

from __future__ import annotations

import argparse
import base64
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aipipe.ui.front_end import asset
from aipipe.ui.gallery_rows import Row, pack, rows_of
from benchmarks.report import machine, write_section

WORDS = [
    "heron",
    "reeds",
    "bus",
    "night",
    "kite",
    "field",
    "cat",
    "piano",
    "flower",
    "meadow",
    "lake",
    "boat",
    "child",
    "storm",
    "paper",
    "wheel",
]
PAGE = """async ({source, rows, picture}) => {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const data = bytes(rows), image = bytes(picture);
  const values = { rows: new DataView(data.buffer), height: 560, chosen: [] };
  let heard = () => {};
  const model = {
    get: (name) => values[name], set: (name, value) => { values[name] = value; }, save_changes: () => {},
    on: (name, work) => { if (name === "msg:custom") heard = work; }, off: () => {},
    send: (message) => {
      if (message.type !== "thumbs") return;
      const buffers = message.rows.map(() => new DataView(image.buffer));
      setTimeout(() => heard({ type: "thumbs", rows: message.rows, notes: message.rows.map(() => "") }, buffers), 0);
    },
  };
  const module = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const el = document.body.appendChild(document.createElement("div"));
  const until = async (test) => { while (!test()) await new Promise((done) => requestAnimationFrame(done)); };
  const begun = performance.now();
  module.default.render({ model, el });
  await until(() => el.querySelectorAll(".aipg-cell img").length >= 6);
  const first = performance.now() - begun;
  const cells = el.querySelectorAll(".aipg-cell").length;
  const search = el.querySelector(".aipg-search");
  const before = el.querySelector(".aipg-count").textContent;
  search.value = "heron";
  const asked = performance.now();
  search.dispatchEvent(new Event("input"));
  await until(() => el.querySelector(".aipg-count").textContent !== before);
  const filtered = performance.now() - asked;
  const port = el.querySelector(".aipg-port");
  const frames = [];
  for (let n = 0; n < 60; n++) {
    const start = performance.now();
    port.scrollTop += 400;
    await new Promise((done) => requestAnimationFrame(done));
    frames.push(performance.now() - start);
  }
  frames.sort((a, b) => a - b);
  return { first, cells, filtered, frame95: frames[56], heap: performance.memory ? performance.memory.usedJSHeapSize / 1e6 : 0 };
}"""


def made_rows(count: int) -> list[Row]:
    chance = random.Random(count)
    return [
        Row(
            run_id=f"01900000-0000-7000-8000-{n:012x}", folder=Path("runs") / str(n), config=f"config{n % 12}", mode="eco",
            level="kids", status="completed" if n % 9 else "blocked", time=1.77e9 + 60 * n, seconds=12.0, seed=str(n),
            text=" ".join(chance.choices(WORDS, k=8)), prompt=" ".join(chance.choices(WORDS, k=30)), tags=["keep"] if n % 50 == 0 else [],
        )
        for n in range(count)
    ]  # fmt: skip


def thumbnail() -> bytes:
    from PIL import Image

    with tempfile.SpooledTemporaryFile() as file:
        Image.effect_noise((256, 256), 60).convert("RGB").save(file, "WEBP", quality=60)
        file.seek(0)
        return file.read()


def pages(sizes: list[int]) -> list[tuple[Any, ...]]:
    from playwright.sync_api import sync_playwright

    program = os.environ.get("AIPIPE_CHROMIUM") or shutil.which("chromium")
    table = []
    picture = base64.b64encode(thumbnail()).decode()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--enable-precise-memory-info"])
        for size in sizes:
            rows = made_rows(size)
            begun = time.perf_counter()
            packed = pack(rows)
            spent = time.perf_counter() - begun
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_content(f"<style>{asset('gallery.css')}</style>")
            found = page.evaluate(
                PAGE, {"source": asset("gallery.js"), "rows": base64.b64encode(packed).decode(), "picture": picture}
            )
            page.close()
            table.append(
                (f"{size:,}", f"{spent * 1000:.0f} ms", f"{len(packed) / 1e6:.2f} MB", f"{found['first']:.0f} ms",
                 f"{found['filtered']:.0f} ms", f"{found['frame95']:.0f} ms", found["cells"], f"{found['heap']:.0f} MB")
            )  # fmt: skip
        browser.close()
    return table


def folders(count: int) -> list[tuple[Any, ...]]:
    import aipipe
    from tests.ui.made import make_store

    with tempfile.TemporaryDirectory() as name:
        root = make_store(Path(name), count)
        table = []
        for what in ("first listing (index is built)", "second listing"):
            begun = time.perf_counter()
            rows_of(root)
            table.append((what, f"{count:,}", f"{time.perf_counter() - begun:.2f} s"))
        gallery = aipipe.gallery(root)
        for what in ("60 pictures, made", "60 pictures, from the cache"):
            begun = time.perf_counter()
            for position in range(min(60, count)):
                gallery.thumbnail(position)
            table.append((what, f"{count:,}", f"{time.perf_counter() - begun:.2f} s"))
        html = gallery._repr_mimebundle_()["text/html"]
        table.append(("static form in a notebook", f"{count:,}", f"{len(html) / 1000:.0f} kB"))
        run = next(iter(aipipe.Store(root)))
        table.append(("display of one run", "1", f"{len(run._repr_mimebundle_()['text/html']) / 1000:.0f} kB"))
    return table


def shown(title: str, head: tuple[str, ...], table: list[tuple[Any, ...]]) -> str:
    rows = "".join(f"| {' | '.join(str(value) for value in row)} |\n" for row in table)
    return f"{title}:\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}\n{rows}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--sizes", default="100,1000,10000,50000")
    options.add_argument("--folders", type=int, default=1000)
    options.add_argument("--write", action="store_true", help="renew the section of docs/benchmarks.md")
    chosen = options.parse_args()
    head = ("runs", "packing", "sent", "first pictures", "search", "frame, 95 %", "cells", "heap")
    page = shown("The gallery in Chromium", head, pages([int(size) for size in chosen.sizes.split(",")]))
    kernel = shown("The kernel's side", ("what", "runs", "result"), folders(chosen.folders))
    text = f"{machine()}.\n\n{page}\n{kernel}"
    print(text)
    if chosen.write:
        write_section("Gallery and displays", text)


if __name__ == "__main__":
    main()

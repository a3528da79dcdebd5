"""The page of an export: nothing that was recorded can act on it, and it says what changed."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from aipipe.analysis.export import export

from .building import entity, record, write


def page_of(root: Path, *documents: dict[str, str], **fields: str) -> str:
    for number, texts in enumerate(documents):
        kinds = [Path(name).stem[3:] for name in texts]
        entities = [entity(n, kind) for n, kind in enumerate(kinds, start=1)]
        begun = f"2026-11-0{9 - number}T10:00:00Z"
        labels = {"consent": "yes"}
        write(
            root / "runs",
            record(labels=labels, entities=entities, timestamp=begun, started=begun, **fields),
            texts=texts,
        )
    export(root / "runs", root / "out")
    return (root / "out" / "index.html").read_text(encoding="utf-8")


def test_only_the_script_of_the_page_may_run(tmp_path: Path) -> None:
    nasty = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    page = page_of(tmp_path, {"01_input.txt": nasty}, config_name=nasty, safety_level=nasty)
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    allowed = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{allowed}'" in page
    assert "<img src=x" not in page
    assert "alert(1)" in page.replace("&gt;", "")


def test_runs_stand_in_the_order_in_which_they_were_made_and_tell_no_hour(tmp_path: Path) -> None:
    page = page_of(tmp_path, {"01_input.txt": "second"}, {"01_input.txt": "first"})
    assert page.index(">first<") < page.index(">second<")
    assert "2026-11-09</h2>" in page


def test_a_text_that_stays_the_same_says_so(tmp_path: Path) -> None:
    texts = {"01_input.txt": "ein hut", "02_translation.txt": "ein hut", "03_interception.txt": "ein ding"}
    page = page_of(tmp_path, texts)
    assert page.count("the same as the input") == 1
    assert page.count(">ein ding<") == 1

"""The real small model and a real ComfyUI: one text, and every kind of media from it in one recorded run."""

from __future__ import annotations

from pathlib import Path

import pytest

import aipipe
from aipipe import comfy
from tests.comfy.test_real import film, sound, tiny
from tests.conftest import need_real

KINDS = {"image": tiny, "video": film, "audio": sound, "music": sound}


@pytest.mark.batchreal
def test_one_run_makes_every_kind_of_media(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIPIPE_EMBEDDED_MODEL", need_real("AIPIPE_TEST_GGUF", "a GGUF model"))
    url = need_real("AIPIPE_TEST_COMFYUI_URL", "a ComfyUI server with the tiny checkpoint")
    with aipipe.Lab(mode="embedded", comfyui=url, display=False) as lab:
        for media, graph in KINDS.items():
            lab.add_output(f"my_{media}", comfy.Workflow.load(graph()), media_type=media)
        outputs = [f"my_{media}" for media in KINDS]
        run = lab.run("dada", "Eine Blume auf der Wiese", outputs=outputs, safety="youth", seed=5)
        assert run.status == "completed", run.reason
        wanted = ["input", "translation", "safety", "interception"]
        for media in KINDS:
            wanted += ["safety_pre_output", f"output_{media}"]
        assert [e.type for e in run.entities] == wanted
        assert run.record.expected_outputs == wanted
        assert {run[f"output_{media}"].media_type for media in KINDS} == set(KINDS)
        assert all(run[f"output_{media}"].checked == "decoded" for media in KINDS)
        assert [o.outcome for o in run.record.outputs] == ["completed"] * len(KINDS)
        assert lab.store.verify().clean

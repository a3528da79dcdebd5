"""The client feels like a local lab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import aipipe
from aipipe import errors
from aipipe.api.client import RemoteLab
from tests.api.conftest import Serve, Served


@pytest.fixture
def lab(served: Served) -> Iterator[RemoteLab]:
    with aipipe.connect(served.url) as lab:
        yield lab


def test_a_run_can_be_made_read_and_downloaded(lab: RemoteLab, served: Served, tmp_path: Path) -> None:
    run = lab.run("dada", "Eine Blume auf der Wiese", seed=7, safety="kids", labels={"group": "A"})
    local = served.lab.store.open(run.run_id)
    assert run.status == "completed"
    assert run.record == local.record
    assert run["interception"].text == local["interception"].text
    assert run["safety"].json == local["safety"].json
    assert run["output_image"].bytes == local["output_image"].bytes
    assert run["output_image"].image.size == local["output_image"].image.size
    assert [i.size for i in run.images] == [i.size for i in local.images]
    copy = aipipe.open_run(run.download(tmp_path / "copies"))
    assert copy.verify().clean
    assert [r["run_id"] for r in lab.runs(config="dada")] == [run.run_id]
    with pytest.raises(errors.RunExists):
        run.download(tmp_path / "copies")


def test_refusals_are_the_errors_a_local_lab_raises(lab: RemoteLab) -> None:
    with pytest.raises(errors.UsageError, match="Did you mean 'dada'"):
        lab.run("dade", "x")
    with pytest.raises(errors.InvalidInput, match="empty"):
        lab.run("dada", "")
    with pytest.raises(errors.UnknownName, match="seed"):
        lab.run("dada", "x", sead=1)
    with pytest.raises(errors.RunNotFound):
        lab.open_run("nothing")
    with pytest.raises(errors.EntityNotFound):
        lab.run("dada", "x", until="interception")["output_image"]


def test_a_started_run_can_be_cancelled(serve: Serve) -> None:
    served = serve(slow=0.1)
    with aipipe.connect(served.url) as lab:
        run = lab.start("dada", "a flower")
        run.cancel()
        assert run.wait(20).status == "cancelled"


def test_waiting_has_a_limit(serve: Serve) -> None:
    served = serve(slow=0.3)
    with aipipe.connect(served.url) as lab:
        run = lab.start("dada", "a flower")
        with pytest.raises(TimeoutError):
            run.wait(0.3)
        run.cancel()


def test_images_travel_as_bytes(lab: RemoteLab, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8), "red").save(tmp_path / "in.png")
    run = lab.run("dada", "x", image=tmp_path / "in.png")
    assert run["input_image"].bytes == (tmp_path / "in.png").read_bytes()


def test_nothing_there_and_a_wrong_token_are_told_apart(serve: Serve) -> None:
    with pytest.raises(errors.Unavailable, match="aipipe serve"):
        aipipe.connect("http://127.0.0.1:9")
    served = serve(token="right")
    with pytest.raises(errors.Refused, match="token"):
        aipipe.connect(served.url, "wrong")
    with aipipe.connect(served.url, "right") as lab:
        assert lab.session()["role"] == "operator"


def test_a_remote_run_and_its_entities_show_themselves(lab: RemoteLab) -> None:
    run = lab.run("dada", "a <b>flower</b>\x00 مرحبا", seed=3)
    bundle = run._repr_mimebundle_()
    assert "&lt;b&gt;flower" in bundle["text/html"]
    assert "\x00" not in bundle["text/html"]
    assert "data:image/webp" in bundle["text/html"]
    assert "seed 3" in bundle["text/plain"]
    assert "data:image/webp" in run["output_image"]._repr_mimebundle_()["text/html"]
    assert run["interception"].text in run["interception"]._repr_mimebundle_()["text/plain"]

"""The client feels like a local lab."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
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


def test_the_rest_of_a_local_lab_s_words_work_too(lab: RemoteLab, served: Served) -> None:
    run = lab.run("dada", "Eine Blume", seed=7, output="placeholder", labels={"group": "A"}, tags=["x"])
    assert (run.seed, run.labels, run.tags, run.is_live) == (7, {"group": "A"}, ["x"], False)
    assert run.seconds == served.lab.store.open(run.run_id).seconds
    assert "interception" in run
    assert "output_video" not in run
    assert [e.type for e in run] == [e.type for e in run.entities]
    assert run.refresh().status == "completed"
    with pytest.raises(errors.EntityNotFound, match="It has: input"):
        _ = run["output_video"]
    again = lab.rerun(run)
    assert again.run_id != run.run_id
    assert again["output_image"].bytes == run["output_image"].bytes
    assert lab.rerun(run.run_id, seed=8).seed == 8


def test_an_unknown_name_has_its_suggestions(lab: RemoteLab) -> None:
    with pytest.raises(errors.UnknownName) as refused:
        lab.run("dade", "x")
    assert "dada" in refused.value.suggestions
    assert "Did you mean 'dada'" in str(refused.value)


def test_map_runs_a_grid_through_a_small_queue(serve: Serve) -> None:
    served = serve(queue_size=1)
    with aipipe.connect(served.url) as lab:
        runs = lab.map(["dada", "bauhaus"], ["a flower", "a house"], seeds=[1, 2])
        assert [(run.config_name, run["input"].text, run.seed) for run in runs] == [
            (config, text, seed)
            for config in ("dada", "bauhaus")
            for text in ("a flower", "a house")
            for seed in (1, 2)
        ]
        assert all(run.status == "completed" for run in runs)


def test_a_wrong_token_says_where_the_right_one_goes(serve: Serve) -> None:
    served = serve(token="secret-of-the-operator", locked=True)
    with pytest.raises(errors.AipipeError, match="aipipe.connect"):
        aipipe.connect(served.url, "wrong")


def test_a_missing_image_and_another_web_server_are_typed_errors(lab: RemoteLab, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="cannot be read"):
        lab.start("picture_over_picture", "x", image=tmp_path / "nothing.png")

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as other:
        thread = threading.Thread(target=other.handle_request)
        thread.start()
        with pytest.raises(errors.Unavailable, match="no aipipe server"):
            aipipe.connect(f"http://127.0.0.1:{other.server_address[1]}")
        thread.join()

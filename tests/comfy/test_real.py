"""The client and the runner against a real ComfyUI with the lab nodes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.resources import files

import pytest

from aipipe import comfy, events
from aipipe.comfy.machine import Limits
from aipipe.events import Watch
from tests.conftest import need_real

pytestmark = pytest.mark.comfyui


@pytest.fixture(scope="module")
def url():
    return need_real("AIPIPE_TEST_COMFYUI_URL", "a real ComfyUI server with the lab nodes")


@pytest.fixture
def server(url):
    with comfy.connect(url) as connected:
        yield connected


def fresh():
    return int(time.time() * 1e6) % 16_000_000


def picture(size=16):
    return {"class_type": "EmptyImage", "inputs": {"width": size, "height": size, "batch_size": 1, "color": fresh()}}


def saved(source, **inputs):
    return {"class_type": "SaveImage", "inputs": {"images": source, "filename_prefix": "real", **inputs}}


def sleeping(seconds, kind="LabSleep"):
    inputs = {"image": ["1", 0], "seconds": seconds, "steps": 10, "preview": True, "nonce": fresh()}
    return {"1": picture(), "2": {"class_type": kind, "inputs": inputs}, "3": saved(["2", 0])}


def tiny():
    return json.loads((files("aipipe.data") / "workflows" / "tiny_sd15.json").read_text(encoding="utf-8"))


def test_text_to_image_with_progress_and_previews_that_are_no_results(server):
    seen = []
    wf = comfy.Workflow.load(tiny(), server=server).with_inputs(prompt="a heron", seed=fresh())
    result = server.run(wf, watch=Watch(seen.append))
    assert [o.node_title for o in result.outputs] == ["Save"]
    assert result.images[0].pil.size == (64, 64)
    assert any(isinstance(e, events.Preview) for e in seen)
    steps = [e.value for e in seen if isinstance(e, events.NodeProgress) and e.title == "Sampler" and e.maximum]
    assert steps == sorted(steps)
    assert steps[-1] == 4
    assert comfy.Workflow.load(result.images[0].path).graph["2"]["inputs"]["text"] == "a heron"


def test_every_kind_of_media_that_needs_no_model(server):
    graph = {
        "1": {**picture(64), "inputs": {**picture(64)["inputs"], "batch_size": 4}},
        "2": {
            "class_type": "SaveAnimatedWEBP",
            "inputs": {
                "images": ["1", 0],
                "filename_prefix": "ä/w",
                "fps": 6.0,
                "lossless": True,
                "quality": 80,
                "method": "default",
            },
        },
        "3": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8.0}},
        "4": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["3", 0], "filename_prefix": "v", "format": "mp4", "codec": "h264"},
        },
        "5": {"class_type": "EmptyAudio", "inputs": {"duration": 1.0, "sample_rate": 44100, "channels": 2}},
        "6": {"class_type": "SaveAudio", "inputs": {"audio": ["5", 0], "filename_prefix": "a"}},
        "7": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        "8": {"class_type": "LabText", "inputs": {"text": "nan"}},
        "9": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "10": {"class_type": "SaveLatent", "inputs": {"samples": ["9", 0], "filename_prefix": "l"}},
        "11": {"class_type": "LabGifs", "inputs": {"image": ["1", 0], "save_output": True}},
        "12": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}},
    }
    found = {o.node_id: o.media_type for o in server.run(graph).outputs}
    assert found["4"] == "video"
    assert found["6"] == "audio"
    assert (found["7"], found["8"], found["10"], found["11"]) == ("image", "text", "latent", "image")
    assert found["12"] == "image"
    assert found["2"] in ("animation", "image")


def test_an_uploaded_array_and_a_mask_come_back(server):
    from PIL import Image

    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": ""}}, "2": saved(["1", 0])}
    image = Image.new("RGB", (20, 10), (10, fresh() % 255, 30))
    result = server.run(comfy.Workflow(graph).with_inputs({"LoadImage.image": image}))
    assert result.images[0].pil.convert("RGB").tobytes() == image.tobytes()


def test_uploaded_sound_comes_back_as_sound(server, tmp_path):
    import io
    import wave

    tone = io.BytesIO()
    with wave.open(tone, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join((i * 400 % 20_000).to_bytes(2, "little") for i in range(8000)))
    (tmp_path / "tone.wav").write_bytes(tone.getvalue())
    graph = {"1": {"class_type": "LoadAudio", "inputs": {"audio": ""}},
             "2": {"class_type": "SaveAudio", "inputs": {"audio": ["1", 0], "filename_prefix": "back"}}}  # fmt: skip
    for value in (tmp_path / "tone.wav", tone.getvalue()):
        (output,) = server.run(comfy.Workflow(graph).with_inputs({"LoadAudio.audio": value})).outputs
        assert (output.media_type, output.bytes > 1000) == ("audio", True)


@pytest.mark.parametrize(("message", "kind"), [("boom", comfy.NodeFailed), ("oom", comfy.OutOfMemory)])
def test_a_failing_node_is_a_typed_error(server, message, kind):
    failing = {"class_type": "LabFail", "inputs": {"image": ["1", 0], "message": message, "nonce": fresh()}}
    with pytest.raises(kind) as caught:
        server.run({"1": picture(), "2": failing, "3": saved(["2", 0])})
    assert (caught.value.node_id, caught.value.node_class) == ("2", "LabFail")
    assert caught.value.traceback


@pytest.mark.parametrize(
    ("graph", "kind"),
    [
        ({"1": {"class_type": "NoSuchNode", "inputs": {}}}, comfy.Rejected),
        ({"1": picture(), "2": saved(["1", 5])}, comfy.Rejected),
        (
            {
                "1": {"class_type": "ImageInvert", "inputs": {"image": ["2", 0]}},
                "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
                "3": saved(["1", 0]),
            },
            comfy.Rejected,
        ),
        (
            {"1": picture(), "2": saved(["1", 0]), "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}},
            comfy.Partial,
        ),
        (
            {
                "1": picture(),
                "2": {"class_type": "LabBlock", "inputs": {"image": ["1", 0], "message": "no"}},
                "3": saved(["2", 0]),
            },
            comfy.Partial,
        ),
        ({"1": {"class_type": "LabValidate", "inputs": {"name": "raise"}}}, comfy.Rejected),
    ],
    ids=["unknown node", "slot", "circle", "partly valid", "blocked", "validator raises"],
)
def test_what_the_server_refuses_or_leaves_out_is_a_typed_error(server, graph, kind):
    with pytest.raises(kind) as caught:
        server.run(graph)
    assert caught.value.job_id
    assert not comfy.Workflow(graph).check(server) or kind is comfy.Partial or "LabValidate" in str(graph)


def test_cancel_stops_the_running_job_and_spares_the_waiting_one(server):
    running, waiting = server.submit(sleeping(30)), server.submit(sleeping(0.1))
    time.sleep(0.5)
    assert running.cancel()
    with pytest.raises(comfy.Cancelled):
        running.wait(10)
    assert len(waiting.wait(20).images) == 1


def test_a_job_deleted_by_somebody_else_is_lost_within_seconds(server):
    first, second = server.submit(sleeping(8)), server.submit(sleeping(0.1))
    server.http.post("/queue", {"delete": [second.job_id]})
    began = time.monotonic()
    with pytest.raises(comfy.Lost):
        second.wait(20)
    assert time.monotonic() - began < 8
    first.cancel()


def test_a_silent_node_ends_the_wait_and_not_the_job(server):
    job = server.submit(sleeping(4, "LabDeafSleep"), limits=Limits(silence=1.5))
    with pytest.raises(comfy.TimedOut):
        job.wait(20)
    assert len(server.job(job.job_id).wait(20).images) == 1


def test_a_cached_result_is_fetched_from_its_old_file_and_says_so(server):
    graph = {"1": picture(), "2": saved(["1", 0])}
    first = server.run(graph)
    again = server.run(graph)
    assert again.images[0].filename == first.images[0].filename
    assert again.facts["cached_nodes"]


def test_fifty_jobs_at_once_give_fifty_pictures(server):
    jobs = [server.submit({"1": picture(), "2": saved(["1", 0], filename_prefix=f"n{n}")}) for n in range(50)]
    names = [job.wait(60).images[0].filename for job in jobs]
    assert [n.split("_")[0] for n in names] == [f"n{n}" for n in range(50)]


def test_a_second_process_finds_the_job_again(server, url):
    job = server.submit(sleeping(2))
    program = (
        "import sys; from aipipe import comfy\n"
        "with comfy.connect(sys.argv[1]) as s: print(s.wait_for_completion(sys.argv[2], timeout=30).images[0].filename)"
    )
    done = subprocess.run([sys.executable, "-c", program, url, job.job_id], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == job.wait(20).images[0].filename


def test_the_shipped_tiny_output_runs_through_a_lab(url, tmp_path):
    import aipipe

    with aipipe.Lab(mode="echo", comfyui=url, runs=tmp_path / "runs") as lab:
        run = lab.run("dada", "a heron", safety="off", outputs=["tiny_sd15"], seed=7, parameters={"steps": 2})
        assert run.status == "completed"
        assert run["output_image"].path.read_bytes()[:4] == b"\x89PNG"
        wf = comfy.Workflow.load(tiny()).with_inputs(prompt="a heron", seed=9)
        assert lab.run(wf, safety="off").status == "completed"


def sound():
    return {
        "1": {"class_type": "EmptyAudio", "inputs": {"duration": 1.0, "sample_rate": 44100, "channels": 2}},
        "2": {"class_type": "SaveAudio", "inputs": {"audio": ["1", 0], "filename_prefix": "sound"}},
    }


def film():
    graph = tiny()
    saver, save = next((k, n) for k, n in graph.items() if n["class_type"] == "SaveImage")
    graph[saver] = {
        "class_type": "SaveVideo",
        "inputs": {"video": ["film", 0], "filename_prefix": "film", "format": "mp4", "codec": "h264"},
    }
    graph["film"] = {"class_type": "CreateVideo", "inputs": {"images": save["inputs"]["images"], "fps": 8.0}}
    return graph


@pytest.mark.parametrize(
    ("media", "graph", "ends"),
    [("image", tiny, ".png"), ("video", film, ".mp4"), ("audio", sound, ".flac"), ("music", sound, ".flac")],
)
def test_a_graph_of_each_media_kind_becomes_an_output_and_a_whole_run(media, graph, ends, url, project):
    import aipipe

    with aipipe.Lab(mode="echo", comfyui=url, display=False) as lab:
        lab.add_output("mine", comfy.Workflow.load(graph()), media_type=media)
        run = lab.run("dada", "a heron", outputs=["mine"], seed=3)
        assert run.status == "completed", run.reason
        entity = run[f"output_{media}"]
        assert (entity.media_type, entity.path.suffix) == (media, ends)
        assert entity.checked == "decoded"
        assert lab.store.verify().clean


def test_the_researchers_own_graph_lies_in_the_picture_of_a_run(url, project):
    from PIL import Image

    import aipipe

    editor = {
        "nodes": [
            {"id": 1, "type": "EmptyImage", "pos": [7, 9], "inputs": [], "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}],
             "widgets_values": [32, 32, 1, fresh()], "mode": 0},
            {"id": 2, "type": "SaveImage", "pos": [300, 9], "inputs": [{"name": "images", "type": "IMAGE", "link": 1}], "outputs": [],
             "widgets_values": ["mine"], "mode": 0},
        ],
        "links": [[1, 1, 0, 2, 0, "IMAGE"]], "version": 0.4,
    }  # fmt: skip
    wf = comfy.Workflow.load(editor)
    with aipipe.Lab(mode="echo", comfyui=url, display=False) as lab:
        lab.add_output("own", wf)
        for run in (lab.run(wf, safety="off"), lab.run("dada", "a heron", outputs=["own"])):
            with Image.open(run["output_image"].path) as image:
                inside = json.loads(image.info["workflow"])
            assert [n["pos"] for n in inside["nodes"]] == [[7, 9], [300, 9]], "where the researcher put them"
            assert comfy.Workflow.load(run["output_image"].path).graph


def test_the_notebook_about_workflows_runs_on_a_real_server(url, project, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    from aipipe.lab.project import shipped_notebooks

    monkeypatch.setenv("AIPIPE_MODE", "echo")
    monkeypatch.setenv("AIPIPE_RUNNERS__COMFYUI__URLS", json.dumps([url]))
    notebook = nbformat.read(shipped_notebooks() / "03_comfyui_workflows.ipynb", as_version=4)
    NotebookClient(
        notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(project)}}
    ).execute()
    (first, *_) = (cell for cell in notebook.cells if "system_stats" in cell.source)
    assert "scripted" not in first.outputs[0]["text"]


def start(port):
    script = need_real("AIPIPE_TEST_COMFYUI_START", "the script that starts a real ComfyUI")
    done = subprocess.run(
        ["bash", script, str(port)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "COMFYUI_LAB_NODES": "1"},
    )
    facts = dict(part.split("=", 1) for part in done.stdout.split("READY ")[1].split())
    return facts["url"], int(facts["pid"])


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_killed_server_gives_its_waiting_jobs_to_another_and_loses_its_running_one(url):
    port = free_port()
    second, pid = start(port)
    try:
        with comfy.connect(url, second) as pool:
            jobs = [pool.submit(sleeping(3)) for _ in range(4)]
            time.sleep(1.0)
            there = [j for j in jobs if j.server.url == second]
            running = next(j for j in there if j.done() is False and j.status == "running")
            waiting = next(j for j in there if j is not running)
            os.kill(pid, signal.SIGKILL)
            assert len(waiting.wait(60).images) == 1
            assert waiting.server.url == url.rstrip("/")
            again, pid = start(port)
            with pytest.raises((comfy.Lost, comfy.Unreachable)):
                running.wait(60)
            with comfy.connect(again) as fresh_server, pytest.raises(comfy.Lost):
                fresh_server.job(running.job_id)
    finally:
        os.kill(pid, signal.SIGTERM)

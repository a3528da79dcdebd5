"""The right answer every time, whatever a server does."""

import asyncio
import gc
import json
import socket
import threading
import time

import pytest

from aipipe import comfy, events
from aipipe.cancellation import Cancellation
from aipipe.comfy.machine import Limits
from aipipe.errors import BadAnswer, InvalidInput, Refused, RunCancelled
from aipipe.events import Watch
from aipipe.testing.comfy_server import ComfyServer, Faults, picture_graph

QUICK = Limits(lost=0.6, late=2.0, unreachable=2.5, poll=0.3)
"""For what ends badly: the verdict comes soon."""

PATIENT = Limits(lost=20.0, late=30.0, unreachable=60.0, poll=0.3)
"""For what ends well: a busy machine must not turn it into a verdict."""


def connected(server, limits=PATIENT, **more):
    client = comfy.connect(server.url, connect_timeout=20.0, **more)
    client.limits = limits
    return client


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def works_on(server, job):
    return lambda: server.running is not None and server.running.job_id == job.job_id


BEARABLE = {
    "healthy": Faults(),
    "mute socket": Faults(mute_socket=True),
    "no socket": Faults(refuse_socket=True),
    "no end messages": Faults(drop_types=frozenset({"executing", "execution_success", "executed"})),
    "socket cut": Faults(close_socket_after=3),
    "doubled messages": Faults(double_events=True),
    "shuffled messages": Faults(shuffle_events=True),
    "foreign messages": Faults(foreign_events=True),
    "huge frame": Faults(huge_frame=6_000_000),
    "late history": Faults(history_delay=1.0),
    "over before the reply": Faults(finish_before_reply=True),
    "lost reply": Faults(lose_reply=1),
    "500 on submit": Faults(submit_500=1),
    "own ids": Faults(own_ids=True),
    "503 burst": Faults(unavailable=4),
    "garbage": Faults(garbage=4),
    "short file": Faults(short_files=2),
    "slow file": Faults(slow_files=0.3),
    "nan": Faults(nan=True),
    "prefix": Faults(prefix="/comfy"),
    "old server": Faults(no_cancel_endpoint=True),
}


@pytest.mark.parametrize("name", BEARABLE)
def test_a_fault_that_can_be_borne_changes_nothing_of_the_result(name, tmp_path):
    import copy

    with ComfyServer(copy.deepcopy(BEARABLE[name])) as server, connected(server) as client:
        result = client.run(picture_graph(seconds=0.1), save_to=tmp_path)
        assert [o.node_title for o in result.outputs] == ["Final"]
        assert result.images[0].path.read_bytes()[:4] == b"\x89PNG"
        assert result.images[0].bytes == result.images[0].path.stat().st_size
        assert len(server.submissions) == 1
        assert list(tmp_path.iterdir()) == [result.images[0].path]


@pytest.mark.parametrize("job_kind", ["fail", "oom"])
def test_a_failing_node_is_named_with_its_cause(job_kind):
    graph = picture_graph()
    graph["2"] = {
        "class_type": "Fail",
        "inputs": {"image": ["1", 0], "message": job_kind},
        "_meta": {"title": "Bad one"},
    }
    with ComfyServer() as server, connected(server) as client:
        with pytest.raises(comfy.NodeFailed) as caught:
            client.run(graph)
        error = caught.value
        assert isinstance(error, comfy.OutOfMemory) == (job_kind == "oom")
        assert (error.node_id, error.node_title, error.node_class) == ("2", "Bad one", "Fail")
        assert error.job_id == server.submissions[0]
        assert error.traceback


def test_a_rejected_graph_names_node_input_and_problem():
    body = {
        "error": {"type": "prompt_outputs_failed_validation", "message": "failed", "details": "", "extra_info": {}},
        "node_errors": {
            "3": {"errors": [{"type": "x", "message": "Value too small", "extra_info": {"input_name": "width"}}]}
        },
    }
    with ComfyServer(Faults(reject=body)) as server, connected(server) as client:
        with pytest.raises(comfy.Rejected) as caught:
            client.run(picture_graph())
        assert "Final (#3): width: Value too small" in str(caught.value)


def test_a_server_that_breaks_on_the_graph_rejects_it_without_running_it():
    with ComfyServer(Faults(submit_500=9)) as server, connected(server) as client:
        with pytest.raises(comfy.Rejected):
            client.run(picture_graph())
        assert server.submissions == []


def test_a_partly_accepted_graph_raises_and_is_cancelled_unless_allowed():
    errors = {"9": {"errors": [{"message": "missing", "extra_info": {"input_name": "images"}}]}}
    with ComfyServer(Faults(node_errors=errors)) as server, connected(server) as client:
        with pytest.raises(comfy.Partial) as caught:
            client.run(picture_graph(seconds=5))
        assert caught.value.node_errors == errors
        assert ("POST", f"/api/jobs/{server.submissions[0]}/cancel") in server.requests
        result = client.run(picture_graph(1), allow_partial=True)
        assert len(result.images) == 1
        assert any("images: missing" in w for w in result.warnings)


def test_a_blocked_branch_is_an_error_that_says_so():
    graph = picture_graph()
    graph["2"] = {"class_type": "Block", "inputs": {"image": ["1", 0], "message": "no"}}
    with ComfyServer() as server, connected(server) as client:
        with pytest.raises(comfy.Partial, match="Final"):
            client.run(graph)
        assert client.run(graph, allow_partial=True).warnings


@pytest.mark.parametrize("how", ["deleted", "restarted", "forgotten"])
def test_a_lost_job_is_noticed_within_seconds(how):
    with ComfyServer(Faults(forget=how == "forgotten")) as server, connected(server, QUICK) as client:
        if how != "forgotten":
            until(works_on(server, client.submit(picture_graph(seconds=300))))
        job = client.submit(picture_graph(5))
        if how == "deleted":
            server.delete([job.job_id])
        elif how == "restarted":
            server.restart()
        with pytest.raises(comfy.Lost) as caught:
            job.wait(60)
        assert caught.value.job_id == job.job_id


def test_a_server_that_dies_is_unreachable_and_the_error_says_how_to_go_on():
    with ComfyServer() as server, connected(server, QUICK) as client:
        job = client.submit(picture_graph(seconds=300))
        until(works_on(server, job))
        server.stop()
        with pytest.raises(comfy.Unreachable) as caught:
            job.wait(60)
        assert job.job_id in caught.value.hint


def test_no_server_is_unreachable_with_the_command_that_starts_one():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        comfy.connect(f"127.0.0.1:{port}", connect_timeout=1) as client,
        pytest.raises(comfy.Unreachable, match=r"main\.py"),
    ):
        client.run(picture_graph())


@pytest.mark.parametrize("old", [False, True])
def test_cancel_hits_exactly_this_job(old):
    with ComfyServer(Faults(no_cancel_endpoint=old)) as server, connected(server) as client:
        running, waiting = client.submit(picture_graph(1, seconds=1)), client.submit(picture_graph(2, seconds=300))
        assert waiting.cancel()
        with pytest.raises(comfy.Cancelled):
            waiting.wait(60)
        assert len(running.wait(60).images) == 1
        third = client.submit(picture_graph(3, seconds=300))
        until(works_on(server, third))
        assert third.cancel()
        with pytest.raises(comfy.Cancelled):
            third.wait(60)
        assert not running.cancel()


def test_a_cancelled_watch_stops_the_job_too():
    with ComfyServer() as server, connected(server) as client:
        cancellation = Cancellation()
        threading.Timer(0.3, cancellation.cancel).start()
        with pytest.raises(RunCancelled):
            client.run(picture_graph(seconds=300), watch=Watch(cancellation=cancellation))
        until(lambda: server.remaining() == 0)


def test_time_limits_leave_the_job_findable():
    with ComfyServer() as server, connected(server) as client:
        job = client.submit(picture_graph(seconds=3))
        with pytest.raises(comfy.TimedOut) as caught:
            job.wait(0.2)
        assert job.job_id in caught.value.hint
        assert len(client.job(job.job_id).wait(60).images) == 1
        assert len(job.wait(60).images) == 1


def test_silence_and_total_limits_are_told_apart():
    for limits, word in ((Limits(total=0.5), "total"), (Limits(silence=0.6), "silence")):
        with ComfyServer(Faults(drop_types=frozenset({"progress"}))) as server, connected(server) as client:
            client.limits = limits
            with pytest.raises(comfy.TimedOut) as caught:
                client.run(picture_graph(seconds=300))
            assert caught.value.limit == word


def test_another_process_finds_a_job_again_with_its_titles():
    with ComfyServer() as server, connected(server) as first, connected(server) as second:
        job = first.submit(picture_graph(seconds=0.5))
        result = second.wait_for_completion(job.job_id, timeout=60)
        assert result["Final"].node_id == "3"
        with pytest.raises(comfy.Lost):
            second.job("00000000-0000-4000-8000-000000000000")


def test_a_cached_file_that_is_gone_is_made_again():
    with ComfyServer(Faults(lose_files=1)) as server, connected(server) as client:
        result = client.run(picture_graph())
        assert len(result.images) == 1
        assert len(server.submissions) == 2
        assert "made again" in result.warnings[0]


def test_files_that_stay_gone_are_an_error():
    with ComfyServer(Faults(lose_files=99)) as server, connected(server) as client, pytest.raises(comfy.Partial):
        client.run(picture_graph())


def test_files_over_the_limit_are_refused():
    with ComfyServer() as server:
        client = comfy.connect(server.url, max_bytes=10)
        with client, pytest.raises(BadAnswer, match="limit"):
            client.run(picture_graph())


def test_pictures_over_the_socket_are_results_and_previews_are_not():
    graph = picture_graph(seconds=0.05)
    graph["3"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["2", 0]}}
    with ComfyServer() as server, connected(server) as client:
        seen = []
        result = client.run(graph, watch=Watch(seen.append))
        assert [o.mime for o in result.outputs] == ["image/png"]
        assert any(isinstance(e, events.Preview) for e in seen)


def test_every_kind_of_output_is_there_by_title_and_type():
    graph = picture_graph()
    graph["4"] = {"class_type": "SaveAudio", "inputs": {"filename_prefix": "audio/ü x"}}
    graph["5"] = {"class_type": "SaveText", "inputs": {"text": "héllo", "filename_prefix": "t"}}
    with ComfyServer() as server, connected(server) as client:
        result = client.run(graph)
        assert [o.media_type for o in result.outputs] == ["image", "audio", "text", "text"]
        assert result.texts == ("héllo",)
        with pytest.raises(comfy.SeveralOutputs):
            result["5"]
        assert len(result.all("SaveText")) == 2


def test_the_token_goes_to_the_server_and_to_nobody_else(caplog):
    token = "s3cret-token"
    with ComfyServer() as other, ComfyServer(Faults(token=token)) as server:
        with connected(server) as stranger, pytest.raises(Refused):
            stranger.run(picture_graph())
        client = connected(server, auth=comfy.bearer(token))
        with client:
            assert len(client.run(picture_graph()).images) == 1
            server.faults.redirect_files = f"{other.url}/view?filename=x"
            with pytest.raises(comfy.ComfyError):
                client.run(picture_graph(7))
        assert "authorization" not in other.headers
        assert token not in repr(client) + repr(client.access) + caplog.text + json.dumps(client.access.url)


def test_files_are_named_by_content_and_sent_once():
    with ComfyServer() as server, connected(server) as client:
        first, again = client.upload(b"\x89PNG\r\n\x1a\nabc"), client.upload(b"\x89PNG\r\n\x1a\nabc")
        assert first == again
        with connected(server) as other:
            assert other.upload(b"\x89PNG\r\n\x1a\nabc") == first
        assert len(server.uploads) == 1


def test_a_job_belongs_to_its_run_and_is_announced_before_it_is_sent():
    with ComfyServer() as server, connected(server) as client:
        told = []
        job = client.submit(
            picture_graph(), run_id="r1", before=lambda url, i: told.append((url, i, len(server.submissions)))
        )
        job.wait(60)
        assert told == [(client.url, job.job_id, 0)]
        assert server.history[job.job_id][1]["prompt"][3]["aipipe"] == {"run_id": "r1"}

        def refuse(url, job_id):
            raise RuntimeError("disk full")

        with pytest.raises(RuntimeError):
            client.submit(picture_graph(), before=refuse)
        assert len(server.submissions) == 1


def test_progress_tells_queue_place_node_title_and_steps():
    with ComfyServer() as server, connected(server) as client:
        client.submit(picture_graph(1, seconds=3))
        seen = list(client.submit(picture_graph(2, seconds=0.4)).events())
        assert any(isinstance(e, events.QueueChanged) and e.position == 1 for e in seen)
        steps = [e for e in seen if isinstance(e, events.NodeProgress) and e.maximum == 4]
        assert [e.value for e in steps] == [1, 2, 3, 4]
        assert steps[-1].rate > 0
        assert {e.title for e in seen if isinstance(e, events.NodeProgress)} >= {"Sleep", "Final"}


def test_ctrl_c_leaves_the_job_running_and_says_how_to_find_it():
    with ComfyServer() as server, connected(server) as client:
        job = client.submit(picture_graph(seconds=1))
        told = []

        def interrupt(event):
            told.append(event)
            if isinstance(event, events.NodeProgress):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt) as caught:
            job.wait(60, Watch(interrupt))
        assert job.job_id in caught.value.__notes__[0]
        assert len(client.job(job.job_id).wait(60).images) == 1


def test_an_output_lives_longer_than_its_result():
    with ComfyServer() as server, connected(server) as client:
        picture = client.run(picture_graph()).images[0]
        gc.collect()
        assert picture.pil.size == (8, 8)
        folder = picture.path.parent
        del picture
        gc.collect()
        assert not folder.exists()


def test_a_job_can_be_awaited_in_a_running_loop():
    async def several(client):
        jobs = [client.submit(picture_graph(color, seconds=0.1)) for color in range(3)]
        return await asyncio.gather(*jobs)

    with ComfyServer() as server, ComfyServer() as other:
        with connected(server) as client:
            assert [len(result.images) for result in asyncio.run(several(client))] == [1, 1, 1]
        with comfy.connect(server.url, other.url) as pool:
            assert len(asyncio.run(several(pool))) == 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I", "I;16", "RGB", "RGBA"])
def test_pictures_go_up_in_a_form_that_every_server_reads(mode):
    import io

    from PIL import Image

    value = 200 * 256 if mode.startswith("I") else 200
    picture = Image.new("L", (4, 3), 200).convert(mode) if "I" not in mode else Image.new(mode, (4, 3), value)
    with Image.open(io.BytesIO(comfy.File.of(picture).data)) as sent:
        assert sent.mode == ("RGBA" if "A" in mode else "RGB")
        assert abs(sent.getpixel((0, 0))[0] - (255 if mode == "1" else 200)) <= 1


@pytest.mark.parametrize(
    ("kind", "white"), [("uint8", 255), ("uint16", 65_535), ("int64", 900), ("float32", 1.0), ("bool", True)]
)
def test_arrays_of_every_kind_go_up_as_pictures(kind, white):
    import io

    import numpy as np
    from PIL import Image

    array = np.zeros((3, 4), kind)
    array[1, 1] = white
    with Image.open(io.BytesIO(comfy.File.of(array).data)) as sent:
        assert [sent.getpixel(place) for place in ((0, 0), (1, 1))] == [(0, 0, 0), (255, 255, 255)]


def test_a_mask_is_white_or_transparent_where_it_hides():
    import io

    from PIL import Image

    white = Image.new("L", (4, 3), 0)
    white.putpixel((1, 1), 255)
    with Image.open(io.BytesIO(comfy.File.of(white, mask_of="a.png").data)) as sent:
        assert [sent.getpixel(place)[3] for place in ((0, 0), (1, 1))] == [255, 0]
    clear = Image.new("RGBA", (4, 3), (9, 9, 9, 0))
    with Image.open(io.BytesIO(comfy.File.of(clear, mask_of="a.png").data)) as sent:
        assert sent.getpixel((0, 0))[3] == 0
    with pytest.raises(InvalidInput, match="no picture"):
        comfy.File.of(b"words", mask_of="a.png")


def test_an_address_is_fetched_and_sent_as_a_file():
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": ""}}, "2": picture_graph()["3"]}
    graph["2"]["inputs"]["images"] = ["1", 0]
    with ComfyServer() as server, connected(server) as client:
        made = client.run(picture_graph()).images[0]
        address = f"{server.url}/view?filename={made.filename}&subfolder=&type=output"
        client.run(comfy.Workflow(graph).with_inputs({"LoadImage.image": address}))
        assert made.read() in [data for (place, _, _), data in server.files.items() if place == "input"]

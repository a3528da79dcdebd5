"""Several servers: least loaded, bounded, capable; jobs that have not started move on."""

import time

import pytest

from aipipe import comfy, events
from aipipe.comfy.machine import Limits
from aipipe.errors import InvalidSettings, UsageError
from aipipe.events import Watch
from aipipe.runners import build
from aipipe.runners.base import JobRef, MediaRequest
from aipipe.settings import RunnerSettings
from aipipe.testing.comfy_server import ComfyServer, Faults, picture_graph

QUICK = Limits(lost=0.6, late=2.0, unreachable=2.0, poll=0.2)


def test_jobs_spread_over_servers_and_all_come_back():
    with ComfyServer() as one, ComfyServer() as two, comfy.connect(one.url, two.url) as pool:
        jobs = [pool.submit(picture_graph(n, seconds=0.1), limits=QUICK) for n in range(12)]
        results = [job.wait(30) for job in jobs]
        assert len({r.images[0].sha256 for r in results}) == 12
        assert len(one.submissions) + len(two.submissions) == 12
        assert min(len(one.submissions), len(two.submissions)) >= 3


def test_a_server_never_has_more_than_a_few_jobs_waiting():
    with ComfyServer() as one, ComfyServer() as two, comfy.connect(one.url, two.url) as pool:
        jobs = [pool.submit(picture_graph(n, seconds=2), limits=QUICK) for n in range(10)]
        time.sleep(0.5)
        assert one.remaining() <= pool.depth
        assert two.remaining() <= pool.depth
        assert jobs[-1].status == "waiting"
        assert jobs[-1].cancel()
        with pytest.raises(comfy.Cancelled):
            jobs[-1].wait(5)


def test_jobs_that_have_not_started_move_when_their_server_dies(monkeypatch):
    monkeypatch.setattr("aipipe.comfy.pooljob.QUICK", 1.0)
    with ComfyServer() as one, ComfyServer() as two, comfy.connect(one.url, two.url) as pool:
        jobs = [pool.submit(picture_graph(n, seconds=0.8), limits=QUICK) for n in range(4)]
        moving = [j for j in jobs if j.server.url == one.url][-1]
        one.stop()
        seen = []
        assert len(moving.wait(20, Watch(seen.append)).images) == 1
        assert moving.job_id in two.submissions
        assert any(isinstance(e, events.Notice) and "another server" in e.message for e in seen)


def test_a_graph_that_no_server_can_run_is_rejected_at_once_by_name():
    graph = {**picture_graph(), "8": {"class_type": "Nowhere", "inputs": {}}}
    with ComfyServer() as one, ComfyServer() as two, comfy.connect(one.url, two.url) as pool:
        with pytest.raises(comfy.Rejected) as caught:
            pool.submit(graph)
        assert "Nowhere" in str(caught.value)


def test_a_dead_server_is_left_out_and_none_is_unreachable():
    with ComfyServer() as two:
        one = ComfyServer()
        one.__enter__().stop()
        with comfy.connect(one.url, two.url, connect_timeout=1) as pool:
            assert len(pool.run(picture_graph()).images) == 1
    with comfy.connect(one.url, two.url, connect_timeout=1) as pool, pytest.raises(comfy.Unreachable):
        pool.run(picture_graph())


@pytest.mark.parametrize("address", ["ftp://x", "", "http://", "http://x:notaport"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UsageError):
        comfy.connect(address)


def test_credentials_in_an_address_are_in_no_text():
    server = comfy.connect("https://anna:pa55@host:8443/base/?token=t0p")
    assert server.url == "https://host:8443/base"
    assert "pa55" not in repr(server) + repr(server.access)
    assert server.access.request_headers()["Authorization"].startswith("Basic ")
    assert server.access.socket("me").startswith("wss://host:8443/base/ws?token=t0p")


def test_a_missing_token_variable_is_named(monkeypatch):
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    with pytest.raises(InvalidSettings, match="NO_SUCH_TOKEN"):
        comfy.bearer(env="NO_SUCH_TOKEN")


def request(**more):
    values = {
        "output_config": "fake",
        "media_type": "image",
        "prompt": "a heron",
        "run_id": "run-1",
        "seed": 5,
        "workflow": {
            **picture_graph(),
            "4": {"class_type": "SaveText", "inputs": {"text": "", "filename_prefix": "t"}},
        },
        "inputs": {
            "prompt": {"node_id": "4", "field": "inputs.text", "default": None},
            "steps": {"node_id": "2", "field": "inputs.steps", "default": 2},
        },
        "output": {"node_id": "3"},
    }
    return MediaRequest(**{**values, **more})


def runner_of(server):
    return build("comfyui", RunnerSettings(kind="comfyui", urls=[server.url]), local=True)


def test_the_runner_fills_the_graph_records_the_job_first_and_returns_the_file():
    with ComfyServer() as server:
        runner, told = runner_of(server), []
        result = runner.generate(
            request(parameters={"steps": 3}, record_job=lambda j: told.append((j, len(server.submissions)))), Watch()
        )
        assert told == [(result.job, 0)]
        assert result.request["graph"]["4"]["inputs"]["text"] == "a heron"
        assert result.parameters == {"steps": 3}
        assert result.facts["comfyui_version"] == "0.30.0-fake"
        assert result.facts["custom_nodes"] == ["fake-pack"]
        with result.files[0].open() as stream:
            assert stream.read(4) == b"\x89PNG"
        probe = runner.probe()
        assert probe.ok
        assert probe.models == ("fake.safetensors",)
        runner.close()


def test_the_runner_finds_the_job_of_an_earlier_attempt_and_submits_only_without():
    with ComfyServer() as server:
        runner = runner_of(server)
        first = runner.generate(request(), Watch())
        again = runner.generate(request(job=first.job), Watch())
        assert again.job == first.job
        assert len(server.submissions) == 1
        runner.generate(request(job=JobRef(server.url, "00000000-0000-4000-8000-000000000000")), Watch())
        assert len(server.submissions) == 2
        runner.close()


def test_the_runner_refuses_media_of_another_kind_and_unknown_parameters():
    from aipipe.errors import BadMedia, InvalidInput

    with ComfyServer(Faults()) as server:
        runner = runner_of(server)
        with pytest.raises(BadMedia, match="video"):
            runner.generate(request(media_type="video"), Watch())
        with pytest.raises(InvalidInput, match="stepz"):
            runner.generate(request(parameters={"stepz": 3}), Watch())
        runner.close()
    assert not runner.probe().ok

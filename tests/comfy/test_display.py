"""What jobs and results show in a notebook."""

import pytest

from aipipe import comfy
from aipipe.testing import ComfyServer
from aipipe.testing.comfy_server import picture_graph


@pytest.mark.parametrize("servers", [1, 2])
def test_a_job_says_how_far_it_is_and_how_it_is_found_again(servers):
    with ComfyServer() as one, ComfyServer() as two, comfy.connect(*[one.url, two.url][:servers]) as server:
        job = server.submit(picture_graph(seconds=0.1))
        waiting = job._repr_mimebundle_()
        job.wait(20)
        done = job._repr_mimebundle_()
    assert job.job_id in waiting["text/html"]
    assert f"server.job({job.job_id!r})" in waiting["text/plain"]
    assert "completed" in done["text/html"]
    assert "<script" not in done["text/html"]


def test_a_finished_job_shows_what_it_made():
    with ComfyServer() as one, comfy.connect(one.url) as server:
        job = server.submit(picture_graph())
        job.wait(20)
        assert "data:image/png;base64," in job._repr_mimebundle_()["text/html"]

"""Rating tasks behind a link: one rater each, blind, and nothing else of the server."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

import aipipe
from aipipe.errors import EntityNotFound, UsageError
from tests.api.conftest import Serve, Served

TOKEN = "operator-secret"


@pytest.fixture
def task(tmp_path: Path) -> aipipe.RatingTask:
    store = aipipe.samples(tmp_path / "runs")
    return aipipe.RatingTask("surprise", store, criteria=["surprise"], order_seed=1)


@pytest.fixture
def served(task: aipipe.RatingTask, serve: Serve) -> Served:
    return serve(locked=True, token=TOKEN)


def rater(served: Served, name: str = "anna", task: str = "surprise") -> tuple[httpx.Client, str]:
    """A client without any token, and the path of its link."""
    with aipipe.connect(served.url, token=TOKEN) as operator:
        link = operator.rating_links(task, [name])[name]
    return httpx.Client(base_url=served.url), urlsplit(link).path


def test_a_rater_needs_only_the_link_and_gets_nothing_else(served: Served, task: aipipe.RatingTask) -> None:
    client, path = rater(served)
    with client:
        assert client.get(path).status_code == 200
        state = client.get(f"{path}/state").json()
        assert (state["task"]["count"], state["done"]) == (len(task.items), [])
        for position, token in enumerate(state["tokens"][:3]):
            assert client.get(f"{path}/items/{token}").status_code == 200
            answer = {"answers": {"surprise": 5}, "position": position, "seconds": 1.5, "comment": "hm"}
            assert client.post(f"{path}/items/{token}", json=answer).json() == {"status": "saved"}
        assert client.get(f"{path}/state").json()["done"] == [0, 1, 2]
        assert client.get("/api/runs").status_code == 401
        assert client.post("/api/ratings/surprise/links", json={"raters": ["eve"]}).status_code == 401
    ratings = aipipe.load_ratings(task.root)
    assert list(ratings["value"]) == [5, 5, 5]
    assert set(ratings["rater"]) == {"anna"}
    assert [shown.position for shown in task.order("anna")][:3] == list(ratings["position"])


def test_wrong_links_and_answers_change_nothing(served: Served, task: aipipe.RatingTask) -> None:
    client, path = rater(served)
    with client:
        state = client.get(f"{path}/state").json()
        item = f"{path}/items/{state['tokens'][0]}"
        for wrong in (path.replace("anna", "ben"), path[:-1] + ("0" if path[-1] != "0" else "1"), path + "x"):
            assert client.get(f"{wrong}/state").status_code in (400, 404)
        assert client.get(f"{path}/items/{'0' * 16}").status_code == 404
        for answers in ({"surprise": 9}, {"surprise": "left"}, {}, {"other": 1}):
            assert client.post(item, json={"answers": answers}).status_code == 400
        assert client.post(item, json={"answers": {"surprise": 1}}, headers={"origin": "http://x"}).status_code == 403
    assert not (task.folder / "anna.jsonl").exists()
    with aipipe.connect(served.url, token=TOKEN) as operator:
        with pytest.raises(EntityNotFound):
            operator.rating_links("another", ["anna"])
        with pytest.raises(UsageError):
            operator.rating_links("surprise", ["../anna"])


def test_visitors_hand_out_no_links(served: Served) -> None:
    with httpx.Client(base_url=served.url, follow_redirects=True) as visitor:
        visitor.get("/join", params={"code": served.server.access.join_code})
        assert visitor.post("/api/ratings/surprise/links", json={"raters": ["a"]}).status_code == 403


def test_nothing_that_is_served_names_the_condition(served: Served, task: aipipe.RatingTask) -> None:
    names = {r.config_name for r in aipipe.samples(task.root)} | {i.run_id for i in task.items}
    names |= {i.sha256 for i in task.items}
    client, path = rater(served)
    with client:
        answers: list[Any] = [client.get(path), client.get(f"{path}/state")]
        answers += [client.get(f"{path}/items/{token}") for token in answers[1].json()["tokens"]]
    for answer in answers:
        text = answer.text + json.dumps(dict(answer.headers))
        pictures = b"".join(map(base64.b64decode, answer.json()["pictures"])) if "/items/" in str(answer.url) else b""
        assert [name for name in names if name in text or name.encode() in pictures] == []


def test_a_task_is_opened_by_its_name_and_knows_its_pairs(task: aipipe.RatingTask) -> None:
    pairs = aipipe.RatingTask("pairs", task.root, criteria=["c"], kind="pairwise", order_seed=2)
    again = aipipe.RatingTask.open("pairs", task.root)
    assert again.definition() == pairs.definition()
    assert again.order("anna") == pairs.order("anna")
    for wrong in ("nothing", "../pairs", ""):
        with pytest.raises(EntityNotFound):
            aipipe.RatingTask.open(wrong, task.root)

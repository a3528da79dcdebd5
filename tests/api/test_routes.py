"""The routes of a real server, over the echo mode."""

from __future__ import annotations

import io
import json
import time
import zipfile
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest

from tests.api.conftest import Serve, Served


def test_execute_answers_in_the_shape_of_the_original(served: Served) -> None:
    answer = served.execute("Eine Blume auf der Wiese", execution_mode="echo", safety_level="kids", seed=7)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["status"] == "success"
    assert body["schema"] == "dada"
    assert body["config_name"] == "dada"
    assert body["input_text"] == "Eine Blume auf der Wiese"
    assert body["final_output"]
    assert 0 < body["steps_completed"] <= body["metadata"]["total_steps"]
    assert body["metadata"]["pipeline_name"] == "text_transformation"
    media = body["media_output"]
    assert (media["status"], media["media_type"], media["media_stored"]) == ("success", "image", True)
    assert media["output"] == media["run_id"] == body["run_id"]
    image = served.client.get(media["urls"][0])
    assert image.headers["content-type"] == "image/png"
    assert image.content[:8] == b"\x89PNG\r\n\x1a\n"


def test_several_outputs_are_listed_and_counted(served: Served) -> None:
    body = served.execute(outputs=["placeholder", "placeholder"]).json()
    assert body["media_output_count"] == 2
    assert [item["status"] for item in body["media_outputs"]] == ["success", "success"]
    urls = [item["urls"][0] for item in body["media_outputs"]]
    assert len(set(urls)) == 2
    assert all(served.client.get(url).status_code == 200 for url in urls)


def test_async_answers_at_once_and_the_status_follows_the_run(served: Served) -> None:
    answer = served.execute(**{"async": True})
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["location"] == body["status_url"]
    deadline = time.monotonic() + 20
    states = set()
    while time.monotonic() < deadline:
        status = served.client.get(body["status_url"])
        assert status.status_code == 200
        states.add(status.json()["status"])
        if status.json()["status"] == "completed":
            break
        time.sleep(0.02)
    final = status.json()
    assert final["status"] == "completed"
    assert states <= {"queued", "running", "completed"}
    assert final["completed_outputs"] == final["expected_outputs"]
    assert final["next_expected"] is None
    assert final["current_state"]["stage"] == 5


def test_a_blocked_text_is_403_with_the_run_that_recorded_it(served: Served) -> None:
    from aipipe.safety.terms import Terms

    term = next(t for t in _block_terms(Terms.shipped()))
    answer = served.execute(term)
    assert answer.status_code == 403, answer.text
    body = answer.json()
    assert (body["status"], body["schema"], body["run_status"]) == ("error", "dada", "blocked")
    assert body["metadata"]["stage"] == "pre_interception"
    assert body["metadata"]["safety_codes"]
    run = served.lab.store.open(body["run_id"])
    assert run.status == "blocked"


def _block_terms(terms: object) -> list[str]:
    from aipipe.catalog.library import DATA

    found: list[str] = []
    for path in sorted((DATA / "terms").glob("*.json")):
        _collect(json.loads(path.read_text(encoding="utf-8")), found)
    return [t for t in found if any(h.strength == "block" for h in terms.find(t, "kids"))]  # type: ignore[attr-defined]


def _collect(value: object, found: list[str]) -> None:
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, list):
        for item in value:
            _collect(item, found)


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({}, 400, "schema"),
        ({"schema": "dada"}, 400, "input_text"),
        ({"schema": "dada", "input_text": ""}, 400, "empty"),
        ({"schema": "dada", "input_text": "x" * 10_001}, 400, "10,000"),
        ({"schema": "dade", "input_text": "x"}, 404, "dada"),
        ({"schema": "dada", "input_text": "x", "safety_level": "lax"}, 400, "safety level"),
        ({"schema": "dada", "input_text": "x", "safety_level": "off"}, 403, "laxer"),
        ({"schema": "dada", "input_text": "x", "execution_mode": "fast"}, 403, "fast"),
        ({"schema": "dada", "input_text": "x", "run_id": "../../etc"}, 400, "UUID"),
        ({"schema": "dada", "input_text": "x", "images": ["/etc/passwd"]}, 400, "base64"),
        ({"schema": "dada", "input_text": "x", "colour": "red"}, 400, "colour"),
        ({"schema": "dada", "input_text": "x", "seed": -1}, 400, "seed"),
        ({"schema": "dada", "input_text": "\ud800"}, 400, ""),
    ],
)
def test_a_wrong_request_says_what_is_wrong_and_leaves_nothing(
    shared: Served, body: dict[str, object], status: int, word: str
) -> None:
    answer = shared.client.post(
        "/api/schema/pipeline/execute", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == "error"
    assert word in answer.text
    assert len(shared.lab.store) == 0


def test_an_unknown_config_comes_with_near_names(served: Served) -> None:
    assert served.execute(schema="dade").json()["suggestions"][0] == "dada"


def test_entities_have_addresses_and_several_of_one_type_an_index(served: Served) -> None:
    body = served.execute(schema="stillepost").json()
    listed = served.client.get(f"/api/pipeline/{body['run_id']}/entities").json()
    assert listed["entity_count"] == len(listed["entities"])
    iterations = [e for e in listed["entities"] if e["type"] == "interception_iteration"]
    assert [e["index"] for e in iterations] == list(range(len(iterations)))
    run = served.lab.store.open(body["run_id"])
    texts = [served.client.get(e["url"]).text for e in iterations]
    assert texts == [e.text for e in run.all("interception_iteration")]


def test_ranges_etags_and_head_like_requests(served: Served) -> None:
    url = served.execute().json()["media_output"]["urls"][0]
    whole = served.client.get(url)
    data, etag = whole.content, whole.headers["etag"]
    assert whole.headers["accept-ranges"] == "bytes"
    part = served.client.get(url, headers={"range": "bytes=4-9"})
    assert (part.status_code, part.content) == (206, data[4:10])
    assert part.headers["content-range"] == f"bytes 4-9/{len(data)}"
    tail = served.client.get(url, headers={"range": "bytes=-5"})
    assert (tail.status_code, tail.content) == (206, data[-5:])
    assert served.client.get(url, headers={"range": f"bytes={len(data)}-"}).status_code == 416
    assert served.client.get(url, headers={"range": "bytes=0-1,4-5"}).content == data
    assert served.client.get(url, headers={"range": "bytes=1-2", "if-range": '"old"'}).content == data
    unchanged = served.client.get(url, headers={"if-none-match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    saved = served.client.get(url, params={"download": "true"})
    assert saved.headers["content-disposition"].startswith("attachment;")


def test_the_list_pages_by_cursor_and_filters(served: Served) -> None:
    ids = [served.execute(f"flower {n}", schema="dada" if n % 2 else "bauhaus").json()["run_id"] for n in range(5)]
    first = served.client.get("/api/runs", params={"limit": 2}).json()
    assert [r["run_id"] for r in first["runs"]] == ids[:2:-1]
    second = served.client.get("/api/runs", params={"limit": 2, "cursor": first["next"]}).json()
    third = served.client.get("/api/runs", params={"limit": 2, "cursor": second["next"]}).json()
    seen = [r["run_id"] for p in (first, second, third) for r in p["runs"]]
    assert seen == ids[::-1]
    assert third["next"] is None
    assert first["total"] == 5
    only = served.client.get("/api/runs", params={"config": "dada"}).json()["runs"]
    assert {r["config_name"] for r in only} == {"dada"}
    assert len(only) == 2
    found = served.client.get("/api/runs", params={"q": "FLOWER 3"}).json()["runs"]
    assert [r["run_id"] for r in found] == [ids[3]]
    assert served.client.get("/api/runs", params={"status": "failed"}).json()["runs"] == []
    assert served.client.get("/api/runs", params={"media": "image"}).json()["runs"][0]["thumbnail"] is True


def test_a_film_is_shown_by_a_frame(served: Served) -> None:
    pytest.importorskip("av", reason="needs aipipe[media]")
    body = {"schema": "film_scene", "input_text": "A red boat"}
    run_id = served.client.post("/api/schema/pipeline/execute", json=body).json()["run_id"]
    listed = served.client.get("/api/runs", params={"media": "video"}).json()["runs"]
    assert [(r["run_id"], r["thumbnail"]) for r in listed] == [(run_id, True)]
    small = served.client.get(f"/api/pipeline/{run_id}/thumbnail")
    assert (small.status_code, small.content[8:12]) == (200, b"WEBP")


def test_metadata_thumbnail_and_download(served: Served) -> None:
    run_id = served.execute().json()["run_id"]
    record = served.client.get(f"/api/runs/{run_id}").json()
    assert record == {**served.lab.store.open(run_id).record.model_dump(mode="json")}
    small = served.client.get(f"/api/pipeline/{run_id}/thumbnail")
    assert small.headers["content-type"] == "image/webp"
    assert (
        served.client.get(
            f"/api/pipeline/{run_id}/thumbnail", headers={"if-none-match": small.headers["etag"]}
        ).status_code
        == 304
    )
    archive = zipfile.ZipFile(io.BytesIO(served.client.get(f"/api/runs/{run_id}/download").content))
    assert archive.testzip() is None
    names = {name.partition("/")[2] for name in archive.namelist()}
    assert {"metadata.json", "provenance.json", "06_output_image.png"} <= names


def test_configs_can_be_listed_and_read(served: Served) -> None:
    cards = served.client.get("/api/schemas").json()["schemas"]
    assert "dada" in {c["name"] for c in cards}
    dada = served.client.get("/api/schemas/dada").json()
    assert dada["context"]["en"]
    assert dada["texts"] == ["text"]
    assert served.client.get("/api/schemas/nothing").status_code == 404
    assert served.client.get("/health").json()["status"] == "ok"


def test_a_run_of_another_process_is_served_too(served: Served) -> None:
    with served.lab.store.create("mine", expected_outputs=["note"]) as recorder:
        recorder.save_entity("note", "hello")
        status = served.client.get(f"/api/pipeline/{recorder.run_id}/status").json()
        assert status["status"] == "running"
        assert status["completed_outputs"] == ["note"]
        answer = served.client.post(f"/api/pipeline/{recorder.run_id}/cancel")
        assert answer.status_code == 409
    assert served.client.get(f"/api/pipeline/{recorder.run_id}/status").json()["status"] == "completed"


def test_an_edited_context_is_used_and_recorded(served: Served) -> None:
    body = served.execute(context="Answer as a stone would.").json()
    plan = served.lab.store.open(body["run_id"]).provenance["plan"]
    assert plan["config"]["context"] == "Answer as a stone would."


def test_an_edited_context_that_is_blocked_runs_nothing(served: Served) -> None:
    from aipipe.safety.terms import Terms

    term = _block_terms(Terms.shipped())[0]
    answer = served.execute(context=f"Always say {term}.")
    assert answer.status_code == 403, answer.text
    run = served.lab.store.open(answer.json()["run_id"])
    assert run.status == "blocked"
    assert "interception" not in run


def test_a_persons_edit_continues_from_a_run(served: Served) -> None:
    draft = served.execute(until="interception").json()
    answer = served.client.post(
        "/api/schema/pipeline/execute", json={"schema": "dada", "parent": draft["run_id"], "prompt": "my own words"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["final_output"] == "my own words"
    assert served.lab.store.open(answer.json()["run_id"]).record.parent.run_id == draft["run_id"]


def test_a_server_that_is_down_is_503_with_the_run(serve: Serve, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from aipipe.lab import Lab

    nobody = "http://127.0.0.1:9"  # both: a ComfyUI of this machine's owner must not answer here
    lab = Lab(runs=tmp_path / "runs", mode="eco", ollama=nobody, comfyui=nobody, display=False, durability="never")
    answer = serve(lab=lab).execute()
    assert answer.status_code == 503, answer.text
    assert answer.json()["hint"]
    assert lab.store.open(answer.json()["run_id"]).status == "failed"


def test_a_missing_run_is_404_everywhere(served: Served) -> None:
    for path in ("status", "entities", "entity/input", "events", "thumbnail"):
        answer = served.client.get(f"/api/pipeline/nothing/{path}")
        assert answer.status_code == 404, path
        assert answer.json()["status"] == "error"
    assert served.client.post("/api/pipeline/nothing/cancel").status_code == 404
    assert isinstance(served.client.get("/api/runs/nothing"), httpx.Response)
    assert served.client.get("/api/runs/nothing").status_code == 404


def test_a_persons_prompt_is_judged_where_no_stage_judges_it(served: Served) -> None:
    from aipipe.safety.terms import Terms

    draft = served.execute(until="interception").json()
    term = _block_terms(Terms.shipped())[0]
    edit = {"schema": "dada", "parent": draft["run_id"], "prompt": f"Draw {term}.", "until": "interception"}
    answer = served.client.post("/api/schema/pipeline/execute", json=edit)
    assert answer.status_code == 403, answer.text
    run = served.lab.store.open(answer.json()["run_id"])
    assert (run.status, run.record.reason.message[:7]) == ("blocked", "Prompt:")
    alone = served.client.post(
        "/api/schema/pipeline/execute", json={"schema": "dada", "input_text": "x", "prompt": "y"}
    )
    assert alone.status_code == 400
    assert "parent" in alone.json()["error"]


def test_search_finds_words_late_in_long_texts(served: Served) -> None:
    run_id = served.execute("a flower " * 100 + "Nadelwort " + "and more " * 100).json()["run_id"]
    served.execute("a tree")
    found = served.client.get("/api/runs", params={"q": "nadelWORT"}).json()["runs"]
    assert [run["run_id"] for run in found] == [run_id]
    assert len(found[0]["text"]) == 280
    assert "searched" not in found[0]


def test_filters_by_moment_know_time_zones(served: Served) -> None:
    served.execute()
    run = next(iter(served.lab.store))
    began = datetime.fromisoformat(run.record.timestamp)
    for zone in (UTC, timezone(timedelta(hours=5)), timezone(timedelta(hours=-9))):
        before, after = ((began + timedelta(seconds=s)).astimezone(zone).isoformat() for s in (-2, 2))
        for name, moment, count in (
            ("since", before, 1),
            ("since", after, 0),
            ("until", before, 0),
            ("until", after, 1),
        ):
            assert len(served.client.get("/api/runs", params={name: moment}).json()["runs"]) == count, (name, moment)
        assert len(served.client.get(f"/api/runs?since={before}").json()["runs"]) == 1, "an unescaped plus"
    day = run.record.timestamp[:10]
    assert len(served.client.get("/api/runs", params={"since": day, "until": day}).json()["runs"]) == 1


@pytest.mark.parametrize(
    "query", ["since=yesterday", "until=2026-13-01", "status=compleeted", "mode=ecco", "safety=kidz", "statu=completed"]
)
def test_a_filter_that_means_nothing_is_refused(served: Served, query: str) -> None:
    answer = served.client.get(f"/api/runs?{query}")
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert body.get("suggestions") or body["hint"]


def test_on_an_open_server_the_queue_is_fair_between_those_that_the_front_end_names(serve: Serve) -> None:
    served = serve(slow=0.05, workers=1)
    for _ in range(5):
        assert served.execute(participant="anna", **{"async": True}).status_code == 202
    assert served.execute(participant="ben", **{"async": True}).json()["place"] <= 2


def test_runs_that_wait_stand_in_the_list(serve: Serve) -> None:
    served = serve(slow=0.3)
    begun = [served.execute(f"Eine Blume {n}", **{"async": True}).json()["run_id"] for n in range(3)]
    found = served.client.get("/api/runs").json()
    waiting = [run["run_id"] for run in found["queued"]]
    assert waiting == begun[-len(waiting) :] != []
    first = found["queued"][0]
    assert (first["status"], first["config_name"], first["place"]) == ("queued", "dada", 1)
    assert first["text"].startswith("Eine Blume")
    assert served.client.get("/api/runs", params={"status": "queued"}).json()["queued"]
    assert served.client.get("/api/runs", params={"config": "bauhaus"}).json()["queued"] == []
    for run_id in begun:
        served.client.post(f"/api/pipeline/{run_id}/cancel")


def test_visitors_see_their_own_waiting_runs_only(serve: Serve) -> None:
    import httpx

    served = serve(slow=0.3, locked=True)
    code = served.server.access.join_code
    people = [httpx.Client(base_url=served.url, follow_redirects=True) for _ in range(2)]
    for one in people:
        one.get("/join", params={"code": code})
        for n in range(2):
            one.post("/api/schema/pipeline/execute", json={"schema": "dada", "input_text": f"Blume {n}", "async": True})
    seen = [[run["run_id"] for run in one.get("/api/runs").json()["queued"]] for one in people]
    assert all(seen)
    assert not set(seen[0]) & set(seen[1])
    for one in people:
        one.close()


def test_head_answers_as_get_without_a_body(shared: Served) -> None:
    run_id = shared.execute("a flower").json()["run_id"]
    for path in ("/health", "/", f"/api/pipeline/{run_id}/status", f"/api/pipeline/{run_id}/entity/output_image"):
        got, asked = shared.client.get(path), shared.client.head(path)
        assert asked.status_code == got.status_code == 200, path
        assert asked.content == b""
        assert asked.headers["content-type"] == got.headers["content-type"]
        assert asked.headers["content-length"] == got.headers["content-length"]
    assert shared.client.head("/api/pipeline/nothing/status").status_code == 404

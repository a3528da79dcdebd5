"""Rating tasks: orders, answers, resuming, packed pages; and that nothing names the condition."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

import aipipe
from aipipe.errors import InvalidInput, UsageError
from aipipe.ui.rating import RatingTask, key_of
from aipipe.ui.rating_items import Item, pairs_of, sampled
from aipipe.ui.rating_page import STATIC_PLACES, Rater, bare_picture, contents
from tests.ui.made import make_run, picture

SECRET = "condition-dada"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    for number in range(1, 13):
        secret = f"{SECRET}-{number % 3}"
        make_run(
            root, number, config_name=secret, status="completed", input_id=f"i{number % 4}", prompt=f"{secret} words",
            tags=[secret], labels={"arm": secret},
        )  # fmt: skip
    for path in root.glob("*/03_output_image.png"):
        info = PngImagePlugin.PngInfo()
        info.add_text("prompt", SECRET)
        with Image.open(path) as image:
            exif = image.getexif()
            exif[0x010E] = SECRET
            image.save(path, pnginfo=info, exif=exif)
        rehash(path)
    return root


def rehash(path: Path) -> None:
    import hashlib

    document = json.loads((path.parent / "metadata.json").read_text())
    for entity in document["entities"]:
        if entity["filename"] == path.name:
            entity["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (path.parent / "metadata.json").write_text(json.dumps(document))


def test_orders_are_seeded_differ_by_rater_and_hold_every_item_once(store: Path) -> None:
    task = RatingTask("surprise", store, criteria=["surprise"], order_seed=1)
    anna, ben = task.order("anna"), task.order("ben")
    assert anna == RatingTask("surprise", store, criteria=["surprise"], order_seed=1).order("anna")
    assert anna != ben
    assert {s.item.sha256 for s in anna} == {s.item.sha256 for s in ben} == {i.sha256 for i in task.items}


def test_answers_are_lines_that_load_ratings_reads_and_the_last_one_counts(store: Path) -> None:
    task = RatingTask("looks", store, criteria=["surprise", "beauty"], scale=5)
    first = task.order("anna")[0]
    task.record("anna", first, {"surprise": 2, "beauty": 5}, seconds=1.5)
    task.record("anna", first, {"surprise": 4, "beauty": 5}, comment="changed my mind")
    frame = aipipe.load_ratings(store)
    assert sorted(zip(frame["criterion"], frame["value"], strict=True)) == [("beauty", 5.0), ("surprise", 4.0)]
    assert set(frame["entity_sha256"]) == {first.item.sha256}
    assert len((store / "ratings" / "looks" / "anna.jsonl").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    "answers", [{}, {"surprise": 0}, {"surprise": 8}, {"surprise": True}, {"surprise": "3"}, {"surprise": 2.5}]
)
def test_what_is_not_on_the_scale_is_refused_and_not_recorded(store: Path, answers: dict[str, Any]) -> None:
    task = RatingTask("t", store, criteria=["surprise"])
    with pytest.raises(InvalidInput):
        task.record("anna", task.order("anna")[0], answers)
    assert not (store / "ratings" / "t" / "anna.jsonl").exists()


def test_pairs_compare_within_an_input_and_name_winner_and_loser(store: Path) -> None:
    task = RatingTask("pairs", store, kind="pairwise", criteria=["better"], strata=["config_name"])
    assert all(a.input_id == b.input_id and a.stratum != b.stratum for a, b in task.pairs)
    place = task.order("anna")[0]
    assert place.other is not None
    task.record("anna", place, {"better": "right"})
    row = aipipe.load_ratings(store).iloc[0]
    assert (row["run_id"], row["other_run_id"], row["answer"]) == (place.other.run_id, place.item.run_id, "right")
    with pytest.raises(InvalidInput):
        task.record("anna", place, {"better": 3})


def test_enough_raters_close_an_item_but_not_for_who_judged_it(store: Path) -> None:
    task = RatingTask("t", store, criteria=["c"], raters_per_item=1)
    place = task.order("anna")[3]
    task.record("anna", place, {"c": 1})
    assert place.item not in [s.item for s in task.order("ben")]
    assert task.order("anna")[3].item == place.item


def test_a_frozen_task_is_not_mixed_with_another(store: Path) -> None:
    RatingTask("t", store, criteria=["c"], order_seed=1)
    with pytest.raises(UsageError, match="order_seed"):
        RatingTask("t", store, criteria=["c"], order_seed=2)
    make_run(store, 99, status="completed")
    with pytest.raises(UsageError, match="items"):
        RatingTask("t", store, criteria=["c"], order_seed=1)


@pytest.mark.parametrize(
    "bad",
    [{"name": "../x"}, {"scale": 1}, {"criteria": []}, {"kind": "odd"}, {"kind": "pairwise", "criteria": ["a", "b"]}],
)
def test_tasks_that_cannot_be_are_refused(store: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        RatingTask(**{"name": "t", "source": store, "criteria": ["c"], **bad})


def test_pseudonyms_cannot_leave_the_folder(store: Path) -> None:
    with pytest.raises(UsageError):
        RatingTask("t", store).order("../anna")


def test_the_page_in_a_cell_shows_saves_and_goes_on(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(Rater, "send", lambda self, content, buffers=None: said.append(content))
    task = RatingTask("t", store, criteria=["c"])
    rater = task.rate("anna")
    rater._message(rater, {"type": "show", "position": 0}, [])
    rater._message(rater, {"type": "answer", "position": 0, "answers": {"c": 3}, "seconds": 2}, [])
    rater._message(rater, {"type": "answer", "position": 1, "answers": {"c": 30}}, [])
    rater._message(rater, {"type": "show", "position": 999}, [])
    rater._message(rater, "noise", [])
    assert [content["type"] for content in said] == ["item", "saved", "error"]
    assert rater.done == [0]
    assert task.rate("anna").done == [0]
    assert task.rate("ben").done == []


@pytest.mark.parametrize("kind", ["single", "pairwise"])
def test_nothing_a_rater_gets_names_the_condition(store: Path, tmp_path: Path, kind: str) -> None:
    task = RatingTask(kind, store, kind=kind, criteria=["c"], strata=["config_name"])
    page = task.pack(tmp_path / "anna.html").read_text(encoding="utf-8")
    static = Rater(task, "anna")._repr_mimebundle_()["text/html"]
    assert static.count('alt="picture to rate"') >= 1
    page += static
    names = {SECRET, str(store), *(item.sha256 for item in task.items), *(item.run_id for item in task.items)}
    pictures = re.findall(r'[",]([A-Za-z0-9+/=]{200,})"', page)
    shown = [*task.order("anna"), *task.order("anna")[:STATIC_PLACES]]
    assert len(pictures) == sum(1 if s.other is None else 2 for s in shown)
    decoded = [base64.b64decode(text) for text in pictures]
    live = [contents(task, place) for place in task.order("anna")]
    for name in names:
        assert name not in page
        assert all(name.encode() not in data for data in decoded)
        assert all(name not in json.dumps(parts) for parts, _ in live)
    for data in decoded:
        with Image.open(io.BytesIO(data)) as image:
            assert not image.getexif()
            assert set(image.info) <= {"loop", "background", "timestamp", "duration"}


def test_texts_are_rated_blind_too_unless_asked(tmp_path: Path) -> None:
    make_run(tmp_path / "r", 9, prompt="only words", text="the input", config_name=SECRET)
    blind = RatingTask("blind", tmp_path / "r")
    assert contents(blind, blind.order("anna")[0])[0] == [{"text": "only words", "mime": "", "input": "", "name": ""}]
    seen = RatingTask("open", tmp_path / "r", blind=False, show_input=True)
    assert contents(seen, seen.order("anna")[0])[0] == [
        {"text": "only words", "mime": "", "input": "the input", "name": SECRET}
    ]


def test_answers_of_a_packed_page_come_back_once(store: Path, tmp_path: Path) -> None:
    task = RatingTask("t", store, kind="pairwise", criteria=["c"])
    task.pack(tmp_path / "anna.html")
    order = task.order("anna")
    answers = [
        {"token": task.token("anna", s), "position": s.position, "answers": {"c": "left"}, "seconds": 1}
        for s in order[:3]
    ]
    back = tmp_path / "t-anna.json"
    back.write_text(json.dumps({"task": "t", "rater": "anna", "answers": answers}))
    assert task.collect(back) == 3
    assert task.collect([back]) == 0
    frame = aipipe.load_ratings(store)
    assert sorted(frame["run_id"]) == sorted(s.item.run_id for s in order[:3])
    back.write_text(json.dumps({"task": "t", "rater": "ben", "answers": answers}))
    with pytest.raises(InvalidInput, match="not asked"):
        task.collect(back)
    back.write_text(json.dumps({"task": "other", "rater": "anna", "answers": []}))
    with pytest.raises(InvalidInput, match="other"):
        task.collect(back)
    back.write_text("{")
    with pytest.raises(InvalidInput, match="no answers"):
        task.collect(back)


def answer_file(path: Path, task: RatingTask, *answers: Any) -> Path:
    """What anna's packed page saves: for each place in her order a value, or a value and the time in ms."""
    saved = []
    for shown, answer in zip(task.order("anna"), answers, strict=False):
        value, at = answer if isinstance(answer, tuple) else (answer, None)
        saved.append({"token": task.token("anna", shown), "position": shown.position, "answers": {"c": value}})
        if at is not None:
            saved[-1]["at"] = at
    path.write_text(json.dumps({"task": task.name, "rater": "anna", "answers": saved}))
    return path


@pytest.mark.parametrize("timed", [True, False])
def test_an_older_file_of_a_rater_never_wins_over_a_newer_one(store: Path, tmp_path: Path, timed: bool) -> None:
    task = RatingTask("t", store, criteria=["c"])
    at = 1_790_000_000_000
    old = answer_file(tmp_path / "old.json", task, (3, at) if timed else 3)
    new = answer_file(tmp_path / "new.json", task, (5, at + 60_000) if timed else 5)
    assert task.collect([old, new]) == 2
    for _ in range(2):
        assert task.collect([old, new]) == 0
    assert aipipe.load_ratings(store)["value"].tolist() == [5]
    assert list(task.answered("anna").values()) == [{"c": 5}]
    if timed:  # also when the newer file came first
        other = RatingTask("u", store, criteria=["c"])
        old, new = answer_file(old, other, (3, at)), answer_file(new, other, (5, at + 60_000))
        assert other.collect([new, old]) == 2
        assert aipipe.load_ratings(store, task="u")["value"].tolist() == [5]
        assert list(other.answered("anna").values()) == [{"c": 5}]
        back = answer_file(new, other, (3, at + 120_000))
        assert other.collect(back) == 1, "an answer taken back is a new answer"
        assert aipipe.load_ratings(store, task="u")["value"].tolist() == [3]


def test_of_a_file_with_a_bad_answer_nothing_is_taken(store: Path, tmp_path: Path) -> None:
    task = RatingTask("t", store, criteria=["c"])
    with pytest.raises(InvalidInput, match="scale"):
        task.collect(answer_file(tmp_path / "a.json", task, 3, 99))
    assert task.answered("anna") == {}


@pytest.mark.parametrize(
    "answers",
    [None, ["foo"], [{"token": "x"}], [{"token": "x", "answers": {}, "seconds": "fast"}], 5, [{"answers": 1}]],
)
@pytest.mark.parametrize("rater", ["anna", 5, None])
def test_a_file_of_another_shape_is_refused_by_its_name(store: Path, tmp_path: Path, answers: Any, rater: Any) -> None:
    path = tmp_path / "odd.json"
    path.write_text(json.dumps({"task": "t", "rater": rater, "answers": answers}))
    with pytest.raises(InvalidInput, match="odd.json") as caught:
        RatingTask("t", store, criteria=["c"]).collect(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    "wrong", [{"criteria": ["a", "a"]}, {"sample": 0}, {"sample": -3}, {"raters_per_item": 0}, {"repeats": -1}]
)
def test_nothing_is_frozen_of_a_task_that_makes_no_sense(store: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        RatingTask("t", store, **wrong)
    assert not list((store / "ratings").glob("*"))


def test_one_name_is_one_criterion(store: Path) -> None:
    assert RatingTask("t", store, criteria="surprise", strata="config_name").criteria == ("surprise",)


def test_a_bare_picture_keeps_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(picture(5))
    with Image.open(io.BytesIO(bare_picture(path))) as bare:
        assert bare.size == (96, 96)


items = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=30).map(
    lambda pairs: [Item(f"{n:064x}", "image", f"r{n}", Path("x"), (str(a),), str(b)) for n, (a, b) in enumerate(pairs)]
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(items, st.integers(0, 40), st.integers(0, 9))
def test_samples_are_even_over_strata_and_pairs_are_distinct(found: list[Item], most: int, seed: int) -> None:
    chosen = sampled(found, most, seed)
    assert len(chosen) == min(most, len(found))
    assert len({i.sha256 for i in chosen}) == len(chosen)
    counts = {s: sum(i.stratum == s for i in chosen) for s in {i.stratum for i in found}}
    left = {s: sum(i.stratum == s for i in found) - n for s, n in counts.items()}
    open_counts = [n for s, n in counts.items() if left[s]]
    assert not open_counts or max(counts.values()) - min(open_counts) <= 1
    if len(found) >= 2:
        keys = [key_of(a, b) for a, b in pairs_of(found, seed)]
        assert len(keys) == len(set(keys)) > 0

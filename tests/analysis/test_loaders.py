from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import aipipe
from aipipe.analysis import tables
from aipipe.analysis.columns import FRAMES, columns_of
from aipipe.analysis.loaders import LOADERS
from aipipe.analysis.scan import Listing
from aipipe.annotations import Annotations
from aipipe.errors import InvalidInput, RunNotFound, UnknownName, UsageError

from .building import DIALECTS, entity, record, write

DTYPES = {
    "string": "string",
    "json": "string",
    "list": "string",
    "category": "category",
    "time": "datetime64[us, UTC]",
    "int": "Int64",
    "float": "float64",
    "bool": "boolean",
}


@pytest.mark.parametrize("name", sorted(LOADERS))
def test_empty_frames_have_every_declared_column_with_its_dtype(name: str, tmp_path: Path) -> None:
    frame = LOADERS[name](tmp_path)
    assert list(frame.columns) == [c.name for c in FRAMES[name]]
    for column in FRAMES[name]:
        assert str(frame[column.name].dtype) == DTYPES[column.kind], column.name
    assert frame.attrs["report"]["found"] == 0


def test_a_run_becomes_one_row_with_the_names_of_metadata_json(tmp_path: Path) -> None:
    document = record(
        batch={"batch_id": "b1", "case_key": "00ff", "index": 3},
        labels={"group": "A", "consent": "yes"},
        reason={"stage": 3, "type": "safety_blocked", "message": "refused"},
        inputs=[{"index": 0, "language": "de", "characters": 12}, {"index": 1, "characters": 5}],
        outputs=[{"index": 0, "outcome": "completed"}, {"index": 1, "outcome": "blocked"}],
        entities=[entity(1, "input"), entity(2, "error", "json")],
        models={"interception": "ollama:mistral-nemo"},
    )
    write(tmp_path, document)
    row = aipipe.load_runs(tmp_path).iloc[0]
    assert row["seed"] == "18446744073709551615"
    assert row["started"] == pd.Timestamp("2026-11-01T10:00:00Z")
    assert (row["batch_id"], row["case_key"], row["case_index"]) == ("b1", "00ff", 3)
    assert (row["label_group"], row["label_consent"]) == ("A", "yes")
    assert (row["reason"], row["reason_type"], row["reason_stage"]) == ("refused", "safety_blocked", 3)
    assert (row["inputs"], row["language"], row["input_characters"]) == (2, "de", 17)
    assert (row["outputs"], row["outputs_completed"], row["outputs_blocked"], row["outputs_failed"]) == (2, 1, 1, 0)
    assert (row["entities"], row["errors"]) == (2, 1)
    assert row["model_interception"] == "ollama:mistral-nemo"
    assert (row["status"], row["status_source"], row["dialect"]) == ("completed", "recorded", "version 1")


def test_one_bad_run_never_hides_others_and_the_counts_add_up(tmp_path: Path) -> None:
    good = write(tmp_path, record())
    write(tmp_path, b"", "empty")
    write(tmp_path, b'{"format_version": 1, "run_id"', "torn")
    write(tmp_path, b"[]", "array")
    write(tmp_path, b'\xff\xfe{"run_id": 1}', "utf16")
    write(tmp_path, b'\xef\xbb\xbf{"run_id": "x"}', "bom")
    write(tmp_path, b'{"format_version": 1, "run_id": "n", "seconds": NaN}', "nan")
    write(tmp_path, {"format_version": 9, "run_id": "new"}, "new")
    write(tmp_path, {"hello": "world"}, "foreign")
    write(tmp_path, b'{"a":' * 5000 + b"1" + b"}" * 5000, "deep")
    (tmp_path / "run_1_abc").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "metadata.json").symlink_to(good / "metadata.json")
    os.mkfifo(tmp_path / "torn" / "pipe")
    (tmp_path / "fifo").mkdir()
    os.mkfifo(tmp_path / "fifo" / "metadata.json")
    for _ in range(2):
        frame = aipipe.load_runs(tmp_path)
        report = frame.attrs["report"]
        assert len(frame) == 1
        assert report["found"] == report["loaded"] + len(report["skipped"]) == 13
        assert all(item["reason"] for item in report["skipped"])
        reasons = {Path(i["path"]).parent.name: i["reason"] for i in report["skipped"]}
        assert "newer" in reasons["new"]
        assert "JSON" in reasons["torn"]


def test_values_of_a_wrong_type_stay_local_to_their_cell(tmp_path: Path) -> None:
    odd = record(
        seconds="fast",
        seed=7,
        config_name={"a": 1},
        batch="none",
        labels=[1],
        inputs="x",
        entities=[1, entity(1, "input")],
        started=5,
        expected_outputs="one",
        current_state={"stage": 2**70},
    )
    write(tmp_path, odd)
    write(tmp_path, record())
    frame = aipipe.load_runs(tmp_path).set_index("run_id")
    row = frame.loc[odd["run_id"]]
    assert row["seed"] == "7"
    assert row["config_name"] == '{"a":1}'
    assert pd.isna(row["seconds"])
    assert pd.isna(row["started"])
    assert pd.isna(row["stage"])
    assert row["entities"] == 1
    assert frame["seconds"].notna().sum() == 1


def test_the_same_run_in_two_folders_is_loaded_once_from_the_folder_with_its_name(tmp_path: Path) -> None:
    document = record()
    write(tmp_path, document, "aaa-copy")
    original = write(tmp_path, document)
    frame = aipipe.load_runs(tmp_path)
    assert frame["folder"].tolist() == [str(original)]
    assert "same run_id" in frame.attrs["report"]["skipped"][0]["reason"]


def test_where_since_and_columns_narrow_the_frame_and_are_counted(tmp_path: Path) -> None:
    old = record(timestamp="2020-01-01T00:00:00Z", config_name="bauhaus")
    new = record(timestamp=datetime.now(UTC).isoformat(), seconds=1.0)
    for document in (old, new, record(status="failed")):
        write(tmp_path, document)
    frame = aipipe.load_runs(tmp_path, where="status == 'completed' and seconds < 2", columns=["run_id", "seconds"])
    assert frame["run_id"].tolist() == [new["run_id"]]
    assert list(frame.columns) == ["run_id", "seconds"]
    assert frame.attrs["report"]["rows_filtered"] == 2
    assert aipipe.load_runs(tmp_path, since=timedelta(hours=1))["run_id"].tolist() == [new["run_id"]]
    assert len(aipipe.load_runs(tmp_path, since="2021-01-01")) == 2
    assert len(aipipe.load_entities(tmp_path, since="2021-01-01")) == 0


def test_mistakes_are_answered_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="config_name"):
        aipipe.load_runs(tmp_path, columns=["config_nam"])
    with pytest.raises(InvalidInput, match="cannot be evaluated"):
        aipipe.load_runs(tmp_path, where="nonsense >")
    with pytest.raises(InvalidInput, match="date"):
        aipipe.load_runs(tmp_path, since="yesterday")
    with pytest.raises(RunNotFound):
        aipipe.load_runs(tmp_path / "missing")


def test_texts_are_read_only_when_asked(tmp_path: Path) -> None:
    entities = [entity(1, "input"), entity(2, "translation"), entity(3, "interception"), entity(4, "x", "png")]
    texts = {"01_input.txt": "Haus", "02_translation.txt": "House", "03_interception.txt": "A house of soup"}
    write(tmp_path, record(entities=entities), texts=texts)
    assert "input_text" not in aipipe.load_runs(tmp_path).columns
    row = aipipe.load_runs(tmp_path, texts=True).iloc[0]
    assert (row["input_text"], row["translation_text"], row["interception_text"]) == (
        "Haus",
        "House",
        "A house of soup",
    )
    frame = aipipe.load_entities(tmp_path, texts=True)
    assert frame["text"].tolist()[:3] == ["Haus", "House", "A house of soup"]
    assert pd.isna(frame["text"].iloc[3])


def test_a_recorded_name_that_leaves_the_folder_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    bad = [entity(1, "input", filename="../secret.txt"), entity(2, "note", filename=str(tmp_path / "secret.txt"))]
    write(tmp_path / "runs", record(entities=bad))
    frame = aipipe.load_entities(tmp_path / "runs", texts=True)
    assert frame["text"].isna().all()


def test_a_run_whose_writer_is_gone_is_interrupted_and_agrees_with_the_store(tmp_path: Path) -> None:
    write(tmp_path, record(status="running", finished=None))
    store = aipipe.Store(tmp_path)
    with store.create(config_name="live") as recorder:
        statuses = {r.run_id: r.status for r in store}
        frame = aipipe.load_runs(tmp_path).set_index("run_id")
        assert {k: str(v) for k, v in frame["status"].items()} == statuses
        assert frame.loc[recorder.run_id, "status"] == "running"
    assert sorted(statuses.values()) == ["interrupted", "running"]


def test_annotations_are_joined_and_never_change_the_run(tmp_path: Path) -> None:
    folder = write(tmp_path, record(tags=["first"]))
    write(tmp_path, record())
    before = (folder / "metadata.json").read_bytes()
    frame = aipipe.load_runs(tmp_path)
    one = frame[frame["folder"] == str(folder)]
    aipipe.tag(one, "keep")
    aipipe.exclude(one, reason="wrong language")
    row = aipipe.load_runs(tmp_path).set_index("folder").loc[str(folder)]
    assert (row["tags"], row["excluded"], row["exclude_reason"]) == ("first, keep", True, "wrong language")
    assert aipipe.load_runs(tmp_path, where="excluded")["folder"].tolist() == [str(folder)]
    assert (folder / "metadata.json").read_bytes() == before


def test_frames_survive_parquet_although_they_carry_a_report(tmp_path: Path) -> None:
    write(tmp_path, record(labels={"group": "A"}))
    frame = aipipe.load_runs(tmp_path)
    frame.to_parquet(tmp_path / "runs.parquet")
    back = pd.read_parquet(tmp_path / "runs.parquet")
    assert back["seed"].tolist() == frame["seed"].tolist()
    assert json.loads(json.dumps(frame.attrs["report"]))["found"] == 1


@pytest.mark.parametrize("name", sorted(LOADERS))
def test_frames_are_the_same_without_pyarrow(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(4):
        entities = [entity(1, "input"), entity(2, "safety", "json"), entity(3, "error", "json")]
        steps = [{"stage": 1, "step": "translation", "seconds": 1.5 * i, "tokens": {"input": i}}]
        texts = {"01_input.txt": "Haus", "02_safety.json": {"safe": i % 2 == 0}, "03_error.json": {"message": "x"}}
        write(tmp_path, record(entities=entities, steps=steps, labels={"n": str(i)}), texts=texts)
    with_arrow = LOADERS[name](tmp_path)
    monkeypatch.setenv("AIPIPE_NO_ARROW", "1")
    without = LOADERS[name](tmp_path)
    assert_frame_equal(plain(with_arrow), plain(without), check_dtype=False)


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.astype(object)
    return frame.where(frame.notna(), None)


def test_several_stores_become_one_frame(tmp_path: Path) -> None:
    write(tmp_path / "a", record(config_name="dada", labels={"g": "1"}))
    write(tmp_path / "b", record(config_name="bauhaus"))
    frame = aipipe.load_runs([tmp_path / "a", tmp_path / "b"])
    assert frame["config_name"].tolist() == ["dada", "bauhaus"]
    assert str(frame["config_name"].dtype) == "category"
    assert str(frame["timestamp"].dtype) == "datetime64[us, UTC]"
    assert frame.attrs["report"]["found"] == 2


def test_every_column_has_a_meaning_and_a_unique_name() -> None:
    for name in FRAMES:
        columns = columns_of(name, texts=True)
        assert len({c.name for c in columns}) == len(columns)
        assert all(c.text.endswith((".", "…")) and c.kind in DTYPES for c in columns)


def test_a_frame_of_two_stores_is_annotated_where_each_run_lies(tmp_path: Path) -> None:
    folders = [write(tmp_path / name, record()) for name in ("a", "b")]
    frame = aipipe.load_runs([tmp_path / "a", tmp_path / "b"])
    assert aipipe.tag(frame, "keep") == 2
    for folder in folders:
        assert aipipe.load_runs(folder.parent)["tags"].tolist() == ["keep"]
    with pytest.raises(UsageError, match="several stores"):
        aipipe.tag(frame[["run_id"]], "again")


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ('timestamp > "2026-11-01"', 1),
        ("timestamp > '2026-11-01' and `label_my group` == \"A\"", 1),
        ('(started >= "2026-11-01T10:00:00") & (seconds > 1)', 1),
        ('"2026-11-01 11:00+01:00" <= timestamp', 1),
        ('"2026-10" < timestamp < "2026-11"', 1),
        ('timestamp == "2026-11-01T10:00:00Z"', 1),
        ('timestamp == "2026-11-01T11:00:00+01:00"', 1),
        ('timestamp != "2026-11-01 10:00"', 1),
        ('timestamp > "never"', 0),
        ('seed > "6"', 1),
        ("run_id == run_id", 2),
        ('reason != "timestamp > 5"', 2),
    ],
)
def test_where_compares_times_and_texts(tmp_path: Path, where: str, rows: int) -> None:
    write(tmp_path, record(seed="7", labels={"my group": "A"}))
    early = "2026-10-15T10:00:00Z"
    write(tmp_path, record(seed="5", timestamp=early, started=early, labels={"my group": "B"}))
    if rows:
        assert len(aipipe.load_runs(tmp_path, where=where)) == rows
        (tmp_path / "none").mkdir()
        if "label" not in where:
            assert len(aipipe.load_runs(tmp_path / "none", where=where)) == 0
    else:
        with pytest.raises(InvalidInput, match="where"):
            aipipe.load_runs(tmp_path, where=where)


@pytest.mark.parametrize("where", ["1", "seconds", "config_name"])
def test_where_must_be_a_condition(tmp_path: Path, where: str) -> None:
    write(tmp_path, record())
    with pytest.raises(InvalidInput, match="condition") as caught:
        aipipe.load_runs(tmp_path, where=where)
    assert caught.value.hint


ODD = (
    {"run_id": "o1", "config_name": "dada", "timestamp": "9999-12-31T23:59:59-05:00", "entities": []},
    {"run_id": "o2", "config_name": "dada", "timestamp": "0001-01-01T00:00:00+05:00", "entities": []},
    {"run_id": "o3", "config_name": "dada", "entities": [{"type": "input", "filename": "a\0b"}]},
    {"run_id": None, "config_name": "dada", "entities": []},
    {"run_id": ["x"], "config_name": "dada", "entities": []},
    {"type": "canvas_workflow", "run_id": "c1", "completed_at": "2026", "entities": [{"type": 5}]},
    {"execution_id": "t1", "items": [{"type": ["x"]}], "config_name": {"a": 1}},
    {"format_version": 1, "run_id": "v1", "entities": [{"type": "error", "filename": "a\0b"}]},
    {"format_version": 1, "run_id": "v2", "entities": [{"type": ["error"], "filename": "x.json"}]},
    {"format_version": 1, "run_id": "v3", "entities": [{"type": "safety_pre_output", "stage": 3, "output": [1]}]},
    {"format_version": 1, "run_id": "v4", "entities": [{"type": "output_image", "output": {}, "filename": 7}]},
    {"format_version": 1, "run_id": "v5", "steps": [{"stage": {}, "step": []}], "entities": 5, "outputs": [3]},
)


@pytest.mark.parametrize("name", ["runs", "entities", "steps", "safety", "media", "errors", "prompts"])
@pytest.mark.parametrize("odd", ODD, ids=lambda d: str(d.get("run_id") or d.get("execution_id")))
def test_a_poisoned_record_never_hides_the_others(tmp_path: Path, name: str, odd: dict[str, object]) -> None:
    good = write(tmp_path, record())
    write(tmp_path, odd, "odd")
    frame = getattr(aipipe, f"load_{name}")(tmp_path)
    report = frame.attrs["report"]
    assert report["found"] == 2
    assert report["loaded"] + len(report["skipped"]) == 2
    assert str(good) not in str(report["skipped"])


def test_a_poisoned_rating_line_never_hides_the_others(tmp_path: Path) -> None:
    (tmp_path / "ratings").mkdir()
    lines = [
        {"rater": ["a"], "criterion": {}, "item": 1, "value": 2},
        {"rater": "anna", "criterion": "c", "item": "x", "value": 3},
    ]
    (tmp_path / "ratings" / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "anna" in set(aipipe.load_ratings(tmp_path)["rater"].astype(str))


@pytest.mark.parametrize("name", ["entities", "steps", "safety", "media", "errors", "prompts"])
def test_every_frame_knows_tags_and_exclusions(name: str, tmp_path: Path) -> None:
    entities = [
        entity(1, "input"),
        entity(2, "safety", "json"),
        entity(3, "error", "json"),
        entity(4, "output_image", "png"),
    ]
    steps = [{"stage": 2, "step": "interception"}]
    texts = {"01_input.txt": "a fox", "02_safety.json": {"safe": True}}
    kept, out = (record(entities=entities, steps=steps, tags=["pilot"]) for _ in range(2))
    for document in (kept, out):
        write(tmp_path, document, texts=texts)
    load = LOADERS[name]
    assert set(load(tmp_path)["tags"]) == {"pilot"}
    assert not load(tmp_path)["excluded"].any()
    notes = Annotations(tmp_path, author="anna")
    notes.exclude(out["run_id"], "the model answered in German")
    notes.tag(out["run_id"], ["odd"])
    frame = load(tmp_path).set_index("run_id")
    assert frame["excluded"].to_dict() == {kept["run_id"]: False, out["run_id"]: True}
    assert frame["tags"].to_dict() == {kept["run_id"]: "pilot", out["run_id"]: "pilot, odd"}
    assert frame["excluded"].dtype == "boolean"


def test_ratings_given_again_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "ratings"
    folder.mkdir()
    lines = [
        {"rater": "anna", "criterion": "surprise", "run_id": "a", "value": v, "timestamp": f"2026-11-0{v}"}
        for v in (1, 2, 3)
    ]
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    frame = aipipe.load_ratings(tmp_path)
    assert frame["value"].tolist() == [3.0]
    assert "2 ratings were given again" in str(frame.attrs["report"])
    assert not aipipe.load_ratings(tmp_path, history=True).attrs["report"]["notes"]


def test_ratings_have_the_keys_of_the_runs_they_are_about(tmp_path: Path) -> None:
    one, other = record(participant="P1", input_id="i1"), record(config_name="bauhaus", input_id="i1")
    for document in (one, other):
        write(tmp_path, document)
    lines = [
        {"task": "t", "rater": "anna", "criterion": "closer", "answer": "left", "run_id": one["run_id"]}
        | {"other_run_id": other["run_id"], "when": "2026-11-01T10:00:00Z"},
        {"task": "t", "rater": "anna", "criterion": "closer", "answer": "left", "run_id": "gone", "when": "2026"},
    ]
    (tmp_path / "ratings").mkdir()
    (tmp_path / "ratings" / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    Annotations(tmp_path, author="anna").exclude(one["run_id"], "a test")
    frame = aipipe.load_ratings(tmp_path).set_index("run_id")
    row = frame.loc[one["run_id"]]
    assert (row["config_name"], row["other_config_name"], row["participant"]) == ("dada", "bauhaus", "P1")
    assert (row["input_id"], row["excluded"]) == ("i1", True)
    assert frame.loc["gone", ["config_name", "excluded", "tags"]].isna().all()
    assert (frame["config_name"].dtype, frame["excluded"].dtype) == ("category", "boolean")
    empty = aipipe.load_ratings(tmp_path, where="rater == 'nobody'")
    assert list(empty.columns) == list(aipipe.load_ratings(tmp_path).columns)


@pytest.mark.parametrize("name", ["sound.mp3", "film.mp4", "film.webm"])
def test_sound_and_film_have_a_duration(name: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    from tests.test_probing import film, sound

    kind, extension = ("audio", "mp3") if name == "sound.mp3" else ("video", name.rsplit(".", 1)[1])
    entities = [
        {"sequence": 1, "type": f"output_{kind}", "filename": name, "media_type": kind, "metadata": {}},
        {"sequence": 2, "type": f"output_{kind}", "filename": f"torn-{name}", "media_type": kind, "metadata": {}},
    ]
    folder = write(tmp_path, record(entities=entities))
    whole = sound("mp3") if kind == "audio" else film(extension)
    (folder / name).write_bytes(whole)
    (folder / f"torn-{name}").write_bytes(whole[:40])
    frame = aipipe.load_media(tmp_path)
    assert frame["readable"].tolist() == [True, False]
    assert frame["duration"][0] == pytest.approx(2.0, abs=0.2)
    assert kind == "audio" or (frame["width"][0], frame["frames"][0]) == (64, 24)
    assert frame["problem"].notna().tolist() == [False, True]


def test_what_does_not_exist_is_an_error_and_not_an_empty_frame(tmp_path: Path) -> None:
    write(tmp_path, record())
    (tmp_path / "ratings").mkdir()
    (tmp_path / "ratings" / "surprise.json").write_text("{}")
    (tmp_path / "batches" / "b1").mkdir(parents=True)
    with pytest.raises(UnknownName, match="surprise"):
        aipipe.load_ratings(tmp_path, task="suprise")
    assert aipipe.load_ratings(tmp_path, task="surprise").empty
    with pytest.raises(UnknownName, match="b1"):
        aipipe.load_batch(tmp_path, "b2")
    assert aipipe.load_batch(tmp_path, "b1").empty
    with pytest.raises(UnknownName) as caught:
        aipipe.load_runs(tmp_path, columns=["input_text"])
    assert "texts=True" in caught.value.hint


def test_a_run_can_be_loaded_and_a_frame_says_where_its_runs_are(tmp_path: Path) -> None:
    one, other = record(), record()
    for document in (one, other):
        write(tmp_path, document)
    run = aipipe.open_run(tmp_path / one["run_id"])
    assert aipipe.load_runs(run)["run_id"].tolist() == [one["run_id"]]
    assert set(aipipe.load_runs([run, aipipe.open_run(tmp_path / other["run_id"])])["run_id"]) == {
        one["run_id"],
        other["run_id"],
    }
    with pytest.raises(UsageError) as caught:
        aipipe.load_steps(aipipe.load_runs(tmp_path))
    assert "attrs" in caught.value.hint


def test_the_ledger_says_what_every_stage_added_removed_and_kept(tmp_path: Path) -> None:
    texts = {
        "01_input.txt": "Ein Fox im Regen",
        "02_translation.txt": "A fox in rain",
        "03_interception.txt": "A red fox in golden rain",
        "04_safety_pre_output.json": {"safe": True, "text": "a red fox in rain, masterpiece"},
    }
    kinds = [entity(1, "input"), entity(2, "translation"), entity(3, "interception")]
    write(tmp_path, record(entities=[*kinds, entity(4, "safety_pre_output", "json", output=0)]), texts=texts)
    row = aipipe.load_prompts(tmp_path).iloc[0]
    assert row[["translation_added", "translation_removed", "translation_kept"]].tolist() == [
        "a, in, rain",
        "ein, im, regen",
        "fox",
    ]
    assert row[["added", "kept"]].tolist() == ["red, golden", "a, fox, in, rain"]
    assert pd.isna(row["removed"])
    assert row[["final_added", "final_removed", "final_kept"]].tolist() == [
        "masterpiece",
        "golden",
        "a, red, fox, in, rain",
    ]
    assert row["final_kept_share"] == pytest.approx(5 / 6)


@pytest.mark.parametrize("kinds", [["translation_en"], ["optimized_prompt"], ["optimized_prompt", "translation_en"]])
def test_the_ledger_knows_the_last_text_of_the_originals_later_version(kinds: list[str], tmp_path: Path) -> None:
    shutil.copytree(DIALECTS / "dated", tmp_path / "dated")
    (record_file,) = (tmp_path / "dated").rglob("metadata.json")
    document = json.loads(record_file.read_text())
    for number, kind in enumerate(kinds, start=9):
        filename = f"{number:02d}_{kind}.txt"
        (record_file.parent / "final" / filename).write_text(f"text of {kind}")
        document["entities"].append({"sequence": number, "type": kind, "filename": filename, "metadata": {}})
    record_file.write_text(json.dumps(document))
    assert aipipe.load_prompts(tmp_path)["final_prompt"].tolist() == [f"text of {kinds[-1]}"]


def test_an_odd_verdict_does_not_hide_the_texts_of_its_run(tmp_path: Path) -> None:
    kinds = [entity(1, "input"), entity(2, "safety_pre_output", "json", output={"a": 1})]
    write(
        tmp_path,
        record(entities=kinds),
        texts={"01_input.txt": "a fox", "02_safety_pre_output.json": {"safe": True, "text": {"odd": 1}, "output": [1]}},
    )
    frame = aipipe.load_prompts(tmp_path)
    assert frame["original"].tolist() == ["a fox"]
    assert frame["final_prompt"].isna().all()


def test_a_stage_without_a_text_says_nothing(tmp_path: Path) -> None:
    write(tmp_path, record(entities=[entity(1, "input")]), texts={"01_input.txt": "a fox"})
    row = aipipe.load_prompts(tmp_path).iloc[0]
    assert row[["translation_kept", "kept", "final_kept", "final_kept_share", "kept_share"]].isna().all()


@pytest.mark.parametrize("name", ["entities", "safety", "media", "errors", "prompts"])
def test_a_name_that_no_file_system_takes_stays_local_to_its_cell(name: str, tmp_path: Path) -> None:
    kinds = [(1, "input", "txt"), (2, "safety", "json"), (3, "error", "json"), (4, "output_image", "png")]
    entities = [entity(n, kind, end, filename=f"{'a' * 300}.{end}") for n, kind, end in kinds]
    write(tmp_path, record(entities=entities))
    extra = {"texts": True} if name in ("entities", "safety") else {}
    report = LOADERS[name](tmp_path, **extra).attrs["report"]
    assert report["skipped"] == []
    assert report["rows"] >= 1


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="these file systems take no such names")
def test_a_folder_whose_name_is_no_text_hides_no_other_run(tmp_path: Path) -> None:
    good = write(tmp_path, record())
    odd = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(odd)  # noqa: PTH102  pathlib takes no bytes
    shutil.copy(os.fsencode(good / "metadata.json"), odd + b"/metadata.json")
    shutil.copy(os.fsencode(good / "metadata.json"), os.fsencode(tmp_path) + b"/exec_\xe9.json")
    for index in (False, True, True):
        frame = aipipe.load_runs(tmp_path, index=index)
        report = frame.attrs["report"]
        assert list(frame["run_id"]) == [good.name]
        assert [s["path"].rpartition("/")[2] for s in report["skipped"]] == ["caf�", "exec_�.json"]
        assert all("UTF-8" in s["reason"] for s in report["skipped"])
        assert report["found"] == report["loaded"] + len(report["skipped"]) == 3


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        ([], []),
        (["a/metadata.json", "b/metadata.json"], ["/r/a", "/r/b"]),
        (["2025/a/metadata.json", "exec_1.json"], ["/r/2025/a", "/r/exec_1.json"]),
        (["exec_1.json", "z/metadata.json"], ["/r/exec_1.json", "/r/z"]),
        (["a/metadata.json/metadata.json"], ["/r/a/metadata.json"]),
        (["a/metadata.json/b/metadata.json", "c/metadata.json"], ["/r/a/metadata.json/b", "/r/c"]),
        (["a/metadata.jsonx/metadata.json"], ["/r/a/metadata.jsonx"]),
    ],
)
def test_every_row_names_its_folder_whatever_it_is_called(names: list[str], folders: list[str]) -> None:
    assert Listing("/r", names).folders() == folders


def test_a_frame_is_like_one_of_pandas_own_constructor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built from blocks where pandas can, it is equal, can be changed, joined, sorted and written, and shares nothing."""
    for number in range(3):
        write(tmp_path, record(run_id=f"r{number}", seconds=float(number), labels={"kind": "x"}))
    frames = {("blocks", name): loader(tmp_path) for name, loader in LOADERS.items()}
    with monkeypatch.context() as patch:
        patch.setattr(tables, "_assembler", lambda: None)
        frames |= {("constructor", name): loader(tmp_path) for name, loader in LOADERS.items()}
    for name in LOADERS:
        assert_frame_equal(frames["blocks", name], frames["constructor", name])
    frame, other = frames["blocks", "runs"], aipipe.load_runs(tmp_path)
    frame.columns.name = "fields"
    frame.loc[1, ["seconds", "status"]] = [9.5, "failed"]
    frame["extra"] = frame["seconds"] * 2
    frame = pd.concat([frame, frame.sort_values("seconds", ascending=False)], ignore_index=True)
    assert list(frame["extra"]) == [0.0, 19.0, 4.0, 19.0, 4.0, 0.0]
    frame.drop(columns="extra").to_parquet(tmp_path / "frame.parquet")
    assert other.columns.name is None
    assert list(other["seconds"]) == [0.0, 1.0, 2.0]
    assert_frame_equal(other, frames["constructor", "runs"])

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd
import pytest

from aipipe.cli import export, load
from aipipe.errors import UsageError

from .building import DIALECTS, entity, record, write


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers(required=True)
    load.add_parser(subparsers)
    export.add_parser(subparsers)
    arguments = parser.parse_args(words)
    code: int = arguments.handler(arguments)
    return code


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_load_writes_a_frame_in_the_format_of_the_suffix(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "runs", record())
    out = tmp_path / f"table.{suffix}"
    assert run("load", "--runs", str(tmp_path / "runs"), "--out", str(out), "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 1
    readers = {
        "csv": lambda p: pd.read_csv(p, dtype=str),
        "parquet": pd.read_parquet,
        "jsonl": lambda p: pd.read_json(p, lines=True, dtype=False),
    }
    assert str(readers[suffix](out)["seed"].iloc[0]) == "18446744073709551615"


def test_load_refuses_what_does_not_apply(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with pytest.raises(UsageError, match="known format"):
        run("load", "--runs", str(tmp_path / "runs"), "--out", "x.xlsx")
    with pytest.raises(UsageError, match="texts"):
        run("load", "steps", "--texts", "--runs", str(tmp_path / "runs"), "--out", "x.csv")


def test_export_review_and_approval_go_through_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = record(labels={"consent": "yes"}, entities=[entity(1, "input")])
    write(tmp_path / "runs", document, texts={"01_input.txt": "Ich heiße Mia"})
    review = tmp_path / "review.json"
    words = ("export", "--runs", str(tmp_path / "runs"), "--json")
    assert run(*words, str(tmp_path / "one"), "--review", str(review)) == 0
    assert json.loads(capsys.readouterr().out)["exported"] == []
    entries = json.loads(review.read_text())
    review.write_text(json.dumps([{**e, "approved": True} for e in entries]))
    assert run(*words, str(tmp_path / "two"), "--approve", str(review)) == 0
    assert json.loads(capsys.readouterr().out)["exported"] == [document["run_id"]]


def test_an_export_of_nothing_says_how_consent_is_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "runs", record(entities=[]))
    assert run("export", "--runs", str(tmp_path / "runs"), str(tmp_path / "out")) == 0
    assert 'labels={"consent": "yes"}' in capsys.readouterr().out


def test_a_redacted_text_is_published_in_place_of_the_original(tmp_path: Path) -> None:
    document = record(labels={"consent": "yes"}, entities=[entity(1, "input")])
    write(tmp_path / "runs", document, texts={"01_input.txt": "Ich heiße Mia"})
    review = tmp_path / "review.json"
    words = ("export", "--runs", str(tmp_path / "runs"))
    assert run(*words, str(tmp_path / "one"), "--review", str(review)) == 0
    (entry,) = json.loads(review.read_text(encoding="utf-8"))
    assert (entry["text"], entry["approved"], entry["redacted"]) == ("Ich heiße Mia", False, None)
    assert entry["pictures_seen"] is False
    review.write_text(json.dumps([{**entry, "redacted": "Ich heiße NN"}]), encoding="utf-8")
    assert run(*words, str(tmp_path / "two"), "--approve", str(review)) == 0
    (folder,) = (tmp_path / "two" / "runs").iterdir()
    assert (folder / "01_input.txt").read_text(encoding="utf-8") == "Ich heiße NN"
    everything = b"".join(p.read_bytes() for p in (tmp_path / "two").rglob("*") if p.is_file())
    assert b"Mia" not in everything
    assert entry["sha256"].encode() not in everything
    assert "texts redacted by a person: 1" in (tmp_path / "two" / "datasheet.md").read_text(encoding="utf-8")


def test_import_converts_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", str(DIALECTS / "original"), "--runs", str(tmp_path / "runs"), "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["imported"]) == 3

"""`aipipe configs`: what it prints, and its exit codes."""

import argparse
import json
from pathlib import Path

import pytest

from aipipe.catalog import Catalog
from aipipe.cli import configs
from aipipe.errors import InvalidDefinition, InvalidInput, UnknownName


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    configs.add_parser(parser.add_subparsers())
    args = parser.parse_args(["configs", *words])
    code: int = args.handler(args)
    return code


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "aipipe.toml").write_text("", encoding="utf-8")
    (tmp_path / "configs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_list_names_every_config(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--json", "--stage", "interception") == 0
    names = {item["name"] for item in json.loads(capsys.readouterr().out)}
    assert {"dada", "bauhaus"} <= names
    assert "sketch" not in names
    assert run() == 0
    assert "stillepost" in capsys.readouterr().out


def test_show_prints_context_and_examples(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "dada") == 0
    assert "A bird on a branch" in capsys.readouterr().out
    assert run("show", "dada", "--json") == 0
    assert json.loads(capsys.readouterr().out)["style"] == "dada"
    with pytest.raises(UnknownName):
        run("show", "nowhere")


@pytest.mark.parametrize("source", ["dada", "stillepost", "image_comparison", "song", "split_and_combine"])
def test_new_makes_a_config_that_loads_and_equals_its_source(project: Path, source: str) -> None:
    assert run("new", "mine", "--from", source) == 0
    catalog = Catalog.load([project / "configs"])
    assert catalog.config("mine").model_copy(update={"name": source}) == catalog.config(source)
    with pytest.raises(InvalidInput, match="already"):
        run("new", "mine", "--from", source)


@pytest.mark.parametrize("name", ["../x", "a/b", "", "dada"])
def test_new_refuses_names_that_are_taken_or_no_file(project: Path, name: str) -> None:
    with pytest.raises((InvalidDefinition, InvalidInput)):
        run("new", name)
    assert list((project / "configs").iterdir()) == []


def test_check_says_what_is_wrong_and_where(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check") == 0
    (project / "configs" / "bad.json").write_text('{\n "contxt": "x"\n}', encoding="utf-8")
    assert run("check") == 1
    assert "bad.json:2: contxt: unknown key. Did you mean 'context'?" in capsys.readouterr().out
    assert run("check", "configs/bad.json", "--json") == 1
    assert json.loads(capsys.readouterr().out)["problems"][0]["line"] == 2
    with pytest.raises(InvalidInput):
        run("check", "nowhere")

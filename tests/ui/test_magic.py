"""The cell magic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

import aipipe
from aipipe.errors import UsageError
from aipipe.ui import magic


@pytest.fixture
def shell(project: Path) -> Any:
    magic._labs.clear()
    made = InteractiveShell()
    aipipe.load_ipython_extension(made)
    yield made
    made.history_manager.end_session()
    magic._labs.clear()


def test_a_cell_becomes_a_run_with_its_options(shell: Any, project: Path) -> None:
    run = shell.run_cell_magic("aipipe", "dada --safety off --seed 0 -l group=A --until interception", "A heron\n")
    assert run.status == "completed"
    assert (run.seed, run.record.safety_level, run.labels) == (0, "off", {"group": "A"})
    assert run["input"].text == "A heron"
    assert shell.user_ns["run"] is run
    assert run.folder.parent == project / "runs"


def test_a_variable_may_hold_the_config(shell: Any) -> None:
    shell.user_ns["mine"] = aipipe.Config(name="mine", context="Answer in one word.", pipeline="text_transformation")
    run = shell.run_cell_magic("aipipe", "mine --name first --until interception", "A heron")
    assert run.config_name == "mine"
    assert shell.user_ns["first"] is run


@pytest.mark.parametrize("line", ["", "dada --level kids", "dada --seed x", 'dada "', "dada -l group"])
def test_a_wrong_line_names_what_is_wrong(line: str) -> None:
    with pytest.raises(UsageError) as error:
        magic.arguments(line)
    assert error.value.hint


def test_values_are_read_as_numbers_where_they_are() -> None:
    _, options = magic.arguments("dada -p temperature 0.9 -p style bold --output a --output b")
    assert options == {"parameters": {"temperature": 0.9, "style": "bold"}, "outputs": ["a", "b"]}


def test_three_dashes_part_the_inputs() -> None:
    assert magic.texts_of("one\ntwo\n---\nthree\n") == ["one\ntwo", "three"]

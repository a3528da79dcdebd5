"""A dry run says what a batch will use of services that are paid."""

from __future__ import annotations

from pathlib import Path

import pytest

from aipipe.batch import Batch
from aipipe.cli import main
from aipipe.testing import ModelServer

TEXTS = ["a red flower", "a blue house", "a cat in the rain"]


def write(project: Path, url: str) -> None:
    (project / "aipipe.toml").write_text(
        'mode = "fast"\nsafety = "kids"\n[safety_checks]\nallow_remote = true\n[modes.fast]\nbackend = "hosted"\n[modes.fast.models]\ntranslation = "small"\n'
        'safety = "small"\ninterception = "big"\n[modes.fast.outputs]\nimage = "placeholder"\n'
        f'[backends.hosted]\nkind = "openai"\nurl = "{url}"\n'
    )


def test_calls_and_tokens_of_a_service_elsewhere_are_estimated_before_anything_is_recorded(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project, "https://models.example.com/v1")
    facts = Batch(["dada"], TEXTS, [1, 2], notebook=False).dry_run()
    paid = facts["paid"]
    assert set(paid) == {"hosted:big", "hosted:small"}
    assert paid["hosted:big"]["calls"] == 3, "another picture of the same text needs no new text"
    assert paid["hosted:small"]["calls"] == facts["model_calls"] - 3
    assert paid["hosted:big"]["tokens_in"] > 3 * 50, "the context of the config counts"
    assert paid["hosted:big"]["tokens_out"] > 0
    assert not paid["hosted:big"]["measured"]

    (project / "p.txt").write_text("\n".join(TEXTS))
    assert main(["batch", "--configs", "dada", "--inputs", "p.txt", "--dry-run"]) == 0
    assert "paid hosted:big: 3 calls, about" in capsys.readouterr().out


def test_a_longer_text_costs_more(project: Path) -> None:
    write(project, "https://models.example.com/v1")
    short, long = (
        Batch(["dada"], [text], notebook=False).dry_run()["paid"]["hosted:big"]
        for text in ("a flower", "flower " * 400)
    )
    assert long["tokens_in"] == pytest.approx(short["tokens_in"] + 700, abs=10)


def test_recorded_steps_tell_what_a_call_takes(project: Path) -> None:
    with ModelServer(models=("small", "big")) as server:
        write(project, f"{server.url}/v1")
        first = Batch(["dada"], TEXTS[:2], notebook=False)
        assert first.run(display=False).counts["completed"] == 2
        steps = [s for run in first.runs for s in run.record.steps if s.step == "interception"]
        assert first.dry_run()["paid"] == {}, "a server on this machine is the user's own"
    write(project, "https://models.example.com/v1")
    paid = Batch(["dada"], TEXTS[2:], text_seeds=[3, 4], notebook=False).dry_run()["paid"]["hosted:big"]
    assert paid["measured"]
    assert paid["tokens_in"] == 2 * round(sum(s.tokens.input or 0 for s in steps) / 2)


def test_pictures_of_a_hosted_generator_are_counted(project: Path) -> None:
    with (project / "aipipe.toml").open("a") as toml:
        toml.write('[runners.openai_images]\nurl = "https://images.example.com/v1"\n')
    paid = Batch(["dada"], TEXTS, outputs=["openai_image"], notebook=False).dry_run()["paid"]
    assert [use["calls"] for use in paid.values()] == [3]
    assert all(name.startswith("openai_images") for name in paid)

"""Recorded runs under another policy: flips, what cannot be known, and that no run changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aipipe
from aipipe.errors import InvalidInput, RunNotFound, UnknownName, UsageError
from aipipe.lab import Lab
from aipipe.testing import ModelServer

TEXT = "A small red flower stands on the green meadow"
NAKED = "A naked man runs across the green meadow in the rain"


def verdict(category: str) -> str:
    return json.dumps({"safe": category == "none", "category": category})


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as fake:
        yield fake


@pytest.fixture
def lab(server: ModelServer, project: Path) -> Lab:
    (project / "aipipe.toml").write_text(
        f'mode = "eco"\n[backends.ollama]\nkind = "ollama"\nurl = "{server.url}"\n[modes.eco]\nbackend = "ollama"\n'
        '[modes.eco.models]\ntranslation = "tiny"\nsafety = "tiny"\ninterception = "tiny"\n'
        '[modes.eco.outputs]\nimage = "placeholder"\n',
        encoding="utf-8",
    )
    return Lab(display=False)


def answer(server: ModelServer, category: str) -> None:
    def script(request: dict[str, Any]) -> str:
        return verdict(category) if request.get("format") else "A torn paper flower on a meadow"

    server.script = script


def fingerprint(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_looser_level_lets_a_blocked_text_go_without_asking_a_model(lab: Lab, server: ModelServer) -> None:
    answer(server, "sexual")
    run = lab.run("dada", NAKED, safety="kids", input_id="p1")
    assert run.status == "blocked"
    asked, before = len(server.requests), fingerprint(run.folder)
    report = aipipe.resafety(run, policy="adult")
    assert len(server.requests) == asked
    assert fingerprint(run.folder) == before
    assert report.counts == {"allowed→blocked": 0, "blocked→allowed": 1, "unchanged": 0, "not replayed": 0}
    (row,) = report.frame.to_dict("records")
    assert (row["run_id"], row["config_name"], row["input_id"]) == (run.run_id, "dada", "p1")
    assert (row["text"], row["before"], row["after"]) == (NAKED, "blocked", "allowed")
    assert aipipe.resafety(run, policy="youth").counts["unchanged"] == 1


def test_a_stricter_level_stops_what_was_let_through(lab: Lab, server: ModelServer, tmp_path: Path) -> None:
    answer(server, "drugs")
    text = "A swastika lies crossed out on the floor of the hall"
    run = lab.run("dada", text, safety="adult")
    assert run.status == "completed"
    report = aipipe.resafety(run, policy="kids")
    assert list(report.flips["why"]) == ["model: drugs"]
    assert report.frame["stage"].tolist() == ["1", "3"]
    # Nobody was asked about the prompt of stage 3: at adult a model judges only after a review hit.
    assert report.counts["not replayed"] == 1
    assert "no model judged this text then" in str(report)


def test_own_terms_and_a_translation_that_smooths(lab: Lab, server: ModelServer, tmp_path: Path) -> None:
    answer(server, "none")
    run = lab.run("dada", "Eine Blume auf der Wiese", safety="kids")
    terms = tmp_path / "mine.json"
    terms.write_text('{"code": "other", "levels": ["kids"], "block": {"de": ["blume"]}}', encoding="utf-8")
    report = aipipe.resafety([run], policy={"terms": [terms]})
    assert report.counts["allowed→blocked"] == 1
    assert report.flips.iloc[0]["why"].endswith("other (blume)")
    assert "1 term file" in str(report)


def test_without_the_shipped_terms_a_term_alone_cannot_be_judged(lab: Lab, server: ModelServer) -> None:
    answer(server, "none")
    run = lab.run("dada", "They all shout sieg heil in the street at night", safety="kids")
    assert run["safety"].json["method"] == "terms"
    report = aipipe.resafety(run, policy=aipipe.SafetyPolicy(shipped_terms=False))
    assert report.counts["not replayed"] == 1


def test_a_named_model_is_asked_afresh(lab: Lab, server: ModelServer) -> None:
    answer(server, "none")
    run = lab.run("dada", TEXT, safety="kids")
    answer(server, "frightening")
    asked = len(server.requests)
    report = aipipe.resafety(lab.store, policy={"model": "ollama:tiny", "level": "kids"})
    assert len(server.requests) == asked + 2
    assert report.counts["allowed→blocked"] == 2
    assert set(report.frame["model"]) == {"tiny"}
    assert aipipe.resafety(run, policy={"model": "ollama", "level": "adult"}).counts["unchanged"] == 2


def test_a_user_word_hit_after_a_model_said_safe_is_recorded_as_terms(lab: Lab, server: ModelServer) -> None:
    answer(server, "none")
    run = lab.run("dada", "Sie rufen alle laut Sieg Heil auf der Straße, und keiner sagt etwas", safety="kids")
    assert (run.status, run["safety"].json["method"]) == ("blocked", "terms")


def test_off_and_echo(lab: Lab, server: ModelServer) -> None:
    off = lab.run("dada", TEXT, safety="off")
    assert aipipe.resafety(off, policy="kids").counts["not replayed"] == 2
    echo = lab.run("dada", TEXT, mode="echo")
    report = aipipe.resafety(echo, policy="youth")
    assert report.counts["unchanged"] == 2
    assert set(report.frame["method"]) == {"terms only (echo)"}


def test_an_answer_that_is_no_verdict_stays_unknown(lab: Lab, server: ModelServer) -> None:
    server.script = lambda request: "perhaps" if request.get("format") else "text"
    run = lab.run("dada", TEXT, safety="kids")
    (row,) = aipipe.resafety(run, policy="youth").rows
    assert (row["before"], row["after"], row["outcome"]) == ("blocked", "", "not replayed")
    assert "not a verdict" in row["why"]


def test_every_source_and_what_cannot_be_read(lab: Lab, server: ModelServer, tmp_path: Path) -> None:
    answer(server, "sexual")
    run = lab.run("dada", NAKED, safety="kids")
    torn = lab.store.path / "0192f0c1-0000-7000-8000-000000000000"
    torn.mkdir()
    (torn / "metadata.json").write_text("{", encoding="utf-8")
    for source in (None, lab.store, lab.store.path, run.folder, [run], aipipe.load_runs(lab.store)):
        report = aipipe.resafety(source, policy="adult")
        assert report.counts["blocked→allowed"] == 1
    assert aipipe.resafety(lab.store, policy="adult").skipped
    (run.folder / run["safety"].filename).unlink()
    assert aipipe.resafety(run, policy="adult").skipped[0][0].startswith(run.run_id)
    with pytest.raises(RunNotFound):
        aipipe.resafety(tmp_path / "nowhere", policy="adult")
    with pytest.raises(UsageError):
        aipipe.resafety(7, policy="adult")


def test_wrong_policies_are_refused_with_names(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="safety level"):
        aipipe.resafety([], policy="teens")
    with pytest.raises(UnknownName, match="policy's model"):
        aipipe.resafety([], policy={"model": "tiny"})
    with pytest.raises(UsageError, match="levle"):
        aipipe.resafety([], policy={"levle": "kids"})
    with pytest.raises(InvalidInput, match="terms"):
        aipipe.resafety([], policy={"terms": [tmp_path / "none.json"]})


def test_the_display_escapes_what_people_wrote(lab: Lab, server: ModelServer) -> None:
    answer(server, "sexual")
    run = lab.run("dada", "A naked <script>alert(1)</script> man runs across the green meadow", safety="kids")
    report = aipipe.resafety(run, policy="adult")
    bundle = report._repr_mimebundle_()
    assert "<script>" not in bundle["text/html"]
    assert "1 blocked→allowed" in bundle["text/plain"]
    assert str(aipipe.resafety([])).startswith("0 checks")

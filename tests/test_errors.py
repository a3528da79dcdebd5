"""Errors carry what happened, what to do next, and survive the way to another process."""

from __future__ import annotations

import pickle

import pytest

from aipipe import errors


def kinds() -> list[type[errors.AipipeError]]:
    found, todo = [], [errors.AipipeError]
    while todo:
        kind = todo.pop()
        found.append(kind)
        todo += kind.__subclasses__()
    return [kind for kind in dict.fromkeys(found) if kind.__module__ == "aipipe.errors"]


@pytest.mark.parametrize("kind", kinds(), ids=lambda k: k.__name__)
def test_every_kind_is_documented_and_picklable(kind: type[errors.AipipeError]) -> None:
    assert kind.__doc__
    made = errors._rebuild(kind, "what happened", "what to do", {"path": "x"})
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is kind
    assert (again.message, again.hint, again.path) == ("what happened", "what to do", "x")
    assert str(again) == "what happened\nHint: what to do"
    assert again.exit_code in (2, 3, 4, 130)


def test_an_unknown_name_says_what_is_near() -> None:
    error = errors.UnknownName("config", "dade", ["dada", "bauhaus"])
    assert "dada" in str(error)
    assert isinstance(error, LookupError)
    assert error.exit_code == 2


@pytest.mark.parametrize(
    "name", ["Rejected", "NodeFailed", "OutOfMemory", "Cancelled", "Lost", "TimedOut", "Partial", "Unreachable"]
)
def test_comfy_errors_name_the_node(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, errors.ComfyError)
    made = kind("x", job_id="j", node_id="3", node_title="Sampler", node_class="KSampler")
    assert (made.job_id, made.node_id, made.node_title, made.node_class) == ("j", "3", "Sampler", "KSampler")

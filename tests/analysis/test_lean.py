"""The lean decoder against the general way: same columns for every record, however odd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from aipipe.analysis import assemble, index, load_runs, scan
from aipipe.analysis.columns import RUNS
from aipipe.analysis.lean import lean

pytest.importorskip("msgspec")
pytest.importorskip("pyarrow")

ODD: Any = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "kids", "12", "2026-11-01T10:00:00Z", "2026-11-01T10:00:00.1234567+02:00", "0001-01-01", "ü"]),
    st.just([]),
    st.just({}),
    st.just(["a", 1, None]),
    st.just({"type": "error", "stage": 2, "language": "de", "outcome": "completed", "model": None}),
    st.just([{"type": "error", "outcome": "failed", "characters": 2**62, "language": ""}] * 3),
    st.just([{"type": 1}, None]),
)
OUTER = sorted(
    {c.source.split(".")[1] for c in RUNS if c.source.startswith("run.")} | {"inputs", "outputs", "entities"}
)
INNER = {
    "reason": ["type", "message", "stage"],
    "current_state": ["stage", "step"],
    "models": ["safety", "vision"],
    "batch": ["batch_id", "index"],
}


def fields() -> Any:
    inner = {n: st.dictionaries(st.sampled_from(keys), ODD) for n, keys in INNER.items()}
    return st.fixed_dictionaries({}, optional={n: st.one_of(inner.get(n, ODD), ODD) for n in OUTER})


def both(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = load_runs(root, index=False)
    with monkeypatch.context() as patch:
        patch.setattr(assemble, "lean", lambda columns: None)
        general = load_runs(root, index=False)
    assert_frame_equal(quick, general)
    assert quick.attrs["report"] == general.attrs["report"]


@settings(max_examples=120, deadline=None)
@given(records=st.lists(fields(), min_size=1, max_size=4))
def test_odd_records_read_the_same(records: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("store")
    for number, record in enumerate(records):
        (root / f"run_{number}").mkdir()
        whole = {"format_version": 1, **record, "run_id": f"run_{number}"}
        (root / f"run_{number}" / "metadata.json").write_text(json.dumps(whole), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        both(root, patch)


BYTES = [
    b'{"format_version":1,"run_id":"a","x":"\xff"}',
    b'{"format_version":1,"run_id":"a","\xff":1}',
    b'{"format_version":1,"run_id":"a","labels":{"k":"\xff"}}',
    b'{"format_version":1,"run_id":"a","x":"\\ud800"}',
    b'{"format_version":1,"run_id":"a","x":NaN}',
    b'{"format_version":1,"run_id":"a","x":01}',
    b'{"format_version":1,"run_id":"a","seconds":1e999}',
    b'{"format_version":1,"run_id":"a","seconds":3,"seed":18446744073709551616}',
    b'{"format_version":1,"run_id":"a","labels":{"k":18446744073709551616}}',
    b'{"format_version":1,"run_id":"a","study":"x","study":null}',
    b'{"format_version":1.0,"run_id":"a"}',
    b'{"format_version":true,"run_id":"a"}',
    b'{"format_version":2,"run_id":"a"}',
    b'{"format_version":1,"run_id":""}',
    b'{"format_version":1,"run_id":"a","x":' + b"[" * 2000 + b"]" * 2000 + b"}",
    b'\xef\xbb\xbf{"format_version":1,"run_id":"a"}',
    b'{"format_version":1,"run_id":"a"} x',
    b'{"format_version":1,"run_id":"a","timestamp":"0000-01-01T00:00:00Z"}',
    b'{"format_version":1,"run_id":"a","timestamp":"9999-12-31T23:59:59-12:00"}',
    b'{"format_version":1,"run_id":"a","timestamp":"2026-11-01 10:00"}',
    b"[]",
    b"",
]


@pytest.mark.parametrize("data", BYTES)
def test_odd_bytes_read_the_same(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("a", data), ("b", b'{"format_version":1,"run_id":"b","user_id":"u"}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metadata.json").write_bytes(content)
    both(tmp_path, monkeypatch)


def test_an_ordinary_record_takes_the_quick_way() -> None:
    decoder = lean(RUNS)
    assert decoder is not None
    runs = decoder.records([b'{"format_version":1,"run_id":"a","models":{"safety":"m"},"entities":[{"type":"error"}]}'])
    assert runs is not None
    values = decoder.columns(runs)
    assert values is not None
    assert (values["model_safety"], values["errors"], values["models"]) == (["m"], [1], ['{"safety":"m"}'])


def test_one_record_that_does_not_fit_sends_the_chunk_the_general_way() -> None:
    decoder = lean(RUNS)
    assert decoder is not None
    fine = b'{"format_version":1,"run_id":"a"}'
    assert decoder.records([fine, b'{"execution_id":"x"}']) is None
    assert decoder.records([fine, b'{"format_version":1,"run_id":"b","seed":7}']) is None


def test_a_trusting_listing_answers_as_an_exact_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = b'{"format_version":1,"run_id":"%d"}'
    for number in range(5):
        (tmp_path / f"run_{number}").mkdir()
        (tmp_path / f"run_{number}" / "metadata.json").write_bytes(fine % number)
    (tmp_path / "run_0a").mkdir()  # died before its first record
    (tmp_path / "run_1a" / "metadata.json").mkdir(parents=True)
    (tmp_path / "run_2a" / "deeper").mkdir(parents=True)
    (tmp_path / "run_2a" / "deeper" / "metadata.json").write_bytes(fine % 9)
    (tmp_path / "run_3a").mkdir()
    (tmp_path / "run_3a" / "metadata.json").symlink_to(tmp_path / "run_3" / "metadata.json")
    (tmp_path / "run_4a").mkdir()
    (tmp_path / "run_4a" / "metadata.json").write_bytes(b"{")
    trusting = load_runs(tmp_path, index=False)
    built = load_runs(tmp_path)
    used = load_runs(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(index, "discover", lambda root, trusting=False: scan.discover(root))
        exact = load_runs(tmp_path, index=False)
    assert list(exact["run_id"]) == ["0", "1", "2", "9", "3", "4"]
    assert len(exact.attrs["report"]["skipped"]) == 4
    for frame in (trusting, built, used):
        assert_frame_equal(frame, exact)
        assert frame.attrs["report"]["skipped"] == exact.attrs["report"]["skipped"]

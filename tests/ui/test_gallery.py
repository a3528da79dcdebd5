"""Rows, thumbnails, messages and the static form of the gallery, without a browser."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import aipipe
from aipipe.annotations import Annotations
from aipipe.errors import UsageError
from aipipe.ui.detail import detail_of, differences
from aipipe.ui.gallery import Gallery
from aipipe.ui.gallery_rows import pack, rows_of
from aipipe.ui.thumbnails import Thumbnails
from tests.ui.made import make_run, make_store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "runs", 12)


class Said(list[tuple[dict[str, Any], list[bytes]]]):
    """What a gallery sends to its page."""


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    heard = Said()

    def send(self: Any, content: dict[str, Any], buffers: Any = None) -> None:
        heard.append((content, list(buffers or [])))

    monkeypatch.setattr(Gallery, "send", send)
    return heard


def ids(rows: Any) -> list[str]:
    return [row.run_id for row in rows]


def test_every_source_gives_the_same_runs(store: Path) -> None:
    runs = list(aipipe.Store(store))
    expected = sorted(run.run_id for run in runs)
    frame = aipipe.load_runs(store)
    for source in (store, str(store), aipipe.Store(store), runs, frame, frame[["run_id", "folder"]]):
        assert sorted(ids(rows_of(source))) == expected
    assert ids(rows_of(runs[0])) == [runs[0].run_id]


def test_a_frame_keeps_its_own_order_and_choice(store: Path) -> None:
    frame = aipipe.load_runs(store)
    chosen = frame.sort_values("seconds", ascending=False).head(3)
    assert ids(rows_of(chosen)) == list(chosen["run_id"])


def test_a_frame_without_ids_and_runs_from_elsewhere_are_refused(store: Path) -> None:
    with pytest.raises(UsageError, match="run_id"):
        rows_of(pd.DataFrame({"x": [1]}))
    frame = pd.DataFrame({"run_id": ["gone"]})
    frame.attrs["store"] = str(store)
    with pytest.raises(UsageError, match="not in the store"):
        rows_of(frame)
    with pytest.raises(UsageError, match="holds no runs"):
        rows_of(3)


def test_rows_of_handles_and_of_frames_say_the_same(store: Path) -> None:
    by_run = {row.run_id: row for row in rows_of(list(aipipe.Store(store)))}
    for row in rows_of(store):
        assert row == by_run[row.run_id]


def test_the_packed_index_holds_every_column_for_every_run(store: Path) -> None:
    columns = json.loads(gzip.decompress(pack(rows_of(store))))
    assert {len(v["codes"] if isinstance(v, dict) else v) for v in columns.values()} == {12}
    assert set(columns["config"]["values"]) == {"dada", "bauhaus", "overdrive", "stille_post"}


def test_thumbnails_are_kept_and_made_again(store: Path) -> None:
    folder = next(p for p in sorted(store.iterdir()) if (p / "03_output_image.png").exists())
    kept = Thumbnails(store)
    data, note = kept.of(folder)
    assert data[8:12] == b"WEBP"
    assert note == ""
    cached = list(kept.folder.rglob("*.webp"))
    assert len(cached) == 1
    cached[0].unlink()
    assert kept.of(folder)[0] == data


def test_a_picture_that_is_missing_broken_or_outside_is_named_not_raised(tmp_path: Path) -> None:
    kept = Thumbnails(tmp_path)
    gone, broken, outside, torn = (make_run(tmp_path, n) for n in (1, 2, 3, 4))
    (gone / "03_output_image.png").unlink()
    (broken / "03_output_image.png").write_bytes(b"no picture")
    document = json.loads((outside / "metadata.json").read_text())
    document["entities"][-1]["filename"] = "../../secret.png"
    (outside / "metadata.json").write_text(json.dumps(document))
    (torn / "metadata.json").write_text('{"run_id": ')
    notes = [kept.of(folder) for folder in (gone, broken, outside, torn)]
    assert notes == [(b"", "file missing"), (b"", "does not open"), (b"", "unsafe path"), (b"", "cannot be read")]


def test_the_page_gets_the_pictures_it_asks_for(store: Path, said: Said) -> None:
    gallery = aipipe.gallery(store)
    gallery._message(gallery, {"type": "thumbs", "rows": [0, 3, 99, -1]}, [])
    content, buffers = said[0]
    assert content["rows"] == [0, 3]
    assert len(buffers) == len(content["notes"]) == 2


def test_the_selection_is_runs_and_a_frame(store: Path) -> None:
    gallery = aipipe.gallery(store)
    gallery.chosen = [4, 1]
    assert [run.run_id for run in gallery.selected] == gallery.selected_ids
    assert sorted(gallery.frame["run_id"]) == sorted(gallery.selected_ids)
    gallery.chosen = []
    assert len(gallery.frame) == 12


def test_marks_by_key_are_annotations_beside_the_runs(store: Path, said: Said) -> None:
    gallery = aipipe.gallery(store)
    for act, value in (("tag", "night, keep"), ("star", ""), ("exclude", "blurred"), ("untag", "night")):
        gallery._message(gallery, {"type": "annotate", "act": act, "value": value, "rows": [0]}, [])
    noted = Annotations(store).of(gallery._rows[0].run_id)
    assert (noted.tags, noted.starred, noted.exclude_reason) == (["keep"], True, "blurred")
    assert said[-1][0]["changed"] == [[gallery._rows[0].tags, True, True]]
    assert "night" not in gallery._rows[0].tags
    gallery._message(gallery, {"type": "annotate", "act": "include", "rows": [0]}, [])
    assert not Annotations(store).of(gallery._rows[0].run_id).excluded


def test_what_goes_wrong_is_said_in_the_page(store: Path, said: Said) -> None:
    gallery = aipipe.gallery(store)
    gallery._message(gallery, {"type": "annotate", "act": "exclude", "value": " ", "rows": [0]}, [])
    assert said[-1][0]["type"] == "error"
    assert "reason" in said[-1][0]["message"]
    gallery._message(gallery, {"type": "thumbs", "rows": ["x"]}, [])
    assert said[-1][0]["type"] == "error"
    assert not Annotations(store).of(gallery._rows[0].run_id).excluded
    before = len(said)
    gallery._message(gallery, "noise", [])
    gallery._message(gallery, {"type": "noise"}, [])
    assert len(said) == before


def test_the_detail_holds_the_chain_and_what_it_changed(store: Path) -> None:
    folder = next(p for p in sorted(store.iterdir()) if (p / "03_output_image.png").exists())
    values, picture, sound = detail_of(folder)
    assert (values["plays"], sound) == ("", b"")
    assert [link["label"] for link in values["chain"]] == ["Input", "Interception"]
    changed = values["chain"][1]["changed"]
    assert "".join(text for mark, text in changed if mark != "-") == values["chain"][1]["text"]
    assert picture[8:12] == b"WEBP"


def test_differences_rebuild_both_texts() -> None:
    before, after = "a red heron, standing", "a blue heron flying"
    pieces = differences(before, after)
    assert "".join(t for m, t in pieces if m != "+") == before
    assert "".join(t for m, t in pieces if m != "-") == after


def test_the_static_form_is_small_escaped_and_free_of_script(tmp_path: Path) -> None:
    for number in range(1, 41):
        make_run(tmp_path, number, text="<script>alert(1)</script>", config_name="<b>")
    shown = aipipe.gallery(tmp_path)._repr_mimebundle_()
    assert set(shown) == {"text/html", "text/plain"}
    html = shown["text/html"]
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert html.count("<figure") == 24
    assert "and 16 more" in html
    assert len(html) < 100_000
    assert "40 runs" in shown["text/plain"]


def test_an_empty_store_has_an_empty_gallery(tmp_path: Path) -> None:
    gallery = aipipe.gallery(tmp_path)
    assert len(gallery) == 0
    assert list(gallery.selected) == []
    assert len(gallery.frame) == 0

"""Two names exchanged in one step, and what happens where the system cannot."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from aipipe import files, swap
from aipipe.errors import WriterReplaced
from aipipe.store import Store


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_text("new")
    old.write_text("old")
    return new, old


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="renameat2 is Linux's")
def test_each_name_leads_to_the_others_content(pair: tuple[Path, Path]) -> None:
    new, old = pair
    with old.open() as reader:
        assert swap.swap(new, old)
        assert (new.read_text(), old.read_text()) == ("old", "new")
        new.unlink()
        assert reader.read() == "old", "who has the old one open goes on reading it"


def test_nothing_happens_when_one_is_missing(pair: tuple[Path, Path]) -> None:
    new, old = pair
    old.unlink()
    assert not swap.swap(new, old)
    assert not swap.swap(old, new)
    assert new.read_text() == "new"


@pytest.mark.parametrize("able", [True, False], ids=["swap", "rename"])
def test_an_unforced_replace_leaves_only_the_new_content(
    pair: tuple[Path, Path], able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not able:
        monkeypatch.setattr(swap, "_renameat2", lambda: None)
    new, old = pair
    files.replace_unforced(new, old)
    assert old.read_text() == "new"
    assert list(old.parent.iterdir()) == [old]
    old.rename(new)
    files.replace_unforced(new, old)
    assert old.read_text() == "new", "where nothing is there yet it is a rename"


def test_a_refused_call_falls_back_to_the_rename(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems know no exchange, and some sandboxes refuse the call."""
    monkeypatch.setattr(swap, "_renameat2", lambda: lambda *_: -errno.EINVAL)
    new, old = pair
    files.replace_unforced(new, old)
    assert old.read_text() == "new"
    with pytest.raises(FileNotFoundError):
        files.replace_unforced(new, old)


@pytest.mark.parametrize("able", [True, False], ids=["swap", "rename"])
def test_at_never_a_replaced_writer_is_told_so(tmp_path: Path, able: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not able:
        monkeypatch.setattr(swap, "_renameat2", lambda: None)
    recorder = Store(tmp_path, durability="never").create("dada")
    recorder.save_entity("input", "a flower")
    (recorder.folder / ".writer-1").rename(recorder.folder / ".writer-2")
    before = (recorder.folder / "metadata.json").read_bytes()
    with pytest.raises(WriterReplaced):
        recorder.save_entity("interception", "a torn flower")
    with pytest.raises(WriterReplaced):
        recorder.finish("failed")
    assert (recorder.folder / "metadata.json").read_bytes() == before
    recorder.close()

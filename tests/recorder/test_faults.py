"""What the disk refuses becomes a typed error; what was recorded before stays as it was."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aipipe import files
from aipipe.errors import RecordingError, StorageFull
from aipipe.store import Store

ERRORS = [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EACCES, errno.EROFS]


class FailAt:
    """A hook that refuses the k-th change from now on with an error of the system."""

    def __init__(self, k: int, code: int) -> None:
        self.left, self.code = k, code
        self.fired = False

    def __call__(self, name: str, path: Path, source: Path | None) -> None:
        self.left -= 1
        if self.left < 0 and not self.fired:
            self.fired = True
            raise OSError(self.code, os.strerror(self.code), str(path))


@pytest.mark.parametrize("durability", ["entity", "stage", "never"])
@pytest.mark.parametrize("code", ERRORS, ids=lambda c: errno.errorcode[c])
def test_a_refused_save_leaves_the_earlier_state_and_the_run_goes_on(
    tmp_path: Path, code: int, durability: str
) -> None:
    k = 0
    while True:
        store = Store(tmp_path / f"{k}", durability=durability)
        recorder = store.create("dada", expected_outputs=["input", "interception"])
        recorder.save_entity("input", "a flower")
        before = (recorder.folder / "metadata.json").read_bytes()
        hook = FailAt(k, code)
        files.set_operation_hook(hook)
        try:
            recorder.save_entity("interception", "a torn flower")
            saved = True
        except RecordingError as error:
            saved = False
            assert error.path is not None
            assert error.hint
            assert isinstance(error, StorageFull) == (code == errno.ENOSPC)
        finally:
            files.set_operation_hook(None)
        if not hook.fired:
            break
        if not saved:
            now = store.open(recorder.run_id)
            assert [e.type for e in now.entities] == ["input"]
            assert (recorder.folder / "metadata.json").read_bytes() == before
            recorder.save_entity("interception", "a torn flower")
        recorder.finish()
        assert store.open(recorder.run_id).status == "completed"
        assert store.open(recorder.run_id).verify().clean
        k += 1
    assert k >= 6
    recorder.close()


@pytest.mark.parametrize("code", ERRORS, ids=lambda c: errno.errorcode[c])
def test_a_refused_creation_leaves_a_store_that_works(tmp_path: Path, code: int) -> None:
    for k in range(12):
        store = Store(tmp_path / "runs")
        files.set_operation_hook(FailAt(k, code))
        try:
            recorder = store.create("dada")
        except RecordingError:
            pass
        else:
            recorder.close()
        finally:
            files.set_operation_hook(None)
        store.doctor(apply=True)
        with store.create("dada") as recorder:
            recorder.save_entity("input", "a flower")
        assert recorder.run_id in {run.run_id for run in store}


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: whole(descriptor, bytes(data)[:7]))
    with Store(tmp_path).create("dada") as recorder:
        recorder.save_entity("input", "a flower on the meadow " * 50)
    run = Store(tmp_path).open(recorder.run_id)
    assert run["input"].text == "a flower on the meadow " * 50
    assert run.verify().clean


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """For a while, somebody without rights: root may write anywhere."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.skipif(os.name == "nt", reason="permission bits")
@pytest.mark.parametrize("inside", ["", "runs"], ids=["store", "parent"])
def test_a_read_only_root_is_named(inside: str) -> None:
    with Store(Path(tempfile.mkdtemp())).create("dada") as recorder:
        recorder.save_entity("input", "a flower")  # everything is imported before the rights are dropped
    place = Path(tempfile.mkdtemp())
    place.chmod(0o555)
    try:
        with nobody(), pytest.raises(RecordingError, match="Permission denied") as caught:
            Store(place / inside).create("dada")
        assert caught.value.hint
        assert list(place.iterdir()) == []
    finally:
        shutil.rmtree(place)
        shutil.rmtree(recorder.folder.parent)


@pytest.mark.parametrize("durability", ["entity", "stage", "never"])
@pytest.mark.parametrize("code", ERRORS, ids=lambda c: errno.errorcode[c])
def test_a_disk_that_refuses_for_ever_still_leaves_what_was_acknowledged(
    tmp_path: Path, code: int, durability: str
) -> None:
    """Every further change fails; the caller hears of each, and readers see the last good state."""
    recorder = Store(tmp_path, durability=durability).create("dada", expected_outputs=["input", "interception"])
    recorder.save_entity("input", "a flower")

    def refuse(name: str, path: Path, source: Path | None) -> None:
        raise OSError(code, os.strerror(code), str(path))

    files.set_operation_hook(refuse)
    for act in (
        lambda: recorder.save_entity("interception", "a torn flower"),
        lambda: recorder.save_error(2, "model_failed", "no answer"),
        lambda: recorder.finish("failed"),
    ):
        with pytest.raises(RecordingError):
            act()
    recorder.close()
    files.set_operation_hook(None)
    run = Store(tmp_path).open(recorder.run_id)
    assert run.status == "interrupted"
    assert [e.type for e in run.entities] == ["input"]
    assert run.verify().findings == []


def break_next_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next fsync fails, every later one works."""
    whole = os.fsync
    broken = iter([True])

    def once(descriptor: int) -> None:
        if next(broken, False):
            raise OSError(errno.EIO, "Input/output error")
        whole(descriptor)

    monkeypatch.setattr(os, "fsync", once)


def test_a_failed_sync_is_never_taken_for_a_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed fsync the system may report the next one as fine although the bytes are gone (fsyncgate)."""
    recorder = Store(tmp_path).create("dada")
    break_next_sync(monkeypatch)
    with pytest.raises(RecordingError):
        recorder.save_entity("input", "a flower")
    assert recorder.record.entities == []
    assert [p.name for p in recorder.folder.iterdir() if p.name[0].isdigit()] == []
    recorder.save_entity("input", "a flower")
    recorder.finish()
    assert Store(tmp_path).open(recorder.run_id).verify().clean


def test_at_stage_a_file_whose_sync_failed_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Store(tmp_path, durability="stage").create("dada")
    recorder.update_state(1)
    recorder.save_entity("input", "a flower")
    path = recorder.folder / "01_input.txt"
    before = path.stat().st_ino
    break_next_sync(monkeypatch)
    with pytest.raises(RecordingError, match="Input/output error") as caught:
        recorder.update_state(2)
    assert caught.value.hint
    recorder.finish()
    assert path.stat().st_ino != before
    assert Store(tmp_path).open(recorder.run_id).verify().clean


def test_at_stage_bytes_that_the_disk_lost_are_never_said_to_be_kept(tmp_path: Path) -> None:
    recorder = Store(tmp_path, durability="stage").create("dada")
    recorder.save_entity("input", "a flower")

    def refuse(name: str, path: Path, source: Path | None) -> None:
        if name == "fsync" and path.name == "01_input.txt":
            path.write_bytes(b"a fl\0\0\0\0")
            raise OSError(errno.EIO, "Input/output error")

    files.set_operation_hook(refuse)
    with pytest.raises(RecordingError):
        recorder.update_state(2)
    files.set_operation_hook(None)
    with pytest.raises(RecordingError, match="no longer has the bytes"):
        recorder.finish()
    recorder.close()
    assert Store(tmp_path).open(recorder.run_id).status == "interrupted"


def test_a_resumed_run_forces_what_its_first_attempt_did_not(tmp_path: Path) -> None:
    with pytest.raises(KeyError), Store(tmp_path, durability="never").create("dada") as recorder:
        recorder.save_entity("input", "a flower")
        raise KeyError
    synced: list[str] = []
    files.set_operation_hook(lambda name, path, source: synced.append(path.name) if name == "fsync" else None)
    try:
        Store(tmp_path).resume(recorder.run_id).close()
    finally:
        files.set_operation_hook(None)
    assert "01_input.txt" in synced


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a mount point of its own")
def test_a_really_full_disk(tmp_path: Path) -> None:
    import subprocess

    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine does not let tests mount a small disk; the seam above covers the same paths")
    try:
        store = Store(place / "runs")
        recorder = store.create("dada")
        recorder.save_entity("input", "a flower")
        with pytest.raises(StorageFull, match="disk is full"):
            recorder.save_entity("output_image", b"\x89PNG\r\n\x1a\n" + bytes(400_000))
        run = store.open(recorder.run_id)
        assert [e.type for e in run.entities] == ["input"]
        assert run.verify().clean
        recorder.save_error(4, "StorageFull", "the picture did not fit")
        recorder.finish("failed", "the disk was full")
        assert store.open(recorder.run_id).status == "failed"
    finally:
        subprocess.run(["umount", str(place)], check=False)

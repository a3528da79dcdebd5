"""What a recorder writes, and what it refuses."""

from __future__ import annotations

import io
import json
import threading
import time
import uuid
from pathlib import Path

import pytest
from pydantic import BaseModel

from aipipe.errors import InvalidInput, RunExists, RunFinished, UnsafePath, UsageError
from aipipe.files import uuid7
from aipipe.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


class Note(BaseModel):
    text: str
    score: float


def test_only_the_config_name_is_needed_and_leaving_the_block_completes(store: Store) -> None:
    with store.create(config_name="mine") as recorder:
        recorder.save_entity("input", "a flower", metadata={"language": "en"})
    run = store.open(recorder.run_id)
    assert run.status == "completed"
    assert run["input"].metadata == {"language": "en"}
    assert run.record.current_state.step == "complete"
    assert run.folder.joinpath("01_input.txt").read_text() == "a flower"
    assert sorted(p.name for p in run.folder.iterdir()) == ["01_input.txt", "metadata.json", "provenance.json"]


def test_every_kind_of_content_is_saved_as_what_it_is(store: Store, tmp_path: Path) -> None:
    from PIL import Image

    picture = Image.new("RGB", (4, 3), "red")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    film = tmp_path / "film.bin"
    film.write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40))
    contents = {
        "text": ("ein Blümchen", ".txt", "text"),
        "list": ([1, 2], ".json", "json"),
        "model": (Note(text="n", score=1.5), ".json", "json"),
        "bytes": (buffer.getvalue(), ".png", "image"),
        "stream": (io.BytesIO(buffer.getvalue()), ".png", "image"),
        "picture": (picture, ".png", "image"),
        "path": (film, ".wav", "audio"),
    }
    with store.create("mine") as recorder:
        for name, (content, suffix, media_type) in contents.items():
            entity = recorder.save_entity(f"thing_{name}", content)
            assert entity.filename.endswith(suffix), name
            assert entity.media_type == media_type, name
            assert entity.size == recorder.folder.joinpath(entity.filename).stat().st_size
    assert store.open(recorder.run_id).verify().clean


def test_json_is_deterministic_and_refuses_what_is_not_json(store: Store) -> None:
    with store.create("mine") as recorder:
        first = recorder.save_entity("note", {"b": 1, "a": "ü"})
        second = recorder.save_entity("note", {"a": "ü", "b": 1})
        with pytest.raises(InvalidInput):
            recorder.save_entity("note", {"score": float("nan")})
        with pytest.raises(InvalidInput):
            recorder.save_entity("note", object())
    assert first.sha256 == second.sha256 or recorder.folder.joinpath(first.filename).read_text() != ""
    assert "ü" in recorder.folder.joinpath(first.filename).read_text("utf-8")


def test_a_large_stream_goes_through_in_constant_memory(store: Store) -> None:
    import tracemalloc

    class Zeros(io.RawIOBase):
        left = 300 * 1024 * 1024

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            count = min(len(buffer), self.left)
            buffer[:count] = bytes(count)
            self.left -= count
            return count

    tracemalloc.start()
    with Store(store.path, durability="never").create("mine") as recorder:
        entity = recorder.save_entity("output_video", io.BufferedReader(Zeros()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert entity.size == 300 * 1024 * 1024
    assert peak < 16 * 1024 * 1024


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/b", "a\\b", "CON\0", "", "..", "x" * 300, "Input", "ínput", "output image", "nul.txt", "аudio"],
)
def test_entity_types_cannot_leave_the_folder(store: Store, name: str) -> None:
    with store.create("mine") as recorder, pytest.raises(UnsafePath):
        recorder.save_entity(name, "x")
    assert sorted(p.name for p in store.path.iterdir()) == [recorder.run_id]


@pytest.mark.parametrize(
    "run_id", ["", "mine", "../../etc", "0" * 32, "{01890000-0000-7000-8000-000000000001}", "x" * 300]
)
def test_only_a_uuid_names_a_new_run(store: Store, run_id: str) -> None:
    with pytest.raises(UnsafePath):
        store.create("mine", run_id=run_id)


def test_an_id_is_used_once(store: Store) -> None:
    given = str(uuid.uuid4()).upper()
    with store.create("mine", run_id=given) as recorder:
        assert recorder.run_id == given.lower()
    with pytest.raises(RunExists):
        store.create("mine", run_id=given)


def test_ids_sort_by_time_and_never_repeat() -> None:
    ids = [uuid7() for _ in range(5_000)]
    assert ids == sorted(set(ids))
    assert all(uuid.UUID(i).version == 7 for i in ids)


def test_progress_counts_expected_outputs_only_and_is_checked(store: Store) -> None:
    with store.create("mine", expected_outputs=["input", "note"]) as recorder:
        recorder.update_state(stage=1, step="translation_and_safety", progress="0/2")
        recorder.save_entity("extra", "x")
        recorder.save_error(1, "warning", "nothing much")
        assert recorder.record.current_state.progress == "0/2"
        recorder.save_entity("input", "x")
        recorder.save_entity("input", "again")
        assert recorder.record.current_state.progress == "1/2"
        with pytest.raises(UsageError, match="1/2"):
            recorder.update_state(stage=2, progress="2/2")
        recorder.save_entity("note", "x")
    assert store.open(recorder.run_id).record.current_state.progress == "2/2"


def test_success_needs_every_expected_output(store: Store) -> None:
    with store.create("mine", expected_outputs=["input", "output_image"]) as recorder:
        recorder.save_entity("input", "x")
        assert recorder.finish("completed") == "failed"
    run = store.open(recorder.run_id)
    assert run.status == "failed"
    assert run.reason is not None
    assert "output_image" in run.reason.message
    assert run["error"].json["error_type"] == "missing_outputs"


def test_a_state_reaches_the_disk_within_a_second(store: Store) -> None:
    with store.create("mine") as recorder:
        recorder.update_state(stage=2)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            state = json.loads(recorder.folder.joinpath("metadata.json").read_text())["current_state"]
            if state["stage"] == 2:
                break
            time.sleep(0.02)
        assert state["stage"] == 2


def test_an_exception_in_the_block_is_recorded_and_passed_on(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.create("mine") as recorder:
        recorder.update_state(stage=2)
        1 / 0  # noqa: B018
    run = store.open(recorder.run_id)
    assert run.status == "failed"
    assert run.reason is not None
    assert run.reason.type == "ZeroDivisionError"
    assert run.reason.stage == 2
    assert run["error"].json["message"] == "ZeroDivisionError: division by zero"


def test_an_interrupt_in_the_block_is_a_cancellation(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), store.create("mine") as recorder:
        raise KeyboardInterrupt
    assert store.open(recorder.run_id).status == "cancelled"


def test_nothing_is_written_after_the_end(store: Store) -> None:
    with store.create("mine") as recorder:
        recorder.finish("blocked", "because")
    for act in (
        lambda: recorder.save_entity("note", "x"),
        lambda: recorder.update_state(3),
        lambda: recorder.finish("completed"),
        lambda: recorder.append_exchange({}),
    ):
        with pytest.raises(RunFinished):
            act()


def test_sixteen_threads_save_into_one_run(store: Store) -> None:
    with store.create("mine") as recorder:
        threads = [
            threading.Thread(target=lambda n=n: [recorder.save_entity("note", f"{n}-{i}") for i in range(8)])
            for n in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    run = store.open(recorder.run_id)
    assert [e.sequence for e in run.entities] == list(range(1, 129))
    assert run.entities[-1].filename.startswith("128_")
    assert len({e.text for e in run.entities}) == 128
    assert run.verify().clean


def test_secrets_do_not_reach_the_disk(store: Store) -> None:
    secret = "sk-abcdefgh12345678"
    with store.create("mine", provenance={"settings": {"api_key": secret, "url": f"http://x?k={secret}"}}) as recorder:
        recorder.append_exchange({"headers": {"Authorization": f"Bearer {secret}"}, "max_tokens": 5})
        recorder.save_error(1, "refused", "no", {"token": secret})
    written = b"".join(p.read_bytes() for p in recorder.folder.iterdir())
    assert secret.encode() not in written
    assert b'"max_tokens": 5' in written


def test_a_link_in_a_run_folder_is_never_followed(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "secret.txt"
    outside.write_text("secret")
    with store.create("mine") as recorder:
        recorder.save_entity("input", "x")
    path = recorder.folder / "01_input.txt"
    path.unlink()
    path.symlink_to(outside)
    run = store.open(recorder.run_id)
    with pytest.raises(UnsafePath):
        _ = run["input"].text
    assert [f.kind for f in run.verify().findings] == ["unsafe"]

"""A run on another machine: its state, its events, its entities, its folder as a copy."""

from __future__ import annotations

import asyncio
import io
import json
import os
import time
import zipfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from aipipe import errors
from aipipe.api.remote_entity import RemoteEntity
from aipipe.api.remote_request import refusal, unreachable
from aipipe.records import Reason, RunRecord

if TYPE_CHECKING:
    from PIL.Image import Image

    from aipipe.api.client import RemoteLab
    from aipipe.store.verifying import RunReport

ENDED = ("completed", "blocked", "failed", "cancelled", "interrupted", "unknown")
RECONNECTS = 8


class RemoteRun:
    """A run on the server; its record is read when asked for, its files when used.

    Attributes:
        run_id: Its id.
    """

    def __init__(self, lab: RemoteLab, run_id: str) -> None:
        self._lab = lab
        self.run_id = run_id
        self._path = f"/api/pipeline/{quote(run_id, safe='')}"
        self._kept = f"/api/runs/{quote(run_id, safe='')}"
        self._record: RunRecord | None = None
        self._status: str = lab._json("GET", f"{self._path}/status")["status"]

    @property
    def record(self) -> RunRecord:
        """metadata.json; read anew until the run has ended."""
        if self._record is None or self._status not in ENDED:
            document = self._lab._json("GET", self._kept)
            self._status = document["status"]
            if self._status in ("interrupted", "unknown"):
                document["status"] = "running"  # what the record itself says; readers derive the rest
            self._record = RunRecord.model_validate(document)
        return self._record

    @property
    def status(self) -> str:
        """queued, running, completed, blocked, failed, cancelled or interrupted, as it is now."""
        if self._status not in ENDED:
            self._status = str(self._lab._json("GET", f"{self._path}/status")["status"])
        return self._status

    @property
    def done(self) -> bool:
        """True once the run has ended."""
        return self.status in ENDED

    @property
    def server(self) -> str:
        """Address of the server."""
        return self._lab.url

    @property
    def config_name(self) -> str:
        """Name of its config."""
        return self.record.config_name

    @property
    def reason(self) -> Reason | None:
        """What ended it, if it did not complete."""
        return self.record.reason

    @property
    def seed(self) -> int | None:
        """Seed of the media."""
        return int(self.record.seed) if self.record.seed is not None else None

    @property
    def seconds(self) -> float | None:
        """Working time in seconds."""
        return self.record.seconds

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return dict(self.record.labels)

    @property
    def tags(self) -> list[str]:
        """Tags given at the start and later, in order."""
        found: list[str] = self._lab._json("GET", f"{self._kept}/tags")["tags"]
        return found

    def tag(self, *names: str) -> RemoteRun:
        """Tag the run; the tags lie beside it on the server.

        Raises:
            Refused: only the server's operator may tag.
        """
        author = os.environ.get("AIPIPE_AUTHOR", "")
        self._lab._json("POST", f"{self._kept}/tags", json={"add": list(names), "author": author})
        return self

    def verify(self) -> RunReport:
        """Compare the folder on the server with its record: missing, altered, extra and orphaned files.

        Raises:
            Refused: only the server's operator may verify.
        """
        from aipipe.store.verifying import Finding, RunReport

        found = self._lab._json("GET", f"{self._kept}/verify")
        return RunReport(found["run_id"], found["entities"], [Finding(**finding) for finding in found["findings"]])

    @property
    def is_live(self) -> bool:
        """True while a living writer works on it."""
        return self.status == "running"

    def refresh(self) -> RemoteRun:
        """Read record and status anew."""
        self._record = None
        self._status = str(self._lab._json("GET", f"{self._path}/status")["status"])
        return self

    def __contains__(self, type: object) -> bool:  # noqa: A002
        return any(e.record.type == type for e in self.entities)

    def __iter__(self) -> Iterator[RemoteEntity]:
        return iter(self.entities)

    @property
    def entities(self) -> list[RemoteEntity]:
        """Its entities, in order."""
        found = self._lab._json("GET", f"{self._path}/entities")["entities"]
        return [RemoteEntity(self._lab, entry) for entry in found]

    @property
    def images(self) -> list[Image]:
        """Its output pictures as PIL images."""
        return [e.image for e in self.all("output_image")]

    def all(self, type: str) -> list[RemoteEntity]:  # noqa: A002  the format's own word
        """All entities of a type, in order."""
        return [e for e in self.entities if e.record.type == type]

    def __getitem__(self, type: str) -> RemoteEntity:  # noqa: A002
        found = self.all(type)
        if not found:
            have = sorted({e.record.type for e in self.entities})
            raise errors.EntityNotFound(
                f"Run {self.run_id} ({self.status}) has no entity {type!r}.",
                hint=f"It has: {', '.join(have) or 'nothing yet'}.",
            )
        if len(found) > 1:
            raise errors.SeveralEntities(
                f"Run {self.run_id} has {len(found)} entities {type!r}.", hint=f"Use run.all({type!r})."
            )
        return found[0]

    def cancel(self) -> None:
        """Ask the server to stop it."""
        self._lab._json("POST", f"{self._path}/cancel")

    def wait(self, timeout: float | None = None) -> RemoteRun:
        """Wait for the end.

        Raises:
            TimeoutError: it still runs after `timeout` seconds.
            Unavailable: the server is gone and stays so.
        """
        end = None if timeout is None else time.monotonic() + timeout
        for _ in self.events(deadline=end):
            pass
        if not self.done:
            raise TimeoutError(f"Run {self.run_id} still goes on after {timeout} s.")
        return self

    def __await__(self) -> Generator[Any, None, RemoteRun]:
        return (yield from asyncio.to_thread(self.wait).__await__())

    def events(self, *, deadline: float | None = None) -> Iterator[dict[str, Any]]:
        """The run's events from its beginning to its end, each once, across lost connections.

        Args:
            deadline: `time.monotonic()` value at which to stop; None follows to the end.

        Yields:
            `{"event": name, "id": position or "", **values}`.
        """
        last, failures = "", 0
        while deadline is None or time.monotonic() < deadline:
            try:
                for event in self._stream(last, deadline):
                    failures = 0
                    last = event["id"] or last
                    yield event
                    if event["event"] == "ended":
                        self._status = event["status"]
                        return
            except httpx.TransportError as error:
                failures += 1
                if failures > RECONNECTS:
                    raise unreachable(self._lab.url, error) from None
            if self.done:
                return
            time.sleep(min(5.0, 0.2 * 2**failures))

    def _stream(self, last: str, deadline: float | None) -> Iterator[dict[str, Any]]:
        headers = {"last-event-id": last} if last else {}
        with self._lab._http.stream("GET", f"{self._path}/events", headers=headers) as answer:
            if answer.status_code >= 400:
                answer.read()
                raise refusal(answer)
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                if deadline is not None and time.monotonic() > deadline:
                    return
                if line:
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")
                    continue
                if "data" in fields:
                    values = json.loads(fields["data"])
                    yield {**values, "event": fields.get("event", ""), "id": fields.get("id", "")}
                fields = {}

    def download(self, folder: str | Path) -> Path:
        """Save the run under `folder`, as a run folder that `aipipe.open_run` reads; returns its path.

        Raises:
            RunExists: it lies there already.
            UnsafePath: the archive names something outside the run folder.
        """
        from aipipe.files import contained

        target = Path(folder).expanduser() / self.run_id
        if target.exists():
            raise errors.RunExists(f"{target} exists.", hint="Remove it, or choose another folder.")
        data = self._lab._request("GET", f"{self._kept}/download").content
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(m, contained(target, m.filename.partition("/")[2])) for m in archive.infolist()]
            target.mkdir(parents=True)
            for member, path in members:
                path.write_bytes(archive.read(member))
        return target

    def __repr__(self) -> str:
        return f"<RemoteRun {self.run_id} {self._status} at {self._lab.url}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from aipipe.api.remote_view import remote_run_bundle

        return remote_run_bundle(self)

"""A client that feels like a local lab: the same words, the runs on another machine.

lab = aipipe.connect("http://studio:8765", token="…")
run = lab.run("dada", "Eine Blume auf der Wiese", seed=7)
run["output_image"].image
"""

from __future__ import annotations

import base64
import io
import json
import os
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx

from aipipe import errors
from aipipe.records import EntityRecord, Reason, RunRecord

if TYPE_CHECKING:
    from PIL.Image import Image

ENDED = ("completed", "blocked", "failed", "cancelled", "interrupted", "unknown")
RECONNECTS = 8
_SAME_NAME = {"schema", "outputs", "seed", "text_seed", "parameters", "models", "until", "prompt", "labels", "study"}
_SAME_NAME |= {"participant", "session", "input_id", "tags", "run_id", "user_id", "context"}
_RENAMED = {"mode": "execution_mode", "safety": "safety_level"}


def connect(url: str, token: str | None = None, *, timeout: float = 30.0) -> RemoteLab:
    """Connect to an aipipe server.

    Args:
        url: Its address, for example http://127.0.0.1:8765.
        token: The operator's token; None takes `AIPIPE_SERVE_TOKEN`, else none is sent.
        timeout: Seconds without a sign of life after which a request fails.

    Raises:
        Unavailable: nothing answers there.
        Refused: the server wants another token.
    """
    lab = RemoteLab(url, token or os.environ.get("AIPIPE_SERVE_TOKEN"), timeout=timeout)
    try:
        lab.session()
    except BaseException:
        lab.close()
        raise
    return lab


class RemoteLab:
    """A lab on another machine."""

    def __init__(self, url: str, token: str | None = None, *, timeout: float = 30.0) -> None:
        self.url = url.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout)

    def session(self) -> dict[str, Any]:
        """What the server offers: level, modes, queue."""
        found: dict[str, Any] = self._json("GET", "/api/session")
        return found

    def configs(self) -> list[str]:
        """Names of the configs that can be run."""
        return [card["name"] for card in self._json("GET", "/api/schemas")["schemas"]]

    def start(self, config: str, *texts: str, **options: Any) -> RemoteRun:
        """Put a run in line and return at once.

        Args:
            config: Name of a config of the server.
            texts: One text for each input.
            options: As for `Lab.run`: mode, safety, outputs, seed, parameters, images (paths or bytes), until, parent,
                prompt, labels, study, participant, …; also `context`, which replaces the config's.

        Raises:
            UsageError: the server refused the request.
            Overloaded: its queue is full; `retry_after` in seconds.
        """
        body = {"schema": config, **_body(texts, options), "async": True}
        return self.open_run(self._json("POST", "/api/schema/pipeline/execute", json=body)["run_id"])

    def run(self, config: str, *texts: str, **options: Any) -> RemoteRun:
        """Run a config on the server and wait for the end; takes what `start` takes.

        Blocked and failed runs are returned too: look at `run.status`.
        """
        return self.start(config, *texts, **options).wait()

    def open_run(self, run_id: str) -> RemoteRun:
        """A run of the server's store.

        Raises:
            RunNotFound: it has none of this id.
        """
        return RemoteRun(self, run_id)

    def runs(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Summaries of runs, newest first; filters as for GET /api/runs (config, status, q, since …)."""
        cursor = ""
        while True:
            page = self._json("GET", "/api/runs", params={**filters, "cursor": cursor, "limit": 200})
            yield from page["runs"]
            if page["next"] is None:
                return
            cursor = page["next"]

    def rating_links(self, task: str, raters: Iterable[str]) -> dict[str, str]:
        """Rater → link to the rating page of a task in the server's store.

        Raises:
            EntityNotFound: there is no such task.
        """
        found: dict[str, str] = self._json("POST", f"/api/ratings/{task}/links", json={"raters": list(raters)})["links"]
        return found

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RemoteLab {self.url}>"

    def _json(self, method: str, path: str, **options: Any) -> Any:
        return self._request(method, path, **options).json()

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise _unreachable(self.url, error) from None
        if answer.status_code >= 400:
            raise _error(answer)
        return answer


class RemoteRun:
    """A run on the server; its record is read when asked for, its files when used.

    Attributes:
        run_id: Its id.
    """

    def __init__(self, lab: RemoteLab, run_id: str) -> None:
        self._lab = lab
        self.run_id = run_id
        self._path = f"/api/pipeline/{quote(run_id, safe='')}"
        self._record: RunRecord | None = None
        self._status: str = lab._json("GET", f"{self._path}/status")["status"]

    @property
    def record(self) -> RunRecord:
        """metadata.json; read anew until the run has ended."""
        if self._record is None or self._status not in ENDED:
            document = self._lab._json("GET", f"/api/runs/{quote(self.run_id, safe='')}")
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
    def config_name(self) -> str:
        """Name of its config."""
        return self.record.config_name

    @property
    def reason(self) -> Reason | None:
        """What ended it, if it did not complete."""
        return self.record.reason

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
            raise errors.EntityNotFound(f"Run {self.run_id} ({self.status}) has no entity {type!r}.")
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
                    raise _unreachable(self._lab.url, error) from None
            if self.done:
                return
            time.sleep(min(5.0, 0.2 * 2**failures))

    def _stream(self, last: str, deadline: float | None) -> Iterator[dict[str, Any]]:
        headers = {"last-event-id": last} if last else {}
        with self._lab._http.stream("GET", f"{self._path}/events", headers=headers) as answer:
            if answer.status_code >= 400:
                answer.read()
                raise _error(answer)
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
        data = self._lab._request("GET", f"/api/runs/{quote(self.run_id, safe='')}/download").content
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(m, contained(target, m.filename.partition("/")[2])) for m in archive.infolist()]
            target.mkdir(parents=True)
            for member, path in members:
                path.write_bytes(archive.read(member))
        return target

    def __repr__(self) -> str:
        return f"<RemoteRun {self.run_id} {self._status} at {self._lab.url}>"


class RemoteEntity:
    """A recorded thing on the server. Every field of its entry is an attribute."""

    def __init__(self, lab: RemoteLab, entry: Mapping[str, Any]) -> None:
        self._lab = lab
        self.url: str = entry["url"]
        self.record = EntityRecord.model_validate({k: v for k, v in entry.items() if k not in ("url", "index")})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "record":
            raise AttributeError(name)
        return getattr(self.record, name)

    @property
    def bytes(self) -> bytes:
        """Its bytes."""
        return self._lab._request("GET", self.url).content

    @property
    def text(self) -> str:
        """Its text."""
        return self.bytes.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """Its JSON document."""
        return json.loads(self.text)

    @property
    def image(self) -> Image:
        """Its picture as a PIL image."""
        from PIL import Image

        picture = Image.open(io.BytesIO(self.bytes))
        picture.load()
        return picture

    def __repr__(self) -> str:
        return f"<RemoteEntity {self.record.filename} {self.record.media_type} {self.record.size:,} B>"


def _body(texts: tuple[str, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"input_text": texts[0]} if len(texts) == 1 else {"input_texts": list(texts)}
    if not texts and "parent" in options:
        body = {}
    for name, value in options.items():
        if name in _SAME_NAME:
            body[name] = value
        elif name in _RENAMED:
            body[_RENAMED[name]] = value
        elif name in ("image", "images"):
            images = [value] if name == "image" else list(value)
            body.setdefault("images", []).extend(_encoded(image) for image in images)
        elif name == "parent":
            body["parent"] = getattr(value, "run_id", value)
        else:
            known = sorted([*_SAME_NAME, *_RENAMED, "image", "images", "parent"])
            raise errors.UnknownName("argument", name, known)
    return {name: value for name, value in body.items() if value is not None}


def _encoded(image: Any) -> str:
    if isinstance(image, (str, Path)):
        image = Path(image).expanduser().read_bytes()
    elif not isinstance(image, bytes):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        image = buffer.getvalue()
    return base64.b64encode(image).decode("ascii")


def _unreachable(url: str, error: Exception) -> errors.Unavailable:
    return errors.Unavailable(f"No aipipe server answers at {url}: {error}.", hint="Start one: aipipe serve")


def _error(answer: httpx.Response) -> errors.AipipeError:
    """The server's refusal as the error a local lab would raise."""
    try:
        body = answer.json()
    except ValueError:
        body = {}
    message = str(body.get("error") or f"The server answered {answer.status_code}.")
    hint = str(body.get("hint") or "")
    if answer.status_code in (429, 503) and body.get("type") != "Unavailable":
        wait = answer.headers.get("retry-after", "")
        return errors.Overloaded(message, hint=hint, retry_after=float(wait) if wait.isdigit() else None)
    kind = getattr(errors, str(body.get("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, errors.AipipeError)) or kind is errors.UnknownName:
        kind = errors.UsageError if answer.status_code in (400, 404) else errors.Refused
    made: errors.AipipeError = kind(message, hint=hint)
    return made

"""A client that feels like a local lab: the same words, the runs on another machine.

lab = aipipe.connect("http://studio:8765", token="…")
run = lab.run("dada", "Eine Blume auf der Wiese", seed=7)
run["output_image"].image
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import Any, Self
from urllib.parse import quote

import httpx

from aipipe.api.remote_entity import RemoteEntity
from aipipe.api.remote_preview import RemotePreview
from aipipe.api.remote_request import body_of, refusal, unreachable
from aipipe.api.remote_run import RemoteRun
from aipipe.errors import Overloaded, Unavailable

__all__ = ["RemoteEntity", "RemoteLab", "RemoteRun", "connect"]


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
            options: As for `Lab.run`: mode, safety, outputs (or output), seed, parameters, images (paths or bytes), until, parent,
                prompt, labels, study, participant, …; also `context`, which replaces the config's.

        Raises:
            UsageError: the server refused the request.
            Overloaded: its queue is full; `retry_after` in seconds.
        """
        body = {"schema": config, **body_of(texts, options), "async": True}
        return self.open_run(self._json("POST", "/api/schema/pipeline/execute", json=body)["run_id"])

    def run(self, config: str, *texts: str, **options: Any) -> RemoteRun:
        """Run a config on the server and wait for the end; takes what `start` takes.

        Blocked and failed runs are returned too: look at `run.status`.
        """
        return self.start(config, *texts, **options).wait()

    def rerun(self, run: RemoteRun | str, **options: Any) -> RemoteRun:
        """Run what a run of this server was again, and wait; options as for `run`, to change a detail.

        Config, texts, images, an edited context, outputs, seeds, parameters, models and labels stay the same; parameters
        and models that are given are merged over those of the first call.

        Raises:
            UsageError: the server refused the request.
        """
        known = run if isinstance(run, RemoteRun) else self.open_run(run)
        same = self._json("GET", f"/api/runs/{quote(known.run_id, safe='')}/request")
        counted = same.pop("images")
        images = [entity.bytes for entity in known.all("input_image")] if counted and "image" not in options else []
        config, texts = same.pop("schema"), same.pop("input_texts")
        same |= {"mode": same.pop("execution_mode"), "safety": same.pop("safety_level"), "images": images}
        merged = {name: {**same.pop(name), **(options.get(name) or {})} for name in ("parameters", "models")}
        return self.run(config, *texts, **{**same, **options, **{k: v for k, v in merged.items() if v}})

    def preview(self, config: str, *texts: str, **options: Any) -> RemotePreview:
        """The exact messages of every stage as the server would send them, no model called; takes what `start` takes.

        Raises:
            UsageError: the server refused the request.
            Refused: only its operator may see them.
        """
        body = {"schema": config, **body_of(texts, options)}
        return RemotePreview.of(self._json("POST", "/api/schema/pipeline/preview", json=body))

    def resume(self, run: RemoteRun | str) -> RemoteRun:
        """Finish an interrupted, failed or cancelled run of the server, and wait.

        Raises:
            RunFinished: it is completed or blocked.
            RunLocked: it has a live writer.
            Refused: only the server's operator may resume.
        """
        known = run if isinstance(run, RemoteRun) else self.open_run(run)
        self._json("POST", f"/api/pipeline/{quote(known.run_id, safe='')}/resume")
        return known.refresh().wait()

    def map(
        self,
        configs: str | Iterable[str],
        texts: Iterable[str | Iterable[str]],
        *,
        seeds: Iterable[int] = (0,),
        **options: Any,
    ) -> list[RemoteRun]:
        """Run every config on every text with every seed, and wait for all; the server's queue decides how many at once.

        Args:
            configs: One config or several.
            texts: The inputs; several texts for configs that take several.
            seeds: Media seeds.
            options: As for `run`.

        Returns:
            The runs, in the order config, text, seed.

        Raises:
            UsageError: the server refused a request; what was begun goes on.
        """
        named = [configs] if isinstance(configs, str) else list(configs)
        inputs = [(text,) if isinstance(text, str) else tuple(text) for text in texts]
        numbers = list(seeds)
        begun: list[RemoteRun] = []
        for config in named:
            for given in inputs:
                for seed in numbers:
                    begun.append(self._when_there_is_room(begun, config, given, seed, options))
        return [run.wait() for run in begun]

    def _when_there_is_room(
        self, begun: list[RemoteRun], config: str, texts: tuple[str, ...], seed: int, options: dict[str, Any]
    ) -> RemoteRun:
        """Start a run; where the queue is full, wait for the oldest of one's own first."""
        waited_for = iter(list(begun))
        while True:
            try:
                return self.start(config, *texts, seed=seed, **options)
            except Overloaded as error:
                oldest = next((run for run in waited_for if not run.done), None)
                if oldest is not None:
                    oldest.wait()
                else:
                    time.sleep(min(10.0, error.retry_after or 2.0))

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
        answer = self._request(method, path, **options)
        try:
            return answer.json()
        except ValueError:
            raise Unavailable(
                f"What answers at {self.url} is no aipipe server.",
                hint="Look at the address; `aipipe serve` shows its own.",
            ) from None

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise unreachable(self.url, error) from None
        if answer.status_code >= 400:
            raise refusal(answer)
        return answer

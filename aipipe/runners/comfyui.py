"""The ComfyUI runner: output chunks with a graph, run on one or more servers."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aipipe.backends.base import Probe
from aipipe.errors import AipipeError, BadMedia, InvalidInput, Lost, ServiceError
from aipipe.events import Event, Watch
from aipipe.runners.base import JobRef, MediaFile, MediaRequest, MediaResult
from aipipe.settings import RunnerSettings

if TYPE_CHECKING:
    from aipipe.comfy.jobs import Job
    from aipipe.comfy.pool import Pool
    from aipipe.comfy.pooljob import PoolJob
    from aipipe.comfy.results import Output, Result
    from aipipe.comfy.server import Server

ACCEPTED = {
    "image": ("image", "animation"),
    "video": ("video", "animation"),
    "audio": ("audio",),
    "music": ("audio", "music"),
    "3d": ("3d",),
    "code": ("code", "text", "json"),
}
"""Media type of a request → media types of files that may be its result."""


class ComfyRunner:
    """Runs graphs on the ComfyUI servers of `[runners.NAME]`."""

    kind = "comfyui"

    def __init__(self, name: str, settings: RunnerSettings, local: bool) -> None:
        self.name = name
        self.local = local
        self._settings = settings
        self._client: Server | Pool | None = None

    def _target(self) -> Server | Pool:
        if self._client is None:
            from aipipe import comfy

            urls = [*self._settings.urls, *([self._settings.url] if self._settings.url else [])]
            auth = comfy.bearer(env=self._settings.key_env) if self._settings.key_env else None
            self._client = comfy.connect(*urls, auth=auth)
        return self._client

    def generate(self, request: MediaRequest, watch: Watch) -> MediaResult:
        """Fill the graph, run it, and return its files; see `Runner.generate`.

        Raises:
            ComfyError: one of its kinds.
            BadMedia: the graph made nothing of the media type that was asked for.
            RunCancelled: cancelled; the job was cancelled at the server too.
        """
        watch.cancellation.check()
        began = time.monotonic()
        graph, parameters = fill(request)
        job = self._earlier(request) or self._submit(request, graph)
        result = job.wait(watch=_renamed(watch, request.run_id))
        files = _files(request, result)
        seed = next((int(s) for s in result.seeds.values()), request.seed)
        return MediaResult(
            files=files,
            seed=seed if not _maps(request, "seed") else request.seed,
            model=request.model or _model_of(result.graph),
            parameters=parameters,
            job=JobRef(result.server, result.job_id),
            seconds=time.monotonic() - began,
            request={"graph": dict(result.graph), "seeds": dict(result.seeds)},
            facts=result.facts,
            warnings=result.warnings,
        )

    def preflight(self, request: MediaRequest) -> None:
        """Look whether a server has the nodes and model files of the graph; see `Preflight.preflight`.

        Raises:
            ComfyError: one of its kinds.
            InvalidInput: the graph cannot be filled.
        """
        if request.job is not None:
            return
        from aipipe.comfy.preflight import require_parts

        graph, _ = fill(request)
        target = self._target()
        require_parts(getattr(target, "servers", [target]), graph)

    def _submit(self, request: MediaRequest, graph: dict[str, Any]) -> Job | PoolJob:
        from aipipe.comfy.machine import Limits
        from aipipe.comfy.workflow import Workflow

        embedded = request.extra_pnginfo or request.output.get("extra_pnginfo") or {}
        editor = embedded.get("workflow") if isinstance(embedded, Mapping) else None
        workflow = Workflow(graph, editor=editor if isinstance(editor, Mapping) else None, name=request.output_config)
        return self._target().submit(
            workflow,
            run_id=request.run_id,
            limits=Limits(silence=request.timeouts.silence, total=request.timeouts.total),
            before=lambda server, job_id: request.record_job(JobRef(server, job_id)),
        )

    def _earlier(self, request: MediaRequest) -> Job | PoolJob | None:
        """The job of an earlier attempt, if its server still has it."""
        if request.job is None:
            return None
        from aipipe.comfy.machine import Limits

        limits = Limits(silence=request.timeouts.silence, total=request.timeouts.total)
        target = self._target()
        for server in getattr(target, "servers", [target]):
            if server.url == request.job.server.rstrip("/"):
                try:
                    found: Job = server.job(request.job.job_id, limits=limits)
                except Lost:
                    return None
                return found
        return None

    def probe(self) -> Probe:
        """Version and model files; never raises."""
        try:
            target = self._target()
            servers = getattr(target, "servers", [target])
            facts: list[tuple[Any, list[str]]] = []
            failed: list[AipipeError] = []
            for server in servers:
                try:
                    facts.append((server.system_stats(), server.models()))
                except (ServiceError, OSError) as error:
                    failed.append(error if isinstance(error, AipipeError) else ServiceError(str(error)))
            if not facts:
                return Probe(ok=False, detail=failed[0].message, hint=failed[0].hint)
        except AipipeError as error:
            return Probe(ok=False, detail=error.message, hint=error.hint)
        version = str(facts[0][0].get("system", {}).get("comfyui_version") or "")
        models = sorted({name for _, names in facts for name in names})
        detail = f"ComfyUI {version}" + (f", {len(facts)} of {len(servers)} servers answer" if len(servers) > 1 else "")
        return Probe(ok=True, detail=detail, version=version, models=tuple(models))

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None


def _renamed(watch: Watch, run_id: str) -> Watch:
    """Events of the job under the run's id."""
    if not run_id:
        return watch
    import dataclasses

    def emit(event: Event) -> None:
        watch.emit(dataclasses.replace(event, run_id=run_id))

    return Watch(emit, watch.cancellation)


# ---- filling the graph -----------------------------------------------------------------------------------------------


def fill(request: MediaRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    """The graph with the request's values, and the parameters as used.

    Raises:
        InvalidInput: no graph, a map that points to no node, a picture that is missing, a parameter without a place.
    """
    import copy

    if not request.workflow:
        raise InvalidInput(
            f"Output {request.output_config!r} has no ComfyUI graph.", hint="Give its chunk a workflow in API form."
        )
    graph = copy.deepcopy(dict(request.workflow))
    values = _values(request)
    unknown = sorted(n for n in request.parameters if n not in request.inputs)
    if unknown:
        raise InvalidInput(
            f"Output {request.output_config!r} has no input {', '.join(map(repr, unknown))}.",
            hint=f"Its inputs are {', '.join(sorted(request.inputs))}.",
        )
    used: dict[str, Any] = {}
    for name, described in request.inputs.items():
        for place in described if isinstance(described, (list, tuple)) else [described]:
            value = values.get(name, place.get("default"))
            if value is None:
                _require(request, name)
                continue
            _put(graph, request, str(place["node_id"]), str(place["field"]), value)
            if name in request.parameters or name in ("checkpoint", "model"):
                used[name] = value
    return graph, {**dict(request.parameters), **used}


def _values(request: MediaRequest) -> dict[str, Any]:
    from aipipe.comfy.uploads import File

    values: dict[str, Any] = {"prompt": request.prompt, "seed": request.seed, **dict(request.parameters)}
    if request.negative_prompt:
        values["negative_prompt"] = request.negative_prompt
    for number, text in enumerate(request.texts, 1):
        values[f"text_{number}"] = text
    for number, data in enumerate(request.images, 1):
        values[f"image_{number}"] = File.of(data)
        values.setdefault("image", values[f"image_{number}"])
    if request.model:
        values["checkpoint" if "checkpoint" in request.inputs else "model"] = request.model
    return values


def _require(request: MediaRequest, name: str) -> None:
    if name.startswith("image"):
        raise InvalidInput(
            f"Output {request.output_config!r} needs a picture ({name}).", hint="Give one: images=[…] or --image FILE."
        )
    if name.startswith("text_"):
        raise InvalidInput(f"Output {request.output_config!r} needs another text ({name}).", hint="Give all its texts.")


def _put(graph: dict[str, Any], request: MediaRequest, node_id: str, field: str, value: Any) -> None:
    node = graph.get(node_id)
    head, _, name = field.partition(".")
    if not isinstance(node, dict) or head != "inputs" or not name:
        raise InvalidInput(
            f"The input map of {request.output_config!r} points to {field!r} of node {node_id!r}, which is not there.",
            hint="`aipipe configs check` finds such mistakes.",
        )
    node["inputs"] = {**node.get("inputs", {}), name: value}


def _maps(request: MediaRequest, name: str) -> bool:
    return name in request.inputs


# ---- reading the result ----------------------------------------------------------------------------------------------


def _files(request: MediaRequest, result: Result) -> tuple[MediaFile, ...]:
    wanted = request.output.get("node_id")
    nodes = [str(n) for n in wanted] if isinstance(wanted, (list, tuple)) else [str(wanted)] if wanted else []
    outputs: Sequence[Output] = [o for o in result.outputs if o.path is not None]
    if nodes:
        outputs = [o for n in nodes for o in outputs if o.node_id == n]
    accepted = ACCEPTED.get(request.media_type, (request.media_type,))
    fitting = [o for o in outputs if o.media_type in accepted]
    saved = [o for o in fitting if not o.temporary] or fitting
    if not saved:
        made = ", ".join(f"{o.filename or 'a text'} ({o.media_type})" for o in result.outputs) or "nothing"
        raise BadMedia(
            f"Job {result.job_id} should have made {request.media_type}, but made {made}.",
            hint="Check the output map of the output config: node_id names the node that saves the result.",
        )
    return tuple(_file(request, o, result) for o in saved)


def _file(request: MediaRequest, output: Output, result: Result) -> MediaFile:
    path = output.path
    assert path is not None

    def opened(_owner: Result = result) -> Any:  # the result owns the folder of the files
        return path.open("rb")

    return MediaFile(
        open=opened,
        filename=output.filename,
        media_type=request.media_type,
        mime=output.mime,
        seed=request.seed,
        node=f"{output.node_id}: {output.node_title}",
        metadata={"sha256_at_source": output.sha256, "job_id": result.job_id, "server": result.server},
    )


def _model_of(graph: Mapping[str, Any]) -> str:
    for node in graph.values():
        for name in ("ckpt_name", "unet_name", "model_name"):
            value = node.get("inputs", {}).get(name) if isinstance(node, Mapping) else None
            if isinstance(value, str):
                return os.path.basename(value.replace("\\", "/"))  # noqa: PTH119  a server's name, no path here
    return ""

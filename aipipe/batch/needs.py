"""Which services a case needs, whether they share a GPU, and making room on it between texts and media."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aipipe.batch.plan import Case
from aipipe.errors import AipipeError

if TYPE_CHECKING:
    from aipipe.lab import Lab

log = logging.getLogger(__name__)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Needs:
    """Services of one case.

    Attributes:
        models: (backend, model) of its language model calls.
        runners: Names of its media generators.
        unloadable: Backends among them that hold models in memory and let them go on demand.
        media: Generators and their checkpoints, in order; cases with the same one stand together.
    """

    models: frozenset[tuple[str, str]] = frozenset()
    runners: frozenset[str] = frozenset()
    unloadable: tuple[str, ...] = ()
    media: tuple[str, ...] = ()

    @property
    def services(self) -> frozenset[str]:
        """Names of all services."""
        return self.runners | {backend for backend, _ in self.models}


def needs_by(lab: Lab) -> Callable[[Case], Needs]:
    """A function that tells what a case needs; equal cases are resolved once."""
    known: dict[Any, Needs] = {}

    def needs(case: Case) -> Needs:
        key = (case.config, case.mode, case.safety, case.outputs, tuple(sorted(case.models.items())))
        if key not in known:
            known[key] = _resolve(lab, case)
        return known[key]

    return needs


def _resolve(lab: Lab, case: Case) -> Needs:
    try:
        plan = lab.plan(
            case.config, *case.texts, mode=case.mode or None, safety=case.safety or None, images=list(case.images) or None,
            outputs=list(case.outputs) or None, models=dict(case.models) or None,
        )  # fmt: skip
    except AipipeError:
        return Needs()  # the case itself says what is wrong
    texts = [*plan.steps, *([plan.translation] if plan.translation else [])]
    models = {(t.model.backend, t.model.model) for t in texts}
    if plan.safety_model is not None:
        models.add((plan.safety_model.backend, plan.safety_model.model))
    media = tuple(f"{output.runner}:{output.model}:{output.config}" for output in plan.outputs)
    unloadable = tuple(sorted({b for b, _ in models if _kind(lab, b) == "ollama"}))
    return Needs(frozenset(models), frozenset(output.runner for output in plan.outputs), unloadable, media)


def shares_gpu(lab: Lab, all_needs: Iterable[Needs]) -> bool:
    """Whether language model and ComfyUI compete for the memory of one GPU: same host, and ComfyUI computes on a GPU."""
    found = list(all_needs)
    models = {_host(lab.settings.backends[b].url) for n in found for b, _ in n.models if _kind(lab, b) == "ollama"}
    runners = {r for n in found for r in n.runners if lab.settings.runners[r].kind == "comfyui"}
    return any(_on_gpu_of(lab, runner, models) for runner in runners)


def _kind(lab: Lab, backend: str) -> str:
    return lab.settings.backends[backend].kind if backend in lab.settings.backends else ""


def _on_gpu_of(lab: Lab, runner: str, hosts: set[str]) -> bool:
    from aipipe import comfy

    settings = lab.settings.runners[runner]
    for url in [*settings.urls, *([settings.url] if settings.url else [])]:
        if _host(url) not in hosts:
            continue
        try:
            with comfy.connect(url) as server:
                devices = server.system_stats().get("devices") or []
        except AipipeError:
            continue  # it is away; nothing is known, and the usual order is right
        if any(device.get("type") != "cpu" for device in devices):
            return True
    return False


def _host(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return "here" if host in LOOPBACK else host


def unload_models(lab: Lab, all_needs: Iterable[Needs]) -> None:
    """Before media: the language models leave the memory. A server that cannot is only logged."""
    for backend, model in sorted({pair for n in all_needs for pair in n.models}):
        try:
            unload = getattr(lab.services.backend(backend), "unload", None)
            if unload is not None:
                unload(model)
        except AipipeError as error:
            log.warning("%s kept the model %s in memory: %s", backend, model, error.message)


def free_media(lab: Lab, all_needs: Iterable[Needs]) -> None:
    """Before texts: ComfyUI gives its memory back (`/free`). A server that cannot is only logged."""
    from aipipe import comfy

    for runner in sorted({r for n in all_needs for r in n.runners if lab.settings.runners[r].kind == "comfyui"}):
        settings = lab.settings.runners[runner]
        auth = comfy.bearer(env=settings.key_env) if settings.key_env else None
        for url in [*settings.urls, *([settings.url] if settings.url else [])]:
            try:
                with comfy.connect(url, auth=auth) as server:
                    server.free()
            except AipipeError as error:
                log.warning("%s did not free its memory: %s", url, error.message)


def look_from(lab: Lab, elsewhere: Any) -> Callable[[str], str]:
    """A function that tells whether a service answers: asked from here, or from where the cases run.

    Args:
        lab: Knows the services.
        elsewhere: Executor whose workers may see other servers than this process does; None when cases run here.
    """
    if elsewhere is None:
        return functools.partial(answers, lab)

    def look(name: str) -> str:
        more = {"pure": False, "retries": 0} if hasattr(elsewhere, "scheduler_info") else {}
        try:
            return str(elsewhere.submit(answers_at, str(lab.project or ""), name, **more).result())
        except Exception as error:  # noqa: BLE001  a worker that is lost while it looks says nothing about the service
            log.warning("whether %s answers could not be asked on a worker: %s", name, error)
            return ""

    return look


def answers_at(project: str, name: str) -> str:
    """`answers` on a worker of a cluster, with the worker's own settings."""
    from aipipe.lab import Lab

    try:
        with Lab(project or None, display=False) as lab:
            return answers(lab, name)
    except AipipeError as error:
        return error.message


def waiting_at(lab: Lab, name: str) -> int | None:
    """Jobs that wait at the emptiest server of a generator, whoever sent them; None where there is no queue or no answer."""
    from aipipe import comfy

    settings = lab.settings.runners.get(name)
    if settings is None or settings.kind != "comfyui":
        return None
    auth = comfy.bearer(env=settings.key_env) if settings.key_env else None
    found = []
    for url in [*settings.urls, *([settings.url] if settings.url else [])]:
        try:
            with comfy.connect(url, auth=auth) as server:
                found.append(len(server.queue(fresh=True)[1]))
        except AipipeError:
            continue  # that it is away is found out where a case needs it
    return min(found, default=None)


def answers(lab: Lab, name: str) -> str:
    """Empty when the service called `name` answers, else what is wrong with it."""
    try:
        service = lab.services.backend(name) if name in lab.settings.backends else lab.services.runner(name)
        found = service.probe()
    except AipipeError as error:
        return error.message
    return "" if found.ok else found.detail

"""Which services a run uses: what the call or the settings name, else what answers, else the embedded parts.

A named mode is never switched silently: when its server is missing, the run fails and says so. Without a mode the
language model and the media generator are chosen separately, once per lab, and the choice is shown and recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from aipipe.catalog import Catalog
from aipipe.definitions import MODES, Chunk, ModelChoice
from aipipe.errors import AipipeError, Unavailable, UnknownName
from aipipe.lab.services import LabServices

MODE_OF_RUNNER = {"comfyui": "eco", "sketch": "embedded", "placeholder": "echo", "openai_images": "fast"}
MODE_OF_BACKEND = {"ollama": "eco", "embedded": "embedded", "echo": "echo"}
CANDIDATES = ("ollama", "lmstudio", "llamacpp")
NOT_FOR_CHAT = ("embed", "bge-", "minilm", "rerank", "whisper", "clip", "guard")


@dataclass(frozen=True)
class Choice:
    """The services of a lab or a run.

    Attributes:
        mode: Mode as recorded.
        backend: Name of the language model backend.
        models: Task → "model" or "backend:model".
        outputs: Media type → output config.
        notes: Sentences that tell what was chosen and why.
    """

    mode: str
    backend: str
    models: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def choose(services: LabServices, catalog: Catalog, mode: str) -> Choice:
    """The services for `mode`; "" asks which servers answer.

    Raises:
        UnknownName: there is no such mode.
        Unavailable: no mode was named, no server answers, and the embedded parts are not installed.
    """
    if mode:
        return _named(services, mode)
    return _automatic(services, catalog)


def _named(services: LabServices, mode: str) -> Choice:
    table = services.settings.modes
    if mode not in MODES or mode not in table:
        raise UnknownName("mode", mode, MODES)
    section = table[mode]
    return Choice(mode=mode, backend=section.backend, models=section.models, outputs=section.outputs)


def _automatic(services: LabServices, catalog: Catalog) -> Choice:
    text = _language_model(services)
    outputs, note, media_mode = _media(services, catalog)
    mode = "embedded" if "embedded" in (text.mode, media_mode) else text.mode
    return Choice(mode=mode, backend=text.backend, models=text.models, outputs=outputs, notes=(*text.notes, note))


def _language_model(services: LabServices) -> Choice:
    names = [name for name in CANDIDATES if name in services.settings.backends]
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        probes = dict(zip(names, pool.map(lambda name: services.backend(name).probe(), names), strict=True))
    wanted = services.settings.modes["eco"].models
    for name in names:
        usable = [m for m in probes[name].models if not any(word in m.lower() for word in NOT_FOR_CHAT)]
        if probes[name].ok and usable:
            models = _fit(wanted, probes[name].models, usable[0])
            return Choice("eco", name, models, notes=(f"language model: {name} with {_listing(models)}",))
    embedded = services.backend("embedded").probe()
    if embedded.ok:
        return Choice("embedded", "embedded", notes=("language model: embedded (no server answered)",))
    raise Unavailable(
        f"No language model server answers ({', '.join(names)}), and the embedded model is not ready: {embedded.detail}",
        hint=embedded.hint or "Start Ollama, or install the embedded parts. `aipipe doctor` lists what is missing.",
    )


def _fit(wanted: Mapping[str, str], have: tuple[str, ...], fallback: str) -> dict[str, str]:
    """For each task the model of the table if the server has it, else a usable one it has."""
    chosen = {}
    for task in ("translation", "safety", "interception", "vision"):
        name = wanted.get(task, "")
        match = next((m for m in have if m == name or m.partition(":")[0] == name), None) if name else None
        if match or task != "vision":
            chosen[task] = match or fallback
    return chosen


def _listing(models: Mapping[str, str]) -> str:
    return ", ".join(sorted(set(models.values())))


def _media(services: LabServices, catalog: Catalog) -> tuple[dict[str, str], str, str]:
    modes = services.settings.modes
    embedded = dict(modes["embedded"].outputs)
    if "comfyui" not in services.settings.runners:
        return embedded, "images: sketch", "embedded"
    probe = services.runner("comfyui").probe()
    if not probe.ok:
        return embedded, "images: sketch (no ComfyUI answered)", "embedded"
    eco = dict(modes["eco"].outputs)
    usable = _usable_image_config(catalog, eco.get("image", ""), set(probe.models))
    if usable is None:
        return (
            embedded,
            "images: sketch (ComfyUI answers, but has no checkpoint that a config of the catalog uses)",
            "embedded",
        )
    return {**eco, "image": usable}, f"images: ComfyUI with {usable}", "eco"


def _usable_image_config(catalog: Catalog, preferred: str, files: set[str]) -> str | None:
    names = [preferred, *sorted(c.name for c in catalog.configs("output"))]
    for name in names:
        if not name:
            continue
        try:
            config = catalog.config(name)
            chunk = catalog.chunk(config.chunk)
            takes_image = catalog.pipeline(config.pipeline).inputs.images > 0
        except AipipeError:
            continue
        if takes_image or config.meta.get("test"):
            continue  # nobody wants the noise of the test checkpoint for a picture, unless it is asked for by name
        needed = model_files(catalog, chunk)
        if chunk.runner == "comfyui" and chunk.media_type == "image" and needed and needed <= files:
            return name
    return None


def model_files(catalog: Catalog, chunk: Chunk) -> set[str]:
    """Names of the model files that a chunk's workflow loads; the workflow may be a file of the catalog."""
    graph = catalog.workflow(chunk.workflow) if isinstance(chunk.workflow, str) else chunk.workflow or {}
    values = (v for node in graph.values() for v in node.get("inputs", {}).values())
    return {v for v in values if isinstance(v, str) and v.endswith((".safetensors", ".ckpt", ".gguf", ".pt", ".pth"))}


def model_chooser(services: LabServices, choice: Choice, overrides: Mapping[str, str]) -> Callable[[str], ModelChoice]:
    """A function from task to backend and model: the call's overrides, then the mode's table, then the default."""

    def choose_model(task: str) -> ModelChoice:
        text = overrides.get(task) or choice.models.get(task, "")
        backend, model = split_model(text, services, choice.backend)
        kind = services.settings.backends[backend].kind if backend in services.settings.backends else ""
        mode = MODE_OF_BACKEND.get(kind, "eco" if _is_local(services, backend) else "fast")
        return ModelChoice(backend=backend, model=model, mode=mode)

    return choose_model


def split_model(text: str, services: LabServices, default: str) -> tuple[str, str]:
    """Split a model name: "backend:model", or "model" alone (whose own colon, as in Ollama's tags, stays)."""
    head, colon, rest = text.partition(":")
    if colon and head in services.settings.backends:
        return head, rest
    return default, text


def runner_chooser(services: LabServices) -> Callable[[str, Chunk], tuple[str, str]]:
    """A function from a chunk's kind of generator to its name under [runners] and its mode."""

    def choose_runner(kind: str, chunk: Chunk) -> tuple[str, str]:
        names = [name for name, section in services.settings.runners.items() if section.kind == kind or name == kind]
        if not names:
            raise UnknownName("media generator", kind, services.settings.runners)
        return names[0], MODE_OF_RUNNER.get(kind, "eco")

    return choose_runner


def _is_local(services: LabServices, backend: str) -> bool:
    section = services.settings.backends.get(backend)
    return section is None or not section.url or services.settings.is_local(section.url)

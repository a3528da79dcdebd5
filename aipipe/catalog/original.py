"""Definitions in the original system's format, turned into the present one while they are read.

Fields with a counterpart move there; fields that only documented something are kept under `meta`, so that nothing a
researcher wrote is lost. Keys outside both formats stay where they are, and validation refuses them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

CONFIG_NOTES = ("category", "instruction_type", "properties", "version", "output_chunk_note", "chunks")
"""Fields that documented something, or that the original's own loader passed over (chunks within a config)."""
PIPELINE_NOTES = (
    "instruction_type",
    "pipeline_type",
    "pipeline_stage",
    "requires_interception_prompt",
    "required_fields",
    "required_configs",
    "config_mappings",
    "meta",
)
CHUNK_NOTES = ("meta", "execution_mode", "requires_workflow", "expected_outputs", "output_labels", "api_config")
PROXIES = ("output_image", "output_audio", "output_music", "output_video", "output_code", "output_legacy")
"""Chunks of the original that hand on to the chunk that a config names; here a config names its media chunk itself."""
PARAMETERS = {
    "SAMPLER": "sampler_name",
    "SCHEDULER": "scheduler",
    "NEGATIVE_PROMPT": "negative_prompt",
    "MODEL": "model",
}
"""Upper-case parameters whose name changed; every other one is taken in lower case."""

TASKS = {
    "security": "safety",
    "translation": "translation",
    "vision": "vision",
    "standard": "interception",
    "advanced": "interception",
    "data_extraction": "interception",
}
VARIABLES = {
    "TRANSLATION": "translation", "SAFETY": "safety", "GUARD": "safety", "VISION": "vision", "IMAGE": "vision", "INTERCEPTION": "interception",
}  # fmt: skip
"""Words in the names of the original's settings variables → task."""
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
BACKENDS = {"local": "ollama", "ollama": "ollama", "openrouter": "openrouter"}
RUNNERS = {"comfyui": "comfyui", "comfyui_legacy": "comfyui", "openrouter": "openai_images", "openai": "openai_images"}
CHUNKS = {"manipulate": "rewrite", "translate": "translate"}
"""Chunks of the original that have a counterpart here, for pipelines that name them."""


def parameter_name(name: str) -> str:
    """The present name of a parameter."""
    if name in PARAMETERS:
        return PARAMETERS[name]
    return name.lower() if name.isupper() else name


def config(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a config in the present format."""
    found = dict(values)
    if "workflow_type" in found:
        found.setdefault("pipeline", found["workflow_type"])
        del found["workflow_type"]
    if isinstance(found.get("name"), dict):
        found.setdefault("title", found.pop("name"))
    meta = dict(found.get("meta") or {}) if isinstance(found.get("meta"), Mapping) or "meta" not in found else None
    if meta is None:
        return found
    for key in CONFIG_NOTES:
        if key in found:
            meta[key] = found.pop(key)
    if "stage" not in found and meta.get("stage") in ("interception", "output", "pre_interception", "pre_output"):
        found["stage"] = meta["stage"]
    override = meta.get("model_override") or (meta.get("model") if meta.get("model") != "DEFAULT" else None)
    if override and "model" not in found:
        found.update(model_and_task(str(override)))
    _parameters(found)
    if meta:
        found["meta"] = meta
    for key in ("tags", "audience", "display"):
        if found.get(key) is None:
            found.pop(key, None)
    return found


def _parameters(found: dict[str, Any]) -> None:
    given = found.get("parameters")
    if not isinstance(given, Mapping):
        return
    parameters = {parameter_name(str(key)): value for key, value in given.items()}
    if "OUTPUT_CHUNK" in given:
        found.setdefault("chunk", parameters.pop("output_chunk"))
        found.setdefault("stage", "output")
    if parameters.get("seed") == "random":
        del parameters["seed"]
    found["parameters"] = parameters


def model_and_task(name: str) -> dict[str, str]:
    """`task:standard` names a task, `local/x` and `openrouter/x` a backend and model, anything else a model.

    The name of one of the original's settings variables (STAGE2_INTERCEPTION_MODEL) means the table's model for its task.
    """
    if _VARIABLE.fullmatch(name):
        task = next((task for word, task in VARIABLES.items() if word in name), "")
        return {"task": task} if task else {}
    prefix, mark, rest = name.partition(":")
    if mark and prefix == "task":
        return {"task": TASKS.get(rest, "interception")}
    prefix, mark, rest = name.partition("/")
    if mark and prefix in BACKENDS:
        return {"model": f"{BACKENDS[prefix]}:{rest}"}
    return {"model": name}


def pipeline(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a pipeline in the present format."""
    found = dict(values)
    notes = {key: found.pop(key) for key in PIPELINE_NOTES if key in found}
    if isinstance(found.get("chunks"), list):
        found["chunks"] = [name for name in found["chunks"] if not _hands_on(name)]
    needs = found.pop("input_requirements", None)
    if isinstance(needs, Mapping):
        found.setdefault("inputs", {k: int(needs[k]) for k in ("texts", "images") if k in needs})
    defaults = found.pop("defaults", None)
    if isinstance(defaults, Mapping):
        found.setdefault("parameters", defaults.get("parameters", {}))
    if "kind" not in found:
        kind = _kind(str(found.get("name", "")), notes, skipped=bool(found.pop("skip_stage2", False)))
        if kind:
            found["kind"] = kind
    found.pop("skip_stage2", None)
    return found


def _hands_on(name: Any) -> bool:
    """Whether a pipeline's chunk is only a place for the chunk that a config names."""
    return isinstance(name, str) and ("{{" in name or name in PROXIES)


def is_proxy(values: Mapping[str, Any]) -> bool:
    """A chunk file of the original that holds nothing of its own."""
    return values.get("type") == "proxy_chunk"


def _kind(name: str, notes: Mapping[str, Any], *, skipped: bool) -> str:
    meta = notes.get("meta")
    if name == "text_transformation_recursive" or (isinstance(meta, Mapping) and meta.get("supports_loop")):
        return "recursive"
    if notes.get("pipeline_type") == "passthrough" or skipped:
        return "passthrough"
    if str(notes.get("pipeline_type", "")).endswith("_generation"):
        return "media"
    return ""


def chunk(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a chunk in the present format."""
    found = dict(values)
    kind = found.pop("type", None)
    api = found.get("api_config")
    if isinstance(api, Mapping) and not found.get("model"):
        body = api.get("request_body")
        found["model"] = api.get("model") or (body.get("model") if isinstance(body, Mapping) else "") or ""
    for key in CHUNK_NOTES:
        found.pop(key, None)
    backend = str(found.pop("backend_type", ""))
    if kind in ("output_chunk", "api_output_chunk"):
        found.setdefault("kind", "media")
        found.setdefault("runner", RUNNERS.get(backend, backend or "comfyui"))
    if isinstance(found.get("template"), Mapping):
        found["system"] = found["template"].get("system", "")
        found["template"] = found["template"].get("prompt", "")
    if kind == "api_output_chunk":
        _without_nodes(found)
    if "input_mappings" in found:
        found["inputs"] = {
            _input_name(str(name)): _places(place) for name, place in found.pop("input_mappings").items()
        }
    if "output_mapping" in found:
        mapping = found.pop("output_mapping") or {}
        node = mapping.get("node_id")
        found.setdefault("output", {"node_id": str(node)} if node else {})
        if found.get("media_type") is None and mapping.get("output_type"):
            found["media_type"] = mapping["output_type"]
    if isinstance(found.get("parameters"), Mapping):
        found["parameters"] = {parameter_name(str(k)): v for k, v in found["parameters"].items()}
    model = str(found.pop("model", "") or "")
    if model and "{{" not in model:
        found.update(model_and_task(model))
    return found


def _without_nodes(found: dict[str, Any]) -> None:
    """An HTTP service has no nodes: what the map gives a default becomes a parameter, the rest the runner fills itself."""
    mappings = found.pop("input_mappings", None)
    places = {_input_name(str(k)): _places(v) for k, v in mappings.items()} if isinstance(mappings, Mapping) else {}
    defaults = {
        name: place["default"] for name, place in places.items() if isinstance(place, Mapping) and "default" in place
    }
    if defaults:
        given = found.get("parameters")
        found["parameters"] = {**defaults, **(given if isinstance(given, Mapping) else {})}


def _input_name(name: str) -> str:
    return "negative_prompt" if name == "NEGATIVE_PROMPT" else (name.lower() if name.isupper() else name)


def _places(place: Any) -> Any:
    if isinstance(place, list):
        return [_places(item) for item in place]
    if not isinstance(place, Mapping):
        return place
    kept = {key: place[key] for key in ("node_id", "field", "default", "description") if key in place}
    if isinstance(kept.get("node_id"), int):
        kept["node_id"] = str(kept["node_id"])
    if (isinstance(kept.get("default"), str) and "{{" in kept["default"]) or kept.get("default") == "random":
        kept.pop("default")
    return kept

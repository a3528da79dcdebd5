"""Names for the values that an editor node keeps as a bare list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from aipipe.comfy.graphs import SEED_INPUTS
from aipipe.comfy.nodes import Spec, specs

CONTROLS = ("fixed", "increment", "decrement", "randomize")
UPLOADS = ("image_upload", "audio_upload", "video_upload", "file_upload", "animated_image_upload")
KNOWN: dict[str, tuple[str, ...]] = {
    "CheckpointLoaderSimple": ("ckpt_name",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CLIPTextEncodeSDXL": ("width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l"),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "CLIPLoader": ("clip_name", "type", "device"),
    "DualCLIPLoader": ("clip_name1", "clip_name2", "type", "device"),
    "TripleCLIPLoader": ("clip_name1", "clip_name2", "clip_name3"),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "VAELoader": ("vae_name",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "ControlNetLoader": ("control_net_name",),
    "ControlNetApplyAdvanced": ("strength", "start_percent", "end_percent"),
    "UpscaleModelLoader": ("model_name",),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "EmptyImage": ("width", "height", "batch_size", "color"),
    "KSampler": ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        "add_noise",
        "noise_seed",
        "steps",
        "cfg",
        "sampler_name",
        "scheduler",
        "start_at_step",
        "end_at_step",
        "return_with_leftover_noise",
    ),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "RandomNoise": ("noise_seed",),
    "FluxGuidance": ("guidance",),
    "CFGGuider": ("cfg",),
    "ModelSamplingSD3": ("shift",),
    "ModelSamplingFlux": ("max_shift", "base_shift", "width", "height"),
    "ImageScale": ("upscale_method", "width", "height", "crop"),
    "ImageScaleBy": ("upscale_method", "scale_by"),
    "LatentUpscale": ("upscale_method", "width", "height", "crop"),
    "LatentUpscaleBy": ("upscale_method", "scale_by"),
    "LoadImage": ("image",),
    "LoadImageMask": ("image", "channel"),
    "LoadAudio": ("audio",),
    "SaveImage": ("filename_prefix",),
    "SaveAnimatedWEBP": ("filename_prefix", "fps", "lossless", "quality", "method"),
    "SaveWEBM": ("filename_prefix", "codec", "fps", "crf"),
    "SaveVideo": ("filename_prefix", "format", "codec"),
    "CreateVideo": ("fps",),
    "SaveAudio": ("filename_prefix",),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
    "PrimitiveInt": ("value",),
    "PrimitiveFloat": ("value",),
    "PrimitiveBoolean": ("value",),
}
"""Names of values of common nodes, for graphs of older editors that are converted without a server."""
Remark = tuple[Literal["info", "warning"], str]


def widget_values(
    node: Mapping[str, Any], kind: str, info: Mapping[str, Any] | None
) -> tuple[dict[str, Any], list[Remark], str]:
    """Values of a node by name.

    Args:
        node: The editor's node.
        kind: Its class.
        info: The class's description, None without a server.

    Returns:
        The values, remarks for the report, and a problem ("" for none) when values have no names.
    """
    held = node.get("widgets_values")
    if isinstance(held, Mapping):
        return _of_mapping(held, info)
    values = list(held) if isinstance(held, list) else []
    if info is not None:
        return _by_specs(values, info, node)
    named = [
        str(s["widget"].get("name") or s["name"])
        for s in node.get("inputs") or []
        if isinstance(s.get("widget"), Mapping)
    ]
    names = KNOWN.get(kind) or tuple(named)
    if len(named) > len(names):
        names = tuple(named)
    if not values and not names:
        return {}, [], ""
    found, remarks, left = _assign(list(names), values, {})
    left = [v for v in left if v not in ("image", "", None, *CONTROLS)]
    if left:
        return found, remarks, f"{len(left)} values without a name (class {kind!r})"
    return found, remarks, ""


def _of_mapping(held: Mapping[str, Any], info: Mapping[str, Any] | None) -> tuple[dict[str, Any], list[Remark], str]:
    if info is None:
        return {str(k): v for k, v in held.items() if not isinstance(v, Mapping)}, [], ""
    known = {s.name for s in specs(info, held)}
    return {str(k): v for k, v in held.items() if k in known}, [], ""


def _by_specs(
    values: list[Any], info: Mapping[str, Any], node: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Remark], str]:
    # Which inputs a dynamic choice brings depends on its value, which comes before them: grow the list while assigning.
    found: dict[str, Any] = {}
    remarks: list[Remark] = []
    left: list[Any] = []
    for _ in range(5):
        fields = [s for s in specs(info, found) if s.is_widget or s.dynamic is not None]
        again, remarks, left = _assign([s.name for s in fields], values, {s.name: s for s in fields})
        if again == found:
            break
        found = again
    surplus = [v for v in left if v not in ("image", "", None, *CONTROLS) and not isinstance(v, (dict, list))]
    if surplus:
        remarks = [*remarks, ("warning", f"holds values that the server's node has no input for: {surplus!r}.")]
    for spec in specs(info, found):
        if spec.is_widget and spec.required and spec.name not in found and spec.default is not None:
            found[spec.name] = spec.default
            remarks = [*remarks, ("warning", f"has no value for {spec.name!r}; the default {spec.default!r} is used.")]
    return found, remarks, ""


def _assign(
    names: list[str], values: list[Any], known: Mapping[str, Spec]
) -> tuple[dict[str, Any], list[Remark], list[Any]]:
    found: dict[str, Any] = {}
    remarks: list[Remark] = []
    rest = list(values)
    for name in names:
        if not rest:
            break
        found[name] = rest.pop(0)
        options = known[name].options if name in known else None
        controlled = name in SEED_INPUTS or bool((options or {}).get("control_after_generate"))
        if controlled and rest and rest[0] in CONTROLS:
            control = rest.pop(0)
            if control != "fixed":
                remarks.append(
                    ("info", f"would {control} {name!r} after each run in the editor; here {found[name]} stays.")
                )
        if any((options or {}).get(u) for u in UPLOADS) and rest and rest[0] in ("image", "audio", "video", "", None):
            rest.pop(0)
    return found, remarks, rest

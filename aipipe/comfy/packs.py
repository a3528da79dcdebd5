"""Which custom node pack brings a node class, for messages about nodes that a server does not have.

A workflow saved by the editor names the pack of each node (`cnr_id`), which the conversion keeps. For a graph in API form,
which names none, a table of widely used packs helps: their classes share a prefix or a suffix, or are listed. A pack that is
not in the table is simply not named; nothing else depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PREFIXES = {
    "ACN_": "ComfyUI-Advanced-ControlNet",
    "ADE_": "ComfyUI-AnimateDiff-Evolved",
    "BrushNet": "ComfyUI-BrushNet",
    "CR ": "ComfyUI_Comfyroll_CustomNodes",
    "ETN_": "comfyui-tooling-nodes",
    "Florence2": "ComfyUI-Florence2",
    "HyVideo": "ComfyUI-HunyuanVideoWrapper",
    "INPAINT_": "comfyui-inpaint-nodes",
    "IPAdapter": "ComfyUI_IPAdapter_plus",
    "Impact": "ComfyUI-Impact-Pack",
    "InstantID": "ComfyUI_InstantID",
    "LayerColor: ": "ComfyUI_LayerStyle",
    "LayerFilter: ": "ComfyUI_LayerStyle",
    "LayerMask: ": "ComfyUI_LayerStyle",
    "LayerStyle: ": "ComfyUI_LayerStyle",
    "LayerUtility: ": "ComfyUI_LayerStyle",
    "Nunchaku": "ComfyUI-nunchaku",
    "Pulid": "a PuLID pack for ComfyUI",
    "ReActor": "ComfyUI-ReActor",
    "SUPIR_": "ComfyUI-SUPIR",
    "VHS_": "ComfyUI-VideoHelperSuite",
    "WanVideo": "ComfyUI-WanVideoWrapper",
    "easy ": "ComfyUI-Easy-Use",
    "smZ ": "ComfyUI_smZNodes",
    "ttN ": "ComfyUI_tinyterraNodes",
}
SUFFIXES = {
    " (Efficient)": "efficiency-nodes-comfyui",
    " (Eff.)": "efficiency-nodes-comfyui",
    " (rgthree)": "rgthree-comfy",
    " (segment anything)": "comfyui_segment_anything",
    " //Inspire": "ComfyUI-Inspire-Pack",
    " VFI": "ComfyUI-Frame-Interpolation",
    "GGUF": "ComfyUI-GGUF",
    "KJ": "ComfyUI-KJNodes",
    "Preprocessor": "comfyui_controlnet_aux",
    "[Crystools]": "ComfyUI-Crystools",
    "|pysssss": "ComfyUI-Custom-Scripts",
    "+": "ComfyUI_essentials",
}
NAMES = {
    "ComfyUI-Frame-Interpolation": ("FILM VFI", "RIFE VFI"),
    "ComfyUI-Impact-Pack": (
        "BboxDetectorSEGS",
        "DetailerForEach",
        "FaceDetailer",
        "FaceDetailerPipe",
        "SAMDetectorCombined",
        "SAMLoader",
        "SEGSPaste",
        "SegmDetectorSEGS",
        "ToDetailerPipe",
    ),
    "ComfyUI-Impact-Subpack": ("UltralyticsDetectorProvider",),
    "ComfyUI-Inpaint-CropAndStitch": ("InpaintCrop", "InpaintCropImproved", "InpaintStitch", "InpaintStitchImproved"),
    "ComfyUI-KJNodes": (
        "ColorMatch",
        "GetImageSizeAndCount",
        "GrowMaskWithBlur",
        "ImageConcatMulti",
        "ImageConcanate",
        "INTConstant",
        "FloatConstant",
        "StringConstant",
    ),
    "ComfyUI_InstantID": ("ApplyInstantID", "ApplyInstantIDAdvanced"),
    "ComfyUI_UltimateSDUpscale": ("UltimateSDUpscale", "UltimateSDUpscaleNoUpscale"),
    "ComfyUI-Florence2": ("DownloadAndLoadFlorence2Model",),
    "a PuLID pack for ComfyUI": ("ApplyPulid", "ApplyPulidFlux"),
    "cg-use-everywhere": ("Anything Everywhere", "Anything Everywhere3", "Anything Everywhere?", "Prompts Everywhere"),
    "comfyui_controlnet_aux": ("AIO_Preprocessor", "ControlNetPreprocessorSelector"),
    "efficiency-nodes-comfyui": ("Efficient Loader", "Eff. Loader SDXL"),
    "was-node-suite-comfyui": ("Image Save", "Text Concatenate", "Text Multiline", "Image Filter Adjustments"),
    "x-flux-comfyui": ("ApplyFluxControlNet", "FluxLoraLoader", "LoadFluxControlNet", "XlabsSampler"),
}
_LISTED = {name: pack for pack, names in NAMES.items() for name in names}


def pack_of(class_type: str, node: Any = None) -> str:
    """The pack that brings a node class, as far as it is known.

    Args:
        class_type: The class.
        node: Its node of a graph, whose `_meta` may name the pack.

    Returns:
        The pack's name, "" if it is not known.
    """
    meta = node.get("_meta") if isinstance(node, Mapping) else None
    told = meta.get("pack") if isinstance(meta, Mapping) else None
    if told:
        return str(told)
    if class_type in _LISTED:
        return _LISTED[class_type]
    return next(
        (pack for start, pack in PREFIXES.items() if class_type.startswith(start) and class_type != start),
        next((pack for end, pack in SUFFIXES.items() if class_type.endswith(end) and class_type != end), ""),
    )

"""The nodes of the scripted ComfyUI server."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aipipe.testing.comfy_server import ComfyServer, Task


class Failure(Exception):
    """A node raised; `data` is the error as the server tells it."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(data.get("exception_message"))
        self.data = data


class Interrupted(Exception):
    """Somebody interrupted the job."""


def png(task: Task) -> bytes:
    """A mirrored pattern drawn from the graph's hash, in the size the graph asks for, with the graph inside."""
    seed = hashlib.sha256(json.dumps(task.graph, sort_keys=True).encode()).digest()
    width, height = (_size(task.graph, name) for name in ("width", "height"))
    inked = [[bool(seed[3 + row] >> min(column, 7 - column) & 1) for column in range(8)] for row in range(8)]
    ink, ground = seed[:3], bytes(255 - value // 5 for value in seed[:3])
    rows = (inked[y * 8 // height] for y in range(height))
    body = b"".join(b"\0" + b"".join(ink if row[x * 8 // width] else ground for x in range(width)) for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    inside = {"prompt": task.graph, **(task.extra.get("extra_pnginfo") or {})}
    texts = (f"{name}\0{json.dumps(value)}".encode("ascii") for name, value in inside.items())
    parts = [(b"IHDR", head), *((b"tEXt", text) for text in texts), (b"IDAT", zlib.compress(body, 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_part(kind, content) for kind, content in parts)


def _png_part(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _size(graph: dict[str, Any], name: str) -> int:
    found = [v for n in graph.values() if isinstance(v := n.get("inputs", {}).get(name), int)]
    return min(max(found[0], 1), 1024) if found else 1


def wav(seconds: float = 0.05) -> bytes:
    """Silence."""
    data = b"\0\0" * int(8000 * seconds)
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    return head + struct.pack("<4sI", b"data", len(data)) + data


INPUTS: dict[str, dict[str, Any]] = {
    "EmptyImage": {
        name: ["INT", {"default": 1, "min": 0 if name == "color" else 1, "max": 16777215}]
        for name in ("width", "height", "batch_size", "color")
    },
    "CLIPTextEncode": {"text": ["STRING", {"multiline": True}], "clip": ["CLIP"]},
    "CheckpointLoaderSimple": {"ckpt_name": [["fake.safetensors"]]},
    "KSampler": {
        "model": ["MODEL"],
        "seed": ["INT", {"min": 0, "max": 2**64 - 1, "control_after_generate": True}],
        "steps": ["INT", {"default": 20, "min": 1, "max": 10000}],
        "cfg": ["FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0}],
        "sampler_name": [["euler", "heun"]],
        "scheduler": [["normal", "karras"]],
        "positive": ["CONDITIONING"],
        "negative": ["CONDITIONING"],
        "latent_image": ["LATENT"],
        "denoise": ["FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0}],
    },
    "EmptyLatentImage": {n: ["INT", {"min": 1, "max": 16384}] for n in ("width", "height", "batch_size")},
    "ImageInvert": {"image": ["IMAGE"]},
    "VAEDecode": {"samples": ["LATENT"], "vae": ["VAE"]},
    "LoadImage": {"image": [["example.png"], {"image_upload": True}]},
    "SaveImage": {"images": ["IMAGE"], "filename_prefix": ["STRING", {"default": "fake"}]},
    "SaveAudio": {"filename_prefix": ["STRING", {"default": "audio/fake"}]},
    "SaveText": {"text": ["STRING"], "filename_prefix": ["STRING", {"default": "fake"}]},
    "PreviewImage": {"images": ["IMAGE"]},
    "SaveImageWebsocket": {"images": ["IMAGE"]},
    "Sleep": {"image": ["IMAGE"], "seconds": ["FLOAT", {"min": 0}], "steps": ["INT", {"min": 1}]},
    "Fail": {"image": ["IMAGE"], "message": ["STRING"]},
    "Block": {"image": ["IMAGE"], "message": ["STRING"]},
}
OUTPUTS: dict[str, list[str]] = {
    "CheckpointLoaderSimple": ["MODEL", "CLIP", "VAE"],
    "CLIPTextEncode": ["CONDITIONING"],
    "KSampler": ["LATENT"],
    "EmptyLatentImage": ["LATENT"],
    **{name: ["IMAGE"] for name in ("EmptyImage", "ImageInvert", "VAEDecode", "LoadImage", "Sleep", "Fail", "Block")},
}


def object_info(checkpoints: Sequence[str] = ("fake.safetensors",)) -> dict[str, Any]:
    """Descriptions of all nodes of a server that has these checkpoints."""
    loader = {"CheckpointLoaderSimple": {"ckpt_name": [list(checkpoints)]}}
    return {
        name: {
            "name": name,
            "input": {"required": loader.get(name, fields)},
            "output": OUTPUTS.get(name, []),
            "output_node": name.startswith(("Save", "Preview")),
            "python_module": "custom_nodes.fake-pack" if name in ("Sleep", "Fail", "Block") else "nodes",
        }
        for name, fields in INPUTS.items()
    }


def run_node(server: ComfyServer, task: Task, node: str) -> dict[str, Any] | None:
    """Run one node and return its result for the history.

    Raises:
        Failure, Interrupted.
    """
    kind = task.graph[node]["class_type"]
    inputs = task.graph[node].get("inputs", {})
    if server.interrupted.is_set():
        raise Interrupted(node)
    if kind == "Sleep":
        _sleep(server, task, node, inputs)
    elif kind == "KSampler":
        for step in range(int(inputs.get("steps", 1))):
            server.say(task, "progress", node=node, value=step + 1, max=int(inputs["steps"]))
    elif kind == "Fail":
        _fail(node, inputs)
    elif kind == "Block":
        server.say(
            task, "execution_error", node_id=node, exception_type="ExecutionBlocked", exception_message="blocked"
        )
    if any(
        task.graph.get(str(v[0]), {}).get("class_type") == "Block" for v in inputs.values() if isinstance(v, list) and v
    ):
        return None
    return _save(server, task, node, kind, inputs)


def _sleep(server: ComfyServer, task: Task, node: str, inputs: dict[str, Any]) -> None:
    steps = int(inputs.get("steps", 1))
    for step in range(steps):
        if server.interrupted.wait(float(inputs.get("seconds", 0)) / steps):
            raise Interrupted(node)
        server.say(task, "progress", node=node, value=step + 1, max=steps)
    if server.faults.huge_frame:
        server.frame(task, node, b"\xff\xd8" + b"\0" * server.faults.huge_frame, "image/jpeg")
    else:
        server.frame(task, node, png(task), "image/png")


def _fail(node: str, inputs: dict[str, Any]) -> None:
    message = str(inputs.get("message", "boom"))
    raise Failure(
        {
            "node_id": node,
            "node_type": "Fail",
            "exception_type": "torch.OutOfMemoryError" if message == "oom" else "ValueError",
            "exception_message": ("Allocation on device" if message == "oom" else message) + "\n",
            "traceback": ["  File fake, line 1\n"],
        }
    )


def _save(server: ComfyServer, task: Task, node: str, kind: str, inputs: dict[str, Any]) -> dict[str, Any] | None:
    if kind == "SaveImageWebsocket":
        server.frame(task, node, png(task), "image/png")
        return None
    suffix = {"SaveImage": "png", "PreviewImage": "png", "SaveAudio": "wav", "SaveText": "txt"}.get(kind)
    if suffix is None:
        return None
    content = {"png": png(task), "wav": wav(), "txt": str(inputs.get("text", "")).encode()}[suffix]
    folder, _, prefix = str(inputs.get("filename_prefix", "temp")).rpartition("/")
    place = "temp" if kind == "PreviewImage" else "output"
    with server.lock:
        name = f"{prefix}_{len(server.files) + 1:05}_.{suffix}"
        server.files[(place, folder, name)] = content
    item = {"filename": name, "subfolder": folder, "type": place}
    made: dict[str, Any] = {{"png": "images", "wav": "audio", "txt": "files"}[suffix]: [item]}
    if suffix == "txt":
        made["text"] = [str(inputs.get("text", ""))]
    if server.faults.nan:
        made["number"] = [float("nan")]
    return made

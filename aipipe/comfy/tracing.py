"""Follow the links of a graph from what it saves back to texts, seeds, sizes and pictures. Titles decide nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from aipipe.comfy import graphs

Place = tuple[str, str]
"""Node id and input."""

TEXTS = (
    "text",
    "text_g",
    "text_l",
    "clip_l",
    "clip_g",
    "t5xxl",
    "t5",
    "llama",
    "prompt",
    "tags",
    "caption",
    "value",
    "string",
)
HELD_TEXTS = ("value", "text", "string", "prompt", "positive", "text_positive", "wildcard_text", "populated_text")
HELD_NUMBERS = ("value", "int", "number", "seed", "noise_seed", "Number")
POSITIVE = ("positive", "conditioning", "cond", "cond1", "positive_cond", "prompt_embeds", "text_embeds")
NEGATIVE = ("negative", "negative_cond")
SAVERS: tuple[tuple[str, str], ...] = (
    ("animated", "video"),
    ("video", "video"),
    ("webm", "video"),
    ("audio", "audio"),
    ("glb", "3d"),
    ("mesh", "3d"),
    ("3d", "3d"),
    ("image", "image"),
)


@dataclass
class Found:
    """What tracing found: name → places, and what a person should know."""

    places: dict[str, list[Place]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    savers: list[str] = field(default_factory=list)
    media_type: str = "image"
    sampler: str = ""

    def add(self, name: str, place: Place | None) -> None:
        """Note a place; each belongs to one name only."""
        if place is not None and not any(place in known for known in self.places.values()):
            self.places.setdefault(name, []).append(place)


def saver_type(class_type: str) -> str | None:
    """Media type that a node of this class writes, None if it writes none."""
    name = class_type.lower()
    if not ("save" in name or "preview" in name or ("combine" in name and "video" in name)):
        return None
    return next((media for sign, media in SAVERS if sign in name), None)


def trace(graph: graphs.Graph) -> Found:
    """Find everything that matters in a graph."""
    found = Found()
    _outputs(graph, found)
    reach = _reach(graph, found.savers)
    samplers = [n for n in reach if _is_sampler(graph, n)]
    for sampler in samplers:
        found.sampler = found.sampler or sampler
        _conditioning(graph, sampler, found)
        _settings(graph, sampler, found)
    if not samplers:
        _texts_without_sampler(graph, reach, found)
    for node in reach:
        _anywhere(graph, node, found)
    if len(found.places.get("prompt", [])) > 1 and len({n for n, _ in found.places["prompt"]}) > 1:
        found.notes.append("Several nodes make the prompt; all of them get it. Name one with prompt='#id.text' if not.")
    return found


def _outputs(graph: graphs.Graph, found: Found) -> None:
    writing = [(n, saver_type(graphs.class_of(graph, n))) for n in graph]
    known = [(n, media) for n, media in writing if media]
    saved = [(n, media) for n, media in known if "preview" not in graphs.class_of(graph, n).lower()]
    kept = saved or known
    if kept:
        order = ("video", "3d", "audio", "image")
        found.media_type = min((media for _, media in kept), key=order.index)
        found.savers = [n for n, media in kept if media == found.media_type]
        others = [graphs.title(graph, n) for n, media in kept if media != found.media_type]
        if others:
            found.notes.append(f"The output is {found.media_type}; {', '.join(others)} also save something.")
    else:
        found.savers = graphs.ends(graph)
        found.notes.append("No node is known to save something; the ends of the graph are taken as outputs.")


def _reach(graph: graphs.Graph, savers: list[str]) -> list[str]:
    reach: list[str] = []
    for saver in savers:
        reach += [n for n in graphs.upstream(graph, saver) if n not in reach]
    return reach


def _is_sampler(graph: graphs.Graph, node: str) -> bool:
    """A node that turns a latent and conditioning, or a guider, into a latent."""
    inputs = graphs.inputs(graph, node)
    if graphs.is_link(inputs.get("guider")):
        return True
    conditioned = any(graphs.is_link(inputs.get(name)) for name in (*POSITIVE, *NEGATIVE))
    steered = any(name in inputs for name in ("steps", "sigmas", "sampler", *graphs.SEED_INPUTS, "sampler_name"))
    return conditioned and steered


# ---- conditioning ----------------------------------------------------------------------------------------------------


def _conditioning(graph: graphs.Graph, node: str, found: Found) -> None:
    inputs = graphs.inputs(graph, node)
    guider = inputs.get("guider")
    if graphs.is_link(guider):
        _settings(graph, str(guider[0]), found)
        _conditioning(graph, str(guider[0]), found)
        return
    positive = [p for name in POSITIVE for p in _texts_behind(graph, inputs.get(name), found, set())]
    negative = [p for name in NEGATIVE for p in _texts_behind(graph, inputs.get(name), found, set())]
    for place in positive:
        found.add("prompt", place)
    for place in negative:
        if place in positive:
            continue  # a zeroed or shared conditioning: there is no text to avoid
        found.add("negative_prompt", place)


def _texts_behind(graph: graphs.Graph, link: object, found: Found, seen: set[tuple[str, int]]) -> list[Place]:
    """Places of the texts behind a conditioning link, nearest first."""
    if not graphs.is_link(link):
        return []
    node, slot = str(link[0]), int(link[1])
    if node not in graph or (node, slot) in seen:
        return []
    seen.add((node, slot))
    inputs = graphs.inputs(graph, node)
    kind = graphs.class_of(graph, node).lower()
    if "zeroout" in kind:
        return []
    own = [p for p in _own_texts(graph, node) if p]
    if own:
        return own
    if graphs.is_link(inputs.get("positive")) and graphs.is_link(inputs.get("negative")) and slot < 2:
        return _texts_behind(graph, inputs["positive" if slot == 0 else "negative"], found, seen)
    places: list[Place] = []
    for name, value in inputs.items():
        if _may_condition(name, kind):
            places += [p for p in _texts_behind(graph, value, found, seen) if p not in places]
    return places


def _may_condition(name: str, kind: str) -> bool:
    """Links of models and pictures lead elsewhere; those of conditioning lead to texts."""
    others = ("model", "clip", "vae", "image", "latent", "mask", "control_net", "style_model", "clip_vision", "audio")
    return not any(name == o or name.startswith((f"{o}_", f"{o}s")) for o in others) or "reroute" in kind


def _own_texts(graph: graphs.Graph, node: str) -> Iterator[Place | None]:
    inputs = graphs.inputs(graph, node)
    encodes = "encode" in graphs.class_of(graph, node).lower() or "clip" in inputs or "text_encoder" in inputs
    for name in TEXTS if encodes else ():
        if name in inputs:
            yield text_source(graph, node, name)


def text_source(graph: graphs.Graph, node: str, name: str, depth: int = 0) -> Place | None:
    """Where the text of an input is really written: here, or in the node that a link leads to."""
    value = graphs.inputs(graph, node).get(name)
    if isinstance(value, str):
        return node, name
    if not graphs.is_link(value) or depth > 20:
        return None
    source = str(value[0])
    inputs = graphs.inputs(graph, source)
    literal = [
        n for n, v in inputs.items() if isinstance(v, str) and (n in HELD_TEXTS or n.startswith(("string", "text")))
    ]
    linked = [n for n, v in inputs.items() if graphs.is_link(v)]
    for other in linked:  # joined texts: what flows in from another node is what a person varies
        found = text_source(graph, source, other, depth + 1)
        if found is not None:
            return found
    return (source, max(literal, key=lambda n: len(inputs[n]))) if literal else None


def number_source(graph: graphs.Graph, node: str, name: str) -> Place | None:
    """Where the number of an input is really written."""
    seen: set[str] = set()
    while node not in seen:
        seen.add(node)
        value = graphs.inputs(graph, node).get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return node, name
        if not graphs.is_link(value):
            return None
        node = str(value[0])
        inputs = graphs.inputs(graph, node)
        held = [n for n in HELD_NUMBERS if n in inputs]
        if not held:
            links = [n for n, v in inputs.items() if graphs.is_link(v)]
            if len(links) != 1:
                return None
            held = links
        name = held[0]
    return None


# ---- the rest ------------------------------------------------------------------------------------------------------------


def _settings(graph: graphs.Graph, node: str, found: Found) -> None:
    """Steps, cfg, sampler, scheduler, size around a sampler or guider."""
    inputs = graphs.inputs(graph, node)
    for name in ("steps", "cfg", "denoise"):
        if name in inputs:
            found.add(name, number_source(graph, node, name))
    for name in ("sampler_name", "scheduler"):
        if isinstance(inputs.get(name), str):
            found.add(name, (node, name))
    for name in ("sigmas", "sampler", "noise"):
        if graphs.is_link(inputs.get(name)):
            for behind in graphs.upstream(graph, str(inputs[name][0]))[:6]:
                if not _is_sampler(graph, behind) and graphs.class_of(graph, behind):
                    _settings_here(graph, behind, found)
    for name in ("latent_image", "latent", "samples"):
        if graphs.is_link(inputs.get(name)):
            _size(graph, str(inputs[name][0]), found)


def _settings_here(graph: graphs.Graph, node: str, found: Found) -> None:
    inputs = graphs.inputs(graph, node)
    for name in ("steps", "denoise", "sampler_name", "scheduler"):
        if name in inputs and not graphs.is_link(inputs[name]):
            found.add(name, (node, name))


def _size(graph: graphs.Graph, node: str, found: Found) -> None:
    for behind in graphs.upstream(graph, node):
        inputs = graphs.inputs(graph, behind)
        if _is_sampler(graph, behind):
            return
        if "width" in inputs and "height" in inputs:
            for name in ("width", "height", "length", "batch_size"):
                if name in inputs:
                    found.add({"length": "frames"}.get(name, name), number_source(graph, behind, name))
            return
        if "seconds" in inputs:
            found.add("seconds", number_source(graph, behind, "seconds"))
            return


def _anywhere(graph: graphs.Graph, node: str, found: Found) -> None:
    inputs, kind = graphs.inputs(graph, node), graphs.class_of(graph, node)
    for name in graphs.SEED_INPUTS:
        if name in inputs:
            found.add("seed", number_source(graph, node, name))
    if "image" in inputs and isinstance(inputs["image"], str) and kind.startswith("Load"):
        taken = sum(1 for n in found.places if n == "image" or n.startswith("image_"))
        found.add("image" if not taken else f"image_{taken + 1}", (node, "image"))
    for name, called in (("ckpt_name", "checkpoint"), ("unet_name", "model"), ("guidance", "guidance"), ("fps", "fps")):
        if name in inputs and not graphs.is_link(inputs[name]) and called not in found.places:
            found.add(called, (node, name))
    if isinstance(inputs.get("lyrics"), str):
        found.add("lyrics", (node, "lyrics"))


def _texts_without_sampler(graph: graphs.Graph, reach: list[str], found: Found) -> None:
    """Without a sampler the only written text is the prompt; several are a choice for a person."""
    places = [(n, k) for n in reach for k, v in graphs.inputs(graph, n).items() if isinstance(v, str) and k in TEXTS]
    if len(places) == 1:
        found.add("prompt", places[0])
    elif places:
        shown = ", ".join(f"#{n}.{k}" for n, k in places)
        found.notes.append(f"Which text is the prompt is unclear: {shown}. Name one with prompt='#id.input'.")

"""Graphs of the editor: everything it resolves itself, and a report of what was done."""

import io
import json
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aipipe import comfy
from aipipe.comfy.editor import convert
from aipipe.comfy.embedded import graphs_in
from aipipe.errors import AipipeError, InvalidDefinition
from aipipe.testing.comfy_nodes import object_info


def node(node_id, kind, inputs=(), outputs=(), values=(), mode=0, **more):
    return {
        "id": node_id,
        "type": kind,
        "mode": mode,
        "inputs": [{"name": n, "type": t, "link": link} for n, t, link in inputs],
        "outputs": [{"name": t, "type": t} for t in outputs],
        "widgets_values": list(values),
        **more,
    }


def picture(middle=(), links=()):
    """EmptyImage (1) … SaveImage (9), with whatever stands between them."""
    return {
        "nodes": [
            node(1, "EmptyImage", outputs=["IMAGE"], values=[8, 8, 1, 255]),
            *middle,
            node(9, "SaveImage", [("images", "IMAGE", 99)], values=["x"], title="Final"),
        ],
        "links": [*links],
    }


def fed_by(document):
    graph, report = convert(document, object_info() | {"Half": {"input": {"required": {"image": ["IMAGE"]}}}})
    return graph["9"]["inputs"].get("images"), graph, report


def test_values_get_their_names_and_titles_stay():
    link, graph, _ = fed_by(picture(links=[[99, 1, 0, 9, 0, "IMAGE"]]))
    assert link == ["1", 0]
    assert graph["1"]["inputs"] == {"width": 8, "height": 8, "batch_size": 1, "color": 255}
    assert graph["9"]["_meta"]["title"] == "Final"


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("Reroute", 0), ("Half", 4), ("Reroute (rgthree)", 0)],
    ids=["reroute", "bypass", "other reroute"],
)
def test_what_only_passes_on_is_taken_out_and_reported(kind, mode):
    between = node(5, kind, [("image", "IMAGE", 50)], ["IMAGE"], mode=mode)
    link, graph, report = fed_by(picture([between], [[50, 1, 0, 5, 0, "IMAGE"], [99, 5, 0, 9, 0, "IMAGE"]]))
    assert link == ["1", 0]
    assert "5" not in graph
    assert any(n.node_id == "5" for n in report.notes)


def test_a_muted_node_is_left_out_and_the_lost_link_is_a_warning():
    between = node(5, "Half", [("image", "IMAGE", 50)], ["IMAGE"], mode=2)
    link, graph, report = fed_by(picture([between], [[50, 1, 0, 5, 0, "IMAGE"], [99, 5, 0, 9, 0, "IMAGE"]]))
    assert link is None
    assert "5" not in graph
    assert [n.kind for n in report.warnings] == ["dropped_link"]


def test_get_and_set_are_joined_and_notes_are_reported():
    middle = [
        node(5, "SetNode", [("IMAGE", "IMAGE", 50)], ["*"], ["pic"]),
        node(6, "GetNode", [], ["IMAGE"], ["pic"]),
        node(7, "Note", values=["read me"]),
    ]
    link, _, report = fed_by(picture(middle, [[50, 1, 0, 5, 0, "IMAGE"], [99, 6, 0, 9, 0, "IMAGE"]]))
    assert link == ["1", 0]
    assert any(n.kind == "note" for n in report.notes)


def test_a_primitive_gives_its_value_and_seed_control_is_reported():
    sampler = node(
        5,
        "KSampler",
        [("seed", "INT", 50)],
        ["LATENT"],
        [3, "randomize", 20, 8.0, "euler", "normal", 1.0],
    )
    graph, report = convert(
        {"nodes": [node(2, "PrimitiveNode", [], ["INT"], [42, "fixed"]), sampler], "links": [[50, 2, 0, 5, 0, "INT"]]}
    )
    assert graph["5"]["inputs"]["seed"] == 42
    assert graph["5"]["inputs"]["denoise"] == 1.0
    assert any(n.kind == "seed_control" and "randomize" in n.message for n in report.notes)


def subgraph(name, nodes, links, inputs=("image",)):
    return {"id": name, "name": name, "nodes": nodes, "links": links, "inputs": [{"name": n} for n in inputs]}


def wire(link, source, slot, target, place):
    return {
        "id": link,
        "origin_id": source,
        "origin_slot": slot,
        "target_id": target,
        "target_slot": place,
        "type": "IMAGE",
    }


def test_subgraphs_within_subgraphs_are_taken_apart():
    inner = subgraph(
        "inner-id",
        [node(3, "Half", [("image", "IMAGE", 1)], ["IMAGE"])],
        [wire(1, -10, 0, 3, 0), wire(2, 3, 0, -20, 0)],
    )
    outer = subgraph(
        "outer-id",
        [node(4, "inner-id", [("image", "IMAGE", 1)], ["IMAGE"])],
        [wire(1, -10, 0, 4, 0), wire(2, 4, 0, -20, 0)],
    )
    document = picture(
        [node(5, "outer-id", [("image", "IMAGE", 50)], ["IMAGE"])],
        [[50, 1, 0, 5, 0, "IMAGE"], [99, 5, 0, 9, 0, "IMAGE"]],
    )
    document["definitions"] = {"subgraphs": [inner, outer]}
    link, graph, _ = fed_by(document)
    assert link == ["5:4:3", 0]
    assert graph["5:4:3"]["inputs"]["image"] == ["1", 0]
    document["nodes"][1]["mode"] = 4
    assert fed_by(document)[0] == ["1", 0]
    inner["nodes"][0]["type"] = "outer-id"
    document["nodes"][1]["mode"] = 0
    with pytest.raises(InvalidDefinition):
        convert(document)


def test_values_without_names_are_an_error_that_asks_for_a_server():
    with pytest.raises(InvalidDefinition, match="Odd") as caught:
        convert({"nodes": [node(1, "Odd", values=[1, 2])], "links": []})
    assert "server" in caught.value.hint


def test_values_of_dynamic_choices_get_dotted_names():
    info = {
        "Dyn": {
            "input": {
                "required": {
                    "format": [
                        "COMFY_DYNAMICCOMBO_V3",
                        {
                            "options": [
                                {"key": "png", "inputs": {"required": {"bit_depth": [["8-bit", "16-bit"]]}}},
                                {"key": "jpg", "inputs": {"required": {"quality": ["INT", {}]}}},
                            ]
                        },
                    ],
                    "name": ["STRING", {}],
                }
            }
        }
    }
    graph, _ = convert({"nodes": [node(1, "Dyn", values=["jpg", 90, "x"])], "links": []}, info)
    assert graph["1"]["inputs"] == {"format": "jpg", "format.quality": 90, "name": "x"}


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5) | st.floats(),
        lambda c: (
            st.lists(c, max_size=4) | st.dictionaries(st.sampled_from(["id", "type", "inputs", "link"]), c, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_a_broken_document_is_refused_and_never_an_accident(value):
    document = {"nodes": value if isinstance(value, list) else [], "links": []}
    try:
        loaded = comfy.Workflow.load(document)
    except AipipeError as error:
        assert error.hint
    else:
        assert len(loaded) <= len(document["nodes"])


GRAPH = {"1": {"class_type": "EmptyImage", "inputs": {"text": 'a "quoted" {brace} ü'}}}


def test_graphs_are_found_in_png_webp_jpeg_and_mp4():
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    image = Image.new("RGB", (4, 4))
    for pack in (False, True):
        info, stream = PngInfo(), io.BytesIO()
        info.add_text("prompt", json.dumps(GRAPH), zip=pack)
        info.add_itxt("workflow", json.dumps(picture()), zip=pack)
        image.save(stream, "PNG", pnginfo=info)
        assert graphs_in(stream.getvalue()) == (GRAPH, picture())
    exif = image.getexif()
    exif[0x0110], exif[0x010F] = "prompt:" + json.dumps(GRAPH), "workflow:" + json.dumps(picture())
    for kind in ("WEBP", "JPEG"):
        stream = io.BytesIO()
        image.save(stream, kind, exif=exif)
        assert graphs_in(stream.getvalue())[0] == GRAPH

    def box(kind, body):
        return struct.pack(">I4s", 8 + len(body), kind) + body

    meta = box(b"meta", b"\0\0\0\0" + box(b"ilst", box(b"data", b"\0" * 8 + json.dumps(GRAPH).encode())))
    movie = box(b"ftyp", b"isom") + box(b"mdat", b'{"x": 1' * 50) + box(b"moov", box(b"udta", meta))
    assert graphs_in(movie)[0] == GRAPH


@given(
    st.binary(max_size=200),
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff\xe1", b"\0\0\0\x18ftyp", b"fLaC"]),
)
def test_broken_files_hold_no_graph(tail, head):
    assert graphs_in(head + tail) == (None, None)


def test_a_packed_text_cannot_fill_the_memory():
    body = b"prompt\0\0" + zlib.compress(bytes(200_000_000), 1)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(body)) + b"zTXt" + body + b"\0\0\0\0"
    assert graphs_in(png) == (None, None)

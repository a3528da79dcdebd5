"""The light of a scene: sky, land and ink colours by time of day, weather, season and place."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aipipe.runners.sketch.glyphs import RGB, hexed, mix, rgb
from aipipe.runners.sketch.noise import Chance
from aipipe.runners.sketch.words import Brief


@dataclass(frozen=True, slots=True)
class Light:
    """Colours of a scene; land colours are before the light falls on them.

    Attributes:
        sky: Zenith, middle and horizon.
        sun: Colour of the sun, moon and their glow.
        light: Factor that falls on everything.
        ink: Lines of glyphs.
        far: Land at the horizon.
        near: Land at the feet.
        accent: Flowers, windows, small things.
    """

    sky: tuple[str, str, str]
    sun: str
    light: RGB
    ink: str
    far: str
    near: str
    accent: str


_TIMES = {
    "day": (
        (("#5ba3cf", "#a3cfe0", "#f3ead0"), ("#6f9fd0", "#b9d3e2", "#fbe6d2"), ("#4f9fb8", "#a5d3cf", "#f6efcf")),
        "#fff3c4", (1.0, 0.99, 0.95), "#2b2a3a",
    ),
    "dawn": (
        (("#7d9cc6", "#e3b7b7", "#fde6b5"), ("#8a8fc0", "#e9b5a6", "#fbe9c6")),
        "#fff0c0", (1.0, 0.93, 0.86), "#3a2e44",
    ),
    "sunset": (
        (("#3d3a6b", "#c45a6c", "#fbb75e"), ("#553a66", "#dd6f52", "#fcca73"), ("#2f4a74", "#c7707a", "#fcc089")),
        "#ffd98a", (0.98, 0.83, 0.72), "#2c2138",
    ),
    "night": (
        (("#0c1433", "#1f3262", "#4d6490"), ("#0d1a30", "#1c4058", "#4f7f8c"), ("#171238", "#3a2f66", "#6f6597")),
        "#fbf3d2", (0.62, 0.68, 0.86), "#0b1024",
    ),
}  # fmt: skip
_LAND = {
    "meadow": ("#9fb97a", "#5f9145", "#f2c84b"),
    "forest": ("#7d9c78", "#41683f", "#d9b44a"),
    "lake": ("#8fae86", "#5c8450", "#e8c15a"),
    "mountain": ("#9caa9a", "#66845a", "#e8d7a0"),
    "desert": ("#e3c08a", "#cf9a5b", "#a44f34"),
    "beach": ("#ead7a8", "#dcbc82", "#d9694f"),
    "sea": ("#6ea9b8", "#27678a", "#f3efe0"),
    "city": ("#9a97a8", "#55566a", "#ffd678"),
    "indoor": ("#c8a27a", "#8a5a3c", "#f0c878"),
    "deep": ("#1f7f92", "#0b3350", "#f0b36a"),
    "space": ("#3a3a5c", "#5d5872", "#f0c878"),
    "void": ("#d8cdbd", "#b7a99a", "#c25b45"),
}


def light_of(brief: Brief, chance: Chance) -> Light:
    """The light of a brief; the seed chooses among palettes that all suit."""
    skies, sun, light, ink = _TIMES[brief.time]
    sky = chance.child("sky").pick(skies)
    far, near, accent = _LAND[brief.place]
    found = Light(sky, sun, light, ink, far, near, accent)
    if brief.season == "autumn" and brief.place in ("meadow", "forest", "lake", "mountain"):
        found = replace(found, far="#c9a66b", near="#a5713a", accent="#c8452c")
    if brief.weather == "snow":
        cold = tuple(hexed(mix(rgb(c), (214, 224, 236), 0.42 if brief.time != "night" else 0.12)) for c in sky)
        found = replace(found, far="#dfe6ef", near="#f4f6f9", accent="#c94a3d", sky=(cold[0], cold[1], cold[2]))
    elif brief.weather in ("rain", "storm", "fog"):
        grey = {"rain": (126, 140, 156), "storm": (70, 78, 98), "fog": (206, 208, 206)}[brief.weather]
        share = {"rain": 0.55, "storm": 0.68, "fog": 0.6}[brief.weather] * (0.6 if brief.time == "night" else 1)
        dull = [hexed(mix(rgb(c), grey, share)) for c in sky]
        lit = tuple(c * (0.9 if brief.weather != "storm" else 0.78) for c in light)
        found = replace(found, sky=(dull[0], dull[1], dull[2]), light=(lit[0], lit[1], lit[2]))
    if brief.place == "void" and brief.colours:
        found = replace(found, accent=brief.colours[0])
    return found


def lit(colour: str, light: Light, haze: float = 0.0) -> RGB:
    """A colour of the land as the light shows it, faded into the horizon by `haze` (0 to 1)."""
    value = rgb(colour)
    shone = (value[0] * light.light[0], value[1] * light.light[1], value[2] * light.light[2])
    return mix(shone, rgb(light.sky[2]), haze)

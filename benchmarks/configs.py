"""Every shipped interception config once on the small real model that the package runs itself.

    python benchmarks/configs.py [--only dada --only haiku] [--write]

One German sample sentence (two where a config takes two texts, a drawn picture where it takes one) goes through all stages at level
kids. Pictures come from the sketch renderer; a config that asks for sound, music or video runs up to its interception, because those
generators need a server of their own. `--write` puts the table into docs/configs.md. Exit code 1 when a run failed: a run that the
safety check stopped is an outcome, listed as such.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import aipipe
from aipipe.catalog import Catalog
from aipipe.definitions import Config, PlannedOutput
from aipipe.lab.choosing import model_files

SENTENCES = ("Eine Blume auf der Wiese", "Ein altes Boot im Regen")
PAGE = Path(__file__).parents[1] / "docs" / "configs.md"
SHOWN = 150


@dataclass(frozen=True)
class Outcome:
    """What became of one config."""

    config: str
    pipeline: str
    seconds: float
    status: str
    produced: str
    text: str
    model: str


def picture(path: Path) -> Path:
    """A picture of our own for the configs that take one."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (256, 256), "#9cc4e4")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 160, 256, 256), fill="#4a8b3c")
    draw.ellipse((96, 70, 160, 134), fill="#d8372a")
    draw.line((128, 134, 128, 210), fill="#1d5c1d", width=6)
    image.save(path)
    return path


def run_config(lab: aipipe.Lab, catalog: Catalog, config: Config, image: Path) -> Outcome:
    """One run; media that need a server are left out."""
    pipeline = catalog.pipeline(config.pipeline)
    texts = SENTENCES[: pipeline.inputs.texts]
    images = [image] * pipeline.inputs.images
    media = lab.plan(config.name, *texts, images=images, mode="eco").outputs
    pictures = [o for o in media if o.media_type == "image"]
    options = {"outputs": ["sketch"] * len(pictures)} if pictures else {"until": "interception"}
    started = time.perf_counter()
    run = lab.run(config.name, *texts, images=images, seed=1, **options)
    seconds = time.perf_counter() - started
    reason = f": {run.reason.message}" if run.reason else ""
    model = next((s.model for s in run.record.steps if s.step == "interception" and s.model), "")
    text = run["interception"].text if "interception" in run else ""
    return Outcome(config.name, config.pipeline, seconds, run.status + reason, _produced(media, run), text, model)


def _produced(media: Sequence[PlannedOutput], run: aipipe.Run) -> str:
    wanted = ", ".join(o.media_type for o in media)
    made = len(run.images)
    return f"{made} sketch{'es' * (made > 1)}" if made else f"text for {wanted}" if wanted else "text"


def table(outcomes: list[Outcome]) -> str:
    """The page."""
    done = sum(o.status == "completed" for o in outcomes)
    model = next((o.model for o in outcomes if o.model), "")
    head = (
        "# Configs on the small real model\n\n"
        "Written by `benchmarks/configs.py --write`. Each shipped interception config ran once, at level kids with seed 1 and text seed 0, on the\n"
        f"embedded model `{model}` on two cores that other work shared, three runs at a time:\n"
        "look at the order of the seconds only, not at their size.\n"
        f"Input: “{SENTENCES[0]}”; where a config takes two texts, the second is “{SENTENCES[1]}”.\n"
        "Pictures come from the sketch renderer. Configs for sound, music and video ran up to their interception, because their\n"
        "generators need a server. A model of this size follows simple instructions and often misses finer ones: the table shows\n"
        "what came out, not the best that a config can do.\n\n"
        f"{done} of {len(outcomes)} completed.\n\n"
        "| config | pipeline | seconds | outcome | made | the sentence became |\n|---|---|---|---|---|---|\n"
    )
    return head + "".join(
        f"| `{o.config}` | {o.pipeline} | {o.seconds:.0f} | {_cell(o.status)} | {o.produced} | {_cell(o.text)} |\n"
        for o in outcomes
    )


def other_configs(catalog: Catalog) -> str:
    """The configs of the other stages, which are part of every run above, and what each output needs."""
    lines = [
        "", "## Outputs, translation and safety", "",
        "Every run above passed through `pre_interception/translation` and the safety configs. Outputs: the sketches and the placeholder need",
        "nothing; the tiny checkpoint runs in CI on a real ComfyUI; the workflows of the others are checked there against the server's list of",
        "nodes, only their model files are missing; the hosted image endpoint is tested against a server that speaks its protocol.", "",
        "| config | stage | makes | generator | model files |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for config in catalog.configs():
        if config.stage == "interception":
            continue
        chunk = catalog.chunk(config.chunk) if config.chunk else None
        files = ", ".join(f"`{name}`" for name in sorted(model_files(catalog, chunk))) if chunk is not None else ""
        makes, runner = (chunk.media_type or "", chunk.runner) if chunk is not None else ("text", "language model")
        lines.append(f"| `{config.name}` | {config.stage} | {makes} | {runner} | {files or '–'} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    short = " ".join(text.split())
    short = short if len(short) <= SHOWN else short[:SHOWN].rsplit(" ", 1)[0] + " …"
    return short.replace("|", "\\|").replace("<", "&lt;")


def main() -> int:
    """Run all, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", help="name of a config; may be repeated")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    catalog = Catalog.load()
    configs = [c for c in catalog.configs("interception") if not arguments.only or c.name in arguments.only]
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        lab = aipipe.Lab(folder, mode="embedded", safety="kids", display=False)
        if not lab.services.backend("embedded").probe().ok:
            parser.error("the embedded model is not ready; `aipipe doctor` says what is missing")
        image = picture(Path(folder) / "flower.png")
        # The embedded server computes three requests at a time, at little more than the price of one.
        with ThreadPoolExecutor(max_workers=3) as pool:
            for outcome in pool.map(lambda config: run_config(lab, catalog, config, image), configs):
                outcomes.append(outcome)
                print(f"{outcome.config}: {outcome.status}, {outcome.seconds:.1f} s", flush=True)
                if arguments.write:
                    PAGE.write_text(table(outcomes) + other_configs(catalog), encoding="utf-8")
    print(table(outcomes))
    return int(any(o.status.startswith("failed") for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())

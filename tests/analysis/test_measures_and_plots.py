from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from random import Random

import pandas as pd
import pytest
from PIL import Image

import aipipe
from aipipe.analysis.embedding import EMBEDDING_MODEL
from aipipe.analysis.measures import (
    drift,
    lexical_diversity,
    prompt_measures,
    readability,
    semantic_drift,
)
from aipipe.analysis.pictures import duplicates, image_measures
from aipipe.analysis.plots import plot_block_rates, plot_drift, plot_images, plot_ratings, plot_step_times
from aipipe.errors import BadMedia, InvalidInput, MissingExtra, ModelMissing, UnknownName

from .building import DIALECTS


def test_drift_is_zero_for_the_same_words_and_one_for_none_shared() -> None:
    assert drift("a red hat", "hat red A") == pytest.approx(0)
    assert drift("a red hat", "blue shoes") == 1
    assert math.isnan(drift("", "x"))


def test_diversity_tells_repetition_from_variety() -> None:
    poor, rich = lexical_diversity(["the cat the cat the cat the cat"]), lexical_diversity(["one two three four five"])
    assert poor["ttr"] == 0.25
    assert rich["ttr"] == 1
    assert poor["mtld"] < rich["mtld"]
    assert math.isnan(lexical_diversity([])["ttr"])


def test_missing_texts_count_nothing_and_what_is_no_text_is_refused() -> None:
    column = pd.Series(["one two", None, pd.NA], dtype="string")
    assert lexical_diversity(column) == lexical_diversity(["one two"]) == lexical_diversity("one two")
    assert math.isnan(readability(None)["lix"])
    assert math.isnan(drift("a", None))
    frame = column.to_frame("interception")
    for refused in (lambda: lexical_diversity(frame), lambda: readability(frame), lambda: drift("a", 3)):  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="text"):
            refused()


def test_lix_of_a_counted_text() -> None:
    # Ten words, two sentences, two words over six letters: 10/2 + 100*2/10 = 25.
    assert readability("The painter drew a tree. It was a curious sight.")["lix"] == pytest.approx(25)


def test_a_flat_and_a_colourful_image_measure_apart(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (128, 128, 128)).save(tmp_path / "grey.png")
    bright = Image.new("RGB", (8, 8), (255, 0, 0))
    bright.paste((0, 0, 255), (0, 0, 4, 8))
    bright.save(tmp_path / "bright.png")
    grey, loud = image_measures(tmp_path / "grey.png"), image_measures(tmp_path / "bright.png")
    assert grey["contrast"] == grey["colourfulness"] == grey["entropy"] == 0
    assert loud["colourfulness"] > 100
    assert loud["entropy"] == pytest.approx(1)


def test_equal_images_of_different_runs_are_found() -> None:
    found = duplicates(aipipe.load_media(DIALECTS))
    pairs = {frozenset((a, b)) for a, b in zip(found["run_id"], found["other_run_id"], strict=True)}
    known = frozenset(("0f5b6a3e-2d51-4c6f-9a40-1b9a6f3f1a01", "3cae4182-b5f6-4f2d-a120-805f4c9d6d04"))
    assert known in pairs


def test_pictures_of_a_frame_are_measured_row_by_row() -> None:
    media = aipipe.load_media(DIALECTS).iloc[::-1]
    media.loc[media.index[0], "filename"] = "gone.png"
    measured = image_measures(media)
    assert measured.index.equals(media.index)
    assert measured.isna().all(axis=1).sum() == 1
    assert measured["brightness"].dropna().between(0, 1).all()
    media["filename"] = None
    assert image_measures(media)["entropy"].dtype == "float64"
    with pytest.raises(BadMedia, match="gone"):
        image_measures("gone.png")
    with pytest.raises(UnknownName, match="folder"):
        image_measures(media[["run_id"]])


def test_near_duplicates_are_those_of_comparing_each_with_each() -> None:
    random = Random(5)
    base = [random.getrandbits(64) for _ in range(40)]
    hashes = [h ^ (1 << random.randrange(64)) ^ (1 << random.randrange(64)) for h in base for _ in range(15)]
    media = pd.DataFrame(
        {
            "run_id": [f"r{i}" for i in range(600)],
            "filename": "a.png",
            "sha256": pd.array([str(i // 2) if i else None for i in range(600)], dtype="string"),
            "phash": [f"{h:016x}" for h in hashes],
        }
    )
    found = duplicates(media, distance=3)
    expected = {
        (f"r{i}", f"r{j}", bits, i // 2 == j // 2 and i > 0)
        for i in range(600)
        for j in range(i + 1, 600)
        if (bits := (hashes[i] ^ hashes[j]).bit_count()) <= 3
    }
    told = zip(found["run_id"], found["other_run_id"], found["bits"], found["same_bytes"], strict=True)
    assert set(told) == expected
    assert len(found) == len(expected) > 300
    assert duplicates(media.iloc[:0]).empty


def test_measures_follow_the_ledger_row_by_row() -> None:
    prompts = aipipe.load_prompts(DIALECTS)
    measured = prompt_measures(prompts)
    assert measured.index.equals(prompts.index)
    assert measured["drift_interception"].between(0, 1).sum() >= 4


def test_plots_say_n_and_can_be_saved(tmp_path: Path) -> None:
    runs = pd.DataFrame(
        {"config_name": ["a", "a", "b"], "safety_level": ["kids"] * 3, "status": ["blocked", "completed", "completed"]}
    )
    ratings = pd.DataFrame({"criterion": ["c", "c", "d"], "value": [1.0, 2.0, 2.0]})
    media = aipipe.load_media(DIALECTS).assign(input_id=lambda f: f["run_id"])
    figures = {
        "drift": plot_drift(aipipe.load_prompts(DIALECTS)),
        "times": plot_step_times(aipipe.load_steps(DIALECTS, index=False)),
        "blocks": plot_block_rates(runs),
        "ratings": plot_ratings(ratings),
        "images": plot_images(media),
    }
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.svg")
        assert (tmp_path / f"{name}.svg").stat().st_size > 2000
    assert "(n = 2)" in figures["blocks"].axes[0].get_yticklabels()[0].get_text()


def test_semantic_drift_is_the_distance_of_embeddings() -> None:
    vectors = {"ein Hut": [1, 0], "a hat": [1, 0], "a storm": [0, 2]}
    prompts = pd.DataFrame(
        {
            "original": ["ein Hut", "ein Hut"],
            "translation": ["a hat", None],
            "interception": ["a storm", None],
            "final_prompt": ["a storm", "a hat"],
        },
        index=[7, 9],
    )
    found = semantic_drift(prompts, embedder=lambda texts: [vectors[t] for t in texts])
    assert list(found.index) == [7, 9]
    assert list(found.loc[7]) == [0.0, 1.0, 0.0]
    assert found.loc[9].isna().all()


def test_semantic_drift_without_its_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastembed", None)
    prompts = pd.DataFrame({n: ["a"] for n in ("original", "translation", "interception", "final_prompt")})
    with pytest.raises(MissingExtra) as caught:
        semantic_drift(prompts)
    assert caught.value.extra == "embedding"


def prompts_of(*texts: str) -> pd.DataFrame:
    return pd.DataFrame([texts], columns=["original", "translation", "interception", "final_prompt"])


class FastembedOffline:
    """fastembed as it behaves without a connection: models of the cache open, others end in a ValueError."""

    class TextEmbedding:
        """Vectors of the length of a text."""

        fetched = ("here/model",)

        def __init__(self, model_name: str, cache_dir: str, local_files_only: bool = False) -> None:
            if model_name not in self.fetched:
                raise ValueError(f"Could not load model {model_name} from any source.")
            assert cache_dir.endswith("embedding")

        @staticmethod
        def list_supported_models() -> list[dict[str, str]]:
            return [{"model": "here/model"}, {"model": EMBEDDING_MODEL}]

        def embed(self, texts: list[str]) -> Iterator[list[float]]:
            return iter([[float(len(t)), 1.0] for t in texts])


def test_an_embedding_model_that_cannot_be_fetched_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIPIPE_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "fastembed", FastembedOffline)
    prompts = prompts_of("a hat", "a hat", "a storm in a cup", "a storm in a cup")
    with pytest.raises(ModelMissing, match="embedder=SentenceTransformer"):
        semantic_drift(prompts)
    with pytest.raises(UnknownName, match="here/model"):
        semantic_drift(prompts, embedder="here/modle")
    found = semantic_drift(prompts, embedder="here/model")
    assert (found["semantic_interception"] > 0).all()
    assert found["semantic_final"].max() == pytest.approx(0, abs=1e-12)


def test_an_embedder_must_give_one_vector_per_text() -> None:
    with pytest.raises(InvalidInput, match="one vector per text"):
        semantic_drift(prompts_of("a", "b", "c", "d"), embedder=lambda texts: [1.0] * len(texts))


def test_rounding_makes_no_negative_distance() -> None:
    found = semantic_drift(prompts_of("a", "a", "b", "b"), embedder=lambda texts: [[0.1, 0.7, 0.3] for _ in texts])
    assert (found >= 0).all(axis=None)


def test_a_figure_is_a_picture_in_a_cell_without_pyplot() -> None:
    from aipipe.analysis.figures import figure

    shown = figure(3.0, 2.0)._repr_mimebundle_()
    assert shown["image/png"].startswith(b"\x89PNG")
    assert "Figure" in shown["text/plain"]


def test_a_figure_of_pictures_is_small_in_a_notebook() -> None:
    from aipipe.analysis.figures import figure

    shown = figure(3.0, 2.0, photographic=True)._repr_mimebundle_()
    assert shown["image/jpeg"].startswith(b"\xff\xd8")
    assert "image/png" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0123456789abcdef0123", "0123456789abcdef"),
        ("Eine Blume auf der Wiese", "Eine Blume auf der Wiese"),
        ("Zwei Kinder lassen am Strand einen Drachen steigen", "Zwei Kinder lassen am\nStrand einen Drachen\nsteigen"),
        ("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen",
         "one two three four five\nsix seven eight nine ten\neleven twelve thirteen …"),
    ],
)  # fmt: skip
def test_a_row_of_pictures_is_named_by_a_text(text: str, shown: str) -> None:
    from aipipe.analysis.plots import _row_label

    assert _row_label(text) == shown


NAMES = [f"Überschreibung_mit_sehr_langem_Namen_{i:02d}" for i in range(20)]


def some_prompts(names: list[str], **fields: object) -> pd.DataFrame:
    random = Random(3)
    words = ["rot", "blau", "Haus", "Baum", "Wiese", "Himmel", "Kind", "Hund", "Katze", "Drache"]
    return pd.DataFrame(
        [
            {
                "config_name": name,
                "input_id": f"i{i}",
                **{
                    text: " ".join(random.choices(words, k=6))
                    for text in ("original", "translation", "interception", "final_prompt")
                },
                **fields,
            }
            for name in names
            for i in range(4)
        ]
    )


def labels_of(figure: object) -> list[str]:
    figure.savefig(BytesIO())  # type: ignore[attr-defined]
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]  # type: ignore[attr-defined]


def inside(figure: object) -> bool:
    """Whether every label lies within the figure and no two labels of the rows lie on each other."""
    figure.savefig(BytesIO())  # type: ignore[attr-defined]
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]  # type: ignore[attr-defined]
    width, height = figure.canvas.get_width_height()  # type: ignore[attr-defined]
    apart = all(not a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
    return apart and all(b.x0 >= -1 and b.x1 <= width and b.y0 >= -1 and b.y1 <= height for b in boxes)


def test_twenty_long_names_fit_every_plot() -> None:
    ratings = pd.DataFrame([{"criterion": n, "value": v} for n in NAMES for v in (1, 2, 4, 5, 5)])
    steps = pd.DataFrame([{"step": n, "seconds": s} for n in NAMES for s in (0.5, 1.0, 20.0)])
    runs = pd.DataFrame(
        [
            {"config_name": n, "safety_level": level, "status": status}
            for n in NAMES
            for level in ("adult", "kids", "youth")
            for status in ("blocked", "completed", "completed")
        ]
    )
    for figure in (
        plot_drift(some_prompts(NAMES)),
        plot_ratings(ratings),
        plot_step_times(steps),
        plot_block_rates(runs),
    ):
        assert inside(figure)


def test_drift_has_a_panel_per_stage_with_texts_and_counts_inputs() -> None:
    prompts = some_prompts(["a", "b"], translation=None)
    figure = plot_drift(pd.concat([prompts, prompts], ignore_index=True))
    assert [axes.get_title() for axes in figure.axes] == ["interception", "final prompt"]
    assert labels_of(figure) == ["a (n = 4)", "b (n = 4)"]
    with pytest.raises(InvalidInput, match="before and after"):
        plot_drift(some_prompts(["a"], translation=None, interception=None))


def test_ratings_keep_the_place_of_a_value_that_nobody_gave() -> None:
    one = plot_ratings(pd.DataFrame({"criterion": "c", "value": [1, 2, 4, 5]}))
    assert [label.get_text() for label in one.axes[0].get_xticklabels()] == ["1", "2", "3", "4", "5"]
    slider = plot_ratings(pd.DataFrame({"criterion": ["c", "d"] * 50, "value": range(100)}))
    assert labels_of(slider) == ["c (n = 50)", "d (n = 50)"]
    named = plot_ratings(pd.DataFrame({"criterion": ["c", "d"] * 2, "value": ["left", "right", "left", "left"]}))
    assert [text.get_text() for text in named.legends[0].get_texts()] == ["left", "right"]


def test_block_rates_go_from_the_strictest_level_and_cope_with_none() -> None:
    rows = [("b", "adult"), ("b", "kids"), ("a", "youth")]
    runs = pd.DataFrame(
        [{"config_name": c, "safety_level": level, "status": "completed"} for c, level in rows for _ in range(12)]
    )
    assert labels_of(plot_block_rates(runs)) == ["a, youth (n = 12)", "b, kids (n = 12)", "adult (n = 12)"]


def test_seconds_are_written_as_numbers() -> None:
    figure = plot_step_times(pd.DataFrame({"step": ["a", "a", "b"], "seconds": [0.3, 0.9, 2.5]}))
    figure.savefig(BytesIO())
    shown = [label.get_text() for label in figure.axes[0].get_xticklabels(which="both")]
    assert {"0.5", "1", "2"} <= set(shown)
    assert not any("$" in text for text in shown)
    with pytest.raises(InvalidInput, match="time"):
        plot_step_times(pd.DataFrame({"step": ["a"], "seconds": [0.0]}))


def test_a_matrix_of_many_pictures_is_cut_and_says_so(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (200, 10, 10)).save(tmp_path / "a.png")
    media = pd.DataFrame(
        {
            "input_id": [f"i{i:03d}" for i in range(90)],
            "config_name": "c",
            "filename": "a.png",
            "folder": str(tmp_path),
            "readable": True,
            "media_type": "image",
        }
    )
    figure = plot_images(media, most=5)
    assert len(figure.axes) == 5
    assert figure.get_supxlabel() == "shown: 5 of 90 input_id"
    with pytest.raises(InvalidInput):
        plot_images(media.assign(media_type="video"))


def test_words_are_the_same_however_they_are_written() -> None:
    assert drift("der Bär fällt", "der Ba\u0308r fa\u0308llt") == pytest.approx(0)  # as macOS writes names
    assert drift("don't go", "don’t go") == pytest.approx(0)
    assert lexical_diversity("नमस्ते दुनिया")["tokens"] == 2
    assert 0 < drift("一只猫在雨中睡觉", "一只狗在雨中睡觉") < 0.2


def test_a_sentence_ends_once_and_not_within_a_number() -> None:
    assert readability("Wait... what?! It cost 3.50 at 10:30.")["sentences"] == 3


def test_pairs_of_words_lie_within_a_text() -> None:
    assert lexical_diversity(["a b", "a b"])["distinct_2"] == 0.5


def test_what_is_transparent_has_no_colour(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    clear = image_measures(tmp_path / "clear.png")
    assert (clear["brightness"], clear["colourfulness"]) == (1, 0)


def test_a_store_named_by_the_environment_needs_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIPIPE_RUNS", str(DIALECTS))
    assert len(aipipe.load_runs()) > 3

"""The run history page in a real Chromium: start, watch, open, compare, search, languages, themes, hostile texts."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import aipipe
from tests.api.conftest import Serve, Served
from tests.api.conftest import serve as serve
from tests.browser.conftest import chromium
from tests.browser.contrast import faint_texts

pytestmark = pytest.mark.browser
HOSTILE = '<img src=x onerror="window.hurt=1"><script>window.hurt=2</script>"\'></textarea>'


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that fails its test when a script breaks or the policy is violated."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert wrong == []


def test_start_a_run_watch_it_open_it_and_cancel_another(serve: Serve, page: Any) -> None:
    served = serve(slow=0.1)
    page.goto(f"{served.url}/#/new")
    page.get_by_role("radio", name=re.compile("Dada")).check()
    page.get_by_label("Text", exact=True).fill("Eine Blume auf der Wiese")
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_url("**/#/run/*")
    page.locator(".badge.running").first.wait_for()
    page.locator(".head .badge.completed").wait_for(timeout=20_000)
    page.locator("figure img").wait_for()
    run = next(iter(served.lab.store))
    assert page.locator(".chain > li").count() == len([e for e in run.entities if not e.type.startswith("output_")])
    assert page.locator("figure img").evaluate("(image) => image.naturalWidth") > 0
    assert page.locator("figure img").get_attribute("alt") == "output image: Eine Blume auf der Wiese"
    page.get_by_role("link", name="Run again with changes").click()
    assert page.get_by_label("Text", exact=True).input_value() == "Eine Blume auf der Wiese"
    page.get_by_role("button", name="Start the run").click()
    page.get_by_role("button", name="Cancel").click()
    page.locator(".head .badge.cancelled").wait_for(timeout=20_000)


def _picture(page: Any, name: str) -> None:
    """A picture for people to look at, where somebody wants them."""
    where = os.environ.get("AIPIPE_TEST_PICTURES")
    if where:
        page.screenshot(path=str(Path(where) / f"{name}.png"))


def _cards(page: Any, count: int) -> None:
    """Wait for so many cards; the page's policy forbids the evaluated waits of the browser driver."""
    end = time.monotonic() + 15
    while page.locator(".card").count() != count:
        assert time.monotonic() < end, page.locator(".card").count()
        page.wait_for_timeout(50)


def _scroll_to_all(page: Any, count: int) -> None:
    """Scroll on and on, as a person does, until so many cards are there."""
    end = time.monotonic() + 15
    while page.locator(".card").count() < count:
        assert time.monotonic() < end, page.locator(".card").count()
        page.mouse.wheel(0, 30_000)
        page.wait_for_timeout(100)
    _cards(page, count)


def test_list_search_filter_select_and_compare_by_keyboard(serve: Serve, page: Any) -> None:
    served = serve()
    for text, config in (("a red flower", "dada"), ("a blue heron", "bauhaus"), ("a grey stone", "dada")):
        served.execute(text, schema=config)
    page.goto(served.url)
    page.locator(".card").nth(2).wait_for()
    page.get_by_role("searchbox").fill("heron")
    _cards(page, 1)
    page.get_by_role("searchbox").fill("")
    _cards(page, 3)
    page.get_by_label("Config", exact=True).select_option("dada")
    _cards(page, 2)
    for box in page.get_by_role("checkbox").all():
        box.focus()
        page.keyboard.press("Space")
    page.get_by_role("link", name="Compare").focus()
    page.keyboard.press("Enter")
    page.locator(".column").nth(1).wait_for()
    assert page.locator(".column ins").count() > 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement !== document.body")


def test_the_page_tells_how_many_runs_fit(serve: Serve, page: Any) -> None:
    served = serve()
    for text, config in (("a red flower", "dada"), ("a blue heron", "bauhaus"), ("a grey stone", "dada")):
        served.execute(text, schema=config)
    page.goto(served.url)
    count = page.locator(".head [role=status]")
    count.get_by_text("3 runs", exact=True).wait_for()
    page.get_by_label("Config", exact=True).select_option("dada")
    count.get_by_text("2 of 3 runs", exact=True).wait_for()
    page.locator("#language").click()
    count.get_by_text("2 von 3 Läufen", exact=True).wait_for()
    page.get_by_role("searchbox").fill("nothing of the kind")
    count.get_by_text("0 von 3 Läufen", exact=True).wait_for()


def test_a_run_of_another_process_appears_and_moves_in_the_list(serve: Serve, page: Any) -> None:
    served = serve()
    page.goto(served.url)
    page.get_by_text("No runs yet.").wait_for()
    with served.lab.store.create("mine", expected_outputs=["input", "note"]) as recorder:
        recorder.save_entity("input", "from elsewhere")
        recorder.save_entity("note", "x")
        page.locator(".card .badge.running").wait_for(timeout=10_000)
    page.locator(".card .badge.completed").wait_for(timeout=10_000)


def test_language_and_theme_are_kept(serve: Serve, page: Any) -> None:
    served = serve()
    page.goto(served.url)
    page.get_by_role("button", name="Deutsch").click()
    page.get_by_role("heading", name="Läufe").wait_for()
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dunkel").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.reload()
    page.get_by_role("heading", name="Läufe").wait_for()
    assert page.evaluate("document.documentElement.lang") == "de"
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_hostile_texts_are_only_texts(serve: Serve, page: Any) -> None:
    served = serve()
    run_id = served.execute(HOSTILE, labels={HOSTILE[:60]: HOSTILE}, tags=[HOSTILE]).json()["run_id"]
    for view in ("#/", f"#/run/{run_id}", f"#/new/{run_id}", f"#/compare/{run_id},{run_id}"):
        page.goto(f"{served.url}/{view}")
        page.wait_for_timeout(500)
        assert page.evaluate("window.hurt") is None
        assert page.locator("#main script, #main img[src=x]").count() == 0
    assert HOSTILE in page.locator(".column .prompt").first.inner_text()


def _copies(served: Served, count: int) -> None:
    """Many runs: one real run, copied under new ids."""
    original = Path(served.lab.store.open(served.execute("the first").json()["run_id"]).folder)
    document = (original / "metadata.json").read_text()
    for number in range(count):
        run_id = f"01a00000-{number >> 4 & 0xFFFF:04x}-7{number & 0xFFF:03x}-8000-{number:012x}"
        folder = served.lab.store.path / run_id
        folder.mkdir()
        (folder / "metadata.json").write_text(document.replace(original.name, run_id))
        (folder / "06_output_image.png").hardlink_to(original / "06_output_image.png")


def test_a_tall_screen_is_filled_and_nothing_is_listed_twice(serve: Serve, page: Any) -> None:
    served = serve()
    _copies(served, 150)
    page.set_viewport_size({"width": 1280, "height": 3200})
    page.goto(served.url)
    page.locator(".card").nth(60).wait_for()  # more than one page fits on the screen; nobody scrolls
    _scroll_to_all(page, 151)
    page.get_by_label("Config", exact=True).select_option("bauhaus")
    _cards(page, 0)
    page.get_by_label("Config", exact=True).select_option("")
    page.locator(".card").nth(60).wait_for()
    _scroll_to_all(page, 151)
    assert page.evaluate("new Set([...document.querySelectorAll('.card')].map((c) => c.dataset.run)).size") == 151


def test_a_filter_that_could_not_be_looked_up_leaves_no_mixture(serve: Serve, browser: Any) -> None:
    served = serve()
    _copies(served, 60)
    served.execute("the other", schema="bauhaus")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(served.url)
    page.locator(".card").nth(40).wait_for()
    page.route("**/api/runs?*", lambda route: route.abort())
    page.get_by_label("Config", exact=True).select_option("bauhaus")
    page.locator(".empty").get_by_text(re.compile("\\w")).wait_for()
    page.unroute("**/api/runs?*")
    page.get_by_role("button", name="More", exact=False).click()
    _cards(page, 1)
    assert "the other" in page.locator(".card").text_content()
    page.close()


def test_ten_thousand_runs_stay_quick(serve: Serve, page: Any) -> None:
    served = serve()
    _copies(served, 10_000)
    began = time.monotonic()
    page.goto(served.url)
    page.locator(".card").first.wait_for()
    page.get_by_text("10,001 runs").wait_for()
    assert time.monotonic() - began < 8
    page.mouse.wheel(0, 30_000)
    page.locator(".card").nth(60).wait_for(state="attached")
    assert page.locator(".card").count() < 2_000


def test_a_long_search_says_how_far_it_is(serve: Serve, page: Any) -> None:
    served = serve()
    _copies(served, 9_000)
    page.goto(served.url)
    page.get_by_text("9,001 runs").wait_for()
    page.evaluate(
        "() => { window.told = []; new MutationObserver(() => window.told.push(document.querySelector('.empty').textContent))"
        ".observe(document.querySelector('.empty'), { childList: true, characterData: true, subtree: true }); }"
    )
    page.get_by_role("searchbox").fill("nobody-wrote-this-word")
    page.get_by_text("No run fits.").wait_for(timeout=60_000)
    told = [text for text in page.evaluate("() => window.told") if "%" in text]
    assert told, "a store of this size is not looked through in one page"
    assert told == sorted(set(told), key=told.index), "each step is told once"
    assert all("% of 9,001 runs" in text for text in told)


NAMELESS = """() => [...document.querySelectorAll("button, a, input, select, textarea, img, audio, video")]
  .filter((e) => e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel || e.title || e.labels?.length || e.hasAttribute("alt")
    || e.querySelector("img[alt]:not([alt=''])")))
  .map((e) => e.outerHTML.slice(0, 80))"""

OUTSIDE = """() => [...document.querySelectorAll("#main *")].filter((e) => e.scrollWidth > e.clientWidth + 8
  && e.clientWidth && getComputedStyle(e).overflowX === "visible" && getComputedStyle(e).display !== "inline")
  .map((e) => e.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_sticks_out_on_small_screens(serve: Serve, browser: Any, width: int) -> None:
    served = serve()
    run_id = served.execute("ein-sehr-langes-wort-" * 20).json()["run_id"]
    with served.lab.store.create(config_name="ein_sehr_langer_name_" * 4) as recorder:
        recorder.save_entity("input", "kurz")
        recorder.finish("completed")
    long_name = recorder.run_id
    context = browser.new_context(viewport={"width": width, "height": 740}, locale="de-DE")
    page = context.new_page()
    for view in ("#/", f"#/run/{run_id}", f"#/run/{long_name}", "#/new", f"#/compare/{long_name},{run_id}"):
        page.goto(f"{served.url}/{view}")
        page.wait_for_timeout(400)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        assert page.evaluate(OUTSIDE) == [], view
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_and_every_control_has_a_name(
    serve: Serve, browser: Any, tmp_path: Path, scheme: str
) -> None:
    ids = [run.run_id for run in aipipe.samples(tmp_path / "runs")]
    served = serve()
    context = browser.new_context(viewport={"width": 1100, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    for view in ("#/", *(f"#/run/{run_id}" for run_id in ids[:4]), "#/new", f"#/compare/{ids[0]},{ids[5]}"):
        page.goto(f"{served.url}/{view}")
        page.wait_for_timeout(500)
        assert faint_texts(page) == [], view
        assert page.evaluate(NAMELESS) == [], view
    context.close()


def test_twenty_visitors_at_once_see_only_their_own(serve: Serve, browser: Any) -> None:
    served = serve(locked=True, token="operator", workers=2, slow=0.02)
    contexts = [browser.new_context(viewport={"width": 420, "height": 800}, locale="en-GB") for _ in range(20)]
    pages = [context.new_page() for context in contexts]
    for number, page in enumerate(pages):
        page.goto(f"{served.url}/#/new")
        page.get_by_label("Text", exact=True).fill(f"picture of visitor {number}")
    for page in pages:
        page.get_by_role("button", name="Start the run").click()
    for page in pages:
        page.locator(".head .badge.completed").wait_for(timeout=60_000)
    for number, page in enumerate(pages):
        page.goto(f"{served.url}/#/")
        page.locator(".card").first.wait_for()
        assert page.locator(".card").count() == 1
        assert (
            f"picture of visitor {number}" in page.locator(".card").text_content()
        )  # a card that is not drawn yet has no inner text
    for context in contexts:
        context.close()
    assert len({run.record.user_id for run in served.lab.store}) == 20


def test_many_clients_poll_while_runs_move(serve: Serve) -> None:
    served = serve(workers=2, slow=0.02)
    ids = [served.execute(f"flower {n}", **{"async": True}).json()["run_id"] for n in range(6)]

    def poll(number: int) -> int:
        with httpx.Client(base_url=served.url, timeout=30) as client:
            wrong = 0
            for _ in range(10):
                wrong += client.get(f"/api/pipeline/{ids[number % len(ids)]}/status").status_code != 200
            return wrong

    with ThreadPoolExecutor(24) as pool:
        assert sum(pool.map(poll, range(48))) == 0
    _settled(served, ids)


def _settled(served: Served, ids: list[str]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        statuses = {served.client.get(f"/api/pipeline/{i}/status").json()["status"] for i in ids}
        if statuses == {"completed"}:
            return
        time.sleep(0.1)
    raise AssertionError(statuses)


def test_the_tools_of_these_tests_are_there() -> None:
    assert os.access(chromium(), os.X_OK)


@pytest.mark.parametrize("kind", ["single", "pairwise"])
def test_a_rater_behind_a_link_answers_by_keyboard_and_goes_on_later(
    serve: Serve, page: Any, tmp_path: Path, kind: str
) -> None:
    store = aipipe.samples(tmp_path / "runs")
    task = aipipe.RatingTask("surprise", store, criteria=["surprise"], kind=kind)
    served = serve(locked=True, token="operator")
    with aipipe.connect(served.url, token="operator") as operator:
        link = operator.rating_links("surprise", ["anna"])["anna"]
    page.goto(link)
    page.locator(".aipr-stage img").first.wait_for()
    page.keyboard.press("4" if kind == "single" else "ArrowLeft")
    page.get_by_text("· 1 rated").wait_for()
    page.get_by_text("2 of").wait_for()
    shown = page.content()
    assert not any(name in shown for name in {run.config_name for run in store} | {run.run_id for run in store})
    assert faint_texts(page) == []
    page.reload()
    page.get_by_text("· 1 rated").wait_for()
    page.get_by_text("2 of").wait_for()
    page.locator(".aipr-stage img").first.wait_for()
    page.keyboard.press("Backspace")
    page.get_by_text("1 of").wait_for()
    assert len(task.answered("anna")) == 1
    where = os.environ.get("AIPIPE_TEST_PICTURES")
    if where:
        page.screenshot(path=str(Path(where) / f"rating-by-link-{kind}.png"))


def test_a_long_text_and_its_verdicts_are_shown_when_the_run_is_opened(serve: Serve, page: Any) -> None:
    """Texts that do not fit into an event are fetched while further entities come."""
    served = serve()
    long = "A flower on the meadow beside a narrow river. " * 60
    run_id = served.execute(long).json()["run_id"]
    for _ in range(3):
        page.goto(f"{served.url}/#/run/{run_id}")
        page.locator(".head .badge.completed").wait_for()
        page.locator("figure img").wait_for()
        page.wait_for_function("() => document.querySelectorAll('.chain > li').length === 5")
        prompts = page.locator(".chain .prompt").all_text_contents()
        assert [len(text) for text in prompts] == [len(long), len(long), len(long.strip())]
        assert page.locator(".chain .badge").all_text_contents() == ["allowed", "allowed"]
        page.goto("about:blank")


def test_what_was_typed_outlives_another_config_another_language_and_the_way_back(serve: Serve, page: Any) -> None:
    served = serve()
    page.goto(f"{served.url}/#/new")
    text = page.locator("textarea[name=text]")
    text.fill("Eine Blume")
    page.get_by_role("radio", name=re.compile("Bauhaus")).check()
    assert text.input_value() == "Eine Blume"
    page.locator("summary", has_text="context").click()
    context = page.locator("textarea[name=context]")
    page.wait_for_function("() => !document.querySelector('textarea[name=context]').disabled")
    context.fill("Answer as a stone would.")
    page.locator("#language").click()
    assert text.input_value() == "Eine Blume"
    page.wait_for_function(
        "() => document.querySelector('textarea[name=context]').value === 'Answer as a stone would.'"
    )
    page.locator("button.primary").click()
    page.wait_for_url("**/#/run/*")
    page.go_back()
    assert text.input_value() == "Eine Blume"
    (run,) = served.lab.store
    assert run.record.config_name == "bauhaus"
    assert run.provenance["plan"]["config"]["context"] == "Answer as a stone would."


def test_run_again_restores_a_context_that_was_edited(serve: Serve, page: Any) -> None:
    served = serve()
    first = served.execute("a heron", schema="bauhaus", context="Answer as a stone would.").json()["run_id"]
    page.goto(f"{served.url}/#/new/{first}")
    context = page.locator("textarea[name=context]")
    context.wait_for()
    page.wait_for_function(
        "() => document.querySelector('textarea[name=context]').value === 'Answer as a stone would.'"
    )
    page.get_by_role("radio", name=re.compile("Dada")).check()
    page.get_by_role("radio", name=re.compile("Bauhaus")).check()
    page.wait_for_function("() => !document.querySelector('textarea[name=context]').disabled")
    context.fill("Answer as two stones would.")
    page.get_by_role("button", name="Start the run").click()
    page.locator(".head .badge.completed").wait_for(timeout=20_000)
    contexts = {run.provenance["plan"]["config"]["context"] for run in served.lab.store}
    assert contexts == {"Answer as a stone would.", "Answer as two stones would."}


def test_a_seed_of_twenty_digits_is_kept(serve: Serve, page: Any) -> None:
    served = serve()
    seed = "12345678901234567890"
    first = served.execute(seed=seed).json()["run_id"]
    page.goto(f"{served.url}/#/new/{first}")
    page.locator("input[name=seed]").wait_for()
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_url("**/#/run/*")
    page.locator(".head .badge.completed").wait_for(timeout=20_000)
    assert [run.record.seed for run in served.lab.store] == [seed, seed]


def test_a_run_that_ends_leaves_the_list_of_running_ones(serve: Serve, page: Any) -> None:
    served = serve(slow=0.15)
    served.execute(**{"async": True})
    page.goto(served.url)
    page.get_by_label("Status").select_option("running")
    page.locator(".card[data-status=running]").wait_for()
    page.locator(".card").wait_for(state="detached", timeout=20_000)


def test_runs_are_filtered_by_mode_media_tag_person_study_and_day(serve: Serve, page: Any) -> None:
    served = serve()
    for n, (config, study) in enumerate((("dada", "one"), ("bauhaus", "two"), ("haiku", "two"))):
        served.execute(f"text {n}", config, study=study, participant=f"p{n}", tags=[f"tag{n}"])
    page.goto(served.url)
    _cards(page, 3)
    page.get_by_text("More filters").click()
    fields = {
        name: page.locator(f"[data-filter={name}]")
        for name in ("mode", "media", "tag", "participant", "study", "since", "until")
    }
    fields["study"].fill("two")
    _cards(page, 2)
    fields["media"].select_option("image")
    _cards(page, 1)
    page.get_by_role("button", name="Clear these filters").click()
    _cards(page, 3)
    fields["participant"].fill("p0")
    _cards(page, 1)
    fields["participant"].fill("")
    fields["tag"].fill("tag2")
    _cards(page, 1)
    fields["tag"].fill("")
    fields["since"].fill("2100-01-01")
    _cards(page, 0)
    fields["since"].fill("")
    fields["mode"].select_option("eco")
    _cards(page, 0)
    fields["mode"].select_option("echo")
    _cards(page, 3)
    _picture(page, "history-filters")


def test_waiting_runs_stand_before_the_others_with_place_and_minutes(serve: Serve, page: Any) -> None:
    served = serve(slow=0.4)
    begun = [served.execute(f"Eine Blume {n}", **{"async": True}).json()["run_id"] for n in range(4)]
    page.goto(served.url)
    page.locator(".waiting li").first.wait_for()
    assert "Place 1 in line" in page.locator(".waiting li").first.inner_text()
    _picture(page, "history-waiting")
    for run_id in begun:
        served.client.post(f"/api/pipeline/{run_id}/cancel")
    page.locator(".waiting li").first.wait_for(state="detached", timeout=15_000)


def test_a_comparison_shows_verdicts_and_models(serve: Serve, page: Any) -> None:
    served = serve()
    ids = [served.execute("Eine Blume", config).json()["run_id"] for config in ("dada", "bauhaus")]
    page.goto(f"{served.url}/#/compare/{','.join(ids)}")
    page.locator(".column").nth(1).wait_for()
    assert page.locator(".column .verdict").count() == 4
    assert "interception: echo" in page.locator(".column .models").first.inner_text()
    _picture(page, "history-compare-verdicts")


def test_a_run_with_a_picture_and_several_outputs_is_started_from_the_form(
    serve: Serve, page: Any, tmp_path: Path
) -> None:
    from PIL import Image

    Image.new("RGB", (32, 32), "red").save(tmp_path / "red.png")
    served = serve()
    page.goto(f"{served.url}/#/new")
    page.locator("input[name=config][value=picture_over_picture]").check()
    page.locator("textarea[name=text]").fill("a heron")
    page.locator("input[name=image]").set_input_files(tmp_path / "red.png")
    page.get_by_text("More settings").click()
    for name in ("placeholder", "sketch"):
        page.locator(f"input[name=outputs][value={name}]").check()
    _picture(page, "form-outputs")
    page.get_by_role("button", name="Start the run").click()
    page.locator(".head .badge.completed").wait_for(timeout=20_000)
    (run,) = list(served.lab.store)
    assert len(run.all("input_image")) == 1
    assert [output.config for output in run.record.outputs] == ["placeholder", "sketch"]
    page.get_by_role("link", name="Run again with changes").click()
    page.locator("input[name=outputs][value=sketch]:checked").wait_for(state="attached")
    assert page.locator("input[name=outputs]:checked").count() == 2


def test_steps_and_refusals_are_german_on_the_german_page(serve: Serve, browser: Any) -> None:
    served = serve(slow=0.2, queue_size=1)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="de-DE")
    page = context.new_page()
    run_id = served.execute("Eine Blume", **{"async": True}).json()["run_id"]
    page.goto(f"{served.url}/#/run/{run_id}")
    page.locator(".moving", has_text=re.compile("übersetzt|prüft|schreibt|erzeugt|beginnt")).wait_for(timeout=15_000)
    for n in range(3):
        served.execute(f"Eine Blume {n}", **{"async": True})
    page.goto(f"{served.url}/#/new")
    page.get_by_label("Text", exact=True).fill("Noch eine Blume")
    page.get_by_role("button", name="Lauf starten").click()
    page.get_by_text("Die Warteschlange ist voll.").wait_for(timeout=10_000)
    context.close()


def composed() -> dict[str, str]:
    """Sentences as aipipe composes them, and a word of each in German."""
    import inspect

    from aipipe import image_safety
    from aipipe.recorder import recorder
    from aipipe.safety import policy

    fitting = {
        policy.sentence("blocked", "en", level="kids", explanation="It harms."): "angehalten",
        policy.sentence("failed", "en", error="Nobody answers."): "geprüft",
        "Context: " + policy.sentence("blocked", "en", level="kids", explanation="It harms."): "Kontext:",
        "The picture could not be checked: broken": "Bild",
        "The image check scores 0.91; from 0.50 on a picture is blocked.": "Bildprüfung",
        "The vision model stopped the picture at level kids: blood.": "Bildmodell",
        "The run was cancelled before it began.": "abgebrochen",
        "Expected outputs are missing: output_image.": "fehlen",
    }
    written = inspect.getsource(image_safety) + inspect.getsource(recorder)
    for part in (
        "The picture could not be checked: ",
        "The image check scores ",
        "The vision model stopped",
        "are missing: ",
    ):
        assert part in written, "the page knows these sentences by their wording: change them there too"
    return fitting


def test_what_aipipe_says_of_a_check_is_in_the_language_of_the_page(serve: Serve, browser: Any) -> None:
    from aipipe.safety import policy
    from aipipe.safety.terms import Terms
    from tests.api.test_routes import _block_terms

    served = serve()
    term = _block_terms(Terms.shipped())[0]
    text = served.execute(term).json()["run_id"]
    edited = served.execute("x", context=f"Always say {term}.").json()["run_id"]
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="de-DE")
    page = context.new_page()
    for run_id in (text, edited):
        page.goto(f"{served.url}/#/run/{run_id}")
        page.locator(".link.wrong .prompt").wait_for()
        page.locator("[data-reason]", has_text="angehalten").wait_for()
        shown = [
            *page.locator(".chain .faint").all_inner_texts(),
            *page.locator(".link.wrong .prompt").all_inner_texts(),
        ]
        shown += page.locator("[data-reason]").all_inner_texts()
        assert not any("This text" in one or "Change that" in one for one in shown), shown
        code = served.lab.store.open(run_id).all("error")[0].json["details"]["codes"][0]
        assert sum(code["explanation"]["de"] in one for one in shown) >= 2, shown
        assert all(code["explanation"]["en"] not in one for one in shown), shown
    assert page.locator("[data-reason]").inner_text().startswith("Kontext: ")
    for sentence, word in composed().items():
        told = page.evaluate("async (text) => (await import('/static/judged.js')).said(text)", sentence)
        assert word in told, (sentence, told)
    german = policy.sentence("blocked", "de", level="kids", explanation="Es schadet.")
    assert page.evaluate("async (text) => (await import('/static/judged.js')).said(text)", german) == german
    assert page.evaluate("async () => (await import('/static/judged.js')).said('of a model')") == "of a model"
    page.locator("#language").click()
    page.locator("[data-reason]", has_text="This text was stopped").wait_for()
    context.close()

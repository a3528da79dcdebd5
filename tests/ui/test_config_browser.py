"""The config browser: search, change, preview, try, save; by methods and by its form."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import aipipe
from aipipe.errors import InvalidInput, UnknownName, UsageError
from aipipe.runners.placeholder.picture import draw
from aipipe.ui.config_browser import ConfigBrowser, _Form


@pytest.fixture
def browser(project: Path) -> ConfigBrowser:
    return aipipe.browse(aipipe.Lab())


def text_of(form: Any, number: int = 0) -> Any:
    return form.inputs.box.children[number]


def test_search_looks_at_names_titles_and_contexts(browser: ConfigBrowser) -> None:
    assert "dada" in browser.names("DADA")
    assert browser.names("xyzzy") == []
    assert set(browser.names("dada")) < set(browser.names())
    with pytest.raises(UnknownName):
        browser.choose("nothing")


def test_a_try_is_recorded_and_shows_what_was_changed(browser: ConfigBrowser) -> None:
    browser.choose("dada")
    assert browser.config.name == "dada"
    browser.change(context="Answer in one word.", parameters='{"temperature": 0.3}')
    assert browser.config.name == "dada_variant"
    assert "Answer in one word." in browser.preview("A heron")
    run = browser.attempt("A heron")
    assert run.status == "completed"
    assert run.config_name == "dada_variant"
    assert "try" in run.tags
    browser.choose("dada")
    assert browser.config.name == "dada"


def test_a_variant_is_saved_and_can_be_run_by_name(browser: ConfigBrowser, project: Path) -> None:
    browser.choose("dada")
    browser.change(context="Answer in one word.")
    path = browser.save("mine")
    assert path.is_relative_to(project)
    assert browser.lab.catalog.config("mine").context_text() == "Answer in one word."
    assert browser.lab.run("mine", "A heron", until="interception").config_name == "mine"
    for name in ("mine", "dada", "../out", "", "a/b"):
        with pytest.raises(InvalidInput):
            browser.save(name)


@pytest.mark.parametrize("parameters", ["{", "[1]", "3"])
def test_parameters_that_are_no_object_are_refused(browser: ConfigBrowser, parameters: str) -> None:
    with pytest.raises(InvalidInput):
        browser.change(parameters=parameters)


def test_the_form_says_what_goes_wrong_and_shows_what_comes_out(browser: ConfigBrowser) -> None:
    form: Any = _Form(browser)
    form.names.value = "dada"
    form.search.value = "dada"
    assert "dada" in form.names.options
    button = next(w for w in form.box.children[1].children[4].children if w.description == "Try")
    text_of(form).value = ""
    button.click()
    assert "aip-step error" in form.answer.value
    assert form.cancel.layout.display == "none", "nothing runs that could be cancelled"
    text_of(form).value = "A heron <script>alert(1)</script>"
    button.click()
    assert form.live is not None
    form.live.wait(20)
    assert form.cancel.layout.display == "none"
    assert "A heron &lt;script&gt;" in form.answer.value
    assert "<script" not in form.answer.value
    assert not button.disabled
    assert browser.run is not None


def test_without_a_page_it_is_a_table(browser: ConfigBrowser) -> None:
    shown = browser._repr_mimebundle_()
    assert set(shown) == {"text/html", "text/plain"}
    assert "<code>dada</code>" in shown["text/html"]


def test_a_try_shows_how_it_goes_and_can_be_cancelled(browser: ConfigBrowser, monkeypatch: pytest.MonkeyPatch) -> None:
    from aipipe.backends.echo import EchoBackend

    plain = EchoBackend.complete
    begun = threading.Event()

    def slow(self: EchoBackend, request: Any, watch: Any) -> Any:
        begun.set()
        watch.cancellation.wait(20)
        return plain(self, request, watch)

    monkeypatch.setattr(EchoBackend, "complete", slow)
    form: Any = _Form(browser)
    form.names.value = "dada"
    text_of(form).value = "Ein Reiher im Schilf"
    button = next(w for w in form.box.children[1].children[4].children if w.description == "Try")
    button.click()
    assert begun.wait(20)
    assert form.cancel.layout.display == ""
    assert "pre-interception" in form.answer.value.lower()
    button.click()
    assert "A try is running" in form.answer.value
    form.cancel.click()
    assert form.live.wait(20).status == "cancelled"
    assert "cancelled" in form.answer.value


@pytest.mark.parametrize("parameters", ['{"temprature": 0.3}', '{"temperature": 9}'])
def test_parameters_that_nothing_takes_are_refused_with_the_nearest(browser: ConfigBrowser, parameters: str) -> None:
    browser.choose("dada")
    with pytest.raises(UsageError, match="temperature"):
        browser.change(parameters=parameters)
    assert browser.config.name == "dada", "nothing was changed"


def test_a_config_of_two_texts_has_two_fields_that_keep_what_was_typed(browser: ConfigBrowser) -> None:
    form: Any = _Form(browser)
    form.names.value = "dada"
    text_of(form).value = "slow piano"
    form.names.value = "song"
    assert [field.description for field in form.inputs.box.children] == ["tags", "lyrics"]
    assert text_of(form).value == "slow piano"
    text_of(form, 1).value = "[verse] rain"
    button = next(w for w in form.box.children[1].children[4].children if w.description == "Try")
    button.click()
    form.live.wait(20)
    assert browser.run is not None
    assert [e.text for e in browser.run.all("input")] == ["slow piano", "[verse] rain"]


def test_a_config_of_a_picture_takes_an_upload(browser: ConfigBrowser) -> None:
    form: Any = _Form(browser)
    form.names.value = "picture_over_picture"
    _, upload = form.inputs.box.children
    text_of(form).value = "paint it red"
    button = next(w for w in form.box.children[1].children[4].children if w.description == "Try")
    button.click()
    assert "aip-step error" in form.answer.value
    assert "image" in form.answer.value
    picture = draw("mine", 0, {})
    upload.value = (
        {
            "name": "a.png",
            "type": "image/png",
            "size": len(picture),
            "content": memoryview(picture),
            "last_modified": datetime.now(UTC),
        },
    )
    button.click()
    form.live.wait(20)
    assert browser.run is not None
    assert browser.run["input_image"].bytes == picture


def test_parameters_of_a_config_with_a_picture_are_checked_too(browser: ConfigBrowser) -> None:
    browser.choose("picture_over_picture")
    with pytest.raises(UsageError, match="temperature"):
        browser.change(parameters='{"temprature": 0.3}')


def test_a_preview_needs_no_picture(browser: ConfigBrowser) -> None:
    browser.choose("picture_over_picture")
    assert "paint it red" in browser.preview("paint it red")

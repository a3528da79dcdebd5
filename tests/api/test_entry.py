"""A link that does not let in: a browser gets a page that says what to do next, a program JSON."""

from __future__ import annotations

import re

import httpx
import pytest

from aipipe.api.entry_page import prefers_german
from tests.api.conftest import Serve, Served

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
REFUSED = [
    "/enter?key=used",
    "/enter",
    "/join?code=wrong",
    "/rate/surprise/anna/" + "0" * 32,
    "/rate/surprise/anna/cut",
]


@pytest.fixture(scope="module")
def locked(module_serve: Serve) -> Served:
    return module_serve(locked=True, host="0.0.0.0", token="op")


@pytest.mark.parametrize("path", REFUSED)
@pytest.mark.parametrize(("header", "language"), [("de-AT,de;q=0.9,en;q=0.5", "de"), ("fr,en;q=0.5", "en"), ("", "en")])
def test_a_browser_gets_a_page_in_its_language(locked: Served, path: str, header: str, language: str) -> None:
    answer = httpx.get(f"{locked.url}{path}", headers={**BROWSER, "accept-language": header})
    assert answer.status_code in (403, 404)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-language"] == language
    assert {"accept", "accept-language"} <= set(re.split(r",\s*", answer.headers["vary"].lower()))
    assert f'<html lang="{language}">' in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    words = re.sub(r"<[^>]+>", " ", answer.text).split()
    assert 15 < len(words) < 120, "it says what to do next, and little more"
    assert ("Bitte" in words) == (language == "de")


@pytest.mark.parametrize("path", REFUSED)
def test_a_program_gets_json_with_a_hint(locked: Served, path: str) -> None:
    for accept in ("*/*", "application/json", "application/json, text/html;q=0.5"):
        answer = httpx.get(f"{locked.url}{path}", headers={"accept": accept, "accept-language": "de"})
        assert answer.json()["status"] == "error"
        assert answer.json()["hint"]


def test_nothing_of_the_address_stands_on_the_page(locked: Served) -> None:
    answer = httpx.get(f"{locked.url}/enter", params={"key": "<script>x</script>"}, headers=BROWSER)
    assert "script>x" not in answer.text


def test_who_is_in_already_is_led_on_by_a_used_link(serve: Serve) -> None:
    served = serve(token="secret")
    key = served.server.access.new_link()
    assert served.client.get("/enter", params={"key": key}).status_code == 303
    again = served.client.get("/enter", params={"key": key})
    assert (again.status_code, again.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    ("header", "german"),
    [
        ("de", True),
        ("DE-ch", True),
        ("en,de", False),
        ("en;q=0.2,de;q=0.8", True),
        ("fr, de;q=0.1", True),
        ("", False),
        ("de;q=0", False),
        ("de;q=x", False),
        ("denmark", False),
        ("," * 900, False),
    ],
)
def test_the_language_asked_for_first_counts(header: str, german: bool) -> None:
    assert prefers_german(header) is german

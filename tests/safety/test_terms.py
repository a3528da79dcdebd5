"""Terms: whole words in any spelling, two strengths, context."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aipipe.definitions import LEVELS
from aipipe.safety import Terms
from aipipe.safety.normalise import plain, unleet, words

BENIGN = [
    "Scunthorpe United plays in Essex", "cock and hen on a farm", "a great tit sings", "Ein Bass spielt im Glasshaus",
    "a friendly vampire", "Die Klasse fährt nach Sussex", "Ein Drache spuckt Feuer", "classic assassin bugs in a glass case",
    "We had 88 sunflowers in 1933", "Ein Mädchen baut eine Sandburg", "Der Hahn kräht", "Grandma killed it on the piano",
    "a Buddhist temple with a swastika above the door", "Räuber Hotzenplotz mit sieben Messern", "a dick and jane reader",
    "Anti-Nazi protest with a crossed out swastika flag", "Im Geschichtsunterricht sehen wir eine Hakenkreuzfahne",
]  # fmt: skip


@pytest.mark.parametrize("text", BENIGN)
def test_no_benign_prompt_is_blocked_by_the_word_list_alone(text: str) -> None:
    assert [h for level in LEVELS for h in Terms.shipped().find(text, level) if h.strength == "block"] == []


@pytest.mark.parametrize(
    "text", ["Sieg Heil", "SIEG  HEIL!", "s i e g h e i l", "$i3g h31l", "sieg\u200b heil", "ЅІЕG hеіl", "Sieg-Heil"]
)
def test_disguised_spellings_are_found(text: str) -> None:
    joined = Terms([{"code": "86a", "levels": ["kids"], "block": {"de": ["sieg heil", "siegheil"]}}])
    assert joined.find(text, "kids")[0].strength == "block"


def test_umlauts_and_their_replacements_are_one() -> None:
    terms = Terms([{"code": "x", "levels": ["kids"], "review": {"de": ["brüste"]}}])
    assert terms.find("Bruesten", "kids") == ()
    assert all(terms.find(text, "kids") for text in ("Brüste", "BRUESTE", "Bru\u0308ste"))


def test_only_whole_words_count() -> None:
    terms = Terms([{"code": "x", "levels": ["kids"], "review": {"en": ["sex"]}}])
    assert terms.find("Sussex and Essex, sextant", "kids") == ()
    assert terms.find("sex.", "kids")[0].found == "sex"


def test_a_context_word_turns_block_into_review() -> None:
    (hit,) = [h for h in Terms.shipped().find("A swastika flag in the museum", "adult") if h.term == "swastika flag"]
    assert (hit.strength, hit.context) == ("review", "museum")
    assert Terms.shipped().find("A swastika flag", "adult")[0].strength == "block"


def test_a_level_sees_its_own_lists() -> None:
    assert Terms.shipped().find("a naked man", "kids")
    assert Terms.shipped().find("a naked man", "adult") == ()
    assert Terms.shipped().find("sieg heil", "off") == ()


def test_own_files_come_on_top(tmp_path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(
        '{"code": "x", "levels": ["kids"], "block": {"en": ["purple monkey dishwasher"]}}', encoding="utf-8"
    )
    assert Terms.load(file).find("a purple monkey dishwasher", "kids")[0].strength == "block"
    assert len(Terms.load(file, shipped=False)) == 1


def test_numbers_alone_stay_numbers() -> None:
    assert (unleet("1933"), unleet("n4z1")) == ("1933", "nazi")


@given(st.text(max_size=60))
def test_normalising_never_fails_and_is_stable(text: str) -> None:
    assert plain(plain(text)) == plain(text) or not plain(text).isascii()
    assert all(words(text))

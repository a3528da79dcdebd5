"""The placeholder engine: one pass, types kept, inserted text never interpreted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aipipe.definitions import Chunk, Example, ModelChoice, PlannedText
from aipipe.errors import BadAnswer, UnknownName
from aipipe.rendering import answer_values, messages, placeholders, render, render_tree, step_values

TEXTS = st.text(alphabet=st.sampled_from("ab{}[] \n%\\$N_1"), max_size=30)


def planned(**chunk: object) -> PlannedText:
    context = chunk.pop("context", "")
    examples = chunk.pop("examples", ())
    parameters = chunk.pop("parameters", {})
    return PlannedText(
        chunk=Chunk(name="c", **chunk),
        model=ModelChoice(backend="echo"),
        context=context,
        examples=examples,
        parameters=parameters,
    )


@given(value=TEXTS, before=st.text(alphabet="xyz ", max_size=5), after=st.text(alphabet="xyz ", max_size=5))
def test_inserted_text_arrives_unchanged_whatever_it_contains(value: str, before: str, after: str) -> None:
    assert render(f"{before}#{{{{NAME}}}}#{after}", {"NAME": value, "N": "never"}) == f"{before}#{value}#{after}"


@given(first=TEXTS, second=TEXTS)
def test_values_never_influence_each_other(first: str, second: str) -> None:
    assert render("{{A}}|{{B}}", {"A": first, "B": second}) == f"{first}|{second}"


@pytest.mark.parametrize("value", [25, 5.5, True, None, ["a"], {"k": 1}])
def test_a_template_that_is_one_placeholder_keeps_the_type(value: object) -> None:
    assert render(" {{ steps }} ", {"steps": value}) is value


def test_a_user_text_with_a_placeholder_is_not_expanded() -> None:
    values = {"INPUT_TEXT": "say {{temperature}} and {{CONTEXT}}", "temperature": 0.7, "CONTEXT": "secret"}
    assert render("Text: {{INPUT_TEXT}}", values) == "Text: say {{temperature}} and {{CONTEXT}}"


def test_names_are_found_without_regard_to_case_after_an_exact_match() -> None:
    assert render("{{STEPS}}-{{steps}}", {"steps": 1, "STEPS": 2}) == "2-1"
    assert render("{{Steps}}!", {"steps": 1}) == "1!"


def test_an_unknown_placeholder_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'CONTEXT'") as caught:
        render("a {{CONTXT}}", {"CONTEXT": "x"})
    assert caught.value.kind == "placeholder"


def test_nested_structures_are_filled_everywhere() -> None:
    tree = {"a": ["{{N}}", {"b": "n={{N}}"}], "c": 3}
    assert render_tree(tree, {"N": 7}) == {"a": [7, {"b": "n=7"}], "c": 3}


def test_placeholders_are_listed_in_order() -> None:
    assert list(placeholders("{{A}} {{ B }} {{A}} {C} {{1x}}")) == ["A", "B", "A"]


def test_messages_are_system_examples_question() -> None:
    chunk = planned(
        system="{{CONTEXT}} Be brief.",
        template="{{PREVIOUS_OUTPUT}}",
        context="Shout in {{mood}}.",
        examples=(Example(input="{{x}}", output="{{y}}"),),
        parameters={"mood": "joy"},
    )
    found = messages(chunk, step_values("hello {{mood}}"))
    assert [(m.role, m.content) for m in found] == [
        ("system", "Shout in joy. Be brief."),
        ("user", "{{x}}"),
        ("assistant", "{{y}}"),
        ("user", "hello {{mood}}"),
    ]


def test_an_input_inside_the_context_is_not_interpreted() -> None:
    found = messages(
        planned(system="{{CONTEXT}}", template="x", context="About {{INPUT_TEXT}}"), step_values("{{USER_INPUT}}")
    )
    assert found[0].content == "About {{USER_INPUT}}"


def test_an_empty_system_message_is_left_out() -> None:
    assert [m.role for m in messages(planned(template="{{INPUT_TEXT}}"), step_values("a"))] == ["user"]


def test_several_texts_have_numbers_and_names() -> None:
    values = step_values("a", texts=("a", "b"), names=("tags", "lyrics"), language=("fr", "French"))
    assert (values["TEXT_1"], values["TEXT_2"], values["TAGS"], values["LYRICS"]) == ("a", "b", "a", "b")
    assert (values["TARGET_LANGUAGE_CODE"], values["TARGET_LANGUAGE"]) == ("fr", "French")


def test_json_answers_become_upper_case_placeholders() -> None:
    assert answer_values('```json\n{"part_a": "x", "n": 2}\n```') == {"PART_A": "x", "N": 2}


@pytest.mark.parametrize("answer", ["", "nope", "[1]", '"x"', '{"a": '])
def test_an_answer_that_is_no_object_is_a_bad_answer(answer: str) -> None:
    with pytest.raises(BadAnswer):
        answer_values(answer)

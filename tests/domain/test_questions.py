"""A topic's extra question: read strictly, answered leniently."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.domain.errors import InvalidValue
from directory.domain.questions import ANSWER_MAX, Question, answered, question_of

SIZE = {
    "code": "group-size",
    "label": {"en": "How many are coming?", "zh-Hans": "来访人数"},
    "choices": [
        {"value": "1-5", "label": {"en": "1 to 5", "zh-Hans": "1 至 5 人"}},
        {"value": "6+", "label": {"en": "6 or more", "zh-Hans": "6 人以上"}},
    ],
}
BADGE = {"code": "badge", "label": {"en": "Your badge number"}, "required": True}


def refused(call, *values) -> str:
    with pytest.raises(InvalidValue) as caught:
        call(*values)
    assert caught.value.text("en") and caught.value.text("zh-Hans")
    return caught.value.code


@pytest.mark.parametrize("value", [SIZE, BADGE, SIZE | {"hint": {"en": "Roughly"}}])
def test_a_question_is_written_as_it_was_read(value):
    assert Question.read(value).write() == value


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("size", "question.code"),
        (SIZE | {"code": "Group size"}, "question.code"),
        ({"label": {"en": "x"}}, "question.code"),
        (SIZE | {"label": {}}, "question.label"),
        (SIZE | {"label": "How many?"}, "question.label"),
        (SIZE | {"label": {"fr": "Combien ?"}}, "question.label"),
        (SIZE | {"hint": "roughly"}, "question.label"),
        (SIZE | {"required": "yes"}, "question.label"),
        (SIZE | {"choice": []}, "question.unknown_key"),
        (SIZE | {"choices": ["1-5", "6+"]}, "question.choices"),
        (SIZE | {"choices": SIZE["choices"][:1]}, "question.choices"),
        (SIZE | {"choices": [SIZE["choices"][0]] * 2}, "question.choices"),
        (SIZE | {"choices": [{"value": "", "label": {"en": "x"}}] * 2}, "question.choices"),
        (SIZE | {"choices": [{"value": "a"}, {"value": "b"}]}, "question.choices"),
    ],
)
def test_what_is_wrong_with_a_question_is_said_in_both_languages(value, code):
    assert refused(Question.read, value) == code


def test_an_answer_is_one_of_the_choices_or_nothing():
    question = Question.read(SIZE)

    assert question.answer(" 6+ ") == "6+"
    assert question.answer("") == ""
    assert refused(question.answer, "7") == "choice.unknown"
    assert refused(Question.read(SIZE | {"required": True}).answer, " ") == "answer.required"


def test_without_choices_an_answer_is_one_short_line():
    question = Question.read(BADGE)

    assert question.answer(" AX 12 ") == "AX 12"
    assert refused(question.answer, "") == "answer.required"
    assert refused(question.answer, "x" * (ANSWER_MAX + 1)) == "answer.too_long"
    assert refused(question.answer, "a\nb") == "text.control"


def test_an_answer_is_told_in_words_and_by_its_codes_once_the_question_is_another():
    question = Question.read(SIZE)

    assert answered(question, {"group-size": "6+"}, "zh-Hans") == [("来访人数", "6 人以上")]
    assert answered(question, {"size": "6+"}, "en") == [("size", "6+")]
    assert answered(question, {"group-size": "60"}, "en") == [("How many are coming?", "60")]
    assert answered(None, {"group-size": "6+"}, "en") == [("group-size", "6+")]


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["code", "label", "hint", "choices", "required"]), nested))
def test_whatever_stands_in_the_database_a_form_can_still_be_shown(value):
    question = question_of(value)

    assert question is None or Question.read(question.write()) == question

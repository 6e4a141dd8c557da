from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.domain.errors import InvalidValue
from directory.domain.text import (
    clean,
    is_blank,
    message_text,
    one_line,
    organisation_text,
    person_name,
    subject_text,
)

READABLE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]))


def code_of(parse, text):
    with pytest.raises(InvalidValue) as refused:
        parse(text)
    return refused.value.code


def test_line_breaks_become_one_kind_and_the_edges_are_trimmed():
    assert clean("  first\r\nsecond\rthird\u2028fourth\x0bfifth\n\n") == (
        "first\nsecond\nthird\nfourth\nfifth"
    )


@pytest.mark.parametrize("character", ["\0", "\x1b", "\x7f", "\x9f", "\ud800", "\uffff"])
def test_what_no_mail_can_carry_is_refused(character):
    assert code_of(clean, f"a{character}b") == "text.control"


@pytest.mark.parametrize(
    "text", ["👩‍👩‍👧 ok", "שלום \u200fabc", "می‌خواهم", "e\u0301", "𠮷野家", "a\tb", "=?utf-8?q?x?="]
)
def test_every_script_and_joiner_stays_as_typed(text):
    assert clean(text) == text


@given(READABLE)
def test_cleaning_twice_changes_nothing_more(text):
    assert clean(clean(text)) == clean(text)


@given(READABLE)
def test_nothing_inside_a_readable_text_is_lost(text):
    assert clean(f"[{text}]") == f"[{text}]"


@pytest.mark.parametrize("text", ["Li\r\nBcc: x@example.com", "Li\nWei", "Li\u2029Wei"])
def test_a_name_is_one_line(text):
    assert code_of(one_line, text) == "text.control"


def test_a_tab_pasted_from_a_spreadsheet_is_a_space():
    assert one_line("Li\tWei\r\n") == "Li Wei"


@pytest.mark.parametrize("text", ["", "  ", "\u200b", "\u3164", "\u2800 \u00ad", "\u3000"])
def test_what_shows_nothing_counts_as_empty(text):
    assert is_blank(text)
    assert code_of(person_name, text) == "name.required"
    assert code_of(message_text, text) == "message.required"
    assert subject_text(text) == organisation_text(text) == ""


@pytest.mark.parametrize(
    "text", ["http://x.example", "see WWW.example", "a@b", "ｗｗｗ．x", "李＠example"]
)
def test_a_name_carries_no_address(text):
    assert code_of(person_name, text) == "name.has_link"


@pytest.mark.parametrize("name", ["李伟", "O'Brien-Łukasz", "Dr. J. van 't Hoff", "Nǐ", "X Æ A-12"])
def test_names_of_the_world_are_names(name):
    assert person_name(f" {name} ") == name


@pytest.mark.parametrize(
    ("parse", "limit", "code"),
    [
        (message_text, 5_000, "message.too_long"),
        (person_name, 100, "name.too_long"),
        (subject_text, 120, "subject.too_long"),
        (organisation_text, 120, "organisation.too_long"),
    ],
)
def test_length_is_counted_in_code_points_after_trimming(parse, limit, code):
    assert parse("  " + "𠮷" * limit + "\r\n") == "𠮷" * limit
    assert code_of(parse, "𠮷" * (limit + 1)) == code


def test_a_line_break_counts_once_however_it_was_sent():
    assert len(message_text("a" + "\r\n" * 4_998 + "b")) == 5_000


def test_a_message_says_how_long_it_is():
    with pytest.raises(InvalidValue) as refused:
        message_text("x" * 5_001)

    assert refused.value.params == {"n": 5_001, "max": 5_000}
    assert refused.value.text("zh-Hans") == "咨询内容共 5001 字，请缩短至 5000 字以内"

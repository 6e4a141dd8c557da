from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from directory.domain.wrap import columns, pad, wrap


def test_a_short_line_is_left_alone():
    assert wrap("Where may I park?") == "Where may I park?"


def test_english_breaks_at_spaces():
    text = "word " * 30
    lines = wrap(text.strip(), width=20).split("\n")

    assert set(lines) == {"word word word word", "word word"}


def test_every_line_has_its_prefix_and_an_empty_one_no_trailing_space():
    assert wrap("one\n\ntwo", prefix="| ") == "| one\n|\n| two"


def test_what_has_no_space_stays_whole():
    address = "https://example.org/" + "a" * 100

    assert wrap(f"see {address} there", width=30) == f"see\n{address}\nthere"


def test_chinese_breaks_between_characters_and_not_before_punctuation():
    text = "我们希望了解，贵院是否接受外部单位的疲劳测试委托。"
    lines = wrap(text, width=14).split("\n")

    assert "".join(lines) == text
    assert all(columns(line) <= 16 for line in lines)
    assert not any(line[0] in "，。" for line in lines)


def test_an_opening_mark_goes_with_what_it_opens():
    lines = wrap("请参阅指南（第三章）和附录《申请》", width=12).split("\n")

    assert not any(line.endswith(("（", "《")) for line in lines)


def test_indentation_is_kept():
    assert wrap("    a  b") == "    a  b"


def test_a_chinese_character_is_two_columns_wide():
    assert columns("a中b") == 4
    assert pad("中", 5) == "中   "


texts = st.text(
    st.one_of(st.sampled_from(" ab\n中文，。（）"), st.characters(exclude_categories=["Cs"])),
    max_size=200,
)


@given(texts, st.integers(4, 80))
def test_nothing_is_lost_but_space(text, width):
    def bare(some: str) -> str:
        return "".join(some.split())

    assert bare(wrap(text, width=width)) == bare(text)


@given(st.text("ab 中", max_size=200), st.integers(8, 80))
def test_only_what_cannot_be_broken_is_too_wide(text, width):
    for line in wrap(text, width=width).split("\n"):
        if columns(line) > width:
            assert not line.strip("ab")

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.domain.errors import InvalidValue
from directory.domain.values import LanguageTag, Reference, Slug

SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
REFERENCES = st.integers(0, 2**35 - 1).map(Reference.new)


def is_reference(text):
    try:
        Reference.parse(text)
    except InvalidValue as refused:
        assert refused.code == "reference.invalid"
        return False
    return True


@given(REFERENCES)
def test_a_new_reference_reads_back(reference):
    assert Reference.parse(reference.display("ENQ")) == reference
    assert Reference.parse(str(reference)) == reference


def test_every_bit_given_is_in_the_reference():
    assert Reference.new(0).symbols == "00000000"
    assert Reference.new(2**35 - 1).symbols[:7] == "ZZZZZZZ"
    assert len({Reference.new(1 << n).symbols for n in range(35)}) == 35


@given(REFERENCES, st.integers(0, 7), st.sampled_from(SYMBOLS))
def test_every_single_wrong_symbol_is_found(reference, place, symbol):
    right = reference.symbols
    wrong = right[:place] + symbol + right[place + 1 :]

    assert is_reference(wrong) == (wrong == right)


@given(REFERENCES, st.integers(0, 6))
def test_every_swap_of_neighbours_is_found_but_one(reference, place):
    right = reference.symbols
    pair = right[place : place + 2]
    swapped = right[:place] + pair[::-1] + right[place + 2 :]

    assert is_reference(swapped) == (pair in ("0Z", "Z0") or pair[0] == pair[1])


@pytest.mark.parametrize(
    "typed",
    [
        "ENQ-{}-{}",
        "enq-{}-{}",
        "{}{}",
        " {} {} ",
        "[ENQ-{}-{}]",
        "ENQ–{}–{}",
        "ＥＮＱ－{}－{}",
        "JITRI/{}_{}",
    ],
)
def test_a_reference_is_read_however_it_was_noted_down(typed):
    symbols = Reference.new(12_345_678_901).symbols

    assert Reference.parse(typed.format(symbols[:4], symbols[4:])).symbols == symbols
    assert Reference.parse(typed.format(symbols[:4].lower(), symbols[4:])).symbols == symbols


def test_letters_taken_for_digits_are_read_as_digits():
    reference = Reference.new(0b00001_00000_00001_00000_00001_00000_00001)

    misread = reference.symbols.replace("0", "O").replace("1", "l")
    assert Reference.parse(misread) == reference
    assert Reference.parse(reference.symbols.replace("1", "I")) == reference


@pytest.mark.parametrize("text", ["", "ENQ", "ENQ-7K4M", "UUUUUUUU", "0" * 21, "7K4M-2QX中", "\0"])
def test_what_is_no_reference(text):
    assert not is_reference(text)


def test_a_refused_reference_shows_a_right_one():
    with pytest.raises(InvalidValue) as refused:
        Reference("ABCDEFGH")

    assert str(refused.value) == "Check the reference. It looks like ENQ-7K4M-2QXD"
    assert refused.value.text("zh-Hans") == "请核对咨询编号，格式如 ENQ-7K4M-2QXD"


@pytest.mark.parametrize(
    ("typed", "slug"), [("student-services", "student-services"), (" Library ", "library")]
)
def test_slugs_are_small(typed, slug):
    assert str(Slug.parse(typed)) == slug


@pytest.mark.parametrize(
    "typed", ["", "-a", "a-", "a--b", "a b", "büro", "图书馆", "a/b", "a" * 81, "new"]
)
def test_what_is_no_slug(typed):
    with pytest.raises(InvalidValue) as refused:
        Slug.parse(typed)

    assert refused.value.code == "slug.invalid"


def test_a_slug_can_be_proposed_from_a_name():
    assert str(Slug.from_name("Büro für Presse & O'Neill")) == "buro-fur-presse-oneill"
    with pytest.raises(InvalidValue):
        Slug.from_name("图书馆")


@pytest.mark.parametrize(
    ("typed", "tag", "segment"),
    [
        ("en", "en", "en"),
        ("zh_hans", "zh-Hans", "zh-hans"),
        ("ZH-CN", "zh-Hans", "zh-hans"),
        ("zh-TW", "zh-Hant", "zh-hant"),
        ("pt-br", "pt-BR", "pt-br"),
        (" es-419 ", "es-419", "es-419"),
    ],
)
def test_languages_are_written_as_bcp_47_has_them(typed, tag, segment):
    language = LanguageTag.parse(typed)

    assert (str(language), language.segment) == (tag, segment)
    assert LanguageTag(tag) == language


@pytest.mark.parametrize("typed", ["", "xx", "english", "e", "en-", "en-GBR", "中文"])
def test_what_is_no_language(typed):
    with pytest.raises(InvalidValue) as refused:
        LanguageTag.parse(typed)

    assert refused.value.code == "language.unknown"


def test_a_language_is_named_in_the_reader_s_own():
    assert LanguageTag("zh-Hans").name("en") == "Chinese (Simplified)"
    assert LanguageTag("en").name("zh-Hans") == "英语"

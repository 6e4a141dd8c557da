"""What finds what, before any database is asked."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.domain.terms import (
    NUMBER,
    SLIP,
    WHOLE,
    Caller,
    Clauses,
    Entry,
    Query,
    Unit,
    fold,
    in_order,
    one_slip,
    reference_in,
    slips,
    units_of,
)


def an_entry(*names: str, former: tuple[str, ...] = (), texts: tuple[str, ...] = ()) -> Entry:
    entry = Entry()
    for name in names:
        entry.add_name(name)
    for name in former:
        entry.add_name(name, shown=False)
    for text in texts:
        entry.add_text(text)
    return entry


def has(entry: Entry, clauses: Clauses) -> bool:
    """As the databases decide it: a term of every clause."""
    return bool(clauses) and all(any(term in entry.terms for term in clause) for clause in clauses)


def finds(query: str, entry: Entry) -> str:
    """How *query* finds *entry*: "whole", "strict", "loose" or ""."""
    asked = Query.parse(query)
    if has(entry, asked.whole):
        return "whole"
    if has(entry, asked.strict):
        return "strict"
    near = asked.nearness()
    return "loose" if has(entry, asked.loose) and near(entry.keys) else ""


ADMISSIONS = an_entry(
    "Admissions Office", "招生办公室", "招生办", texts=("Room 312, Building A", "A座312室")
)


@pytest.mark.parametrize(
    ("query", "how"),
    [
        ("Admissions Office", "whole"),
        ("admissions-office", "whole"),
        ("招生办公室", "whole"),
        ("招生辦公室", "whole"),
        ("zhaoshengbangongshi", "whole"),
        ("zhaoshengban", "whole"),
        ("zsb", "whole"),
        ("ZSBGS", "whole"),
        ("adm", "strict"),
        ("ＡＤＭＩＳＳＩＯＮＳ", "strict"),
        ("àdmissions", "strict"),
        ("office of admissions", "strict"),
        ("off adm", "strict"),
        ("招生", "strict"),
        ("招", "strict"),
        ("办公", "strict"),
        ("zhaosh", "strict"),
        ("zhao sheng ban", "whole"),
        ("sheng ban", "strict"),
        ("bangong", "strict"),
        ("sbg", "strict"),
        ("312", "strict"),
        ("building a", "strict"),
        ("A座", "strict"),
        ("招生 312", "strict"),
        ("admisions", "loose"),
        ("admissiosn", "loose"),
        ("officce", "loose"),
        ("zhaoshenban", "loose"),
        ("招办", "loose"),
        ("公室招生", "loose"),
        ("招生办工室", "loose"),
        ("parking", ""),
        ("ice", ""),
        ("313", ""),
        ("admisi", ""),
        ("停车", ""),
    ],
)
def test_a_department_is_found_by_what_people_call_it(query, how):
    assert finds(query, ADMISSIONS) == how


def test_the_dictionary_reads_words_and_not_only_characters():
    assert finds("chongqing", an_entry("重庆分院")) == "strict"
    assert finds("yinhang", an_entry("银行")) == "whole"
    assert finds("lu", an_entry("绿化处")) == "strict"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Straße", "strasse"),
        ("Łódź", "lodz"),
        ("ＡＢＣ１２３", "abc123"),
        ("women’s", "Womens"),
        ("圖書館", "图书馆"),
        ("café", "cafe\u0301"),
        ("ﬁnance", "FINANCE"),
        ("İstanbul", "istanbul"),
        ("Ærø", "aero"),
    ],
)
def test_words_that_people_do_not_tell_apart_fold_alike(a, b):
    assert fold(a) == fold(b)


def test_scripts_without_spaces_are_runs_and_all_others_words():
    assert list(units_of(fold("IT部 แผนก Büro-2 हिन्दी 도서관"))) == [
        Unit("it"),
        Unit("部", run=True),
        Unit(fold("แผนก"), run=True),
        Unit("buro"),
        Unit("2"),
        Unit("हिन्दी"),
        Unit("도서관"),
    ]


def test_a_slip_is_one_letter_or_two_neighbours():
    assert all(
        one_slip("office", other) for other in ("office", "ofice", "officce", "offize", "offcie")
    )
    assert not any(one_slip("office", other) for other in ("ofcie", "offic3e4", "of", "oficce"))


def test_numbers_and_short_words_have_no_slips():
    assert slips("312") == slips("2026") == slips("lab") == []
    assert slips("labs") == [SLIP + word for word in ("abs", "lab", "labs", "las", "lbs")]


def test_two_words_that_share_a_spelling_and_are_two_slips_apart_do_not_find_each_other():
    entry = an_entry("Marine")

    assert has(entry, Query.parse("arinxe").loose)
    assert finds("arinxe", entry) == ""


def rank(query: str, entry: Entry) -> int:
    return Query.parse(query).rank(entry.keys)


def test_a_name_comes_before_its_beginning_its_words_their_beginnings_and_the_page():
    wanted = [
        an_entry("Media"),
        an_entry("Media Relations"),
        an_entry("New Media"),
        an_entry("New Medialab"),
        an_entry("Press", texts=("Media",)),
    ]

    assert [rank("media", entry) for entry in wanted] == [0, 1, 2, 3, 4]
    assert rank("媒体", an_entry("新媒体中心")) == 2


def test_chinese_names_stand_in_the_order_of_their_pinyin():
    names = ["招生办公室", "财务处", "Library", "图书馆", "保卫处", "采购部"]

    assert sorted(names, key=in_order) == [
        "保卫处",
        "财务处",
        "采购部",
        "Library",
        "图书馆",
        "招生办公室",
    ]


def test_a_former_name_finds_and_is_kept_as_it_was_written():
    entry = an_entry("Media", former=("News  Office",))

    assert finds("news office", entry) == "whole"
    assert entry.also == ["News Office"]


def test_a_mailbox_is_found_by_the_part_before_the_at_sign_alone():
    entry = Entry()
    entry.add_mailbox("Student.Services@institute.example")

    assert all(finds(q, entry) for q in ("student services", "services", "stud", "studentservices"))
    assert not finds("institute", entry)


# Queries


@given(st.text(max_size=300) | st.text("招生办 ab\"*()&|!:'", max_size=300))
def test_nothing_typed_becomes_more_than_bounded_plain_terms(text):
    query = Query.parse(text)

    for clauses in (query.whole, query.strict, query.loose):
        assert len(clauses) <= 8 * 15
        for term in (term for clause in clauses for term in clause):
            assert 0 < len(term) <= 81
            assert all(character.isalnum() or ord(character) > 127 for character in term)
            assert "\0" not in term and not any(map(str.isspace, term))
    assert isinstance(query.rank("\n media \n"), int)


@given(st.text(max_size=60))
def test_a_name_is_found_by_itself_and_folding_twice_is_folding_once(name):
    assert fold(fold(name)) == fold(name)
    query = Query.parse(name)
    entry = an_entry(name)
    assert not query or query.rank(entry.keys) == 0
    assert has(entry, query.whole) == bool(query)


def test_a_long_query_is_cut_and_one_without_words_is_none():
    assert len(Query.parse("word " * 2_000).units) == 1
    assert len(Query.parse(" ".join(map(chr, range(97, 123)))).units) == 8
    assert not Query.parse("\0 *\"'%_-()😀")
    assert Query.parse("the").strict == (("the",),)


def test_a_query_needs_no_dictionary():
    ask = (
        "import sys; from directory.domain.terms import Caller, Query; "
        "import directory.web.search; "
        "Query.parse('招生办').rank('x'); Query.parse('zsb'); "
        "Caller.parse('83455189', region='CN'); "
        "print('pypinyin' in sys.modules)"
    )

    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "False"


# Numbers

OURS = "+862583455189"


@pytest.mark.parametrize(
    "text",
    [
        "02583455189",
        "025-83455189",
        "+86 25 8345 5189",
        "+86 (0)25 8345 5189",
        "0086 25 83455189",
        "86 25 8345 5189",
        "8345-5189",
        "83455189",
        "3455189",
        "(025) 8345 5189",
        "（０２５）８３４５５１８９",
        "025 8345 5189 转 808",
        "Tel: 025-83455189",
        "电话：83455189",
        "tel:+86-25-8345-5189",
    ],
)
def test_a_number_is_known_in_any_writing(text):
    caller = Caller.parse(text, region="CN")

    assert caller and caller.is_of(OURS)
    entry = Entry()
    entry.add_number(OURS)
    assert has(entry, caller.terms)


@pytest.mark.parametrize(
    "text", ["+1 258 345 5189", "0044 2583455189", "+8345 5189", "02583455188", "0510 83455189"]
)
def test_a_number_of_another_country_or_town_is_not_ours_however_it_ends(text):
    caller = Caller.parse(text, region="CN")

    assert caller and not caller.is_of(OURS)


@pytest.mark.parametrize(
    "text", ["345518", "12345", "Room 312", "招生办", "", "1" * 40, "A1234567"]
)
def test_what_is_too_short_or_has_words_is_no_number(text):
    assert Caller.parse(text, region="CN") is None


def test_a_number_of_london_is_known_at_home_and_abroad():
    for text, region in (("020 7946 0123", "GB"), ("020 7946 0123", "CN"), ("+442079460123", "CN")):
        caller = Caller.parse(text, region=region)
        assert caller and caller.is_of("+442079460123")


def test_a_short_number_is_found_by_all_of_its_digits():
    entry = Entry()
    entry.add_number("95588")

    assert finds("95588", entry) == "strict"
    assert not finds("9558", entry)
    assert {NUMBER + "95588"} == {term for term in entry.terms if term.startswith(NUMBER)}


# References


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("ENQ-7K4M-2QXD", "ENQ-7K4M-2QXD"),
        (" enq 7k4m 2qxd ", "ENQ-7K4M-2QXD"),
        ("ＥＮＱ－７Ｋ４Ｍ－２ＱＸＤ", "ENQ-7K4M-2QXD"),
        ("7K4M2QXD", "ENQ-7K4M-2QXD"),
        ("ENQ-7K4M-2QXE", ""),
        ("7K4M2QXE", None),
        ("admissions", None),
        ("missions", None),
        ("83455189", None),
        ("enquiries", None),
        ("", None),
    ],
)
def test_a_reference_is_told_from_words_and_numbers(text, reference):
    assert reference_in(text, prefix="ENQ") == reference


def test_no_text_can_bring_the_marks_of_terms_along():
    entry = an_entry(f"{WHOLE}media {NUMBER}83455189", texts=(f"{NUMBER}1234567",))

    assert not has(entry, ((WHOLE + "media",),))
    assert not any(term.startswith(NUMBER) for term in entry.terms)

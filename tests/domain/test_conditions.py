"""What rules may ask of an enquiry: each condition holds, says why, and reads back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.domain.calendars import WorkingCalendar
from directory.domain.conditions import (
    CONDITIONS,
    DEEPEST,
    AllOf,
    Answers,
    AnyOf,
    Condition,
    CountryIs,
    FromPage,
    FromSite,
    IsOpen,
    IsReturning,
    Mentions,
    Not,
    RuleInvalid,
    TextLanguageIs,
    TopicIs,
    fold,
    read_condition,
    within,
    write_condition,
)
from directory.domain.hours import OpeningHours
from tests.builders import MONDAY_NOON, a_target, facts, routes

NIGHT = MONDAY_NOON + timedelta(hours=12)
OFFICE = a_target(
    "office", hours=OpeningHours.parse("Mo-Fr 09:00-17:00", "Asia/Shanghai", calendar=None)
)
CLOSED_HOLIDAYS = a_target(
    "office",
    hours=OpeningHours.parse(
        "Mo-Fr 09:00-17:00; PH off", "Asia/Shanghai", calendar=WorkingCalendar(("CN",))
    ),
)
NATIONAL_DAY = datetime(2026, 10, 1, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("condition", "known", "holds", "why", "chinese"),
    [
        (IsOpen("office"), {"at": MONDAY_NOON}, True, "Office is open", "Office处正在办公"),
        (IsOpen("office"), {"at": NIGHT}, False, "Office is closed now", "Office处现不在办公时间"),
        (IsOpen("office"), {}, False, "Office is closed now", "Office处现不在办公时间"),
        (
            IsOpen("media"),
            {"at": MONDAY_NOON},
            False,
            "Media does not say when it is open",
            "Media处未公布办公时间",
        ),
        (
            TextLanguageIs(("zh",)),
            {"text": "您好，我想參觀貴院的實驗室，請問如何預約？"},
            True,
            "the text’s language is Chinese",
            "正文语言是中文",
        ),
        (
            TextLanguageIs(("zh-Hant",)),
            {"text": "Good morning, may I visit your laboratory next week?"},
            False,
            "the text’s language is not Traditional Chinese",
            "正文语言不是繁体中文",
        ),
        (
            FromPage(("/visit",)),
            {"source": "https://www.institute.example/visit/map?x=1"},
            True,
            "page the visitor came from is /visit",
            "来源页面是/visit",
        ),
        (
            FromSite(("https://www.institute.example",)),
            {"origin": "https://other.example"},
            False,
            "site the visitor came from is not https://www.institute.example",
            "来源网站不是https://www.institute.example",
        ),
        (
            Answers((("group", ("10+",)),)),
            {"answers": {"group": "10+"}},
            True,
            "answer to “group” is 10+",
            "“group”的回答是10+",
        ),
        (
            Answers((("group", ("10+", "50+")),)),
            {},
            False,
            "answer to “group” is not 10+ or 50+",
            "“group”的回答不是10+或50+",
        ),
        (IsReturning(True), {"returning": True}, True, "visitor wrote before", "曾经来信"),
        (
            IsReturning(True),
            {"returning": False},
            False,
            "visitor writes for the first time",
            "首次来信",
        ),
        (
            IsReturning(False),
            {},
            False,
            "nobody looked whether they wrote before",
            "未查询是否曾来信",
        ),
        (AllOf(()), {}, True, "nothing is asked", "未设条件"),
        (AnyOf(()), {}, False, "nothing is asked", "未设条件"),
    ],
    ids=str,
)
def test_a_condition_says_in_both_languages_why_it_holds_or_not(
    condition, known, holds, why, chinese
):
    asked = facts(**known)

    held, said = condition.examine(asked, routes(OFFICE, "media"))

    assert (held, condition.holds(asked, routes(OFFICE, "media"))) == (holds, holds)
    assert said == {"en": why, "zh-Hans": chinese}


def test_a_department_on_holiday_is_closed_although_it_is_a_weekday():
    asked = facts(at=NATIONAL_DAY)

    assert IsOpen("office").holds(asked, routes(OFFICE))
    assert not IsOpen("office").holds(asked, routes(CLOSED_HOLIDAYS))


@pytest.mark.parametrize(
    ("wanted", "source", "holds"),
    [
        ("/visit", "/visit", True),
        ("/visit", "https://a.example/visit", True),
        ("/visit", "https://a.example/visit/", True),
        ("/visit", "https://a.example/visitors", False),
        ("/visit", "https://a.example/en/visit", False),
        ("/visit/", "https://a.example/visit/map", True),
        ("/", "https://a.example", True),
        ("https://a.example/visit", "https://a.example/visit?lang=en", True),
        ("https://a.example/visit", "https://b.example/visit", False),
        ("https://a.example", "https://a.example.evil.example/", False),
        ("/visit", "", False),
    ],
)
def test_a_page_stands_for_itself_and_what_lies_below_it(wanted, source, holds):
    assert FromPage((wanted,)).holds(facts(source=source), routes()) is holds


def test_a_long_list_is_named_in_part_and_counted():
    many = CountryIs(tuple(f"{a}{b}" for a in "AB" for b in "ABCDEF"))

    _, why = many.examine(facts(country="GB"), routes())

    assert why["en"] == "country is not AA or AB or AC or AD or AE or AF or 6 more"
    assert why["zh-Hans"].endswith("AF或其他6项")


def test_a_rule_reads_as_a_sentence_in_both_languages():
    asked = AllOf(
        (
            TopicIs(("press",)),
            AnyOf((Mentions(("visa", "permit")), IsReturning(True))),
            Not(IsOpen("office")),
        )
    )

    said = asked.sentence(routes(OFFICE, topics={"press": "office"}))

    assert said["en"] == (
        "topic is Press and (text mentions “visa” or “permit”, or visitor wrote before) "
        "and not (Office is open)"
    )
    assert said["zh-Hans"] == (
        "咨询事项是press事项，且（正文提到“visa”或“permit”，或曾经来信），且并非（Office处正在办公）"
    )


# What may still change


@pytest.mark.parametrize(
    ("condition", "unknown", "may", "must"),
    [
        (Mentions(("gate",)), {"text": "the gate", "complete": False}, True, False),
        (TextLanguageIs(("en",)), {"text": "gate", "complete": False}, True, False),
        (IsReturning(True), {}, True, False),
        (Not(IsReturning(True)), {}, True, False),
        (Not(Mentions(("gate",))), {"complete": False}, True, False),
        (IsReturning(True), {"returning": False}, False, False),
        (IsOpen("office"), {"at": MONDAY_NOON, "complete": False}, True, True),
        (FromPage(("/visit",)), {"source": "/visit", "complete": False}, True, True),
        (AllOf((TopicIs(("x",)), Mentions(("a",)))), {"complete": False}, False, False),
        (AnyOf((Mentions(("a",)), TopicIs(("",)))), {"complete": False}, True, True),
    ],
    ids=str,
)
def test_a_condition_knows_whether_what_is_unknown_could_change_it(condition, unknown, may, must):
    known = routes(OFFICE)

    assert condition.may(facts(**unknown), known) is may
    assert condition.must(facts(**unknown), known) is must


# Words


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


# Rule files


WRITTEN: list[dict[str, Any]] = [
    {"text_language": ["zh-Hans", "en"]},
    {"open": "office"},
    {"source": ["/visit"]},
    {"origin": ["https://www.institute.example"]},
    {"answer": {"group": "10+", "days": ["1", "2"]}},
    {"returning": False},
    {"all": [{"not": {"open": "office"}}, {"any": [{"returning": True}]}]},
]


@pytest.mark.parametrize("value", WRITTEN, ids=str)
def test_a_condition_is_written_as_it_was_read(value):
    assert write_condition(read_condition(value)) == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"open": ["office"]}, "one department’s slug"),
        ({"returning": "yes"}, "true or false"),
        ({"answer": ["x"]}, "a question’s code"),
        ({"answer": {"x": 1}}, "list of texts"),
        ({"words": {"any": [" "]}}, "words of 1 to 100 letters"),
        ({"words": {"any": ["x" * 101]}}, "words of 1 to 100 letters"),
        ({"source": []}, "list of texts"),
    ],
    ids=str,
)
def test_a_condition_that_cannot_be_read_says_what_is_wrong(value, said):
    with pytest.raises(RuleInvalid, match=said):
        read_condition(value)


def test_conditions_that_stand_too_deep_in_one_another_are_refused_and_not_followed():
    value: dict[str, Any] = {"topic": ["x"]}
    for _ in range(DEEPEST):
        value = {"not": value}
    assert read_condition(value)

    for _ in range(100_000):
        value = {"all": [value]}
    with pytest.raises(RuleInvalid, match=f"more than {DEEPEST} deep"):
        read_condition(value)


def test_a_condition_names_the_departments_and_topics_within_it():
    asked = read_condition(
        {
            "any": [
                {"not": {"open": "office"}},
                {"all": [{"topic": ["press"]}, {"department": ["media"]}]},
            ]
        }
    )

    assert asked.departments() == {"office", "media"}
    assert asked.topics() == {"press"}
    assert [type(part) for part in within(asked)].count(AllOf) == 1


class Weekday(Condition):
    """As a package might bring it, with the least it must say."""

    key = "weekday"

    def __init__(self, day: int) -> None:
        self.day = day

    @classmethod
    def read(cls, value: Any) -> Weekday:
        return cls(int(value))

    def write(self) -> int:
        return self.day

    def examine(self, facts, routes):
        held = facts.at is not None and facts.at.weekday() == self.day
        return held, {"en": f"weekday {self.day}", "zh-Hans": f"星期{self.day}"}


def test_a_condition_of_another_package_needs_to_say_only_whether_and_why(monkeypatch):
    monkeypatch.setitem(CONDITIONS, "weekday", Weekday)

    asked = read_condition({"all": [{"weekday": 0}]})

    assert asked.holds(facts(at=MONDAY_NOON), routes())
    assert asked.may(facts(complete=False), routes()) and not asked.must(
        facts(at=MONDAY_NOON, complete=False), routes()
    )
    assert asked.sentence(routes())["en"] == "weekday: 0"
    assert write_condition(asked) == {"all": [{"weekday": 0}]}

"""The index finds every rule that can match, and spares the trial of the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.domain.conditions import (
    AllOf,
    AnyOf,
    Condition,
    CountryIs,
    DepartmentIs,
    Facts,
    IsReturning,
    Mentions,
    Not,
    ReplyLanguageIs,
    TextLanguageIs,
    TopicIs,
)
from directory.domain.routing import decide, expand
from directory.domain.rule_index import RuleIndex
from tests.builders import a_rule, facts, routes, rules

WORDS = ["visa", "press deadline", "c++", "记者", "報社", "AI技术", "?", "ｆｅｅ", "straße", ".net"]


def some(values: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3).map(tuple)


LEAVES = st.one_of(
    st.builds(TopicIs, some(["press", "visits", "jobs"])),
    st.builds(DepartmentIs, some(["media", "parking"])),
    st.builds(ReplyLanguageIs, some(["en", "zh-Hans", "any"])),
    st.builds(CountryIs, some(["GB", "CN", "FR"])),
    st.builds(TextLanguageIs, some(["zh", "zh-Hant", "en", ""])),
    st.builds(Mentions, some(WORDS), every=st.booleans()),
    st.builds(IsReturning, st.booleans()),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=8,
)
TEXTS = st.lists(
    st.sampled_from(
        [
            *WORDS,
            "VISA",
            "visas",
            "报社",
            "fee",
            "STRASSE",
            "asp.net",
            "the",
            "我要申请",
            ", ",
            "ai技术",
        ]
    ),
    max_size=5,
).map("".join)
SPACED = st.lists(st.sampled_from([*WORDS, "Fee", "您好", "please"]), max_size=5).map(" ".join)
FACTS = st.builds(
    Facts,
    topic=st.sampled_from(["", "press", "visits"]),
    department=st.sampled_from(["", "media"]),
    reply_language=st.sampled_from(["en", "zh-Hans", "any"]),
    country=st.sampled_from(["", "GB", "CN"]),
    text=st.one_of(TEXTS, SPACED),
    returning=st.sampled_from([None, True, False]),
    complete=st.booleans(),
)


@given(st.lists(CONDITIONS, max_size=80), FACTS)
def test_no_rule_that_holds_is_missed(conditions: list[Condition], asked: Facts) -> None:
    found = list(RuleIndex(conditions).candidates(asked))

    holding = {n for n, it in enumerate(conditions, 1) if it.holds(asked, routes())}
    assert holding <= set(found)
    assert found == sorted(found)


@given(st.lists(CONDITIONS, max_size=80), FACTS)
def test_no_rule_that_may_come_to_hold_is_missed(conditions: list[Condition], asked: Facts) -> None:
    found = RuleIndex(conditions).candidates(asked, whatever=True)

    assert {n for n, it in enumerate(conditions, 1) if it.may(asked, routes())} <= set(found)


@given(st.lists(CONDITIONS, max_size=80), FACTS)
def test_the_index_changes_no_decision(conditions: list[Condition], asked: Facts) -> None:
    published = rules(*(a_rule(f"r{n}", it, "media") for n, it in enumerate(conditions)))
    known = routes("media", topics={"press": "media"})

    decision = decide(asked, published, known)
    everything = expand(asked, published, known)

    first = next((n for n, it in enumerate(conditions, 1) if it.holds(asked, known)), None)
    assert decision.rule == first
    assert decision.why == everything[-1].why
    assert len(everything) == (first or len(conditions) + 1)


def test_only_rules_that_can_match_are_tried():
    many = [TopicIs((f"t{n}",)) for n in range(5_000)] + [
        Mentions((f"word{n}",)) for n in range(500)
    ]

    found = RuleIndex(many).candidates(facts(topic="t77", text="about word9 and word400"))

    assert list(found) == [78, 5_010, 5_401]


@pytest.mark.parametrize("extra", [0, 30], ids=["few words", "many words"])
@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("visa", "申请visa谢谢", True),
        ("visa", "visas", False),
        ("press deadline", "the press  DEADLINE is near", True),
        ("press deadline", "press, deadline", False),
        ("记者", "我是記者", True),
        ("c++", "c++!", True),
        ("技", "技", True),
        ("???", "what???", True),
    ],
)
def test_a_word_is_found_whether_few_or_many_are_looked_for(extra, word, text, found):
    others = [Mentions((f"{letter}{n}",)) for n in range(extra) for letter in ("w", "字")]
    index = RuleIndex([Mentions((word,)), *others])

    assert (1 in index.candidates(facts(text=text))) is found


# The trace of a long list


def test_a_short_list_is_kept_whole_and_a_long_one_in_parts():
    many = [a_rule(f"r{n}", TopicIs((f"t{n}",)), "media") for n in range(60)]
    many[20] = a_rule("close", AllOf((TopicIs(("t59",)), Not(TopicIs(("t59",))))), "media")
    known = routes("media")

    short = decide(facts(topic="t40"), rules(*many), known)
    long = decide(facts(topic="t59"), rules(*many), known)

    assert [f["rule"] for f in short.trace] == list(range(1, 42))
    assert [(f["rule"], f.get("last"), f["matched"]) for f in long.trace] == [
        (1, 20, False),
        (21, None, False),
        (22, 59, False),
        (60, None, True),
    ]
    assert long.trace[0]["why"]["en"] == "none of these 20 rules holds"
    assert len(expand(facts(topic="t59"), rules(*many), known)) == 60


def test_what_no_rule_of_a_long_list_caught_says_so_of_all_of_them():
    many = [a_rule(f"r{n}", TopicIs((f"t{n}",)), "media") for n in range(60)]

    decision = decide(facts(topic="?"), rules(*many), routes("media"))

    assert [(f["rule"], f.get("last"), f["matched"]) for f in decision.trace] == [
        (1, 60, False),
        (61, None, True),
    ]

"""Where an enquiry goes, and the reasons given for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.domain.conditions import (
    CONDITIONS,
    AllOf,
    AnyOf,
    Condition,
    CountryIs,
    DepartmentIs,
    Facts,
    Mentions,
    Not,
    ReplyLanguageIs,
    Routes,
    RuleInvalid,
    TopicIs,
    read_condition,
    write_condition,
)
from directory.domain.routing import RuleSet, decide, may_change
from tests.builders import a_rule, a_target, facts, routes, rules


def went_to(asked: Facts, published: RuleSet, known: Routes) -> str:
    """The slug of the department that answers."""
    decided = decide(asked, published, known)
    return next(t.slug for t in known.targets.values() if t.id == decided.department_id)


# Order


def test_the_first_rule_that_matches_decides():
    published = rules(
        a_rule("media", Mentions(("newspaper",))), a_rule("parking", Mentions(("gate",)))
    )
    known = routes("media", "parking")

    both = facts(text="A newspaper asks about the gate")
    assert went_to(both, published, known) == "media"
    assert went_to(facts(text="The gate"), published, known) == "parking"


def test_an_ordinary_rule_comes_before_the_department_the_visitor_chose():
    published = rules(a_rule("media", TopicIs(("press",))))
    known = routes("media", "parking")

    decision = decide(facts(topic="press", department="parking"), published, known)

    assert (decision.reason, decision.rule, decision.rule_id) == ("rule", 1, "media")


def test_the_department_chosen_comes_before_the_topics():
    known = routes("media", "parking", topics={"press": "media"})

    decision = decide(facts(topic="press", department="parking"), rules(), known)

    assert (decision.reason, decision.recipient) == ("department", "parking@institute.example")
    assert decision.rule is None and decision.rule_id is None


def test_the_topics_department_comes_before_the_last_rule():
    known = routes("media", topics={"press": "media"})

    decision = decide(facts(topic="press"), rules(), known)

    assert (decision.reason, decision.recipient) == ("topic", "media@institute.example")


def test_what_nothing_decides_goes_where_the_last_rule_says():
    decision = decide(facts(topic="unheard-of"), rules(last="media"), routes("media"))

    assert (decision.reason, decision.recipient) == ("fallback", "media@institute.example")
    # A position is given for a rule that matched; the last one is pinned below all.
    assert decision.rule is None and decision.rule_id == "everything-else"


@pytest.mark.parametrize("where", ["rule", "last", "topic", "department"])
def test_a_target_that_is_gone_leads_to_the_desk_and_never_nowhere(where):
    known = routes("parking", topics={"press": "gone" if where == "topic" else "parking"})
    published = rules(a_rule("gone", TopicIs(("press",))), last="gone")
    if where != "rule":
        published = rules(last="gone")
    asked = facts(
        topic="" if where == "last" else "press",
        department="gone" if where == "department" else "",
    )

    decision = decide(asked, published, known)

    assert decision.recipient == (
        "parking@institute.example" if where == "department" else "desk@institute.example"
    )


# Reasons


def test_a_decision_names_the_rules_it_passed_over():
    published = rules(
        a_rule("chinese", ReplyLanguageIs(("zh-Hans",)), "media"),
        a_rule("fines", Mentions(("fine",)), "parking"),
    )

    decision = decide(facts(text="My fine is wrong"), published, routes("media", "parking"))

    assert [(f["rule"], f["matched"], f["why"]["en"]) for f in decision.trace] == [
        (1, False, "reply language is not Chinese"),
        (2, True, "mentions “fine”"),
    ]
    assert decision.trace[0]["why"]["zh-Hans"] == "回复语言不是中文"
    assert decision.why == decision.trace[1]["why"]


def test_the_steps_after_the_rules_stand_in_the_trace_too():
    published = rules(a_rule("media", TopicIs(("press",))))
    known = routes("media", "parking", topics={"permits": "parking"})

    decision = decide(facts(topic="permits"), published, known)

    assert [f["why"]["en"] for f in decision.trace] == ["topic is not press", "topic is Permits"]
    assert decision.trace[-1]["rule"] is None


@pytest.mark.parametrize(
    ("condition", "holds", "why", "chinese"),
    [
        (TopicIs(("press", "jobs")), True, "topic is Press or jobs", "咨询事项是press事项或jobs"),
        (DepartmentIs(("media",)), False, "department chosen is not Media", "所选部门不是Media处"),
        (CountryIs(("GB",)), True, "country is United Kingdom", "国家或地区是英国"),
        (ReplyLanguageIs(("any",)), False, "reply language is not either", "回复语言不是均可"),
        (Mentions(("gate", "car")), True, "mentions “gate”", "提到“gate”"),
        (Mentions(("bus", "car")), False, "does not mention “bus” or “car”", "未提到“bus”或“car”"),
        (Mentions(("gate", "car"), every=True), False, "does not mention “car”", "未提到“car”"),
        (
            Mentions(("gate", "north"), every=True),
            True,
            "mentions “gate” and “north”",
            "提到“gate”和“north”",
        ),
        (
            AllOf((TopicIs(("press",)), CountryIs(("GB",)))),
            True,
            "topic is Press and country is United Kingdom",
            "咨询事项是press事项，且国家或地区是英国",
        ),
        (AllOf((TopicIs(("x",)), CountryIs(("GB",)))), False, "topic is not x", "咨询事项不是x"),
        (
            AnyOf((TopicIs(("x",)), Mentions(("gate",)))),
            True,
            "mentions “gate”",
            "提到“gate”",
        ),
        (Not(TopicIs(("x",))), True, "topic is not x", "咨询事项不是x"),
        (Not(TopicIs(("press",))), False, "topic is Press", "咨询事项是press事项"),
    ],
    ids=str,
)
def test_a_condition_says_in_both_languages_why_it_holds_or_not(condition, holds, why, chinese):
    known = routes("media", topics={"press": "media"})
    asked = facts(topic="press", country="GB", reply_language="en", text="The north gate")

    held, said = condition.examine(asked, known)

    assert held is holds
    assert said == {"en": why, "zh-Hans": chinese}


# Words


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("fine", "My FINE is wrong", True),
        ("fine", "The definition is refined", False),
        ("fine", "ｆｉｎｅ!", True),
        ("press deadline", "a press\n  deadline today", True),
        ("press deadline", "press, deadline", False),
        ("记者", "我是日报记者。", True),
        ("報社", "报社", True),
        ("报社", "我在報社工作", True),
        ("visa", "申请visa谢谢", True),
        ("visa", "申请visas谢谢", False),
        ("c++", "a c++ course", True),
        ("straße", "STRASSE", True),
        ("fine.", "all fine", False),
        (".*", "anything", False),
    ],
)
def test_words_are_whole_where_words_are_spaced_and_case_and_width_do_not_count(word, text, found):
    held, _ = Mentions((word,)).examine(facts(text=text), routes())

    assert held is found


# A live mailbox for everyone


@pytest.mark.parametrize(
    ("parking", "others", "recipient", "passed_over"),
    [
        ({"deputy": "media"}, [], "media@institute.example", ["parking"]),
        ({"backup_email": "night@x.example"}, [], "night@x.example", ["parking"]),
        ({}, [], "desk@institute.example", ["parking"]),
        ({"deputy": "gone"}, [], "desk@institute.example", ["parking"]),
        (
            {"deputy": "media"},
            [a_target("media", mailbox="", deputy="parking")],
            "desk@institute.example",
            ["parking", "media"],
        ),
        (
            {"deputy": "media"},
            [a_target("media", mailbox="", deputy="media")],
            "desk@institute.example",
            ["parking", "media"],
        ),
        (
            {},
            [a_target("desk", mailbox="", last_mailbox="old@x.example")],
            "old@x.example",
            ["parking"],
        ),
        (
            {},
            [
                a_target(
                    "desk", mailbox="", backup_email="b@x.example", last_mailbox="old@x.example"
                )
            ],
            "b@x.example",
            ["parking"],
        ),
    ],
    ids=["deputy", "backup", "desk", "no such deputy", "ring", "itself", "last", "desk's backup"],
)
def test_a_department_without_a_live_mailbox_passes_to_one_that_is_read(
    parking, others, recipient, passed_over
):
    known = routes(a_target("parking", mailbox="", **parking), *others)
    if "media" not in known.targets:
        known = routes(a_target("parking", mailbox="", **parking), "media", *others)

    decision = decide(facts(department="parking"), rules(), known)

    assert (decision.recipient, decision.passed_over) == (recipient, passed_over)


SLUGS = st.sampled_from(["", "parking", "media", "desk", "gone"])
ANY_FACTS = st.builds(
    Facts,
    topic=st.sampled_from(["", "press", "permits", "gone"]),
    department=SLUGS,
    reply_language=st.sampled_from(["en", "zh-Hans", "any", "?"]),
    country=st.sampled_from(["", "GB", "CN", "??"]),
    text=st.text(alphabet="ab 记 fine", max_size=12),
    complete=st.booleans(),
)
LEAVES = st.one_of(
    st.builds(TopicIs, st.lists(st.sampled_from(["press", "permits"]), min_size=1).map(tuple)),
    st.builds(DepartmentIs, st.just(("media",))),
    st.builds(ReplyLanguageIs, st.just(("zh-Hans",))),
    st.builds(CountryIs, st.just(("GB",))),
    st.builds(Mentions, st.lists(st.sampled_from(["a", "fine", "记"]), min_size=1).map(tuple)),
)
CONDITION = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=6,
)
RULE_SETS = st.builds(
    lambda pairs, last: rules(
        *(a_rule(f"r{n}", when, to) for n, (when, to) in enumerate(pairs)), last=last
    ),
    st.lists(st.tuples(CONDITION, st.sampled_from(["parking", "media", "gone"])), max_size=4),
    st.sampled_from(["desk", "gone"]),
)
TARGETS = st.lists(
    st.builds(
        a_target,
        st.sampled_from(["parking", "media", "desk"]),
        mailbox=st.sampled_from(["", "m@x.example"]),
        last_mailbox=st.just("last@x.example"),
        deputy=SLUGS,
        backup_email=st.sampled_from(["", "b@x.example"]),
    ),
    unique_by=lambda target: target.slug,
)


@given(ANY_FACTS, RULE_SETS, TARGETS)
def test_every_enquiry_has_a_recipient_whatever_the_rules_and_whoever_is_gone(asked, published, to):
    if all(target.slug != "desk" for target in to):
        to = [*to, a_target("desk")]
    decision = decide(asked, published, routes(*to, topics={"press": "media", "permits": "gone"}))

    assert decision.recipient
    assert decision.department_id in {target.id for target in to}
    assert decision.trace[-1]["matched"] is True


# What a preview may promise


@given(ANY_FACTS, RULE_SETS, st.lists(st.text(alphabet="ab fine记", max_size=8), max_size=3))
def test_a_destination_shown_as_certain_is_kept_whatever_is_typed_after(asked, published, texts):
    known = routes("parking", "media", topics={"press": "media"})
    before = replace(asked, complete=False)

    if not may_change(before, published, known):
        shown = decide(before, published, known).department_id
        for text in ["", *texts]:
            sent = replace(asked, text=text, complete=True)
            assert decide(sent, published, known).department_id == shown


def test_words_to_be_typed_make_a_destination_uncertain_only_where_they_count():
    by_words = a_rule("media", AllOf((TopicIs(("not-sure",)), Mentions(("newspaper",)))))
    known = routes("media", "parking", topics={"permits": "parking"})

    assert may_change(facts(topic="not-sure", complete=False), rules(by_words), known)
    assert not may_change(facts(topic="permits", complete=False), rules(by_words), known)
    assert not may_change(facts(topic="not-sure", complete=False), rules(), known)


# Rule files


RULE_FILE: list[dict[str, Any]] = [
    {
        "id": "applications",
        "name": {"en": "Applications", "zh-Hans": "申请"},
        "when": {
            "all": [
                {"topic": ["apply"]},
                {"reply_language": ["zh-Hans"]},
                {"country": ["CN"]},
                {"department": ["admissions"]},
                {"words": {"any": ["visa"], "language": "en"}},
                {"not": {"words": {"all": ["job", "vacancy"]}}},
                {"any": [{"topic": ["visits"]}, {"topic": ["jobs"]}]},
            ]
        },
        "send_to": "admissions",
    },
    {"id": "rest", "name": {"en": "Rest"}, "send_to": "desk"},
]


def test_rules_are_written_as_they_were_read():
    assert RuleSet.read(1, RULE_FILE).write() == RULE_FILE


@given(CONDITION)
def test_any_condition_reads_back_from_what_it_writes(condition: Condition) -> None:
    assert read_condition(write_condition(condition)) == condition


def test_every_condition_has_a_word_of_its_own():
    assert set(CONDITIONS) == {
        *("topic", "department", "reply_language", "text_language", "country", "words"),
        *("open", "source", "origin", "answer", "returning", "all", "any", "not"),
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"id": "x", "send_to": "y", "when": {"topic": "t"}, "cpoy": []}, "there is no “cpoy”"),
        ({"id": "x", "when": {"topic": ["t"]}}, "“send_to” is missing"),
        ({"id": "x", "send_to": "y", "when": {"tpoic": ["t"]}}, "no condition “tpoic”"),
        ({"id": "x", "send_to": "y", "when": {"topic": []}}, "“topic” needs a list of texts"),
        ({"id": "x", "send_to": "y", "when": {"topic": [1]}}, "“topic” needs a list of texts"),
        ({"id": "x", "send_to": "y", "when": ["topic"]}, "one name with its value"),
        (
            {"id": "x", "send_to": "y", "when": {"topic": ["a"], "country": ["GB"]}},
            "one name with its value",
        ),
        ({"id": "x", "send_to": "y", "when": {"all": {"topic": ["a"]}}}, "a list of conditions"),
        ({"id": "x", "send_to": "y", "when": {"words": ["a"]}}, "either “any” or “all”"),
        (
            {"id": "x", "send_to": "y", "when": {"words": {"any": ["a"], "all": ["b"]}}},
            "either “any” or “all”",
        ),
        (
            {"id": "x", "send_to": "y", "when": {"words": {"any": ["a"], "lang": "en"}}},
            "does not know lang",
        ),
    ],
)
def test_a_rule_that_cannot_be_read_is_named_with_what_is_wrong(value, said):
    with pytest.raises(RuleInvalid, match="rule “x”") as refused:
        RuleSet.read(1, [value, {"id": "rest", "send_to": "desk"}])

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "a last rule that catches everything"),
        ([{"id": "a", "send_to": "x", "when": {"topic": ["t"]}}], "a last rule"),
        ([{"id": "a", "send_to": "x"}, {"id": "b", "send_to": "x"}], "“a” has no condition"),
        (
            [
                {"id": "a", "send_to": "x", "when": {"topic": ["t"]}},
                {"id": "a", "send_to": "x"},
            ],
            "“a”",
        ),
    ],
    ids=["empty", "no last", "two last", "same id"],
)
def test_a_rule_set_has_one_last_rule_and_no_two_of_one_name(values, said):
    with pytest.raises(RuleInvalid, match=said):
        RuleSet.read(1, values)

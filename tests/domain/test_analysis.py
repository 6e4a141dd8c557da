"""What is proven of rule sets: each fault is found and shown, and nothing else is said."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, combinations, product
from typing import Any

import pytest

from directory.domain.analysis import Report, RuleFinding, Severity, Usage, analyse
from directory.domain.conditions import (
    AllOf,
    Answers,
    AnyOf,
    Condition,
    CountryIs,
    DepartmentIs,
    Facts,
    FromPage,
    FromSite,
    IsOpen,
    IsReturning,
    Mailbox,
    Mentions,
    Not,
    ReplyLanguageIs,
    Routes,
    TextLanguageIs,
    TopicIs,
)
from directory.domain.hours import OpeningHours
from directory.domain.routing import Copy, RoutingRule, RuleSet, decide, facts_from
from directory.domain.space import opening_states
from directory.domain.specimens import OPENINGS
from tests.builders import MONDAY_NOON, a_rule, a_target, routes, rules

COUNTRIES = ("CN", "FR", "GB")
KNOWN = routes(
    "media", "parking", "visits", topics={"press": "media", "permits": "parking", "visit": "visits"}
)


def examine(published: RuleSet, known: Routes = KNOWN, **more: Any) -> Report:
    return analyse(published, known, at=MONDAY_NOON, countries=COUNTRIES, **more)


def the_one(report: Report) -> RuleFinding:
    """The finding, of which there is just one."""
    assert [it.code for it in report.findings] == [report.findings[0].code], report.findings
    return report.findings[0]


def decided(finding: RuleFinding, published: RuleSet, known: Routes = KNOWN) -> Any:
    """What becomes of the finding's example."""
    return decide(facts_from(finding.example), published, known)


# Rules that are never reached


def test_rules_that_leave_room_for_one_another_are_fine():
    published = rules(
        a_rule("media", AllOf((TopicIs(("press",)), ReplyLanguageIs(("en",))))),
        a_rule("parking", AllOf((TopicIs(("permits",)), CountryIs(("CN",))))),
        a_rule("visits", AllOf((TopicIs(("visit",)), Mentions(("group", "团体"))))),
    )

    report = examine(published)

    assert report.findings == ()
    assert report.ok
    assert report.summary["en"] == "Every enquiry reaches a live mailbox"


def test_a_rule_behind_a_wider_one_is_never_reached():
    published = rules(
        a_rule("media", TopicIs(("press", "visit"))),
        a_rule("parking", AllOf((TopicIs(("press",)), Mentions(("gate",))))),
    )

    finding = the_one(examine(published))

    assert (finding.code, finding.severity) == ("rule.unreachable", "error")
    assert (finding.rule, finding.covered_by) == ("parking", ("media",))
    assert finding.text["en"] == (
        "Rule “Parking” is never reached: rule “Media”, which comes before it, "
        "takes every enquiry that it would"
    )
    assert "规则“parking规则”永远不会生效" in finding.text["zh-Hans"]
    shown = facts_from(finding.example)
    assert published.rules[1].when.holds(shown, KNOWN)
    assert decided(finding, published).rule_id == "media"


def test_several_rules_can_cover_one_together():
    published = rules(
        a_rule("unrelated", CountryIs(("FR",)), "media"),
        a_rule("english", ReplyLanguageIs(("en",)), "media"),
        a_rule(
            "others", AllOf((ReplyLanguageIs(("zh-Hans", "any")), TopicIs(("visit",)))), "media"
        ),
        a_rule("visits", TopicIs(("visit",)), "media"),
    )

    finding = the_one(examine(published))

    assert (finding.code, finding.rule) == ("rule.unreachable", "visits")
    assert finding.covered_by == ("english", "others")


def test_a_word_within_another_is_a_wider_condition():
    published = rules(
        a_rule("media", Mentions(("visa", "签证"))),
        a_rule("visits", Mentions(("visa application", "签证申请"))),
    )

    finding = the_one(examine(published))

    assert (finding.code, finding.rule) == ("rule.unreachable", "visits")
    assert finding.covered_by == ("media",)


def test_a_way_past_earlier_rules_is_found_beside_a_word_that_brings_another():
    elsewhere = tuple(code for code in (*KNOWN.topics, "") if code != "press")
    published = rules(
        a_rule("r1", AllOf((TopicIs(("press",)), Not(Mentions(("visa application",)))))),
        a_rule("r2", AllOf((Mentions(("visa",)), ReplyLanguageIs(("en",))))),
        a_rule("r3", AllOf((Mentions(("visa",)), ReplyLanguageIs(("zh-Hans", "any"))))),
        a_rule("r4", AllOf((TopicIs(elsewhere), Mentions(("gate",))))),
        # Reached by whoever asks about anything else and mentions neither.
        a_rule("media", CountryIs(("GB",))),
    )

    assert "rule.unreachable" not in {it.code for it in examine(published).findings}


def test_a_rule_that_contradicts_itself_is_never_reached():
    published = rules(a_rule("media", AllOf((TopicIs(("press",)), Not(TopicIs(("press",)))))))

    finding = the_one(examine(published))

    assert (finding.code, finding.severity, finding.covered_by) == ("rule.unreachable", "error", ())
    assert "no enquiry can meet all its conditions at once" in finding.text["en"]
    assert decided(finding, published).rule_id != "media"


@pytest.mark.parametrize(
    ("when", "named"),
    [
        (TopicIs(("jobs",)), "topic “jobs”"),
        (DepartmentIs(("library",)), "department “library”"),
        (CountryIs(("XX",)), "country “XX”"),
        (ReplyLanguageIs(("fr",)), "reply language “fr”"),
        (TopicIs(("{jobs}",)), "topic “{jobs}”"),
    ],
)
def test_a_rule_that_asks_for_what_nobody_can_choose_says_so(when, named):
    finding = the_one(examine(rules(a_rule("media", when))))

    assert (finding.code, finding.rule) == ("rule.unreachable", "media")
    assert f"asks for the {named}, which nobody can choose" in finding.text["en"]


def test_a_rule_on_hours_that_nobody_knows_is_never_reached():
    finding = the_one(examine(rules(a_rule("media", IsOpen("parking")))))

    assert (finding.code, finding.rule) == ("rule.unreachable", "media")
    assert "no opening hours are known" in finding.text["en"]


def test_hours_count_as_they_really_occur_together():
    office = OpeningHours.parse("Mo-Fr 09:00-17:00", "Asia/Shanghai")
    gate = OpeningHours.parse("Mo-Su 06:00-22:00", "Asia/Shanghai")
    known = routes(a_target("media", hours=office), a_target("parking", hours=gate), "visits")
    # The gate is open whenever the office is.
    published = rules(
        a_rule("parking", IsOpen("parking"), "visits"), a_rule("media", IsOpen("media"))
    )

    finding = the_one(examine(published, known))

    assert (finding.rule, finding.covered_by) == ("media", ("parking",))
    fine = rules(a_rule("media", IsOpen("media")), a_rule("parking", IsOpen("parking"), "media"))
    assert examine(fine, known).findings == ()


def test_the_states_of_opening_are_those_of_the_coming_year():
    morning = OpeningHours.parse("Mo-Fr 09:00-12:00", "Asia/Shanghai")
    evening = OpeningHours.parse("Mo-Fr 11:00-20:00", "Asia/Shanghai")

    states = opening_states([morning, evening], MONDAY_NOON)

    assert sorted(states) == [0b00, 0b01, 0b10, 0b11]
    assert states[0b10] == MONDAY_NOON  # 12:00 in Shanghai: the morning is over just now
    for state, instant in states.items():
        assert state == morning.open_at(instant) | evening.open_at(instant) << 1


# Overlaps


def test_rules_that_partly_share_enquiries_and_decide_otherwise_are_a_warning():
    published = rules(
        a_rule("media", ReplyLanguageIs(("en",))), a_rule("visits", TopicIs(("visit",)))
    )

    finding = the_one(examine(published))

    assert (finding.code, finding.severity) == ("rule.overlap", "warning")
    assert (finding.rule, finding.covered_by) == ("visits", ("media",))
    shown = facts_from(finding.example)
    assert all(rule.when.holds(shown, KNOWN) for rule in published.ordinary)
    assert decided(finding, published).rule_id == "media"


def test_an_exception_before_its_rule_is_worth_knowing_and_no_more():
    published = rules(
        a_rule("media", AllOf((TopicIs(("visit",)), CountryIs(("GB",))))),
        a_rule("visits", TopicIs(("visit",))),
    )

    finding = the_one(examine(published))

    assert (finding.code, finding.severity) == ("rule.overlap", "info")
    assert finding.text["en"] == "Exceptions to rule “Visits” come before it: “Media”"


def test_rules_that_meet_only_where_somebody_writes_the_words_of_both_are_no_warning():
    published = rules(
        a_rule("media", AllOf((ReplyLanguageIs(("en",)), Mentions(("film",))))),
        a_rule("visits", AllOf((TopicIs(("visit",)), Mentions(("group", "团体"))))),
    )

    [finding] = [it for it in examine(published).findings if it.rule == "visits"]

    assert (finding.code, finding.severity) == ("rule.overlap", "info")
    assert finding.text["en"] == (
        "Whoever writes words of rule “Visits” and of another before it is not decided by it: "
        "“Media”"
    )


def test_rules_that_do_the_same_do_not_overlap():
    published = rules(
        a_rule("english", ReplyLanguageIs(("en",)), "visits"),
        a_rule("visits", TopicIs(("visit",))),
    )
    assert examine(published).findings == ()

    copying = rules(
        a_rule("english", ReplyLanguageIs(("en",)), "visits", actions=(Copy(("media",)),)),
        a_rule("visits", TopicIs(("visit",))),
    )
    assert the_one(examine(copying)).code == "rule.overlap"


# Mailboxes


def test_a_rule_that_sends_to_a_closed_department_is_an_error():
    known = routes(a_target("media", active=False, successor="visits"), "visits")
    published = rules(a_rule("media", CountryIs(("GB",))))

    finding = the_one(examine(published, known))

    assert (finding.code, finding.severity, finding.rule) == ("target.closed", "error", "media")
    assert finding.text["en"] == "Rule “Media” sends to “Media”, which is closed"
    assert decided(finding, published, known).passed_over == ["media"]


def test_a_rule_that_sends_to_nobody_at_all_is_an_error():
    published = rules(a_rule("media", CountryIs(("GB",)), "library"))

    finding = the_one(examine(published))

    assert (finding.code, finding.severity) == ("target.closed", "error")
    assert "which does not exist" in finding.text["en"]


@pytest.mark.parametrize(
    ("last_mailbox", "code"), [("m@x.example", "target.suspended"), ("", "target.no_mailbox")]
)
def test_a_target_without_a_mailbox_is_an_error_where_only_the_desk_catches_it(last_mailbox, code):
    silent = a_target("media", mailbox="", mailbox_id=None, last_mailbox=last_mailbox)
    published = rules(a_rule("media", CountryIs(("GB",))))

    alone = examine(published, routes(silent, "visits"))
    helped = examine(published, routes(replace(silent, deputy="visits"), "visits"))

    finding = the_one(alone)
    assert (finding.code, finding.severity, finding.rule) == (code, "error", "media")
    assert not alone.ok and alone.summary["en"].startswith("Not every enquiry reaches a live mail")
    finding = the_one(helped)
    assert (finding.code, finding.severity) == (code, "warning")
    assert "“Visits” receives it instead" in finding.text["en"]
    assert helped.ok and helped.summary["en"] == "Every enquiry reaches a live mailbox"


def test_a_mailbox_that_a_rule_names_counts_as_well():
    known = replace(
        KNOWN,
        mailboxes={
            "press@x.example": Mailbox(
                "press@x.example", KNOWN.targets["media"].id, "media", live=False
            )
        },
    )
    published = rules(a_rule("press", CountryIs(("GB",)), "press@x.example"))

    finding = the_one(examine(published, known))

    assert (finding.code, finding.severity) == ("target.suspended", "warning")
    assert "press@x.example" in finding.text["en"]
    unknown = rules(a_rule("press", CountryIs(("GB",)), "nobody@x.example"))
    assert the_one(examine(unknown)).code == "target.no_mailbox"


def test_a_copy_to_nobody_is_a_warning_and_to_a_closed_department_an_error():
    known = routes(
        "media", a_target("parking", mailbox="", last_mailbox="p@x.example", deputy="media")
    )
    published = rules(a_rule("media", CountryIs(("GB",)), actions=(Copy(("parking",)),)))
    finding = the_one(examine(published, known))
    assert (finding.code, finding.severity) == ("target.suspended", "warning")

    closed = routes("media", a_target("parking", active=False))
    finding = the_one(examine(published, closed))
    assert (finding.code, finding.severity) == ("target.closed", "error")


def test_a_department_that_visitors_choose_in_vain_is_a_warning():
    known = routes("media", a_target("parking", mailbox="", last_mailbox="p@x.example"))

    finding = the_one(examine(rules(), known))

    assert (finding.code, finding.severity, finding.rule) == ("target.suspended", "warning", None)
    assert finding.example["department"] == "parking"
    assert decided(finding, rules(), known).passed_over == ["parking"]


@pytest.mark.parametrize("department", ["", "gone", "silent"])
def test_a_topic_that_only_the_desk_answers_is_an_error(department):
    known = routes("media", a_target("silent", mailbox=""), topics={"press": department})

    finding = the_one(examine(rules(), known))

    assert (finding.code, finding.severity, finding.rule) == ("route.none", "error", None)
    assert finding.example["topic"] == "press"
    assert decided(finding, rules(), known).recipient == "desk@institute.example"


def test_a_topic_whose_enquiries_rules_take_is_in_order():
    known = routes("media", topics={"press": ""})

    assert examine(rules(a_rule("media", TopicIs(("press",)))), known).findings == ()


def test_the_desk_may_answer_a_topic_itself():
    assert examine(rules(), routes(topics={"press": "desk"})).findings == ()


def test_without_a_desk_that_is_read_some_enquiry_reaches_nobody():
    known = routes(
        "media",
        a_target("desk", mailbox="", last_mailbox="desk@x.example"),
        topics={"press": "media", "else": "desk"},
    )

    report = examine(rules(), known)

    lost = [it for it in report.errors if it.code == "route.none"]
    assert {it.example.get("topic") for it in lost} >= {"else"}
    assert all(decided(it, rules(), known).recipient == "desk@x.example" for it in lost)
    assert report.summary["en"].startswith("Not every enquiry reaches a live mailbox. For example:")
    assert report.summary["zh-Hans"].startswith("并非每份咨询都能送达有效邮箱。例如：")


def test_a_mailbox_that_nobody_verified_is_a_warning_once():
    known = routes(a_target("media", verified=False), topics={"press": "media"})
    published = rules(a_rule("media", CountryIs(("GB",))))

    finding = the_one(examine(published, known))

    assert (finding.code, finding.severity, finding.rule) == ("route.none", "warning", "media")
    assert decided(finding, published, known).recipient == "media@institute.example"


@pytest.mark.parametrize(("mailbox", "severity"), [("m@x.example", "warning"), ("", "error")])
def test_deputies_in_a_circle_are_found(mailbox, severity):
    known = routes(
        a_target("media", mailbox=mailbox, deputy="parking"),
        a_target("parking", mailbox="", deputy="visits"),
        a_target("visits", mailbox="", deputy="parking"),
    )
    if mailbox:
        known = routes(
            a_target("parking", deputy="visits"), a_target("visits", deputy="parking"), "media"
        )

    finding = the_one(examine(rules(), known))

    assert (finding.code, finding.severity) == ("cover.cycle", severity)
    assert "“Parking” and “Visits”" in finding.text["en"]
    assert finding.example["department"] in {"parking", "visits"}


# Words


def test_words_of_one_language_alone_are_a_warning():
    published = rules(a_rule("visits", AllOf((TopicIs(("visit",)), Mentions(("group", "tour"))))))

    finding = the_one(examine(published))

    assert (finding.code, finding.severity) == ("words.one_language", "warning")
    assert "no words in Chinese" in finding.text["en"]
    shown = facts_from(finding.example)
    assert shown.topic == "visit" and shown.language == "zh-Hans"
    assert decided(finding, published).rule_id is None


@pytest.mark.parametrize(
    "when",
    [
        AllOf((Mentions(("group",)), ReplyLanguageIs(("en",)))),
        AllOf((Mentions(("group",)), TextLanguageIs(("en",)))),
        AnyOf((Mentions(("group",), language="en"), Mentions(("团体",), language="zh-Hans"))),
        AnyOf((Mentions(("group",)), CountryIs(("GB",)))),
        Mentions(("2026",)),
        Not(Mentions(("group",))),
    ],
)
def test_words_that_only_one_language_can_have_are_fine(when):
    assert examine(rules(a_rule("visits", when))).findings == ()


def test_the_same_word_in_two_rules_that_one_enquiry_can_match_is_a_warning():
    published = rules(
        a_rule("media", AllOf((CountryIs(("GB",)), Mentions(("group", "团体"))))),
        a_rule("visits", AllOf((TopicIs(("visit",)), Mentions(("Group", "参观")))), "media"),
    )

    finding = the_one(examine(published))

    assert (finding.code, finding.severity) == ("words.repeated", "warning")
    assert (finding.rule, finding.covered_by) == ("visits", ("media",))
    shown = facts_from(finding.example)
    assert all(rule.when.holds(shown, KNOWN) for rule in published.ordinary)

    apart = rules(
        a_rule("media", AllOf((TopicIs(("press",)), Mentions(("group", "团体"))))),
        a_rule("visits", AllOf((TopicIs(("visit",)), Mentions(("group", "团体"))))),
    )
    assert examine(apart).findings == ()


# Use


def use(decided: int, moved: int = 0, days: int = 200) -> list[Usage]:
    return [Usage("media", MONDAY_NOON - timedelta(days=days), decided, moved)]


def test_a_rule_that_decided_nothing_in_ninety_days_is_a_warning():
    published = rules(a_rule("media", CountryIs(("GB",))))

    finding = the_one(examine(published, usage=use(0)))

    assert (finding.code, finding.severity, finding.rule) == ("rule.unused", "warning", "media")
    assert decided(finding, published).rule_id == "media"
    assert examine(published, usage=use(0, days=89)).findings == ()
    assert examine(published, usage=use(1)).findings == ()


def test_a_rule_whose_enquiries_are_often_moved_on_is_a_warning():
    published = rules(a_rule("media", CountryIs(("GB",))))

    finding = the_one(examine(published, usage=use(10, moved=2)))

    assert (finding.code, finding.severity, finding.rule) == (
        "rule.often_moved",
        "warning",
        "media",
    )
    assert finding.text["en"].startswith("2 of the 10 enquiries")
    assert examine(published, usage=use(11, moved=2)).findings == ()
    assert examine(published, usage=use(4, moved=4)).findings == ()


# Pages, sites, answers and returning visitors


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (FromPage(("/visit",)), FromPage(("/visit/map",))),
        (
            FromSite(("https://a.example",)),
            AllOf((FromSite(("https://a.example",)), IsReturning(True))),
        ),
        (FromPage(("/visit",)), FromPage(("https://a.example/visit/map",))),
        (
            Answers((("abroad", ("yes", "soon")),)),
            Answers((("abroad", ("yes",)), ("group", ("no",)))),
        ),
    ],
)
def test_pages_sites_and_answers_are_seen_through(wide, narrow):
    hidden = rules(a_rule("media", wide), a_rule("visits", narrow, "media"))
    finding = the_one(examine(hidden))
    assert (finding.code, finding.rule) == ("rule.unreachable", "visits")

    fine = rules(a_rule("visits", narrow), a_rule("media", wide))
    finding = the_one(examine(fine))
    assert (finding.code, finding.severity) == ("rule.overlap", "info")
    assert decided(finding, fine).rule_id == "visits"


def test_a_condition_of_an_installed_package_is_free_to_hold_or_not():
    class FullMoon(Condition):
        key = "full_moon"

        @classmethod
        def read(cls, value: Any) -> FullMoon:
            return cls()

        def write(self) -> bool:
            return True

        def examine(self, facts: Facts, known: Routes) -> tuple[bool, dict[str, str]]:
            return False, {"en": "no full moon", "zh-Hans": "不是满月"}

    both = rules(a_rule("media", FullMoon()), a_rule("visits", Not(FullMoon()), "media"))
    assert examine(both).findings == ()

    twice = rules(a_rule("media", FullMoon()), a_rule("visits", FullMoon(), "media"))
    finding = the_one(examine(twice))
    # Certain, although nobody here can bring about a full moon, so that no example shows it.
    assert (finding.code, finding.severity) == ("rule.unreachable", "error")
    assert (finding.covered_by, finding.example) == (("media",), {})


def test_what_may_only_seem_to_be_reached_is_for_information():
    class FullMoon(Condition):
        key = "full_moon"

        @classmethod
        def read(cls, value: Any) -> FullMoon:
            return cls()

        def write(self) -> bool:
            return True

        def examine(self, facts: Facts, known: Routes) -> tuple[bool, dict[str, str]]:
            return False, {"en": "no full moon", "zh-Hans": "不是满月"}

    # Whether anything ever goes to this mailbox only the package knows.
    known = routes("media", a_target("visits", verified=False))
    published = rules(
        a_rule("night", FullMoon(), "visits"), a_rule("visits", DepartmentIs(("visits",)), "media")
    )

    [finding] = [it for it in examine(published, known).findings if it.code == "route.none"]

    assert (finding.severity, finding.rule) == ("info", "night")
    assert "no example could be written" in finding.text["en"]


# What takes too long


def test_what_cannot_be_settled_in_time_is_said_and_not_passed_over():
    # Ten pigeons and nine holes: no enquiry fits, and that takes for ever to see.
    holes = range(9)
    words = [[f"pigeon{p}hole{h}" for h in holes] for p in range(10)]
    apart = [
        AllOf((Mentions((words[p][h],)), Mentions((words[q][h],))))
        for h in holes
        for p, q in combinations(range(10), 2)
    ]
    everywhere = AllOf(tuple(Mentions(tuple(row)) for row in words))
    published = rules(
        a_rule("apart", AnyOf(tuple(apart)), "media"),
        *(a_rule(f"pigeon{n}", Not(Mentions(tuple(row))), "media") for n, row in enumerate(words)),
        a_rule("visits", TopicIs(("visit",)), "media"),
        a_rule("parking", everywhere, "media"),
    )

    report = examine(published)

    found = {it.rule: it for it in report.findings if it.code == "rule.unreachable"}
    assert found["visits"].severity is Severity.INFO
    assert "could not be found out" in found["visits"].text["en"]
    assert found["parking"].severity is Severity.INFO


def test_of_very_many_overlaps_the_first_are_named():
    published = rules(
        *(a_rule(f"r{n}", Mentions((f"word{n}", f"第{n}词")), "media") for n in range(250)),
        a_rule("visits", Mentions(("group", "团体"))),
    )

    finding = next(it for it in examine(published).findings if it.rule == "visits")

    assert finding.covered_by == tuple(f"r{n}" for n in range(200))
    assert finding.text["en"].endswith("it: “R0” and “R1” and “R2” and “R3” and “R4” and many more")


# A thousand rule sets, each held against every enquiry there is

ORIGINS = ("https://a.example", "https://b.example")
WORDS = ("visa", "visa application", "gate", "签证", "签证申请")
TEXTS = {
    language: " ".join([opening] * 12)
    for language, opening in (
        ("en", OPENINGS["en"][0]),
        ("zh-Hans", OPENINGS["zh-Hans"][0]),
        ("zh-Hant", OPENINGS["zh-Hant"][0]),
        ("ru", OPENINGS["ru"][0]),
    )
}
# What the rules of one set ask for: few kinds each, so that every enquiry can be tried.
KINDS = (
    ("topic", "department", "reply", "country"),
    ("topic", "reply", "open"),
    ("topic", "words"),
    ("reply", "words"),
    ("words", "language"),
    ("department", "country", "more"),
    ("country", "open", "more"),
    ("topic", "page"),
    ("page", "reply"),
)
OFFICE = OpeningHours.parse("Mo-Fr 09:00-17:00", "Asia/Shanghai")
COUNTER = OpeningHours.parse("We-Sa 12:00-20:00", "Asia/Shanghai")
HOURS = [MONDAY_NOON + timedelta(hours=n) for n in range(7 * 24)]


@dataclass
class Small:
    """A small rule set in a small directory, and every enquiry that its rules tell apart."""

    published: RuleSet
    known: Routes
    enquiries: list[tuple[Facts, tuple[Any, ...]]]

    def matching(self) -> Iterator[tuple[Facts, list[int]]]:
        """Each enquiry with the places of the rules that match it."""
        places: dict[tuple[Any, ...], list[int]] = {}
        for asked, seen in self.enquiries:
            if seen not in places:
                places[seen] = [
                    place
                    for place, rule in enumerate(self.published.ordinary)
                    if rule.when.holds(asked, self.known)
                ]
            yield asked, places[seen]


def a_small_set(seed: int) -> Small:
    chance = random.Random(seed)
    known = a_small_directory(chance)
    kinds = chance.choice(KINDS)
    made = [
        RoutingRule(
            id=f"r{n}",
            name={"en": f"Rule {n}", "zh-Hans": f"规则{n}"},
            when=a_condition(chance, kinds, 3),
            send_to=chance.choice(["media", "parking", "visits"]),
        )
        for n in range(chance.randint(1, 6))
    ]
    published = rules(*made)
    return Small(published, known, list(every_enquiry(kinds)))


def a_small_directory(chance: random.Random) -> Routes:
    def one(slug: str) -> Any:
        state = chance.choice(["verified"] * 4 + ["unverified", "silent"])
        return a_target(
            slug,
            verified=state != "unverified",
            hours={"media": OFFICE, "parking": COUNTER}.get(slug),
            deputy=chance.choice(["", "", "media", "parking", "visits", "desk"]),
            **({"mailbox": "", "last_mailbox": f"{slug}@x.example"} if state == "silent" else {}),
        )

    return routes(
        *(one(slug) for slug in ("media", "parking", "visits", "desk")),
        topics={"press": "media", "permits": chance.choice(["parking", "", "desk"])},
    )


def a_condition(chance: random.Random, kinds: Sequence[str], depth: int) -> Condition:
    if depth and chance.random() < 0.5:
        parts = tuple(a_condition(chance, kinds, depth - 1) for _ in range(chance.randint(1, 3)))
        return chance.choice([AllOf(parts), AnyOf(parts), Not(parts[0])])

    def some(*values: str) -> tuple[str, ...]:
        return tuple(chance.sample(values, chance.randint(1, len(values) - 1)))

    match chance.choice(kinds):
        case "topic":
            return TopicIs(some("press", "permits", "unheard-of"))
        case "department":
            return DepartmentIs(some("media", "parking", "gone"))
        case "reply":
            return ReplyLanguageIs(some("en", "zh-Hans", "any"))
        case "country":
            return CountryIs(some("CN", "GB", "FR"))
        case "words":
            return Mentions(some(*WORDS), every=chance.random() < 0.3)
        case "language":
            return TextLanguageIs(some("en", "zh-Hans", "zh"))
        case "open":
            return IsOpen(chance.choice(["media", "parking"]))
        case "page":
            if chance.random() < 0.5:
                return FromSite(some(*ORIGINS, "https://c.example"))
            return FromPage(some("/visit", "/visit/map", f"{ORIGINS[0]}/visit"))
        case _:
            if chance.random() < 0.5:
                return IsReturning(chance.random() < 0.5)
            return Answers((("abroad", some("yes", "no", "soon")),))


def every_enquiry(kinds: Sequence[str]) -> Iterator[tuple[Facts, tuple[Any, ...]]]:
    """One enquiry for every way in which rules on *kinds* can see one, and what they see of it."""
    choices: dict[str, Sequence[Any]] = {
        "topic": ["press", "permits", ""],
        "department": ["", "media", "parking", "visits", "desk"],
    }
    if "reply" in kinds:
        choices["reply_language"] = ["en", "zh-Hans", "any"]
    if "country" in kinds:
        choices["country"] = ["", *COUNTRIES]
    if "words" in kinds:
        subsets = chain.from_iterable(combinations(WORDS, n) for n in range(len(WORDS) + 1))
        said = [" / ".join(words) for words in subsets]
        spoken = TEXTS.values() if "language" in kinds else [""]
        choices["text"] = [f"{text} {words}" for text in spoken for words in said]
    if "open" in kinds:
        states = {(OFFICE.open_at(at), COUNTER.open_at(at)): at for at in HOURS}
        choices["at"] = list(states.values())
    if "page" in kinds:
        paths = ["/", "/visit", "/visit/map"]
        choices["page"] = [
            (source, origin)
            for source in ["", *paths, *(site + path for site in ORIGINS for path in paths)]
            for origin in ("", *ORIGINS, "https://c.example", "https://d.example")
            if origin or not source.startswith("https")
        ]
    if "more" in kinds:
        choices["returning"] = [False, True]
        choices["answers"] = [{}, *({"abroad": value} for value in ("yes", "no", "soon"))]
    unseen = {"topic", "department"} - {*kinds}
    for numbers in product(*(range(len(values)) for values in choices.values())):
        fields = {name: choices[name][n] for name, n in zip(choices, numbers, strict=True)}
        seen = tuple(0 if name in unseen else n for name, n in zip(choices, numbers, strict=True))
        source, origin = fields.pop("page", ("", ""))
        yield Facts(**{"at": MONDAY_NOON, "source": source, "origin": origin, **fields}), seen


SEEDS = range(0, 1_000, 50)


@pytest.mark.parametrize("first", SEEDS)
def test_a_thousand_small_sets_agree_with_trying_every_enquiry(first):
    for seed in range(first, first + 50):
        small = a_small_set(seed)
        report = analyse(small.published, small.known, at=MONDAY_NOON, countries=COUNTRIES)
        matching = list(small.matching())
        check_reach(small, report, matching)
        check_overlaps(small, report, matching)
        check_arrival(small, report, matching)


def check_reach(small: Small, report: Report, matching: list[tuple[Facts, list[int]]]) -> None:
    ids = [rule.id for rule in small.published.ordinary]
    alive = {ids[places[0]] for _, places in matching if places}
    found = {it.rule: it for it in report.findings if it.code == "rule.unreachable"}
    assert found.keys() == set(ids) - alive
    for id, finding in found.items():
        assert finding.severity is Severity.ERROR and finding.example
        place = ids.index(id)
        covered = [set(places) for _, places in matching if place in places]
        by = {ids.index(other) for other in finding.covered_by}
        assert all(other < place for other in by)
        assert all(places & by for places in covered)
        assert bool(by) is bool(covered)
        for spared in by:
            assert not all(places & (by - {spared}) for places in covered)
        shown = facts_from(finding.example)
        decided_by = decide(shown, small.published, small.known).rule
        if by:
            assert small.published.rules[place].when.holds(shown, small.known)
            assert decided_by is not None and decided_by <= place
        else:
            assert decided_by != place + 1


def check_overlaps(small: Small, report: Report, matching: list[tuple[Facts, list[int]]]) -> None:
    made = small.published.ordinary
    alive = {places[0] for _, places in matching if places}
    differ: dict[int, set[int]] = {}
    decided: set[int] = set()
    for _, places in matching:
        for place in places:
            others = [n for n in places if n < place and made[n].send_to != made[place].send_to]
            if place in alive:
                differ.setdefault(place, set()).update(set(others) & alive)
                if places[0] in others:
                    decided.add(place)
    wanted = {
        made[place].id: [made[n].id for n in sorted(others)]
        for place, others in differ.items()
        if place in decided
    }
    found = {it.rule: it for it in report.findings if it.code == "rule.overlap"}
    assert {id: list(it.covered_by) for id, it in found.items()} == wanted
    for id, finding in found.items():
        shown = facts_from(finding.example)
        rule = next(rule for rule in made if rule.id == id)
        assert rule.when.holds(shown, small.known)
        first = decide(shown, small.published, small.known).rule_id
        assert first in finding.covered_by


def check_arrival(small: Small, report: Report, matching: list[tuple[Facts, list[int]]]) -> None:
    known = small.known
    live = {t.mailbox for t in known.targets.values() if t.mailbox}
    verified = {t.mailbox for t in known.targets.values() if t.verified}
    kinds = {
        (places[0] if places else (asked.topic, asked.department)): (asked, places)
        for asked, places in matching
    }
    decisions = [
        (asked, places, decide(asked, small.published, known)) for asked, places in kinds.values()
    ]
    reached = {decision.recipient for _, _, decision in decisions}
    nowhere = [it for it in report.findings if it.code == "route.none"]

    def recipients(severity: Severity) -> list[str]:
        return [
            decide(facts_from(it.example), small.published, known).recipient
            for it in nowhere
            if it.severity is severity
        ]

    assert sorted(recipients(Severity.WARNING)) == sorted(reached & live - verified)
    assert bool(reached - live) is bool(set(recipients(Severity.ERROR)) - live)
    # Topics that only the desk catches.
    desk = known.targets["desk"].id
    abandoned = set()
    for asked, places, decision in decisions:
        topic = known.topics.get(asked.topic)
        at_desk = decision.department_id == desk and not places and not asked.department
        if at_desk and topic and not leads_to_desk(topic.department, known):
            abandoned.add(asked.topic)
    told = {
        it.example["topic"]
        for it in nowhere
        if it.severity is Severity.ERROR and it.rule is None and not it.example.get("department")
    }
    if desk_is_live := bool(known.targets["desk"].mailbox):
        assert told == abandoned
    assert abandoned <= told or not desk_is_live


def leads_to_desk(slug: str, known: Routes) -> bool:
    """Whether the desk stands in for a department by name, and not for want of anybody."""
    asked: set[str] = set()
    while slug and slug not in asked:
        asked.add(slug)
        if slug == "desk":
            return True
        slug = known.targets[slug].deputy
    return False

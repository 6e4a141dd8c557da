"""Made-up rule sets and enquiries of any size, the same for the same seed.

Fifty topics, two hundred and fifty countries, eight languages of text, words in two scripts,
opening hours, pages; about a third of the rules nested. Rules are mostly narrow, as those of an
institution are, with a few broad ones at the end; every tenth word is shared by several rules.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

from directory.domain.conditions import (
    AllOf,
    AnyOf,
    Condition,
    CountryIs,
    Facts,
    FromPage,
    IsOpen,
    Mentions,
    Not,
    ReplyLanguageIs,
    Routes,
    Target,
    TextLanguageIs,
    TopicIs,
    TopicRoute,
)
from directory.domain.hours import OpeningHours
from directory.domain.routing import RoutingRule, RuleSet

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
TOPICS = [f"topic-{n}" for n in range(50)]
DEPARTMENTS = [f"department-{n}" for n in range(60)]
COUNTRIES = [f"{a}{b}" for a in "ABCDEFGHIJ" for b in "ABCDEFGHIJKLMNOPQRSTUVWXY"]
LANGUAGES = ["en", "zh-Hans", "zh-Hant", "ja", "ko", "fr", "de", "es"]
_SYLLABLES = ["ka", "lo", "mi", "ren", "su", "ta", "vel", "dor", "pin", "ga"]
_CHARACTERS = "科研合作专利许可人才岗位来访会议新闻采访预约实验室设备费用合同签证住宿交通"


def routes() -> Routes:
    """The directory the rules name: every department with a mailbox, every third with hours."""
    targets = {
        slug: Target(
            id=UUID(int=n + 1),
            slug=slug,
            name={"en": slug.capitalize(), "zh-Hans": f"部门{n}"},
            mailbox=f"{slug}@institute.example",
            mailbox_id=UUID(int=n + 1_000),
            hours=OpeningHours.parse("Mo-Fr 09:00-17:00", "Asia/Shanghai") if n % 3 == 0 else None,
        )
        for n, slug in enumerate(["desk", *DEPARTMENTS])
    }
    topics = {
        code: TopicRoute(
            code=code,
            label={"en": code.capitalize(), "zh-Hans": f"事项{n}"},
            department=DEPARTMENTS[n],
        )
        for n, code in enumerate(TOPICS)
    }
    countries = {code: {"en": code, "zh-Hans": code} for code in COUNTRIES}
    return Routes(targets=targets, topics=topics, desk="desk", countries=countries)


def word(rng: random.Random, size: int) -> str:
    """A word of the rules: Latin or Chinese, of a stock that grows with *size*."""
    if rng.random() < 0.5:
        return "".join(rng.choices(_SYLLABLES, k=2 + (size > 100) + (size > 1_000)))
    return "".join(rng.choices(_CHARACTERS, k=2 + (size > 100)))


def _condition(rng: random.Random, size: int) -> Condition:
    asked: list[Condition] = [TopicIs((rng.choice(TOPICS),))]
    kind = rng.random()
    if kind < 0.4:
        asked.append(CountryIs(tuple(rng.sample(COUNTRIES, rng.choice((1, 3, 20))))))
    if 0.2 < kind < 0.6:
        asked.append(Mentions(tuple(word(rng, size) for _ in range(3)), language=""))
    if kind > 0.5:
        asked.append(ReplyLanguageIs((rng.choice(("en", "zh-Hans")),)))
    if kind > 0.7:
        asked.append(
            AnyOf(
                (
                    Mentions((word(rng, size), word(rng, size))),
                    AllOf((TextLanguageIs(("zh",)), CountryIs((rng.choice(COUNTRIES),)))),
                )
            )
        )
    if kind > 0.85:
        asked.append(Not(CountryIs((rng.choice(COUNTRIES),))))
    if rng.random() < 0.05:
        asked.append(IsOpen(DEPARTMENTS[rng.randrange(20) * 3 + 2]))
    if rng.random() < 0.05:
        asked.append(FromPage((f"/page-{rng.randrange(20)}",)))
    return AllOf(tuple(asked))


def rule_set(size: int, *, seed: int = 1) -> RuleSet:
    """*size* ordinary rules and the last."""
    rng = random.Random(seed)
    rules = [
        RoutingRule(
            id=f"rule-{n}",
            name={"en": f"Rule {n}", "zh-Hans": f"规则{n}"},
            when=_condition(rng, size),
            send_to=rng.choice(DEPARTMENTS),
        )
        for n in range(size)
    ]
    last = {"en": "Everything else", "zh-Hans": "其余咨询"}
    return RuleSet(1, (*rules, RoutingRule(id="desk", name=last, when=None, send_to="desk")))


_ENGLISH = (
    "Good morning, I would like to know how we can work together with your laboratory on {} and "
    "whom to ask about the costs. We hope to visit in the spring, if that is possible. {}"
)
_CHINESE = "您好，我们希望与贵院就{}开展合作，请问应当联系哪个部门？另外想了解{}的费用和时间安排。"


def enquiries(count: int, size: int, *, seed: int = 2) -> list[Facts]:
    """*count* enquiries of usual length; some mention words of the rules."""
    rng = random.Random(seed)
    made = []
    for n in range(count):
        text = rng.choice((_ENGLISH, _CHINESE)).format(word(rng, size), word(rng, size))
        made.append(
            Facts(
                topic=rng.choice(TOPICS),
                department=rng.choice(DEPARTMENTS) if rng.random() < 0.2 else "",
                reply_language=rng.choice(("en", "zh-Hans", "any")),
                country=rng.choice(COUNTRIES) if rng.random() < 0.8 else "",
                text=text,
                at=NOW + timedelta(minutes=7 * n),
                source=f"https://www.institute.example/page-{rng.randrange(40)}",
            )
        )
    return made

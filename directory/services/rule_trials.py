"""Rules tried before they count: on kept examples, and on one enquiry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from directory.adapters.queries import Published, load_published, published_key
from directory.domain.conditions import Why
from directory.domain.contacts import Department, localised
from directory.domain.enquiry import Decision, Finding
from directory.domain.hours import OpeningHours
from directory.domain.routing import Example, RuleSet, decide, expand, facts_from
from directory.parts import CountryNames
from directory.settings import Settings


def as_published(
    session: Session, rules: RuleSet, *, settings: Settings, now: datetime
) -> Published:
    """What would decide at *now* if *rules* did, in the directory as *session* sees it.

    Uncommitted changes count. Raises NotFound without a desk.
    """

    def hours_of(department: Department) -> OpeningHours | None:
        return OpeningHours.of(
            department, timezone=settings.site.timezone, calendar=settings.sla.calendar
        )

    return load_published(
        session,
        (rules.version, published_key(session, now)[1]),
        desk=settings.site.desk,
        country_names=CountryNames(),
        hours_of=hours_of,
        rules=rules,
    )


# Examples


@dataclass(frozen=True, slots=True)
class BrokenExample:
    """A kept example that goes elsewhere: to ``department``, sent there by ``rule`` (an id)."""

    example: Example
    department: str
    rule: str | None
    text: Why

    def to_json(self) -> dict[str, Any]:
        """As the API has it."""
        return {
            "example": self.example.write(),
            "department": self.department,
            "rule": self.rule,
            "text": self.text,
        }


def check_examples(session: Session, published: Published) -> list[BrokenExample]:
    """The examples kept with *published* that do not go where they must, in their order."""
    broken = []
    for example in published.rules.examples:
        facts = facts_from(example.enquiry)
        decision = decide(facts, published.rules, published.routes_with(session, facts.department))
        department = published.department_of(session, decision)
        by = example.rule or decision.rule_id
        if (department.slug, decision.rule_id) != (example.expect, by):
            broken.append(_broken(example, department, decision))
    return broken


def _broken(example: Example, department: Department, decision: Decision) -> BrokenExample:
    expected = f"“{example.expect}”"
    by: Why = {"en": "", "zh-Hans": ""}
    if example.rule is not None:
        by = {"en": f" by rule “{example.rule}”", "zh-Hans": f"（规则“{example.rule}”）"}
    sent = {
        "en": f" by rule “{decision.rule_id}”" if decision.rule_id else "",
        "zh-Hans": f"（规则“{decision.rule_id}”）" if decision.rule_id else "",
    }
    return BrokenExample(
        example,
        department.slug,
        decision.rule_id,
        {
            "en": f"Example “{example.name}” should go to {expected}{by['en']} and goes to "
            f"“{department.slug}”{sent['en']}: {localised(decision.why, 'en')[0]}",
            "zh-Hans": f"示例“{example.name}”应转至{expected}{by['zh-Hans']}，实际转至"
            f"“{department.slug}”{sent['zh-Hans']}：{localised(decision.why, 'zh-Hans')[0]}",
        },
    )


# One enquiry


@dataclass(frozen=True, slots=True)
class Way:
    """Where a set sends an enquiry, and what every rule up to there made of it."""

    decision: Decision
    department: Department
    trace: list[Finding]


@dataclass(frozen=True, slots=True)
class Trial:
    """One enquiry through two sets; ``draft`` is None where only one was asked."""

    published: Way
    draft: Way | None = None


def try_enquiry(
    session: Session,
    fields: Mapping[str, Any],
    published: Published,
    draft: Published | None = None,
) -> Trial:
    """Where the enquiry *fields* (see ``facts_from``) goes, by *published* and by *draft*.

    Raises RuleInvalid for fields that are none. Nothing is stored.
    """
    facts = facts_from(fields)

    def way(by: Published) -> Way:
        routes = by.routes_with(session, facts.department)
        decision = decide(facts, by.rules, routes)
        trace = expand(facts, by.rules, routes)
        return Way(decision, by.department_of(session, decision), trace)

    return Trial(way(published), way(draft) if draft else None)

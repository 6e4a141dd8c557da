"""Say only what matters to the test; these supply the rest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from directory.domain.conditions import Condition, Facts, Routes, Target, TopicRoute
from directory.domain.contacts import (
    ContactPoint,
    Department,
    Localised,
    PointKind,
    PointState,
    Topic,
)
from directory.domain.enquiry import Enquiry, ReplyBy, Submission
from directory.domain.routing import RoutingRule, RuleSet
from directory.domain.values import EmailAddress, PhoneNumber
from directory.parts import Parts, assemble
from directory.services.enquiries import submit_enquiry
from directory.services.rules import publish_rules
from directory.settings import Settings, load_settings

# 12:00 in Shanghai, a working day in China.
MONDAY_NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


class SetClock:
    """A clock that stands where a test puts it."""

    def __init__(self, at: datetime = MONDAY_NOON) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **by: float) -> datetime:
        """Go *by* (as for timedelta: hours=2) ahead, or back; the new instant."""
        self.at += timedelta(**by)
        return self.at


# Records


def a_mailbox(address: str, **changes: Any) -> ContactPoint:
    values: dict[str, Any] = {
        "kind": PointKind.EMAIL,
        "value": address,
        "typed": address,
        "position": 1,
        "state": PointState.VERIFIED,
        "verified_at": MONDAY_NOON,
    }
    return ContactPoint(**(values | changes))


def a_phone(number: str, **changes: Any) -> ContactPoint:
    read = PhoneNumber.parse(number, region="CN")
    values: dict[str, Any] = {
        "kind": PointKind.VOICE,
        "value": read.e164,
        "extension": read.extension,
        "typed": number,
        "position": 2,
        "state": PointState.VERIFIED,
        "verified_at": MONDAY_NOON,
    }
    return ContactPoint(**(values | changes))


def a_department(name: str = "Parking", **changes: Any) -> Department:
    """One with a mailbox of its own, parking@institute.example, unless ``points`` are given."""
    slug = str(changes.pop("slug", name.lower().replace(" ", "-")))
    values: dict[str, Any] = {
        "slug": slug,
        "name": {"en": name, "zh-Hans": f"{name}处"},
        "languages": ["en", "zh-Hans"],
        "created_at": MONDAY_NOON,
        "updated_at": MONDAY_NOON,
    }
    if "points" not in changes:
        values["points"] = [a_mailbox(f"{slug}@institute.example")]
    return Department(**(values | changes))


def a_topic(code: str, department: Department, **changes: Any) -> Topic:
    label = code.replace("-", " ").capitalize()
    values: dict[str, Any] = {
        "code": code,
        "label": {"en": label, "zh-Hans": f"{label}事项"},
        "department_id": department.id,
    }
    return Topic(**(values | changes))


def a_submission(topic: str = "permits", **changes: Any) -> Submission:
    values: dict[str, Any] = {
        "form_token": "a-form-shown-once",
        "language": "en",
        "topic": topic,
        "message": "May I park at the gate?",
        "name": "Li Wei",
        "email": EmailAddress("liwei@example.com"),
        "reply_by": ReplyBy.EMAIL,
        "reply_language": "en",
        "consent": "notice 1",
    }
    return Submission(**(values | changes))


# Routing


def a_target(slug: str, **changes: Any) -> Target:
    """A department as routing sees it, with a live mailbox unless ``mailbox`` is given."""
    made = a_department(slug.replace("-", " ").capitalize(), slug=slug)
    values: dict[str, Any] = {
        "id": made.id,
        "slug": slug,
        "name": made.name,
        "mailbox": f"{slug}@institute.example",
        "mailbox_id": made.points[0].id,
    }
    return Target(**(values | changes))


def routes(*targets: Target | str, topics: Mapping[str, str] | None = None) -> Routes:
    """*targets* beside the desk; *topics* maps codes to the departments that answer them."""
    made = [a_target(target) if isinstance(target, str) else target for target in targets]
    if all(target.slug != "desk" for target in made):
        made.append(a_target("desk"))
    return Routes(
        targets={target.slug: target for target in made},
        topics={
            code: TopicRoute(
                code=code,
                label={"en": code.capitalize(), "zh-Hans": f"{code}事项"},
                department=department,
            )
            for code, department in (topics or {}).items()
        },
        desk="desk",
        countries={"GB": {"en": "United Kingdom", "zh-Hans": "英国"}},
    )


def a_rule(id: str, when: Condition | None, send_to: str = "", **changes: Any) -> RoutingRule:
    name: Localised = {"en": id.capitalize(), "zh-Hans": f"{id}规则"}
    return RoutingRule(
        id=id, name=changes.pop("name", name), when=when, send_to=send_to or id, **changes
    )


def rules(*ordinary: RoutingRule, last: str = "desk", version: int = 1) -> RuleSet:
    """*ordinary* rules, and a last one that catches all and sends to *last*."""
    return RuleSet(version, (*ordinary, a_rule("everything-else", None, last)))


def facts(**changes: Any) -> Facts:
    return Facts(**changes)


# An installation


def settings_for(root: Path, database_url: str = "", **sections: Any) -> Settings:
    """Settings of a test: *sections* over the defaults, relative paths counted from *root*."""
    values: dict[str, Any] = {
        "site": {
            "base_url": "http://contact.institute.example",
            "timezone": "Asia/Shanghai",
            "name": {"en": "Institute Contact", "zh-Hans": "研究所联系服务"},
            "default_country": "CN",
        },
        "mail": {"from": "contact@institute.example"},
    }
    for section, changes in sections.items():
        if isinstance(changes, Mapping):
            values[section] = {**values.get(section, {}), **changes}
        else:
            values[section] = changes
    if database_url:
        values["database"] = {"url": database_url}
    settings = load_settings(values, environ={}, env=values.get("env", "test"))
    settings._root = root
    return settings


def parts_for(
    root: Path, database_url: str, clock: SetClock | None = None, **sections: Any
) -> Parts:
    """What a process works with, its clock set to *clock*, or running where there is none."""
    made = assemble(settings_for(root, database_url, **sections))
    if clock is not None:
        made.now = clock
    return made


def plant_office(session: Session, *, now: datetime = MONDAY_NOON) -> None:
    """A small institution.

    Parking answers "permits" and has Admissions as deputy; Admissions answers "apply"; the desk
    answers "not-sure"; whoever writes of a newspaper there is sent to Media.
    """
    desk = a_department(
        "Enquiry Desk",
        points=[a_mailbox("desk@institute.example"), a_phone("+86 25 0345 5100")],
        hours="Mo-Fr 09:00-17:30; PH off",
    )
    admissions = a_department("Admissions", reply_days=3)
    parking = a_department(
        "Parking",
        points=[
            a_mailbox("parking@institute.example"),
            a_phone("+86 25 0345 5180"),
            ContactPoint(
                kind=PointKind.PHYSICAL,
                position=3,
                state=PointState.VERIFIED,
                verified_at=MONDAY_NOON,
                address={
                    "lines": {"en": ["Gate 1"], "zh-Hans": ["一号门"]},
                    "locality": {"en": "Nanjing", "zh-Hans": "南京市"},
                    "region": {"en": "Jiangsu", "zh-Hans": "江苏省"},
                    "country": "CN",
                },
            ),
        ],
    )
    media = a_department("Media")
    session.add_all([desk, admissions, parking, media])
    session.flush()
    parking.deputy_id = admissions.id
    session.add_all(
        [
            a_topic("permits", parking, position=1),
            a_topic("apply", admissions, position=2),
            a_topic("not-sure", desk, position=3),
        ]
    )
    session.flush()
    publish_rules(session, OFFICE_RULES, reason="to begin with", by="admin@x.example", now=now)


OFFICE_RULES: list[dict[str, Any]] = [
    {
        "id": "newspapers",
        "name": {"en": "Newspapers", "zh-Hans": "报社"},
        "when": {
            "all": [{"topic": ["not-sure"]}, {"words": {"any": ["newspaper", "报社"]}}],
        },
        "send_to": "media",
    },
    {
        "id": "desk",
        "name": {"en": "Everything else", "zh-Hans": "其余咨询"},
        "send_to": "enquiry-desk",
    },
]


def submit(parts: Parts, submission: Submission | None = None, **more: Any) -> Enquiry:
    """Submit as a view does: one transaction, at the time of *parts*."""
    now = parts.now()
    with parts.db.writing() as session:
        return submit_enquiry(
            session,
            submission or a_submission(),
            published=parts.published(session, now),
            settings=parts.settings,
            signer=parts.signer,
            now=now,
            **more,
        )

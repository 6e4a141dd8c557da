"""A directory from a TOML file: departments with their contact points, topics, rules."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from directory.adapters.formats.rule_file import entries
from directory.domain.contacts import (
    ADDRESS_KINDS,
    ContactPoint,
    Department,
    PointKind,
    PointState,
    Topic,
)
from directory.domain.errors import InvalidValue, NotFound
from directory.domain.hours import OpeningHours
from directory.domain.questions import Question
from directory.domain.values import (
    EmailAddress,
    LanguageTag,
    PhoneNumber,
    PostalAddress,
    ServiceNumber,
    Slug,
)
from directory.services.history import record
from directory.services.rules import publish_rules
from directory.settings import Settings


def seed_folder() -> Path:
    """Where seed files are: ``config/seed`` of a checkout, or inside the installed package."""
    package = Path(__file__).parent.parent
    inside = package / "config" / "seed"
    return inside if inside.is_dir() else package.parent / "config" / "seed"


def plant(
    session: Session,
    path: Path,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    verified_how: str = "",
) -> None:
    """Fill an empty directory from the seed file *path*.

    *verified_how*, if given, marks every contact point as verified that way ("sample"). Values
    are read as everywhere else: raises InvalidValue, NotFound and RuleInvalid.
    """
    with path.open("rb") as file:
        seed = tomllib.load(file)
    found: dict[str, Department] = {}
    for position, values in enumerate(seed.get("departments", []), 1):
        department = _department(values, settings=settings, now=now, verified_how=verified_how)
        department.position = values.get("sort", position)
        found[department.slug] = department
    for values in seed.get("departments", []):
        department = found[values["slug"]]
        if parent := values.get("parent"):
            department.parent_id = _named(found, parent).id
        if deputy := values.get("deputy"):
            department.deputy_id = _named(found, deputy).id
    # Tables that refer to themselves: rows first, relations after.
    relations = {d.id: (d.parent_id, d.deputy_id) for d in found.values()}
    for department in found.values():
        department.parent_id = department.deputy_id = None
        session.add(department)
    session.flush()
    for department in found.values():
        department.parent_id, department.deputy_id = relations[department.id]
        record(
            session,
            f"department:{department.id}",
            "added",
            now=now,
            by=by,
            note=f"from {path.name}",
            after={"slug": department.slug},
            first=True,
        )
    session.flush()
    for position, values in enumerate(seed.get("topics", []), 1):
        session.add(_topic(values, position, found))
    session.flush()
    if rules := seed.get("rules"):
        publish_rules(
            session,
            rules,
            examples=entries(seed.get("examples", []), "examples"),
            waivers=entries(seed.get("waivers", []), "waivers"),
            reason=f"from {path.name}",
            by=by,
            now=now,
        )


def _named(found: Mapping[str, Department], slug: str) -> Department:
    if slug not in found:
        raise NotFound(f"There is no department “{slug}”")
    return found[slug]


def _department(
    values: Mapping[str, Any], *, settings: Settings, now: datetime, verified_how: str
) -> Department:
    timezone = values.get("timezone", "")
    if hours := values.get("hours", ""):
        OpeningHours.parse(hours, timezone or settings.site.timezone)
    department = Department(
        slug=str(Slug.parse(values["slug"])),
        name=dict(values["name"]),
        short_name=dict(values.get("short_name", {})),
        other_names=list(values.get("other_names", [])),
        summary=dict(values.get("summary", {})),
        not_here=dict(values.get("not_here", {})),
        hours=hours,
        timezone=timezone,
        languages=[str(LanguageTag.parse(tag)) for tag in values.get("languages", [])],
        reply_days=values.get("reply_days"),
        backup_email=values.get("backup_email", ""),
        created_at=now,
        updated_at=now,
    )
    for position, point in enumerate(values.get("points", []), 1):
        made = _point(point, position, settings.site.default_country)
        if verified_how:
            made.state = PointState.VERIFIED
            made.verified_at, made.verified_how = now, verified_how
            made.due_at = now + timedelta(days=settings.verify.every_days)
        department.points.append(made)
    return department


def _point(values: Mapping[str, Any], position: int, region: str) -> ContactPoint:
    kind = PointKind(values["kind"])
    typed = str(values.get("value", ""))
    point = ContactPoint(
        kind=kind,
        typed=typed,
        label=dict(values.get("label", {})),
        languages=list(values.get("languages", [])),
        note=dict(values.get("note", {})),
        public=values.get("public", True),
        routing=values.get("routing", False),
        position=position,
    )
    if kind in ADDRESS_KINDS:
        point.address = PostalAddress.from_parts(values["address"]).to_parts()
    elif kind is PointKind.EMAIL:
        point.value = str(EmailAddress.parse(typed))
    elif kind is PointKind.SERVICE:
        point.value = ServiceNumber.parse(typed, region=region).digits
    elif kind is PointKind.WEBSITE:
        point.value = typed
    else:
        number = PhoneNumber.parse(typed, region=region)
        point.value = number.e164
        point.extension = str(values.get("extension", number.extension))
    return point


def _topic(values: Mapping[str, Any], position: int, found: Mapping[str, Department]) -> Topic:
    if "label" not in values:
        raise InvalidValue("topic.required")
    return Topic(
        code=str(Slug.parse(values["code"])),
        label=dict(values["label"]),
        hint=dict(values.get("hint", {})),
        group=dict(values.get("group", {})),
        department_id=_named(found, values["department"]).id,
        reply_days=values.get("reply_days"),
        question=Question.read(asked).write() if (asked := values.get("question")) else None,
        acknowledge=values.get("acknowledge", True),
        position=position,
    )

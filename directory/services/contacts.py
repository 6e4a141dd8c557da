"""Departments, their contact points and topics: read, added, amended, closed."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import departments, topics
from directory.adapters.queries import current_rules, department_by_slug, parent_ids
from directory.domain.calendars import WorkingCalendar
from directory.domain.contacts import (
    Department,
    DepartmentStatus,
    PointKind,
    Topic,
    check_tree,
    localised,
)
from directory.domain.errors import Conflict, InvalidValue
from directory.domain.hours import Closure, OpeningHours
from directory.domain.values import Slug
from directory.domain.columns import CellInvalid, columns_of, set_columns, typed_cells
from directory.services.history import record
from directory.settings import Settings


@lru_cache(maxsize=64)
def calendar_of(calendars: tuple[str, ...]) -> WorkingCalendar:
    """One object for the same calendars, with what it has worked out already."""
    return WorkingCalendar(calendars)


def hours_of(department: Department, *, settings: Settings) -> OpeningHours | None:
    """When somebody is there; None when the department does not say."""
    if not department.hours:
        return None
    closures = tuple(
        Closure(
            date.fromisoformat(exception["from"]),
            date.fromisoformat(exception["to"]),
            exception.get("reason", {}),
        )
        for exception in department.exceptions
    )
    return OpeningHours.parse(
        department.hours,
        department.timezone or settings.site.timezone,
        calendar=calendar_of(settings.sla.calendars),
        closures=closures,
    )


def reply_days_of(department: Department, topic: Topic | None, *, settings: Settings) -> int:
    """The answer target in working days: the topic's, else the department's, else the site's."""
    if topic is not None and topic.reply_days:
        return topic.reply_days
    return department.reply_days or settings.sla.target_working_days


def answer_by(
    department: Department, topic: Topic | None, *, settings: Settings, received: datetime
) -> datetime:
    """The instant (UTC) an answer is due: the target counted in the department's working days."""
    calendar = calendar_of(settings.sla.calendars)
    hours = hours_of(department, settings=settings)
    days = reply_days_of(department, topic, settings=settings)
    zone = department.timezone or settings.site.timezone
    if hours is None:
        return calendar.working_days_after(received, days, zone)
    return calendar.working_days_after(received, days, zone, closes=hours.closes_on)


def place_of(department: Department, language: str) -> str:
    """The town a department is in, in *language*; "" when no address says."""
    for point in department.public_points(PointKind.PHYSICAL, PointKind.POSTAL):
        place, written_in = localised(point.address.get("locality", {}), language)
        if place:
            # 南京市 in an address, 南京 in a sentence.
            return place.removesuffix("市") if written_in == "zh-Hans" and len(place) > 2 else place
    return ""


# Changes


def add_department(
    session: Session,
    slug: str,
    cells: dict[str, str],
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str = "",
) -> Department:
    """A new department called *slug*, filled from the columns *cells*.

    Raises InvalidValue "slug.taken" and the errors of set_columns; it needs a name.
    """
    slug = str(Slug.parse(slug))
    _refuse_taken(session, slug)
    department = Department(slug=slug, name={}, created_at=now, updated_at=now)
    _take_cells(session, department, cells, settings=settings, now=now)
    if not department.name:
        raise CellInvalid("name_en", InvalidValue("department.no_name"))
    session.add(department)
    record(
        session,
        f"department:{department.id}",
        "added",
        now=now,
        by=by,
        note=reason,
        after=columns_of(department, slugs=slugs(session) | {department.id: slug}),
        first=True,
    )
    return department


def amend_department(
    session: Session,
    slug: str,
    cells: dict[str, str],
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str = "",
) -> dict[str, tuple[str, str]]:
    """Put *cells* into the department *slug*; what changed, as column: (before, after).

    An empty cell leaves as is, "-" clears. Raises NotFound, InvalidValue "slug.taken" or
    "parent.cycle", Conflict where the desk would lose its only mailbox, and the errors of
    set_columns.
    """
    department = department_by_slug(session, slug)
    names = slugs(session)
    before = columns_of(department, slugs=names)
    if (renamed := cells.get("slug", slug)) != slug:
        _refuse_taken(session, renamed)
    _take_cells(session, department, cells, settings=settings, now=now)
    after = columns_of(department, slugs=names | {department.id: department.slug})
    if slug == settings.site.desk:
        if department.slug != slug:
            raise Conflict(f"“{slug}” is the desk ([site] desk) and keeps its name")
        if department.mailbox is None:
            raise Conflict("The desk needs a mailbox: it receives what no rule does")
    changed = {
        column: (before.get(column, ""), after.get(column, ""))
        for column in [*before, *(column for column in after if column not in before)]
        if before.get(column, "") != after.get(column, "")
    }
    if changed:
        record(
            session,
            f"department:{department.id}",
            "amended",
            now=now,
            by=by,
            note=reason,
            before={column: old for column, (old, _) in changed.items()},
            after={column: new for column, (_, new) in changed.items()},
        )
    return changed


def close_department(
    session: Session,
    slug: str,
    *,
    successor: str,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str = "",
) -> Department:
    """Close *slug*; its page, its topics and what is sent to it move to *successor*.

    Raises NotFound, and Conflict for the desk, for a successor that is closed or the same, and
    while a rule names the department.
    """
    department = department_by_slug(session, slug)
    heir = department_by_slug(session, successor)
    if slug == settings.site.desk:
        raise Conflict(f"“{slug}” is the desk: it receives what no rule does and cannot be closed")
    if heir.id == department.id or heir.status is not DepartmentStatus.ACTIVE:
        raise Conflict(f"“{successor}” cannot take over: name another, active department")
    if heir.mailbox is None:
        raise Conflict(f"“{successor}” has no live mailbox to receive what “{slug}” did")
    if department.status is DepartmentStatus.CLOSED:
        raise Conflict(f"“{slug}” is closed already")
    naming = [rule.id for rule in current_rules(session, now).rules if rule.send_to == slug]
    if naming:
        raise Conflict(
            f"Rules send enquiries to “{slug}”: {', '.join(naming)}. Publish them without it first"
        )
    department.status = DepartmentStatus.CLOSED
    department.successor_id = heir.id
    department.updated_at = now
    moved = list(session.scalars(sa.select(Topic).where(topics.c.department_id == department.id)))
    for topic in moved:
        topic.department_id = heir.id
    for other in session.scalars(
        sa.select(Department).where(departments.c.deputy_id == department.id)
    ):
        other.deputy_id = heir.id if other.id != heir.id else None
    record(
        session,
        f"department:{department.id}",
        "closed",
        now=now,
        by=by,
        note=reason,
        before={"status": "active"},
        after={
            "status": "closed",
            "successor": heir.slug,
            "topics": [topic.code for topic in moved],
        },
    )
    return department


def slugs(session: Session) -> dict[UUID, str]:
    """Every department's slug by its id."""
    rows = session.execute(sa.select(departments.c.id, departments.c.slug))
    return {row.id: row.slug for row in rows}


def _refuse_taken(session: Session, slug: str) -> None:
    holder = session.scalar(sa.select(Department).where(departments.c.slug == slug))
    if holder is not None:
        raise InvalidValue("slug.taken", slug=slug, dept=localised(holder.name, "en")[0])


def _take_cells(
    session: Session,
    department: Department,
    cells: dict[str, str],
    *,
    settings: Settings,
    now: datetime,
) -> None:
    set_columns(
        department,
        typed_cells(cells),
        region=settings.site.default_country,
        find=lambda slug: department_by_slug(session, slug).id,
        now=now,
    )
    check_tree(department, department.parent_id, parent_ids(session))

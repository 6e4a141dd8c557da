"""Departments, their contact points and topics: read, added, amended, closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from functools import lru_cache
from math import ceil
from uuid import UUID

import sqlalchemy as sa
from babel import Locale
from babel.dates import get_timezone_location
from sqlalchemy.orm import Session

from directory.adapters.db import departments, slug_history, store, topics
from directory.adapters.queries import (
    department_by_slug,
    department_ever_called,
    events_of,
    parent_ids,
    topic_by_code,
)
from directory.domain.answering import TYPICAL_FROM
from directory.domain.columns import (
    CellInvalid,
    Cells,
    columns_of,
    is_column,
    set_columns,
    slot_of,
    typed_cells,
)
from directory.domain.contacts import (
    ContactPoint,
    Department,
    DepartmentStatus,
    PointKind,
    PointState,
    Topic,
    check_tree,
    localised,
)
from directory.domain.enquiry import Event
from directory.domain.errors import Conflict, InvalidValue, NotFound
from directory.domain.hours import OpeningHours
from directory.domain.routing import RuleSet
from directory.domain.succession import Succession
from directory.domain.values import Slug
from directory.services.history import record
from directory.services.rules import publish_succession, standing_rules
from directory.services.safeguard import nobody_stranded
from directory.settings import Settings

# What changed, as column: (before, after).
Changes = dict[str, tuple[str, str]]

# Columns that are not set by themselves: a whole use-case does it, or they never change.
_NOT_CELLS = frozenset({"id", "status", "successor", "topics"})


def hours_of(department: Department, *, settings: Settings) -> OpeningHours | None:
    """When somebody is there; None when the department does not say."""
    return OpeningHours.of(
        department, timezone=settings.site.timezone, calendar=settings.sla.calendar
    )


def reply_days_of(department: Department, topic: Topic | None, *, settings: Settings) -> int:
    """The answer target in working days: the topic's, else the department's, else the site's."""
    if topic is not None and topic.reply_days:
        return topic.reply_days
    return department.reply_days or settings.sla.target_working_days


def usual_days_of(department: Department, topic: Topic | None, *, settings: Settings) -> int:
    """Within how many working days an answer usually comes, for people to read.

    As it was measured, rounded up, where enough answers were; else the target.
    """
    measured = department.typical_days
    if measured is not None and department.typical_of >= TYPICAL_FROM:
        return max(1, ceil(measured))
    return reply_days_of(department, topic, settings=settings)


def answer_by(
    department: Department,
    topic: Topic | None,
    *,
    settings: Settings,
    received: datetime,
    days: int | None = None,
) -> datetime:
    """The instant (UTC) an answer is due: the target counted in the department's working days.

    *days* is the target where a rule sets one.
    """
    calendar = settings.sla.calendar
    hours = hours_of(department, settings=settings)
    days = days or reply_days_of(department, topic, settings=settings)
    zone = department.timezone or settings.site.timezone
    if hours is None:
        return calendar.working_days_after(received, days, zone)
    return calendar.working_days_after(received, days, zone, closes=hours.closes_on)


def country_of(department: Department) -> str:
    """The country a department is in (ISO 3166-1 alpha-2); "" when no address says."""
    for point in department.public_points(PointKind.PHYSICAL, PointKind.POSTAL):
        if country := str(point.address.get("country", "")):
            return country
    return ""


def place_of(department: Department, language: str) -> str:
    """The town a department is in, in *language*; "" when no address says."""
    for point in department.public_points(PointKind.PHYSICAL, PointKind.POSTAL):
        place, written_in = localised(point.address.get("locality", {}), language)
        if place:
            # 南京市 in an address, 南京 in a sentence.
            return place.removesuffix("市") if written_in == "zh-Hans" and len(place) > 2 else place
    return ""


def place_in_zone(department: Department | None, settings: Settings, language: str) -> str:
    """The town whose time is meant: the department's, else the city in the zone's own name."""
    if department and (place := place_of(department, language)):
        return place
    zone = (department.timezone if department else "") or settings.site.timezone
    return _city(zone, language) if "/" in zone else ""


@lru_cache(maxsize=512)
def _city(zone: str, language: str) -> str:
    found: str = get_timezone_location(
        zone, locale=Locale.parse(language, sep="-"), return_city=True
    )
    return found.rpartition("/")[2]


def language_of(department: Department, settings: Settings) -> str:
    """The language a department reads its mail in: its first, if the service has it."""
    for language in department.languages:
        if language in settings.site.languages:
            return language
    return settings.site.languages[0]


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
    _take_cells(session, department, typed_cells(cells), settings=settings, now=now)
    if not department.name:
        raise CellInvalid("name_en", InvalidValue("department.no_name"))
    have_asked(department, known=set(), now=now)
    session.add(department)
    record(
        session,
        about_department(department),
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
    cells: Mapping[str, str],
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str = "",
    successor: str = "",
) -> Changes:
    """Put *cells* into the department *slug*; what changed, as column: (before, after).

    An empty cell leaves as is, "-" clears. A new slug leaves the old one leading to it, and rules
    follow it, as they follow a mailbox to its new address; a new mailbox is due to be asked, and
    the mailbox that loses the department's enquiries is told, as is the one that gets them. Where
    the department loses its last mailbox, *successor* (a slug) takes over its topics and what
    rules send to it.

    Raises NotFound, InvalidValue "slug.taken" or "parent.cycle", Conflict where the desk would
    lose its only mailbox, WouldStrand where enquiries would reach nobody, and the errors of
    set_columns.
    """
    typed = typed_cells(cells)
    watch = (
        nobody_stranded(session, settings=settings, now=now)
        if successor or any(_may_strand(column, text) for column, text in typed.items())
        else nullcontext()
    )
    with watch:
        department = department_by_slug(session, slug)
        heir = _heir(session, department, successor)
        changed = _change(
            session,
            department,
            typed,
            "amended",
            settings=settings,
            now=now,
            by=by,
            reason=reason,
        )
        if heir is not None and department.mailbox is None:
            _take_over(session, department, heir, settings=settings, now=now, by=by, reason=reason)
    return changed


def suspend_mailbox(
    session: Session,
    slug: str,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str = "",
    successor: str = "",
) -> ContactPoint:
    """Send no more mail to the mailbox that the department *slug* has its enquiries at.

    Its next mailbox receives them, else who stands in for it; *successor* (a slug) takes over its
    topics and what rules send to it where it has none left. Raises NotFound; Conflict where there
    is no live mailbox, or it is the desk's last; WouldStrand where enquiries would reach nobody.
    """
    with nobody_stranded(session, settings=settings, now=now):
        department = department_by_slug(session, slug)
        heir = _heir(session, department, successor)
        mailbox = department.mailbox
        if mailbox is None:
            raise Conflict(f"“{slug}” has no live mailbox to suspend")
        before = mailbox.state
        mailbox.become(PointState.SUSPENDED)
        if slug == settings.site.desk and department.mailbox is None:
            raise Conflict("The desk needs a mailbox: it receives what no rule does")
        record(
            session,
            about_department(department),
            "suspended",
            now=now,
            by=by,
            note=reason,
            before={"state": before.value},
            after={"state": mailbox.state.value, "mailbox": mailbox.value},
        )
        if heir is not None and department.mailbox is None:
            _take_over(session, department, heir, settings=settings, now=now, by=by, reason=reason)
        tell_change(
            session,
            department,
            mailbox.value,
            department.mailbox or (heir.mailbox if heir else None),
            settings=settings,
            now=now,
            by=by,
            reason=reason,
        )
    return mailbox


def _may_strand(column: str, text: str | None) -> bool:
    """Whether putting *text* into *column* can take a mailbox from enquiries.

    Another address does not: rules follow it, as they follow another slug.
    """
    slot = slot_of(column)
    if slot is not None:
        return slot.kind is PointKind.EMAIL and not slot.detail and not text
    return column == "deputy" or (column in {"backup_email", "routing_email"} and not text)


def _heir(session: Session, department: Department, slug: str) -> Department | None:
    """The department that is to take over from *department*, None where *slug* is empty."""
    if not slug:
        return None
    heir = department_by_slug(session, slug)
    if heir.id == department.id or heir.status is not DepartmentStatus.ACTIVE:
        raise Conflict(f"“{slug}” cannot take over: name another, active department")
    if heir.mailbox is None:
        raise Conflict(f"“{slug}” has no live mailbox to receive what “{department.slug}” did")
    return heir


def _take_over(
    session: Session,
    department: Department,
    heir: Department,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str,
) -> None:
    """Let *heir* answer the topics of *department*, and get what rules send to it."""
    for topic in _topics_of(session, department):
        _move_topic(session, topic, heir, now=now, by=by, reason=reason)
    names = [department.slug, *_addresses(department)]
    _publish_succession(
        session,
        Succession(targets=dict.fromkeys(names, heir.slug)),
        settings=settings,
        now=now,
        by=by,
        reason=reason or f"“{heir.slug}” takes over from “{department.slug}”",
    )


def _topics_of(session: Session, department: Department) -> list[Topic]:
    return list(session.scalars(sa.select(Topic).where(topics.c.department_id == department.id)))


def _addresses(department: Department) -> list[str]:
    return [point.value for point in department.points if point.kind is PointKind.EMAIL]


def _publish_succession(
    session: Session,
    succession: Succession,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str,
) -> None:
    session.flush()  # what is published is held against the directory as it is now
    publish_succession(session, succession, desk=settings.site.desk, reason=reason, by=by, now=now)


def restore_department(
    session: Session,
    slug: str,
    event_id: int,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str = "",
) -> Changes:
    """Put *slug* back to what it was right after the event *event_id*; what that changed.

    A new revision like any other: history is never rewritten, and a restore can be restored. A
    department closed since is open again, with those of its topics that still are where they
    went; rules stay as they are. Raises NotFound for the event; InvalidValue "slug.taken" where
    another has its name of then; Conflict where it was closed then; WouldStrand where enquiries
    would reach nobody.
    """
    with nobody_stranded(session, settings=settings, now=now):
        return _restore(session, slug, event_id, settings=settings, now=now, by=by, reason=reason)


def _restore(
    session: Session,
    slug: str,
    event_id: int,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str,
) -> Changes:
    department = department_by_slug(session, slug)
    history = events_of(session, about_department(department))
    place = next((n for n, event in enumerate(history) if event.id == event_id), None)
    if place is None:
        raise NotFound(f"“{slug}” has no event {event_id}")
    wanted = columns_of(department, slugs=slugs(session))
    present = dict(wanted)
    closings: list[Event] = []
    for event in reversed(history[place + 1 :]):
        for column in (event.before | event.after).keys() - {"topics"}:
            if is_column(column):
                wanted[column] = str(event.before.get(column, ""))
        if event.type == "closed":
            closings.append(event)
    if wanted["status"] != present["status"]:
        if wanted["status"] != DepartmentStatus.ACTIVE:
            raise Conflict(f"“{slug}” was closed then; close it with a successor instead")
        _reopen(session, department, closings[0] if closings else None)
    cells = {
        column: wanted.get(column) or None
        for column in wanted.keys() | present.keys()
        if wanted.get(column, "") != present.get(column, "") and column not in _NOT_CELLS
    }
    return _change(
        session,
        department,
        cells,
        "restored",
        settings=settings,
        now=now,
        by=by,
        reason=reason,
        before=present,
    )


def _reopen(session: Session, department: Department, closing: Event | None) -> None:
    heir_id = department.successor_id
    department.status, department.successor_id = DepartmentStatus.ACTIVE, None
    codes = closing.after.get("topics", []) if closing else []
    for topic in session.scalars(sa.select(Topic).where(topics.c.code.in_(codes))):
        if topic.department_id == heir_id:
            topic.department_id = department.id


def _change(
    session: Session,
    department: Department,
    cells: Cells,
    type: str,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str,
    before: Mapping[str, str] | None = None,
) -> Changes:
    """The one way a department's columns change: checked, recorded, and those concerned told.

    *before* is what its columns were, where the caller changed some already.
    """
    names = slugs(session)
    if before is None:
        before = columns_of(department, slugs=names)
    slug, mailbox = department.slug, department.mailbox
    was_sent_to = mailbox.value if mailbox else ""
    known = {(point.id, point.value) for point in department.points}
    addresses = {p.id: p.value for p in department.points if p.kind is PointKind.EMAIL}
    if renamed := cells.get("slug"):
        _refuse_taken(session, str(Slug.parse(renamed)), by=department)
    _take_cells(session, department, cells, settings=settings, now=now)
    if department.slug != slug:
        keep_slug(session, department, slug, now)
    if slug == settings.site.desk:
        if department.slug != slug:
            raise Conflict(f"“{slug}” is the desk ([site] desk) and keeps its name")
        if department.mailbox is None:
            raise Conflict("The desk needs a mailbox: it receives what no rule does")
    after = columns_of(department, slugs=names | {department.id: department.slug})
    changed = {
        column: (before.get(column, ""), after.get(column, ""))
        for column in [*before, *(column for column in after if column not in before)]
        if before.get(column, "") != after.get(column, "")
    }
    if changed:
        have_asked(department, known=known, now=now)
        record(
            session,
            about_department(department),
            type,
            now=now,
            by=by,
            note=reason,
            before={column: old for column, (old, _) in changed.items()},
            after={column: new for column, (_, new) in changed.items()},
        )
        tell_change(
            session,
            department,
            was_sent_to,
            department.mailbox,
            settings=settings,
            now=now,
            by=by,
            reason=reason,
        )
        followed = {
            addresses[point.id]: point.value
            for point in department.points
            if point.value != addresses.get(point.id, point.value)
        }
        if department.slug != slug:
            followed[slug] = department.slug
        if followed:
            # Rules call things by their names, and follow them to new ones.
            _publish_succession(
                session,
                Succession(targets=followed, departments=followed),
                settings=settings,
                now=now,
                by=by,
                reason=reason
                or ", ".join(f"“{old}” is “{new}” now" for old, new in followed.items()),
            )
    return changed


def have_asked(department: Department, *, known: set[tuple[UUID, str]], now: datetime) -> None:
    """Let the mailboxes that are new since *known* be asked at the next occasion."""
    for point in department.points:
        new = (point.id, point.value) not in known
        if point.kind is PointKind.EMAIL and point.live and new:
            point.due_at = now


def tell_change(
    session: Session,
    department: Department,
    before: str,
    after: ContactPoint | None,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str,
) -> None:
    # What letters say stands in this module, and so they import it.
    from directory.services.letters import Letters

    letters = Letters(session, settings, now=now)
    address = after.value if after else ""
    store(
        session,
        *letters.change_notices(department, before=before, after=address, by=by, reason=reason),
    )


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

    So do the rules that name it, as a new version. Raises NotFound; Conflict for the desk, and
    for a successor that is closed or the same; WouldStrand where enquiries would reach nobody.
    """
    with nobody_stranded(session, settings=settings, now=now):
        department = department_by_slug(session, slug)
        heir = department_by_slug(session, successor)
        check_closing(session, department, heir, settings=settings, now=now)
        _close(session, department, heir, settings=settings, now=now, by=by, reason=reason)
    return department


def _close(
    session: Session,
    department: Department,
    heir: Department,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str,
) -> None:
    mailbox = department.mailbox
    department.status = DepartmentStatus.CLOSED
    department.successor_id = heir.id
    department.updated_at = now
    moved = _topics_of(session, department)
    for topic in moved:
        topic.department_id = heir.id
    for other in session.scalars(
        sa.select(Department).where(departments.c.deputy_id == department.id)
    ):
        other.deputy_id = heir.id if other.id != heir.id else None
    record(
        session,
        about_department(department),
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
    if mailbox is not None:
        tell_change(
            session,
            department,
            mailbox.value,
            heir.mailbox,
            settings=settings,
            now=now,
            by=by,
            reason=reason,
        )
    _publish_succession(
        session,
        Succession(
            targets=dict.fromkeys([department.slug, *_addresses(department)], heir.slug),
            departments={department.slug: heir.slug},
        ),
        settings=settings,
        now=now,
        by=by,
        reason=reason or f"“{heir.slug}” takes over from “{department.slug}”",
    )


def check_closing(
    session: Session, department: Department, heir: Department, *, settings: Settings, now: datetime
) -> None:
    """Raise Conflict where *department* cannot be closed, or *heir* cannot take over."""
    slug, successor = department.slug, heir.slug
    if slug == settings.site.desk:
        raise Conflict(f"“{slug}” is the desk: it receives what no rule does and cannot be closed")
    if heir.id == department.id or heir.status is not DepartmentStatus.ACTIVE:
        raise Conflict(f"“{successor}” cannot take over: name another, active department")
    if heir.mailbox is None:
        raise Conflict(f"“{successor}” has no live mailbox to receive what “{slug}” did")
    if department.status is DepartmentStatus.CLOSED:
        raise Conflict(f"“{slug}” is closed already")


def check_unnamed(
    session: Session, department: Department, *, settings: Settings, now: datetime
) -> None:
    """Raise Conflict where rules name *department*.

    For who closes it and could not take back what that does to the rules.
    """
    slug = department.slug
    gone = Succession(
        targets=dict.fromkeys([slug, *_addresses(department)], ""), departments={slug: ""}
    )
    for rules, _ in standing_rules(session, desk=settings.site.desk, now=now):
        if naming := gone.naming(rules):
            raise Conflict(
                f"Rules name “{slug}”: {', '.join(naming)}. Close it by itself, "
                "and its successor takes its place there"
            )


# Topics


def amend_topic(
    session: Session,
    code: str,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str = "",
    active: bool | None = None,
    department: str | None = None,
    successor: str = "",
) -> Changes:
    """Offer the topic *code* or not, and say who answers it; what changed, as (before, after).

    What is None stays. Where it is switched off, *successor* (a topic's code) takes its place in
    the rules that ask for it. Raises NotFound; Conflict for a department that is closed and a
    successor that is not offered; WouldStrand where enquiries would reach nobody, or a rule that
    asks for the topic would never be reached.
    """
    with nobody_stranded(session, settings=settings, now=now, asked=_asking_for(code)):
        topic = topic_by_code(session, code)
        before = _topic_columns(session, topic)
        if department is not None:
            found = department_by_slug(session, department)
            if found.status is not DepartmentStatus.ACTIVE:
                raise Conflict(f"“{department}” is closed: name an active department")
            topic.department_id = found.id
        if active is not None:
            topic.active = active
        after = _topic_columns(session, topic)
        changed = {
            column: (before[column], after[column])
            for column in before
            if before[column] != after[column]
        }
        if changed:
            _record_topic(session, topic, changed, now=now, by=by, reason=reason)
        if successor:
            heir = topic_by_code(session, successor)
            if topic.active or heir.id == topic.id or not heir.active:
                raise Conflict(f"“{successor}” cannot take the place of “{code}”")
            _publish_succession(
                session,
                Succession(topics={code: successor}),
                settings=settings,
                now=now,
                by=by,
                reason=reason or f"“{successor}” takes the place of “{code}”",
            )
    return changed


def _asking_for(code: str) -> Callable[[RuleSet], list[str]]:
    """The rules that ask for the topic *code*, by their ids."""

    def asking(rules: RuleSet) -> list[str]:
        return [rule.id for rule in rules.ordinary if rule.when and code in rule.when.topics()]

    return asking


def _topic_columns(session: Session, topic: Topic) -> dict[str, str]:
    answering = session.get(Department, topic.department_id) if topic.department_id else None
    return {
        "active": "true" if topic.active else "false",
        "department": answering.slug if answering else "",
    }


def _move_topic(
    session: Session, topic: Topic, heir: Department, *, now: datetime, by: str, reason: str
) -> None:
    before = _topic_columns(session, topic)["department"]
    topic.department_id = heir.id
    changed = {"department": (before, heir.slug)}
    _record_topic(session, topic, changed, now=now, by=by, reason=reason)


def _record_topic(
    session: Session, topic: Topic, changed: Changes, *, now: datetime, by: str, reason: str
) -> None:
    record(
        session,
        f"topic:{topic.id}",
        "amended",
        now=now,
        by=by,
        note=reason,
        before={column: old for column, (old, _) in changed.items()},
        after={column: new for column, (_, new) in changed.items()},
    )


# Names


def slugs(session: Session) -> dict[UUID, str]:
    """Every department's slug by its id."""
    rows = session.execute(sa.select(departments.c.id, departments.c.slug))
    return {row.id: row.slug for row in rows}


def about_department(department: Department) -> str:
    """The subject under which a department's events stand."""
    return f"department:{department.id}"


def _refuse_taken(session: Session, slug: str, *, by: Department | None = None) -> None:
    """Refuse a slug that another than *by* has, or had: its old addresses still lead there."""
    try:
        holder = department_ever_called(session, slug)
    except NotFound:
        return
    if by is None or holder.id != by.id:
        raise InvalidValue("slug.taken", slug=slug, dept=localised(holder.name, "en")[0])


def keep_slug(session: Session, department: Department, old: str, now: datetime) -> None:
    """Let the slug *old* lead to where *department* is from now on."""
    both = (old, department.slug)
    session.execute(sa.delete(slug_history).where(slug_history.c.slug.in_(both)))
    kept = {"slug": old, "department_id": department.id, "until": now}
    session.execute(sa.insert(slug_history).values(kept))


def _take_cells(
    session: Session,
    department: Department,
    cells: Cells,
    *,
    settings: Settings,
    now: datetime,
) -> None:
    set_columns(
        department,
        cells,
        region=settings.site.default_country,
        find=lambda slug: department_ever_called(session, slug).id,
        now=now,
    )
    check_tree(department, department.parent_id, parent_ids(session))

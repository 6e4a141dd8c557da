"""The reads that pages, mails and the command line need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import (
    FLAGGED,
    additions,
    attempts,
    contact_points,
    decisions,
    deliveries,
    departments,
    directory_version,
    enquiries,
    events,
    rule_sets,
    slug_history,
    topics,
)
from directory.adapters.prepared import Prepared
from directory.domain.conditions import Mailbox, Routes, Target, TopicRoute
from directory.domain.contacts import (
    LIVE_STATES,
    ContactPoint,
    Department,
    DepartmentStatus,
    Localised,
    PointKind,
    PointState,
    Topic,
    by_position,
)
from directory.domain.delivery import Delivery, DeliveryState
from directory.domain.enquiry import Addition, Decision, Enquiry, EnquiryStatus, Event
from directory.domain.errors import NotFound
from directory.domain.hours import OpeningHours
from directory.domain.routing import RuleSet
from directory.domain.values import EmailAddress

# How the site reads a department's opening hours; they need its time zone and its calendar.
HoursOf = Callable[[Department], OpeningHours | None]


@dataclass(frozen=True, slots=True)
class DepartmentRow:
    """A department as a list or a tree shows it."""

    id: UUID
    slug: str
    parent_id: UUID | None
    status: DepartmentStatus
    name: Localised
    position: int
    depth: int = 0


# Statements on the way of every enquiry are put together once: SQLAlchemy takes five times as long
# to build one as to run it.
_DIRECTORY_VERSION = Prepared(sa.select(directory_version.c.version))
_PUBLISHED_KEY = Prepared(
    sa.select(
        sa.select(sa.func.max(rule_sets.c.version))
        .where(rule_sets.c.effective_at <= sa.bindparam("now"))
        .scalar_subquery(),
        sa.select(directory_version.c.version).scalar_subquery(),
    )
)
_ENQUIRY_BY_TOKEN = sa.select(Enquiry).where(enquiries.c.form_token == sa.bindparam("token"))
_ENQUIRY_BY_REF = sa.select(Enquiry).where(enquiries.c.ref == sa.bindparam("symbols"))
_MAILBOX_OF_OURS = Prepared(
    sa.select(sa.literal_column("1"))
    .where(
        sa.or_(
            contact_points.c.value == sa.bindparam("address"),
            contact_points.c.value == sa.bindparam("folded"),
        ),
        contact_points.c.kind == PointKind.EMAIL,
    )
    .limit(1)
)


_WROTE_BEFORE = Prepared(
    sa.select(sa.literal_column("1"))
    .where(
        sa.or_(
            enquiries.c.email == sa.bindparam("address"),
            enquiries.c.email == sa.bindparam("folded"),
        ),
        enquiries.c.id != sa.bindparam("but"),
        # Somebody may have had a reason to suspect these.
        enquiries.c.status != EnquiryStatus.HELD,
    )
    .limit(1)
)


def version_of_directory(session: Session) -> int:
    """How often departments, contact points and topics were changed; the key of what is cached."""
    found = _DIRECTORY_VERSION.first(session, {})
    return int(found[0]) if found else 0


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Who takes no mail in one version of the directory: mailboxes, and closed departments."""

    version: int
    mailboxes: frozenset[UUID]
    departments: frozenset[UUID]

    def is_for(self, delivery: Delivery) -> bool:
        """Whether *delivery* is for one of them."""
        return (
            delivery.contact_point_id in self.mailboxes
            or delivery.department_id in self.departments
        )


def unreachable(session: Session, version: int, known: Unreachable | None) -> Unreachable:
    """Who takes no mail in *version* of the directory, which is that of now, if not yet *known*."""
    if known is not None and known.version == version:
        return known
    mailboxes = sa.select(contact_points.c.id).where(
        contact_points.c.kind == PointKind.EMAIL, contact_points.c.state.not_in(LIVE_STATES)
    )
    closed = sa.select(departments.c.id).where(departments.c.status == DepartmentStatus.CLOSED)
    return Unreachable(
        version, frozenset(session.scalars(mailboxes)), frozenset(session.scalars(closed))
    )


def department_by_slug(session: Session, slug: str) -> Department:
    """The department now called *slug*. Raises NotFound."""
    found = session.scalar(sa.select(Department).where(departments.c.slug == slug))
    if found is None:
        raise NotFound(f"There is no department “{slug}”")
    return found


def department_ever_called(session: Session, slug: str) -> Department:
    """The department called *slug* now, or else the one that was called so once.

    Raises NotFound. Ask its own slug and status for where its page is.
    """
    found = session.scalar(sa.select(Department).where(departments.c.slug == slug))
    if found is None:
        past = sa.select(slug_history.c.department_id).where(slug_history.c.slug == slug)
        found = session.scalar(sa.select(Department).where(departments.c.id.in_(past)))
    if found is None:
        raise NotFound(f"There is no department “{slug}”")
    return found


def topic_by_code(session: Session, code: str) -> Topic:
    """The topic *code*, offered or not. Raises NotFound."""
    found = session.scalar(sa.select(Topic).where(topics.c.code == code))
    if found is None:
        raise NotFound(f"There is no topic “{code}”")
    return found


def department_rows(session: Session, *, active_only: bool = True) -> list[DepartmentRow]:
    """Every department, ordered as the tree is read: parents before children, by position."""
    columns = (
        departments.c.id,
        departments.c.slug,
        departments.c.parent_id,
        departments.c.status,
        departments.c.name,
        departments.c.position,
    )
    wanted = sa.select(*columns).order_by(departments.c.position, departments.c.slug)
    if active_only:
        wanted = wanted.where(departments.c.status == DepartmentStatus.ACTIVE)
    rows = [DepartmentRow(*row) for row in session.execute(wanted)]
    below: dict[UUID | None, list[DepartmentRow]] = {}
    known = {row.id for row in rows}
    for row in rows:
        # One whose parent is closed stands at the top rather than nowhere.
        below.setdefault(row.parent_id if row.parent_id in known else None, []).append(row)
    ordered: list[DepartmentRow] = []
    waiting = [(row, 0) for row in reversed(below.get(None, []))]
    while waiting:
        row, depth = waiting.pop()
        ordered.append(replace(row, depth=depth))
        waiting.extend((child, depth + 1) for child in reversed(below.get(row.id, [])))
    return ordered


def parents_of(session: Session, department: Department) -> list[DepartmentRow]:
    """The departments above it, the topmost first."""
    above: list[DepartmentRow] = []
    seen = {department.id}
    parent_id = department.parent_id
    while parent_id is not None and parent_id not in seen:
        seen.add(parent_id)
        row = session.execute(
            sa.select(
                departments.c.id,
                departments.c.slug,
                departments.c.parent_id,
                departments.c.status,
                departments.c.name,
                departments.c.position,
            ).where(departments.c.id == parent_id)
        ).one()
        above.append(DepartmentRow(*row))
        parent_id = row.parent_id
    return above[::-1]


def children_of(session: Session, department: Department) -> list[DepartmentRow]:
    """The active departments directly below it, in order."""
    found = session.execute(
        sa.select(
            departments.c.id,
            departments.c.slug,
            departments.c.parent_id,
            departments.c.status,
            departments.c.name,
            departments.c.position,
        )
        .where(
            departments.c.parent_id == department.id,
            departments.c.status == DepartmentStatus.ACTIVE,
        )
        .order_by(departments.c.position, departments.c.slug)
    )
    return [DepartmentRow(*row) for row in found]


def parent_ids(session: Session) -> dict[UUID, UUID | None]:
    """Every department's id with its parent's, to keep the tree a tree."""
    return {
        row.id: row.parent_id
        for row in session.execute(sa.select(departments.c.id, departments.c.parent_id))
    }


def is_mailbox_of_ours(session: Session, address: str) -> bool:
    """Whether *address* is one of the directory's own mailboxes, whatever its state.

    Also in other capitals than ours: those make no other mailbox.
    """
    spellings = {"address": address, "folded": address.casefold()}
    return _MAILBOX_OF_OURS.first(session, spellings) is not None


def wrote_before(session: Session, email: EmailAddress, *, but: int = 0) -> bool:
    """Whether an enquiry came from *email* before; *but* is the id of one that does not count.

    Written as now, or in small letters: the index knows no other spelling of it.
    """
    spellings = {"address": str(email), "folded": str(email).casefold(), "but": but}
    return _WROTE_BEFORE.first(session, spellings) is not None


class Published:
    """What decides and explains now: the published rules and the part of the directory they name.

    Loaded once per version and shared by a process's requests; nothing in it is changed. A
    department the rules do not name is looked up when somebody chooses it.
    """

    def __init__(
        self,
        *,
        key: tuple[int, int],
        rules: RuleSet,
        topics: Sequence[Topic],
        departments: Iterable[Department],
        desk: str,
        country_names: Mapping[str, Localised],
        hours_of: HoursOf,
    ) -> None:
        self.key = key
        self.rules = rules
        self.topics = {topic.code: topic for topic in by_position(topics)}
        self.desk = desk
        self._by_slug: dict[str, Department] = {}
        self._by_id: dict[UUID, Department] = {}
        for department in departments:
            self._by_slug[department.slug] = department
            self._by_id[department.id] = department
        asked = rules.opening_departments
        self.routes = Routes(
            targets={
                slug: replace(self._target(found), hours=hours_of(found))
                if slug in asked
                else self._target(found)
                for slug, found in self._by_slug.items()
            },
            topics={
                topic.code: TopicRoute(
                    code=topic.code,
                    label=topic.label,
                    department=self._slug_of(topic.department_id),
                )
                for topic in self.topics.values()
            },
            desk=desk,
            countries=country_names,
            mailboxes=self._mailboxes(),
        )

    def _mailboxes(self) -> dict[str, Mailbox]:
        """Those that rules name by their address, of whichever department has them."""
        named = {to for rule in self.rules.rules for to in rule.recipients if "@" in to}
        found: dict[str, Mailbox] = {}
        for department in self._by_slug.values() if named else ():
            for point in department.points:
                if point.kind is not PointKind.EMAIL or point.value not in named:
                    continue
                # The same address at two departments: the one that may still be written to.
                if point.live or point.value not in found:
                    found[point.value] = Mailbox(
                        point.value,
                        point.id,
                        department.slug,
                        live=point.live,
                        verified=point.state is PointState.VERIFIED,
                    )
        return found

    def _slug_of(self, department_id: UUID | None) -> str:
        found = self._by_id.get(department_id) if department_id else None
        return found.slug if found else ""

    def _target(self, department: Department) -> Target:
        mailbox = department.mailbox
        any_mailbox = next((p for p in department.points if p.kind is PointKind.EMAIL), None)
        return Target(
            id=department.id,
            slug=department.slug,
            name=department.name,
            mailbox=mailbox.value if mailbox else "",
            mailbox_id=mailbox.id if mailbox else None,
            verified=mailbox is not None and mailbox.state is PointState.VERIFIED,
            last_mailbox=any_mailbox.value if any_mailbox else "",
            deputy=self._slug_of(department.deputy_id),
            backup_email=department.backup_email,
            away_until=mailbox.away_until if mailbox else None,
            active=department.status is DepartmentStatus.ACTIVE,
            successor=self._slug_of(department.successor_id),
        )

    def known(self, slug: str) -> Department | None:
        """The active department *slug* if rules or topics name it. Not to be changed."""
        found = self._by_slug.get(slug)
        return found if found and found.status is DepartmentStatus.ACTIVE else None

    def mailbox_of(self, to: str) -> tuple[Department, ContactPoint] | None:
        """The live mailbox that rules mean by *to*, an active department's slug or an address.

        None where there is none; nobody stands in for it. Not to be changed.
        """
        if "@" not in to:
            department = self.known(to)
            mailbox = department.mailbox if department else None
            return (department, mailbox) if department and mailbox else None
        named = self.routes.mailboxes.get(to)
        owner = self.known(named.department) if named and named.live else None
        if named is None or owner is None:
            return None
        return owner, next(point for point in owner.points if point.id == named.id)

    def topic(self, code: str) -> Topic | None:
        """The topic *code* as it is offered now, or None."""
        return self.topics.get(code)

    def department(self, session: Session, slug: str) -> Department | None:
        """The active department *slug*, or None. Not to be changed."""
        if found := self.known(slug):
            return found
        found = session.scalar(
            sa.select(Department).where(
                departments.c.slug == slug, departments.c.status == DepartmentStatus.ACTIVE
            )
        )
        if found is not None:
            session.expunge(found)
        return found

    def department_of(self, session: Session, decision: Decision) -> Department:
        """The department *decision* names. Not to be changed."""
        if found := self._by_id.get(decision.department_id):
            return found
        found = session.get_one(Department, decision.department_id)
        session.expunge(found)
        return found

    def routes_with(self, session: Session, slug: str) -> Routes:
        """The routes, and the department *slug* and its deputies if a visitor chose it."""
        targets: dict[str, Target] = {}
        while slug and slug not in self.routes.targets and slug not in targets:
            department = self.department(session, slug)
            if department is None:
                break
            deputy = None
            if department.deputy_id:
                deputy = self._by_id.get(department.deputy_id)
                deputy = deputy or session.get(Department, department.deputy_id)
            targets[slug] = replace(self._target(department), deputy=deputy.slug if deputy else "")
            slug = deputy.slug if deputy else ""
        if not targets:
            return self.routes
        return replace(self.routes, targets={**self.routes.targets, **targets})


def published_key(session: Session, now: datetime) -> tuple[int, int]:
    """The versions of rules and directory that decide at *now*: what Published is kept under."""
    row = _PUBLISHED_KEY.first(session, {"now": now})
    return row[0] or 0, row[1] or 0


def current_rules(session: Session, now: datetime, *, desk: str = "") -> RuleSet:
    """The rules that decide at *now*; before any are published, only the last, to *desk*."""
    return _rules(session, published_key(session, now)[0], desk)


def newest_rules(session: Session, *, desk: str = "") -> RuleSet:
    """The version published last, also where its time has not come yet."""
    return _rules(session, session.scalar(sa.select(sa.func.max(rule_sets.c.version))) or 0, desk)


def _rules(session: Session, version: int, desk: str) -> RuleSet:
    found = session.execute(
        sa.select(rule_sets.c.rules, rule_sets.c.examples, rule_sets.c.waivers).where(
            rule_sets.c.version == version
        )
    ).one_or_none()
    if found is None:
        name = {"en": "Everything else", "zh-Hans": "其余咨询"}
        return RuleSet.read(version, [{"id": "desk", "name": name, "send_to": desk}])
    return RuleSet.read(version, found.rules, examples=found.examples, waivers=found.waivers)


def rules_of_version(session: Session, version: int) -> RuleSet:
    """The rules as they were published as *version*. Raises NotFound."""
    known = sa.select(rule_sets.c.version).where(rule_sets.c.version == version)
    if session.scalar(known) is None:
        raise NotFound(f"There is no version {version} of the rules")
    return _rules(session, version, "")


def rules_at(session: Session, version: int, *, desk: str) -> RuleSet:
    """The rules of *version*; of 0, from before any were published, the last one to *desk*."""
    return rules_of_version(session, version) if version else _rules(session, 0, desk)


def load_published(
    session: Session,
    key: tuple[int, int],
    *,
    desk: str,
    country_names: Mapping[str, Localised],
    hours_of: HoursOf,
    rules: RuleSet | None = None,
) -> Published:
    """The rules of version ``key[0]``, or *rules* in their place, and all they name.

    Departments that are closed come along where rules or topics still name them, so that it can be
    said of them. They belong to *session*, uncommitted changes and all. Raises NotFound without a
    desk.
    """
    rules = rules or _rules(session, key[0], desk)
    offered = list(session.scalars(sa.select(Topic).where(topics.c.active)))
    named = {to for rule in rules.rules for to in rule.recipients}
    slugs = {to for to in named if "@" not in to} | rules.opening_departments | {desk}
    slugs |= {slug for rule in rules.ordinary if rule.when for slug in rule.when.departments()}
    ids = {topic.department_id for topic in offered if topic.department_id}
    addresses = {to for to in named if "@" in to}
    owners = sa.select(contact_points.c.department_id).where(
        contact_points.c.value.in_(addresses), contact_points.c.kind == PointKind.EMAIL
    )
    found: dict[UUID, Department] = {}
    wanted = sa.or_(
        departments.c.slug.in_(slugs), departments.c.id.in_(ids), departments.c.id.in_(owners)
    )
    while True:
        more = {it.id: it for it in session.scalars(sa.select(Department).where(wanted))}
        found |= more
        beyond = {d.deputy_id for d in more.values()} | {d.successor_id for d in more.values()}
        following = {id for id in beyond if id is not None} - found.keys()
        if not following:
            break
        wanted = departments.c.id.in_(following)
    if not any(it.slug == desk and it.status is DepartmentStatus.ACTIVE for it in found.values()):
        raise NotFound(
            f"There is no department “{desk}”: the desk ([site] desk) receives what no rule does"
        )
    return Published(
        key=key,
        rules=rules,
        topics=offered,
        departments=found.values(),
        desk=desk,
        country_names=country_names,
        hours_of=hours_of,
    )


# Enquiries


def enquiry_by_ref(session: Session, symbols: str) -> Enquiry:
    """The enquiry with the eight *symbols* of its reference. Raises NotFound."""
    found = session.scalar(_ENQUIRY_BY_REF, {"symbols": symbols})
    if found is None:
        raise NotFound(f"There is no enquiry {symbols}")
    return found


def enquiry_by_token(session: Session, form_token: str) -> Enquiry | None:
    """The enquiry that was sent with this form token (or Idempotency-Key)."""
    return session.scalar(_ENQUIRY_BY_TOKEN, {"token": form_token})


def decisions_of(session: Session, enquiry: Enquiry) -> list[Decision]:
    """Every decision on it, the first first."""
    return list(
        session.scalars(
            sa.select(Decision).where(decisions.c.enquiry_id == enquiry.id).order_by(decisions.c.id)
        )
    )


def deliveries_of(session: Session, enquiry: Enquiry) -> list[Delivery]:
    """Every message it caused, the first first."""
    return list(
        session.scalars(
            sa.select(Delivery)
            .where(deliveries.c.enquiry_id == enquiry.id)
            # Ids of one millisecond are in any order.
            .order_by(deliveries.c.position, deliveries.c.id)
        )
    )


def additions_of(session: Session, enquiry: Enquiry) -> list[Addition]:
    """What the visitor wrote after *enquiry* was sent, the first first."""
    wanted = sa.select(Addition).where(additions.c.enquiry_id == enquiry.id)
    return list(session.scalars(wanted.order_by(additions.c.id)))


def events_of(session: Session, subject: str) -> list[Event]:
    """What happened to *subject*, the first first."""
    return list(
        session.scalars(sa.select(Event).where(events.c.subject == subject).order_by(events.c.id))
    )


@dataclass(frozen=True, slots=True)
class EnquiryRow:
    """An enquiry as a list shows it: no text, no person."""

    ref: str
    received_at: datetime
    status: EnquiryStatus
    attention: str
    topic: str
    department: str
    answer_by: datetime | None
    tags: list[str]


def enquiry_rows(
    session: Session,
    *,
    status: EnquiryStatus | None = None,
    department: str = "",
    attention: bool = False,
    limit: int = 50,
) -> list[EnquiryRow]:
    """The newest enquiries first; with *attention* only those that somebody must look at."""
    wanted = (
        sa.select(
            enquiries.c.ref,
            enquiries.c.received_at,
            enquiries.c.status,
            enquiries.c.attention,
            enquiries.c.topic,
            departments.c.slug,
            enquiries.c.answer_by,
            enquiries.c.tags,
        )
        .join(departments, departments.c.id == enquiries.c.department_id)
        .order_by(enquiries.c.received_at.desc())
        .limit(limit)
    )
    if status is not None:
        wanted = wanted.where(enquiries.c.status == status)
    if department:
        wanted = wanted.where(departments.c.slug == department)
    if attention:
        wanted = wanted.where(FLAGGED)
    return [EnquiryRow(*row) for row in session.execute(wanted)]


# Moves


@dataclass(frozen=True, slots=True)
class MoveCount:
    """How many enquiries a rule or a topic had, and how many of them were passed on.

    ``key`` is the rule's id or the topic's code.
    """

    key: str
    decided: int
    moved: int

    @property
    def share(self) -> float:
        """The misroute rate, from 0 to 1; 0 where there was none."""
        return self.moved / self.decided if self.decided else 0.0


# Asked for so many rules at once: SQLite takes some ten thousand values, and a plan has its price.
_RULES_AT_ONCE = 500


def moves_of_rules(
    session: Session, rules: Sequence[str], *, since: datetime
) -> dict[str, MoveCount]:
    """By the ids *rules*, what became of the enquiries each decided since then.

    Counted once where a rule decided twice on one, and not where another decision took its place
    before anything was sent (a held enquiry released under newer rules). A rule that decided
    nothing is left out.
    """
    later, anew = decisions.alias("later"), decisions.alias("anew")
    # A move that was taken back is none.
    turned = sa.case((later.c.reason == "moved", 1), (later.c.reason == "undone", -1), else_=0)
    # Not what covers for a mailbox that refused: the rule chose that department all the same.
    replaced = (
        sa.select(anew.c.id)
        .where(
            anew.c.enquiry_id == decisions.c.enquiry_id,
            anew.c.id > decisions.c.id,
            sa.or_(anew.c.rule_id.is_not(None), anew.c.reason.in_(("department", "topic"))),
        )
        .exists()
    )
    tests = (
        sa.select(enquiries.c.id)
        .where(enquiries.c.id == decisions.c.enquiry_id, enquiries.c.test)
        .exists()
    )
    each = (
        sa.select(decisions.c.rule_id, sa.func.sum(turned).label("moves"))
        .outerjoin(
            later,
            sa.and_(
                later.c.enquiry_id == decisions.c.enquiry_id,
                later.c.id > decisions.c.id,
            ),
        )
        .where(
            decisions.c.rule_id.in_(sa.bindparam("rules", expanding=True)),
            decisions.c.at >= since,
            ~replaced,
            ~tests,
        )
        .group_by(decisions.c.rule_id, decisions.c.enquiry_id)
        .subquery("each_enquiry")
    )
    moved = sa.func.sum(sa.case((each.c.moves > 0, 1), else_=0))
    counted = sa.select(each.c.rule_id, sa.func.count(), moved).group_by(each.c.rule_id)
    found: dict[str, MoveCount] = {}
    for start in range(0, len(rules), _RULES_AT_ONCE):
        some = list(rules[start : start + _RULES_AT_ONCE])
        for row in session.execute(counted, {"rules": some}):
            found[row[0]] = MoveCount(*row)
    return found


def moves_of_topics(session: Session, *, since: datetime) -> list[MoveCount]:
    """What became of the enquiries of each topic received since then, the most passed on first.

    Those without a topic stand under "".
    """
    turned = sa.case((decisions.c.reason == "moved", 1), (decisions.c.reason == "undone", -1))
    moves = (
        sa.select(sa.func.sum(turned))
        .where(decisions.c.enquiry_id == enquiries.c.id)
        .scalar_subquery()
    )
    counted = (
        sa.select(
            enquiries.c.topic,
            sa.func.count(),
            sa.func.sum(sa.case((moves > 0, 1), else_=0)),
        )
        .where(enquiries.c.received_at >= since, ~enquiries.c.test)
        .group_by(enquiries.c.topic)
    )
    found = [MoveCount(*row) for row in session.execute(counted)]
    return sorted(found, key=lambda it: (-it.share, it.key))


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as the queue shows it."""

    id: int
    ref: str
    kind: str
    recipient: str
    state: DeliveryState
    attempts: int
    due_at: datetime
    created_at: datetime
    reason: str


def queue(session: Session, *, limit: int = 200) -> list[DeliveryRow]:
    """What is not accepted yet or has failed, the oldest first."""
    unsettled = (
        DeliveryState.QUEUED,
        DeliveryState.SENDING,
        DeliveryState.DEFERRED,
        DeliveryState.FAILED,
    )
    found = session.execute(
        sa.select(
            deliveries.c.id,
            enquiries.c.ref,
            deliveries.c.kind,
            deliveries.c.recipient,
            deliveries.c.state,
            deliveries.c.attempts,
            deliveries.c.due_at,
            deliveries.c.created_at,
            deliveries.c.reason,
        )
        .outerjoin(enquiries, enquiries.c.id == deliveries.c.enquiry_id)
        .where(deliveries.c.state.in_(unsettled))
        .order_by(deliveries.c.id)
        .limit(limit)
    )
    return [DeliveryRow(*row) for row in found]


def attempts_of(session: Session, delivery_ids: Sequence[int]) -> list[Mapping[str, Any]]:
    """Every try of these deliveries, the first first."""
    return [
        dict(row._mapping)
        for row in session.execute(
            sa.select(attempts)
            .where(attempts.c.delivery_id.in_(delivery_ids))
            .order_by(attempts.c.id)
        )
    ]

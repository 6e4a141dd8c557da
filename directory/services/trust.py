"""How far the directory can be trusted: mailboxes asked, what they answer, and who is silent.

A mailbox that an admin entered is asked at once, and again every ``[verify] every_days``: one
challenge, two reminders a week apart, then silence until the next time (P12). Of one address only
one question is open at a time, however many departments it reads the mail of. What came with the
sample or an import is not asked until somebody says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from directory.adapters.db import (
    UNSETTLED,
    challenges,
    contact_points,
    deliveries,
    departments,
    objections,
    store,
)
from directory.domain.contacts import (
    LIVE_STATES,
    ContactPoint,
    Department,
    DepartmentStatus,
    PointKind,
    PointState,
)
from directory.domain.delivery import Delivery, DeliveryKind, DeliveryState
from directory.domain.errors import Conflict, LinkRefused
from directory.domain.ids import new_id
from directory.domain.trust import Challenge
from directory.domain.values import EmailAddress
from directory.services.contacts import about_department
from directory.services.history import record
from directory.services.letters import Letters, new_symbols
from directory.settings import Settings

log = structlog.get_logger(__name__)

# Asked and reminded by one worker in one transaction, which keeps others from writing meanwhile.
BATCH = 20
# A mailbox that cannot be asked now, because another question to it is open, is looked at again.
_LOOK_AGAIN = timedelta(days=1)


class Asked(StrEnum):
    """What came of the wish to ask a mailbox."""

    ASKED = "asked"
    WAITING = "waiting"
    SILENT = "silent"
    OBJECTED = "objected"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Answer:
    """One mailbox of one department, and whether it was asked."""

    department: str
    address: str
    outcome: Asked


# Asking


def sweep(session: Session, *, settings: Settings, now: datetime) -> int:
    """Ask the mailboxes that are due and remind those that are silent; how many mails that makes.

    As many workers as like may do it at once: each row is claimed by its lock and is no longer
    due in the same transaction.
    """
    _one_at_a_time(session)
    return remind(session, settings=settings, now=now) + sum(
        answer.outcome is Asked.ASKED for answer in ask_due(session, settings=settings, now=now)
    )


def _one_at_a_time(session: Session) -> None:
    """Let nobody else ask until this transaction ends.

    Two mailboxes with one address are two rows: their locks alone would let both be asked. SQLite
    has one writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.text("SELECT pg_advisory_xact_lock(7205)"))


def ask_due(
    session: Session,
    *,
    settings: Settings,
    now: datetime,
    department_id: UUID | None = None,
    limit: int = BATCH,
) -> list[Answer]:
    """Ask up to *limit* mailboxes whose time has come, the longest due first; by whom is "system".

    *department_id* restricts it to one department's.
    """
    _one_at_a_time(session)
    wanted = (
        sa.select(ContactPoint)
        .where(
            contact_points.c.due_at <= now,
            contact_points.c.kind == PointKind.EMAIL,
            contact_points.c.state.in_(LIVE_STATES),
        )
        .order_by(contact_points.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if department_id is not None:
        wanted = wanted.where(contact_points.c.department_id == department_id)
    found = []
    for point in session.scalars(wanted).all():
        department = session.get_one(Department, point.department_id)
        found.append(_ask(session, department, point, settings=settings, now=now, by="system"))
    return found


def ask_department(
    session: Session, department: Department, *, settings: Settings, now: datetime, by: str
) -> list[Answer]:
    """Somebody wants the mailboxes of *department* asked now.

    Those that have an open question, and those that wrote that they want none, are not asked. A
    suspended one is: that it takes mail again, only its own answer shows.
    """
    _one_at_a_time(session)
    return [
        _ask(session, department, point, settings=settings, now=now, by=by, wanted=True)
        for point in department.points
        if point.kind is PointKind.EMAIL and _may_answer(point)
    ]


def ask_unproven(session: Session, *, settings: Settings, now: datetime, by: str) -> list[Answer]:
    """Somebody wants all mailboxes asked that no check vouches for, imported ones too.

    Those silent since the last time, and those that want no questions, are told and not asked.
    """
    _one_at_a_time(session)
    found = []
    for lacking in unproven(session, settings=settings, now=now):
        point = session.get_one(ContactPoint, lacking.point_id)
        department = session.get_one(Department, point.department_id)
        found.append(_ask(session, department, point, settings=settings, now=now, by=by))
    return found


def _ask(
    session: Session,
    department: Department,
    point: ContactPoint,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    wanted: bool = False,
) -> Answer:
    again = now + timedelta(days=settings.verify.every_days)
    outcome = _may_be_asked(session, department, point, settings, now, wanted=wanted)
    if outcome is Asked.ASKED:
        challenge = Challenge(
            id=new_id(now),
            symbols=new_symbols(),
            department_id=department.id,
            contact_point_id=point.id,
            address=point.value,
            sent_at=now,
            remind_at=None,
        )
        challenge.asked(now)
        session.add(challenge)
        point.asked(again)
        question = Letters(session, settings, now=now).question(department, challenge, reminder=0)
        store(session, question)
        record(
            session,
            about_department(department),
            "asked",
            now=now,
            by=by,
            after={"mailbox": point.value, "challenge": challenge.symbols},
        )
        session.flush()
    elif not wanted:
        point.due_at = now + _LOOK_AGAIN if outcome is Asked.WAITING else again
    return Answer(department.slug, point.value, outcome)


def _may_be_asked(
    session: Session,
    department: Department,
    point: ContactPoint,
    settings: Settings,
    now: datetime,
    *,
    wanted: bool,
) -> Asked:
    """Whether P12 lets one more question go to this mailbox; ASKED says yes."""
    if department.status is not DepartmentStatus.ACTIVE or EmailAddress(point.value).is_no_reply:
        return Asked.NOT_ASKED
    if objected(session, point.value):
        return Asked.OBJECTED
    last = session.scalar(
        sa.select(Challenge)
        .where(challenges.c.address == point.value)
        .order_by(challenges.c.id.desc())
        .limit(1)
    )
    if last is None or (last.answered_at is not None and last.contact_point_id != point.id):
        return Asked.ASKED
    if last.is_open(now):
        return Asked.WAITING
    rest_until = last.sent_at + timedelta(days=settings.verify.every_days)
    # The clock may have gone back; a question of the future was asked in the past.
    silent = last.answered_at is None and last.sent_at <= now < rest_until
    return Asked.SILENT if silent and not wanted else Asked.ASKED


def remind(session: Session, *, settings: Settings, now: datetime, limit: int = BATCH) -> int:
    """Send the reminders that are due; how many.

    One whose last mail is still on its way waits for that: a mail server that was down for a
    week must not deliver question and reminders together.
    """
    due = (
        sa.select(Challenge)
        .where(challenges.c.remind_at <= now, challenges.c.answered_at.is_(None))
        .order_by(challenges.c.remind_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    letters = Letters(session, settings, now=now)
    sent = 0
    for challenge in session.scalars(due).all():
        department = session.get_one(Department, challenge.department_id)
        if not stands(department, challenge) or not challenge.is_open(now):
            challenge.given_up()
        elif _on_its_way(session, challenge):
            challenge.put_off(now)
        else:
            challenge.reminded(now)
            store(session, letters.question(department, challenge, reminder=challenge.reminders))
            sent += 1
    return sent


def stands(department: Department, challenge: Challenge) -> bool:
    """Whether what was asked is still to be answered: the mailbox is there, and is the same."""
    return department.status is DepartmentStatus.ACTIVE and any(
        point.id == challenge.contact_point_id
        and _may_answer(point)
        and point.value == challenge.address
        for point in department.points
    )


def _may_answer(point: ContactPoint) -> bool:
    return point.live or point.state is PointState.SUSPENDED


def _unsettled(session: Session, challenge: Challenge) -> Sequence[Delivery]:
    """Its mails that are not accepted yet."""
    return session.scalars(
        sa.select(Delivery).where(
            UNSETTLED,
            deliveries.c.kind == DeliveryKind.VERIFICATION,
            deliveries.c.contact_point_id == challenge.contact_point_id,
        )
    ).all()


def _on_its_way(session: Session, challenge: Challenge) -> bool:
    return bool(_unsettled(session, challenge))


# Answers


def challenge_of(session: Session, symbols: str, *, lock: bool = False) -> Challenge:
    """The challenge that *symbols* name. Raises LinkRefused, "forged": there is none.

    *lock* keeps others from answering it until this transaction ends.
    """
    wanted = sa.select(Challenge).where(challenges.c.symbols == symbols)
    if lock:
        wanted = wanted.with_for_update().execution_options(populate_existing=True)
    found = session.scalar(wanted)
    if found is None:
        raise LinkRefused("forged")
    return found


def check_open(department: Department, challenge: Challenge, now: datetime) -> None:
    """Raise LinkRefused: "spent" once answered, "expired" after its time, "revoked" when moot."""
    if challenge.answered_at is not None:
        raise LinkRefused("spent")
    if not challenge.is_open(now):
        raise LinkRefused("expired")
    if not stands(department, challenge):
        raise LinkRefused("revoked")


def confirm(
    session: Session, challenge: Challenge, *, settings: Settings, now: datetime
) -> Department:
    """Whoever reads the mailbox says that all the public sees is right.

    Verifies the mailbox and all published details but other mailboxes: those are asked
    themselves, for only their own answer proves that somebody reads them. Raises LinkRefused.
    """
    department = session.get_one(Department, challenge.department_id)
    check_open(department, challenge, now)
    seen = [
        point
        for point in department.points
        if point.id == challenge.contact_point_id
        or (point.shown and point.kind is not PointKind.EMAIL)
    ]
    _answered(session, department, challenge, seen, "confirmed", settings=settings, now=now)
    return department


def answer_with_changes(
    session: Session, challenge: Challenge, *, settings: Settings, now: datetime
) -> Department:
    """Whoever reads the mailbox says that something is to be changed: what, is a proposal's.

    The mailbox itself is proven by that. Raises LinkRefused.
    """
    department = session.get_one(Department, challenge.department_id)
    check_open(department, challenge, now)
    own = [point for point in department.points if point.id == challenge.contact_point_id]
    _answered(session, department, challenge, own, "proposed", settings=settings, now=now)
    return department


def _answered(
    session: Session,
    department: Department,
    challenge: Challenge,
    proven: Sequence[ContactPoint],
    answer: str,
    *,
    settings: Settings,
    now: datetime,
) -> None:
    verify(proven, how="mailbox", by=challenge.address, settings=settings, now=now)
    challenge.answered(now, answer)
    _call_back(session, challenge, now, "answered")
    record(
        session,
        about_department(department),
        answer,
        now=now,
        by=challenge.address,
        after={"challenge": challenge.symbols, "points": [str(point.id) for point in proven]},
    )


def _call_back(session: Session, challenge: Challenge, now: datetime, why: str) -> None:
    """Mails of the challenge that no worker is just sending need not go any more."""
    for delivery in _unsettled(session, challenge):
        session.refresh(delivery, ["state"], with_for_update=True)
        if delivery.state in {DeliveryState.QUEUED, DeliveryState.DEFERRED}:
            delivery.cancelled(now, why)


def verify(
    points: Sequence[ContactPoint], *, how: str, by: str, settings: Settings, now: datetime
) -> None:
    """Mark *points* as checked now; a mailbox is to be asked again in its time.

    The department's ``updated_at`` stays: no value changed, and an import made from an export
    before the check must not be taken for a conflict with it.
    """
    for point in points:
        point.verified(now, how=how, by=by, due=now + timedelta(days=settings.verify.every_days))


def verify_by_hand(
    session: Session,
    department: Department,
    *,
    settings: Settings,
    now: datetime,
    by: str,
    reason: str,
) -> list[ContactPoint]:
    """An editor has checked every detail of *department* in another way, and says how: *reason*.

    A suspended mailbox stays suspended: that it takes mail again is for itself to show. Raises
    Conflict without a reason.
    """
    if not reason:
        raise Conflict("say with --reason how it was checked")
    checked = [
        point
        for point in department.points
        if point.state not in {PointState.RETIRED, PointState.SUSPENDED}
    ]
    verify(checked, how="editor", by=by, settings=settings, now=now)
    record(
        session,
        about_department(department),
        "verified",
        now=now,
        by=by,
        note=reason,
        after={"points": [str(point.id) for point in checked]},
    )
    return checked


# Objections and refusals


def objected(session: Session, address: str) -> bool:
    """Whether the mailbox wrote that it wants no more questions."""
    key = EmailAddress(address).key
    return bool(session.scalar(sa.select(objections.c.address).where(objections.c.address == key)))


def object_to_questions(session: Session, challenge: Challenge, *, now: datetime) -> None:
    """The mailbox wants no more questions: no reminder, and none in half a year. Twice is once.

    Enquiries still go there. The department's history says so, for an editor to check by hand.
    """
    for other in session.scalars(
        sa.select(Challenge)
        .where(challenges.c.address == challenge.address, challenges.c.answered_at.is_(None))
        .with_for_update()
    ):
        other.given_up()
        _call_back(session, other, now, "objected")
    if objected(session, challenge.address):
        return
    key = EmailAddress(challenge.address).key
    session.execute(sa.insert(objections).values(address=key, at=now, how="unsubscribed"))
    department = session.get_one(Department, challenge.department_id)
    record(
        session,
        about_department(department),
        "objected",
        now=now,
        by=challenge.address,
        after={"mailbox": challenge.address, "challenge": challenge.symbols},
    )


def question_refused(session: Session, delivery: Delivery, *, now: datetime) -> None:
    """The mail server refused a question for good, or for days: nobody reads that mailbox.

    No reminder follows (P12), and the mailbox is suspect until it answers or an editor looks.
    """
    if delivery.department_id is None:
        return
    for challenge in session.scalars(
        sa.select(Challenge)
        .where(
            challenges.c.contact_point_id == delivery.contact_point_id,
            challenges.c.answered_at.is_(None),
        )
        .with_for_update()
    ):
        challenge.given_up()
    point = session.get(ContactPoint, delivery.contact_point_id)
    if point is not None and point.live:
        point.become(PointState.SUSPECT)
    department = session.get_one(Department, delivery.department_id)
    record(
        session,
        about_department(department),
        "question_refused",
        now=now,
        by="system",
        note=delivery.reason,
        after={"mailbox": delivery.recipient, "delivery": str(delivery.id)},
    )


# What an editor should look at


@dataclass(frozen=True, slots=True)
class Unproven:
    """A mailbox that did not answer, or that could not be asked."""

    point_id: UUID
    department: str
    address: str
    state: PointState
    verified_at: datetime | None
    asked_at: datetime | None
    objected: bool


def unproven(session: Session, *, settings: Settings, now: datetime) -> list[Unproven]:
    """Live mailboxes of active departments without a check in ``[verify] every_days``.

    Those whose question is still open are not among them.
    """
    oldest = now - timedelta(days=settings.verify.every_days)
    last = (
        sa.select(challenges.c.contact_point_id, sa.func.max(challenges.c.sent_at).label("sent_at"))
        .group_by(challenges.c.contact_point_id)
        .subquery()
    )
    rows = session.execute(
        sa.select(
            contact_points.c.id,
            departments.c.slug,
            contact_points.c.value,
            contact_points.c.state,
            contact_points.c.verified_at,
            last.c.sent_at,
            objections.c.address.is_not(None),
        )
        .join(departments, departments.c.id == contact_points.c.department_id)
        .join(last, last.c.contact_point_id == contact_points.c.id, isouter=True)
        .join(
            objections, objections.c.address == sa.func.lower(contact_points.c.value), isouter=True
        )
        .where(
            departments.c.status == DepartmentStatus.ACTIVE,
            contact_points.c.kind == PointKind.EMAIL,
            contact_points.c.state.in_(LIVE_STATES),
            sa.or_(contact_points.c.verified_at.is_(None), contact_points.c.verified_at < oldest),
            ~sa.exists().where(
                challenges.c.contact_point_id == contact_points.c.id,
                challenges.c.answered_at.is_(None),
                challenges.c.remind_at.is_not(None),
            ),
        )
        .order_by(departments.c.slug, contact_points.c.value)
    )
    return [Unproven(*row) for row in rows]

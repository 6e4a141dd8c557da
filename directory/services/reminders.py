"""Nothing stays unanswered in silence: who has an enquiry is reminded, and then others are told.

Each open enquiry has a time at which the next reminder goes out (``domain/answering.py``); what is
due goes out in one mail for each mailbox. The times are moved on in the transaction that makes the
mail, so as many workers as like may look: each reminder is sent once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from directory.adapters import duties
from directory.adapters.compose import ReminderItem
from directory.adapters.db import (
    PLANNED,
    UNMEASURED,
    UNPLANNED,
    departments,
    enquiries,
    note_written,
)
from directory.adapters.links import Signer
from directory.adapters.queries import decisions_of, deliveries_of
from directory.domain.answering import (
    TYPICAL_OF,
    Clock,
    Step,
    days_overdue,
    next_reminder,
    typical,
)
from directory.domain.contacts import Department, localised
from directory.domain.delivery import DeliveryKind, DeliveryState
from directory.domain.enquiry import Enquiry, EnquiryStatus, ReplyBy, action_version
from directory.domain.values import Reference
from directory.services.contacts import hours_of, language_of
from directory.services.cover import Cover, StandsIn, cover_of
from directory.services.history import about, record
from directory.services.letters import Letters
from directory.settings import Settings

log = structlog.get_logger(__name__)

# Looked at in one transaction, which keeps others from writing meanwhile.
BATCH = 200
_OPEN = (EnquiryStatus.RECEIVED, EnquiryStatus.ROUTED, EnquiryStatus.TAKEN)
_MEASURE_EVERY = timedelta(hours=1)


def clock_of(department: Department, settings: Settings) -> Clock:
    """Working time as *department* counts it."""
    return Clock(
        settings.sla.calendar,
        department.timezone or settings.site.timezone,
        hours_of(department, settings=settings),
    )


# Planning


def plan(session: Session, *, settings: Settings, now: datetime) -> int:
    """Say when the next reminder goes out, of enquiries of which nobody said; of how many."""
    wanted = (
        sa.select(Enquiry)
        .where(UNPLANNED)
        .order_by(enquiries.c.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    found = session.scalars(wanted).all()
    for enquiry in found:
        if enquiry.test or enquiry.reply_by is ReplyBy.NONE or enquiry.answer_by is None:
            enquiry.reminders = Step.LAST  # nobody waits for an answer
            continue
        department = session.get_one(Department, enquiry.department_id)
        enquiry.remind_at = next_reminder(
            Step(enquiry.reminders),
            received=enquiry.received_at,
            answer_by=enquiry.answer_by,
            clock=clock_of(department, settings),
            now=now,
        )
    return len(found)


# Reminding


@dataclass(frozen=True, slots=True)
class _Line:
    """One enquiry in the mail to one mailbox, and the link that mailbox has to it."""

    enquiry: Enquiry
    answering: Department
    recipient: int
    version: int


def remind(session: Session, *, settings: Settings, signer: Signer, now: datetime) -> int:
    """Send the reminders that are due at *now*, one mail for each mailbox; how many mails."""
    due = (
        sa.select(Enquiry)
        .where(PLANNED, enquiries.c.remind_at <= now, enquiries.c.status.in_(_OPEN))
        .order_by(enquiries.c.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    bundles: dict[str, tuple[Department, list[_Line]]] = {}
    for enquiry in session.scalars(due).all():
        step = Step(enquiry.reminders + 1)
        answering = session.get_one(Department, enquiry.department_id)
        told = []
        for cover, line in _readers(session, enquiry, answering, step, settings):
            bundles.setdefault(cover.address, (cover.department, []))[1].append(line)
            told.append(cover.department.slug)
        _go_on(session, enquiry, answering, step, told, settings=settings, now=now)
    letters = Letters(session, settings, now=now)
    for address, (reader, lines) in bundles.items():
        language = language_of(reader, settings)
        items = [_item(line, language, settings, signer, now) for line in lines]
        session.add(letters.reminder(reader, address, items))
    return len(bundles)


def _readers(
    session: Session, enquiry: Enquiry, answering: Department, step: Step, settings: Settings
) -> Iterable[tuple[Cover, _Line]]:
    """Who is told of *enquiry* at *step*."""
    version = action_version(decisions_of(session, enquiry))
    if step <= Step.ESCALATED:
        # Where its mail still waits to be sent, another mail would only wait beside it.
        routed = [
            it
            for it in deliveries_of(session, enquiry)
            if it.kind is DeliveryKind.ROUTED and it.state is DeliveryState.ACCEPTED
        ]
        if routed:
            last = routed[-1]
            own = Cover(answering, last.recipient)
            yield own, _Line(enquiry, answering, last.position, version)
    if step < Step.ESCALATED:
        return
    number = StandsIn.DEPUTY if step is Step.ESCALATED else StandsIn.DESK
    cover = cover_of(session, answering, number, desk=settings.site.desk)
    if cover is None and number is StandsIn.DEPUTY:
        number = StandsIn.DESK
        cover = cover_of(session, answering, number, desk=settings.site.desk)
    if cover is not None:
        yield cover, _Line(enquiry, answering, int(number), version)


def _go_on(
    session: Session,
    enquiry: Enquiry,
    answering: Department,
    step: Step,
    told: Sequence[str],
    *,
    settings: Settings,
    now: datetime,
) -> None:
    assert enquiry.answer_by is not None  # plan
    enquiry.reminders = step
    enquiry.remind_at = next_reminder(
        step,
        received=enquiry.received_at,
        answer_by=enquiry.answer_by,
        clock=clock_of(answering, settings),
        now=now,
    )
    if step is Step.LAST:
        enquiry.needs_attention("unanswered")
    record(
        session,
        about(enquiry),
        "reminded",
        now=now,
        by="system",
        after={"step": int(step), "told": list(told), "department": answering.slug},
    )
    log.info("enquiry.reminded", ref=enquiry.ref, step=int(step))


def _item(
    line: _Line, language: str, settings: Settings, signer: Signer, now: datetime
) -> ReminderItem:
    enquiry, answering = line.enquiry, line.answering
    assert enquiry.answer_by is not None  # plan
    token = signer.action_token(enquiry.ref, line.recipient, line.version)
    return {
        "reference": Reference(enquiry.ref).display(settings.enquiry.reference_prefix),
        "topic_label": localised(enquiry.topic_label, language)[0],
        "received_at": enquiry.received_at.isoformat(),
        "answer_by": enquiry.answer_by.isoformat(),
        "overdue_days": days_overdue(enquiry.answer_by, now, clock_of(answering, settings)),
        "overdue": now > enquiry.answer_by,
        "answering": ""
        if line.recipient < StandsIn.DEPUTY
        else localised(answering.name, language)[0],
        "taken_by": enquiry.taken_by if enquiry.status is EnquiryStatus.TAKEN else "",
        "action_url": f"{settings.site.base_url}/a/{token}",
    }


# Measuring


def measure(session: Session, *, settings: Settings, now: datetime) -> int:
    """Work out how long answers took, and once an hour how long each department usually takes.

    How many answers were measured. What pages say of a department changes only when the figure
    they show does.
    """
    wanted = (
        sa.select(Enquiry)
        .where(UNMEASURED)
        .order_by(enquiries.c.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    found = session.scalars(wanted).all()
    for enquiry in found:
        department = session.get_one(Department, enquiry.department_id)
        assert enquiry.first_answer_at is not None  # UNMEASURED
        clock = clock_of(department, settings)
        enquiry.answer_days = clock.days_taken(enquiry.received_at, enquiry.first_answer_at)
    if duties.take(session, "answer times", now=now, every=_MEASURE_EVERY) is not None:
        session.flush()
        _summarise(session, now)
        duties.done(session, "answer times", now=now, facts={})
    return len(found)


def _summarise(session: Session, now: datetime) -> None:
    taken: dict[object, list[float]] = {}
    answers = sa.select(enquiries.c.department_id, enquiries.c.answer_days).where(
        enquiries.c.first_answer_at > now - TYPICAL_OF,
        enquiries.c.answer_days.is_not(None),
        ~enquiries.c.test,
    )
    for department_id, days in session.execute(answers):
        taken.setdefault(department_id, []).append(days)
    known = sa.select(departments.c.id, departments.c.typical_days).where(
        sa.or_(departments.c.typical_days.is_not(None), departments.c.id.in_(list(taken)))
    )
    for department_id, before in session.execute(known).all():
        days = taken.get(department_id, [])
        found = typical(days)
        rounded = None if found is None else round(found, 1)
        if rounded == before:
            continue
        session.connection().execute(
            sa.update(departments)
            .where(departments.c.id == department_id)
            .values(typical_days=rounded, typical_of=len(days))
        )
        note_written(session, departments=[department_id])

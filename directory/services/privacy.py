"""Personal data: given out, deleted when asked, and gone by themselves after retention.

What is deleted goes from everywhere at once: the enquiry, what was added, the mail that was made of
it and what the mail servers said, what came back, and staff's notes. What was asked for, of whom,
when, and where it went and why, stays: it names nobody.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from directory.adapters import duties
from directory.adapters.db import (
    Database,
    additions,
    attempts,
    enquiries,
    events,
    incoming,
    link_requests,
    proposals,
)
from directory.adapters.links import Signer
from directory.adapters.queries import (
    Published,
    additions_of,
    decisions_of,
    deliveries_of,
    events_of,
)
from directory.domain.contacts import Department
from directory.domain.delivery import TO_VISITORS, Delivery, DeliveryState
from directory.domain.enquiry import Enquiry, EnquiryStatus
from directory.domain.incoming import IncomingState
from directory.domain.values import EmailAddress, Reference
from directory.services.history import BLANKED, about, record
from directory.services.inbound import forget_enquiry
from directory.services.visitors import VisitorPost, locked_with_mail
from directory.settings import Settings

log = structlog.get_logger(__name__)

# Looked at in one transaction, which keeps others from writing meanwhile.
BATCH = 200
RETENTION = "retention"
_TRACES = "traces"
_DAILY = timedelta(days=1)
_OVER = (EnquiryStatus.CLOSED, EnquiryStatus.WITHDRAWN)


# Deleting


def erase(
    session: Session,
    enquiry: Enquiry,
    *,
    why: Literal["asked", "retention"],
    by: str,
    note: str = "",
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> bool:
    """Delete what is personal in *enquiry*; False where it was done before.

    Where the visitor *asked*, whoever was sent it is asked to delete the mail: we cannot call it
    back. That mail has nothing of the visitor's in it.
    """
    locked_with_mail(session, enquiry)
    if enquiry.erased_at is not None:
        return False
    post = VisitorPost(
        session, enquiry, published=published, settings=settings, signer=signer, now=now
    )
    told = post.to_all_who_had_it("erased") if why == "asked" else []
    mails = deliveries_of(session, enquiry)
    for delivery in mails:
        _blank(delivery, now)
    ids = [it.id for it in mails]
    session.execute(sa.update(attempts).where(attempts.c.delivery_id.in_(ids)).values(text=""))
    session.execute(sa.delete(additions).where(additions.c.enquiry_id == enquiry.id))
    forget_enquiry(session, enquiry.id)
    before = enquiry.status
    blanked = _blank_notes(session, enquiry)
    enquiry.erased(now, why)
    session.add_all(told)
    session.flush()
    record(
        session,
        about(enquiry),
        "erased",
        now=now,
        by=by,
        note=note,
        before={"status": before.value},
        after={
            "status": enquiry.status.value,
            "why": why,
            "deliveries": [str(it.id) for it in told],
            BLANKED: [str(id) for id in blanked],
        },
    )
    _leave_traces(session, now)
    log.info("enquiry.erased", ref=enquiry.ref, why=why)
    return True


def _blank(delivery: Delivery, now: datetime) -> None:
    """Leave of *delivery* that it was, when, of what kind, and what became of it."""
    if delivery.state is not DeliveryState.ACCEPTED:
        # Also one that is being sent: what comes of that is not written down any more.
        delivery.cancelled(now, "")
    delivery.inputs, delivery.content = {}, None
    delivery.reason = delivery.smtp_reply = ""
    if delivery.kind in TO_VISITORS:
        delivery.recipient = ""


def _blank_incoming(session: Session, which: sa.ColumnElement[bool], now: datetime) -> None:
    session.execute(
        sa.update(incoming)
        .where(which)
        .values(
            content=None,
            envelope_from=None,
            reason="erased",
            state=IncomingState.DONE,
            sorted_at=sa.func.coalesce(incoming.c.sorted_at, now),
        )
    )


def _blank_notes(session: Session, enquiry: Enquiry) -> list[int]:
    """Blank what people noted in the history, in words of their own; the events' ids."""
    noted = [it.id for it in events_of(session, about(enquiry)) if it.note and it.by != "system"]
    if noted:
        session.execute(sa.update(events).where(events.c.id.in_(noted)).values(note=""))
    return noted


# The database's own log


def _leave_traces(session: Session, now: datetime) -> None:
    """Say that the log of the database still holds what was deleted."""
    duties.hold(session, _TRACES)
    duties.done(session, _TRACES, now=now, facts={"left": True})


def forget_traces(db: Database, *, now: datetime) -> bool:
    """Empty the log of what was deleted; whether there was anything, and it is gone.

    PostgreSQL sees to that by itself (autovacuum). Raises Unavailable.
    """
    with db.reading() as session:
        if not duties.look(session, _TRACES).facts.get("left"):
            return False
    with db.writing() as session:
        duties.hold(session, _TRACES)
        duties.done(session, _TRACES, now=now, facts={})
    if db.forget_log():
        return True
    with db.writing() as session:
        _leave_traces(session, now)  # somebody still reads it: again next time
    return False


# A person


def enquiries_of_person(session: Session, email: EmailAddress) -> list[Enquiry]:
    """All that was sent with the address *email*, the first first. Reads every enquiry."""
    wanted = sa.select(Enquiry).where(sa.func.lower(enquiries.c.email) == email.key.lower())
    return list(session.scalars(wanted.order_by(enquiries.c.id)))


@dataclass(frozen=True, slots=True)
class ErasedPerson:
    """What was deleted of a person: enquiries (symbols), reports of mistakes, mails that came."""

    refs: list[str]
    reports: int
    mails: int


def erase_person(
    session: Session,
    email: EmailAddress,
    *,
    by: str,
    note: str = "",
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> ErasedPerson:
    """Delete what is known of who writes from *email*, and mail that came from there."""
    found = enquiries_of_person(session, email)
    for enquiry in found:
        erase(
            session,
            enquiry,
            why="asked",
            by=by,
            note=note,
            published=published,
            settings=settings,
            signer=signer,
            now=now,
        )
    key = email.key.lower()
    reports = session.execute(
        sa.update(proposals).where(sa.func.lower(proposals.c.email) == key).values(email="")
    )
    session.execute(sa.delete(link_requests).where(sa.func.lower(link_requests.c.email) == key))
    mails = _mails_naming(session, key)
    if mails:
        _blank_incoming(session, incoming.c.id.in_(mails), now)
    _leave_traces(session, now)
    return ErasedPerson(
        [it.ref for it in found],
        reports.rowcount or 0,  # type: ignore[attr-defined]
        len(mails),
    )


def _mails_naming(session: Session, key: str) -> list[int]:
    """The ids of mails that came and have the address *key* in them, or were sent from there."""
    wanted = sa.select(incoming.c.id, incoming.c.envelope_from, incoming.c.content).where(
        sa.or_(incoming.c.content.is_not(None), incoming.c.envelope_from.is_not(None))
    )
    address = key.encode()
    rows = session.execute(wanted, execution_options={"yield_per": 50})
    return [
        row.id
        for row in rows
        if (row.envelope_from or "").lower() == key or address in (row.content or b"").lower()
    ]


# Giving out


def person_archive(
    session: Session, found: Sequence[Enquiry], *, settings: Settings, now: datetime
) -> bytes:
    """A zip of all that is kept of *found*: ``enquiries.json``, mails to the person, a README.

    Mail to departments is told of and not in it: its links are theirs.
    """
    prefix = settings.enquiry.reference_prefix
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        told = {
            "exported_at": now.isoformat(),
            "enquiries": [_told(session, it, prefix) for it in found],
        }
        archive.writestr("enquiries.json", json.dumps(told, ensure_ascii=False, indent=2))
        for enquiry in found:
            ref = Reference(enquiry.ref).display(prefix)
            for delivery in deliveries_of(session, enquiry):
                if delivery.kind in TO_VISITORS and delivery.content:
                    name = f"mails/{ref}-{delivery.position}-{delivery.kind.value}.eml"
                    archive.writestr(name, delivery.content)
        archive.writestr("README.txt", _README)
    return packed.getvalue()


_README = """\
What this service keeps of what you sent / 本服务保存的您的信息

enquiries.json  What you wrote, to whom it went and why, and what happened since.
                您所写的内容、转交的部门及原因，以及之后的处理情况。
mails/          The mails we sent to you, as they were sent.
                我们发给您的邮件原文。

Times are in UTC unless they say otherwise. The department you wrote to has your enquiry in its own
mailbox as well; ask it for what it keeps there.
除非另有说明，时间均为协调世界时（UTC）。您所联系的部门在自己的邮箱中也有这份咨询；
部门所保存的内容请向该部门查询。
"""


def _told(session: Session, enquiry: Enquiry, prefix: str) -> dict[str, Any]:
    known = ("subject", "message", "name", "organisation", "email", "phone", "phone_typed")
    asked = ("country", "language", "reply_language", "consent", "source")
    instants = ("answer_by", "routed_at", "first_answer_at", "closed_at", "erased_at")

    def name_of(department_id: Any) -> Any:
        return session.get_one(Department, department_id).name

    return {
        "ref": Reference(enquiry.ref).display(prefix),
        "status": _public(enquiry.status),
        "received_at": enquiry.received_at.isoformat(),
        **{name: _iso(getattr(enquiry, name)) for name in instants},
        "topic": {"code": enquiry.topic or None, "label": enquiry.topic_label},
        "department": name_of(enquiry.department_id),
        **{name: getattr(enquiry, name) or None for name in (*known, *asked)},
        "reply_by": enquiry.reply_by.value,
        "answers": enquiry.answers,
        "added": [
            {"at": it.at.isoformat(), "message": it.message}
            for it in additions_of(session, enquiry)
        ],
        "sent_to": [
            {
                "at": _iso(it.at),
                "department": name_of(it.department_id),
                "reason": it.reason,
                "rule": it.rule_name or None,
                "why": it.why,
            }
            for it in decisions_of(session, enquiry)
        ],
        "mails": [
            {
                "at": it.created_at.isoformat(),
                "kind": it.kind.value,
                "to_you": it.kind in TO_VISITORS,
                "status": it.state.value,
            }
            for it in deliveries_of(session, enquiry)
        ],
        "events": [
            {"at": it.at.isoformat(), "type": it.type} for it in events_of(session, about(enquiry))
        ],
    }


def _public(status: EnquiryStatus) -> str:
    return "received" if status is EnquiryStatus.HELD else status.value


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


# What goes by itself


@dataclass(frozen=True, slots=True)
class Tidied:
    """How many enquiries were closed, and of how many the details were deleted."""

    closed: int
    erased: int

    @property
    def more(self) -> bool:
        """Whether there may be more to do."""
        return BATCH in {self.closed, self.erased}


def tidy(
    session: Session,
    *,
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> Tidied:
    """Close what was answered long ago, and delete the details of what was closed long ago.

    Some hundred at a time. As often as anybody likes: what is done is not done again.
    """
    closed = _close(session, settings, now)
    before = now - timedelta(days=settings.privacy.retention_days)
    over_since = sa.func.coalesce(enquiries.c.closed_at, enquiries.c.received_at)
    wanted = (
        sa.select(Enquiry)
        .where(
            enquiries.c.status.in_(_OVER),
            enquiries.c.received_at <= before,
            over_since <= before,
            enquiries.c.erased_at.is_(None),
        )
        .order_by(enquiries.c.id)
        .limit(BATCH)
    )
    found = session.scalars(wanted).all()
    for enquiry in found:
        erase(
            session,
            enquiry,
            why="retention",
            by="system",
            published=published,
            settings=settings,
            signer=signer,
            now=now,
        )
    return Tidied(closed, len(found))


def tidy_daily(
    session: Session,
    *,
    published: Callable[[], Published],
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> None:
    """Do that once a day, and go on at the next call while there is more."""
    if duties.take(session, RETENTION, now=now, every=_DAILY) is None:
        return
    found = tidy(session, published=published(), settings=settings, signer=signer, now=now)
    if not found.more:
        duties.done(session, RETENTION, now=now, facts={})


def _close(session: Session, settings: Settings, now: datetime) -> int:
    """Close what was answered, and of which nothing was heard since."""
    before = now - timedelta(days=settings.enquiry.close_after_days)
    news = (
        sa.select(events.c.id)
        .where(events.c.subject == sa.literal("enquiry:") + enquiries.c.ref, events.c.at > before)
        .exists()
    )
    wanted = (
        sa.select(Enquiry)
        .where(
            enquiries.c.status == EnquiryStatus.ANSWERED,
            enquiries.c.received_at <= before,
            ~news,
        )
        .order_by(enquiries.c.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    found = session.scalars(wanted).all()
    for enquiry in found:
        enquiry.closed(now)
        record(
            session,
            about(enquiry),
            "closed",
            now=now,
            by="system",
            before={"status": EnquiryStatus.ANSWERED.value},
            after={"status": enquiry.status.value},
        )
    return len(found)

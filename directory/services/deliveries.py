"""What follows from a try: recorded, retried, passed on when it failed for good."""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy import orm
from sqlalchemy.orm import Session

from directory.adapters.db import enquiries, store
from directory.adapters.links import Signer
from directory.adapters.queries import Published, decisions_of, deliveries_of
from directory.domain.alarms import AlarmKind
from directory.domain.delivery import (
    TO_VISITORS,
    Attempt,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Outcome,
    retry_delay,
)
from directory.domain.enquiry import Enquiry
from directory.domain.errors import (
    Conflict,
    DeliveryFailure,
    OurFailure,
    PermanentFailure,
)
from directory.domain.ids import new_id
from directory.domain.incoming import RecipientReport, Status
from directory.domain.values import EmailAddress
from directory.services.alarms import sound
from directory.services.enquiries import redeliver_to
from directory.services.evidence import mailbox_refused, visitor_refused
from directory.services.history import about, record
from directory.services.trust import question_refused
from directory.settings import Settings

log = structlog.get_logger(__name__)

# What a visitor was told is kept for somebody to read.
_TO_BE_READ = frozenset({DeliveryKind.ROUTED, DeliveryKind.ADDITION})
_CHANGED = ("ref", "status", "routed_at", "version", "department_id")
_FOR_UPDATE = (
    sa.select(Enquiry)
    .where(enquiries.c.id == sa.bindparam("enquiry_id"))
    # What a delivery changes; the rest, text and all, is read where it is asked for.
    .options(orm.load_only(*(getattr(Enquiry, name) for name in _CHANGED)))
    .with_for_update()
    .execution_options(populate_existing=True)
)


def record_accepted(session: Session, delivery: Delivery, attempt: Attempt, now: datetime) -> None:
    """The mail server took *delivery*; a department's enquiry is with it from now on.

    What the delivery itself says of it, ``succeeded()``, is written already.
    """
    attempt.id = new_id(now)
    store(session, attempt)
    if delivery.kind is not DeliveryKind.ROUTED or delivery.enquiry_id is None:
        return
    enquiry = _locked(session, delivery.enquiry_id)
    before = enquiry.status
    # One that was being sent when the enquiry was passed on tells nothing of who has it now.
    if not _was_passed_on(enquiry, delivery) and enquiry.accepted_by_department(now):
        record(
            session,
            about(enquiry),
            "routed",
            now=now,
            by="system",
            before={"status": before.value},
            after={"status": enquiry.status.value, "delivery": str(delivery.id)},
        )


def record_failure(
    session: Session,
    delivery: Delivery,
    failure: DeliveryFailure,
    attempt: Attempt,
    *,
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> DeliveryState:
    """A try of *delivery* failed: put it off, or give up and pass the enquiry on.

    Giving up means a permanent refusal of the recipient, or days of temporary ones. The enquiry
    then goes to the deputy, else the desk, and needs attention. A receipt that fails is only
    recorded.
    """
    attempt.id = new_id(now)
    store(session, attempt)
    times = settings.delivery
    if isinstance(failure, OurFailure):
        log.error("mail.refused_us", stage=failure.stage, code=failure.code, server=attempt.server)
        refused = {"server": attempt.server, "reply": f"{failure.stage} {failure.code}"}
        sound(session, AlarmKind.REFUSED_US, refused, settings=settings, now=now)
    given_up = delivery.is_given_up(
        now, after=timedelta(days=times.give_up_days), backoff_s=times.backoff_s
    )
    if not isinstance(failure, PermanentFailure) and not given_up:
        delay = retry_delay(
            delivery.attempts + 1,
            times.backoff_s,
            times.jitter,
            random.random(),  # noqa: S311  spreads retries, guards nothing
        )
        delivery.deferred(now, delay, failure)
        asked_for = delivery.enquiry_id if delivery.kind is DeliveryKind.ROUTED else None
        if asked_for is not None and _was_passed_on(_locked(session, asked_for), delivery):
            delivery.cancelled(now, "passed on meanwhile")
        return delivery.state
    delivery.failed(now, failure)
    if _is_the_mailboxs_fault(failure) and delivery.kind not in TO_VISITORS:
        mailbox_refused(
            session, delivery, how=f"{failure.stage} {failure.code}", settings=settings, now=now
        )
    _after_giving_up(
        session, delivery, published=published, settings=settings, signer=signer, now=now
    )
    return delivery.state


def record_bounce(
    session: Session,
    delivery: Delivery,
    report: RecipientReport,
    *,
    code: int,
    certain: bool,
    named: Collection[str],
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> None:
    """*delivery* was accepted, and a machine farther on returned it for good.

    What follows is as after a refusal: a mail to the deputy, else the desk, only where the enquiry
    still waits there, and never to one of *named*, who sent the report or is named in it (P11).
    *code* is the SMTP reply in the report, 0 for none; it is not *certain* where the report names
    another address than the delivery's.
    """
    why = f"{report.status or ''} {report.text}".strip() or "no reason was given"
    assert delivery.id is not None
    attempt = Attempt(
        id=new_id(now),
        delivery_id=delivery.id,
        at=now,
        seconds=0,
        server=report.server,
        stage="bounce",
        code=code,
        text=why[:500],
        outcome=Outcome.PERMANENT,
    )
    store(session, attempt)
    delivery.bounced(now, why)
    if delivery.kind in TO_VISITORS:
        visitor_refused(session, delivery.recipient, signer=signer, now=now)
    elif report.status is None or report.status.speaks_of_the_mailbox:
        how = " ".join(["bounce", *(str(it) for it in (code, report.status) if it)])
        mailbox_refused(session, delivery, how=how, certain=certain, settings=settings, now=now)
    _after_giving_up(
        session,
        delivery,
        published=published,
        settings=settings,
        signer=signer,
        now=now,
        came_back=True,
        but_not_to=named,
    )


def _is_the_mailboxs_fault(failure: DeliveryFailure) -> bool:
    """Whether a last word of the mail server tells that nobody reads the mailbox.

    The recipient's name refused, or put off for days; what is refused later is refused for what
    it says, unless the status code (RFC 3463) says otherwise.
    """
    status = Status.find(failure.reply)
    if failure.stage != "rcpt":
        named = status is not None and (status.subject, status.detail) in {(1, 1), (2, 1)}
        return isinstance(failure, PermanentFailure) and named
    if status is not None:
        return status.speaks_of_the_mailbox
    return not isinstance(failure, PermanentFailure) or failure.code in {550, 551, 553}


def park(
    session: Session,
    delivery: Delivery,
    error: Exception,
    now: datetime,
    *,
    settings: Settings,
    during: str = "compose",
) -> None:
    """*delivery* could not be built, or not be handed over ("send"): our own mistake, kept."""
    delivery.parked(now, error, during=during)
    if delivery.kind is not DeliveryKind.ALARM:  # one that cannot be built would make the next
        told = {"reason": delivery.reason, "id": str(delivery.id)}
        sound(session, AlarmKind.PARKED, told, settings=settings, now=now)
    if delivery.enquiry_id is not None and delivery.kind in _TO_BE_READ:
        enquiry = _locked(session, delivery.enquiry_id)
        enquiry.needs_attention(during)
        record(
            session,
            about(enquiry),
            {"compose": "not_composed", "send": "not_sent"}[during],
            now=now,
            by="system",
            after={"delivery": str(delivery.id), "error": type(error).__name__},
        )


def retry(session: Session, delivery: Delivery, *, now: datetime, by: str) -> None:
    """Somebody wants *delivery* tried again at once. Raises Conflict if there is nothing to try."""
    # A worker may be about to claim it; whoever comes second sees what the first did.
    session.refresh(delivery, ["state", "attempts", "due_at", "lease_owner"], with_for_update=True)
    if delivery.state in {DeliveryState.ACCEPTED, DeliveryState.CANCELLED, DeliveryState.SENDING}:
        raise Conflict(f"delivery {delivery.id} is {delivery.state.value}: nothing to try again")
    before = delivery.state
    delivery.retried(now)
    if delivery.enquiry_id is not None:
        enquiry = _locked(session, delivery.enquiry_id)
        record(
            session,
            about(enquiry),
            "retried",
            now=now,
            by=by,
            before={"state": before.value},
            after={"delivery": str(delivery.id)},
        )


def _locked(session: Session, enquiry_id: int) -> Enquiry:
    """The enquiry, nobody else's until this transaction ends.

    Its two mails may have news at the same moment, and both write its state and its history.
    """
    session.info.setdefault("locked", set()).add(enquiry_id)
    return session.scalars(_FOR_UPDATE, {"enquiry_id": enquiry_id}).one()


def _after_giving_up(
    session: Session,
    delivery: Delivery,
    *,
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
    came_back: bool = False,
    but_not_to: Collection[str] = (),
) -> None:
    """Pass the enquiry on where *delivery* was its way to a department; else only record it.

    One that *came_back* was theirs for a while: by now the enquiry may be answered, or elsewhere.
    *but_not_to* are addresses that are passed over.
    """
    if delivery.kind is DeliveryKind.VERIFICATION:
        question_refused(session, delivery, now=now)
    if delivery.enquiry_id is None:
        return
    enquiry = _locked(session, delivery.enquiry_id)
    if delivery.kind is not DeliveryKind.ROUTED:
        if delivery.kind is DeliveryKind.ADDITION and enquiry.erased_at is None:
            enquiry.needs_attention("addition_failed")
        record(
            session,
            about(enquiry),
            f"{delivery.kind.value}_{'bounced' if came_back else 'failed'}",
            now=now,
            by="system",
            after={"delivery": str(delivery.id)},
        )
        return
    elsewhere = _was_passed_on(enquiry, delivery)
    if elsewhere or (came_back and not _waits_there(session, enquiry, delivery)):
        record(
            session,
            about(enquiry),
            "bounced" if came_back else "given_up",
            now=now,
            by="system",
            after={"delivery": str(delivery.id), "instead": ""},
        )
        return
    before = enquiry.status
    enquiry.came_back()
    tried = [d.recipient for d in deliveries_of(session, enquiry) if d.kind is delivery.kind]
    again = redeliver_to(
        session,
        delivery,
        enquiry,
        published=published,
        settings=settings,
        signer=signer,
        now=now,
        tried=[*tried, *but_not_to],
    )
    refused = "bounced" if came_back else "refused"
    enquiry.needs_attention(refused if again else "undeliverable")
    log.error("mail.given_up", ref=enquiry.ref, passed_on=again is not None)
    if again is None:
        sound(session, AlarmKind.UNDELIVERABLE, {"ref": enquiry.ref}, settings=settings, now=now)
    record(
        session,
        about(enquiry),
        "bounced" if came_back else "given_up",
        now=now,
        by="system",
        before={"status": before.value} if before is not enquiry.status else None,
        after={"delivery": str(delivery.id), "instead": str(again.id) if again else ""},
    )


def _was_passed_on(enquiry: Enquiry, delivery: Delivery) -> bool:
    """Whether another department has the enquiry by now than the one *delivery* is for."""
    return enquiry.department_id != delivery.department_id


def _waits_there(session: Session, enquiry: Enquiry, delivery: Delivery) -> bool:
    """Whether the enquiry is still to be answered where *delivery* went."""
    if not enquiry.is_open:
        return False
    latest = decisions_of(session, enquiry)[-1]
    return EmailAddress(latest.recipient).key == delivery.recipient.casefold()

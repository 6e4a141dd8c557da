"""What follows from a try: recorded, retried, passed on when it failed for good."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy import orm
from sqlalchemy.orm import Session

from directory.adapters.db import enquiries, store
from directory.adapters.links import Signer
from directory.adapters.queries import Published, deliveries_of
from directory.domain.delivery import Attempt, Delivery, DeliveryKind, DeliveryState, retry_delay
from directory.domain.enquiry import Enquiry
from directory.domain.errors import (
    Conflict,
    DeliveryFailure,
    OurFailure,
    PermanentFailure,
)
from directory.domain.ids import new_id
from directory.services.enquiries import redeliver_to
from directory.services.history import about, record
from directory.services.trust import question_refused
from directory.settings import Settings

log = structlog.get_logger(__name__)

_CHANGED = ("ref", "status", "routed_at", "version")
_FOR_UPDATE = (
    sa.select(Enquiry)
    .where(enquiries.c.id == sa.bindparam("enquiry_id"))
    # What a delivery changes; the rest, text and all, is read where it is asked for.
    .options(orm.load_only(*(getattr(Enquiry, name) for name in _CHANGED)))
    .with_for_update()
    .execution_options(populate_existing=True)
)


def record_accepted(session: Session, delivery: Delivery, attempt: Attempt, now: datetime) -> None:
    """The mail server took *delivery*; a department's enquiry is with it from now on."""
    attempt.id = new_id(now)
    store(session, attempt)
    delivery.succeeded(now, f"{attempt.code} {attempt.text}".strip())
    if delivery.kind is not DeliveryKind.ROUTED or delivery.enquiry_id is None:
        return
    enquiry = _locked(session, delivery.enquiry_id)
    before = enquiry.status
    if enquiry.accepted_by_department(now):
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
        return delivery.state
    delivery.failed(now, failure)
    _after_giving_up(
        session, delivery, published=published, settings=settings, signer=signer, now=now
    )
    return delivery.state


def park(
    session: Session,
    delivery: Delivery,
    error: Exception,
    now: datetime,
    *,
    during: str = "compose",
) -> None:
    """*delivery* could not be built, or not be handed over ("send"): our own mistake, kept."""
    delivery.parked(now, error, during=during)
    if delivery.enquiry_id is not None and delivery.kind is DeliveryKind.ROUTED:
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
    return session.scalars(_FOR_UPDATE, {"enquiry_id": enquiry_id}).one()


def _after_giving_up(
    session: Session,
    delivery: Delivery,
    *,
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> None:
    if delivery.kind is DeliveryKind.VERIFICATION:
        question_refused(session, delivery, now=now)
    if delivery.enquiry_id is None:
        return
    enquiry = _locked(session, delivery.enquiry_id)
    if delivery.kind is not DeliveryKind.ROUTED:
        record(
            session,
            about(enquiry),
            f"{delivery.kind.value}_failed",
            now=now,
            by="system",
            after={"delivery": str(delivery.id)},
        )
        return
    tried = [d.recipient for d in deliveries_of(session, enquiry) if d.kind is delivery.kind]
    again = redeliver_to(
        session,
        delivery,
        enquiry,
        published=published,
        settings=settings,
        signer=signer,
        now=now,
        tried=tried,
    )
    enquiry.needs_attention("refused" if again else "undeliverable")
    log.error("mail.given_up", ref=enquiry.ref, passed_on=again is not None)
    record(
        session,
        about(enquiry),
        "given_up",
        now=now,
        by="system",
        after={"delivery": str(delivery.id), "instead": str(again.id) if again else ""},
    )

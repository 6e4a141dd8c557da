"""A test enquiry now and then, which goes the whole way: rules, outbox, worker, mail server.

It is marked as a test from the start and is counted nowhere: not in the ledger, not in figures, in
no replay. What it proves is that an enquiry sent now would be with its department in time.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from directory.adapters import duties
from directory.adapters.db import deliveries
from directory.adapters.links import Signer
from directory.adapters.queries import Published
from directory.domain.alarms import AlarmKind
from directory.domain.delivery import DeliveryKind, DeliveryState
from directory.domain.enquiry import ReplyBy, Submission
from directory.services.alarms import quiet, sound
from directory.services.enquiries import submit_enquiry
from directory.settings import Settings

log = structlog.get_logger(__name__)

NAME = "canary"
SOURCE = "canary"
_MESSAGE = (
    "This enquiry is a test that the service sends to itself. No person asked it; no answer is "
    "needed.\n\n本咨询为系统自动发送的测试，并非来自公众，无需答复。"
)


def send(
    session: Session, *, published: Published, settings: Settings, signer: Signer, now: datetime
) -> bool:
    """Send one if its time has come; whether it was sent. None while mail is paused."""
    every = timedelta(minutes=settings.canary.every_minutes)
    if not every or duties.is_on(session, duties.MAIL_PAUSED):
        return False
    turn = duties.take(session, NAME, now=now, every=every)
    if turn is None:
        return False
    submission = Submission(
        form_token=f"canary-{secrets.token_hex(16)}",
        language=settings.site.languages[0],
        department=settings.canary.department or settings.site.desk,
        subject="Test",
        message=_MESSAGE,
        name="Canary",
        reply_by=ReplyBy.NONE,
        consent="none: a test",
        source=SOURCE,
    )
    enquiry = submit_enquiry(
        session,
        submission,
        published=published,
        settings=settings,
        signer=signer,
        now=now,
        test=True,
    )
    facts = {**turn.facts, "ref": enquiry.ref, "id": str(enquiry.id), "sent": now.isoformat()}
    duties.done(session, NAME, now=now, facts=facts)
    return True


def judge(session: Session, *, settings: Settings, now: datetime) -> bool | None:
    """Whether the last one was accepted in time: an alarm if not. None while that is open."""
    if not settings.canary.every_minutes:
        quiet(session, AlarmKind.CANARY, now=now)
        return None
    facts = duties.look(session, NAME).facts
    if "id" not in facts or duties.is_on(session, duties.MAIL_PAUSED):
        return None
    sent = datetime.fromisoformat(facts["sent"])
    accepted = session.scalar(
        sa.select(sa.func.min(deliveries.c.accepted_at)).where(
            deliveries.c.enquiry_id == int(facts["id"]),
            deliveries.c.kind == DeliveryKind.ROUTED,
            deliveries.c.state == DeliveryState.ACCEPTED,
        )
    )
    within = timedelta(seconds=settings.canary.within_s)
    if accepted is not None and accepted - sent <= within:
        quiet(session, AlarmKind.CANARY, now=now)
        return True
    if accepted is None and now - sent <= within:
        return None
    told: dict[str, Any] = {
        "ref": facts["ref"],
        "sent": f"{sent:%Y-%m-%d %H:%M UTC}",
        "within_s": int(settings.canary.within_s),
    }
    sound(session, AlarmKind.CANARY, told, settings=settings, now=now)
    return False

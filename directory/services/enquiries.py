"""What happens to an enquiry: submitted, routed, and later answered or closed."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from directory.adapters import limits
from directory.adapters.db import store, store_once
from directory.adapters.links import Signer
from directory.adapters.queries import (
    Published,
    decisions_of,
    enquiry_by_token,
    is_mailbox_of_ours,
)
from directory.domain.contacts import ContactPoint, Department, DepartmentStatus, Topic
from directory.domain.delivery import Delivery
from directory.domain.enquiry import Decision, Enquiry, EnquiryStatus, Submission
from directory.domain.errors import Conflict, RateLimited, Unavailable
from directory.domain.ids import new_id
from directory.domain.routing import Facts, decide
from directory.domain.values import EmailAddress, Reference
from directory.services.contacts import answer_by
from directory.services.history import about, record
from directory.services.post import Post
from directory.settings import Settings

# P12: to an address nobody verified, whatever the form is used for.
RECEIPTS_A_DAY = 3
# RFC 2142: who reads these did not write to us, and programs answer for them.
NEVER_ANSWERED = frozenset(
    {"abuse", "postmaster", "hostmaster", "mailer-daemon", "noc", "security", "root"}
)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class AlreadySent(Conflict):
    """The form token was used for another text.

    ``ref`` holds the symbols of the enquiry it became then: text, for the enquiry itself could
    not be read any more once the transaction that raised this was rolled back.
    """

    def __init__(self, ref: str) -> None:
        self.ref = ref
        super().__init__(f"already sent as {ref}")


@dataclass(frozen=True, slots=True)
class Sender:
    """Where a submission came from, as keyed hashes: one address, and its network (/24, /64)."""

    address: str
    network: str

    @property
    def keys(self) -> tuple[str, str]:
        return self.address, self.network


def facts_of(submission: Submission) -> Facts:
    """What routing may know of *submission*."""
    return Facts(
        topic=submission.topic,
        department=submission.department,
        reply_language=submission.reply_language,
        country=submission.country,
        text=f"{submission.subject}\n{submission.message}",
    )


def body_hash(submission: Submission) -> str:
    """SHA-256 over what the visitor filled in: the same form sent twice has the same."""
    told: list[Any] = [
        submission.topic,
        submission.department,
        submission.subject,
        submission.message,
        submission.name,
        submission.organisation,
        submission.reply_by,
        str(submission.email or ""),
        submission.phone_typed,
        submission.country,
        submission.reply_language,
        submission.consent,
    ]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()


def sent_before(session: Session, submission: Submission) -> Enquiry | None:
    """The enquiry this form already became; None if it is new.

    Raises AlreadySent when it became one with another text.
    """
    earlier = enquiry_by_token(session, submission.form_token)
    if earlier is not None and earlier.body_hash != body_hash(submission):
        raise AlreadySent(earlier.ref)
    return earlier


def submit_enquiry(
    session: Session,
    submission: Submission,
    *,
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
    sender: Sender | None = None,
    held: str = "",
) -> Enquiry:
    """Keep a visitor's enquiry, decide who answers it, and queue the mail.

    All in the caller's transaction: enquiry, decision, deliveries and event exist together or
    not at all. Nothing is sent here, so a mail server that is down never costs anyone an
    enquiry. The same form sent again gives the same enquiry. *held*, the reason for suspecting
    it, keeps it from being sent until a person has looked at it.

    Raises AlreadySent, and RateLimited when the sender's network has sent too many this hour.
    """
    uses = _uses(session, submission, sender, signer, now)
    if sender and _is_flood(sender, uses, settings.enquiry.refuse_per_hour):
        if earlier := sent_before(session, submission):
            return earlier
        raise _refusal(session, sender, uses, now)

    routes = published.routes_with(session, submission.department)
    decision = decide(facts_of(submission), published.rules, routes)
    department = published.department_of(session, decision)
    topic = published.topic(submission.topic)
    enquiry = _begin(submission, topic, now)
    enquiry.department_id = department.id
    enquiry.answer_by = answer_by(department, topic, settings=settings, received=now)
    if held:
        enquiry.status = EnquiryStatus.HELD
        enquiry.needs_attention(held)
    decision.id, decision.enquiry_id, decision.at = new_id(now), enquiry.id, now
    post = Post(settings, signer, published, enquiry, topic)
    outgoing: list[Delivery] = []
    if not held:
        if decision.recipient:
            outgoing.append(post.to_department(department, decision, position=1, now=now))
        else:
            enquiry.needs_attention("no_mailbox")
        if _wants_receipt(session, submission, topic, uses, settings, sender, signer):
            outgoing.append(post.receipt(department, position=2, now=now))
    if not store_once(session, enquiry):  # this form was sent before, or twice at once
        if earlier := sent_before(session, submission):
            return earlier
        raise Unavailable("reference taken")
    store(session, decision, *outgoing)
    record(
        session,
        about(enquiry),
        "received",
        now=now,
        after={
            "status": enquiry.status.value,
            "department": department.slug,
            "rule_set": decision.rule_set,
            "reason": decision.reason,
        },
        first=True,
    )
    counted: tuple[str, ...] = sender.keys if sender else ()
    if len(outgoing) > 1:
        counted += (_receipt_key(signer, submission),)
    limits.use(session, counted, now=now)
    return enquiry


def _begin(submission: Submission, topic: Topic | None, now: datetime) -> Enquiry:
    return Enquiry(
        id=new_id(now),
        ref=Reference.new(secrets.randbits(35)).symbols,
        received_at=now,
        form_token=submission.form_token,
        body_hash=body_hash(submission),
        language=submission.language,
        topic=submission.topic,
        topic_label=topic.label if topic else {},
        chosen_department=submission.department,
        subject=submission.subject,
        message=submission.message,
        name=submission.name,
        organisation=submission.organisation,
        reply_by=submission.reply_by,
        email=str(submission.email or ""),
        phone=submission.phone.e164 if submission.phone else "",
        phone_extension=submission.phone.extension if submission.phone else "",
        phone_typed=submission.phone_typed,
        country=submission.country,
        reply_language=submission.reply_language,
        consent=submission.consent,
        source=submission.source,
        shown=submission.shown,
    )


# Limits


def _uses(
    session: Session,
    submission: Submission,
    sender: Sender | None,
    signer: Signer,
    now: datetime,
) -> dict[str, int]:
    """How often the sender was here this hour, and the address got a receipt this day."""
    windows = dict.fromkeys(sender.keys, now - HOUR) if sender else {}
    if submission.email is not None:
        receipts = _receipt_key(signer, submission)
        limits.hold(session, receipts)
        windows[receipts] = now - DAY
    return limits.used(session, windows)


def _is_flood(sender: Sender, uses: dict[str, int], most: int) -> bool:
    return bool(most) and uses.get(sender.network, 0) >= most


def _refusal(session: Session, sender: Sender, uses: dict[str, int], now: datetime) -> RateLimited:
    first = limits.first_use(session, sender.network, since=now - HOUR)
    return RateLimited(count=uses[sender.network], again_at=(first or now) + HOUR)


def _receipt_key(signer: Signer, submission: Submission) -> str:
    return signer.fingerprint("receipt", submission.email.key if submission.email else "")


def _wants_receipt(
    session: Session,
    submission: Submission,
    topic: Topic | None,
    uses: dict[str, int],
    settings: Settings,
    sender: Sender | None,
    signer: Signer,
) -> bool:
    """Whether an acknowledgement goes out: never more than P12 allows to an unverified address."""
    email = submission.email
    if email is None or not settings.enquiry.ack or (topic and not topic.acknowledge):
        return False
    soft = settings.enquiry.rate_per_hour
    if soft and sender and any(uses.get(key, 0) >= soft for key in sender.keys):
        return False
    if uses.get(_receipt_key(signer, submission), 0) >= RECEIPTS_A_DAY:
        return False
    if email.local.casefold() in NEVER_ANSWERED or email.is_no_reply:
        return False
    if email.key == settings.mail.from_.casefold():
        return False
    return not is_mailbox_of_ours(session, str(email))


# Mail


def redeliver_to(
    session: Session,
    failed: Delivery,
    enquiry: Enquiry,
    *,
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
    tried: Sequence[str],
) -> Delivery | None:
    """Send to the deputy, else the desk, what *failed* for good; None when nobody is left.

    *tried* are the addresses that already had their chance: each has one.
    """
    routes = published.routes
    department = session.get(Department, enquiry.department_id)
    if department is None:
        return None
    candidates: list[tuple[Department, str, ContactPoint | None]] = []
    seen: set[Any] = set()
    at: Department | None = department
    while at is not None and at.id not in seen:
        seen.add(at.id)
        if at.status is DepartmentStatus.CLOSED:
            at = session.get(Department, at.successor_id) if at.successor_id else None
            continue
        if mailbox := at.mailbox:
            candidates.append((at, mailbox.value, mailbox))
        if at.backup_email:
            candidates.append((at, at.backup_email, None))
        at = session.get(Department, at.deputy_id) if at.deputy_id else None
    desk = published.department(session, routes.desk)
    if desk is not None and (mailbox := desk.mailbox):
        candidates.append((desk, mailbox.value, mailbox))
    for receiver, address, point in candidates:
        if address in tried:
            continue
        decision = Decision(
            # Later than the last, also after the clock went back: the latest is the one in force.
            id=max(new_id(now), decisions_of(session, enquiry)[-1].id + 1),
            enquiry_id=enquiry.id,
            at=now,
            by="system",
            reason="fallback",
            department_id=receiver.id,
            contact_point_id=point.id if point else None,
            recipient=address,
            rule_set=published.rules.version,
            why={
                "en": f"mail to {department.slug} was refused",
                "zh-Hans": f"发往{department.slug}的邮件被拒收",
            },
            passed_over=[department.slug],
        )
        post = Post(settings, signer, published, enquiry, published.topic(enquiry.topic))
        again = post.to_department(
            receiver, decision, position=max(failed.position, len(tried) + 1) + 1, now=now
        )
        session.add_all([decision, again])
        enquiry.department_id = receiver.id
        return again
    return None


def mask(email: str) -> str:
    """*email* as it may be shown where somebody else could look: ``l•••@example.com``."""
    return EmailAddress(email).masked if email else ""

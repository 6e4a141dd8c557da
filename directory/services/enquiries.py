"""What happens to an enquiry: submitted, routed, and later answered or closed."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from directory.adapters import ledger, limits
from directory.adapters.db import store, store_once
from directory.adapters.links import Signer
from directory.adapters.queries import (
    Published,
    additions_of,
    decisions_of,
    deliveries_of,
    department_ever_called,
    enquiry_by_ref,
    enquiry_by_token,
    is_mailbox_of_ours,
    wrote_before,
)
from directory.domain import ids
from directory.domain.conditions import Facts, Why
from directory.domain.contacts import ContactPoint, Department, DepartmentStatus, Topic
from directory.domain.delivery import Delivery
from directory.domain.enquiry import Decision, Enquiry, EnquiryStatus, Submission, action_version
from directory.domain.errors import Conflict, NotFound, RateLimited, Unavailable
from directory.domain.ids import new_id
from directory.domain.ledger import Account
from directory.domain.routing import Outcome, decide
from directory.domain.values import EmailAddress, Reference
from directory.services.contacts import answer_by
from directory.services.evidence import visitor_refuses
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
_PLAIN = Outcome()


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


def facts_of(
    submission: Submission, *, at: datetime | None = None, returning: bool | None = None
) -> Facts:
    """What routing may know of *submission*, sent *at* that instant.

    *returning* is whether the visitor wrote before, None where nobody looked.
    """
    return Facts(
        topic=submission.topic,
        department=submission.department,
        reply_language=submission.reply_language,
        country=submission.country,
        text=f"{submission.subject}\n{submission.message}",
        at=at,
        source=submission.source,
        origin=submission.origin,
        answers=submission.answers,
        returning=returning,
    )


def facts_kept(enquiry: Enquiry, *, at: datetime, returning: bool | None = None) -> Facts:
    """The same of an *enquiry* that was sent once, to be decided *at* that instant."""
    return Facts(
        topic=enquiry.topic,
        department=enquiry.chosen_department,
        reply_language=enquiry.reply_language,
        country=enquiry.country,
        text=f"{enquiry.subject}\n{enquiry.message}",
        at=at,
        source=enquiry.source,
        origin=enquiry.origin,
        answers=enquiry.answers,
        returning=returning,
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
    if submission.answers:  # forms without a question hash as they did before there were any
        told.append(submission.answers)
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
    test: bool = False,
) -> Enquiry:
    """Keep a visitor's enquiry, decide who answers it, and queue the mail.

    All in the caller's transaction: enquiry, decision, deliveries and event exist together or
    not at all. Nothing is sent here, so a mail server that is down never costs anyone an
    enquiry. The same form sent again gives the same enquiry. *held*, the reason for suspecting
    it, keeps it from being sent until a person has looked at it. A *test* goes the same way and is
    counted nowhere.

    Raises AlreadySent, and RateLimited when the sender's network has sent too many this hour.
    """
    uses = _uses(session, submission.email, sender, signer, now)
    if sender and _is_flood(sender, uses, settings.enquiry.refuse_per_hour):
        if earlier := sent_before(session, submission):
            return earlier
        raise _refusal(session, sender, uses, now)

    routes = published.routes_with(session, submission.department)
    returning = _returning(session, published, submission.email)
    facts = facts_of(submission, at=now, returning=returning)
    decision = decide(facts, published.rules, routes)
    outcome = Outcome.from_json(decision.outcome) if decision.outcome else _PLAIN
    department = published.department_of(session, decision)
    topic = published.topic(submission.topic)
    enquiry = _begin(submission, topic, now)
    enquiry.department_id = department.id
    enquiry.answer_by = answer_by(
        department, topic, settings=settings, received=now, days=outcome.target_days
    )
    enquiry.tags = list(outcome.tags)
    enquiry.test = test
    if outcome.hold and not held:
        held = f"held by rule {decision.rule_id}"
    if held:
        enquiry.status = EnquiryStatus.HELD
        enquiry.needs_attention(held)
    decision.id, decision.enquiry_id, decision.at = new_id(now), enquiry.id, now
    mail = _Mail()
    if not held:
        asked = outcome.acknowledge and _wants_receipt(
            session, submission.email, topic, uses, settings, sender, signer
        )
        post = Post(settings, signer, published, enquiry, topic)
        mail = _mail(post, published, department, decision, outcome, receipt=asked, now=now)
        if not decision.recipient:
            enquiry.needs_attention("no_mailbox")
    enquiry.account = _account(enquiry)
    if not store_once(session, enquiry):  # this form was sent before, or twice at once
        if earlier := sent_before(session, submission):
            return earlier
        raise Unavailable("reference taken")
    store(session, decision, *mail.outgoing)
    ledger.opened(session, enquiry)
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
            **mail.copied,
        },
        first=True,
    )
    counted: tuple[str, ...] = sender.keys if sender else ()
    if mail.receipt:
        counted += (_receipt_key(signer, submission.email),)
    limits.use(session, counted, now=now)
    return enquiry


def _returning(
    session: Session, published: Published, email: EmailAddress | None, *, but: int = 0
) -> bool | None:
    """Whether *email* wrote before (the enquiry *but* aside); None where no rule asks."""
    if email is None or not published.rules.asks_returning:
        return None
    return wrote_before(session, email, but=but)


@dataclass(slots=True)
class _Mail:
    """What goes out for an enquiry. ``copied`` is what its history tells of copies."""

    outgoing: list[Delivery] = field(default_factory=list)
    receipt: bool = False
    copied: dict[str, list[str]] = field(default_factory=dict)


def _mail(
    post: Post,
    published: Published,
    department: Department,
    decision: Decision,
    outcome: Outcome,
    *,
    receipt: bool,
    now: datetime,
) -> _Mail:
    """The first mail of an enquiry: to who answers, to the visitor, to who only shall know."""
    mail = _Mail(receipt=receipt)
    if decision.recipient:
        mail.outgoing.append(post.to_department(department, decision, position=1, now=now))
    if receipt:
        mail.outgoing.append(post.receipt(department, position=2, now=now))
    if not outcome.copy:
        return mail
    mail.copied = {"copies": [], "not_copied": []}
    reached = {EmailAddress(decision.recipient).key} if decision.recipient else set()
    for position, to in enumerate(outcome.copy, 3):
        found = published.mailbox_of(to)
        key = EmailAddress(found[1].value).key if found else ""
        if found is None or key in reached:
            mail.copied["not_copied"].append(to)
            continue
        reached.add(key)
        mail.copied["copies"].append(to)
        mail.outgoing.append(post.copy(*found, department, decision, position=position, now=now))
    return mail


def release_enquiry(
    session: Session,
    ref: str,
    *,
    by: str,
    reason: str = "",
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> Enquiry:
    """Send the held enquiry *ref* (eight symbols) as if it were new.

    Decided again by the rules of now; one that would hold it counts as answered by *by*. The
    visitor was told when to expect an answer, and that stands. Raises NotFound, and Conflict when
    it is not held (any more).
    """
    enquiry = enquiry_by_ref(session, ref)
    session.refresh(enquiry, with_for_update=True)
    if enquiry.status is not EnquiryStatus.HELD:
        raise Conflict(f"it is not held: {enquiry.status.value}")
    email = EmailAddress(enquiry.email) if enquiry.email else None
    uses = _uses(session, email, None, signer, now)
    decision = decide_again(session, enquiry, published=published, by=by, now=now)
    outcome = Outcome.from_json(decision.outcome)
    department = published.department_of(session, decision)
    topic = published.topic(enquiry.topic)
    enquiry.status, enquiry.attention = EnquiryStatus.RECEIVED, ""
    enquiry.department_id = department.id
    enquiry.tags = list(outcome.tags)
    enquiry.version += 1
    if not decision.recipient:
        enquiry.needs_attention("no_mailbox")
    asked = outcome.acknowledge and _wants_receipt(
        session, email, topic, uses, settings, None, signer
    )
    added = additions_of(session, enquiry)
    post = Post(settings, signer, published, enquiry, topic, added=added)
    mail = _mail(post, published, department, decision, outcome, receipt=asked, now=now)
    store(session, decision, *mail.outgoing)
    if mail.receipt:
        limits.use(session, (_receipt_key(signer, email),), now=now)
    record(
        session,
        about(enquiry),
        "released",
        now=now,
        by=by,
        note=reason,
        before={"status": EnquiryStatus.HELD.value},
        after={
            "status": enquiry.status.value,
            "department": department.slug,
            "rule_set": decision.rule_set,
            "reason": decision.reason,
            **mail.copied,
        },
    )
    return enquiry


def decide_again(
    session: Session, enquiry: Enquiry, *, published: Published, by: str, now: datetime
) -> Decision:
    """What the rules of now make of *enquiry*; a decision of its own, not stored yet."""
    email = EmailAddress(enquiry.email) if enquiry.email else None
    returning = _returning(session, published, email, but=enquiry.id)
    chosen = _called_now(session, enquiry.chosen_department)
    facts = replace(facts_kept(enquiry, at=now, returning=returning), department=chosen)
    decision = decide(facts, published.rules, published.routes_with(session, chosen))
    decision.id = id_after(decisions_of(session, enquiry), now)
    decision.enquiry_id, decision.at, decision.by = enquiry.id, now, by
    return decision


def _called_now(session: Session, slug: str) -> str:
    """The slug of the department a visitor chose as *slug* once, or of who took over from it."""
    if not slug:
        return slug
    try:
        found = department_ever_called(session, slug)
    except NotFound:
        return slug  # decided as if none were chosen
    seen: set[Any] = set()
    while found.status is DepartmentStatus.CLOSED and found.successor_id and found.id not in seen:
        seen.add(found.id)
        found = session.get_one(Department, found.successor_id)
    return found.slug


def id_after(known: Sequence[Decision], now: datetime) -> int:
    """An id for the next decision: later than the last, also after the clock went back.

    The latest decision is the one in force.
    """
    return ids.id_after(known[-1].id, now)


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
        origin=submission.origin,
        answers=submission.answers,
        shown=submission.shown,
    )


def _account(enquiry: Enquiry) -> Account:
    """Where a new one is counted: what is not held, nor without a mailbox, has mail under way."""
    if enquiry.test:
        return Account.TEST
    if enquiry.status is EnquiryStatus.HELD:
        return Account.HELD
    return Account.ATTENTION if enquiry.attention else Account.RETRYING


# Limits


def _uses(
    session: Session,
    email: EmailAddress | None,
    sender: Sender | None,
    signer: Signer,
    now: datetime,
) -> dict[str, int]:
    """How often the sender was here this hour, and the address got a receipt this day."""
    windows = dict.fromkeys(sender.keys, now - HOUR) if sender else {}
    if email is not None:
        receipts = _receipt_key(signer, email)
        limits.hold(session, receipts)
        windows[receipts] = now - DAY
    return limits.used(session, windows)


def _is_flood(sender: Sender, uses: dict[str, int], most: int) -> bool:
    return bool(most) and uses.get(sender.network, 0) >= most


def _refusal(session: Session, sender: Sender, uses: dict[str, int], now: datetime) -> RateLimited:
    first = limits.first_use(session, sender.network, since=now - HOUR)
    return RateLimited(count=uses[sender.network], again_at=(first or now) + HOUR)


def _receipt_key(signer: Signer, email: EmailAddress | None) -> str:
    return signer.fingerprint("receipt", email.key if email else "")


def _wants_receipt(
    session: Session,
    email: EmailAddress | None,
    topic: Topic | None,
    uses: dict[str, int],
    settings: Settings,
    sender: Sender | None,
    signer: Signer,
) -> bool:
    """Whether an acknowledgement goes out: never more than P12 allows to an unverified address."""
    if email is None or not settings.enquiry.ack or (topic and not topic.acknowledge):
        return False
    soft = settings.enquiry.rate_per_hour
    if soft and sender and any(uses.get(key, 0) >= soft for key in sender.keys):
        return False
    return _may_be_mailed(session, email, uses, settings, signer)


def may_mail_visitor(
    session: Session, enquiry: Enquiry, *, settings: Settings, signer: Signer, now: datetime
) -> bool:
    """Whether one more mail may go to the address of *enquiry*, by P12; then it is counted.

    Receipts, links and confirmations count together.
    """
    if not enquiry.email:
        return False
    email = EmailAddress(enquiry.email)
    uses = _uses(session, email, None, signer, now)
    if not _may_be_mailed(session, email, uses, settings, signer):
        return False
    limits.use(session, (_receipt_key(signer, email),), now=now)
    return True


def _may_be_mailed(
    session: Session, email: EmailAddress, uses: dict[str, int], settings: Settings, signer: Signer
) -> bool:
    if uses.get(_receipt_key(signer, email), 0) >= RECEIPTS_A_DAY:
        return False
    if email.local.casefold() in NEVER_ANSWERED or email.is_no_reply:
        return False
    if email.key == settings.mail.from_.casefold():
        return False
    if visitor_refuses(session, str(email), signer=signer):
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
    why: Why | None = None,
) -> Delivery | None:
    """Send to the deputy, else the desk, what *failed* for good; None when nobody is left.

    *tried* are the addresses that already had their chance: each has one. *why* says what is in
    the way, where it is not that the mail was refused.
    """
    had = {EmailAddress(address).key for address in tried}
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
        if EmailAddress(address).key in had:
            continue
        decided = decisions_of(session, enquiry)
        decision = Decision(
            id=id_after(decided, now),
            enquiry_id=enquiry.id,
            at=now,
            by="system",
            reason="fallback",
            department_id=receiver.id,
            contact_point_id=point.id if point else None,
            recipient=address,
            rule_set=published.rules.version,
            why=why
            or {
                "en": f"mail to {department.slug} was refused",
                "zh-Hans": f"发往{department.slug}的邮件被拒收",
            },
            passed_over=[department.slug],
        )
        added = additions_of(session, enquiry)
        topic = published.topic(enquiry.topic)
        post = Post(settings, signer, published, enquiry, topic, added=added)
        position = next_position(session, enquiry)
        again = post.to_department(
            receiver,
            decision,
            position=position,
            now=now,
            link_version=action_version(decided),
            # Who stands in reads by whom it was passed on to the other.
            passed_on=failed.inputs.get("passed_on"),
            references=failed.inputs.get("references", ()),
        )
        session.add_all([decision, again])
        enquiry.department_id = receiver.id
        return again
    return None


def next_position(session: Session, enquiry: Enquiry) -> int:
    """The number of the next recipient, which makes its Message-ID: no number comes twice."""
    return 1 + max((d.position for d in deliveries_of(session, enquiry)), default=0)


def mask(email: str) -> str:
    """*email* as it may be shown where somebody else could look: ``l•••@example.com``."""
    return EmailAddress(email).masked if email else ""

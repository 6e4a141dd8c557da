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
from directory.adapters.catalogue import gettext
from directory.adapters.compose import AcknowledgementInputs, ChosenBy, Mailbox, RoutedInputs
from directory.adapters.db import store, store_once
from directory.adapters.links import Signer
from directory.adapters.queries import (
    Published,
    decisions_of,
    enquiry_by_token,
    is_mailbox_of_ours,
)
from directory.domain.contacts import (
    PHONE_KINDS,
    ContactPoint,
    Department,
    DepartmentStatus,
    PointKind,
    Topic,
    localised,
)
from directory.domain.delivery import Delivery, DeliveryKind
from directory.domain.enquiry import Decision, Enquiry, EnquiryStatus, Submission
from directory.domain.errors import Conflict, RateLimited, Unavailable
from directory.domain.ids import new_id
from directory.domain.numbers import PhoneNumber
from directory.domain.routing import Facts, decide
from directory.domain.values import EmailAddress, Reference
from directory.services.contacts import answer_by, language_of, place_in_zone
from directory.services.history import about, record
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


class Post:
    """Makes the deliveries of one enquiry: every input of each message, fixed here and now."""

    def __init__(
        self,
        settings: Settings,
        signer: Signer,
        published: Published,
        enquiry: Enquiry,
        topic: Topic | None,
    ) -> None:
        self._settings = settings
        self._signer = signer
        self._published = published
        self._enquiry = enquiry
        self._topic = topic
        self._reference = Reference(enquiry.ref).display(settings.enquiry.reference_prefix)

    def to_department(
        self, department: Department, decision: Decision, *, position: int, now: datetime
    ) -> Delivery:
        """The routed mail: what the visitor wrote, to the mailbox that answers."""
        enquiry, settings = self._enquiry, self._settings
        language = language_of(department, settings)
        chosen: ChosenBy = {"reason": decision.reason}  # type: ignore[typeddict-item]
        if decision.reason == "rule":
            chosen["id"] = decision.rule_id or ""
            chosen["position"] = decision.rule or 0
            chosen["name"] = localised(decision.rule_name, language)[0]
            chosen["why"] = localised(decision.why, language)[0]
        if enquiry.email:
            reply_to: list[Mailbox] = [{"name": enquiry.name, "address": enquiry.email}]
        else:
            reply_to = self._desk_mailbox(language)
        inputs: RoutedInputs = {
            **self._common(department, language),
            "reply_to": reply_to,
            "from_style": settings.mail.from_style,
            "department_slug": department.slug,
            "topic_code": enquiry.topic,
            "list_domain": settings.site.host,
            "chosen_by": chosen,
            "subject": enquiry.subject,
            "message": enquiry.message,
            "message_language": enquiry.language,
            "name": enquiry.name,
            "organisation": enquiry.organisation,
            "reply_by": enquiry.reply_by.value,
            "email": enquiry.email,
            "phone": _number_to_ring(enquiry, language),
            "reply_language": enquiry.reply_language,  # type: ignore[typeddict-item]
            "received_at": enquiry.received_at.isoformat(),
            "retention_days": settings.privacy.retention_days,
        }
        return self._delivery(
            DeliveryKind.ROUTED,
            decision.recipient,
            language,
            dict(inputs),
            position=position,
            now=now,
            department=department,
            contact_point_id=decision.contact_point_id,
        )

    def receipt(self, department: Department, *, position: int, now: datetime) -> Delivery:
        """The acknowledgement to the visitor, without a word the visitor typed."""
        enquiry = self._enquiry
        language = enquiry.language if enquiry.reply_language == "any" else enquiry.reply_language
        inputs: AcknowledgementInputs = {  # type: ignore[typeddict-item]
            **self._common(department, language),
            "reply_to": self._public_mailbox(department, language),
            "department_phone": _phone(department, language),
            "status_url": status_url(enquiry, settings=self._settings, signer=self._signer),
        }
        return self._delivery(
            DeliveryKind.ACKNOWLEDGEMENT,
            enquiry.email,
            language,
            dict(inputs),
            position=position,
            now=now,
            department=department,
        )

    def _common(self, department: Department, language: str) -> Any:
        settings, enquiry = self._settings, self._enquiry
        return {
            "service_name": localised(settings.site.name, language)[0],
            "from_address": settings.mail.from_,
            "reference": self._reference,
            "topic_label": localised(enquiry.topic_label, language)[0],
            "department_name": localised(department.name, language)[0],
            "answer_by": enquiry.answer_by.isoformat() if enquiry.answer_by else None,
            "timezone": department.timezone or settings.site.timezone,
            "place": place_in_zone(department, settings, language),
        }

    def _delivery(
        self,
        kind: DeliveryKind,
        recipient: str,
        language: str,
        inputs: dict[str, Any],
        *,
        position: int,
        now: datetime,
        department: Department,
        contact_point_id: Any = None,
    ) -> Delivery:
        delivery_id = new_id(now)
        return Delivery(
            id=delivery_id,
            enquiry_id=self._enquiry.id,
            kind=kind,
            position=position,
            recipient=EmailAddress(recipient).ascii,
            department_id=department.id,
            contact_point_id=contact_point_id,
            language=language,
            message_id=f"<{self._enquiry.ref}.{position}@{self._settings.site.host}>",
            envelope_sender=self._signer.envelope_sender(
                kind, delivery_id, now, domain=self._settings.bounce_domain
            ),
            created_at=now,
            due_at=now,
            inputs=inputs,
        )

    def _public_mailbox(self, department: Department, language: str) -> list[Mailbox]:
        for point in department.public_points(PointKind.EMAIL):
            if point.live:
                return [{"name": localised(department.name, language)[0], "address": point.value}]
        return self._desk_mailbox(language)

    def _desk_mailbox(self, language: str) -> list[Mailbox]:
        desk = self._published.routes.targets[self._published.desk]
        address = desk.mailbox or desk.last_mailbox or self._settings.mail.from_
        return [{"name": localised(desk.name, language)[0], "address": address}]


def status_url(enquiry: Enquiry, *, settings: Settings, signer: Signer) -> str:
    """The visitor's page, whole."""
    return f"{settings.site.base_url}/e/{signer.status_token(enquiry.ref, enquiry.link_version)}"


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


def _number_to_ring(enquiry: Enquiry, language: str) -> str:
    """The visitor's number as it is dialled; as typed, too, where its country was a guess."""
    if not enquiry.phone:
        return enquiry.phone_typed
    number = PhoneNumber(enquiry.phone, enquiry.phone_extension).display(language)
    if enquiry.country or enquiry.phone_typed.startswith(("+", "＋", "00")):
        return number
    return gettext(language, "%(number)s (typed %(typed)s)") % {
        "number": number,
        "typed": enquiry.phone_typed,
    }


def _phone(department: Department, language: str) -> str:
    for point in department.public_points(*PHONE_KINDS - {PointKind.FAX}):
        if point.kind is PointKind.SERVICE:
            return point.value
        return PhoneNumber(point.value, point.extension).display(language)
    return ""


def mask(email: str) -> str:
    """*email* as it may be shown where somebody else could look: ``l•••@example.com``."""
    return EmailAddress(email).masked if email else ""

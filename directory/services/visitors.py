"""What visitors do with an enquiry they sent, from its page: add, withdraw, correct, ask for links.

Whoever holds the link of the page may add and withdraw; it shows nobody's name. The address can be
corrected only where the enquiry was written, and what gives data out or deletes them is confirmed
by a mail to the address on record.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from directory.adapters import limits
from directory.adapters.db import deliveries, link_requests
from directory.adapters.links import Signer, link_in
from directory.adapters.queries import (
    Published,
    additions_of,
    decisions_of,
    deliveries_of,
    enquiry_by_ref,
)
from directory.domain.contacts import Department
from directory.domain.delivery import (
    TO_VISITORS,
    WAITING,
    Delivery,
    DeliveryKind,
    DeliveryState,
)
from directory.domain.enquiry import Addition, Decision, Enquiry, EnquiryStatus, action_version
from directory.domain.errors import Conflict, InvalidValue, LinkRefused, NotFound, RateLimited
from directory.domain.ids import new_id
from directory.domain.values import EmailAddress, Reference
from directory.services.enquiries import Sender, may_mail_visitor, next_position
from directory.services.history import about, record
from directory.services.post import Post
from directory.settings import Settings

log = structlog.get_logger(__name__)

# From the sending of an enquiry, in the browser that sent it.
CORRECTED_WITHIN = timedelta(minutes=30)
ADDITIONS_A_DAY = 5
CORRECTIONS = 3
# A link that gives data out or deletes them opens for so long.
CONFIRMED_WITHIN = timedelta(days=3)
# Asked for from one network in an hour; more are answered alike, and forgotten.
LOST_LINKS_AN_HOUR = 20
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_ABOUT_IT = frozenset(
    {DeliveryKind.ROUTED, DeliveryKind.COPY, DeliveryKind.ADDITION, DeliveryKind.NOTICE}
)
_GONE_OUT = frozenset({DeliveryState.ACCEPTED, DeliveryState.SENDING})
_OVER = frozenset({EnquiryStatus.CLOSED, EnquiryStatus.WITHDRAWN})

Confirmed = Literal["export", "erase"]


class VisitorPost:
    """The mail that what a visitor does causes; whoever uses it adds it to the session."""

    def __init__(
        self,
        session: Session,
        enquiry: Enquiry,
        *,
        published: Published,
        settings: Settings,
        signer: Signer,
        now: datetime,
    ) -> None:
        self._session, self._enquiry, self._now = session, enquiry, now
        topic = published.topic(enquiry.topic)
        self._post = Post(settings, signer, published, enquiry, topic)
        self._decided = decisions_of(session, enquiry)
        self._sent = deliveries_of(session, enquiry)

    @property
    def holder(self) -> Decision:
        """Which decision says who has it now; its recipient is "" where nobody takes mail."""
        return self._decided[-1]

    def to_holder(
        self,
        what: Literal["added", "withdrawn", "address"],
        addition: Addition | None = None,
    ) -> Delivery | None:
        """To the mailbox that has it now, in the thread of its mail; None where there is none."""
        if not self.holder.recipient:
            return None
        here = [
            it
            for it in self._sent
            if it.kind is DeliveryKind.ROUTED
            and it.recipient == EmailAddress(self.holder.recipient).ascii
            and it.state is not DeliveryState.CANCELLED
        ]
        return self._post.note(
            what,
            self._session.get_one(Department, self.holder.department_id),
            self.holder.recipient,
            position=next_position(self._session, self._enquiry),
            now=self._now,
            contact_point_id=self.holder.contact_point_id,
            routed=here[-1] if here else None,
            link_version=action_version(self._decided),
            references=[it.message_id for it in here],
            addition=addition,
        )

    @property
    def holder_has_it(self) -> bool:
        """Whether some mailbox has, or may have, a mail about it."""
        return bool(self._had())

    def to_all_who_had_it(self, what: Literal["erased"]) -> list[Delivery]:
        """One to each mailbox that was sent it, copies and departments before included."""
        position = next_position(self._session, self._enquiry)
        had = self._had()
        return [
            self._post.note(
                what,
                self._session.get_one(Department, mails[-1].department_id),
                recipient,
                position=position + number,
                now=self._now,
                contact_point_id=mails[-1].contact_point_id,
                references=[it.message_id for it in mails],
            )
            for number, (recipient, mails) in enumerate(had.items())
        ]

    def _had(self) -> dict[str, list[Delivery]]:
        """The mails that some mailbox has, or may have, by recipient."""
        found: dict[str, list[Delivery]] = {}
        for it in self._sent:
            if it.kind in _ABOUT_IT and it.state in _GONE_OUT:
                found.setdefault(it.recipient, []).append(it)
        return found

    def receipt(self) -> Delivery:
        """The receipt once more, to the address as it is now."""
        return self._post.receipt(
            self._session.get_one(Department, self._enquiry.department_id),
            position=next_position(self._session, self._enquiry),
            now=self._now,
        )

    def link(self, what: Literal["status", "export", "erase"]) -> Delivery:
        """A link to the address on record."""
        return self._post.link(
            what,
            self._session.get_one(Department, self._enquiry.department_id),
            position=next_position(self._session, self._enquiry),
            now=self._now,
            closes_at=None if what == "status" else self._now + CONFIRMED_WITHIN,
        )


# What is possible


def can_add(enquiry: Enquiry) -> bool:
    """Whether somebody would still read an addition."""
    return enquiry.erased_at is None and enquiry.status not in _OVER


def can_withdraw(enquiry: Enquiry) -> bool:
    """Whether there is an answer to be waited for no more."""
    return enquiry.is_open or enquiry.status is EnquiryStatus.HELD


def can_correct(enquiry: Enquiry, now: datetime) -> bool:
    """Whether the address may still have been mistyped; only for the browser that sent it."""
    soon = timedelta() <= now - enquiry.received_at <= CORRECTED_WITHIN
    return bool(enquiry.email) and soon and can_withdraw(enquiry)


def can_confirm(enquiry: Enquiry) -> bool:
    """Whether there is an address by which the visitor is known, and anything left to ask for."""
    return enquiry.erased_at is None and bool(enquiry.email)


# Acts


def add_message(
    session: Session,
    enquiry: Enquiry,
    message: str,
    *,
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> Addition:
    """Keep *message*, checked text, with *enquiry*, and send it to the mailbox that has it.

    Where it is held, or nobody takes mail, it goes with the enquiry when that is sent. The same
    words again are one addition. Raises Conflict when the enquiry is over, and RateLimited after
    a few a day.
    """
    session.refresh(enquiry, with_for_update=True)
    if not can_add(enquiry):
        raise Conflict(f"nobody reads what is added to one that is {enquiry.status.value}")
    before = additions_of(session, enquiry)
    if before and before[-1].message == message and now - before[-1].at < _DAY:
        return before[-1]  # pressed twice
    key = signer.fingerprint("addition", enquiry.ref)
    _count(session, key, ADDITIONS_A_DAY, now)
    addition = Addition(id=new_id(now), enquiry_id=enquiry.id, at=now, message=message)
    session.add(addition)
    mail = None
    if enquiry.status is not EnquiryStatus.HELD:
        post = VisitorPost(
            session, enquiry, published=published, settings=settings, signer=signer, now=now
        )
        mail = post.to_holder("added", addition)
        if mail is not None:
            session.add(mail)
        else:
            enquiry.needs_attention("no_mailbox")
    enquiry.version += 1
    record(
        session,
        about(enquiry),
        "added",
        now=now,
        by="visitor",
        after={"addition": str(addition.id), "delivery": str(mail.id) if mail else ""},
    )
    return addition


def withdraw(
    session: Session,
    enquiry: Enquiry,
    *,
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> None:
    """No answer is wanted any more: what waits to be sent is cancelled.

    The department is written to only where it has the enquiry. Raises Conflict when there is
    nothing to withdraw.
    """
    locked_with_mail(session, enquiry)
    if not can_withdraw(enquiry):
        raise Conflict(f"an enquiry that is {enquiry.status.value} cannot be withdrawn")
    before = enquiry.status
    cancelled = cancel_waiting(session, enquiry, now, "withdrawn")
    post = VisitorPost(
        session, enquiry, published=published, settings=settings, signer=signer, now=now
    )
    mail = post.to_holder("withdrawn") if post.holder_has_it else None
    if mail is not None:
        session.add(mail)
    enquiry.withdrawn(now)
    record(
        session,
        about(enquiry),
        "withdrawn",
        now=now,
        by="visitor",
        before={"status": before.value},
        after={
            "status": enquiry.status.value,
            "delivery": str(mail.id) if mail else "",
            "cancelled": [str(it.id) for it in cancelled],
        },
    )


def correct_address(
    session: Session,
    enquiry: Enquiry,
    email: EmailAddress,
    *,
    published: Published,
    settings: Settings,
    signer: Signer,
    sender: Sender,
    now: datetime,
) -> None:
    """The visitor had mistyped the address: answers and the receipt go to *email*.

    Who got the link by the wrong address can open nothing with it any more. Raises Conflict when
    it is too late, and RateLimited after a few.
    """
    locked_with_mail(session, enquiry)
    if not can_correct(enquiry, now):
        raise Conflict("the address can be corrected for half an hour")
    if EmailAddress(enquiry.email).key == email.key and enquiry.email == str(email):
        return
    _count(session, signer.fingerprint("correction", enquiry.ref), CORRECTIONS, now)
    wrong = [
        it
        for it in deliveries_of(session, enquiry)
        if it.kind in TO_VISITORS and it.state in WAITING
    ]
    for delivery in wrong:
        delivery.cancelled(now, "another address")
    enquiry.email = str(email)
    enquiry.link_version += 1
    enquiry.version += 1
    post = VisitorPost(
        session, enquiry, published=published, settings=settings, signer=signer, now=now
    )
    held = enquiry.status is EnquiryStatus.HELD
    mail = None if held else post.to_holder("address")
    if mail is not None:
        session.add(mail)
        session.flush()
    # As much as the form itself allows from one network: this, too, mails an unverified address.
    soft = settings.enquiry.rate_per_hour
    uses = limits.used(session, dict.fromkeys(sender.keys, now - _HOUR)) if soft else {}
    calm = not any(count > soft for count in uses.values())
    limits.use(session, sender.keys, now=now)
    told = calm and not held and settings.enquiry.ack
    if told and may_mail_visitor(session, enquiry, settings=settings, signer=signer, now=now):
        session.add(post.receipt())
    record(
        session,
        about(enquiry),
        "address_corrected",
        now=now,
        by="visitor",
        after={"delivery": str(mail.id) if mail else ""},
    )


def ask_to_confirm(
    session: Session,
    enquiry: Enquiry,
    what: Confirmed,
    *,
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> None:
    """Mail a link that does *what* to the address on record.

    Raises Conflict when there is nothing to ask for. Where no mail may go to the address (any
    more today), none goes, and whoever asked is told nothing else.
    """
    session.refresh(enquiry, with_for_update=True)
    if not can_confirm(enquiry):
        raise Conflict("there is nobody to confirm it, or nothing left")
    mailed = may_mail_visitor(session, enquiry, settings=settings, signer=signer, now=now)
    if mailed:
        post = VisitorPost(
            session, enquiry, published=published, settings=settings, signer=signer, now=now
        )
        session.add(post.link(what))
    record(
        session,
        about(enquiry),
        f"{what}_asked",
        now=now,
        by="visitor",
        after={"mailed": mailed},
    )


def confirmed_by(
    session: Session, what: Confirmed, token: str, *, signer: Signer, now: datetime
) -> Enquiry:
    """The enquiry of which a link out of a mail, *token*, confirms *what*. Raises LinkRefused."""
    link = link_in(token)
    try:
        enquiry = enquiry_by_ref(session, link.symbols)
    except NotFound:
        raise LinkRefused("forged") from None
    signer.read_confirmation_token(what, token, enquiry.link_version)
    mail = session.scalar(
        sa.select(Delivery).where(
            deliveries.c.enquiry_id == enquiry.id,
            deliveries.c.position == link.recipient,
            deliveries.c.kind == DeliveryKind.LINK,
        )
    )
    if mail is None:
        raise LinkRefused("forged")
    if enquiry.erased_at is not None:
        raise LinkRefused("spent")
    if now > mail.created_at + CONFIRMED_WITHIN:
        raise LinkRefused("expired")
    return enquiry


# A lost link


def ask_for_link(
    session: Session, ref: str, email: str, *, signer: Signer, sender: Sender, now: datetime
) -> None:
    """Keep that somebody asked for the link to *ref* at *email*, both as typed.

    Whether the two belong together is looked at later (:func:`send_links`): what happens here, and
    how long it takes, is the same for all.
    """
    key = signer.fingerprint("lost link", sender.network)
    uses = limits.used(session, {key: now - _HOUR})
    limits.use(session, (key,), now=now)
    if sum(uses.values()) >= LOST_LINKS_AN_HOUR:
        return
    row = {"id": new_id(now), "at": now, "ref": ref[:40], "email": email[:254]}
    session.execute(sa.insert(link_requests), row)


def send_links(
    session: Session, *, published: Published, settings: Settings, signer: Signer, now: datetime
) -> int:
    """Mail the links that were asked for by those they belong to, and forget who asked."""
    gone = sa.delete(link_requests).returning(link_requests.c.ref, link_requests.c.email)
    asked = session.execute(gone).all()
    sent = 0
    for ref, typed in asked:
        try:
            enquiry = enquiry_by_ref(session, Reference.parse(ref).symbols)
            email = EmailAddress.parse(typed, smtputf8=True)
        except (InvalidValue, NotFound):
            continue
        session.refresh(enquiry, with_for_update=True)
        if not enquiry.email or EmailAddress(enquiry.email).key != email.key:
            continue
        if not may_mail_visitor(session, enquiry, settings=settings, signer=signer, now=now):
            continue
        post = VisitorPost(
            session, enquiry, published=published, settings=settings, signer=signer, now=now
        )
        session.add(post.link("status"))
        session.flush()
        record(session, about(enquiry), "link_sent", now=now, by="visitor")
        sent += 1
    return sent


# What is common to them


def locked_with_mail(session: Session, enquiry: Enquiry) -> None:
    """Lock what waits to be sent of *enquiry*, and then itself.

    In the order of a worker that records a result, so that neither waits for the other for ever.
    """
    waiting = (
        sa.select(Delivery)
        .where(
            deliveries.c.enquiry_id == enquiry.id,
            deliveries.c.state.in_([*WAITING, DeliveryState.SENDING]),
        )
        .order_by(deliveries.c.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    session.scalars(waiting).all()
    session.refresh(enquiry, with_for_update=True)


def cancel_waiting(session: Session, enquiry: Enquiry, now: datetime, why: str) -> list[Delivery]:
    """Cancel what waits to be sent about *enquiry*; what was cancelled."""
    found = [it for it in deliveries_of(session, enquiry) if it.state in WAITING]
    for delivery in found:
        delivery.cancelled(now, why)
    return found


def _count(session: Session, key: str, most: int, now: datetime) -> None:
    """Count one use of *key*. Raises RateLimited where there were *most* this day."""
    limits.hold(session, key)
    used = limits.used(session, {key: now - _DAY}).get(key, 0)
    if used >= most:
        first = limits.first_use(session, key, since=now - _DAY)
        raise RateLimited(count=used, again_at=(first or now) + _DAY)
    limits.use(session, (key,), now=now)

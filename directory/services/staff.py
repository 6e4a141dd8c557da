"""What a department does with an enquiry from the links in its mail, without an account.

Who holds a link acts as the mailbox it was sent to, for this one enquiry, as it stood when the mail
was made: a move spends it. Looking changes nothing; each act carries the version of the enquiry it
was decided on, and can be taken back for ten minutes by the mailbox that did it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import deliveries
from directory.adapters.links import Signer, link_in
from directory.adapters.queries import decisions_of, enquiry_by_ref, events_of
from directory.domain.contacts import Department
from directory.domain.delivery import Delivery, DeliveryKind
from directory.domain.enquiry import Enquiry, EnquiryStatus, Event, action_version
from directory.domain.errors import Conflict, LinkRefused, NotFound
from directory.services.cover import StandsIn, cover_of
from directory.services.history import about, record

UNDO = timedelta(minutes=10)
# So long after closing a link still opens: an answer may come back to be looked up.
OPENS_AFTER_CLOSING = timedelta(days=30)
LONGEST_NAME = 100


class How(StrEnum):
    """How an enquiry was done with."""

    MAIL = "mail"
    PHONE = "phone"
    NONE = "none"


class Named(NamedTuple):
    """What a link names: an enquiry (eight symbols), a recipient's number, the links' version."""

    symbols: str
    recipient: int
    version: int


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever holds a link: the mailbox ``address`` of ``department``, for ``enquiry``.

    ``named`` is what the link named; its version rises with every move. ``last`` is what happened
    to the enquiry last.
    """

    enquiry: Enquiry
    department: Department
    address: str
    named: Named
    last: Event | None

    def can_undo(self, now: datetime) -> bool:
        """Whether what happened last is an act of this mailbox that may still be taken back."""
        last = self.last
        return (
            last is not None
            and last.by == self.address
            and last.type in _ACTS
            and timedelta() <= now - last.at <= UNDO
        )


_ACTS = frozenset({"taken", "answered", "closed"})


def holder_of_token(
    session: Session, signer: Signer, token: str, now: datetime, *, desk: str
) -> Holder:
    """Who the link *token* makes whoever holds it; *desk* is its slug. Raises LinkRefused."""
    link = link_in(token)
    enquiry, version = _enquiry(session, link.symbols)
    signer.read_action_token(token, version)
    assert link.recipient is not None  # read_action_token
    return _holder(session, enquiry, Named(link.symbols, link.recipient, version), now, desk)


def holder_again(session: Session, named: Named, now: datetime, *, desk: str) -> Holder:
    """The same, once the link was exchanged for what it *named*.

    Raises LinkRefused: "revoked" when the enquiry was moved since.
    """
    enquiry, current = _enquiry(session, named.symbols)
    if named.version != current:
        raise LinkRefused("revoked")
    return _holder(session, enquiry, named, now, desk)


def _enquiry(session: Session, symbols: str) -> tuple[Enquiry, int]:
    try:
        enquiry = enquiry_by_ref(session, symbols)
    except NotFound:
        raise LinkRefused("forged") from None
    if enquiry.erased_at is not None:
        raise LinkRefused("erased")
    return enquiry, action_version(decisions_of(session, enquiry))


def _holder(session: Session, enquiry: Enquiry, named: Named, now: datetime, desk: str) -> Holder:
    department, address = _recipient(session, enquiry, named.recipient, desk)
    if enquiry.closed_at is not None and now > enquiry.closed_at + OPENS_AFTER_CLOSING:
        raise LinkRefused("expired")
    history = events_of(session, about(enquiry))
    return Holder(enquiry, department, address, named, history[-1] if history else None)


def _recipient(
    session: Session, enquiry: Enquiry, number: int, desk: str
) -> tuple[Department, str]:
    """Whose link it is: the recipient of a routed mail, or who stands in and was reminded."""
    if number in set(StandsIn):
        answering = session.get_one(Department, enquiry.department_id)
        cover = cover_of(session, answering, StandsIn(number), desk=desk)
        if cover is None:
            raise LinkRefused("revoked")
        return cover.department, cover.address
    delivery = session.scalar(
        sa.select(Delivery).where(
            deliveries.c.enquiry_id == enquiry.id,
            deliveries.c.position == number,
            deliveries.c.kind == DeliveryKind.ROUTED,
        )
    )
    if delivery is None:
        raise LinkRefused("forged")
    return session.get_one(Department, delivery.department_id), delivery.recipient


def take(session: Session, holder: Holder, *, name: str, version: int, now: datetime) -> None:
    """The holder's mailbox has it from now on; *name* says which of its readers, or is "".

    Raises Conflict when the enquiry was changed since *version*, or is held, closed or withdrawn.
    """
    enquiry = _as_seen(session, holder, version)
    before = enquiry.standing()
    enquiry.taken(" ".join(name.split())[:LONGEST_NAME] or holder.address, now)
    _record(session, holder, "taken", before, now)


def finish(
    session: Session, holder: Holder, *, how: How, note: str, version: int, now: datetime
) -> None:
    """The holder answered it, or no answer is needed (``How.NONE``), which closes it.

    *note* is kept with the history. Raises Conflict as :func:`take` does.
    """
    enquiry = _as_seen(session, holder, version)
    if not enquiry.is_open:
        raise Conflict(f"an enquiry that is {enquiry.status.value} cannot be marked as done")
    before = enquiry.standing()
    if how is How.NONE:
        enquiry.closed(now)
        _record(session, holder, "closed", before, now, note=note, how=how.value)
    else:
        enquiry.answered(now)
        _record(session, holder, "answered", before, now, note=note, how=how.value)


def undo(session: Session, holder: Holder, *, version: int, now: datetime) -> None:
    """Take back what the holder did last. Raises Conflict when it is too late for that."""
    enquiry = _as_seen(session, holder, version)
    last = holder.last
    if last is None or not holder.can_undo(now):
        raise Conflict("There is nothing of yours to take back any more")
    before = enquiry.standing()
    enquiry.stand_again(last.before)
    _record(session, holder, "undone", before, now, undone=last.type)


def _as_seen(session: Session, holder: Holder, version: int) -> Enquiry:
    """The enquiry, nobody else's until this transaction ends, if it is as *version* was."""
    session.refresh(holder.enquiry, with_for_update=True)
    if holder.enquiry.version != version:
        raise Conflict("Somebody else changed this enquiry meanwhile; look at it again")
    return holder.enquiry


def _record(
    session: Session,
    holder: Holder,
    type: str,
    before: dict[str, Any],
    now: datetime,
    *,
    note: str = "",
    **more: str,
) -> None:
    enquiry = holder.enquiry
    record(
        session,
        about(enquiry),
        type,
        now=now,
        by=holder.address,
        note=note,
        before=before,
        after={**enquiry.standing(), **more},
    )


@dataclass(frozen=True, slots=True)
class Passed:
    """An enquiry that the mailbox ``address`` passed on last, and that nobody changed since.

    ``department`` has it now, which may be the desk in place of who was asked (``to_desk``).
    ``named`` is what the spent link of ``passing``, the department before, named.
    """

    enquiry: Enquiry
    department: Department
    address: str
    passing: Department
    named: Named
    to_desk: bool
    can_undo: bool


def passed_on_by(
    session: Session, named: Named, now: datetime, *, desk: str, lock: bool = False
) -> Passed | None:
    """What became of the enquiry whose link was spent by a move of its own holder, else None.

    *named* is what the spent link named. Asked by whoever pressed "wrong department" and wants to
    see that it worked, or to take it back.
    """
    enquiry, current = _enquiry(session, named.symbols)
    if lock:
        session.refresh(enquiry, with_for_update=True)
    if named.version != current - 1:
        return None
    decision = decisions_of(session, enquiry)[-1]
    holder = _holder(session, enquiry, named, now, desk)
    if decision.reason != "moved" or decision.by != holder.address:
        return None
    last = holder.last
    untouched = last is not None and last.type in {"rerouted", "routed"}
    return Passed(
        enquiry,
        session.get_one(Department, decision.department_id),
        holder.address,
        holder.department,
        named,
        bool(decision.facts.get("to_desk")),
        untouched and decision.at is not None and timedelta() <= now - decision.at <= UNDO,
    )


def is_over(enquiry: Enquiry) -> bool:
    """Whether nobody is to do anything with it any more."""
    return enquiry.status in {EnquiryStatus.CLOSED, EnquiryStatus.WITHDRAWN}

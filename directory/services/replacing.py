"""One mailbox put in the place of another, wherever it stands, and its mail sent once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import UNSETTLED, contact_points, deliveries, departments, enquiries
from directory.adapters.links import Signer
from directory.adapters.queries import (
    Published,
    additions_of,
    decisions_of,
    deliveries_of,
    load_published,
    published_key,
)
from directory.domain.columns import columns_of, slot_of
from directory.domain.contacts import (
    ContactPoint,
    Department,
    DepartmentStatus,
    PointKind,
    PointState,
)
from directory.domain.delivery import Delivery, DeliveryKind, DeliveryState
from directory.domain.enquiry import Decision, Enquiry, EnquiryStatus, action_version
from directory.domain.errors import Conflict, NotFound
from directory.domain.succession import Succession
from directory.domain.values import EmailAddress
from directory.services.contacts import amend_department, hours_of, slugs
from directory.services.enquiries import id_after, next_position
from directory.services.history import about, record
from directory.services.post import Post
from directory.services.rules import publish_succession
from directory.services.safeguard import nobody_stranded
from directory.settings import Settings

_BESIDE = ("backup_email", "owner_email", "routing_email")
# Reasons that sending again takes care of.
_SEEN_TO = frozenset({"bounced", "refused", "undeliverable"})


@dataclass(slots=True)
class Replacement:
    """What replacing a mailbox did, or would do.

    ``departments`` are slugs with the columns that changed, ``rules`` the versions published,
    ``sent_again`` the symbols of the enquiries whose mail goes to the new mailbox now.
    """

    old: str
    new: str
    departments: list[tuple[str, list[str]]] = field(default_factory=list)
    rules: list[int] = field(default_factory=list)
    sent_again: list[str] = field(default_factory=list)


def mail_to(session: Session, address: str) -> list[int]:
    """The ids of what waits for *address* or failed there, the oldest first.

    Reads every delivery there is; ask before the transaction that replaces, which others wait for.
    """
    recipient = EmailAddress(address).ascii
    return list(
        session.scalars(
            sa.select(deliveries.c.id)
            .where(
                deliveries.c.recipient == recipient,
                deliveries.c.kind == DeliveryKind.ROUTED,
                sa.or_(UNSETTLED, deliveries.c.state == DeliveryState.FAILED),
            )
            .order_by(deliveries.c.id)
        )
    )


def replace_mailbox(
    session: Session,
    old: str,
    new: str,
    *,
    mail: Sequence[int],
    settings: Settings,
    signer: Signer,
    now: datetime,
    by: str,
    reason: str,
) -> Replacement:
    """Put *new* in the place of *old* at every department, in rules, and for *mail*.

    The new mailbox is unverified and due to be asked. Of *mail* (see :func:`mail_to`) what waits
    goes to it instead; what failed goes to it once, where the enquiry is still open and nobody
    took it or passed it on. Raises InvalidValue for an address that is none, NotFound when no
    department has *old*, Conflict where *new* is the same or nobody reads it, WouldStrand.
    """
    done = Replacement(str(EmailAddress.parse(old)), str(EmailAddress.parse(new)))
    if EmailAddress(done.old).key == EmailAddress(done.new).key:
        raise Conflict(f"{new} is the same mailbox")
    if EmailAddress(done.new).is_no_reply:
        raise Conflict(f"{new} says by its name that nobody reads it")
    reason = reason or f"{done.new} replaces {done.old}"
    found = _departments(session, done.old)
    if not found:
        raise NotFound(f"No department has {done.old}")
    before = published_key(session, now)[0]
    with nobody_stranded(session, settings=settings, now=now):
        for department in found:
            cells = _cells(session, department, done)
            changed = amend_department(
                session, department.slug, cells, settings=settings, now=now, by=by, reason=reason
            )
            done.departments.append((department.slug, sorted(changed)))
        session.flush()
        publish_succession(
            session,
            Succession(targets={done.old: done.new}),
            desk=settings.site.desk,
            reason=reason,
            by=by,
            now=now,
        )
    session.flush()
    key = published_key(session, now)
    done.rules = list(range(before + 1, key[0] + 1))
    # As this transaction has made it, which nobody else sees yet.
    published = load_published(
        session,
        key,
        desk=settings.site.desk,
        country_names={},
        hours_of=partial(hours_of, settings=settings),
    )
    again = _Again(session, done, published, settings, signer, now, by, reason)
    for delivery_id in mail:
        again.send(delivery_id)
    return done


def _departments(session: Session, old: str) -> list[Department]:
    has_it = sa.select(contact_points.c.department_id).where(
        contact_points.c.kind == PointKind.EMAIL,
        contact_points.c.value == old,
        contact_points.c.state != PointState.RETIRED,
    )
    return list(
        session.scalars(
            sa.select(Department)
            .where(
                departments.c.status == DepartmentStatus.ACTIVE,
                sa.or_(
                    departments.c.id.in_(has_it),
                    departments.c.backup_email == old,
                    departments.c.owner_email == old,
                ),
            )
            .order_by(departments.c.slug)
        )
    )


def _cells(session: Session, department: Department, done: Replacement) -> dict[str, str]:
    """What to set so that the new address stands where the old one does, and no second time."""
    row = columns_of(department, slugs=slugs(session))
    places = [column for column, value in row.items() if value == done.old]
    listed = [column for column in places if _is_mailbox(column)]
    cells = {column: done.new for column in places if column in _BESIDE}
    has_both = any(row[c] == done.new for c in row if _is_mailbox(c))
    for column in listed:
        cells[column] = "-" if has_both else done.new
    if listed and not has_both:
        # The same record with another address: it still is the one for enquiries.
        cells.pop("routing_email", None)
    return cells


def _is_mailbox(column: str) -> bool:
    slot = slot_of(column)
    return slot is not None and slot.kind is PointKind.EMAIL and not slot.detail


class _Again:
    """Sends to the new mailbox what the old one did not get."""

    def __init__(
        self,
        session: Session,
        done: Replacement,
        published: Published,
        settings: Settings,
        signer: Signer,
        now: datetime,
        by: str,
        reason: str,
    ) -> None:
        self._session = session
        self._done = done
        self._published = published
        self._settings = settings
        self._signer = signer
        self._now = now
        self._by = by
        self._reason = reason

    def send(self, delivery_id: int) -> None:
        """Send one mail to the new mailbox, if it is still to be sent there."""
        delivery = self._session.get(
            Delivery, delivery_id, with_for_update=True, populate_existing=True
        )
        if delivery is None or delivery.enquiry_id is None:
            return
        enquiry = self._session.scalars(
            sa.select(Enquiry)
            .where(enquiries.c.id == delivery.enquiry_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).one()
        decided = decisions_of(self._session, enquiry)
        department = self._session.get_one(Department, delivery.department_id)
        if department.status is not DepartmentStatus.ACTIVE or not enquiry.is_open:
            return
        waits = delivery.state in {DeliveryState.QUEUED, DeliveryState.DEFERRED}
        if not waits and not self._is_to_be_sent_again(delivery, enquiry, decided):
            return
        named = [d for d in decided if _same(d.recipient, delivery.recipient)]
        if not named:
            return
        if waits:
            delivery.cancelled(self._now, f"{self._done.new} takes its place")
        point = _point(department, self._done.new)
        decision = replace(
            named[-1],
            id=id_after(decided, self._now),
            at=self._now,
            by=self._by,
            department_id=department.id,
            contact_point_id=point.id if point else None,
            recipient=self._done.new,
            outcome={},  # copies were sent, and the visitor knows when to expect an answer
        )
        post = Post(
            self._settings,
            self._signer,
            self._published,
            enquiry,
            self._published.topic(enquiry.topic),
            added=additions_of(self._session, enquiry),
        )
        instead = post.to_department(
            department,
            decision,
            position=next_position(self._session, enquiry),
            now=self._now,
            link_version=action_version(decided),
        )
        self._session.add_all([decision, instead])
        enquiry.department_id = department.id
        if enquiry.attention in _SEEN_TO:
            enquiry.attention = ""
        enquiry.version += 1
        record(
            self._session,
            about(enquiry),
            "sent_again",
            now=self._now,
            by=self._by,
            note=self._reason,
            before={"delivery": str(delivery.id)},
            after={"delivery": str(instead.id), "department": department.slug},
        )
        self._session.flush()
        self._done.sent_again.append(enquiry.ref)

    def _is_to_be_sent_again(
        self, delivery: Delivery, enquiry: Enquiry, decided: Sequence[Decision]
    ) -> bool:
        """Whether a mail that failed is still missed where it went, and for the first time."""
        if delivery.state is not DeliveryState.FAILED or enquiry.status is EnquiryStatus.TAKEN:
            return False
        last = decided[-1]
        stays = _same(last.recipient, delivery.recipient)
        # Whoever stands in got it because it failed; a person who moved it knew better.
        if not stays and (last.reason != "fallback" or last.by != "system"):
            return False
        return not any(
            _same(self._done.new, other.recipient)
            for other in deliveries_of(self._session, enquiry)
            if other.kind is DeliveryKind.ROUTED
        )


def _same(address: str, recipient: str) -> bool:
    return bool(address) and EmailAddress(address).key == EmailAddress(recipient).key


def _point(department: Department, address: str) -> ContactPoint | None:
    return next(
        (
            point
            for point in department.points
            if point.kind is PointKind.EMAIL and point.live and point.value == address
        ),
        None,
    )

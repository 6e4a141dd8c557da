"""What refusals and returned mail tell of a mailbox, and what follows for its state.

A permanent refusal makes a mailbox suspect: it still takes mail, and an editor sees it. A second
one, of another mail, suspends it: from then on its mail goes to the deputy, else the desk. Only
the mailbox itself (by the answer to a question) or an editor (by another address) leads back up.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from directory.adapters.db import bounced_addresses, contact_points
from directory.adapters.links import Signer
from directory.adapters.prepared import Prepared
from directory.adapters.queries import events_of
from directory.domain.contacts import LIVE_STATES, ContactPoint, Department, PointKind, PointState
from directory.domain.delivery import Delivery
from directory.domain.incoming import EVIDENCE_COUNTS_DAYS
from directory.domain.values import EmailAddress
from directory.services.contacts import about_department
from directory.services.history import record
from directory.settings import Settings

log = structlog.get_logger(__name__)

REFUSED = "mailbox_refused"


def mailbox_refused(
    session: Session,
    delivery: Delivery,
    *,
    how: str,
    certain: bool = True,
    settings: Settings,
    now: datetime,
) -> None:
    """The mailbox that *delivery* went to refused it for good, and it is the mailbox's fault.

    At every department that has it. *how* is the refusal in words, without addresses ("bounce
    550 5.1.1"). One that is not *certain*, for the refusal named another address that the mailbox
    may pass its mail to, never suspends. A mail older than the mailbox's last proof tells nothing.
    """
    for point in _points(session, delivery):
        if point.verified_at is not None and delivery.created_at < point.verified_at:
            continue
        department = session.get_one(Department, point.department_id)
        before = point.state
        again = before is PointState.SUSPECT and _refused_before(session, point, delivery, now)
        if again and certain and not _is_last_of_the_desk(department, point, settings):
            point.become(PointState.SUSPENDED)
        else:
            point.become(PointState.SUSPECT)
        record(
            session,
            about_department(department),
            REFUSED,
            now=now,
            by="system",
            note=how,
            before={"state": before.value},
            after={
                "state": point.state.value,
                "mailbox": point.value,
                "point": str(point.id),
                "delivery": str(delivery.id),
            },
        )
        log.error("mailbox.refuses", department=department.slug, state=point.state.value)


def _points(session: Session, delivery: Delivery) -> list[ContactPoint]:
    """The live mailboxes with the address of *delivery*, nobody else's until the end."""
    addresses = {delivery.recipient}
    if delivery.contact_point_id is not None:
        own = session.get(ContactPoint, delivery.contact_point_id)
        # What it was sent to, and not what an editor put in its place meanwhile.
        if own is not None and EmailAddress(own.value).key == delivery.recipient.casefold():
            addresses.add(own.value)
    return list(
        session.scalars(
            sa.select(ContactPoint)
            .where(
                contact_points.c.kind == PointKind.EMAIL,
                contact_points.c.value.in_(addresses),
                contact_points.c.state.in_(LIVE_STATES),
            )
            .order_by(contact_points.c.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


def _refused_before(
    session: Session, point: ContactPoint, delivery: Delivery, now: datetime
) -> bool:
    """Whether another mail was refused since the mailbox was proven, and not long ago."""
    since = now - timedelta(days=EVIDENCE_COUNTS_DAYS)
    if point.verified_at is not None:
        since = max(since, point.verified_at)
    return any(
        event.type == REFUSED
        and event.at >= since
        and event.after.get("point") == str(point.id)
        and event.after.get("mailbox") == point.value
        and event.after.get("delivery") != str(delivery.id)
        for event in events_of(session, f"department:{point.department_id}")
    )


def _is_last_of_the_desk(department: Department, point: ContactPoint, settings: Settings) -> bool:
    """Whether nobody would be left to receive what no rule and no deputy does."""
    if department.slug != settings.site.desk:
        return False
    return not any(
        other.kind is PointKind.EMAIL and other.live and other.id != point.id
        for other in department.points
    )


# Visitors


# Asked for every enquiry.
_BOUNCED = Prepared(
    sa.select(bounced_addresses.c.at).where(bounced_addresses.c.key == sa.bindparam("key"))
)


def visitor_refused(session: Session, address: str, *, signer: Signer, now: datetime) -> None:
    """Mail to a visitor's *address* came back: nothing more is sent there unasked (P12)."""
    of_dialect: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
    statement = of_dialect[session.get_bind().dialect.name](bounced_addresses)
    session.execute(
        statement.values(key=_key(signer, address), at=now).on_conflict_do_update(
            index_elements=["key"], set_={"at": now}
        )
    )


def visitor_refuses(session: Session, address: str, *, signer: Signer) -> bool:
    """Whether mail to *address* came back before."""
    return _BOUNCED.first(session, {"key": _key(signer, address)}) is not None


def forget_visitors(session: Session, *, settings: Settings, now: datetime) -> None:
    """Forget the addresses that mail came back from long ago; they may work again."""
    before = now - timedelta(days=settings.privacy.retention_days)
    session.execute(sa.delete(bounced_addresses).where(bounced_addresses.c.at < before))


def _key(signer: Signer, address: str) -> str:
    return signer.fingerprint("bounced", EmailAddress(address).key)

"""Who may send which delivery now.

The rows of ``delivery`` are the queue. A claim is a lease with an owner's token and lapses by
itself: when a worker dies, the delivery is simply due again, and a late result finds the token
gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from directory.adapters.db import UNSETTLED, deliveries
from directory.adapters.prepared import Prepared
from directory.domain.delivery import Delivery, DeliveryState, farthest_due

_QUEUED = deliveries.c.state == DeliveryState.QUEUED
_DEFERRED = deliveries.c.state == DeliveryState.DEFERRED
_SENDING = deliveries.c.state == DeliveryState.SENDING
_due, _lease_until = deliveries.c.due_at, deliveries.c.lease_until

# What may be claimed, in this order. Put together once, as all statements a worker repeats.
_CLAIMABLE = tuple(
    sa.select(Delivery)
    .where(state, UNSETTLED, ready)
    .order_by(_due)
    .limit(sa.bindparam("room"))
    .options(undefer(Delivery.content))  # type: ignore[arg-type]
    # Another worker's claim in progress is passed by, not waited for. (SQLite, which has one
    # writer at a time, knows no such clause and needs none.)
    .with_for_update(skip_locked=True)
    for state, ready in (
        (_QUEUED, sa.true()),
        (_DEFERRED, sa.or_(_due <= sa.bindparam("due_by"), _due > sa.bindparam("far"))),
        (
            _SENDING,
            sa.or_(_lease_until <= sa.bindparam("now"), _lease_until > sa.bindparam("far_lease")),
        ),
    )
)
_OWNER = Prepared(
    sa.select(deliveries.c.lease_owner).where(
        deliveries.c.id == sa.bindparam("delivery_id"), _SENDING
    )
)
_LOCKED = (
    sa.select(Delivery)
    .where(deliveries.c.id == sa.bindparam("delivery_id"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
_KEEP_CONTENT = Prepared(
    sa.update(deliveries)
    .where(
        deliveries.c.id == sa.bindparam("delivery_id"),
        deliveries.c.lease_owner == sa.bindparam("owner"),
    )
    .values(content=sa.bindparam("bytes"))
)
_NEXT_DUE = sa.select(sa.func.min(_due)).where(_DEFERRED, UNSETTLED)


def claim_due(
    session: Session,
    *,
    owner: str,
    now: datetime,
    lease: timedelta,
    backoff_s: Sequence[float],
    jitter: float,
    limit: int,
    only: Sequence[int] | None = None,
    tried_before: datetime | None = None,
) -> list[Delivery]:
    """Reserve up to *limit* deliveries for *owner* for as long as *lease*.

    New ones come first, so that they overtake a backlog; then those whose wait is over, the most
    overdue first; then those whose owner let the lease lapse. An instant farther ahead than any
    wait can reach was written before the clock went back, and counts as past. *only* restricts
    to some ids; *tried_before* leaves out what was put off after that instant.
    """
    instants = {
        "due_by": tried_before or now,
        "far": farthest_due(now, backoff_s, jitter),
        "now": now,
        "far_lease": now + 2 * lease,
    }
    claimed: list[Delivery] = []
    for claimable in _CLAIMABLE:
        if len(claimed) >= limit:
            break
        wanted = claimable if only is None else claimable.where(deliveries.c.id.in_(only))
        claimed.extend(session.scalars(wanted, instants | {"room": limit - len(claimed)}))
    for delivery in claimed:
        delivery.claimed(owner, now + lease)
    return claimed


def renew(session: Session, ids: Iterable[int], *, owner: str, until: datetime) -> None:
    """Keep *owner*'s claims on the deliveries *ids*; those lost meanwhile stay lost."""
    session.execute(
        sa.update(deliveries)
        .where(deliveries.c.id.in_(list(ids)), deliveries.c.lease_owner == owner, _SENDING)
        .values(lease_until=until)
    )


def still_held(session: Session, delivery_id: int, *, owner: str) -> bool:
    """Whether *owner*'s claim on one delivery still stands, asked just before DATA."""
    found = _OWNER.first(session, {"delivery_id": delivery_id})
    return found is not None and found[0] == owner


def keep_content(session: Session, contents: dict[int, bytes], *, owner: str) -> None:
    """Store composed bytes before the first try, so that every try sends the same."""
    for delivery_id, content in contents.items():
        kept = {"delivery_id": delivery_id, "owner": owner, "bytes": content}
        _KEEP_CONTENT.write(session, kept)


def held(session: Session, delivery_id: int, *, owner: str) -> Delivery | None:
    """The delivery, locked to record a result, if *owner*'s claim still stands."""
    delivery = session.scalar(_LOCKED, {"delivery_id": delivery_id})
    return delivery if delivery is not None and delivery.held_by(owner) else None


def put_back(session: Session, ids: Iterable[int], *, owner: str, now: datetime) -> None:
    """Give up claims that were not used, for others to take at once."""
    for delivery_id in ids:
        if delivery := held(session, delivery_id, owner=owner):
            delivery.put_back(now)


def next_due(session: Session) -> datetime | None:
    """When the next wait ends; None when nothing waits."""
    found: datetime | None = session.connection().scalar(_NEXT_DUE)
    return found

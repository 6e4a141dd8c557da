"""Who may send which delivery now.

The rows of ``delivery`` are the queue. A claim is a lease with an owner's token and lapses by
itself: when a worker dies, the delivery is simply due again, and a late result finds the token
gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from directory.adapters.db import UNSETTLED, deliveries, note_delivery
from directory.adapters.prepared import Prepared
from directory.domain.delivery import Delivery, DeliveryState, farthest_due

_QUEUED = deliveries.c.state == DeliveryState.QUEUED
_DEFERRED = deliveries.c.state == DeliveryState.DEFERRED
_SENDING = deliveries.c.state == DeliveryState.SENDING
_due, _lease_until = deliveries.c.due_at, deliveries.c.lease_until

# What may be claimed, in this order.
_CLAIMABLE = (
    (_QUEUED, sa.true()),
    (_DEFERRED, sa.or_(_due <= sa.bindparam("due_by"), _due > sa.bindparam("far"))),
    (
        _SENDING,
        sa.or_(_lease_until <= sa.bindparam("now"), _lease_until > sa.bindparam("far_lease")),
    ),
)


def _claimable(only: Sequence[int] | None = None) -> sa.Select[Any]:
    """One question for all three, which looks no farther than there is room.

    Each in a query of its own, for each is a range of the index, in the order of being due.
    """
    kinds = []
    for rank, (state, ready) in enumerate(_CLAIMABLE):
        kind = (
            sa.select(deliveries.c.id, sa.literal(rank).label("rank"))
            .where(state, UNSETTLED, ready)
            .order_by(_due)
            .limit(sa.bindparam("room"))
            # Another worker's claim in progress is passed by, not waited for. (SQLite, which has
            # one writer at a time, knows no such clause and needs none.)
            .with_for_update(skip_locked=True)
        )
        if only is not None:
            kind = kind.where(deliveries.c.id.in_(only))
        kinds.append(sa.select(kind.subquery(f"kind_{rank}")))
    found = sa.union_all(*kinds).subquery("found")
    return sa.select(found.c.id, found.c.rank).limit(sa.bindparam("room"))


_CLAIMABLE_NOW = Prepared(_claimable())
_CLAIMED = (
    sa.select(Delivery)
    .where(deliveries.c.id.in_(sa.bindparam("ids", expanding=True)))
    .options(undefer(Delivery.content))  # type: ignore[arg-type]
)
_LEASE = ("state", "lease_owner", "lease_until")
# A claim with the bytes that were composed for it, and one of what has its bytes already.
_CLAIM_WITH, _CLAIM = (
    Prepared(
        sa.update(deliveries)
        .where(deliveries.c.id == sa.bindparam("delivery_id"))
        .values({name: sa.bindparam(f"new_{name}") for name in names})
    )
    for names in ((*_LEASE, "content"), _LEASE)
)
_OWNER = Prepared(
    sa.select(deliveries.c.lease_owner).where(
        deliveries.c.id == sa.bindparam("delivery_id"), _SENDING
    )
)
_SETTLE = Prepared(
    sa.update(deliveries)
    .where(
        deliveries.c.id == sa.bindparam("delivery_id"),
        deliveries.c.lease_owner == sa.bindparam("owner"),
        _SENDING,
    )
    .values(
        {
            name: sa.bindparam(f"new_{name}")
            for name in (
                *("state", "due_at", "attempts", "lease_owner", "lease_until"),
                *("accepted_at", "reason", "smtp_reply"),
            )
        }
    )
)
_LOCKED = (
    sa.select(Delivery)
    .where(deliveries.c.id == sa.bindparam("delivery_id"))
    .with_for_update()
    .execution_options(populate_existing=True)
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
    session.flush()
    values = instants | {"room": limit}
    if only is None:
        found = _CLAIMABLE_NOW.all(session, values)
    else:
        found = session.connection().execute(_claimable(only), values).all()
    # In the order they came: a sort keeps that of what is equal.
    ids = [row[0] for row in sorted(found, key=lambda row: row[1])]
    if not ids:
        return []
    claimed = sorted(session.scalars(_CLAIMED, {"ids": ids}), key=lambda it: ids.index(it.id or 0))
    for delivery in claimed:
        delivery.claimed(owner, now + lease)
    return claimed


def write_claims(session: Session, claimed: Iterable[Delivery]) -> None:
    """Write the claims on *claimed*, and the bytes they were given; the session forgets them.

    What the session would write itself, one statement each: it would see to it in a pipeline of
    the driver's, with as many exchanges as for a result, and count them in the ledger anew, where
    a claim moves nothing.
    """
    for delivery in claimed:
        composed = sa.inspect(delivery, raiseerr=True).attrs.content.history.added
        session.expunge(delivery)
        (_CLAIM_WITH if composed else _CLAIM).write(
            session,
            {
                "delivery_id": delivery.id,
                "new_state": delivery.state,
                "new_lease_owner": delivery.lease_owner,
                "new_lease_until": delivery.lease_until,
                "new_content": delivery.content,
            },
        )


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


def held(session: Session, delivery_id: int, *, owner: str) -> Delivery | None:
    """The delivery, locked to record a result, if *owner*'s claim still stands."""
    delivery = session.scalar(_LOCKED, {"delivery_id": delivery_id})
    return delivery if delivery is not None and delivery.held_by(owner) else None


def settle(session: Session, delivery: Delivery, *, owner: str) -> bool:
    """Write what became of *delivery*, which no session knows, if *owner*'s claim still stands."""
    written = _SETTLE.write(
        session,
        {
            "delivery_id": delivery.id,
            "owner": owner,
            "new_state": delivery.state,
            "new_due_at": delivery.due_at,
            "new_attempts": delivery.attempts,
            "new_lease_owner": delivery.lease_owner,
            "new_lease_until": delivery.lease_until,
            "new_accepted_at": delivery.accepted_at,
            "new_reason": delivery.reason,
            "new_smtp_reply": delivery.smtp_reply,
        },
    )
    if written:
        note_delivery(session, delivery)
    return bool(written)


def put_back(session: Session, ids: Iterable[int], *, owner: str, now: datetime) -> None:
    """Give up claims that were not used, for others to take at once."""
    for delivery_id in ids:
        if delivery := held(session, delivery_id, owner=owner):
            delivery.put_back(now)


def next_due(session: Session) -> datetime | None:
    """When the next wait ends; None when nothing waits."""
    found: datetime | None = session.connection().scalar(_NEXT_DUE)
    return found

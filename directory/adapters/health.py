"""How the service fares, in figures that cost the same however much there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import UNSETTLED, attempts, deliveries
from directory.domain.delivery import DeliveryKind, DeliveryState, Outcome


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many messages wait, and since when the oldest."""

    count: int = 0
    since: datetime | None = None


# An alarm that waits is no reason for another.
_WAITING = (
    sa.select(deliveries.c.state, sa.func.count(), sa.func.min(deliveries.c.created_at))
    .where(UNSETTLED, deliveries.c.kind != DeliveryKind.ALARM)
    .group_by(deliveries.c.state)
)


def waiting_by_state(session: Session) -> Mapping[DeliveryState, Waiting]:
    """Queued, sending and deferred: how many, and since when. Reads what waits and nothing else."""
    return {
        DeliveryState(state): Waiting(count, since)
        for state, count, since in session.execute(_WAITING)
    }


def oldest_waiting(session: Session) -> Waiting:
    """All that waits, taken together."""
    found = waiting_by_state(session).values()
    return Waiting(
        sum(it.count for it in found),
        min((it.since for it in found if it.since is not None), default=None),
    )


def stuck_leases(session: Session, *, now: datetime) -> int:
    """Claims that lapsed and that nobody took over: no worker runs, or none gets so far."""
    lapsed = sa.select(sa.func.count()).select_from(deliveries)
    return (
        session.scalar(
            lapsed.where(
                UNSETTLED,
                deliveries.c.state == DeliveryState.SENDING,
                deliveries.c.lease_until < now,
            )
        )
        or 0
    )


_BEFORE_A_RECIPIENT = frozenset({"connect", "ehlo", "starttls", "auth", "mail"})
_LAST_TRY = sa.select(attempts.c.outcome, attempts.c.stage).order_by(attempts.c.id.desc()).limit(1)


def last_try_never_reached_a_mailbox(session: Session) -> bool:
    """Whether the last try ended before the server would hear whom the message was for."""
    found = session.execute(_LAST_TRY).one_or_none()
    return found is not None and (
        found.outcome is not Outcome.ACCEPTED and found.stage in _BEFORE_A_RECIPIENT
    )

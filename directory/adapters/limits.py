"""What was used of an allowance, counted exactly and shared by every process.

A use is one row, added in the transaction of what it counts: what was not stored was not counted,
and counting costs no commit of its own. Keys are keyed hashes, so the table holds no address.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import allowances
from directory.adapters.prepared import Prepared
from directory.domain.ids import new_id

# Nothing is counted over longer than this.
LONGEST = timedelta(days=1)

_USED = Prepared(
    sa.select(sa.func.count())
    .select_from(allowances)
    .where(allowances.c.key == sa.bindparam("key"), allowances.c.at > sa.bindparam("since"))
)
_USE = Prepared(sa.insert(allowances))


# Only one transaction at a time goes on from here with the same key; the others wait their turn.
_HOLD = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("key"), 0)))


def hold(session: Session, key: str) -> None:
    """Let nobody else count *key* before this transaction has, where exactly so many are allowed.

    Two that count at the same moment would both find room for the last. SQLite, which has one
    writer at a time, needs no such thing.
    """
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.execute(_HOLD, {"key": key})


def used(session: Session, keys: Iterable[str], *, since: datetime) -> dict[str, int]:
    """How often each of *keys* was used after *since*; those never used are left out."""
    counted = {key: _USED.first(session, {"key": key, "since": since})[0] for key in keys}
    return {key: count for key, count in counted.items() if count}


def first_use(session: Session, key: str, *, since: datetime) -> datetime | None:
    """The first use of *key* after *since*: when it falls out of the window, one is free."""
    found: datetime | None = session.scalar(
        sa.select(sa.func.min(allowances.c.at)).where(
            allowances.c.key == key, allowances.c.at > since
        )
    )
    return found


def use(session: Session, keys: Iterable[str], *, now: datetime) -> None:
    """Count one use of each of *keys*."""
    for key in keys:
        _USE.write(session, {"id": new_id(now), "key": key, "at": now})


def forget(session: Session, *, now: datetime) -> int:
    """Drop what no window reaches any more; the number of rows dropped."""
    gone = session.execute(sa.delete(allowances).where(allowances.c.at < now - LONGEST))
    return gone.rowcount or 0  # type: ignore[attr-defined]

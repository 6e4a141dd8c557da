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
from directory.domain.ids import new_id

# Nothing is counted over longer than this.
LONGEST = timedelta(days=1)

_USED = (
    sa.select(allowances.c.key, sa.func.count())
    .where(
        allowances.c.key.in_(sa.bindparam("keys", expanding=True)),
        allowances.c.at > sa.bindparam("since"),
    )
    .group_by(allowances.c.key)
)
_USE = sa.insert(allowances)


def used(session: Session, keys: Iterable[str], *, since: datetime) -> dict[str, int]:
    """How often each of *keys* was used after *since*; those never used are left out."""
    found = session.connection().execute(_USED, {"keys": list(keys), "since": since})
    return {row[0]: row[1] for row in found}


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
    rows = [{"id": new_id(now), "key": key, "at": now} for key in keys]
    if rows:
        session.connection().execute(_USE, rows)


def forget(session: Session, *, now: datetime) -> int:
    """Drop what no window reaches any more; the number of rows dropped."""
    gone = session.execute(sa.delete(allowances).where(allowances.c.at < now - LONGEST))
    return gone.rowcount or 0  # type: ignore[attr-defined]

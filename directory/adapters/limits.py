"""What was used of an allowance, counted exactly and shared by every process.

A use is one row, added in the transaction of what it counts: what was not stored was not counted,
and counting costs no commit of its own. Keys are keyed hashes, so the table holds no address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import allowances
from directory.adapters.prepared import Prepared, Rows
from directory.domain.ids import new_id

# Nothing is counted over longer than this.
LONGEST = timedelta(days=1)

_USES = Rows(allowances)


@cache
def _used(count: int) -> Prepared:
    """How often each of *count* keys was used: one question for all."""
    return Prepared(
        sa.select(
            *(
                sa.select(sa.func.count())
                .where(
                    allowances.c.key == sa.bindparam(f"key_{number}"),
                    allowances.c.at > sa.bindparam(f"since_{number}"),
                )
                .scalar_subquery()
                for number in range(count)
            )
        )
    )


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


def used(session: Session, windows: Mapping[str, datetime]) -> dict[str, int]:
    """How often each key of *windows* was used after its instant; those never used are left out."""
    if not windows:
        return {}
    values: dict[str, Any] = {}
    for number, (key, since) in enumerate(windows.items()):
        values[f"key_{number}"], values[f"since_{number}"] = key, since
    counts = _used(len(windows)).first(session, values)
    return {key: count for key, count in zip(windows, counts, strict=True) if count}


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
    _USES.write(session, [{"id": new_id(now), "key": key, "at": now} for key in keys])


def forget(session: Session, *, now: datetime) -> int:
    """Drop what no window reaches any more; the number of rows dropped."""
    gone = session.execute(sa.delete(allowances).where(allowances.c.at < now - LONGEST))
    return gone.rowcount or 0  # type: ignore[attr-defined]

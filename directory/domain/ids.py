"""Ids of rows that many processes add at once."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

_EPOCH_MS = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp() * 1000)
_RANDOM_BITS = 22


def new_id(now: datetime) -> int:
    """A 63-bit number that sorts by *now* (to the millisecond) and is else random.

    Known before the row is stored, so that an enquiry and all that belongs to it go to the
    database in one batch; growing, so that an index is written at its end. Two made in the same
    millisecond are the same once in four million times; the primary key then refuses the second.
    """
    milliseconds = int(now.timestamp() * 1000) - _EPOCH_MS
    return max(milliseconds, 0) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)

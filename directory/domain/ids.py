"""Ids of rows that many processes add at once."""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime

_EPOCH_MS = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp() * 1000)
_LOW_BITS = 22
# Begun in the lower half, so that there is room to count on from.
_RANDOM_BITS = _LOW_BITS - 1

_counting = threading.Lock()
_last = 0


def new_id(now: datetime) -> int:
    """A 63-bit number that sorts by *now* (to the millisecond), unlike any other of this process.

    Known before the row is stored, so that an enquiry and all that belongs to it go to the
    database in one batch; growing, so that an index is written at its end. One after the other in
    the same millisecond counts on, for an import makes thousands at one *now*; where that begins
    is random, so that two processes rarely meet, and the primary key refuses the second.
    """
    global _last
    milliseconds = max(int(now.timestamp() * 1000) - _EPOCH_MS, 0)
    with _counting:
        if _last >> _LOW_BITS == milliseconds:
            _last += 1
        else:
            _last = milliseconds << _LOW_BITS | secrets.randbits(_RANDOM_BITS)
        return _last

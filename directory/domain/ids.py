"""Ids of rows that many processes add at once."""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime

_EPOCH_MS = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp() * 1000)
_LOW_BITS = 22
# Begun in the lower half of its millisecond, so that there is room to count on from.
_RANDOM_BITS = _LOW_BITS - 1
# A clock that goes back no farther than this (milliseconds) is taken to stand still.
_PATIENCE_MS = 60_000

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
        if 0 <= (_last >> _LOW_BITS) - milliseconds <= _PATIENCE_MS:
            _last += 1
        else:
            _last = milliseconds << _LOW_BITS | secrets.randbits(_RANDOM_BITS)
        return _last


def id_after(last: int, now: datetime) -> int:
    """A new id greater than *last*, also when the clock went back or another process is ahead."""
    made = new_id(now)
    if made > last:
        return made
    # Not the next number, which whoever made the last may be about to give to something else.
    return last + (1 << _RANDOM_BITS) + secrets.randbits(_RANDOM_BITS)

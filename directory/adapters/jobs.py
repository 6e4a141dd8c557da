"""The doorbell: wakes workers soon after something was queued.

It carries no work and may be lost. What is to be sent stands in the database, and a sweep finds
whatever a lost ring missed; so a doorbell that fails is logged and fails nobody's request.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)

# What is rung for is said nowhere: a ring means that a worker should look into the outbox. So it
# is put into huey's store as it is, which takes a third less than a task that names a function.
_RING = b"deliver due"
# A worker that waits looks this often; a look is one read of a table of at most a few rows.
_LOOK_S = 0.05


class Doorbell:
    """Rung by whoever queued something, heard by one waiting worker; shared through *path*."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Nothing here outlives a restart's first sweep, so it is not synchronised to disk.
        self._huey = _sqlite_huey()("doorbell", filename=str(path), fsync=False, results=False)

    def ring(self) -> None:
        """Wake a worker. One ring not yet heard is as good as many."""
        try:
            if not self._huey.pending_count():
                self._huey.storage.enqueue(_RING)
        except (sqlite3.Error, OSError) as error:
            log.warning("doorbell.silent", error=type(error).__name__)

    def heard(self) -> bool:
        """Whether somebody rang since the last look."""
        try:
            return self._huey.storage.dequeue() is not None
        except (sqlite3.Error, OSError) as error:
            log.warning("doorbell.deaf", error=type(error).__name__)
            return False

    def wait(self, seconds: float, *, unless: Callable[[], bool]) -> bool:
        """Wait for a ring, at most *seconds*, no longer than *unless* is False."""
        until = time.monotonic() + seconds
        while not unless():
            if self.heard():
                return True
            left = until - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(_LOOK_S, left))
        return False

    def close(self) -> None:
        """Let go of the file; needed before a fork."""
        self._huey.storage.close()


def _sqlite_huey() -> Any:
    """huey on SQLite, and not also the driver of PostgreSQL, which it loads for another store.

    That takes a twentieth of a start. Whoever needs the driver loads it, before or after.
    """
    loaded = "psycopg" in sys.modules
    if not loaded:
        # As if it were not installed.
        sys.modules["psycopg"] = None  # type: ignore[assignment]
    try:
        from huey.api import SqliteHuey
    finally:
        if not loaded:
            del sys.modules["psycopg"]
    return SqliteHuey

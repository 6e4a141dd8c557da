"""What workers do about once a minute, besides sending. As often as anybody likes: once is enough.

Each part has its transaction, and what goes wrong in one stops neither the others nor the mail.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from directory.adapters import ledger
from directory.adapters.db import Database
from directory.domain.errors import Unavailable
from directory.parts import Parts
from directory.services import alarms, canary, privacy, reminders, visitors

log = structlog.get_logger(__name__)


def go_round(parts: Parts) -> None:
    """Add up the ledger, look for what is wrong, remind, measure, send the canary and lost links.

    And once a day let go of what was kept long enough. Raises Unavailable.
    """
    now, settings = parts.now(), parts.settings

    def keep_books(session: Session) -> None:
        ledger.take_in(session)
        ledger.fold(session)

    def watch(session: Session) -> None:
        alarms.watch(session, settings=settings, now=now, free_mb=free_mb(parts.db))
        canary.judge(session, settings=settings, now=now)

    def wake(session: Session) -> None:
        reminders.plan(session, settings=settings, now=now)
        reminders.remind(session, settings=settings, signer=parts.signer, now=now)
        reminders.measure(session, settings=settings, now=now)

    def sing(session: Session) -> None:
        if settings.canary.every_minutes:
            canary.send(
                session,
                published=parts.published(session, now),
                settings=settings,
                signer=parts.signer,
                now=now,
            )

    def see_to_visitors(session: Session) -> None:
        visitors.send_links(
            session,
            published=parts.published(session, now),
            settings=settings,
            signer=parts.signer,
            now=now,
        )

    def let_go(session: Session) -> None:
        privacy.tidy_daily(
            session,
            published=lambda: parts.published(session, now),
            settings=settings,
            signer=parts.signer,
            now=now,
        )

    for part in (keep_books, watch, wake, sing, see_to_visitors, let_go):
        _apart(parts.db, part)
    privacy.forget_traces(parts.db, now=now)


def _apart(db: Database, part: Callable[[Session], None]) -> None:
    try:
        with db.writing() as session:
            part(session)
    except Unavailable:
        raise
    except Exception:
        log.exception("minute.failed", part=part.__name__)


def free_mb(db: Database) -> int | None:
    """Megabytes left where the database is; None when it is not a file of this machine."""
    if not db.is_sqlite or not db.url.database:
        return None
    return shutil.disk_usage(Path(db.url.database).parent).free // 1_000_000

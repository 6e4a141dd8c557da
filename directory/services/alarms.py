"""The service tells its operators what is wrong with it: a line in the log, and a mail.

One mail an hour and kind at most, however many processes see the same, and none while the last
one of its kind still waits to be sent. Mail goes to ``[mail] alarms``; where that names nobody, to
whoever owns the desk, else to the desk's deputy address, else to the desk itself. An alarm about
mail cannot be mailed while mail does not leave: the log and ``/readyz`` tell it at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from directory.adapters import ledger
from directory.adapters.db import alarms, deliveries
from directory.adapters.health import oldest_waiting
from directory.domain.alarms import ALARMS, AlarmKind
from directory.domain.contacts import Department
from directory.domain.delivery import SETTLED
from directory.services.letters import Letters
from directory.settings import Settings

log = structlog.get_logger(__name__)

ONCE_A = timedelta(hours=1)
# What was not seen to be wrong for this long is over, where nobody can see it to be right.
_FORGOTTEN = timedelta(hours=2)
# Below this, commits may soon fail.
DISK_LOW_MB = 200


def sound(
    session: Session, kind: AlarmKind, facts: dict[str, Any], *, settings: Settings, now: datetime
) -> bool:
    """*kind* is so at *now*; whether a mail was made of it. In the caller's transaction.

    *facts* fill its sentence: no text of a visitor's, no whole address.
    """
    known = session.execute(_known(kind)).one_or_none()
    if known and known.since and not _due(known.mailed_at, now) and _fresh(known.seen_at, now):
        return False  # told, and said to be so still: nothing to write, and no row to wait for
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    session.execute(insert(alarms).on_conflict_do_nothing(), {"kind": kind.value, "facts": {}})
    held = session.execute(_known(kind).with_for_update()).one()
    values: dict[str, Any] = {"seen_at": now, "since": held.since or now}
    mailed = False
    if _due(held.mailed_at, now):
        log.error("alarm", kind=kind.value, **facts)
        values["mailed_at"] = now
        if not _still_waits(session, held.facts):
            letters = Letters(session, settings, now=now).alarm(
                ALARMS[kind].filled(facts), since=values["since"], kind=kind.value
            )
            session.add_all(letters)
            values["facts"] = {"deliveries": [str(letter.id) for letter in letters], "told": facts}
            mailed = bool(letters)
    session.execute(sa.update(alarms).where(alarms.c.kind == kind.value).values(values))
    return mailed


def _known(kind: AlarmKind) -> Any:
    return sa.select(alarms.c.since, alarms.c.seen_at, alarms.c.mailed_at, alarms.c.facts).where(
        alarms.c.kind == kind.value
    )


def _due(mailed_at: datetime | None, now: datetime) -> bool:
    # What was mailed in the future was mailed before the clock went back: one mail too many is
    # better than silence for as long as it went back.
    return mailed_at is None or mailed_at > now or now - mailed_at >= ONCE_A


def _fresh(seen_at: datetime | None, now: datetime) -> bool:
    return seen_at is not None and abs(now - seen_at) < _FORGOTTEN / 4


def _still_waits(session: Session, facts: dict[str, Any]) -> bool:
    ids = [int(id) for id in facts.get("deliveries", ())]
    return bool(ids) and bool(
        session.scalar(
            sa.select(sa.func.count())
            .select_from(deliveries)
            .where(deliveries.c.id.in_(ids), deliveries.c.state.not_in(SETTLED))
        )
    )


def quiet(session: Session, kind: AlarmKind, *, now: datetime, unseen: bool = False) -> None:
    """*kind* is no more; or, *unseen*, has not been seen for long enough to say so."""
    known = session.execute(_known(kind)).one_or_none()
    if known is None or known.since is None:
        return
    if unseen and known.seen_at is not None and now - known.seen_at < _FORGOTTEN:
        return
    session.execute(sa.update(alarms).where(alarms.c.kind == kind.value).values(since=None))
    log.info("alarm.over", kind=kind.value)


def standing(session: Session) -> Sequence[tuple[AlarmKind, datetime]]:
    """What is wrong at present, and since when."""
    found = session.execute(
        sa.select(alarms.c.kind, alarms.c.since)
        .where(alarms.c.since.is_not(None))
        .order_by(alarms.c.kind)
    )
    return [(AlarmKind(kind), since) for kind, since in found]


# What is looked at each minute


def watch(session: Session, *, settings: Settings, now: datetime, free_mb: int | None) -> None:
    """Look at what nobody's act tells of: the queue's age, the ledger, the desk, the disk.

    *free_mb* is what is left where the database is; None when it is on another machine.
    """
    age = oldest_waiting(session)
    if (
        age.since is not None
        and (now - age.since).total_seconds() > settings.delivery.alarm_after_s
    ):
        facts: dict[str, Any] = {"since": _minute(age.since), "count": age.count}
        sound(session, AlarmKind.QUEUE_OLD, facts, settings=settings, now=now)
    else:
        quiet(session, AlarmKind.QUEUE_OLD, now=now)

    books = ledger.read(session)
    if not books.balances:
        facts = {"ledger": str(books)}
        sound(session, AlarmKind.LEDGER, facts, settings=settings, now=now)
    else:
        quiet(session, AlarmKind.LEDGER, now=now)

    if not _desk_has_mailbox(session, settings):
        facts = {"desk": settings.site.desk}
        sound(session, AlarmKind.DESK, facts, settings=settings, now=now)
    else:
        quiet(session, AlarmKind.DESK, now=now)

    if free_mb is not None and free_mb < DISK_LOW_MB:
        sound(session, AlarmKind.DISK, {"free_mb": free_mb}, settings=settings, now=now)
    else:
        quiet(session, AlarmKind.DISK, now=now)

    for kind in (AlarmKind.REFUSED_US, AlarmKind.PARKED, AlarmKind.UNDELIVERABLE):
        quiet(session, kind, now=now, unseen=True)


def _desk_has_mailbox(session: Session, settings: Settings) -> bool:
    desk = session.scalar(sa.select(Department).filter_by(slug=settings.site.desk))
    return desk is not None and desk.mailbox is not None and desk.mailbox.live


def _minute(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M UTC")

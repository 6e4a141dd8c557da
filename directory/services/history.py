"""What happened, kept so that it can be trusted: append only, each event chained to the last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import events, store
from directory.adapters.prepared import Prepared
from directory.domain.enquiry import Enquiry, Event
from directory.domain.ids import id_after

# In the event of a deletion: the ids of those whose note was blanked with it.
BLANKED = "blanked"

_LAST = Prepared(
    sa.select(events.c.id, events.c.digest)
    .where(events.c.subject == sa.bindparam("subject"))
    .order_by(events.c.id.desc())
    .limit(1)
)


def record(
    session: Session,
    subject: str,
    type: str,
    *,
    now: datetime,
    by: str = "",
    note: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    first: bool = False,
) -> Event:
    """Add one event to the history of *subject*, in the caller's transaction.

    *first* says that the subject is new, which spares the look for the event before. Two
    transactions that both follow the same event cannot both commit.
    """
    last_id, previous = (0, "") if first else _last(session, subject)
    event = Event(
        # Later than the last, also within its millisecond and after the clock went back.
        id=id_after(last_id, now),
        at=now,
        subject=subject,
        type=type,
        by=by,
        note=note,
        before=before or {},
        after=after or {},
        previous=previous,
    )
    event.digest = digest(event)
    store(session, event)
    return event


def about(enquiry: Enquiry) -> str:
    """The subject under which an enquiry's events stand."""
    return f"enquiry:{enquiry.ref}"


def digest(event: Event) -> str:
    """SHA-256 over the event as canonical JSON and the digest of the one before it."""
    told = [
        event.subject,
        event.at.isoformat(timespec="microseconds"),
        event.type,
        event.by,
        event.note,
        event.before,
        event.after,
        event.previous,
    ]
    text = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _last(session: Session, subject: str) -> tuple[int, str]:
    return _LAST.first(session, {"subject": subject}) or (0, "")


@dataclass(frozen=True, slots=True)
class Verified:
    """How many events were looked at, and the subjects whose history is not what was written."""

    events: int
    broken: list[str]


def verify(session: Session) -> Verified:
    """Compute every chain anew: a changed, dropped or slipped-in event breaks its subject's.

    Where details were deleted, people's notes went with them, and the event of that says which.
    Reads every event, in flat memory. That the newest of a subject are missing cannot be seen.
    """
    rows = (
        session.connection()
        .execution_options(yield_per=1_000)
        .execute(sa.select(*events.c).order_by(events.c.subject, events.c.id))
    )
    count = 0
    broken: list[str] = []
    subject, previous = "", ""
    # Notes that are not what was written: allowed where a later event says they were deleted.
    blank: set[str] = set()
    for row in rows:
        count += 1
        if row.subject != subject:
            broken += [subject] if blank and broken[-1:] != [subject] else []
            subject, previous, blank = row.subject, "", set()
        told = Event(**{name: row._mapping[name] for name in events.c.keys()})  # noqa: SIM118
        sound = told.previous == previous
        if told.digest == digest(told):
            blank -= set(told.after.get(BLANKED, ()))
        elif told.note:
            sound = False
        else:
            blank.add(str(told.id))
        if not sound and broken[-1:] != [subject]:
            broken.append(subject)
        previous = told.digest
    broken += [subject] if blank and broken[-1:] != [subject] else []
    return Verified(count, broken)


@dataclass(frozen=True, slots=True)
class Happening:
    """What :func:`record_all` is to add to a subject's history."""

    subject: str
    type: str
    before: dict[str, Any]
    after: dict[str, Any]
    first: bool = False


def record_all(
    session: Session, happenings: Sequence[Happening], *, now: datetime, by: str, note: str
) -> None:
    """:func:`record` for some hundred subjects at once, each of them once, in two statements."""
    session.flush()
    known = [it.subject for it in happenings if not it.first]
    last: dict[str, tuple[int, str]] = {}
    if known:
        newest = (
            sa.select(sa.func.max(events.c.id))
            .where(events.c.subject.in_(known))
            .group_by(events.c.subject)
        )
        columns = (events.c.subject, events.c.id, events.c.digest)
        for row in session.execute(sa.select(*columns).where(events.c.id.in_(newest))):
            last[row.subject] = (row.id, row.digest)
    taken: set[int] = set()
    rows = []
    for it in happenings:
        last_id, previous = last.get(it.subject, (0, ""))
        id = id_after(last_id, now)
        while id in taken:
            id += 1
        taken.add(id)
        event = Event(
            id=id,
            at=now,
            subject=it.subject,
            type=it.type,
            by=by,
            note=note,
            before=it.before,
            after=it.after,
            previous=previous,
        )
        rows.append({c.name: getattr(event, c.name) for c in events.c if c.name != "digest"})
        rows[-1]["digest"] = digest(event)
    if rows:
        session.connection().execute(sa.insert(events), rows)

"""What is done now and then, once however many try, and switches that an operator sets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from directory.adapters.db import directory_version, duties, switches
from directory.adapters.prepared import Prepared

MAIL_PAUSED = "mail.paused"

_IS_ON = Prepared(sa.select(switches.c.name).where(switches.c.name == sa.bindparam("name")))
_BEFORE_A_CLAIM = Prepared(
    sa.select(
        sa.select(switches.c.name).where(switches.c.name == sa.bindparam("name")).scalar_subquery(),
        sa.select(directory_version.c.version).scalar_subquery(),
    )
)


# Duties


@dataclass(frozen=True, slots=True)
class Duty:
    """When it was last done, and what is remembered of it."""

    at: datetime | None
    facts: dict[str, Any]


def look(session: Session, name: str) -> Duty:
    """How duty *name* stands, without waiting for whoever may be doing it."""
    row = session.execute(sa.select(duties.c.at, duties.c.facts).where(duties.c.name == name))
    found = row.one_or_none()
    return Duty(found.at, dict(found.facts)) if found else Duty(None, {})


def take(session: Session, name: str, *, now: datetime, every: timedelta) -> Duty | None:
    """The duty *name*, held until this transaction ends, if its turn has come.

    None when it was done less than *every* ago, by whomever. What was done in the future was done
    before the clock went back: its turn then counts from now, so that it is neither repeated nor
    put off for as long as the clock went back. Say with :func:`done` that it was done.
    """
    before = look(session, name)
    if before.at is not None and before.at <= now < before.at + every:
        return None  # nearly always, and without a lock
    held = hold(session, name)
    if held.at is not None and held.at > now:
        done(session, name, now=now, facts=held.facts)
        return None
    return None if held.at is not None and now < held.at + every else held


def hold(session: Session, name: str) -> Duty:
    """The duty *name*, nobody else's until this transaction ends."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert(duties).on_conflict_do_nothing(), {"name": name, "at": None, "facts": {}}
    )
    wanted = sa.select(duties.c.at, duties.c.facts).where(duties.c.name == name).with_for_update()
    row = session.execute(wanted).one()
    return Duty(row.at, dict(row.facts))


def done(session: Session, name: str, *, now: datetime, facts: dict[str, Any]) -> None:
    """It was done at *now*; *facts* is what the next turn, or a reader, wants to know of it."""
    session.execute(sa.update(duties).where(duties.c.name == name).values(at=now, facts=facts))


# Switches


@dataclass(frozen=True, slots=True)
class Switched:
    """Who set a switch, when and why."""

    at: datetime
    by: str
    reason: str


def is_on(session: Session, name: str) -> bool:
    """Whether switch *name* is set."""
    return _IS_ON.first(session, {"name": name}) is not None


def before_a_claim(session: Session) -> tuple[bool, int]:
    """Whether mail is paused, and the version of the directory, asked at once at every claim."""
    paused, version = _BEFORE_A_CLAIM.first(session, {"name": MAIL_PAUSED})
    return paused is not None, version or 0


def switched(session: Session, name: str) -> Switched | None:
    """Who set switch *name*; None when it is not set."""
    row = session.execute(
        sa.select(switches.c.at, switches.c.by, switches.c.reason).where(switches.c.name == name)
    ).one_or_none()
    return Switched(*row) if row else None


def switch_on(session: Session, name: str, *, now: datetime, by: str, reason: str) -> bool:
    """Set switch *name*; whether that was news."""
    if is_on(session, name):
        return False
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert(switches).on_conflict_do_nothing(),
        {"name": name, "at": now, "by": by, "reason": reason},
    )
    return True


def switch_off(session: Session, name: str) -> bool:
    """Take switch *name* away; whether it was set."""
    found = session.execute(sa.delete(switches).where(switches.c.name == name))
    return bool(found.rowcount)  # type: ignore[attr-defined]

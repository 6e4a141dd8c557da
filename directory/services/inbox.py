"""Mail taken in and worked off, each step a transaction of its own.

First kept and synchronised to disk, then read: whoever brings a message is told that it is ours
before anybody looks at what it says. What is odd, or kills whoever reads it, stops no other.
"""

from __future__ import annotations

import threading
from datetime import timedelta

import structlog

from directory.adapters import duties
from directory.adapters.imap import (
    AT_ONCE,
    ImapFailed,
    ImapMailbox,
    Position,
    Timeouts,
    look,
)
from directory.adapters.inbound import Unreadable, read_letter
from directory.domain.errors import Unavailable
from directory.domain.incoming import Incoming, IncomingState
from directory.parts import Parts
from directory.services import inbound
from directory.services.evidence import forget_visitors

log = structlog.get_logger(__name__)

# Sorted by one worker before it looks after its outgoing mail again.
BATCH = 20
_FORGET = "inbound.forget"


def receive(
    parts: Parts,
    content: bytes,
    *,
    source: str,
    envelope_from: str | None,
    envelope_to: str,
    size: int | None = None,
) -> bool:
    """Keep one message for one recipient; False where it was kept before.

    When this returns it is on disk. Raises Unavailable: it is not, and whoever brings it keeps it.
    """
    with parts.db.writing() as session:
        new = inbound.take_in(
            session,
            content,
            source=source,
            envelope_from=envelope_from,
            envelope_to=envelope_to,
            now=parts.now(),
            size=size,
        )
    parts.doorbell.ring()
    return new


def poll(parts: Parts, mailbox: ImapMailbox, *, timeouts: Timeouts | None = None) -> int:
    """Take in what is new in *mailbox*; how many messages. Raises ImapFailed and Unavailable."""
    name = str(mailbox)[:300]
    with parts.db.reading() as session:
        since = inbound.position(session, name)

    def take(position: Position, content: bytes, size: int) -> None:
        with parts.db.writing() as session:
            inbound.take_in(
                session,
                content,
                source="imap",
                envelope_from=None,
                envelope_to="",
                now=parts.now(),
                size=size,
            )
            inbound.keep_position(session, name, position)

    taken = look(mailbox, since, take, timeouts=timeouts)
    if taken:
        parts.doorbell.ring()
    return taken


def keep_polling(
    parts: Parts, mailbox: ImapMailbox, *, stop: threading.Event | None = None
) -> None:
    """Look into *mailbox* once a sweep, until *stop*; what goes wrong is tried again."""
    stop = stop or threading.Event()
    while not stop.is_set():
        more = False
        try:
            more = poll(parts, mailbox) >= AT_ONCE
        except (ImapFailed, Unavailable) as error:
            log.error("imap.failed", error=f"{type(error).__name__}: {error}")
        except Exception:
            log.exception("imap.failed")
        if not more:
            stop.wait(parts.settings.delivery.sweep_s)


def work_off(parts: Parts, *, limit: int = BATCH) -> int:
    """Sort up to *limit* of what waits; how many. Raises Unavailable."""
    done = 0
    while done < limit and (found := _begin(parts)) is not None:
        if found.state is IncomingState.NEW:
            _sort_one(parts, found)
        done += 1
    return done


def _begin(parts: Parts) -> Incoming | None:
    now = parts.now()
    with parts.db.glancing() as session:
        if not inbound.any_due(session, now):
            return None  # nearly always, and no turn to write is taken for it
    with parts.db.writing() as session:
        return inbound.begin(session, now)


def _sort_one(parts: Parts, found: Incoming) -> None:
    try:
        # Read while nobody waits for a lock.
        letter = read_letter(found.content or b"")
        with parts.db.writing() as session:
            now = parts.now()
            desk = inbound.Desk(parts.published(session, now), parts.settings, parts.signer, now)
            inbound.sort(session, found.id, letter, desk)
        return
    except Unreadable as odd:
        reason = f"unreadable: {odd}"
    except Unavailable:
        raise
    except Exception as error:  # one message must not stop the others
        log.exception("inbound.not_sorted", incoming=found.id)
        reason = f"error: {type(error).__name__}"
    with parts.db.writing() as session:
        inbound.hold(session, found.id, reason, now=parts.now())


def forget(parts: Parts) -> None:
    """Let go of what was kept long enough: once an hour, as often as anybody asks."""
    now = parts.now()
    with parts.db.writing() as session:
        if duties.take(session, _FORGET, now=now, every=timedelta(hours=1)) is None:
            return
        duties.done(session, _FORGET, now=now, facts={})
        inbound.forget(session, settings=parts.settings, now=now)
        forget_visitors(session, settings=parts.settings, now=now)

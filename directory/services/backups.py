"""Taking a backup while the service runs, and putting one back without mailing anybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from directory.adapters import backups, duties
from directory.adapters.db import Database
from directory.adapters.queries import DeliveryRow, queue
from directory.domain.delivery import DeliveryState
from directory.domain.errors import Conflict
from directory.parts import Parts

_SHOWN = 10_000


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restored database would send once mail is resumed, and the old one's new name."""

    would_send: Sequence[DeliveryRow]
    kept: Path | None


def back_up(parts: Parts, file: Path, *, overwrite: bool) -> str:
    """All of the database into *file*; its SHA-256. The secret key is not in it: keep it apart.

    Raises Conflict where *file* is there already and *overwrite* is False.
    """
    if file.exists() and not overwrite:
        raise Conflict(f"{file} is there already; --yes overwrites it")
    file.parent.mkdir(parents=True, exist_ok=True)
    now = parts.now()
    digest = backups.take(parts.db, file)
    with parts.db.writing() as session:
        duties.hold(session, "backup")
        facts = {"file": file.name, "bytes": file.stat().st_size, "sha256": digest}
        duties.done(session, "backup", now=now, facts=facts)
    return digest


def restore(parts: Parts, file: Path, *, by: str, overwrite: bool) -> Restored:
    """Put the backup *file* in the place of the database, with the sending of mail paused (P18).

    Since it was taken, what it holds as waiting may have been sent, so somebody must look first.
    Raises Conflict where something would be overwritten and *overwrite* is False, where the
    service still runs, or where the backup is not sound.
    """
    backups.check(parts.db, file)
    if not overwrite and not backups.is_empty(parts.db):
        raise Conflict("there is a database already; --yes puts the backup in its place")
    restoring = backups.Restoring(parts.db, file)
    try:
        restoring.bring_up()
        with restoring.database.writing() as session:
            reason = f"restored from {file.name}"
            duties.switch_on(session, duties.MAIL_PAUSED, now=parts.now(), by=by, reason=reason)
        would_send = unsent(restoring.database)
        kept = restoring.put_in_place(parts.now())
    except BaseException:
        restoring.give_up()
        raise
    return Restored(would_send, kept)


def unsent(db: Database) -> list[DeliveryRow]:
    """What workers would send if they were let, the oldest first."""
    with db.reading() as session:
        rows = queue(session, limit=_SHOWN)
    return [row for row in rows if row.state is not DeliveryState.FAILED]

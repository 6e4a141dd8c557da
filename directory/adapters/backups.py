"""A database as one file, taken while everybody goes on, and put back in one piece.

SQLite: a copy of the file by SQLite's own online backup. PostgreSQL: what ``pg_dump`` makes in its
custom format. Beside either stands ``FILE.sha256``, as ``sha256sum -c`` reads it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from directory.adapters import migrations
from directory.adapters.db import Database
from directory.domain.errors import Conflict, NotFound

_SQLITE = b"SQLite format 3\0"
_POSTGRESQL = b"PGDMP"
_CHUNK = 1 << 20


# Taking


def take(database: Database, file: Path) -> str:
    """Write all of *database* into *file*, readable by its owner alone; its SHA-256.

    The file is there whole or not at all. Raises NotFound where ``pg_dump`` is wanted and missing,
    Conflict when the copy is not sound.
    """
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        if database.is_sqlite:
            _copy(_path_of(database), part)
        else:
            _dump(database, part)
        digest = _sync(part)
        sums = file.with_name(f"{file.name}.sha256")
        sums.write_text(f"{digest}  {file.name}\n", encoding="utf-8")
        sums.chmod(0o600)
        part.replace(file)
        _sync_folder(file.parent)
    finally:
        part.unlink(missing_ok=True)
    return digest


def _path_of(database: Database) -> Path:
    return Path(database.url.database or "")


def _copy(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        # In one step: writers go on beside a reader, and would make a copy in pieces begin anew.
        old.backup(new)
        # One file, without a log beside it.
        new.execute("PRAGMA journal_mode = DELETE")
        found = new.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise Conflict(f"the copy is not sound: {found}")


def _dump(database: Database, target: Path) -> None:
    with target.open("wb") as out:
        _run(database, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", out=out)


def _sync(file: Path) -> str:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        os.fsync(opened.fileno())
    return digest


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


# Putting back


def check(database: Database, file: Path) -> None:
    """Whether *file* can be put in the place of *database*.

    Raises NotFound without it; Conflict where it is altered, of the other kind of database, or
    damaged.
    """
    if not file.is_file():
        raise NotFound(f"There is no file {file}")
    sums = file.with_name(f"{file.name}.sha256")
    if sums.is_file():
        wanted = sums.read_text(encoding="utf-8").split()[0]
        with file.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != wanted:
                raise Conflict(f"{file.name} is not what was backed up: {sums.name} differs")
    with file.open("rb") as opened:
        begins = opened.read(len(_SQLITE))
    if database.is_sqlite != (begins == _SQLITE) or (
        not database.is_sqlite and not begins.startswith(_POSTGRESQL)
    ):
        kind = "SQLite" if database.is_sqlite else "PostgreSQL"
        raise Conflict(f"{file.name} is no backup of a {kind} database")
    if database.is_sqlite:
        try:
            with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as it:
                found = it.execute("PRAGMA integrity_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = str(error)
        if found != "ok":
            raise Conflict(f"{file.name} is damaged: {found}")


def is_empty(database: Database) -> bool:
    """Whether nothing would be overwritten."""
    if database.is_sqlite:
        return not _path_of(database).exists()
    with database.reading() as session:
        return not sa.inspect(session.connection()).get_table_names()


class Restoring:
    """*file* beside *database*, to be made ready (``database``) and then put in its place."""

    def __init__(self, database: Database, file: Path) -> None:
        self._live = database
        if database.is_sqlite:
            path = _path_of(database)
            self._new = path.with_name(f"{path.name}.restoring")
            for left in (self._new, *_logs(self._new)):
                left.unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, self._new)
            self._new.chmod(0o600)
            self.database = Database(f"sqlite:///{self._new}")
        else:
            _refuse_while_used(database)
            database.dispose()
            _run(
                database,
                *("pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges"),
                *("--single-transaction", "--exit-on-error"),
                str(file),
            )
            self.database = database

    def bring_up(self) -> None:
        """To the newest revision. Raises Conflict where the backup is of a later release."""
        at = migrations.current(self.database)
        if at is None or at > (migrations.newest() or ""):
            raise Conflict(f"the backup is at revision {at or 'none'}: restore it with its release")
        migrations.upgrade(self.database)

    def put_in_place(self, now: datetime) -> Path | None:
        """The old database's new name, None where there was none or it was overwritten."""
        self.database.dispose()
        if not self._live.is_sqlite:
            return None
        self._live.dispose()
        path, kept = _path_of(self._live), None
        _sync(self._new)
        if path.exists():
            _alone(path)
            kept = path.with_name(f"{path.name}.before-{now:%Y%m%dT%H%M%S}")
            path.rename(kept)
        self._new.rename(path)
        _sync_folder(path.parent)
        return kept

    def give_up(self) -> None:
        """Leave nothing half done beside the database."""
        self.database.dispose()
        if self._live.is_sqlite:
            for left in (self._new, *_logs(self._new)):
                left.unlink(missing_ok=True)


def _logs(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm", "-journal")]


def _alone(path: Path) -> None:
    """Fold the log in, which only the last one at a database can. Raises Conflict."""
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        try:
            mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
        except sqlite3.OperationalError:
            mode = "wal"
    if mode != "delete":
        raise Conflict("the database is in use: stop the service first")


def _refuse_while_used(database: Database) -> None:
    asked = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    database.dispose()
    with database.reading() as session:
        if session.connection().exec_driver_sql(asked).scalar():
            raise Conflict("the database is in use: stop the service first")


def _run(database: Database, program: str, *arguments: str, out: object = None) -> None:
    """One of PostgreSQL's programs, the password handed over where no list of processes shows it.

    Raises NotFound without the program, Conflict when it fails.
    """
    found = shutil.which(program)
    if found is None:
        raise NotFound(
            f"{program} is not installed; PostgreSQL's client programs have it "
            "(Debian, Ubuntu: apt install postgresql-client)"
        )
    url = database.url.set(drivername="postgresql", password=None)
    environ = dict(os.environ)
    if database.url.password:
        environ["PGPASSWORD"] = str(database.url.password)
    done = subprocess.run(
        [found, f"--dbname={url.render_as_string()}", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=out or subprocess.DEVNULL,  # type: ignore[call-overload]
        stderr=subprocess.PIPE,
        env=environ,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise Conflict(f"{program} failed: {said[0]}")

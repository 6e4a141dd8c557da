"""The database's shape, step by step. Each step has its way back and suits the release before.

Alembic is imported where a step is taken and nowhere else: it is ten megabytes, which every web
and worker process would carry for the one look at the revision when it starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from directory.adapters import search
from directory.adapters.db import Database

if TYPE_CHECKING:
    from alembic.config import Config


def is_ours(name: str | None, type_: str, parents: Any) -> bool:
    """Whether a table belongs to the model: the full-text index brings tables of its own."""
    return type_ != "table" or name is None or not name.startswith(("search_", "sqlite_"))


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


@contextmanager
def _unchecked(connection: sa.Connection) -> Iterator[None]:
    """Let SQLite exchange a table that others refer to.

    It knows no other way to change some of a table's columns than a new table in its place, and
    would take the old one's end for that of all its rows (sqlite.org/lang_altertable.html).
    """
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name != "sqlite":
        yield
        return
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
        if broken := driver.execute("PRAGMA foreign_key_check").fetchall():
            raise RuntimeError(f"rows refer to nothing: {broken[:3]}")
    finally:
        connection.rollback()
        driver.execute("PRAGMA foreign_keys = ON")


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring *database* to *revision*; nothing happens if it is there. Safe to run beside others."""
    if revision == "head" and current(database) == newest():
        search.bring_up(database)
        return
    from alembic import command

    with database.engine.connect() as connection, _unchecked(connection):
        if not database.is_sqlite:
            # Two machines started at once: the second waits and finds the work done.
            # A step may take longer than visitors would wait for one another.
            connection.exec_driver_sql(
                "SET LOCAL lock_timeout = '5min'; SELECT pg_advisory_xact_lock(7204)"
            )
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    if revision == "head":
        search.bring_up(database)


def downgrade(database: Database, revision: str) -> None:
    """Take *database* back to *revision* ("base" is before the first)."""
    from alembic import command

    with database.engine.connect() as connection, _unchecked(connection):
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
        connection.commit()


def current(database: Database) -> str | None:
    """The revision *database* is at; None before the first."""
    with database.reading() as session:
        connection = session.connection()
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return found


def newest() -> str | None:
    """The revision this release wants."""
    # The files are named by their revisions ("v0003_search.py"), and a test holds them to it.
    steps = (Path(__file__).parent / "versions").glob("v*.py")
    return max((step.stem[1:].partition("_")[0] for step in steps), default=None)

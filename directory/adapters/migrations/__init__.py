"""The database's shape, step by step. Each step has its way back and suits the release before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from directory.adapters import search
from directory.adapters.db import Database


def is_ours(name: str | None, type_: str, parents: Any) -> bool:
    """Whether a table belongs to the model: the full-text index brings tables of its own."""
    return type_ != "table" or name is None or not name.startswith(("search_", "sqlite_"))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring *database* to *revision*; nothing happens if it is there. Safe to run beside others."""
    with database.engine.connect() as connection:
        if not database.is_sqlite:
            # Two machines started at once: the second waits and finds the work done.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7204)")
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    if revision == "head":
        search.bring_up(database)


def downgrade(database: Database, revision: str) -> None:
    """Take *database* back to *revision* ("base" is before the first)."""
    with database.engine.connect() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
        connection.commit()


def current(database: Database) -> str | None:
    """The revision *database* is at; None before the first."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """The revision this release wants."""
    return ScriptDirectory.from_config(_config()).get_current_head()

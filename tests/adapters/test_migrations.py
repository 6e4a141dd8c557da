"""The migrated schema is the model's, and every step has its way back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from directory.adapters import migrations
from directory.adapters.db import Database, metadata


def test_the_migrated_schema_is_that_of_the_tables(db: Database) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": migrations.is_ours, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []


def test_every_step_goes_back_and_forth_again(db: Database) -> None:
    migrations.downgrade(db, "base")
    left = set(sa.inspect(db.engine).get_table_names()) - {"alembic_version"}
    assert left == set()

    migrations.upgrade(db)

    assert migrations.current(db) == migrations.newest()
    assert set(metadata.tables) <= set(sa.inspect(db.engine).get_table_names())


def test_upgrading_twice_changes_nothing(db: Database) -> None:
    before = migrations.current(db)
    migrations.upgrade(db)
    assert migrations.current(db) == before == migrations.newest()

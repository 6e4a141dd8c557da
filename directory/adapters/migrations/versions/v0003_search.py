"""The full-text index, and who follows whom"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # A closed department is found under its successor, so the successor is asked who is behind it.
    op.create_index("ix_department_successor_id", "department", ["successor_id"])

    # One row for whatever can be found: what it is, how it is ranked, where it stands in a list.
    op.create_table(
        "search_entry",
        sa.Column("number", Id, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=1), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.Column("also", sa.Text(), nullable=False),
        sa.Column("sort_en", sa.Text(), nullable=False),
        sa.Column("sort_zh", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_search_entry")),
    )
    # The version of domain/terms.py the index was made with.
    op.create_table(
        "search_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_state")),
    )
    op.execute("INSERT INTO search_state (id, version) VALUES (1, 0)")

    if op.get_bind().dialect.name == "sqlite":
        # "ascii" takes every character beyond ASCII for part of a word. Where words begin and
        # end is decided in Python, for both databases alike, and not by a table of Unicode 6.1.
        op.execute(
            "CREATE VIRTUAL TABLE search_terms "
            "USING fts5(terms, tokenize = 'ascii', detail = none, columnsize = 0)"
        )
        return
    # Apart from the entries and out of line, so that a common word reads few pages. No pending
    # list: it would be searched from end to end by whoever comes after an import.
    op.execute(
        "CREATE TABLE search_terms (number bigint CONSTRAINT pk_search_terms PRIMARY KEY, "
        "terms tsvector NOT NULL) WITH (toast_tuple_target = 128)"
    )
    op.execute(
        "CREATE INDEX ix_search_terms_terms ON search_terms "
        "USING gin (terms) WITH (fastupdate = off)"
    )


def downgrade() -> None:
    op.execute("DROP TABLE search_terms")
    op.drop_table("search_state")
    op.drop_table("search_entry")
    op.drop_index("ix_department_successor_id", "department")

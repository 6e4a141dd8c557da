"""The ledger and its journal, alarms, periodic duties, and the switch that pauses mail"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# As directory/adapters/ledger.py has it, frozen here as it was when these rows were first counted.
_ACCOUNT = """
    CASE
        WHEN test THEN 'test'
        WHEN status = 'held' THEN 'held'
        WHEN attention <> '' THEN 'attention'
        WHEN status = 'answered' THEN 'answered'
        WHEN status IN ('closed', 'withdrawn') THEN 'closed'
        WHEN EXISTS (
            SELECT 1 FROM delivery WHERE delivery.enquiry_id = enquiry.id
            AND delivery.kind = 'routed' AND delivery.state IN ('queued', 'deferred', 'sending')
        ) THEN 'retrying'
        WHEN status = 'taken' OR EXISTS (
            SELECT 1 FROM delivery WHERE delivery.enquiry_id = enquiry.id
            AND delivery.kind = 'routed' AND delivery.state = 'accepted'
        ) THEN 'waiting'
        ELSE 'nowhere'
    END
"""


def upgrade() -> None:
    op.create_table(
        "ledger_count",
        sa.Column("account", sa.String(length=16), nullable=False),
        sa.Column("total", Id, nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_ledger_count")),
    )
    op.create_table(
        "ledger_move",
        sa.Column("id", Id, nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("target", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_move")),
    )
    op.create_table(
        "alarm",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mailed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("facts", Json, nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_alarm")),
    )
    op.create_table(
        "duty",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("facts", Json, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_duty")),
    )
    op.create_table(
        "switch",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=254), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_switch")),
    )
    # "" is what the release before writes beside this one; the next sweep takes such rows in.
    with op.batch_alter_table("enquiry", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("account", sa.String(length=16), nullable=False, server_default="")
        )
    op.execute(f"UPDATE enquiry SET account = {_ACCOUNT}")  # noqa: S608  our own text
    op.execute(
        "INSERT INTO ledger_count (account, total) "
        "SELECT account, count(*) FROM enquiry WHERE account <> 'test' GROUP BY account "
        "UNION ALL SELECT 'received', count(*) FROM enquiry WHERE account <> 'test'"
    )
    uncounted, flagged = sa.text("account = ''"), sa.text("attention <> ''")
    op.create_index(
        "ix_enquiry_uncounted",
        "enquiry",
        ["id"],
        sqlite_where=uncounted,
        postgresql_where=uncounted,
    )
    op.create_index(
        "ix_enquiry_flagged",
        "enquiry",
        ["received_at"],
        sqlite_where=flagged,
        postgresql_where=flagged,
    )


def downgrade() -> None:
    op.drop_index("ix_enquiry_flagged", table_name="enquiry")
    op.drop_index("ix_enquiry_uncounted", table_name="enquiry")
    with op.batch_alter_table("enquiry", schema=None) as batch_op:
        batch_op.drop_column("account")
    op.drop_table("switch")
    op.drop_table("duty")
    op.drop_table("alarm")
    op.drop_table("ledger_move")
    op.drop_table("ledger_count")

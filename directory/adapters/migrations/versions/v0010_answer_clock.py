"""When a department is reminded next, how often it was, and how long answers really took"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UNPLANNED = sa.text(
    "remind_at IS NULL AND reminders < 5 AND status IN ('received', 'routed', 'taken')"
)
PLANNED = sa.text("remind_at IS NOT NULL")
UNMEASURED = sa.text("first_answer_at IS NOT NULL AND answer_days IS NULL")


def upgrade() -> None:
    with op.batch_alter_table("enquiry", schema=None) as batch_op:
        batch_op.add_column(sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("reminders", sa.Integer(), nullable=False, server_default="0")
        )
        batch_op.add_column(sa.Column("answer_days", sa.Float(), nullable=True))
    for name, columns, where in (
        ("ix_enquiry_unplanned", ["id"], UNPLANNED),
        ("ix_enquiry_remind_at", ["remind_at"], PLANNED),
        ("ix_enquiry_unmeasured", ["id"], UNMEASURED),
    ):
        op.create_index(name, "enquiry", columns, sqlite_where=where, postgresql_where=where)
    op.create_index("ix_enquiry_first_answer_at", "enquiry", ["first_answer_at"])
    with op.batch_alter_table("department", schema=None) as batch_op:
        batch_op.add_column(sa.Column("typical_days", sa.Float(), nullable=True))
        batch_op.add_column(
            sa.Column("typical_of", sa.Integer(), nullable=False, server_default="0")
        )


def downgrade() -> None:
    with op.batch_alter_table("department", schema=None) as batch_op:
        batch_op.drop_column("typical_of")
        batch_op.drop_column("typical_days")
    for name in ("first_answer_at", "unmeasured", "remind_at", "unplanned"):
        op.drop_index(f"ix_enquiry_{name}", table_name="enquiry")
    with op.batch_alter_table("enquiry", schema=None) as batch_op:
        batch_op.drop_column("answer_days")
        batch_op.drop_column("reminders")
        batch_op.drop_column("remind_at")

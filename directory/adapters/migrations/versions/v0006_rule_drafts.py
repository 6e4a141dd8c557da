"""Drafts of rules, what is kept with a version of them, what rules do and went by"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "rule_draft",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("base_version", Id, nullable=False),
        sa.Column("rules", Json, nullable=False),
        sa.Column("examples", Json, nullable=False),
        sa.Column("waivers", Json, nullable=False),
        sa.Column("author", sa.String(length=254), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rule_draft")),
    )
    # With defaults, so that the release before goes on adding its rows beside this one.
    with op.batch_alter_table("rule_set", schema=None) as batch_op:
        batch_op.add_column(sa.Column("examples", Json, nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("waivers", Json, nullable=False, server_default="[]"))
    with op.batch_alter_table("enquiry", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("origin", sa.String(length=260), nullable=False, server_default="")
        )
        batch_op.add_column(sa.Column("answers", Json, nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("tags", Json, nullable=False, server_default="[]"))
        batch_op.create_index(batch_op.f("ix_enquiry_email"), ["email"], unique=False)
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.add_column(sa.Column("outcome", Json, nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("facts", Json, nullable=False, server_default="{}"))
        batch_op.create_index(batch_op.f("ix_decision_rule_id_at"), ["rule_id", "at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_decision_rule_id_at"))
        batch_op.drop_column("facts")
        batch_op.drop_column("outcome")
    with op.batch_alter_table("enquiry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_enquiry_email"))
        batch_op.drop_column("tags")
        batch_op.drop_column("answers")
        batch_op.drop_column("origin")
    with op.batch_alter_table("rule_set", schema=None) as batch_op:
        batch_op.drop_column("waivers")
        batch_op.drop_column("examples")
    op.drop_table("rule_draft")

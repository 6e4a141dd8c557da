"""The database: tables, how plain classes meet them, and how transactions are opened.

SQLite and PostgreSQL hold the same tables. ``Database.writing()`` is one transaction for one
action; ``Database.reading()`` sees one state and writes nothing.
"""

from __future__ import annotations

import json
import select
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from directory.adapters.prepared import Prepared, Rows
from directory.domain.contacts import (
    ContactPoint,
    Department,
    DepartmentStatus,
    PointKind,
    PointState,
    Topic,
)
from directory.domain.delivery import (
    SETTLED,
    Attempt,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Outcome,
)
from directory.domain.enquiry import Addition, Decision, Enquiry, EnquiryStatus, Event, ReplyBy
from directory.domain.errors import Conflict, Unavailable
from directory.domain.incoming import Incoming, IncomingState
from directory.domain.trust import Challenge, Proposal, ProposalSource, ProposalStatus

# How long a writer waits for its turn before the visitor is told to try again, and how often it
# asks. SQLite's own busy handler sleeps longer after every refusal, up to 100 ms, so that under
# load the unlucky wait many turns; asking at an even pace keeps the wait close to the queue.
WRITE_WAIT_S = 5.0
_ASK_AGAIN_S = 0.0005
# How long writers may be kept waiting by who empties the log and waits for a reader.
_PATIENCE_MS = 200

OLDEST_SQLITE = (3, 38, 0)
_LONGEST_LOG_PAGES = 16_384  # of 4 KiB


class Utc(sa.TypeDecorator[datetime]):
    """An instant. Aware UTC in Python; ``timestamptz`` in PostgreSQL, UTC text in SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Word(sa.TypeDecorator[StrEnum]):
    """One of an enumeration's words, stored as text that any tool can read."""

    impl = sa.String(16)
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> StrEnum | None:
        return None if value is None else self.words(value)


Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
# 64-bit ids, made by domain/ids.py; in SQLite INTEGER, so that they are the row's own key.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _uuid(name: str, *args: Any, **kwargs: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Uuid(), *args, **kwargs)


departments = sa.Table(
    "department",
    metadata,
    _uuid("id", primary_key=True),
    sa.Column("slug", sa.String(80), nullable=False, unique=True),
    _uuid("parent_id", sa.ForeignKey("department.id"), index=True),
    _uuid("successor_id", sa.ForeignKey("department.id"), index=True),
    _uuid("deputy_id", sa.ForeignKey("department.id")),
    sa.Column("status", Word(DepartmentStatus), nullable=False),
    sa.Column("name", Json, nullable=False),
    sa.Column("short_name", Json, nullable=False),
    sa.Column("other_names", Json, nullable=False),
    sa.Column("summary", Json, nullable=False),
    sa.Column("not_here", Json, nullable=False),
    sa.Column("hours", sa.String(500), nullable=False),
    sa.Column("exceptions", Json, nullable=False),
    sa.Column("timezone", sa.String(64), nullable=False),
    sa.Column("languages", Json, nullable=False),
    sa.Column("reply_days", sa.Integer),
    sa.Column("backup_email", sa.String(254), nullable=False),
    sa.Column("owner_email", sa.String(254), nullable=False),
    sa.Column("notes", sa.Text, nullable=False),
    sa.Column("extra", Json, nullable=False, server_default=sa.text("'{}'")),
    sa.Column("typical_days", sa.Float),
    sa.Column("typical_of", sa.Integer, nullable=False, server_default="0"),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("updated_at", Utc, nullable=False),
)

contact_points = sa.Table(
    "contact_point",
    metadata,
    _uuid("id", primary_key=True),
    _uuid("department_id", sa.ForeignKey("department.id"), nullable=False, index=True),
    sa.Column("kind", Word(PointKind), nullable=False),
    sa.Column("value", sa.String(254), nullable=False, index=True),
    sa.Column("extension", sa.String(20), nullable=False),
    sa.Column("typed", sa.String(254), nullable=False),
    sa.Column("address", Json, nullable=False),
    sa.Column("label", Json, nullable=False),
    sa.Column("languages", Json, nullable=False),
    sa.Column("note", Json, nullable=False),
    sa.Column("public", sa.Boolean, nullable=False),
    sa.Column("routing", sa.Boolean, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("state", Word(PointState), nullable=False),
    sa.Column("verified_at", Utc),
    sa.Column("verified_by", sa.String(254), nullable=False),
    sa.Column("verified_how", sa.String(40), nullable=False),
    sa.Column("due_at", Utc, index=True),
    sa.Column("away_until", Utc),
)

topics = sa.Table(
    "topic",
    metadata,
    _uuid("id", primary_key=True),
    sa.Column("code", sa.String(80), nullable=False, unique=True),
    sa.Column("label", Json, nullable=False),
    sa.Column("hint", Json, nullable=False),
    sa.Column("group", Json, nullable=False),
    _uuid("department_id", sa.ForeignKey("department.id"), index=True),
    sa.Column("reply_days", sa.Integer),
    sa.Column("question", Json),
    sa.Column("acknowledge", sa.Boolean, nullable=False),
    sa.Column("sensitive", sa.Boolean, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)

# One row: how often departments, contact points and topics were changed. What is cached of them
# is kept under this number, so that every process notices a change at its next look.
directory_version = sa.Table(
    "directory_version",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", Id, nullable=False),
)

# Published rules, never edited: the newest whose time has come is the one that decides.
rule_sets = sa.Table(
    "rule_set",
    metadata,
    sa.Column("version", Id, primary_key=True),
    sa.Column("rules", Json, nullable=False),
    sa.Column("author", sa.String(254), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("published_at", Utc, nullable=False),
    sa.Column("effective_at", Utc, nullable=False, index=True),
    sa.Column("examples", Json, nullable=False, server_default="[]"),
    sa.Column("waivers", Json, nullable=False, server_default="[]"),
)

# Rules that are being written and do not count yet. ``base_version`` is the published version the
# draft began as; ``version`` rises with every change, so that two editors notice one another.
rule_drafts = sa.Table(
    "rule_draft",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("base_version", Id, nullable=False),
    sa.Column("rules", Json, nullable=False),
    sa.Column("examples", Json, nullable=False),
    sa.Column("waivers", Json, nullable=False),
    sa.Column("author", sa.String(254), nullable=False),
    sa.Column("updated_at", Utc, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)

# Conditions of partial indexes, word for word as a query must have them (see UNSETTLED).
UNCOUNTED = sa.text("account = ''")
FLAGGED = sa.text("attention <> ''")
# Of the answer clock: open ones whose next reminder is not planned, planned ones, answers whose
# time was not yet measured.
UNPLANNED = sa.text(
    "remind_at IS NULL AND reminders < 5 AND status IN ('received', 'routed', 'taken')"
)
PLANNED = sa.text("remind_at IS NOT NULL")
UNMEASURED = sa.text("first_answer_at IS NOT NULL AND answer_days IS NULL")

# Nothing deletes an enquiry, least of all the deletion of something it refers to: no cascade.
enquiries = sa.Table(
    "enquiry",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("ref", sa.String(8), nullable=False, unique=True),
    sa.Column("form_token", sa.String(64), nullable=False, unique=True),
    sa.Column("body_hash", sa.String(64), nullable=False),
    sa.Column("received_at", Utc, nullable=False, index=True),
    sa.Column("language", sa.String(16), nullable=False),
    sa.Column("topic", sa.String(80), nullable=False),
    sa.Column("topic_label", Json, nullable=False),
    sa.Column("chosen_department", sa.String(80), nullable=False),
    sa.Column("subject", sa.String(120), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("organisation", sa.String(120), nullable=False),
    sa.Column("reply_by", Word(ReplyBy), nullable=False),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("phone", sa.String(20), nullable=False),
    sa.Column("phone_extension", sa.String(20), nullable=False),
    sa.Column("phone_typed", sa.String(40), nullable=False),
    sa.Column("country", sa.String(2), nullable=False),
    sa.Column("reply_language", sa.String(16), nullable=False),
    sa.Column("consent", sa.String(200), nullable=False),
    sa.Column("source", sa.String(500), nullable=False),
    sa.Column("origin", sa.String(260), nullable=False, server_default=""),
    sa.Column("answers", Json, nullable=False, server_default="{}"),
    sa.Column("tags", Json, nullable=False, server_default="[]"),
    sa.Column("shown", sa.String(80), nullable=False),
    sa.Column("form_version", sa.Integer, nullable=False),
    sa.Column("status", Word(EnquiryStatus), nullable=False),
    sa.Column("attention", sa.String(200), nullable=False),
    sa.Column("test", sa.Boolean, nullable=False),
    _uuid("department_id", sa.ForeignKey("department.id"), nullable=False),
    sa.Column("answer_by", Utc),
    sa.Column("routed_at", Utc),
    sa.Column("taken_by", sa.String(254), nullable=False, server_default=""),
    sa.Column("taken_at", Utc),
    sa.Column("closed_at", Utc),
    sa.Column("first_answer_at", Utc),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("link_version", sa.Integer, nullable=False),
    # The account of the ledger it was last counted in; "" where the release before added it.
    sa.Column("account", sa.String(16), nullable=False, server_default=""),
    sa.Column("remind_at", Utc),
    sa.Column("reminders", sa.Integer, nullable=False, server_default="0"),
    sa.Column("answer_days", sa.Float),
    # When what is personal in it was deleted, and why: "asked" or "retention".
    sa.Column("erased_at", Utc),
    sa.Column("erased_why", sa.String(16), nullable=False, server_default=""),
    sa.Index("ix_enquiry_unplanned", "id", sqlite_where=UNPLANNED, postgresql_where=UNPLANNED),
    sa.Index("ix_enquiry_remind_at", "remind_at", sqlite_where=PLANNED, postgresql_where=PLANNED),
    sa.Index("ix_enquiry_unmeasured", "id", sqlite_where=UNMEASURED, postgresql_where=UNMEASURED),
    sa.Index("ix_enquiry_first_answer_at", "first_answer_at"),
    sa.Index("ix_enquiry_department_id_status", "department_id", "status"),
    sa.Index("ix_enquiry_uncounted", "id", sqlite_where=UNCOUNTED, postgresql_where=UNCOUNTED),
    sa.Index("ix_enquiry_flagged", "received_at", sqlite_where=FLAGGED, postgresql_where=FLAGGED),
    sa.Index("ix_enquiry_status_received_at", "status", "received_at"),
    # Who wrote before.
    sa.Index("ix_enquiry_email", "email"),
)

# What a visitor wrote after the enquiry was sent.
additions = sa.Table(
    "addition",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("enquiry_id", Id, sa.ForeignKey("enquiry.id"), nullable=False, index=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
)

# Who asked for a lost link, until it is looked whether the two belong together: whoever asks
# learns nothing from how long the answer takes.
link_requests = sa.Table(
    "link_request",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("ref", sa.String(40), nullable=False),
    sa.Column("email", sa.String(254), nullable=False),
)

decisions = sa.Table(
    "decision",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("enquiry_id", Id, sa.ForeignKey("enquiry.id"), nullable=False, index=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("by", sa.String(254), nullable=False),
    sa.Column("reason", sa.String(16), nullable=False),
    _uuid("department_id", sa.ForeignKey("department.id"), nullable=False),
    _uuid("contact_point_id", sa.ForeignKey("contact_point.id")),
    sa.Column("recipient", sa.String(254), nullable=False),
    sa.Column("rule_set", Id, nullable=False),
    sa.Column("rule", sa.Integer),
    sa.Column("rule_id", sa.String(80)),
    sa.Column("rule_name", Json, nullable=False),
    sa.Column("why", Json, nullable=False),
    sa.Column("trace", Json, nullable=False),
    sa.Column("passed_over", Json, nullable=False),
    sa.Column("outcome", Json, nullable=False, server_default="{}"),
    sa.Column("facts", Json, nullable=False, server_default="{}"),
    # How often a rule decided lately.
    sa.Index("ix_decision_rule_id_at", "rule_id", "at"),
)

# What is still to be sent, word for word the condition of its index: SQLite uses a partial index
# only where it finds the condition itself in the query, since a bound value proves nothing to it.
UNSETTLED = sa.text("state IN ('queued', 'deferred', 'sending')")

deliveries = sa.Table(
    "delivery",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("enquiry_id", Id, sa.ForeignKey("enquiry.id"), index=True),
    sa.Column("kind", Word(DeliveryKind), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("recipient", sa.String(254), nullable=False),
    _uuid("department_id", sa.ForeignKey("department.id")),
    _uuid("contact_point_id", sa.ForeignKey("contact_point.id")),
    sa.Column("language", sa.String(16), nullable=False),
    sa.Column("message_id", sa.String(200), nullable=False),
    sa.Column("envelope_sender", sa.String(254), nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("inputs", Json, nullable=False),
    sa.Column("content", sa.LargeBinary),
    sa.Column("state", Word(DeliveryState), nullable=False),
    sa.Column("due_at", Utc, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("lease_owner", sa.String(64)),
    sa.Column("lease_until", Utc),
    sa.Column("accepted_at", Utc),
    sa.Column("reason", sa.String(600), nullable=False),
    sa.Column("smtp_reply", sa.String(600), nullable=False),
    # Only what is still to be sent is in it: a claim costs the same after a million enquiries.
    sa.Index(
        "ix_delivery_state_due_at",
        "state",
        "due_at",
        sqlite_where=UNSETTLED,
        postgresql_where=UNSETTLED,
    ),
)

attempts = sa.Table(
    "attempt",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("delivery_id", Id, sa.ForeignKey("delivery.id"), nullable=False, index=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("server", sa.String(260), nullable=False),
    sa.Column("stage", sa.String(16), nullable=False),
    sa.Column("code", sa.Integer, nullable=False),
    sa.Column("text", sa.String(600), nullable=False),
    sa.Column("outcome", Word(Outcome), nullable=False),
)

events = sa.Table(
    "event",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("at", Utc, nullable=False, index=True),
    sa.Column("subject", sa.String(60), nullable=False),
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("by", sa.String(254), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("before", Json, nullable=False),
    sa.Column("after", Json, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    # Two events that both follow the same one would be two histories of one subject.
    sa.UniqueConstraint("subject", "previous"),
)

# What counts against a limit, one row a time, in the transaction of what is counted: shared by
# all processes, exact to the second, and no commit of its own. Keys are keyed hashes.
allowances = sa.Table(
    "allowance",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("key", sa.String(32), nullable=False),
    sa.Column("at", Utc, nullable=False),
    sa.Index("ix_allowance_key_at", "key", "at"),
    sa.Index("ix_allowance_at", "at"),
)

# The ledger: how many enquiries each account holds ("received" holds all there ever were), and the
# moves that are not yet added up there. A move is written in the transaction that causes it, one
# row each, so that no two writers wait for the same row; "" as the source is an arrival.
ledger_counts = sa.Table(
    "ledger_count",
    metadata,
    sa.Column("account", sa.String(16), primary_key=True),
    sa.Column("total", Id, nullable=False),
)

ledger_moves = sa.Table(
    "ledger_move",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("target", sa.String(16), nullable=False),
)

# What is wrong with the service itself, one row a kind: since when (empty: no more), when it was
# last seen to be so, and when a mail last said so.
alarms = sa.Table(
    "alarm",
    metadata,
    sa.Column("kind", sa.String(40), primary_key=True),
    sa.Column("since", Utc),
    sa.Column("seen_at", Utc),
    sa.Column("mailed_at", Utc),
    sa.Column("facts", Json, nullable=False),
)

# When a periodic duty was last done. Whoever does it holds its row until the end of the
# transaction that does it, so that many may try and one does.
duties = sa.Table(
    "duty",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("at", Utc),
    sa.Column("facts", Json, nullable=False),
)

# What an operator has switched, by being there: "mail.paused".
switches = sa.Table(
    "switch",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("by", sa.String(254), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

# What came in together and can be undone together. ``content`` is kept while an upload waits to
# be applied; ``digest`` is over the plan that was shown, so that nothing else is applied.
import_batches = sa.Table(
    "import_batch",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("author", sa.String(254), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("source", sa.String(200), nullable=False),
    sa.Column("format", sa.String(16), nullable=False),
    sa.Column("options", Json, nullable=False),
    sa.Column("content", sa.LargeBinary),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("counts", Json, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("applied_at", Utc),
    sa.Column("undone_at", Utc),
    sa.Column("undone_by", sa.String(254), nullable=False),
)

# ``before``: what the record was, as far as it was changed; ``version``: the record's afterwards.
import_changes = sa.Table(
    "import_change",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("batch_id", Id, sa.ForeignKey("import_batch.id"), nullable=False),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    _uuid("subject_id"),
    sa.Column("subject", sa.String(80), nullable=False),
    sa.Column("version", sa.Integer),
    sa.Column("before", Json, nullable=False),
    sa.Index("ix_import_change_batch_id_id", "batch_id", "id"),
)

# A slug that a department had once: its page moves to where the department is now.
slug_history = sa.Table(
    "slug_history",
    metadata,
    sa.Column("slug", sa.String(80), primary_key=True),
    _uuid("department_id", sa.ForeignKey("department.id"), nullable=False, index=True),
    sa.Column("until", Utc, nullable=False),
)

proposals = sa.Table(
    "proposal",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _uuid("department_id", sa.ForeignKey("department.id"), nullable=False),
    sa.Column("source", Word(ProposalSource), nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("correct", sa.Text, nullable=False),
    sa.Column("cells", Json, nullable=False),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("language", sa.String(16), nullable=False),
    sa.Column("at", Utc, nullable=False),
    sa.Column("status", Word(ProposalStatus), nullable=False),
    sa.Column("decided_at", Utc),
    sa.Column("decided_by", sa.String(254), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("ix_proposal_status_at", "status", "at"),
    sa.Index("ix_proposal_department_id_status", "department_id", "status"),
)

challenges = sa.Table(
    "challenge",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("symbols", sa.String(8), nullable=False, unique=True),
    _uuid("department_id", sa.ForeignKey("department.id"), nullable=False, index=True),
    _uuid("contact_point_id", sa.ForeignKey("contact_point.id"), nullable=False, index=True),
    sa.Column("address", sa.String(254), nullable=False, index=True),
    sa.Column("sent_at", Utc, nullable=False),
    sa.Column("remind_at", Utc, index=True),
    sa.Column("reminders", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("answered_at", Utc),
    sa.Column("answer", sa.String(16), nullable=False),
)

# Mailboxes that wrote that they want no more questions of ours, in small letters. Enquiries still
# go there: those are their work.
objections = sa.Table(
    "objection",
    metadata,
    sa.Column("address", sa.String(254), primary_key=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("how", sa.String(16), nullable=False),
)

# What came back by mail, its bytes as they came.
incoming = sa.Table(
    "incoming",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("received_at", Utc, nullable=False),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("envelope_from", sa.String(320)),
    sa.Column("envelope_to", sa.String(320), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("size", Id, nullable=False),
    sa.Column("content", sa.LargeBinary),
    sa.Column("state", Word(IncomingState), nullable=False),
    sa.Column("due_at", Utc, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(200), nullable=False),
    sa.Column("enquiry_id", Id, sa.ForeignKey("enquiry.id"), index=True),
    sa.Column("delivery_id", Id, sa.ForeignKey("delivery.id"), index=True),
    sa.Column("sorted_at", Utc),
    sa.Index("ix_incoming_state_received_at", "state", "received_at"),
)

# Addresses of visitors that mail came back from: keyed hashes, for nobody needs to read them.
bounced_addresses = sa.Table(
    "bounced_address",
    metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("at", Utc, nullable=False),
)

# How far each mailbox that is polled was read.
imap_positions = sa.Table(
    "imap_position",
    metadata,
    sa.Column("mailbox", sa.String(300), primary_key=True),
    sa.Column("validity", Id, nullable=False),
    sa.Column("last_uid", Id, nullable=False),
)

registry = orm.registry(metadata=metadata)


def _map() -> None:
    registry.map_imperatively(
        Department,
        departments,
        properties={
            "points": orm.relationship(
                ContactPoint,
                order_by=(contact_points.c.position, contact_points.c.id),
                lazy="selectin",
                cascade="save-update, merge",
            )
        },
        version_id_col=departments.c.version,
    )
    registry.map_imperatively(ContactPoint, contact_points)
    registry.map_imperatively(Topic, topics, version_id_col=topics.c.version)
    registry.map_imperatively(Enquiry, enquiries)
    registry.map_imperatively(Decision, decisions)
    registry.map_imperatively(
        Delivery,
        deliveries,
        # Bytes and inputs are wanted by the one who sends them; lists and results do without.
        properties={"content": orm.deferred(deliveries.c.content)},
    )
    registry.map_imperatively(Attempt, attempts)
    registry.map_imperatively(Event, events)
    registry.map_imperatively(Proposal, proposals)
    registry.map_imperatively(Challenge, challenges)
    registry.map_imperatively(Incoming, incoming)
    registry.map_imperatively(Addition, additions)


_map()

# What every enquiry adds.
_ROWS = {
    Enquiry: Rows(enquiries),
    Decision: Rows(decisions),
    Delivery: Rows(deliveries),
    Attempt: Rows(attempts),
    Event: Rows(events),
}
_ADD_ENQUIRY = {
    "sqlite": Prepared(sqlite.insert(enquiries).on_conflict_do_nothing()),
    "postgresql": Prepared(postgresql.insert(enquiries).on_conflict_do_nothing()),
}


def store(session: Session, *things: Any) -> None:
    """Insert *things*, which are complete and have their ids, at once and in their order.

    Enquiries, decisions, deliveries, attempts and events only. As session.add() and flush() do,
    at a quarter of the price; but the session does not know them afterwards.
    """
    for kind, alike in groupby(things, type):
        rows = _ROWS[kind]
        rows.write(session, [_row(thing, rows.names) for thing in alike])
    for thing in things:
        if type(thing) is Delivery:
            note_delivery(session, thing)


def store_once(session: Session, enquiry: Enquiry) -> bool:
    """Insert *enquiry* unless its form token or reference is there; whether it was inserted.

    Waits for another transaction that is just adding the same, and needs no savepoint to go on
    from. The session knows it afterwards.
    """
    statement = _ADD_ENQUIRY[session.get_bind().dialect.name]
    if not statement.write(session, _row(enquiry, _ROWS[Enquiry].names)):
        return False
    orm.make_transient_to_detached(enquiry)
    session.add(enquiry)
    _note_counted(session, enquiry.id)
    return True


def _row(thing: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


@sa.event.listens_for(Session, "before_flush")
def _count_change(session: Session, *_: Any) -> None:
    """Raise the directory's version with every change, so that no cache can miss one."""
    kinds = (Department, ContactPoint, Topic)
    touched = any(isinstance(it, kinds) for it in (*session.new, *session.deleted)) or any(
        isinstance(it, kinds) and session.is_modified(it) for it in session.dirty
    )
    if touched:
        _raise_version(session)


def _raise_version(session: Session) -> None:
    if not session.info.get("directory_changed"):
        session.info["directory_changed"] = True
        session.execute(
            sa.update(directory_version).values(version=directory_version.c.version + 1)
        )


@sa.event.listens_for(Session, "after_flush")
def _note_what_is_found_differently(session: Session, *_: Any) -> None:
    """Remember what the index is to be brought in step with, wherever the change came from."""
    for it in (*session.new, *session.dirty, *session.deleted):
        if isinstance(it, Department):
            _note(session, "departments", it.id, *_before(it, "successor_id"))
        elif isinstance(it, ContactPoint):
            _note(session, "departments", it.department_id, *_before(it, "department_id"))
        elif isinstance(it, Topic):
            _note(session, "topics", it.id)
            _note(session, "departments", it.department_id, *_before(it, "department_id"))


def _before(record: object, attribute: str) -> Any:
    return sa.inspect(record, raiseerr=True).attrs[attribute].history.deleted or ()


def _note(session: Session, kind: str, *ids: Any) -> None:
    changed = session.info.setdefault("to_index", {"departments": set(), "topics": set()})
    changed[kind].update(id for id in ids if id is not None)


def note_written(
    session: Session, departments: Iterable[UUID] = (), topics: Iterable[UUID] = ()
) -> None:
    """Say which records were written on the session's connection, without its objects.

    What the session does by itself for objects, this does for rows: the directory's version is
    raised and the index brought in step, in the same transaction.
    """
    _note(session, "departments", *departments)
    _note(session, "topics", *topics)
    _raise_version(session)


@sa.event.listens_for(Session, "before_flush")
def _note_what_is_counted_differently(session: Session, *_: Any) -> None:
    """Remember whose place in the ledger may have changed, wherever the change came from."""
    for it in (*session.new, *session.dirty):
        if isinstance(it, Enquiry):
            attributes = sa.inspect(it, raiseerr=True).attrs
            if any(attributes[name].history.has_changes() for name in _COUNTED_BY):
                _note_counted(session, it.id)
        elif isinstance(it, Delivery):
            before = _before(it, "state")
            # A claim, or another wait, changes nothing; what is new, settled or not any more may.
            if it in session.new or (before and {before[0], it.state} & set(SETTLED)):
                note_delivery(session, it)


_COUNTED_BY = ("status", "attention", "test")


def note_delivery(session: Session, delivery: Delivery) -> None:
    """Say that *delivery* was written, new or settled, on the session's connection."""
    if delivery.kind is DeliveryKind.ROUTED and delivery.enquiry_id is not None:
        _note_counted(session, delivery.enquiry_id)


def _note_counted(session: Session, enquiry_id: int) -> None:
    session.info.setdefault("to_account", set()).add(enquiry_id)


@sa.event.listens_for(Session, "before_commit")
def _keep_the_ledger(session: Session) -> None:
    """Write what moved in the ledger in the transaction that moved it."""
    if session.in_nested_transaction():
        return
    session.flush()
    if noted := session.info.pop("to_account", None):
        # The books are kept in these tables, and so import them.
        from directory.adapters import ledger

        ledger.keep(session, noted)


@sa.event.listens_for(Session, "do_orm_execute")
def _note_rows_written_by_hand(state: orm.ORMExecuteState) -> None:
    """Rows written without their objects: which, only the writer knows, and says it."""
    if state.is_select or not (state.is_insert or state.is_update or state.is_delete):
        return
    if getattr(state.statement, "table", None) in (departments, contact_points, topics):
        state.session.info["index_unknown"] = True


@sa.event.listens_for(Session, "before_commit")
def _bring_index_in_step(session: Session) -> None:
    """Index what changed in the transaction that changed it, so that no change can miss it."""
    if session.in_nested_transaction():
        return  # released into the outer transaction, which comes here in its turn
    session.flush()
    changed = session.info.pop("to_index", None)
    unknown = session.info.pop("index_unknown", False)
    if changed or unknown:
        # The index is made of these tables, and so imports them.
        from directory.adapters import search

        if unknown:
            search.rebuild(session)
        else:
            search.index_many(session, changed["departments"], changed["topics"])


@sa.event.listens_for(Session, "after_soft_rollback")
def _forget_what_did_not_happen(session: Session, undone: orm.SessionTransaction) -> None:
    # Undone to a savepoint: the version may have been raised since, and what is to be indexed
    # was noted before as well as since. Both are done once more rather than not at all.
    session.info.pop("directory_changed", None)
    session.info.pop("locked", None)  # given back with the savepoint they were taken in
    if not undone.nested:
        for noted in ("to_index", "index_unknown", "to_account"):
            session.info.pop(noted, None)


class Database:
    """One database, SQLite or PostgreSQL, and the only two ways to use it.

    *url* is an SQLAlchemy URL; "postgresql://" is taken to mean psycopg 3.
    """

    def __init__(self, url: str, *, write_wait_s: float = WRITE_WAIT_S) -> None:
        if url.startswith(("postgresql://", "postgres://")):
            url = "postgresql+psycopg://" + url.partition("://")[2]
        self.url = sa.make_url(url)
        self.write_wait_s = write_wait_s
        self._writer = threading.Lock()
        self._waiting = threading.local()
        self.engine = self._engine()
        self._reading = self.engine.execution_options(reading=True)
        if not self.is_sqlite:
            # As SQLite has it by nature: one state for the whole look. Said with BEGIN, so that
            # it costs no question of its own.
            self._reading = self._reading.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        self._glancing = self.engine.execution_options(glancing=True)
        if not self.is_sqlite:
            self._glancing = self._glancing.execution_options(isolation_level="AUTOCOMMIT")

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def _engine(self) -> Engine:
        if self.is_sqlite:
            if self.url.database and self.url.database != ":memory:":
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            engine = sa.create_engine(
                self.url,
                json_serializer=_dump_json,
                hide_parameters=True,
                connect_args={"timeout": self.write_wait_s},
            )
            sa.event.listen(engine, "connect", _set_up_sqlite)
            sa.event.listen(engine, "begin", self._begin_sqlite)
            return engine
        engine = sa.create_engine(
            self.url,
            json_serializer=_dump_json,
            # An error that quotes a statement quotes no visitor.
            hide_parameters=True,
            # Nobody waits for a lock longer than a visitor waits for a page; readers neither, for
            # a migration may hold a table for itself. And a commit must be on disk before anyone
            # is told of it, whatever the server's default: said at once for the whole connection,
            # it costs no transaction a question.
            connect_args={
                "connect_timeout": 5,
                "options": f"-c lock_timeout={int(self.write_wait_s * 1000)}"
                " -c synchronous_commit=on",
            },
        )
        sa.event.listen(engine, "checkout", self._look_at_postgresql)
        sa.event.listen(engine, "rollback", _end_reading_postgresql)
        return engine

    def _look_at_postgresql(self, connection: Any, *_: Any) -> None:
        """Replace connections whose server is gone, before anything is done with one.

        As the pool's own ping, at no price: a server that ends, or ends the connection, says so,
        and what was said is waiting to be read. Only then is it asked.
        """
        import psycopg

        heard = select.poll()
        try:
            heard.register(connection, select.POLLIN)
            if heard.poll(0):
                self.engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise sa.exc.InvalidatePoolError from error

    def _begin_sqlite(self, connection: Connection) -> None:
        # A transaction that reads and then writes fails at once ("database is locked", no
        # waiting) if another wrote in between. Asking for the write lock at the start makes it
        # wait its turn. Readers need no lock: WAL shows them the last committed state.
        options = connection.get_execution_options()
        if options.get("glancing"):
            return
        if options.get("reading"):
            connection.exec_driver_sql("BEGIN")
            return
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        until = getattr(self._waiting, "until", 0.0) or time.monotonic() + self.write_wait_s
        driver.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    driver.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as error:
                    if not _is_busy(error) or time.monotonic() >= until:
                        raise sa.exc.OperationalError("BEGIN IMMEDIATE", None, error) from error
                time.sleep(_ASK_AGAIN_S)
        finally:
            driver.execute(f"PRAGMA busy_timeout = {int(self.write_wait_s * 1000)}")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Where there is one writer at a time, let only one thread of this process ask to be it.

        The others wait without asking, which costs nothing and keeps their order.
        """
        if not self.is_sqlite:
            yield
            return
        until = time.monotonic() + self.write_wait_s
        if not self._writer.acquire(timeout=self.write_wait_s):
            raise Unavailable("locked")
        try:
            self._waiting.until = until
            yield
        finally:
            self._waiting.until = 0.0
            self._writer.release()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One action: everything done with the session is committed at the end, or nothing is.

        On return the commit is synchronised to disk. Raises Unavailable when the database cannot
        take it: locked too long, disk full, connection gone; and Conflict when a record was
        changed by somebody else since it was read.
        """
        with self._turn():
            yield from self._one_transaction()

    def _one_transaction(self) -> Iterator[Session]:
        session = Session(self.engine, expire_on_commit=False)
        try:
            yield session
            session.commit()
        except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
            session.rollback()
            raise Unavailable(type(error.__cause__ or error).__name__) from error
        except orm.exc.StaleDataError as error:
            session.rollback()
            raise Conflict(
                "Somebody else changed this record meanwhile; look at it again"
            ) from error
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A look at the last committed state. Raises Unavailable when there is none to be had."""
        yield from self._look(self._reading)

    @contextmanager
    def glancing(self) -> Iterator[Session]:
        """A look of one statement, which sees one state by itself and needs no transaction.

        On PostgreSQL that is one question where reading() takes three. Raises Unavailable.
        """
        yield from self._look(self._glancing)

    def _look(self, engine: Engine) -> Iterator[Session]:
        session = Session(engine, autoflush=False)
        try:
            yield session
        except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
            raise Unavailable(type(error.__cause__ or error).__name__) from error
        finally:
            session.close()

    def checkpoint(self) -> None:
        """Bring SQLite's log into its file, while readers and writers go on.

        For those whom nobody waits for. SQLite's own way is that one commit in fifty does it, and
        that visitor waits for three synchronisations in place of one. Raises Unavailable.
        """
        if not self.is_sqlite:
            return
        try:
            with closing(self.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
        except (sqlite3.Error, sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            raise Unavailable(type(error).__name__) from error

    def forget_log(self) -> bool:
        """Empty SQLite's log, in which what was deleted stands until it is written over.

        False where somebody still reads what the log alone holds: who waits for readers keeps
        writers waiting, so it is not waited for long. Raises Unavailable.
        """
        if not self.is_sqlite:
            return True
        try:
            with closing(self.engine.raw_connection()) as connection:
                cursor = connection.cursor()
                cursor.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
                try:
                    busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                finally:
                    cursor.execute(f"PRAGMA busy_timeout = {int(self.write_wait_s * 1000)}")
                return not busy
        except (sqlite3.Error, sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            raise Unavailable(type(error).__name__) from error

    def dispose(self) -> None:
        """Close every connection; the next use opens new ones. Needed before a fork."""
        self.engine.dispose()


# Made once: json.dumps() makes an encoder for each value.
_dump_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode in {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_BUSY_SNAPSHOT,
        sqlite3.SQLITE_LOCKED,
    }


def _end_reading_postgresql(connection: Connection) -> None:
    """Commit what a reader is about to roll back, which is the same.

    But psycopg forgets with every ROLLBACK which statements the server knows already, since it may
    have undone what they were made for; each was then read and planned anew, again and again.
    """
    import psycopg
    from psycopg.pq import TransactionStatus

    if connection.invalidated or not connection.get_execution_options().get("reading"):
        return
    driver: Any = connection.connection.driver_connection
    if driver.info.transaction_status is TransactionStatus.INTRANS:
        # What is wrong with a connection, the rollback that follows finds and says as well.
        with suppress(psycopg.Error):
            driver.commit()


def _set_up_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    # SQLAlchemy's begin event opens transactions; the driver must not open its own.
    connection.isolation_level = None
    cursor = connection.cursor()
    # WAL: readers never wait for the writer. FULL: WAL with NORMAL may lose the last commits at
    # a power failure, and a reference that was shown must not be lost.
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # What is deleted or written over is gone from the file, too, and not only out of use.
    cursor.execute("PRAGMA secure_delete = ON")
    # Workers see to the log (see checkpoint); a commit does only where there are none.
    cursor.execute(f"PRAGMA wal_autocheckpoint = {_LONGEST_LOG_PAGES}")
    cursor.execute("PRAGMA journal_size_limit = 67108864")
    cursor.close()

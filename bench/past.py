"""Enquiries of years ago: sent, delivered, answered; loaded in bulk, to see what grows by them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bench.bare import Connection
from directory.adapters.db import (
    Database,
    attempts,
    decisions,
    deliveries,
    departments,
    enquiries,
    events,
)
from directory.domain.delivery import DeliveryKind, DeliveryState, Outcome
from directory.domain.enquiry import EnquiryStatus, ReplyBy
from directory.domain.ids import new_id

_AT_ONCE = 1_000
_APART = timedelta(minutes=5)
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MESSAGE = "We would like to visit the institute in March. " * 12
# Kept bytes are eight times as long in life; they stand beside the rows, on pages nobody reads.
_CONTENT = b"x" * 1_000


def add_past(database: Database, count: int) -> None:
    """*count* answered enquiries, each with its decision, two mails, their tries and two events."""
    with database.engine.begin() as connection:
        department = connection.scalar(sa.select(departments.c.id).limit(1))
        for instants in _batches(count):
            rows: dict[sa.Table, list[dict[str, Any]]] = {
                table: [] for table in (enquiries, decisions, deliveries, attempts, events)
            }
            for at in instants:
                _one(rows, at, department)
            for table, found in rows.items():
                connection.execute(sa.insert(table), found)


def add_bare_past(connection: Connection, count: int) -> None:
    """The same for the bare endpoint's tables."""
    for instants in _batches(count):
        connection.begin()
        for at in instants:
            number, ref, when = _number(at), _ref(), at.isoformat()
            connection.execute(
                "INSERT INTO enquiry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(number, ref, secrets.token_urlsafe(32), when, "en", "visits", "A visit"),
                    *(_MESSAGE, "Wei Li", "Example University", f"{ref}@example.org"),
                    *("+44 20 7946 0123", "GB", "en", "answered"),
                ),
            )
            connection.execute(
                "INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?)",
                (number, number, when, "desk@department.example", "topic", "[]"),
            )
            connection.execute(
                "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(number, number, "routed", "desk@department.example", "sent", when, when),
                    *(number + 1, number, "receipt", f"{ref}@example.org", "sent", when, when),
                ),
            )
            connection.execute(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?)", (number, when, ref, "received", "{}")
            )
        connection.commit()


def _batches(count: int) -> Iterator[list[datetime]]:
    began = datetime.now(UTC) - _APART * (count + 1)
    for start in range(0, count, _AT_ONCE):
        yield [began + _APART * n for n in range(start, min(start + _AT_ONCE, count))]


def _number(at: datetime) -> int:
    return int(at.timestamp() * 1000) << 20 | secrets.randbits(19) << 1


def _ref() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def _one(rows: dict[sa.Table, list[dict[str, Any]]], at: datetime, department: Any) -> None:
    enquiry_id, ref = new_id(at), _ref()
    rows[enquiries].append(
        {
            "id": enquiry_id,
            "ref": ref,
            "form_token": secrets.token_urlsafe(33),
            "body_hash": secrets.token_hex(32),
            "received_at": at,
            "language": "en",
            "topic": "visits",
            "topic_label": {"en": "Visits and events"},
            "chosen_department": "",
            "subject": "A visit",
            "message": _MESSAGE,
            "name": "Wei Li",
            "organisation": "Example University",
            "reply_by": ReplyBy.EMAIL,
            "email": f"{ref}@example.org",
            "phone": "",
            "phone_extension": "",
            "phone_typed": "",
            "country": "GB",
            "reply_language": "en",
            "consent": "notice 1",
            "source": "",
            "shown": "",
            "form_version": 1,
            "status": EnquiryStatus.ANSWERED,
            "attention": "",
            "test": False,
            "department_id": department,
            "answer_by": at + timedelta(days=2),
            "routed_at": at,
            "version": 2,
            "link_version": 1,
        }
    )
    rows[decisions].append(
        {
            "id": new_id(at),
            "enquiry_id": enquiry_id,
            "at": at,
            "by": "",
            "reason": "topic",
            "department_id": department,
            "contact_point_id": None,
            "recipient": "desk@department.example",
            "rule_set": 1,
            "rule": None,
            "rule_id": None,
            "rule_name": {},
            "why": {"en": "topic is Visits and events"},
            "trace": [{"rule": 1, "matched": False, "why": {"en": "topic is not Jobs"}}] * 3,
            "passed_over": [],
        }
    )
    for position, kind in enumerate((DeliveryKind.ROUTED, DeliveryKind.ACKNOWLEDGEMENT), 1):
        delivery_id = new_id(at)
        rows[deliveries].append(
            {
                "id": delivery_id,
                "enquiry_id": enquiry_id,
                "kind": kind,
                "position": position,
                "recipient": f"{ref}@example.org",
                "department_id": department,
                "contact_point_id": None,
                "language": "en",
                "message_id": f"<{ref}.{position}@directory.example>",
                "envelope_sender": f"bounce+{delivery_id}@directory.example",
                "created_at": at,
                "inputs": {"message": _MESSAGE},
                "content": _CONTENT,
                "state": DeliveryState.ACCEPTED,
                "due_at": at,
                "attempts": 1,
                "lease_owner": None,
                "lease_until": None,
                "accepted_at": at,
                "reason": "",
                "smtp_reply": "250 2.0.0 Ok",
            }
        )
        rows[attempts].append(
            {
                "id": new_id(at),
                "delivery_id": delivery_id,
                "at": at,
                "seconds": 0.1,
                "server": "127.0.0.1:25",
                "stage": "dot",
                "code": 250,
                "text": "2.0.0 Ok",
                "outcome": Outcome.ACCEPTED,
            }
        )
    previous = ""
    for type_ in ("received", "routed"):
        digest = secrets.token_hex(32)
        rows[events].append(
            {
                "id": new_id(at),
                "at": at,
                "subject": f"enquiry:{ref}",
                "type": type_,
                "by": "",
                "note": "",
                "before": {},
                "after": {"status": type_},
                "previous": previous,
                "digest": digest,
            }
        )
        previous = digest

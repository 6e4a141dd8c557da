"""Deliveries for the tests of mail; each names only what it does not care about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from directory.domain.delivery import Delivery, DeliveryKind

RECEIVED = datetime(2026, 11, 22, 6, 5, tzinfo=UTC)
ANSWER_BY = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)

COMMON = {
    "service_name": "Institute Contact",
    "from_address": "contact@institute.example",
    "reference": "ENQ-7K4M-2QXD",
    "topic_label": "Apply to study",
    "department_name": "Admissions Office",
    "answer_by": ANSWER_BY.isoformat(),
    "timezone": "Asia/Singapore",
    "place": "Singapore",
}


def a_routed_delivery(language: str = "en", **inputs: Any) -> Delivery:
    """The example of the design: Li Wei asks about a transcript."""
    return Delivery(
        kind=DeliveryKind.ROUTED,
        recipient="admissions@institute.example",
        language=language,
        message_id="<7K4M2QXD.1@contact.institute.example>",
        envelope_sender="bounce+r1-x@institute.example",
        created_at=RECEIVED,
        due_at=RECEIVED,
        inputs=COMMON
        | {
            "reply_to": [{"name": "Li Wei", "address": "liwei@example.com"}],
            "from_style": "visitor-via",
            "department_slug": "admissions",
            "topic_code": "apply",
            "list_domain": "contact.institute.example",
            "chosen_by": {
                "reason": "rule",
                "id": "applications",
                "position": 3,
                "name": "Applications",
                "why": "topic is Apply to study",
            },
            "subject": "transcript format",
            "message": "Can I send my transcript as a PDF?",
            "message_language": "en",
            "name": "Li Wei",
            "organisation": "",
            "reply_by": "email",
            "email": "liwei@example.com",
            "phone": "+44 20 7946 0123",
            "reply_language": "en",
            "received_at": RECEIVED.isoformat(),
            "retention_days": 365,
        }
        | inputs,
    )


def an_acknowledgement(language: str = "en", **inputs: Any) -> Delivery:
    """The receipt for the same enquiry."""
    return Delivery(
        kind=DeliveryKind.ACKNOWLEDGEMENT,
        recipient="liwei@example.com",
        language=language,
        message_id="<7K4M2QXD.2@contact.institute.example>",
        envelope_sender="bounce+a2-x@institute.example",
        created_at=RECEIVED,
        due_at=RECEIVED,
        inputs=COMMON
        | {
            "reply_to": [{"name": "Admissions Office", "address": "hello@institute.example"}],
            "department_phone": "+44 20 7946 0456",
            "status_url": "https://contact.institute.example/e/7K4M2QXD-3K9T6W2RZ8QH4N7VB5XJ0CDPGM1",
        }
        | inputs,
    )


def a_note(what: str, language: str = "en", **inputs: Any) -> Delivery:
    """To Admissions, when the visitor did *what* since."""
    added = what == "added"
    return Delivery(
        kind=DeliveryKind.ADDITION if added else DeliveryKind.NOTICE,
        recipient="admissions@institute.example",
        language=language,
        message_id="<7K4M2QXD.5@contact.institute.example>",
        envelope_sender="bounce+d5-x@institute.example",
        created_at=RECEIVED,
        due_at=RECEIVED,
        inputs=COMMON
        | {
            "reply_to": [{"name": "", "address": "liwei@example.com"}],
            "what": what,
            "department_slug": "admissions",
            "list_domain": "contact.institute.example",
            "reply_by": "email",
            "email": "" if what == "erased" else "liwei@example.com",
            "message": "It has three pages.\nThanks" if added else "",
            "message_language": "en" if added else "",
            "sent_at": RECEIVED.isoformat(),
            "references": ["<7K4M2QXD.1@contact.institute.example>"],
            "action_url": "https://contact.institute.example/a/7K4M2QXD-1-3K9T" if added else "",
        }
        | inputs,
    )


def a_link(what: str, language: str = "en", **inputs: Any) -> Delivery:
    """To the visitor: a link that was asked for."""
    path = "" if what == "status" else f"/{what}"
    return Delivery(
        kind=DeliveryKind.LINK,
        recipient="liwei@example.com",
        language=language,
        message_id="<7K4M2QXD.6@contact.institute.example>",
        envelope_sender="bounce+l6-x@institute.example",
        created_at=RECEIVED,
        due_at=RECEIVED,
        inputs=COMMON
        | {
            "reply_to": [{"name": "Admissions Office", "address": "hello@institute.example"}],
            "what": what,
            "url": f"https://contact.institute.example/e/7K4M2QXD-6-3K9T6W2RZ8QH4N7VB5{path}",
            "closes_at": RECEIVED.isoformat() if path else None,
        }
        | inputs,
    )


def a_copy(language: str = "en", **inputs: Any) -> Delivery:
    """The same mail for Media to know of; Admissions answers."""
    delivery = a_routed_delivery(
        language,
        **{
            "department_slug": "media",
            "department_name": "Media Office",
            "answering": "Admissions Office",
            "answering_slug": "admissions",
        }
        | inputs,
    )
    delivery.kind = DeliveryKind.COPY
    delivery.recipient = "media@institute.example"
    delivery.message_id = "<7K4M2QXD.3@contact.institute.example>"
    return delivery


def a_moved_delivery(language: str = "en", **passed_on: Any) -> Delivery:
    """The enquiry once it was passed on to Admissions, with Media and Parking before."""
    told = {
        "by": "chen@institute.example",
        "note": "The visitor asks about a transcript,\nnot about parking.",
        "departments": ["Media Office", "Parking"],
        "meant_for": "",
        "to_desk": False,
    }
    delivery = a_routed_delivery(
        language,
        chosen_by={"reason": "moved"},
        passed_on=told | passed_on,
        references=[
            "<7K4M2QXD.1@contact.institute.example>",
            "<7K4M2QXD.3@contact.institute.example>",
        ],
    )
    delivery.message_id = "<7K4M2QXD.4@contact.institute.example>"
    return delivery

"""Records as JSON, in the shapes of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from directory.adapters.queries import DeliveryRow, EnquiryRow
from directory.domain.contacts import (
    ADDRESS_KINDS,
    PHONE_KINDS,
    ContactPoint,
    Department,
    PointKind,
    Topic,
)
from directory.domain.delivery import Delivery
from directory.domain.enquiry import Decision, Enquiry, Event
from directory.domain.hours import OpeningHours
from directory.domain.values import PhoneNumber, Reference, ServiceNumber


def rfc3339(instant: datetime | None) -> str | None:
    """*instant* with its offset, to the second."""
    return instant.isoformat(timespec="seconds") if instant else None


def department_json(
    department: Department,
    *,
    slugs: Mapping[UUID, str],
    topics: Sequence[Topic],
    hours: OpeningHours | None,
    reply_days: int,
    base_url: str,
    default_country: str,
    now: datetime,
) -> dict[str, Any]:
    """The API's Department: only what is public."""
    numbers = department.public_points(*PHONE_KINDS)
    mailboxes = department.public_points(PointKind.EMAIL)
    checked = [p.verified_at for p in department.public_points() if p.verified_at]
    page = f"{base_url}/en/departments/{department.slug}"
    return {
        "id": str(department.id),
        "slug": department.slug,
        "status": department.status.value,
        "parent": slugs.get(department.parent_id) if department.parent_id else None,
        "url": page,
        "enquiry_url": f"{base_url}/en/enquiries/new?department={department.slug}",
        "name": department.name,
        "short_name": department.short_name,
        "summary": department.summary,
        "phones": [
            _phone(point, primary=index == 0, country=default_country)
            for index, point in enumerate(numbers)
        ],
        "emails": [
            {
                "id": str(point.id),
                "address": point.value,
                "label": point.label,
                "primary": index == 0,
            }
            for index, point in enumerate(mailboxes)
        ],
        "addresses": [_address(point) for point in department.public_points(*ADDRESS_KINDS)],
        "hours": _hours(hours, department, now),
        "languages": department.languages,
        "topics": [topic.code for topic in topics if topic.department_id == department.id],
        "reply_time": {
            "target_working_days": reply_days,
            "typical_working_days": department.typical_days,
            "sample": department.typical_of,
        },
        "verified_at": rfc3339(min(checked)) if checked else None,
        "updated_at": rfc3339(department.updated_at),
        "links": {
            "html": {
                "en": page,
                "zh-Hans": f"{base_url}/zh-hans/departments/{department.slug}",
            }
        },
    }


def _phone(point: ContactPoint, *, primary: bool, country: str) -> dict[str, Any]:
    shown = {
        "id": str(point.id),
        "kind": point.kind.value,
        "label": point.label,
        "languages": point.languages,
        "primary": primary,
    }
    if point.kind is PointKind.SERVICE:
        service = ServiceNumber(point.value, country)
        return shown | {
            "e164": None,
            "ext": "",
            "uri": service.uri,
            "display": service.digits,
            "national": service.digits,
        }
    number = PhoneNumber(point.value, point.extension)
    return shown | {
        "e164": number.e164,
        "ext": number.extension,
        "uri": number.uri,
        "display": number.display("en"),
        "national": number.national,
    }


def _address(point: ContactPoint) -> dict[str, Any]:
    address = point.address
    geo = None
    if "lat" in address and "lon" in address:
        geo = {"lat": address["lat"], "lon": address["lon"]}
    return {
        "id": str(point.id),
        "kind": point.kind.value,
        "lines": address.get("lines", {}),
        "locality": address.get("locality", {}),
        "region": address.get("region", {}),
        "postcode": address.get("postcode", ""),
        "country": address.get("country", ""),
        "geo": geo,
    }


def _hours(hours: OpeningHours | None, department: Department, now: datetime) -> Any:
    if hours is None:
        return None
    state = hours.state_at(now)
    return {
        "timezone": hours.timezone,
        "spec": hours.spec,
        "open_now": state.open,
        "changes_at": rfc3339(state.changes_at),
        "exceptions": department.exceptions,
    }


def listing(items: list[dict[str, Any]], total: int | None = None) -> dict[str, Any]:
    """A list as the API has it."""
    return {"items": items, "total": len(items) if total is None else total, "next": None}


def enquiry_row_json(row: EnquiryRow, *, prefix: str) -> dict[str, Any]:
    """An enquiry in a list: no text, no person."""
    return {
        "ref": Reference(row.ref).display(prefix),
        "received_at": rfc3339(row.received_at),
        "status": row.status.value,
        "attention": row.attention or None,
        "topic": row.topic or None,
        "department": row.department,
        "answer_by": rfc3339(row.answer_by),
        "tags": row.tags,
    }


def enquiry_json(
    enquiry: Enquiry,
    *,
    prefix: str,
    department: Department,
    decisions: Sequence[Decision],
    deliveries: Sequence[Delivery],
    events: Sequence[Event],
    status_url: str,
    trace: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The API's enquiry as staff see it: form fields, events, deliveries, routing.

    *trace* is that of the rules, in full; without one it is as it was kept.
    """
    latest = decisions[-1]
    ruled = next((it for it in reversed(decisions) if it.trace), latest)
    return {
        "ref": Reference(enquiry.ref).display(prefix),
        "status": enquiry.status.value,
        "attention": enquiry.attention or None,
        "status_url": status_url,
        "received_at": rfc3339(enquiry.received_at),
        "test": enquiry.test,
        "version": enquiry.version,
        "tags": enquiry.tags,
        "destination": {
            "department": department.slug,
            "name": department.name,
            "reason": latest.reason,
            "rule": latest.rule,
        },
        "answer_by": rfc3339(enquiry.answer_by),
        "notices": [],
        "topic": enquiry.topic or None,
        "department": enquiry.chosen_department or None,
        "subject": enquiry.subject,
        "message": enquiry.message,
        "name": enquiry.name,
        "organisation": enquiry.organisation,
        "reply_by": enquiry.reply_by.value,
        "email": enquiry.email or None,
        "phone": enquiry.phone_typed or None,
        "country": enquiry.country or None,
        "reply_language": enquiry.reply_language,
        "from": enquiry.source or None,
        "origin": enquiry.origin or None,
        "answers": enquiry.answers,
        "events": [
            {"at": rfc3339(event.at), "type": event.type, "by": event.by, "note": event.note}
            for event in events
        ],
        "deliveries": [
            {
                "id": str(delivery.id),
                "kind": delivery.kind.value,
                "to": delivery.recipient,
                "status": delivery.state.value,
                "attempts": delivery.attempts,
                "next_try": rfc3339(delivery.due_at) if delivery.lease_until is None else None,
                "smtp_reply": delivery.smtp_reply or delivery.reason or None,
            }
            for delivery in deliveries
        ],
        "routing": {
            "shown": enquiry.shown or None,
            "rule_set": ruled.rule_set,
            "trace": ruled.trace if trace is None else list(trace),
            "decisions": [
                {
                    "at": rfc3339(decision.at),
                    "by": decision.by or None,
                    "reason": decision.reason,
                    "to": decision.recipient or None,
                    "passed_over": decision.passed_over,
                    "rule_set": decision.rule_set,
                    "rule": decision.rule_id,
                    "why": decision.why,
                    "outcome": decision.outcome,
                }
                for decision in decisions
            ],
        },
    }


def delivery_row_json(row: DeliveryRow, *, prefix: str) -> dict[str, Any]:
    """A delivery in the queue."""
    return {
        "id": str(row.id),
        "ref": Reference(row.ref).display(prefix) if row.ref else None,
        "kind": row.kind,
        "to": row.recipient,
        "status": row.state.value,
        "attempts": row.attempts,
        "next_try": rfc3339(row.due_at),
        "created_at": rfc3339(row.created_at),
        "smtp_reply": row.reason or None,
    }

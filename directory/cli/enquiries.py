"""What visitors sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from directory.cli.base import Talk, cli, common


@cli.group(cls=click.Group)
def enquiry() -> None:
    """What visitors sent."""


@enquiry.command("list")
@click.option("--status", metavar="STATUS")
@click.option("--department", default="", metavar="SLUG")
@click.option("--attention", is_flag=True, help="Only what somebody must look at.")
@click.option("--limit", default=50, type=click.IntRange(1, 10_000))
@common
def enquiry_list(
    talk: Talk, status: str | None, department: str, attention: bool, limit: int
) -> None:
    """The newest first; no texts, no persons."""
    from directory.adapters.formats import enquiry_row_json, listing
    from directory.adapters.queries import enquiry_rows
    from directory.domain.enquiry import EnquiryStatus

    try:
        wanted = EnquiryStatus(status) if status else None
    except ValueError:
        known = ", ".join(EnquiryStatus)
        raise click.UsageError(f"there is no status {status!r}; known are {known}") from None
    with talk.parts.db.reading() as session:
        rows = enquiry_rows(
            session, status=wanted, department=department, attention=attention, limit=limit
        )
    prefix = talk.settings.enquiry.reference_prefix
    items = [enquiry_row_json(row, prefix=prefix) for row in rows]
    talk.data(
        listing(items),
        [
            f"{item['ref']}  {item['received_at']}  {item['status']:<9}  {item['department']}"
            + (f"  needs attention: {item['attention']}" if item["attention"] else "")
            for item in items
        ],
    )


@enquiry.command("show")
@click.argument("ref")
@common
def enquiry_show(talk: Talk, ref: str) -> None:
    """One enquiry: text, deliveries, events and why it went where it went."""
    from directory.adapters.formats import enquiry_json
    from directory.adapters.queries import decisions_of, deliveries_of, enquiry_by_ref, events_of
    from directory.domain.contacts import Department
    from directory.domain.values import Reference
    from directory.services.history import about
    from directory.services.post import status_url

    with talk.parts.db.reading() as session:
        found = enquiry_by_ref(session, Reference.parse(ref).symbols)
        value = enquiry_json(
            found,
            prefix=talk.settings.enquiry.reference_prefix,
            department=session.get_one(Department, found.department_id),
            decisions=decisions_of(session, found),
            deliveries=deliveries_of(session, found),
            events=events_of(session, about(found)),
            status_url=status_url(found, settings=talk.settings, signer=talk.parts.signer),
        )
    talk.data(value, _enquiry_lines(value, talk.language))


def _enquiry_lines(value: Mapping[str, Any], language: str) -> Iterable[str]:
    plain = (
        "ref",
        "status",
        "attention",
        "received_at",
        "answer_by",
        "topic",
        "subject",
        "name",
        "organisation",
        "reply_by",
        "email",
        "phone",
        "country",
        "reply_language",
    )
    for key in plain:
        if value[key]:
            yield f"{key:<15} {value[key]}"
    destination = value["destination"]
    yield f"{'destination':<15} {destination['department']} ({destination['reason']})"
    yield ""
    yield from (f"| {line}" for line in value["message"].split("\n"))
    yield ""
    for finding in value["routing"]["trace"]:
        yield finding_line(finding, language)
    yield ""
    for delivery in value["deliveries"]:
        yield (
            f"{delivery['status']:<9} {delivery['kind']:<15} {delivery['to']}  "
            f"tries {delivery['attempts']}  {delivery['smtp_reply'] or ''}"
        ).rstrip()
    for event in value["events"]:
        yield f"{event['at']}  {event['type']}  {event['by']}".rstrip()


def finding_line(finding: Mapping[str, Any], language: str) -> str:
    from directory.domain.contacts import localised

    mark = "✓" if finding["matched"] else "·"
    number = f"{finding['rule']}. " if finding["rule"] else ""
    name = localised(finding["name"], language)[0]
    return f"{mark} {number}{name}: {localised(finding['why'], language)[0]}"

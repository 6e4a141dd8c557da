"""What visitors sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from directory.cli.base import Talk, cli, common, in_transaction, who, writes


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
            + "".join(f"  #{tag}" for tag in item["tags"])
            for item in items
        ],
    )


@enquiry.command("show")
@click.argument("ref")
@click.option("--trace", "whole", is_flag=True, help="Every rule's finding, none summarised.")
@common
def enquiry_show(talk: Talk, ref: str, whole: bool) -> None:
    """One enquiry: text, deliveries, events and why it went where it went."""
    from directory.adapters.formats import enquiry_json
    from directory.adapters.queries import (
        decisions_of,
        deliveries_of,
        enquiry_by_ref,
        events_of,
        rules_of_version,
    )
    from directory.domain.contacts import Department
    from directory.domain.values import Reference
    from directory.services.explaining import by_the_rules, explain
    from directory.services.history import about
    from directory.services.post import status_url

    told = None
    with talk.parts.db.reading() as session:
        found = enquiry_by_ref(session, Reference.parse(ref).symbols)
        ruled = by_the_rules(decisions_of(session, found))
        if whole and ruled.trace and ruled.rule_set:
            rules = rules_of_version(session, ruled.rule_set)
            published = talk.parts.published_with(session, rules, talk.parts.now())
            told = explain(session, found, ruled, published)
        value = enquiry_json(
            found,
            prefix=talk.settings.enquiry.reference_prefix,
            department=session.get_one(Department, found.department_id),
            decisions=decisions_of(session, found),
            deliveries=deliveries_of(session, found),
            events=events_of(session, about(found)),
            status_url=status_url(found, settings=talk.settings, signer=talk.parts.signer),
            trace=told.trace if told else None,
        )
    talk.data(value, _enquiry_lines(value, talk.language))
    if told and told.changed:
        talk.say(
            "The directory has changed since: names, hours and mailboxes are those of now, and "
            "may not be what decided then."
        )


@enquiry.command("misrouted")
@common
def enquiry_misrouted(talk: Talk) -> None:
    """How many enquiries of each topic were passed on in the last ninety days."""
    from directory.services.moves import misrouted_topics

    with talk.parts.db.reading() as session:
        counts = misrouted_topics(session, talk.parts.now())
    talk.data(
        {
            "topics": [
                {
                    "topic": it.key or None,
                    "received": it.decided,
                    "moved": it.moved,
                    "share": round(it.share, 3),
                }
                for it in counts
            ]
        },
        [f"{it.share:>4.0%}  {it.moved} of {it.decided}  {it.key or '-'}" for it in counts],
    )


@enquiry.command("release")
@click.argument("ref")
@writes
@common
def enquiry_release(talk: Talk, ref: str, reason: str, as_email: str | None) -> None:
    """Send a held enquiry as if it were new."""
    from directory.domain.contacts import Department
    from directory.domain.values import Reference
    from directory.services.enquiries import release_enquiry

    parts, now = talk.parts, talk.parts.now()

    def act(session: Any) -> dict[str, Any]:
        released = release_enquiry(
            session,
            Reference.parse(ref).symbols,
            by=who(as_email),
            reason=reason,
            published=parts.published(session, now),
            settings=talk.settings,
            signer=parts.signer,
            now=now,
        )
        department = session.get_one(Department, released.department_id)
        return {
            "ref": Reference(released.ref).display(talk.settings.enquiry.reference_prefix),
            "status": released.status.value,
            "department": department.slug,
        }

    value = in_transaction(talk, act)
    _ring(talk)
    talk.data(value, [f"{value['ref']}  released → {value['department']}"])


@enquiry.command("reroute")
@click.argument("ref")
@click.argument("department", metavar="DEPT")
@click.option("--note", default="", metavar="TEXT", help="For its next reader.")
@click.option(
    "--version", type=int, metavar="N", help="Refuse if it was changed since (enquiry show)."
)
@writes
@common
def enquiry_reroute(
    talk: Talk,
    ref: str,
    department: str,
    note: str,
    version: int | None,
    reason: str,
    as_email: str | None,
) -> None:
    """Pass an enquiry on to the department DEPT."""
    from directory.domain.values import Reference
    from directory.services.moves import reroute_enquiry

    parts, now = talk.parts, talk.parts.now()

    def act(session: Any) -> dict[str, Any]:
        moved = reroute_enquiry(
            session,
            Reference.parse(ref).symbols,
            department,
            by=who(as_email),
            note=note,
            reason=reason,
            version=version,
            published=parts.published(session, now),
            settings=talk.settings,
            signer=parts.signer,
            now=now,
        )
        return {
            "ref": Reference(moved.enquiry.ref).display(talk.settings.enquiry.reference_prefix),
            "status": moved.enquiry.status.value,
            "department": moved.department.slug,
            "to": moved.decision.recipient or None,
            "passed_over": moved.decision.passed_over,
            "to_desk": moved.to_desk,
            "repeated": moved.repeated,
            "version": moved.enquiry.version,
        }

    value = in_transaction(talk, act)
    _ring(talk)
    talk.data(value, [f"{value['ref']}  → {value['department']}"])
    if value["repeated"]:
        talk.say("It was passed on so before; nothing was done again.")
    if value["to_desk"]:
        talk.say("It was passed on twice before, so it goes to the desk.")
    elif value["passed_over"]:
        talk.say(f"No mailbox takes mail now at {', '.join(value['passed_over'])}.")


def _ring(talk: Talk) -> None:
    """Wake a worker for what is to be sent."""
    if not talk.dry_run:
        talk.parts.doorbell.ring()


def _enquiry_lines(value: Mapping[str, Any], language: str) -> Iterable[str]:
    from directory.domain.contacts import localised

    plain = (
        "ref",
        "status",
        "attention",
        "received_at",
        "answer_by",
        "tags",
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
            shown = value[key] if isinstance(value[key], str) else ", ".join(value[key])
            yield f"{key:<15} {shown}"
    destination = value["destination"]
    yield f"{'destination':<15} {destination['department']} ({destination['reason']})"
    yield ""
    yield from (f"| {line}" for line in value["message"].split("\n"))
    yield ""
    for finding in value["routing"]["trace"]:
        yield finding_line(finding, language)
    for decision in value["routing"]["decisions"][1:]:
        why = localised(decision["why"], language)[0]
        yield f"→ {decision['to'] or 'nobody'} ({decision['reason']}: {why})  {decision['at']}"
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

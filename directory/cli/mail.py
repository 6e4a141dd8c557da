"""The queue of outgoing mail."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import click

from directory.cli.base import Talk, cli, common, in_transaction, who, writes
from directory.domain.delivery import DeliveryKind
from directory.domain.errors import (
    NotFound,
)


@cli.group(cls=click.Group)
def mail() -> None:
    """The queue of outgoing mail."""


@mail.command("queue")
@click.option("--limit", default=200, type=click.IntRange(1, 10_000))
@click.option("--holding", is_flag=True, help="Instead: what came in and fits nothing.")
@click.option("--show", type=int, metavar="ID", help="One of those, as it came.")
@click.option("--discard", type=int, metavar="ID", help="Have one of those seen to.")
@click.option("--as", "as_email", metavar="EMAIL", help="Who acts.")
@common
def mail_queue(
    talk: Talk,
    limit: int,
    holding: bool,
    show: int | None,
    discard: int | None,
    as_email: str | None,
) -> None:
    """What is not accepted yet, and what failed."""
    from directory.adapters import duties
    from directory.adapters.formats import delivery_row_json, listing
    from directory.adapters.queries import queue

    if show is not None:
        from directory.services.inbound import held_message

        with talk.parts.db.reading() as session:
            sys.stdout.buffer.write(held_message(session, show).content or b"")
        return
    if discard is not None:
        from directory.services import inbound

        now, by = talk.parts.now(), who(as_email)
        in_transaction(talk, lambda session: inbound.discard(session, discard, now=now, by=by))
        talk.data({"discarded": str(discard)}, [f"discarded {discard}"])
        return
    if holding:
        _show_held(talk, limit)
        return
    with talk.parts.db.reading() as session:
        rows = queue(session, limit=limit)
        paused = duties.is_on(session, duties.MAIL_PAUSED)
    prefix = talk.settings.enquiry.reference_prefix
    items = [delivery_row_json(row, prefix=prefix) for row in rows]
    late = talk.parts.now() - timedelta(seconds=talk.settings.delivery.show_after_s)
    lines = [
        f"{item['id']}  {item['status']:<8}  {item['kind']:<15}  {item['ref'] or '-':<13}  "
        f"{item['to']}  tries {item['attempts']}  next {item['next_try']}  "
        f"{'LATE  ' if row.created_at < late else ''}{item['smtp_reply'] or ''}".rstrip()
        for item, row in zip(items, rows, strict=True)
    ]
    if paused:
        talk.say("mail is PAUSED: directory mail resume")
    talk.data(listing(items), lines or ["the queue is empty"])


def _show_held(talk: Talk, limit: int) -> None:
    from directory.adapters.formats import listing
    from directory.domain.values import Reference
    from directory.services.inbound import holding

    with talk.parts.db.reading() as session:
        rows = holding(session, limit=limit)
    prefix = talk.settings.enquiry.reference_prefix
    items: list[dict[str, Any]] = [
        {
            "id": str(row.id),
            "received_at": row.received_at.isoformat(timespec="seconds"),
            "source": row.source,
            "kind": row.kind,
            "reason": row.reason,
            "size": row.size,
            "ref": Reference(row.ref).display(prefix) if row.ref else None,
        }
        for row in rows
    ]
    lines = [
        f"{item['id']}  {item['received_at']}  {item['source']:<4}  {item['ref'] or '-':<13}  "
        f"{item['size']} octets  {item['reason']}"
        for item in items
    ]
    talk.data(listing(items), lines or ["nothing is held"])


@mail.command("retry")
@click.argument("delivery_id", required=False, type=int)
@click.option("--all", "everything", is_flag=True, help="Everything that waits or failed.")
@writes
@common
def mail_retry(
    talk: Talk,
    delivery_id: int | None,
    everything: bool,
    reason: str,
    as_email: str | None,
) -> None:
    """Try again at once; the workers do it."""
    from directory.adapters.queries import queue
    from directory.domain.delivery import Delivery, DeliveryState
    from directory.services.deliveries import retry

    if (delivery_id is None) is not everything:
        raise click.UsageError("name one delivery, or say --all")

    def act(session: Any) -> int:
        now, by = talk.parts.now(), who(as_email)
        if delivery_id is not None:
            found = session.get(Delivery, delivery_id)
            if found is None:
                raise NotFound(f"There is no delivery {delivery_id}")
            retry(session, found, now=now, by=by)
            return 1
        wanted = [r for r in queue(session, limit=100_000) if r.state != DeliveryState.SENDING]
        for row in wanted:
            retry(session, session.get_one(Delivery, row.id), now=now, by=by)
        return len(wanted)

    count = in_transaction(talk, act)
    if not talk.dry_run:
        talk.parts.doorbell.ring()
    talk.data({"retried": count}, [f"retried {count}"])


@mail.command("preview")
@click.argument(
    "kind",
    type=click.Choice([kind.value for kind in DeliveryKind]),
)
@click.option("--ref", metavar="REF", help="An enquiry; else a made-up one.")
@click.option("--html", is_flag=True, help="The HTML part instead of the text.")
@common
def mail_preview(talk: Talk, kind: str, ref: str | None, html: bool) -> None:
    """A message as it would be sent."""
    import email
    import email.policy

    from directory.services.previews import preview

    content = preview(talk.parts, kind, ref=ref, language=talk.language)
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    part = parsed.get_body(preferencelist=("html",) if html else ("plain",))
    body = part.get_content() if part else ""
    headers = [(name, str(value)) for name, value in parsed.items()]
    lines = [f"{name}: {value}" for name, value in headers]
    talk.data({"headers": headers, "body": body}, [*lines, "", body])


@mail.command("test")
@click.argument("address")
@common
def mail_test(talk: Talk, address: str) -> None:
    """Send one test message now, and show what the mail server says."""
    from directory.domain.values import EmailAddress
    from directory.services.previews import trial_message
    from directory.supervisor import transport_of

    recipient = EmailAddress.parse(address)
    sender, content = trial_message(talk.parts, recipient, language=talk.language)
    transport = transport_of(talk.parts)
    try:
        accepted = transport.send(sender, recipient.ascii, content)
    finally:
        transport.close()
    talk.data(
        {"server": accepted.server, "code": accepted.code, "reply": accepted.text},
        [f"{accepted.server}: {accepted.code} {accepted.text}"],
    )

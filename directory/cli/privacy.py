"""Personal data: given out, deleted when asked, and gone by themselves after retention."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from directory.cli.base import EXIT_NOT_FOUND, EXIT_REFUSED, Talk, cli, common, who, writes
from directory.cli.enquiries import enquiry
from directory.cli.files import file_written


@enquiry.command("erase")
@click.argument("ref")
@writes
@common
def enquiry_erase(talk: Talk, ref: str, reason: str, as_email: str | None) -> None:
    """Delete who sent an enquiry and all that was written; asks first."""
    from directory.adapters.queries import enquiry_by_ref
    from directory.domain.values import Reference
    from directory.services.privacy import erase

    def act(session: Any) -> dict[str, Any]:
        found = enquiry_by_ref(session, Reference.parse(ref).symbols)
        done = erase(session, found, why="asked", **_given(talk, session, reason, as_email))
        return {"ref": _shown(talk, found.ref), "erased": done, "status": found.status.value}

    value = _surely(talk, act, lambda it: f"{it['ref']}: delete who sent it and what was written")
    talk.data(value, [f"{value['ref']}  {'erased' if value['erased'] else 'was erased before'}"])


@cli.group(cls=click.Group)
def person() -> None:
    """What is known of one person, by their address."""


@person.command("export")
@click.argument("email")
@click.option("-o", "--output", metavar="FILE", help="The zip; else standard output.")
@common
def person_export(talk: Talk, email: str, output: str | None) -> None:
    """A zip of all that is kept of who wrote from EMAIL, to be given to them."""
    from directory.domain.values import EmailAddress
    from directory.services.privacy import enquiries_of_person, person_archive

    address = EmailAddress.parse(email, smtputf8=True)
    if output is None and sys.stdout.isatty():
        raise click.UsageError("a zip is no text: name a file with --output")
    with talk.parts.db.reading() as session:
        found = enquiries_of_person(session, address)
        if not found:
            talk.say("directory: nothing is kept of this address")
            sys.exit(EXIT_NOT_FOUND)
        packed = person_archive(session, found, settings=talk.settings, now=talk.parts.now())
    with file_written(output) as write:
        write(packed)
    talk.say(f"{len(found)} enquiries; give it to nobody but the person")


@person.command("erase")
@click.argument("email")
@writes
@common
def person_erase(talk: Talk, email: str, reason: str, as_email: str | None) -> None:
    """Delete what is known of who wrote from EMAIL; asks first."""
    from directory.domain.values import EmailAddress
    from directory.services.privacy import erase_person

    address = EmailAddress.parse(email, smtputf8=True)

    def act(session: Any) -> dict[str, Any]:
        done = erase_person(session, address, **_given(talk, session, reason, as_email))
        refs = [_shown(talk, symbols) for symbols in done.refs]
        return {"enquiries": refs, "reports": done.reports, "mails": done.mails}

    value = _surely(talk, act, _tally)
    talk.data(value, [*value["enquiries"], _tally(value)])


@cli.group(cls=click.Group)
def retention() -> None:
    """What is kept no longer than it must be."""


@retention.command("run")
@click.option("--dry-run", is_flag=True, help="Show, change nothing.")
@common
def retention_run(talk: Talk) -> None:
    """Close what was answered long ago, delete the details of what was closed long ago.

    Workers do it once a day by themselves.
    """
    from directory.cli.base import in_transaction
    from directory.services.privacy import Tidied, forget_traces, tidy

    now, closed, erased, more = talk.parts.now(), 0, 0, True

    def act(session: Any) -> Tidied:
        return tidy(
            session,
            published=talk.parts.published(session, now),
            settings=talk.settings,
            signer=talk.parts.signer,
            now=now,
        )

    while more:
        done = in_transaction(talk, act)
        closed, erased = closed + done.closed, erased + done.erased
        more = done.more and not talk.dry_run
    if not talk.dry_run:
        forget_traces(talk.parts.db, now=now)
    talk.data({"closed": closed, "erased": erased}, [f"{closed} closed, {erased} erased"])


def _given(talk: Talk, session: Any, reason: str, as_email: str | None) -> dict[str, Any]:
    now = talk.parts.now()
    return {
        "by": who(as_email),
        "note": reason,
        "published": talk.parts.published(session, now),
        "settings": talk.settings,
        "signer": talk.parts.signer,
        "now": now,
    }


def _shown(talk: Talk, symbols: str) -> str:
    from directory.domain.values import Reference

    return Reference(symbols).display(talk.settings.enquiry.reference_prefix)


def _tally(value: dict[str, Any]) -> str:
    return (
        f"{len(value['enquiries'])} enquiries, {value['reports']} reports of mistakes, "
        f"{value['mails']} mails that came"
    )


def _surely(talk: Talk, act: Callable[[Any], Any], what: Callable[[Any], str]) -> Any:
    """Do *act* once it is certain that it is wanted: nobody brings back what is deleted."""
    from directory.cli.base import in_transaction
    from directory.services.privacy import forget_traces

    if not talk.yes and not talk.dry_run:
        # What would be done is done and taken back, so that what is asked is what happens.
        talk.dry_run = True
        would = in_transaction(talk, act)
        talk.dry_run = False
        talk.say(what(would))
        if not sys.stdin.isatty():
            click.echo("directory: say --yes to do this", err=True)
            sys.exit(EXIT_REFUSED)
        click.confirm("This cannot be undone. Do it?", abort=True, err=True)
    value = in_transaction(talk, act)
    if not talk.dry_run:
        forget_traces(talk.parts.db, now=talk.parts.now())
        talk.parts.doorbell.ring()
    return value

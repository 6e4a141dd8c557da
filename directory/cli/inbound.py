"""What comes back by mail, and what follows from a mailbox that does not take it any more."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click

from directory.cli.base import EXIT_REFUSED, Talk, common, in_transaction, who, writes
from directory.cli.departments import ask_at_once
from directory.cli.mail import mail

EXIT_TEMPFAIL = 75
"""sysexits.h's EX_TEMPFAIL: the mail system keeps the message and tries again."""

_CHUNK = 65_536
# As mail systems name the empty sender where they need a word for it.
_NOBODY = frozenset({"", "<>", "mailer-daemon"})


@mail.command("receive")
@click.option("--sender", metavar="EMAIL", help="The envelope's sender; else SENDER is asked.")
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="EMAIL",
    help="The envelope's recipient; else ORIGINAL_RECIPIENT or RECIPIENT is asked.",
)
@common
def mail_receive(talk: Talk, sender: str | None, recipients: tuple[str, ...]) -> None:
    """Take in one message on standard input, for a mail system's pipe.

    Ends with 0 once the message is on disk, and with 75 when it is not: the mail system then
    keeps it. Nothing is ever sent from here.
    """
    if sender is None:
        sender = os.environ.get("SENDER")
    if sender is not None and sender.strip().lower() in _NOBODY:
        sender = ""
    named = os.environ.get("ORIGINAL_RECIPIENT") or os.environ.get("RECIPIENT") or ""
    try:
        from directory.services import inbox
        from directory.services.inbound import KEPT

        content, size = _read(KEPT)
        kept = [
            inbox.receive(
                talk.parts,
                content,
                source="pipe",
                envelope_from=sender,
                envelope_to=recipient,
                size=size,
            )
            for recipient in recipients or (named,)
        ]
    except Exception as error:  # whatever it is, the mail system shall keep the message
        _keep_it(error)
    _sort_at_once(talk)
    new = sum(kept)
    talk.data({"kept": new, "repeats": len(kept) - new}, [])


def _read(most: int) -> tuple[bytes, int]:
    """The first octets of standard input, and how many there are in all."""
    stream = sys.stdin.buffer
    content = bytearray()
    size = 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        content += chunk[: most - len(content)]
    return bytes(content), size


def _keep_it(error: Exception) -> NoReturn:
    click.echo(f"directory: not kept ({type(error).__name__}); try again later", err=True)
    sys.exit(EXIT_TEMPFAIL)


def _sort_at_once(talk: Talk) -> None:
    """Sort what waits, where the workers have not done so already. The message is ours by now."""
    import structlog

    from directory.services import inbox

    log: Any = structlog.get_logger(__name__)
    try:
        if inbox.work_off(talk.parts):
            talk.parts.doorbell.ring()
    except Exception:
        log.exception("inbound.sorted_later")


@mail.command("replace")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@writes
@common
def mail_replace(talk: Talk, old: str, new: str, reason: str, as_email: str | None) -> None:
    """Put mailbox NEW in the place of OLD everywhere, and send NEW what OLD did not get.

    Departments, rules (a new version), waiting and failed mail; NEW is asked whether it is right.
    """
    from directory.adapters.queries import department_by_slug
    from directory.domain.values import EmailAddress
    from directory.services.replacing import mail_to, replace_mailbox

    parts, by = talk.parts, who(as_email)
    was = str(EmailAddress.parse(old))
    with parts.db.reading() as session:
        waiting = mail_to(session, was)

    def act(session: Any) -> Any:
        now = parts.now()
        done = replace_mailbox(
            session,
            old,
            new,
            mail=waiting,
            settings=parts.settings,
            signer=parts.signer,
            now=now,
            by=by,
            reason=reason,
        )
        for slug, _ in done.departments:
            ask_at_once(talk, session, department_by_slug(session, slug))
        return done

    sure = talk.yes or talk.dry_run
    if not sure:
        # What would be done is done and taken back, so that what is asked is what happens.
        talk.dry_run = True
        _show_replacement(talk, in_transaction(talk, act), to_stderr=True)
        talk.dry_run = False
        if not sys.stdin.isatty():
            click.echo("directory: say --yes to do this", err=True)
            sys.exit(EXIT_REFUSED)
        click.confirm("Do this?", abort=True, err=True)
    done = in_transaction(talk, act)
    if not talk.dry_run:
        parts.doorbell.ring()
    _show_replacement(talk, done)


def _show_replacement(talk: Talk, done: Any, *, to_stderr: bool = False) -> None:
    from directory.domain.values import Reference

    prefix = talk.settings.enquiry.reference_prefix
    refs = [Reference(symbols).display(prefix) for symbols in done.sent_again]
    lines = [f"~ {slug}: {', '.join(columns)}" for slug, columns in done.departments]
    lines += [f"~ rules: version {version}" for version in done.rules]
    lines += [f"+ {ref}: sent to {done.new}" for ref in refs]
    lines.append(
        f"{len(done.departments)} departments, {len(done.rules)} versions of the rules, "
        f"{len(refs)} enquiries sent again"
    )
    if to_stderr:
        for line in lines:
            talk.say(line)
        return
    told = {
        "old": done.old,
        "new": done.new,
        "departments": [{"slug": slug, "columns": columns} for slug, columns in done.departments],
        "rules": done.rules,
        "sent_again": refs,
    }
    talk.data(told, lines)

"""What comes back by mail, and what follows from a mailbox that does not take it any more."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click

from directory.cli.base import Talk, common
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

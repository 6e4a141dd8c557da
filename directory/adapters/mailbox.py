"""A mailbox on this machine: every message one ``.eml`` file, kept for people to look at.

``demo`` runs it as the mail server of the service, and the ``file:`` transport writes the same
files. What it takes goes nowhere.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.policy import default as readable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from directory.domain.errors import NotFound

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

SIZE_LIMIT = 35_000_000
"""Octets of one message; five attachments of five megabytes and their encoding fit."""

_ID = re.compile(r"\A\d{8}T\d{6}\.\d{6}-[0-9a-f]{8}\Z")
_STAMP = "%Y%m%dT%H%M%S.%f"
_HEADERS_END_BEFORE = 64_000


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """One line of the mailbox; what a message does not say is None."""

    id: str
    received_at: str
    envelope_from: str
    envelope_to: tuple[str, ...]
    from_: str | None
    to: str | None
    reply_to: str | None
    subject: str | None
    kind: str | None
    ref: str | None

    def as_json(self) -> dict[str, Any]:
        """The item as ``/dev/mailbox.json`` lists it."""
        return {
            "id": self.id,
            "received_at": self.received_at,
            "envelope_from": self.envelope_from,
            "envelope_to": list(self.envelope_to),
            "from": self.from_,
            "to": self.to,
            "reply_to": self.reply_to,
            "subject": self.subject,
            "kind": self.kind,
            "ref": self.ref,
        }


def keep_message(
    folder: Path,
    envelope_from: str,
    envelope_to: Sequence[str],
    content: bytes,
    *,
    now: datetime,
    durable: bool = False,
) -> str:
    """Write one message into *folder* and return its id.

    The file is *content* as it was sent, below one ``Return-Path`` and a ``Delivered-To`` for
    each recipient. Ids sort by time. It appears whole or not at all; *durable* waits for the
    disk too.
    """
    message_id = f"{now.astimezone(UTC):{_STAMP}}-{secrets.token_hex(4)}"
    envelope = f"Return-Path: <{envelope_from}>\r\n" + "".join(
        f"Delivered-To: {recipient}\r\n" for recipient in envelope_to
    )
    being_written = folder / f".{message_id}.part"
    with being_written.open("wb") as file:
        file.write(envelope.encode() + content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    being_written.rename(folder / f"{message_id}.eml")
    if durable:
        _sync_folder(folder)
    return message_id


def read_mailbox(folder: Path, *, limit: int = 200) -> list[KeptMessage]:
    """The newest *limit* messages, newest first; none where there is no such folder yet."""
    if not folder.is_dir():
        return []
    ids = sorted((path.stem for path in folder.glob("*.eml") if _ID.match(path.stem)), reverse=True)
    return [_read(folder, message_id) for message_id in ids[:limit]]


def read_message(folder: Path, message_id: str) -> bytes:
    """The file of one message. Raises NotFound for any id that is not one of the mailbox's."""
    if not _ID.match(message_id):
        raise NotFound(f"There is no message {message_id!r}")
    try:
        return (folder / f"{message_id}.eml").read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"There is no message {message_id!r}") from error


def serve_mailbox(
    folder: Path, host: str, port: int, *, ready: Callable[[int], None] | None = None
) -> None:
    """Take mail at *host*:*port* into *folder* until SIGTERM or SIGINT.

    *port* 0 takes a free one; *ready* is called with the port once connections are answered.
    Raises OSError when the port is in use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_serve(folder, host, port, ready))


async def _serve(folder: Path, host: str, port: int, ready: Callable[[int], None] | None) -> None:
    # Web processes and workers read and write the files too, and do without the server.
    from aiosmtpd.smtp import SMTP

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    keeper = _Keeper(folder)
    server = await loop.create_server(
        # Its own name is given, for it would ask the DNS for one.
        lambda: SMTP(
            keeper, data_size_limit=SIZE_LIMIT, enable_SMTPUTF8=True, hostname="localhost"
        ),
        host,
        port,
    )
    async with server:
        if ready:
            ready(server.sockets[0].getsockname()[1])
        await stop.wait()


class _Keeper:
    """What aiosmtpd calls for each message."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_DATA(  # noqa: N802 - aiosmtpd looks for this name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        message_id = keep_message(
            self.folder,
            envelope.mail_from or "",
            envelope.rcpt_tos,
            content,
            now=datetime.now(UTC),
        )
        return f"250 2.0.0 Ok: queued as {message_id}"


# The files never change, so a mailbox page that is looked at again reads only what is new.
@lru_cache(maxsize=2_000)
def _read(folder: Path, message_id: str) -> KeptMessage:
    with (folder / f"{message_id}.eml").open("rb") as file:
        headers = BytesHeaderParser(policy=readable).parsebytes(file.read(_HEADERS_END_BEFORE))

    def text(name: str) -> str | None:
        value = headers[name]
        return None if value is None else _text(value)

    stamp = datetime.strptime(message_id.partition("-")[0], _STAMP).replace(tzinfo=UTC)
    return KeptMessage(
        id=message_id,
        received_at=stamp.isoformat(),
        envelope_from=(text("Return-Path") or "").strip("<>"),
        envelope_to=tuple(map(_text, headers.get_all("Delivered-To", []))),
        from_=text("From"),
        to=text("To"),
        reply_to=text("Reply-To"),
        subject=text("Subject"),
        kind=text("X-Enquiry-Kind"),
        ref=text("X-Enquiry-Ref"),
    )


def _text(value: object) -> str:
    """A header's value; UTF-8 that stands in it as it is leaves the parser as surrogates."""
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

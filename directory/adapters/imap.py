"""A mailbox looked into by IMAP (RFC 9051), for where no mail system can hand mail over.

What was read is known by its number in the mailbox (UID), which whoever keeps a message writes
down in the same transaction: flags could be changed by anybody who opens the mailbox. Numbers
hold for one UIDVALIDITY; after another it is read from the start, and repeats are known by their
octets. Only what is kept is marked as seen, or moved.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from urllib.parse import parse_qs, unquote, urlsplit

import structlog

from directory.adapters.smtp import is_loopback
from directory.domain.errors import DirectoryError, SettingsInvalid

log = structlog.get_logger(__name__)

AT_ONCE = 200
"""Messages read in one look; the rest at the next."""

LARGEST = 10_000_000
"""Octets of a message that are fetched; of a longer one, so many from its beginning."""

_CHUNK = 65_536
_LITERAL_ROOM = 1_000_000  # what a server may say beside the message itself
_SIZE = re.compile(rb"RFC822\.SIZE (\d{1,15})")
_EXAMPLE = "imaps://user:password@host/INBOX"


class ImapFailed(DirectoryError):
    """The mailbox could not be read; what was kept before is kept. Says why, without secrets."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: for each answer, and for one look as a whole, whatever the server drips."""

    answer_s: float = 30
    look_s: float = 300


@dataclass(frozen=True, slots=True)
class Position:
    """How far a mailbox was read: the last UID that was kept, under this UIDVALIDITY."""

    validity: int
    last_uid: int


Take = Callable[[Position, bytes, int], None]
"""Keeps a message (its first octets, and how many it has) together with the position after it."""


@dataclass(frozen=True, slots=True)
class ImapMailbox:
    """Where and how to look. ``tls`` is as for MailServer; ``move_to`` a folder, or ""."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    folder: str
    tls: Literal["imaps", "starttls", "none"]
    move_to: str = ""

    def __str__(self) -> str:
        return f"{self.username}@{self.host}:{self.port}/{self.folder}"

    @classmethod
    def parse(cls, url: str) -> ImapMailbox:
        """Read ``imaps://user:password@host/FOLDER?move=FOLDER``; without a folder INBOX.

        ``imap:`` is STARTTLS, or on loopback nothing, unless ``tls=`` says otherwise. Raises
        SettingsInvalid.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
            options = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
        except ValueError as error:
            raise SettingsInvalid(f"inbound.imap: {error}") from error
        host, username = parts.hostname or "", unquote(parts.username or "")
        if parts.scheme not in {"imap", "imaps"} or not host or not username or parts.fragment:
            raise SettingsInvalid(f"inbound.imap: write it like {_EXAMPLE}")
        if unknown := options.keys() - {"tls", "move"}:
            raise SettingsInvalid(
                f"inbound.imap: {min(unknown)!r} is not an option; tls and move are"
            )
        said = options.get("tls", [""])[-1]
        tls = "imaps"
        if parts.scheme == "imap":
            if said not in ("", "starttls", "none"):
                raise SettingsInvalid("inbound.imap: tls is starttls or none")
            tls = said or ("none" if is_loopback(host) else "starttls")
        elif said:
            raise SettingsInvalid("inbound.imap: imaps is TLS already; leave tls= out")
        folder = unquote(parts.path.strip("/")) or "INBOX"
        move_to = options.get("move", [""])[-1]
        if not (folder + move_to).isascii() or not (folder + move_to).isprintable():
            raise SettingsInvalid("inbound.imap: write the folder in ASCII, as the server has it")
        return cls(
            host,
            port or (993 if tls == "imaps" else 143),
            username,
            unquote(parts.password or ""),
            folder,
            cast(Literal["imaps", "starttls", "none"], tls),
            move_to,
        )


def look(
    mailbox: ImapMailbox,
    since: Position | None,
    take: Take,
    *,
    timeouts: Timeouts | None = None,
    tls_context: ssl.SSLContext | None = None,
) -> int:
    """Hand every message after *since* to *take*, the oldest first; how many.

    Each is marked, or moved, once *take* has kept it. Raises ImapFailed, and what *take* raises.
    """
    with _signed_in(mailbox, timeouts or Timeouts(), tls_context) as connection:
        validity = _open(connection, mailbox)
        last = since.last_uid if since is not None and since.validity == validity else 0
        taken = 0
        with _as_failures(mailbox):
            waiting = _uids(connection, last)[:AT_ONCE]
        for uid in waiting:
            with _as_failures(mailbox):
                found = _fetch(connection, uid)
            if found is None:
                continue  # somebody else removed it meanwhile
            take(Position(validity, uid), *found)
            taken += 1
            with _as_failures(mailbox):
                _mark(connection, mailbox, uid)
        return taken


@contextlib.contextmanager
def _as_failures(mailbox: ImapMailbox) -> Iterator[None]:
    try:
        yield
    except (imaplib.IMAP4.error, OSError, EOFError, ValueError) as error:
        said = str(error).replace(mailbox.password, "•••") if mailbox.password else str(error)
        raise ImapFailed(f"{type(error).__name__}: {said[:200]}") from error


@contextlib.contextmanager
def _signed_in(
    mailbox: ImapMailbox, timeouts: Timeouts, tls_context: ssl.SSLContext | None
) -> Iterator[Any]:
    with _as_failures(mailbox):
        context = tls_context
        if mailbox.tls != "none" and context is None:
            context = ssl.create_default_context()
        kind = _OverTls if mailbox.tls == "imaps" else _Plain
        connection: Any = kind(mailbox, timeouts, context)
    try:
        with _as_failures(mailbox):
            if mailbox.tls == "starttls":
                # Refused where it is not offered: no password goes over an open line.
                connection.starttls(context)
            connection.login(mailbox.username, mailbox.password)
        yield connection
    finally:
        with contextlib.suppress(imaplib.IMAP4.error, OSError, EOFError, ValueError):
            connection.logout()
        with contextlib.suppress(OSError):
            connection.shutdown()  # also where the server did not say good-bye


def _open(connection: Any, mailbox: ImapMailbox) -> int:
    """Select the folder; its UIDVALIDITY."""
    with _as_failures(mailbox):
        _well(connection.select(_quoted(mailbox.folder)))
        _, said = connection.response("UIDVALIDITY")
        if not said or not said[0]:
            raise imaplib.IMAP4.error("the server tells no UIDVALIDITY")
        return int(said[0])


def _uids(connection: Any, last: int) -> list[int]:
    """The numbers after *last*. (``n:*`` is never empty: it has the last message at least.)"""
    said = _well(connection.uid("SEARCH", f"UID {last + 1}:*"))
    return sorted({uid for uid in map(int, (said[0] or b"").split()) if uid > last})


def _fetch(connection: Any, uid: int) -> tuple[bytes, int] | None:
    """The first octets of message *uid*, and how many it has in all; None when it is gone."""
    said = _well(connection.uid("FETCH", str(uid), f"(RFC822.SIZE BODY.PEEK[]<0.{LARGEST}>)"))
    content: bytes | None = None
    beside = b""
    for part in said:
        if isinstance(part, tuple):
            beside += part[0] + b" "
            content = part[1]
        elif isinstance(part, bytes):
            beside += part + b" "
    if content is None:
        return None
    size = _SIZE.search(beside)
    return content, max(int(size[1]) if size else 0, len(content))


def _mark(connection: Any, mailbox: ImapMailbox, uid: int) -> None:
    """Show people that it was read; that it is not read twice does not depend on it."""
    if not mailbox.move_to:
        connection.uid("STORE", str(uid), "+FLAGS", r"(\Seen)")
        return
    folder = _quoted(mailbox.move_to)
    if "MOVE" in connection.capabilities:
        kind, said = connection.uid("MOVE", str(uid), folder)
    else:
        kind, said = connection.uid("COPY", str(uid), folder)
        if kind == "OK":
            connection.uid("STORE", str(uid), "+FLAGS", r"(\Seen \Deleted)")
            if "UIDPLUS" in connection.capabilities:
                connection.uid("EXPUNGE", str(uid))
    if kind != "OK":
        log.warning("imap.not_moved", said=str(said)[:200])


def _well(answer: tuple[str, list[Any]]) -> list[Any]:
    kind, said = answer
    if kind != "OK":
        raise imaplib.IMAP4.error(f"{kind} {said!r}"[:300])
    return said


def _quoted(folder: str) -> str:
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# The wire


class _Patient:
    """Reading with an end to it: imaplib's own waits anew for every octet, and keeps any number."""

    file: Any
    sock: Any

    def __init__(
        self, mailbox: ImapMailbox, timeouts: Timeouts, context: ssl.SSLContext | None
    ) -> None:
        self.mailbox = mailbox
        self._ends = time.monotonic() + timeouts.look_s
        options: dict[str, Any] = {"timeout": timeouts.answer_s}
        if mailbox.tls == "imaps":
            options["ssl_context"] = context
        super().__init__(mailbox.host, mailbox.port, **options)  # type: ignore[call-arg]

    def read(self, size: int) -> bytes:
        if size > LARGEST + _LITERAL_ROOM:
            raise imaplib.IMAP4.abort(f"a literal of {size} octets")
        chunks = bytearray()
        while len(chunks) < size:
            self._hurry()
            chunk = self.file.read1(min(size - len(chunks), _CHUNK))
            if not chunk:
                raise imaplib.IMAP4.abort("the server ended the connection")
            chunks += chunk
        return bytes(chunks)

    def readline(self) -> bytes:
        line = bytearray()
        while not line.endswith(b"\n"):
            self._hurry()
            if len(line) > _LITERAL_ROOM:
                raise imaplib.IMAP4.abort("a line without end")
            ahead = self.file.peek(1)
            if not ahead:
                raise imaplib.IMAP4.abort("the server ended the connection")
            line += self.file.read1(ahead.find(b"\n") + 1 or len(ahead))
        return bytes(line)

    def _hurry(self) -> None:
        if time.monotonic() > self._ends:
            raise imaplib.IMAP4.abort("the server took too long")


class _Plain(_Patient, imaplib.IMAP4):
    pass


class _OverTls(_Patient, imaplib.IMAP4_SSL):
    pass

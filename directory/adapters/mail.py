"""Hands a composed message to the next machine, and says in our words what came of it."""

from __future__ import annotations

import email
import email.policy
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TextIO
from urllib.parse import urlsplit

import flask_mail
import structlog
from flask import Flask

from directory.adapters.mailbox import keep_message
from directory.adapters.smtp import (
    IDLE_S,
    LOST,
    MESSAGES_A_CONNECTION,
    Accepted,
    BeforeData,
    LeaseLost,
    MailServer,
    SafeConnection,
    StoredMessage,
    Timeouts,
    is_loopback,
)
from directory.domain.errors import SettingsInvalid, TemporaryFailure

__all__ = [
    "Accepted",
    "BeforeData",
    "ConsoleTransport",
    "FolderTransport",
    "LeaseLost",
    "MailServer",
    "NullTransport",
    "RedirectedTransport",
    "SmtpTransport",
    "Timeouts",
    "Transport",
    "announce",
    "is_loopback",
    "open_transport",
]

log = structlog.get_logger(__name__)


class Transport(Protocol):
    """Takes one message to one recipient.

    ``server`` names where to. ``close`` ends what is kept open; the next ``send`` opens it anew.
    """

    server: str

    def send(
        self,
        envelope_sender: str,
        recipient: str,
        content: bytes,
        *,
        before_data: BeforeData | None = None,
    ) -> Accepted:
        """Returns once the message is accepted.

        *before_data* is asked just before the message itself is sent, and False abandons it with
        LeaseLost. Raises TemporaryFailure, OurFailure or PermanentFailure.
        """

    def close(self) -> None: ...


def open_transport(
    url: str,
    *,
    timeouts: Timeouts | None = None,
    hello: str = "",
    app: Flask | None = None,
    tls_context: ssl.SSLContext | None = None,
) -> Transport:
    """The transport that *url* names; nothing is connected yet.

    ``smtp:``, ``smtps:``; ``file:DIR`` (one .eml each); ``console:``; ``null:``. *hello* is our
    name for EHLO, the host of the base URL. *app* is told to whoever listens to flask-mail's
    ``email_dispatched``. *tls_context* is for servers whose certificate only the caller can
    check. Raises SettingsInvalid.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "smtp" | "smtps":
            return SmtpTransport(
                MailServer.parse(url),
                timeouts=timeouts or Timeouts(),
                hello=hello,
                app=app,
                tls_context=tls_context,
            )
        case "file":
            folder = url.removeprefix("file:")
            if not folder or folder.startswith("//"):
                raise SettingsInvalid("mail.url: write file:DIR, as in file:var/mail")
            return FolderTransport(Path(folder), app=app)
        case "console":
            return ConsoleTransport(app=app)
        case "null":
            return NullTransport(app=app)
        case _:
            raise SettingsInvalid("mail.url: begin with smtp:, smtps:, file:, console: or null:")


# SMTP


class SmtpTransport:
    """One kept connection to a smarthost. For one thread of one process."""

    def __init__(
        self,
        server: MailServer,
        *,
        timeouts: Timeouts,
        hello: str = "",
        app: Flask | None = None,
        tls_context: ssl.SSLContext | None = None,
        messages_a_connection: int = MESSAGES_A_CONNECTION,
        idle_s: float = IDLE_S,
    ) -> None:
        self.server = str(server)
        self._app = app
        state = flask_mail.Mail().init_mail(
            {"MAIL_SERVER": server.host, "MAIL_PORT": server.port, "MAIL_MAX_EMAILS": None}
        )
        self._connection = SafeConnection(
            state,
            server,
            timeouts=timeouts,
            hello=hello,
            tls_context=tls_context,
            messages_a_connection=messages_a_connection,
            idle_s=idle_s,
        )

    def send(
        self,
        envelope_sender: str,
        recipient: str,
        content: bytes,
        *,
        before_data: BeforeData | None = None,
    ) -> Accepted:
        message = StoredMessage(envelope_sender, recipient, content, before_data)
        self._connection.send(message)
        assert message.accepted is not None
        announce(self._app, envelope_sender, recipient, content)
        return message.accepted

    def close(self) -> None:
        self._connection.close()


# Where there is no mail server


class _LocalTransport:
    """Takes a message on this machine; ``_take`` says what became of it, and under what id."""

    def __init__(self, server: str, app: Flask | None) -> None:
        self.server = server
        self._app = app

    def send(
        self,
        envelope_sender: str,
        recipient: str,
        content: bytes,
        *,
        before_data: BeforeData | None = None,
    ) -> Accepted:
        if before_data is not None and not before_data():
            raise LeaseLost(LOST)
        word, message_id = self._take(envelope_sender, recipient, content)
        announce(self._app, envelope_sender, recipient, content)
        return Accepted(250, f"2.0.0 Ok: {word}", self.server, message_id)

    def close(self) -> None:
        """Nothing is kept open."""

    def _take(self, envelope_sender: str, recipient: str, content: bytes) -> tuple[str, str]:
        raise NotImplementedError


class FolderTransport(_LocalTransport):
    """Each message one .eml file, as the loopback mailbox writes them."""

    def __init__(self, folder: Path, *, app: Flask | None = None) -> None:
        super().__init__(f"file:{folder}", app)
        self._folder = folder

    def _take(self, envelope_sender: str, recipient: str, content: bytes) -> tuple[str, str]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            now = datetime.now(UTC)
            message_id = keep_message(
                self._folder, envelope_sender, [recipient], content, now=now, durable=True
            )
        except OSError as error:
            # Not its text: it names a place on this machine.
            raise TemporaryFailure("dot", 0, type(error).__name__) from error
        return f"kept as {message_id}", message_id


class ConsoleTransport(_LocalTransport):
    """Each message printed, for a developer who watches."""

    def __init__(self, *, app: Flask | None = None, stream: TextIO | None = None) -> None:
        super().__init__("console:", app)
        self._stream = stream

    def _take(self, envelope_sender: str, recipient: str, content: bytes) -> tuple[str, str]:
        print(
            f"--- from {envelope_sender} to {recipient}",
            _unix(content.decode("utf-8", "replace")),
            sep="\n",
            file=self._stream or sys.stderr,
            flush=True,
        )
        return "printed", ""


class NullTransport(_LocalTransport):
    """Each message taken and thrown away."""

    def __init__(self, *, app: Flask | None = None) -> None:
        super().__init__("null:", app)

    def _take(self, envelope_sender: str, recipient: str, content: bytes) -> tuple[str, str]:
        return "thrown away", ""


class RedirectedTransport:
    """Everything to one address, for trying real mail without reaching anybody else.

    The recipient that was meant stands first in the message, as X-Original-To.
    """

    def __init__(self, transport: Transport, to: str) -> None:
        self.server = transport.server
        self._transport = transport
        self._to = to

    def send(
        self,
        envelope_sender: str,
        recipient: str,
        content: bytes,
        *,
        before_data: BeforeData | None = None,
    ) -> Accepted:
        meant = f"X-Original-To: {recipient}\r\n".encode()
        return self._transport.send(
            envelope_sender, self._to, meant + content, before_data=before_data
        )

    def close(self) -> None:
        self._transport.close()


def announce(app: Flask | None, envelope_sender: str, recipient: str, content: bytes) -> None:
    """Tell whoever listens to flask-mail's ``email_dispatched`` that a message is out.

    The message is read from its bytes, and only if somebody listens. It is accepted by now, so
    a listener that raises is logged and must not make it look otherwise.
    """
    if not flask_mail.email_dispatched.receivers:
        return
    message = email.message_from_bytes(content, policy=email.policy.default)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    try:
        flask_mail.email_dispatched.send(
            app,
            message=flask_mail.Message(
                subject=str(message["Subject"] or ""),
                recipients=[recipient],
                sender=str(message["From"] or envelope_sender),
                reply_to=str(message["Reply-To"]) if message["Reply-To"] else None,
                body=_unix(text.get_content()) if text else None,
                html=_unix(html.get_content()) if html else None,
            ),
        )
    except Exception:
        log.exception("mail.listener_failed")


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")

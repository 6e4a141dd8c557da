"""SMTP, as flask-mail's connection made safe.

As shipped that waits for ever, checks no certificate, takes no notice of refused recipients, and
raises after the message was accepted when QUIT is answered oddly, which would send it twice.
"""

from __future__ import annotations

import contextlib
import queue
import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Literal, cast
from urllib.parse import parse_qs, unquote, urlsplit

import flask_mail

from directory.domain.delivery import refusal
from directory.domain.errors import (
    DeliveryFailure,
    DirectoryError,
    OurFailure,
    PermanentFailure,
    SettingsInvalid,
    TemporaryFailure,
)

MESSAGES_A_CONNECTION = 100
"""After so many the connection is made anew; many servers end one after a few hundred."""

IDLE_S = 30.0
"""A kept connection unused for longer is not trusted, for servers end theirs after minutes."""

LINE_LIMIT = 8_192
REPLY_LIMIT = 65_536
"""Octets of one line and of one whole reply that are listened to. RFC 5321 allows 512 a line."""

QUIT_S = 5.0
LOST = "the claim was taken over before the message was sent"
_CHUNK = 16_384
_REPLY_LINE = re.compile(rb"[2-5]\d\d(?:[ -]|\Z)")
_QUEUE_ID = re.compile(r"(?:\bqueued as|\bid=|\bqueued)\s*<?([A-Za-z0-9][\w.+@-]*)", re.IGNORECASE)
_NO_ADDRESS = re.compile(r"[\x00-\x20\x7f<>]")

BeforeData = Callable[[], bool]


class LeaseLost(DirectoryError):
    """The worker's claim was gone when it looked just before DATA; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, for each reply, for the reply after the dot, for the whole attempt.

    RFC 5321 section 4.5.3.2 advises minutes for each; with several workers and a retry soon
    after, shorter ones cost nothing but a try. The last exists because a server that sends a
    byte now and then never lets the others run out.
    """

    connect_s: float = 30
    command_s: float = 60
    data_s: float = 600
    attempt_s: float = 900


@dataclass(frozen=True, slots=True)
class Accepted:
    """The mail server's word that the message is theirs now.

    ``queue_id`` is their number for it where the reply names one, else "". ``server`` is host
    and port.
    """

    code: int
    text: str
    server: str
    queue_id: str

    @property
    def reply(self) -> str:
        """The reply in one line, "250 2.0.0 Ok: queued as 4XYZ"."""
        return f"{self.code} {self.text}".rstrip()


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where and how to speak SMTP.

    ``tls``: "starttls" (asked for, and no mail without it), "smtps" (TLS from the first byte)
    or "none".
    """

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    tls: Literal["starttls", "smtps", "none"]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> MailServer:
        """Read ``smtp://user:password@host:port?tls=starttls`` or ``smtps://…``.

        Without a port: 587 with a user, else 25; smtps 465. TLS is off on loopback unless asked
        for, and on elsewhere unless ``tls=none`` is said. Raises SettingsInvalid.
        """
        parts = urlsplit(url)
        try:
            host, port = parts.hostname or "", parts.port
            options = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
        except ValueError as error:
            raise SettingsInvalid(f"mail.url: {error}") from error
        if not host or parts.path not in ("", "/") or parts.fragment:
            raise SettingsInvalid("mail.url: write it like smtp://user@mail.example.org:587")
        if unknown := options.keys() - {"tls"}:
            raise SettingsInvalid(f"mail.url: {min(unknown)!r} is not an option; only tls is")
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        said = options.get("tls", [""])[-1]
        if parts.scheme == "smtps":
            if said:
                raise SettingsInvalid("mail.url: smtps is TLS already; leave tls= out")
            return cls(host, port or 465, username, password, "smtps")
        if said not in ("", "starttls", "none"):
            raise SettingsInvalid("mail.url: tls is starttls or none")
        tls = said or ("none" if is_loopback(host) else "starttls")
        return cls(
            host,
            port or (587 if username else 25),
            username,
            password,
            cast(Literal["starttls", "none"], tls),
        )


def hello_name(host: str) -> str:
    """What we call ourselves in EHLO: *host*, an address in the brackets RFC 5321 wants."""
    try:
        address = ip_address(host)
    except ValueError:
        return host or "localhost"
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine, judged by its spelling: nothing is looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


class StoredMessage(flask_mail.Message):
    """A message whose bytes exist already, to one recipient."""

    def __init__(
        self,
        envelope_sender: str,
        recipient: str,
        content: bytes,
        before_data: BeforeData | None = None,
    ) -> None:
        # Message's own __init__ would ask the DNS for this machine's name, to make a Message-ID
        # that nobody uses.
        self.sender = envelope_sender
        self.recipients = [recipient]
        self.cc = []
        self.bcc = []
        self.content = content
        self.recipient = recipient
        self.envelope_sender = envelope_sender
        self.before_data = before_data
        self.accepted: Accepted | None = None

    def as_bytes(self) -> bytes:
        return self.content


class SafeConnection(flask_mail.Connection):
    """flask-mail's connection with an end to every wait, and an answer for every recipient."""

    host: _Conversation | None

    def __init__(
        self,
        mail: Any,
        server: MailServer,
        *,
        timeouts: Timeouts,
        hello: str,
        tls_context: ssl.SSLContext | None,
        messages_a_connection: int,
        idle_s: float,
    ) -> None:
        super().__init__(mail)
        self._server = server
        self._timeouts = timeouts
        self._hello = hello_name(hello)
        self._tls_context = tls_context
        self._messages_a_connection = messages_a_connection
        self._idle_s = idle_s
        self._ends = 0.0
        self._used_at = 0.0

    def configure_host(self) -> _Conversation:
        """Connect, greet, secure and sign in. Raises DeliveryFailure."""
        if self._server.tls != "none" and self._tls_context is None:
            # Reading the system's certificates takes a hundredth of a second: once is enough.
            self._tls_context = ssl.create_default_context()
        host = _Conversation(self._server, self._timeouts, self._hello, self._tls_context)
        host.ends = self._ends
        try:
            with _as_failures(host):
                host.open()
        except BaseException:
            host.close()
            raise
        self.num_emails = 0
        self._used_at = time.monotonic()
        return host

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(
        self, message: flask_mail.Message, envelope_from: str | tuple[str, str] | None = None
    ) -> None:
        """Send a StoredMessage, within one deadline; its ``accepted`` then says how it went.

        Raises DeliveryFailure or LeaseLost. The connection is kept where both sides still know
        where they are in the conversation, and ended where they may not.
        """
        assert isinstance(message, StoredMessage)
        self._ends = time.monotonic() + self._timeouts.attempt_s
        if self.num_emails >= self._messages_a_connection or (
            time.monotonic() - self._used_at > self._idle_s
        ):
            self.close()
        kept = self.host
        if kept is None:
            self.host = self.configure_host()
        try:
            message.accepted = self._transact(message)
        except TemporaryFailure as failure:
            # A kept connection may have ended since: nothing was said on this one yet, so a new
            # one is no second try.
            if kept is None or not _had_ended(failure):
                raise
            self.host = self.configure_host()
            message.accepted = self._transact(message)
        self.num_emails += 1
        self._used_at = time.monotonic()

    def close(self) -> None:
        """End the connection politely, if there is one. Never raises: all news is in already."""
        host, self.host = self.host, None
        self.num_emails = 0
        if host is not None:
            host.part()

    def _transact(self, message: StoredMessage) -> Accepted:
        host = self.host
        assert host is not None
        host.ends = self._ends
        try:
            with _as_failures(host):
                code, text = host.transact(message)
        except BaseException as error:
            self._used_at = time.monotonic()
            if not host.in_step(error) or not host.reset():
                host.close()
                self.host = None
            raise
        return Accepted(code, text, str(self._server), queue_id_in(text))


@dataclass(frozen=True, slots=True)
class Trial:
    """What a mail server showed to one who signed in and sent nothing.

    ``size`` is the largest message it takes, in octets, None where it does not say.
    ``certificate_ends`` is None without TLS.
    """

    server: str
    signed_in: bool
    size: int | None
    certificate_ends: datetime | None


def try_out(
    server: MailServer,
    *,
    timeouts: Timeouts,
    hello: str = "",
    tls_context: ssl.SSLContext | None = None,
) -> Trial:
    """Connect, secure, sign in as for a message, and leave. Raises DeliveryFailure."""
    if server.tls != "none" and tls_context is None:
        tls_context = ssl.create_default_context()
    host = _Conversation(server, timeouts, hello_name(hello), tls_context)
    host.ends = time.monotonic() + timeouts.attempt_s
    try:
        with _as_failures(host):
            host.open()
        size = host.esmtp_features.get("size", "")
        ends = None
        if isinstance(host.sock, ssl.SSLSocket):
            until = str((host.sock.getpeercert() or {}).get("notAfter", ""))
            ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC) if until else None
        return Trial(
            str(server), bool(server.username), int(size) if size.isdigit() else None, ends
        )
    finally:
        host.part()


class _Refused(smtplib.SMTPResponseException):
    """A whole reply, which was not the one hoped for."""


class _NoReply(smtplib.SMTPException):
    """Bytes that are no reply, or more of them than anybody has to listen to."""


class _Conversation(smtplib.SMTP):
    """One SMTP connection; ``stage`` is where it stands, ``ends`` when it must be over.

    smtplib's own reading and sending wait anew for every byte, and its reader keeps any number
    of lines; both are replaced. ``ends`` is on the monotonic clock.
    """

    sock: socket.socket | None

    def __init__(
        self,
        server: MailServer,
        timeouts: Timeouts,
        hello: str,
        tls_context: ssl.SSLContext | None,
    ) -> None:
        super().__init__(local_hostname=hello)
        self.server = server
        self.timeouts = timeouts
        self.tls_context = tls_context
        self.stage = "connect"
        self.ends = 0.0
        self._received = bytearray()

    def open(self) -> None:
        """From nothing to a connection that takes MAIL."""
        self.sock = self._connected()
        if self.server.tls == "smtps":
            self._secure()
        self.stage = "connect"
        self._expect(self.getreply(), 2)
        self._greet()
        if self.server.tls == "starttls":
            self._start_tls()
        if self.server.username:
            self._sign_in()

    def transact(self, message: StoredMessage) -> tuple[int, str]:
        """MAIL, RCPT, DATA and the message. The reply to the last."""
        sender, recipient, content = message.envelope_sender, message.recipient, message.content
        self.stage = "mail"
        self._check(sender, recipient, content)
        # One by one, though many servers take several at once (PIPELINING): those that answer
        # each in a packet of its own are slower so, by the client's delayed acknowledgement.
        self._expect(self.docmd(f"MAIL FROM:<{sender}>{self._mail_options(message)}"), 2)
        self.stage = "rcpt"
        self._expect(self.docmd(f"RCPT TO:<{recipient}>"), 2)
        self.stage = "data"
        if message.before_data is not None and not message.before_data():
            raise LeaseLost(LOST)
        self._expect(self.docmd("DATA"), 3)
        self.stage = "dot"
        stuffed = content.replace(b"\r\n.", b"\r\n..")
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        self.send(stuffed + b".\r\n")
        answer = self.getreply()
        self._expect(answer, 2)
        return answer[0], _one_line(answer[1])

    def reset(self) -> bool:
        """Whether the server is ready for another message."""
        self.stage = "rset"
        try:
            return self.rset()[0] == 250
        except OSError:
            # Why it is not is no news about the message that was just refused.
            return False

    def part(self) -> None:
        """QUIT, in the one way that matters: whatever is said now changes nothing."""
        self.ends = time.monotonic() + min(QUIT_S, self.timeouts.command_s)
        self.stage = "quit"
        with contextlib.suppress(OSError):
            self.docmd("QUIT")
        self.close()

    def in_step(self, error: BaseException) -> bool:
        """Whether both sides still agree where they are, after *error*.

        They do after a whole reply, and after a refusal of our own, which nothing in the
        conversation caused.
        """
        if isinstance(error, DeliveryFailure):
            whole_reply = 400 <= error.code <= 599 and error.code != 421
            return whole_reply or error.__cause__ is None
        return isinstance(error, LeaseLost)

    def close(self) -> None:
        self._received.clear()
        super().close()

    # The wire

    def getreply(self) -> tuple[int, bytes]:
        """One whole reply, within the time of its stage and the attempt's."""
        seconds = {"connect": self.timeouts.connect_s, "dot": self.timeouts.data_s}.get(
            self.stage, self.timeouts.command_s
        )
        ends = min(self.ends, time.monotonic() + seconds)
        lines: list[bytes] = []
        size = 0
        while True:
            line = self._line(ends)
            size += len(line)
            if not _REPLY_LINE.match(line):
                raise _NoReply(f"not a reply: {line[:60]!r}")
            if size > REPLY_LIMIT:
                raise _NoReply(f"a reply of more than {REPLY_LIMIT} octets")
            lines.append(line[4:].strip())
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)

    def _line(self, ends: float) -> bytes:
        while (at := self._received.find(b"\n")) < 0:
            if len(self._received) > LINE_LIMIT:
                raise _NoReply(f"a line of more than {LINE_LIMIT} octets")
            chunk = self._open_socket(ends).recv(4_096)
            if not chunk:
                raise smtplib.SMTPServerDisconnected("the server ended the connection")
            self._received += chunk
        line = bytes(self._received[:at]).rstrip(b"\r")
        del self._received[: at + 1]
        return line

    def send(self, s: Any) -> None:
        """Send all of *s*, within the time of its stage and the attempt's."""
        data = memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s)
        seconds = self.timeouts.data_s if self.stage == "dot" else self.timeouts.command_s
        ends = min(self.ends, time.monotonic() + seconds)
        # In pieces, for sendall over TLS gives each record a time-out of its own.
        for start in range(0, len(data), _CHUNK):
            self._open_socket(ends).sendall(data[start : start + _CHUNK])

    def _open_socket(self, ends: float) -> socket.socket:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("there is no connection")
        self.sock.settimeout(_left(ends))
        return self.sock

    def _connected(self) -> socket.socket:
        ends = min(self.ends, time.monotonic() + self.timeouts.connect_s)
        addresses = _resolve(self.server.host, self.server.port, ends)
        failure: OSError | None = None
        for tried, (family, kind, protocol, _, address) in enumerate(addresses):
            sock = socket.socket(family, kind, protocol)
            try:
                # Each address has its share of what is left, so that one that never answers
                # (an IPv6 route to nowhere) does not take the others' time.
                sock.settimeout(_left(ends) / (len(addresses) - tried))
                sock.connect(address)
                # The end of a message would otherwise wait for the acknowledgement of its middle.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        raise failure or OSError(f"{self.server.host} has no address")

    def _greet(self) -> None:
        self.stage = "ehlo"
        code, text = self.ehlo()
        if code in (500, 502, 504):  # from before 1993: without extensions, but a mail server
            code, text = self.helo()
        self._expect((code, text), 2)

    def _start_tls(self) -> None:
        self.stage = "starttls"
        if not self.has_extn("starttls"):
            raise OurFailure("starttls", 0, "the server does not offer STARTTLS")
        self._expect(self.docmd("STARTTLS"), 2)
        if self._received:
            # Said before the conversation was private, to be believed after: CVE-2011-0411.
            raise OurFailure("starttls", 0, "something was said between STARTTLS and TLS")
        self._secure()
        # What was offered in the clear may have been forged.
        self.esmtp_features.clear()
        self._greet()

    def _sign_in(self) -> None:
        self.stage = "auth"
        self.user, self.password = self.server.username, self.server.password
        # Without TLS, rather the way that does not show the password.
        hidden_first = self.server.tls == "none"
        ways = ["CRAM-MD5", "PLAIN", "LOGIN"] if hidden_first else ["PLAIN", "LOGIN", "CRAM-MD5"]
        offered = self.esmtp_features.get("auth", "").upper().split()
        # Only the first: smtplib's login() tries a refused password again in every way there is,
        # which counts as several failures, and the last reply is all it keeps.
        way = next((way for way in ways if way in offered), None)
        if way is None:
            raise OurFailure("auth", 0, "the server offers no way to sign in that we know")
        self.auth(way, getattr(self, f"auth_{way.lower().replace('-', '_')}"))

    def _secure(self) -> None:
        self.stage = "starttls"
        context, sock = self.tls_context, self.sock
        assert context is not None and sock is not None
        sock.settimeout(_left(min(self.ends, time.monotonic() + self.timeouts.command_s)))
        self.sock = context.wrap_socket(sock, server_hostname=self.server.host)

    # What goes over it

    def _expect(self, answer: tuple[int, bytes], first_digit: int) -> None:
        code, text = answer
        if code // 100 != first_digit:
            raise _Refused(code, text)

    def _check(self, sender: str, recipient: str, content: bytes) -> None:
        """Refuse here what must not, or cannot, go over this connection."""
        for address in (sender, recipient):
            if _NO_ADDRESS.search(address) or "@" not in address:
                raise PermanentFailure("rcpt", 0, "this is not one address")
        if not content.endswith(b"\r\n") or not (
            content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r")
        ):
            # A lone CR or LF beside a dot ends the message for some servers and not for others,
            # and what follows would be a message of the visitor's making (SMTP smuggling).
            raise PermanentFailure("data", 0, "the message has a line end of its own kind")
        limit = self.esmtp_features.get("size", "")
        if limit.isdecimal() and 0 < int(limit) < len(content):
            raise PermanentFailure(
                "mail", 0, f"the message has {len(content)} octets, the server takes {limit}"
            )

    def _mail_options(self, message: StoredMessage) -> str:
        options = f" SIZE={len(message.content)}" if self.has_extn("size") else ""
        self.command_encoding = "ascii"
        if not (message.recipient + message.envelope_sender).isascii() or (
            not message.content.isascii()
        ):
            if not (self.has_extn("smtputf8") and self.has_extn("8bitmime")):
                raise OurFailure("mail", 0, "the server does not offer SMTPUTF8")
            self.command_encoding = "utf-8"
            options += " BODY=8BITMIME SMTPUTF8"
        return options


@contextmanager
def _as_failures(conversation: _Conversation) -> Iterator[None]:
    """The world's errors become our errors."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error
        raise refusal(
            conversation.stage,
            error.smtp_code,
            _one_line(text) if isinstance(text, bytes) else text,
        ) from error
    except ssl.SSLError as error:
        # A certificate that is wrong, or no TLS at all behind the port. What goes wrong once TLS
        # stands, and a connection that ends, are the network's.
        ours = conversation.stage == "starttls" and not isinstance(error, ssl.SSLEOFError)
        kind = OurFailure if ours else TemporaryFailure
        raise kind(conversation.stage, 0, f"{type(error).__name__}: {error}") from error
    except UnicodeError as error:
        # Our own account name or password; smtplib sends these in ASCII only.
        raise OurFailure(conversation.stage, 0, type(error).__name__) from error
    except (OSError, ValueError) as error:  # smtplib's are OSErrors too
        raise TemporaryFailure(conversation.stage, 0, f"{type(error).__name__}: {error}") from error


def _had_ended(failure: TemporaryFailure) -> bool:
    if failure.stage != "mail":
        return False
    return failure.code == 421 or isinstance(
        failure.__cause__, (smtplib.SMTPServerDisconnected, ConnectionError, ssl.SSLEOFError)
    )


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time for this was over")
    return left


def _resolve(host: str, port: int, ends: float) -> list[Any]:
    """The addresses of *host*, within the time; the resolver itself keeps none."""
    with contextlib.suppress(socket.gaierror):  # a name, then, and no address
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    answers: queue.SimpleQueue[list[Any] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except OSError as error:
            answers.put(error)

    # A daemon: it may be stuck for minutes after nobody waits for it any more.
    threading.Thread(target=ask, daemon=True, name="resolver").start()
    try:
        answer = answers.get(timeout=_left(ends))
    except queue.Empty as error:
        raise TimeoutError(f"no address for {host} in time") from error
    if isinstance(answer, OSError):
        raise answer
    return answer


def _one_line(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())


def queue_id_in(text: str) -> str:
    """The number a server says it keeps the message under ("queued as 4XYZ"), or ""."""
    found = _QUEUE_ID.search(text)
    return found[1] if found else ""

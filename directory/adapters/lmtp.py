"""An LMTP server (RFC 2033): the mail system next door hands over what came for us.

As SMTP, but each recipient of a message is answered for alone, and only once its copy is kept:
what is not is answered 4yz, so that the mail system keeps it and tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from directory.domain.errors import DirectoryError, SettingsInvalid

if TYPE_CHECKING:
    from aiosmtpd.smtp import Envelope, Session

log = structlog.get_logger(__name__)

SIZE_LIMIT = 35_000_000
CONNECTIONS = 8
RECIPIENTS = 50
LINE = 1_000_000
"""Limits: octets of a message, which are in memory until they are kept; connections at once;
recipients of a message; octets of a line, of which RFC 5321 allows a thousand and programs write
more."""

TIMEOUT_S = 120.0
UNIX = "unix:"

Keep = Callable[[bytes, str, str], bool]
"""Keeps a message (its octets, the envelope's sender, one recipient) on disk before it returns.
Raises Unavailable where it cannot."""


def listen(where: str, root: Path) -> socket.socket:
    """An open socket at *where*: "127.0.0.1:2424", "[::1]:2424" or "unix:PATH" below *root*.

    Raises SettingsInvalid for anything else, and OSError when it is in use.
    """
    if where.startswith(UNIX):
        return _listen_in_file(root / where.removeprefix(UNIX))
    host, colon, port = where.rpartition(":")
    host = host.strip("[]")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65535 or not host:
        raise SettingsInvalid("inbound.lmtp: write host:port, as in 127.0.0.1:2424, or unix:PATH")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _bound(listener, (host, int(port)))


def _listen_in_file(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):  # of a server that was killed
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(path)) == 0:
                    raise OSError(f"{path.name} is in use")
            path.unlink()
    listener = _bound(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), str(path))
    path.chmod(0o660)  # for the group that the mail system is made a member of
    return listener


def _bound(listener: socket.socket, address: Any) -> socket.socket:
    try:
        listener.bind(address)
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener


def serve_lmtp(listener: socket.socket, keep: Keep, *, ready: Callable[[], None]) -> None:
    """Take mail at *listener* until SIGTERM or SIGINT; *ready* is called once it is answered."""
    asyncio.run(_serve_until_told(listener, keep, ready))


async def _serve_until_told(listener: socket.socket, keep: Keep, ready: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve_until(listener, keep, stop, ready=ready)


async def serve_until(
    listener: socket.socket,
    keep: Keep,
    stop: asyncio.Event,
    *,
    ready: Callable[[], None],
    timeout_s: float = TIMEOUT_S,
) -> None:
    """As :func:`serve_lmtp`, until *stop* is set. A silent client is left after *timeout_s*."""
    # Nobody else needs the library, and reading it takes a tenth of a second.
    from aiosmtpd.lmtp import LMTP

    open_now: set[Any] = set()

    class Conversation(LMTP):
        line_length_limit = LINE

        def connection_made(self, transport: Any) -> None:
            open_now.add(self)
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            open_now.discard(self)
            super().connection_lost(error)

    def answer() -> asyncio.Protocol:
        if len(open_now) >= CONNECTIONS:
            return _Refusal()
        return Conversation(
            _Handler(keep),
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            hostname="localhost",  # else it would ask the DNS for one
            timeout=timeout_s,
        )

    loop = asyncio.get_running_loop()
    if listener.family == socket.AF_UNIX:
        server = await loop.create_unix_server(answer, sock=listener)
    else:
        server = await loop.create_server(answer, sock=listener)
    async with server:
        ready()
        await stop.wait()


class _Refusal(asyncio.Protocol):
    """Too many at once: come back later."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"421 4.3.2 too many connections\r\n")
        transport.close()


class _Handler:
    """What aiosmtpd calls for each recipient and each message."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep

    async def handle_RCPT(  # noqa: N802 - aiosmtpd looks for this name
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= RECIPIENTS:
            return "452 4.5.3 too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        sender = (envelope.mail_from or "").strip("<>")
        replies = [await self._reply(content, sender, to) for to in envelope.rcpt_tos]
        return "\r\n".join(replies)

    async def _reply(self, content: bytes, sender: str, recipient: str) -> str:
        try:
            # In a thread: while one waits for the database others are listened to.
            new = await asyncio.to_thread(self._keep, content, sender, recipient)
        except DirectoryError as error:
            log.error("lmtp.not_kept", error=type(error).__name__)
            return "451 4.3.0 cannot be kept now"
        except Exception:  # whatever it is, the mail system shall keep the message
            log.exception("lmtp.not_kept")
            return "451 4.3.0 cannot be kept now"
        return "250 2.0.0 kept" if new else "250 2.0.0 kept before"

    async def handle_exception(self, error: Exception) -> str:
        log.error("lmtp.failed", error=type(error).__name__)
        return "451 4.3.0 local error"

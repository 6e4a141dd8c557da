"""A real SMTP server in the tests' own process, that does at each stage what it is told.

It knows the protocol just well enough to be told where to break it. Nothing here is a mock: the
service speaks to it over TCP, and over TLS when given a context.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

STAGES = (
    *("connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot"),
    *("rset", "quit"),
)
FEATURES = ("8BITMIME", "SMTPUTF8", "SIZE 35000000", "ENHANCEDSTATUSCODES")

GOOD = {
    "connect": "220 mail.example ESMTP",
    "ehlo": "",
    "starttls": "220 2.0.0 Ready",
    "auth": "235 2.7.0 Signed in",
    "mail": "250 2.1.0 Ok",
    "rcpt": "250 2.1.5 Ok",
    "data": "354 End with a dot",
    "dot": "250 2.0.0 Ok: queued as {number}",
    "rset": "250 2.0.0 Ok",
    "quit": "221 2.0.0 Bye",
}


@dataclass(frozen=True)
class Say:
    """Answer with exactly this and a line end: a reply, or bytes that are none."""

    what: str | bytes


@dataclass(frozen=True)
class Hang:
    """Say nothing more, and keep the connection open."""


@dataclass(frozen=True)
class Drop:
    """End the connection without a word; ``reset`` with a TCP reset."""

    reset: bool = False


@dataclass(frozen=True)
class Drip:
    """Say ``what`` over and over, ``every`` so many seconds, and never finish."""

    what: bytes = b"2"
    every: float = 0.02


@dataclass(frozen=True)
class Endless:
    """Say ``what`` as fast as it is read, for ever."""

    what: bytes = b"250-still more\r\n"


@dataclass(frozen=True)
class Keep:
    """At "dot" only: store the message, and then do ``then`` instead of saying 250."""

    then: Act


@dataclass(frozen=True)
class Deaf:
    """Answer well, and then read nothing any more: what is sent fills the pipes and stays there."""


Act = Say | Hang | Drop | Drip | Endless | Keep | Deaf
Plan = Act | Sequence[Act | None] | Callable[[], Act | None] | None


@dataclass(frozen=True)
class Taken:
    """A message the server stored; ``at`` is on the monotonic clock."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    options: str
    tls: bool
    connection: int
    at: float = field(default_factory=time.monotonic)


class _Ended(Exception):
    """This connection is over."""


class SmtpServer:
    """Listens on a free port of 127.0.0.1 while entered.

    Each keyword names a stage and says what happens there: one act for every time, or a list
    used up in turn with None for "as a healthy server would", after which all is healthy; or a
    function asked each time. ``recipients`` has acts for single recipients at RCPT.
    """

    def __init__(
        self,
        *,
        features: Sequence[str] = FEATURES,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        recipients: Mapping[str, Act] | None = None,
        limit: int | None = None,
        **plans: Plan,
    ) -> None:
        if unknown := plans.keys() - set(STAGES):
            raise TypeError(f"no such stage: {unknown}")
        self.features = list(features)
        self.tls = tls
        self.implicit_tls = implicit_tls
        self.recipients = dict(recipients or {})
        self.limit = limit
        self.messages: list[Taken] = []
        self.commands: list[str] = []
        self.logins: list[str] = []
        self.connections = 0
        self.open_connections = 0
        self.most_at_once = 0
        self.said = 0
        self._plans: dict[str, Plan] = dict(plans)
        self._used: defaultdict[str, int] = defaultdict(int)
        self.lock = threading.Lock()
        self._stop = threading.Event()
        self.sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """What ``[mail] url`` would say."""
        return f"smtp://127.0.0.1:{self.port}"

    def plan(self, **plans: Plan) -> None:
        """From now on behave like this at these stages; None means healthy."""
        with self.lock:
            for stage, plan in plans.items():
                self._plans[stage] = plan
                self._used[stage] = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, port: int = 0) -> None:
        """Listen; *port* 0 is a free one, else the one it had before it was stopped."""
        self._stop.clear()
        listener = socket.create_server(("127.0.0.1", port), backlog=200)
        self._listener = listener
        self.port = listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._listen, args=(listener,), daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        """As if its machine were switched off: every connection ends, the port is refused."""
        self._stop.set()
        listener, self._listener = self._listener, None
        if listener is not None:
            # A thread that waits in accept() is not woken by close() alone.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.lock:
            sockets = list(self.sockets)
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _listen(self, listener: socket.socket) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                number = self.connections
            thread = threading.Thread(target=self._serve, args=(sock, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        talk = _Talk(self, sock, number)
        with self.lock:
            self.sockets.add(sock)
            self.open_connections += 1
            crowded = self.limit is not None and self.open_connections > self.limit
            self.most_at_once = max(self.most_at_once, self.open_connections)
        try:
            talk.run(crowded=crowded)
        except (_Ended, OSError):
            pass  # however a client leaves is its own affair; the tests look at what came
        finally:
            talk.sock.close()
            with self.lock:
                self.sockets.discard(talk.sock)
                self.open_connections -= 1

    def act(self, stage: str) -> Act | None:
        """What is planned for this time at *stage*; None is healthy."""
        with self.lock:
            plan = self._plans.get(stage)
            if callable(plan):
                return plan()
            if isinstance(plan, Sequence):
                used = self._used[stage]
                self._used[stage] += 1
                return plan[used] if used < len(plan) else None
            return plan

    @property
    def stopped(self) -> threading.Event:
        return self._stop


class _Talk:
    """One connection."""

    def __init__(self, server: SmtpServer, sock: socket.socket, number: int) -> None:
        self.server = server
        self.sock = sock
        self.number = number
        self.secure = False
        self.healthy = True
        self.buffer = b""
        self.sender = ""
        self.options = ""
        self.recipients: list[str] = []

    def run(self, *, crowded: bool) -> None:
        if self.server.implicit_tls:
            self.start_tls()
        if crowded:
            self.say("421 4.7.0 Too many connections")
            raise _Ended
        self.answer("connect")
        while True:
            line = self.line()
            verb, _, rest = line.partition(" ")
            self.server.commands.append(line.replace(verb, verb.upper(), 1))
            self.command(verb.upper(), rest)

    def command(self, verb: str, rest: str) -> None:
        match verb:
            case "EHLO":
                features = list(self.server.features)
                if self.server.tls is not None and not self.secure:
                    features.append("STARTTLS")
                lines = ["mail.example", *features]
                text = "\r\n".join(f"250-{line}" for line in lines[:-1])
                self.answer("ehlo", f"{text}\r\n250 {lines[-1]}".lstrip("\r\n"))
            case "HELO":
                self.say("250 mail.example")
            case "STARTTLS":
                self.answer("starttls")
                if self.healthy:
                    self.start_tls()
            case "AUTH":
                self.server.logins.append(rest)
                self.answer("auth")
            case "MAIL":
                self.sender, _, self.options = rest.partition(">")
                self.sender = self.sender.partition("<")[2]
                self.recipients = []
                self.answer("mail")
            case "RCPT":
                recipient = rest.partition("<")[2].partition(">")[0]
                act = self.server.recipients.get(recipient)
                if self.answer("rcpt", act=act):
                    self.recipients.append(recipient)
            case "DATA":
                self.data()
            case "RSET":
                self.sender, self.recipients = "", []
                self.answer("rset")
            case "QUIT":
                self.answer("quit")
                raise _Ended
            case "NOOP":
                self.say("250 2.0.0 Ok")
            case _:
                self.say("500 5.5.1 Unknown command")

    def data(self) -> None:
        if not self.recipients:
            self.say("503 5.5.1 No recipient")
            return
        if not self.answer("data"):
            return
        lines = []
        while (line := self.raw_line()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        taken = Taken(
            sender=self.sender,
            recipients=tuple(self.recipients),
            content=b"".join(lines),
            options=self.options.strip(),
            tls=self.secure,
            connection=self.number,
        )
        act = self.server.act("dot")
        keep = act is None or isinstance(act, Keep)
        if isinstance(act, Say) and str(act.what).startswith("2"):
            keep = True
        if keep:
            self.server.messages.append(taken)
        if isinstance(act, Keep):
            act = act.then
        number = f"Q{len(self.server.messages):05}"
        self.perform(act, GOOD["dot"].format(number=number))
        self.recipients = []

    def answer(self, stage: str, healthy: str = "", *, act: Act | None = None) -> bool:
        """Do what is planned, or answer well; whether the answer was a good one."""
        act = act or self.server.act(stage)
        self.healthy = act is None
        self.perform(act, healthy or GOOD[stage])
        return act is None or (isinstance(act, Say) and str(act.what)[:1] == GOOD[stage][:1])

    def perform(self, act: Act | None, healthy: str) -> None:
        match act:
            case None:
                self.say(healthy)
            case Say(what):
                self.say(what)
                if str(what).startswith("421"):
                    raise _Ended
            case Hang():
                self.wait_for_the_end()
            case Drop(reset):
                if reset:
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                raise _Ended
            case Drip(what, every):
                while not self.server.stopped.wait(every):
                    self.sock.sendall(what)
                raise _Ended
            case Endless(what):
                block = what * (65_536 // len(what) + 1)
                while not self.server.stopped.is_set():
                    self.sock.sendall(block)
                    self.server.said += len(block)
                raise _Ended
            case Keep(then):
                self.perform(then, healthy)
            case Deaf():
                self.say(healthy)
                self.server.stopped.wait()
                raise _Ended

    def say(self, what: str | bytes) -> None:
        data = what.encode() if isinstance(what, str) else what
        self.sock.sendall(data if data.endswith(b"\n") else data + b"\r\n")

    def line(self) -> str:
        return self.raw_line().decode("utf-8", "replace").rstrip("\r\n")

    def raw_line(self) -> bytes:
        while b"\n" not in self.buffer:
            chunk = self.sock.recv(65_536)
            if not chunk:
                raise _Ended
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def wait_for_the_end(self) -> None:
        while not self.server.stopped.is_set() and self.sock.recv(65_536):
            pass
        raise _Ended

    def start_tls(self) -> None:
        context = self.server.tls
        assert context is not None, "this server was given no certificate"
        plain, self.sock = self.sock, context.wrap_socket(self.sock, server_side=True)
        with self.server.lock:
            self.server.sockets.discard(plain)
            self.server.sockets.add(self.sock)
        self.secure = True


@contextlib.contextmanager
def no_server() -> Iterator[str]:
    """The URL of a port that refuses connections, and goes on doing so."""
    # Bound and not listening: nobody else can take it meanwhile.
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"smtp://127.0.0.1:{holder.getsockname()[1]}"

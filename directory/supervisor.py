"""Web, workers and a demo's mailbox as one family of processes.

The supervisor loads the program once and forks: a child starts in milliseconds and shares memory.
It does nothing but watch, so it never has a thread or a connection that a fork would tear. A child
that dies is started again; when the supervisor itself is killed, its children see the pipe from
it close, and end.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import structlog
from gunicorn.app.base import BaseApplication

from directory.adapters.mail import RedirectedTransport, Timeouts, Transport, open_transport
from directory.app import app_of
from directory.parts import Parts
from directory.services import inbox
from directory.worker import Worker, stop_on

log = structlog.get_logger(__name__)

WEB_PROCESSES = 2
WEB_THREADS = 4
MAIL_WORKERS = 2
# After SIGTERM; what has not ended by then is killed.
GRACE_S = 10.0
# Children whose supervisor is gone end within this time.
ORPHANED_S = 4.0
# A child that dies at once is started again after this, not in a tight loop.
_BREATHER_S = 0.5
_READY_S = 30.0


@dataclass(slots=True)
class Child:
    """One kind of child process and the one that now runs."""

    name: str
    run: Callable[[Callable[[], None]], None]
    signals: int = 1
    pid: int = 0
    started: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Starts children, tells when all are ready, restarts those that die, ends all together."""

    children: list[Child] = field(default_factory=list)
    _stopping: bool = False
    _alive: tuple[int, int] = (-1, -1)
    _ready: tuple[int, int] = (-1, -1)

    def add(
        self, name: str, run: Callable[[Callable[[], None]], None], *, signals: int = 1
    ) -> None:
        """A child process that calls *run* with a function to call when it is ready.

        *signals* is how often that is called before the child counts as ready.
        """
        self.children.append(Child(name, run, signals))

    def run(self, ready: Callable[[], None]) -> None:
        """Run until SIGTERM or SIGINT; *ready* is called once every child is."""
        self._alive = os.pipe()
        self._ready = os.pipe()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        # What is loaded by now stays: a child's collector need not look at it again, which would
        # cost a request some 50 ms now and then, and copy every page of it.
        gc.collect()
        gc.freeze()
        try:
            for child in self.children:
                self._start(child)
            if self._await_ready():
                ready()
            while not self._stopping:
                self._restart_dead()
                time.sleep(0.1)
        finally:
            self._end()

    def _stop(self, *_: Any) -> None:
        self._stopping = True

    def _start(self, child: Child) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._become(child)
        child.pid, child.started = pid, time.monotonic()

    def _become(self, child: Child) -> NoReturn:
        """In the child: run it, and never return into the supervisor's code."""
        code = 1
        try:
            os.close(self._alive[1])
            os.close(self._ready[0])
            os.setpgid(0, 0)  # Ctrl-C reaches the supervisor alone, which then ends all in order
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            threading.Thread(target=self._end_with_parent, daemon=True, name="orphan").start()
            child.run(self._say_ready)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException as error:
            log.exception("process.failed", process=child.name, error=type(error).__name__)
        finally:
            os._exit(code)

    def _say_ready(self) -> None:
        os.write(self._ready[1], b".")

    def _end_with_parent(self) -> None:
        """Wait for the end of the pipe from the supervisor, which only its death closes."""
        os.read(self._alive[0], 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHANED_S)
        os.kill(os.getpid(), signal.SIGKILL)

    def _await_ready(self) -> bool:
        wanted = sum(child.signals for child in self.children)
        until = time.monotonic() + _READY_S
        while wanted > 0 and not self._stopping:
            self._restart_dead()
            readable, _, _ = select.select([self._ready[0]], [], [], 0.1)
            if readable:
                wanted -= len(os.read(self._ready[0], wanted))
            if time.monotonic() > until:
                log.error("supervisor.not_ready", missing=wanted)
                return False
        return not self._stopping

    def _restart_dead(self) -> None:
        for child in self.children:
            if self._stopping:
                return
            gone, status = os.waitpid(child.pid, os.WNOHANG)
            if gone:
                log.error(
                    "process.died",
                    process=child.name,
                    status=os.waitstatus_to_exitcode(status),
                )
                if time.monotonic() - child.started < _BREATHER_S:
                    time.sleep(_BREATHER_S)
                self._start(child)

    def _end(self) -> None:
        """SIGTERM to all, then SIGKILL to whatever is left after the grace."""
        living = {child.pid for child in self.children if child.pid}
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + GRACE_S
        while living and time.monotonic() < until:
            living = {pid for pid in living if not _is_gone(pid)}
            time.sleep(0.02)
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            _is_gone(pid)


def _is_gone(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


# Children


class _Gunicorn(BaseApplication):
    """gunicorn around an application that is loaded already, on a socket that is open already."""

    def __init__(self, app: Any, options: dict[str, Any]) -> None:
        self._app = app
        self._options = options
        super().__init__()  # type: ignore[no-untyped-call]

    def load_config(self) -> None:
        assert self.cfg is not None
        for key, value in self._options.items():
            self.cfg.set(key, value)

    def load(self) -> Any:
        return self._app


def web(
    parts: Parts, listener: socket.socket, *, processes: int, threads: int
) -> Callable[[Callable[[], None]], None]:
    """What a web child runs."""
    app = app_of(parts)

    def run(ready: Callable[[], None]) -> None:
        parts.let_go()
        options: dict[str, Any] = {
            "bind": f"fd://{listener.fileno()}",
            "workers": processes,
            "worker_class": "gthread" if threads > 1 else "sync",
            "threads": threads,
            "graceful_timeout": int(GRACE_S) - 1,
            "timeout": 60,
            "keepalive": 5,
            # One pattern of odd requests that people send and proxies judge differently.
            "limit_request_line": 8190,
            "limit_request_fields": 60,
            "loglevel": "warning",
            "post_worker_init": lambda worker: ready(),
            "control_socket_disable": True,
        }
        _Gunicorn(app, options).run()  # type: ignore[no-untyped-call]

    return run


def mail_worker(parts: Parts, transport: Transport) -> Callable[[Callable[[], None]], None]:
    """What a worker child runs."""

    def run(ready: Callable[[], None]) -> None:
        parts.let_go()
        worker = Worker(parts, transport)
        stop_on(worker, signal.SIGTERM, signal.SIGINT)
        ready()
        worker.run()

    return run


def mailbox(folder: Path, port: int) -> Callable[[Callable[[], None]], None]:
    """What a demo's mailbox runs."""

    def run(ready: Callable[[], None]) -> None:
        from directory.adapters.mailbox import serve_mailbox  # nobody else needs a mail server

        serve_mailbox(folder, "127.0.0.1", port, ready=lambda _port: ready())

    return run


def lmtp(parts: Parts, listener: socket.socket) -> Callable[[Callable[[], None]], None]:
    """What the child runs that takes in what a mail system next door hands over."""

    def run(ready: Callable[[], None]) -> None:
        from directory.adapters.lmtp import serve_lmtp  # nobody else needs a mail server

        parts.let_go()

        def keep(content: bytes, sender: str, recipient: str) -> bool:
            return inbox.receive(
                parts, content, source="lmtp", envelope_from=sender, envelope_to=recipient
            )

        serve_lmtp(listener, keep, ready=ready)

    return run


def imap(parts: Parts) -> Callable[[Callable[[], None]], None]:
    """What the child runs that looks into a mailbox. Raises SettingsInvalid for a bad URL."""
    from directory.adapters.imap import ImapMailbox

    where = ImapMailbox.parse(parts.settings.inbound.imap)

    def run(ready: Callable[[], None]) -> None:
        parts.let_go()
        for number in (signal.SIGTERM, signal.SIGINT):
            # At once, also while a server is waited for: what is kept is written down with it.
            signal.signal(number, lambda *_: sys.exit(0))
        ready()
        inbox.keep_polling(parts, where)

    return run


def transport_of(parts: Parts, *, url: str = "", mail_to: str = "") -> Transport:
    """How this installation's mail leaves: as configured, or by *url*; all to *mail_to* if set."""
    times = parts.settings.delivery
    transport = open_transport(
        url or parts.settings.mail_url,
        timeouts=Timeouts(
            connect_s=times.connect_s,
            command_s=times.command_s,
            data_s=times.data_s,
            attempt_s=times.attempt_s,
        ),
        hello=parts.settings.site.base_url.partition("://")[2].partition("/")[0].partition(":")[0],
    )
    return RedirectedTransport(transport, mail_to) if mail_to else transport


def listen(host: str, port: int) -> socket.socket:
    """An open socket at *host*:*port*, 0 for a free one. Raises OSError when it is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener


def answers(url: str, host: str) -> bool:
    """Whether the web processes answer at *url* (asked with the Host header *host*)."""
    request = urllib.request.Request(url, headers={"Host": host})  # noqa: S310  our own address
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            return bool(response.status < 500)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False

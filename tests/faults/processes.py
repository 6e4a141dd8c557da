"""Workers and web servers as processes of their own, to be killed, frozen and told to stop."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.faults.serving import Site
from tests.support import eventually, free_port

# Everything loaded once, in a process without this one's threads and sockets; workers are forked
# from there and start in milliseconds.
_NURSERY = multiprocessing.get_context("forkserver")
_NURSERY.set_forkserver_preload(["__main__", "directory.worker", "directory.supervisor"])

# Seconds where an installation has minutes. The lease is long enough for a busy machine to renew.
QUICK = {
    "connect_s": 3,
    "command_s": 2,
    "data_s": 3,
    "attempt_s": 10,
    "lease_s": 1.2,
    "renew_s": 0.2,
    "sweep_s": 0.3,
    "backoff_s": [0.2, 0.4],
    "jitter": 0,
}


def work(root: Path, sections: dict[str, Any], environ: dict[str, str]) -> None:
    """What a worker process does."""
    from directory.logs import configure
    from directory.supervisor import transport_of
    from directory.worker import Worker, stop_on
    from tests.builders import parts_for

    os.environ.update(environ)
    with (root / "workers.log").open("a") as log:
        os.dup2(log.fileno(), 2)
    configure()
    url = sections.pop("database_url")
    parts = parts_for(root, url, None, **sections)
    worker = Worker(parts, transport_of(parts))
    stop_on(worker, signal.SIGTERM)
    worker.run()


def process_of(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """A process of its own that will do *target*; not started yet."""
    return _NURSERY.Process(target=target, args=arguments)


def an_event() -> Any:
    """Something that happens once, and that such processes can wait for."""
    return _NURSERY.Event()


class WorkerProcess:
    """One worker in a process of its own."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        process.start()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def send(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """kill -9, and gone when this returns."""
        self.send(signal.SIGKILL)
        self._process.join(10)

    def ended(self, within: float = 10) -> int | None:
        """The exit code once it has ended by itself; None if it has not."""
        self._process.join(within)
        return self._process.exitcode

    def clear_away(self) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self.send(signal.SIGKILL)
        self._process.join(10)


StartWorker = Callable[..., WorkerProcess]


@contextlib.contextmanager
def starting_workers(root: Path, database_url: str, mail_url: str) -> Iterator[StartWorker]:
    """A function that starts a worker each time it is called; all end with the block."""
    started: list[WorkerProcess] = []

    def start(*, environ: dict[str, str] | None = None, **delivery: Any) -> WorkerProcess:
        sections = {
            "database_url": database_url,
            "mail": {"url": mail_url},
            "delivery": QUICK | delivery,
        }
        process = _NURSERY.Process(target=work, args=(root, sections, environ or {}))
        started.append(WorkerProcess(process))
        return started[-1]

    try:
        yield start
    finally:
        for worker in started:
            worker.clear_away()


# The web


def serve(root: Path, port: int, sections: dict[str, Any]) -> None:
    """What a web server's first process does: gunicorn as ``directory serve`` has it."""
    from directory.logs import configure
    from directory.supervisor import listen, web
    from tests.builders import parts_for

    os.setpgid(0, 0)
    with (root / "web.log").open("a") as log:
        os.dup2(log.fileno(), 2)
    configure()
    parts = parts_for(root, sections.pop("database_url"), None, **sections)
    web(parts, listen("127.0.0.1", port), processes=2, threads=4)(lambda: None)


class Served(Site):
    """A web server and the processes below it."""

    def __init__(self, process: BaseProcess, port: int) -> None:
        super().__init__(port)
        self.process = process

    def web_processes(self) -> list[int]:
        """Those that answer."""
        pid = self.process.pid
        with contextlib.suppress(OSError):
            listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return [int(child) for child in listed]
        return []


@contextlib.contextmanager
def serving(root: Path, database_url: str, **sections: Any) -> Iterator[Served]:
    """The pages over HTTP, without workers, for as long as the block."""
    port = free_port()
    process = _NURSERY.Process(
        target=serve, args=(root, port, {"database_url": database_url, **sections})
    )
    process.start()
    site = Served(process, port)
    try:
        eventually(lambda: site.up, within=30, what="the pages answer")
        yield site
    finally:
        assert process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.join(10)

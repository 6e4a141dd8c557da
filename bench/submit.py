"""Durable submissions with two mails each, beside a bare Flask endpoint with its own outbox.

    python -m bench.submit                      # SQLite and PostgreSQL, a few minutes
    python -m bench.submit --past 100000        # the same with 100,000 past enquiries
    python -m bench.submit --syncs              # how often the disk is waited for before an answer

Both run at once and are loaded in turn (A B A B ...), so that whatever else the machine does
falls on both. A submission is the POST of a form and the mail to department and visitor, counted
until the mail server has both. What is printed is processor time of the processes (web, worker)
from /proc, latency with eight clients at once and at a fixed rate, and the ratio to the bare one.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

if not __package__:  # python bench/submit.py
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench import bare
from bench.common import (
    ROOT,
    Latencies,
    Sink,
    await_true,
    cpu_seconds,
    exchange,
    family,
    free_port,
    load,
    machine,
    resident_mb,
)

CLIENTS = 8
PROCESSES, THREADS = 2, 4
_HOST = "directory.example"
_KEY = "bench-" + "0123456789abcdef" * 3


# What is sent


_WORDS = [
    "we",
    "would",
    "like",
    "to",
    "visit",
    "the",
    "institute",
    "in",
    "March",
    "with",
    "a",
    "group",
    "of",
    "eight",
    "researchers",
    "and",
    "ask",
    "whether",
    "the",
    "laboratory",
    "for",
    "membrane",
    "separation",
    "can",
    "be",
    "seen",
    "on",
    "a",
    "weekday",
    "afternoon",
    "please",
    "tell",
    "us",
    "whom",
    "to",
    "write",
    "to",
    "about",
    "a",
    "joint",
    "project",
    "on",
    "coatings",
    "and",
    "which",
    "papers",
    "you",
    "need",
]
_CHINESE = "我们希望在三月份与八位研究人员一起参观贵院的膜分离实验室请问工作日下午是否可以安排另外"


class Visitors:
    """Forms as visitors fill them in, each another person at another address."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._number = 0

    def form(self, token: str) -> dict[str, str]:
        """The fields of one form; every fourth is written in Chinese."""
        self._number += 1
        chosen, number = self._random, self._number
        if number % 4:
            message = " ".join(chosen.choices(_WORDS, k=chosen.randint(40, 160)))
        else:
            message = "".join(chosen.choices(_CHINESE, k=chosen.randint(60, 300)))
        return {
            "form_token": token,
            "topic": chosen.choice(["cooperation", "technology", "jobs", "visits"]),
            "department": "",
            "subject": f"A visit in March, group {number}",
            "message": message + "\n\nThank you.",
            "name": "Wei Li" if number % 4 else "李伟",
            "organisation": "Example University",
            "reply_by": "email",
            "email": f"visitor{number}.{secrets.token_hex(3)}@example.org",
            "phone": "+44 20 7946 0123",
            "country": "GB",
            "reply_language": "en" if number % 4 else "zh-Hans",
            "leave_blank": "",
            "action": "send",
        }

    def network(self) -> str:
        """An address in a /24 that few others share: the limits count, and hold nobody back."""
        return ".".join(str(self._random.randint(1, 250)) for _ in range(4))


def post(path: str, fields: dict[str, str], sender: str) -> bytes:
    """The request of a browser behind a proxy."""
    body = urlencode(fields).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {_HOST}\r\nX-Forwarded-For: {sender}\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
        "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Language: en,zh;q=0.5\r\n"
        f"Origin: https://{_HOST}\r\nSec-Fetch-Site: same-origin\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


# What is measured


@dataclass(slots=True)
class Figures:
    """What the rounds of one system came to. Processor seconds; submissions they were for."""

    submissions: int = 0
    web: float = 0.0
    worker: float = 0.0
    database: float = 0.0
    seconds: float = 0.0
    latencies: Latencies = field(default_factory=Latencies)

    @property
    def total(self) -> float:
        return self.web + self.worker

    def per_thousand(self, seconds: float) -> float:
        return seconds * 1000 / self.submissions


class System:
    """One way to take submissions, with its own mail server, running below *folder*."""

    name = ""

    def __init__(self, folder: Path, database: str, server: int, seed: int) -> None:
        self.folder = folder
        self.database = database
        self.sink = Sink()
        self.visitors = Visitors(seed)
        self.port = 0
        # The database server's own process, where there is one; its time is shown apart.
        self._server = server
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None: ...

    def requests(self, count: int) -> list[bytes]:
        raise NotImplementedError

    def add_past(self, count: int) -> None:
        """Put *count* enquiries into the database that were sent and answered for long ago."""
        raise NotImplementedError

    def web(self) -> list[int]:
        raise NotImplementedError

    def workers(self) -> list[int]:
        raise NotImplementedError

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(30)
        self.sink.close()

    def run(self, words: list[str], **environment: str) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        log.close()
        self._processes.append(process)
        return process

    def round(self, figures: Figures, count: int, *, per_second: float = 0) -> None:
        """One round of load, until the last mail is out."""
        requests = self.requests(count)
        wanted = self.sink.messages + 2 * count
        before = self._cpu()
        begun = time.monotonic()
        # At a fixed rate nobody waits for a free client; eight at once are eight.
        clients = 64 if per_second else CLIENTS
        latencies, answers = load(self.port, requests, clients=clients, per_second=per_second)
        odd = [answer for answer in answers if not answer.startswith(b"HTTP/1.1 303")]
        if odd:
            raise RuntimeError(f"{self.name}: {len(odd)} refused, such as {odd[0][:600]!r}")
        await_true(lambda: self.sink.messages >= wanted, f"{self.name}: all mail is out")
        seconds = time.monotonic() - begun
        after = self._cpu()
        figures.submissions += count
        figures.web += after[0] - before[0]
        figures.worker += after[1] - before[1]
        figures.database += after[2] - before[2]
        figures.seconds += seconds
        figures.latencies.ms += latencies.ms

    def _cpu(self) -> tuple[float, float, float]:
        server = cpu_seconds(family(self._server)) if self._server else 0.0
        return cpu_seconds(self.web()), cpu_seconds(self.workers()), server


class Directory(System):
    """This service, as ``directory serve`` runs it, its limits on, behind a proxy."""

    name = "directory"

    def environment(self) -> dict[str, str]:
        return {
            "DIRECTORY_SECRET_KEY": _KEY,
            "DIRECTORY_DATABASE__URL": self.database,
            "DIRECTORY_SITE__BASE_URL": f"https://{_HOST}",
            "DIRECTORY_SITE__TRUSTED_PROXIES": '["127.0.0.1"]',
            "DIRECTORY_MAIL__URL": f"smtp://127.0.0.1:{self.sink.port}",
            "DIRECTORY_MAIL__FROM": "contact@directory.example",
        }

    def make(self) -> None:
        """An empty database with the sample institution."""
        self.settings_path = self.folder / "config" / "directory.toml"
        self._directory("init", str(self.folder), "--sample", "--yes")
        self._directory("db", "upgrade", "--config", str(self.settings_path))
        from directory.parts import assemble
        from directory.services.installation import plant_once
        from directory.settings import load_settings

        settings = load_settings(self.settings_path, environ=self.environment())
        parts = assemble(settings)
        plant_once(parts, sample=True, by="bench")
        parts.let_go()
        self._signer = parts.signer

    def _directory(self, *words: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "directory", *words],
            cwd=ROOT,
            env={**os.environ, **self.environment()},
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def start(self) -> None:
        self.make()
        process = self.run(
            [
                *(sys.executable, "-m", "directory", "serve", "--port", "0", "--workers", "1"),
                *("--processes", str(PROCESSES), "--threads", str(THREADS)),
                *("--config", str(self.settings_path)),
            ],
            **self.environment(),
        )
        assert process.stdout is not None
        ready = re.search(rb"ready http://[^:]+:(\d+)/", process.stdout.readline())
        if not ready:
            raise RuntimeError(f"it did not start: {(self.folder / 'log').read_text()[-2000:]}")
        self.port = int(ready[1])
        self._supervisor = process.pid

    def web(self) -> list[int]:
        """The supervisor, gunicorn's master and its workers."""
        return [pid for pid in family(self._supervisor) if pid not in self.workers()]

    def workers(self) -> list[int]:
        """The children of the supervisor without children of their own."""
        whole = family(self._supervisor)
        children = [pid for pid in whole if _parent(pid) == self._supervisor]
        return [pid for pid in children if len(family(pid)) == 1]

    def requests(self, count: int) -> list[bytes]:
        now = datetime.now(UTC)
        visitors = self.visitors
        return [
            post(
                "/en/enquiries",
                visitors.form(self._signer.form_token(now)),
                visitors.network(),
            )
            for _ in range(count)
        ]

    def add_past(self, count: int) -> None:
        from bench.past import add_past
        from directory.adapters.db import Database

        database = Database(self.database)
        add_past(database, count)
        database.dispose()


class Bare(System):
    """bench/bare.py under the same gunicorn."""

    name = "bare"
    worker_class = "gthread"

    def environment(self) -> dict[str, str]:
        return {"BARE_DATABASE": self.database, "BARE_SMTP_PORT": str(self.sink.port)}

    def start(self) -> None:
        bare.Connection(self.database).make()
        self.port = free_port()
        threads = ["--threads", str(THREADS)] if self.worker_class == "gthread" else []
        self._web = self.run(
            [
                *(sys.executable, "-m", "gunicorn", "bench.bare:app", "--preload"),
                *("--workers", str(PROCESSES), "--worker-class", self.worker_class, *threads),
                *("--bind", f"127.0.0.1:{self.port}", "--log-level", "warning"),
                *("--keep-alive", "5", "--backlog", "2048", "--no-control-socket"),
            ],
            **self.environment(),
        ).pid
        self._loop = self.run([sys.executable, "-m", "bench.bare"], **self.environment()).pid
        await_true(self._answers, "the bare endpoint answers")

    def _answers(self) -> bool:
        try:
            exchange(self.port, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        except ConnectionError:
            return False
        return True

    def web(self) -> list[int]:
        return family(self._web)

    def workers(self) -> list[int]:
        return family(self._loop)

    def requests(self, count: int) -> list[bytes]:
        visitors = self.visitors
        return [
            post("/enquiries", visitors.form(secrets.token_urlsafe(32)), visitors.network())
            for _ in range(count)
        ]

    def add_past(self, count: int) -> None:
        from bench.past import add_bare_past

        add_bare_past(bare.Connection(self.database), count)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


# The run


def databases(
    wanted: Sequence[str], stack: ExitStack
) -> Iterator[tuple[str, Callable[[Path], str], int]]:
    """Each kind's name, how to get an empty database of it, and its server's process."""
    if "sqlite" in wanted:
        yield "SQLite", lambda folder: str(folder / "bench.db"), 0
    if "postgresql" in wanted:
        import psycopg

        from tests.postgres import PostgresServer

        server = PostgresServer(autovacuum="on")
        stack.callback(server.remove)
        server.start()

        def make(folder: Path) -> str:
            name = f"bench_{secrets.token_hex(4)}"
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            return server.url(name)

        assert server._process is not None
        yield "PostgreSQL", make, server._process.pid


def compare(
    kind: str, make: Callable[[Path], str], server: int, options: argparse.Namespace
) -> None:
    """Both systems on one kind of database, loaded in turn."""
    with ExitStack() as stack:
        systems: list[System] = []
        for build in (Directory, Bare):
            folder = Path(tempfile.mkdtemp(prefix="directory-bench-", dir=options.folder))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            url = make(folder)
            if build is Directory and not url.startswith("postgresql:"):
                url = f"sqlite:///{url}"
            system = build(folder, url, server, options.seed)
            stack.callback(system.close)
            system.start()
            systems.append(system)
        if options.syncs:
            for system in systems:
                print(f"{kind}: {system.name}: {syncs(system, options.count)}")
            return
        for past in options.past:
            for system in systems:
                if past:
                    system.add_past(past)
            crowd = {system.name: Figures() for system in systems}
            steady = {system.name: Figures() for system in systems}
            for system in systems:
                system.round(Figures(), 100)  # compiled, connected, in memory
            for _ in range(options.rounds):
                for system in systems:
                    system.round(crowd[system.name], options.count)
                for system in systems:
                    system.round(steady[system.name], options.count, per_second=options.rate)
            print(
                f"\n{kind}, {past:,} past enquiries, {systems[0].sink.messages} + "
                f"{systems[1].sink.messages} messages of "
                f"{' and '.join(_size(system) for system in systems)} octets"
            )
            show(f"{CLIENTS} clients at once", systems, crowd)
            show(f"{options.rate:g}/s", systems, steady)
        for system in systems:
            web = max(resident_mb(pid) for pid in system.web())
            worker = max(resident_mb(pid) for pid in system.workers())
            print(f"  resident: {system.name:<10} web {web:.0f} MB, worker {worker:.0f} MB")


def syncs(system: System, count: int) -> str:
    """How often the web processes had the disk synchronised for *count* submissions (strace)."""
    system.round(Figures(), 100)
    log = system.folder / "strace"
    pids = [word for pid in system.web() for word in ("-p", str(pid))]
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range", "-o", log, *pids]
    )
    await_true(lambda: all(_is_traced(pid) for pid in system.web()), "strace is attached")
    system.round(Figures(), count)
    tracer.terminate()
    tracer.wait()
    seen = len(re.findall(r"sync\w*\(", log.read_text()))
    return f"{seen} synchronisations by the web processes for {count} answers"


def _is_traced(pid: int) -> bool:
    return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()


def _size(system: System) -> str:
    return f"{system.sink.octets / max(1, system.sink.messages):.0f}"


def show(title: str, systems: Sequence[System], results: dict[str, Figures]) -> None:
    print(f"  {title}")
    for system in systems:
        figures = results[system.name]
        each = figures.per_thousand
        database = f", database {each(figures.database):.2f}" if figures.database else ""
        print(
            f"    {system.name:<10} CPU-s per 1,000: {each(figures.total):.2f} "
            f"(web {each(figures.web):.2f}, worker {each(figures.worker):.2f}{database}); "
            f"{figures.submissions / figures.seconds:.0f}/s; {figures.latencies}"
        )
    ours, theirs = (results[system.name] for system in systems)
    print(
        f"    ratio      {ours.total / ours.submissions / (theirs.total / theirs.submissions):.2f} "
        f"(web {ours.web / theirs.web:.2f}, worker {ours.worker / theirs.worker:.2f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--rounds", type=int, default=4, help="of each system, in turn")
    parser.add_argument("--count", type=int, default=250, help="submissions a round")
    parser.add_argument("--rate", type=float, default=20.0, help="submissions a second")
    parser.add_argument("--past", type=int, nargs="+", default=[0], help="past enquiries")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default=None, help="where databases are made")
    parser.add_argument("--syncs", action="store_true", help="count synchronisations instead")
    parser.add_argument("--bare-class", default="gthread", help="gunicorn's worker class")
    options = parser.parse_args()
    Bare.worker_class = options.bare_class
    where = Path(options.folder or tempfile.gettempdir())
    print(machine(where))
    begun = time.monotonic()
    with ExitStack() as stack:
        for kind, make, server in databases(options.databases, stack):
            compare(kind, make, server, options)
    print(f"\nseed {options.seed}, {time.monotonic() - begun:.0f} s; {machine(where)}")


if __name__ == "__main__":
    main()

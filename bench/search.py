"""How long a search takes, and how that grows, on each database; beside a search by LIKE.

    python -m bench.search --sizes 1000 10000 100000

Queries are of the kinds people type: whole names, beginnings, one character that tens of thousands
have, slips, sounds, numbers, rubbish. The alternative is the search that is written first: LIKE
over the names in both languages, which finds neither sounds nor slips nor numbers.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import resource
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import sqlalchemy as sa

from bench.common import Latencies, machine
from directory.adapters import search
from directory.adapters.db import Database, departments
from directory.adapters.migrations import upgrade
from directory.domain.terms import Caller, Query
from tests.invented import invent, queries

COMMON = (
    "o", "of", "office", "department", "de", "n", "nanjing", "x", "z", "部", "处", "南京", "办公室",
    "大道", "building", "building a", "xuanwu", "office nanjing", "school finance", "zs", "zsb",
    "nj", "8", "room", "london office", "office department", "国际合作", "招生",
)  # fmt: skip


def databases(wanted: list[str], stack: ExitStack) -> Iterator[tuple[str, Callable[[], Database]]]:
    """Each kind's name, and how to get an empty migrated database of it."""
    folder = Path(tempfile.mkdtemp(prefix="directory-bench-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    if "sqlite" in wanted:
        yield "SQLite", lambda: Database(f"sqlite:///{folder / secrets.token_hex(4)}.db")
    if "postgresql" in wanted:
        import psycopg

        from tests.postgres import FAST, PostgresServer

        server = PostgresServer(**FAST, shared_buffers="256MB", autovacuum="on")
        stack.callback(server.remove)
        server.start()

        def make() -> Database:
            name = f"bench_{secrets.token_hex(4)}"
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}".encode())
            return Database(server.url(name))

        yield "PostgreSQL", make


def measure(database: Database, texts: list[str], *, language: str) -> tuple[str, float]:
    """Each of *texts* searched for once, in a transaction of its own: a line, and the median.

    Our own processor time stands beside the latency, which counts others' turns on a busy
    machine too.
    """
    taken: list[tuple[float, str]] = []
    cpu: list[float] = []
    for text in texts:
        started, cpu_started = time.perf_counter(), time.process_time()
        with database.reading() as session:
            search.search(session, Query.parse(text), language=language)
            if (caller := Caller.parse(text, region="CN")) is not None:
                search.whose(session, caller)
        cpu.append((time.process_time() - cpu_started) * 1000)
        taken.append(((time.perf_counter() - started) * 1000, text))
    whole, own = Latencies([ms for ms, _ in taken]), Latencies(cpu)
    line = f"{whole}; CPU p50 {own.p50:.1f} p99 {own.p99:.1f}; slowest {max(taken)[1][:30]!r}"
    return line, whole.p50


def measure_like(database: Database, texts: list[str]) -> Latencies:
    result = Latencies()
    for text in texts:
        like = f"%{text}%"
        wanted = sa.select(departments.c.id).where(
            sa.or_(
                departments.c.name["en"].as_string().like(like),
                departments.c.name["zh-Hans"].as_string().like(like),
            )
        )
        started = time.perf_counter()
        with database.reading() as session:
            session.execute(wanted.limit(search.MOST)).all()
        result.ms.append((time.perf_counter() - started) * 1000)
    return result


def grow(kind: str, make: Callable[[], Database], options: argparse.Namespace) -> None:
    for size in options.sizes:
        database = make()
        upgrade(database)
        started = time.perf_counter()
        with database.writing() as session:
            ids = invent(session, size, seed=options.seed)
            written = time.perf_counter() - started
            started = time.perf_counter()
            search.rebuild(session)
        indexed = time.perf_counter() - started
        started = time.perf_counter()
        with database.writing() as session:
            session.execute(
                sa.update(departments).where(departments.c.id == ids[0]).values(name={"en": "New"})
            )
            search.index_many(session, ids[:1])
        one = (time.perf_counter() - started) * 1000
        texts = [
            text.replace("\0", "")
            for text in itertools.islice(queries(options.seed), options.queries)
        ]
        measure(database, texts[:200], language="en")
        # As a web process does once it is ready: what stays is not looked through again.
        gc.collect()
        gc.freeze()
        mixed, median = measure(database, texts, language="en")
        common, _ = measure(database, list(COMMON) * options.rounds, language="zh-Hans")
        like = measure_like(database, texts[: max(20, 20_000 // max(1, size // 100))])
        print(
            f"{kind}, {size:,} departments: indexed in {indexed:.1f} s "
            f"({size / indexed:,.0f}/s; rows written in {written:.1f} s), one change {one:.1f} ms"
        )
        print(f"  as people type   {mixed}")
        print(f"  common words     {common}")
        print(f"  LIKE             {like}; ratio of medians {like.p50 / median:.1f}")
        database.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=20, help="of the common words")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(machine(Path(tempfile.gettempdir())))
    begun = time.monotonic()
    with ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
        for kind, make in databases(options.databases, stack):
            grow(kind, make, options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"seed {options.seed}, {time.monotonic() - begun:.0f} s, peak {peak:.0f} MB")


if __name__ == "__main__":
    main()

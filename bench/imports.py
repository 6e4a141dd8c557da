"""What an import costs, how that grows, and the memory it takes.

    python -m bench.imports --sizes 1000 10000 100000

Every size runs in a process of its own, so that the peak of memory is its own. Each department
has names in two languages, three numbers, a mailbox, an address, hours and a place in the tree.
"Bare" is the named alternative: ``csv.DictReader`` and ``executemany`` into one table, which
checks, compares, indexes and remembers nothing. Seconds are of the wall, "cpu" of this process.
"""

from __future__ import annotations

import argparse
import csv
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bench.common import machine
from directory.adapters.db import Database
from directory.adapters.migrations import upgrade
from directory.services import exports, imports
from directory.services.import_files import FileSource, Options
from directory.settings import Settings, load_settings

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HEADER = (
    "slug,parent,name_en,name_zh_hans,summary_en,phone,phone_ext,phone2,fax,email,street_en,"
    "locality_en,postcode,country,hours,languages"
)


def write_table(path: Path, size: int) -> None:
    """A table of *size* departments, ten below each."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER.split(","))
        writer.writerows(_lines(size))


def _lines(size: int) -> Iterator[list[str]]:
    for n in range(size):
        yield [
            f"office-{n}",
            f"office-{n // 10}" if n else "",
            f"Office {n}",
            f"第{n}办公室",
            f"Answers questions about matter {n}.",
            f"+86 25 8{n % 9_000_000 + 1_000_000:07d}"[:17],
            str(n % 900 + 10) if n % 3 == 0 else "",
            f"+44 20 7946 {n % 10_000:04d}",
            f"+86 10 6{n % 9_000_000 + 1_000_000:07d}"[:17],
            f"office{n}@institute.example",
            f"{n} Main Street",
            "Nanjing",
            "210042",
            "CN",
            "Mo-Fr 09:00-17:30; PH off",
            "en|zh-Hans",
        ]


def bare(path: Path, folder: Path) -> int:
    """The alternative: rows into a table as they stand."""
    connection = sqlite3.connect(folder / "bare.db")
    columns = HEADER.split(",")
    connection.execute(f"CREATE TABLE department ({', '.join(columns)})")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        marks = ", ".join(f":{column}" for column in columns)
        connection.executemany(f"INSERT INTO department VALUES ({marks})", rows)  # noqa: S608
    connection.commit()
    count: int = connection.execute("SELECT count(*) FROM department").fetchone()[0]
    connection.close()
    return count


class Run:
    """One size on one database."""

    def __init__(self, size: int, folder: Path, url: str) -> None:
        self.size = size
        self.folder = folder
        self.settings: Settings = load_settings(
            {
                "site": {"timezone": "Asia/Shanghai", "default_country": "CN"},
                "database": {"url": url},
                "mail": {"from": "contact@institute.example"},
            },
            environ={},
            env="test",
        )
        self.db = Database(url)
        upgrade(self.db)

    def step(self, name: str, act: Callable[[], object]) -> object:
        wall, cpu = time.perf_counter(), time.process_time()
        result = act()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{self.size:>8,} {name:<16} {wall:8.1f} s {cpu:8.1f} cpu "
            f"{self.size / cpu:9,.0f} /cpu-s   peak {peak:4.0f} MB   {result}",
            flush=True,
        )
        return result

    def preview(self, path: Path) -> str:
        with self.db.reading() as session, path.open("rb") as file:
            source = FileSource(file, path.name, Options())
            plan = imports.preview(
                session, source, settings=self.settings, now=NOW + timedelta(days=1)
            )
            for _ in plan.changes():
                pass
        return str(plan.tally)

    def apply(self, path: Path) -> imports.Batch:
        with self.db.writing() as session, path.open("rb") as file:
            source = FileSource(file, path.name, Options())
            return imports.apply(session, source, settings=self.settings, now=NOW, by="bench")

    def export(self, form: str) -> str:
        path = self.folder / f"out.{form}"
        with self.db.reading() as session, path.open("w", encoding="utf-8", newline="") as file:
            for part in exports.write(session, form, settings=self.settings, now=NOW):
                file.write(part)
        return f"{path.stat().st_size / 1e6:.1f} MB"

    def undo(self, id: int) -> str:
        with self.db.writing() as session:
            return imports.undo(session, id, settings=self.settings, now=NOW, by="bench").state

    def run(self, forms: list[str]) -> None:
        table = self.folder / "in.csv"
        write_table(table, self.size)
        self.step("bare", lambda: bare(table, self.folder))
        self.step("preview", lambda: self.preview(table))
        ids: list[int] = []

        def applied() -> str:
            done = self.apply(table)
            ids.append(done.id)
            return str(done.tally)

        self.step("apply", applied)
        for form in forms:
            path = self.folder / f"out.{form}"
            self.step(f"export {form}", partial(self.export, form))
            self.step(f"again {form}", partial(self.preview, path))
        self.step("undo", lambda: self.undo(ids[0]))
        self.db.dispose()


def main() -> None:
    """Measure; print a line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--forms", nargs="+", default=["csv", "vcf", "json", "toml"])
    parser.add_argument("--url", default="", help="of an empty database; else SQLite files")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given: Any = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.one:
            url = given.url or f"sqlite:///{folder}/directory.db"
            Run(given.sizes[0], folder, url).run(given.forms)
            return
        print(machine(folder))
        print(f"baseline {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    for size in given.sizes:
        subprocess.run(
            [
                *(sys.executable, "-m", "bench.imports", "--one", "--sizes", str(size)),
                *("--url", given.url, "--forms", *given.forms),
            ],
            check=True,
        )


if __name__ == "__main__":
    main()

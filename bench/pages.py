"""What a page costs to read, warm and made anew, and how that grows with the directory.

    python -m bench.pages --sizes 1000 10000 100000

Requests are put to the WSGI application in this process, so that the figure is processor time of
the service and of nothing else. "Anew" is the alternative: the same page with nothing kept. "Bare"
is a Flask view that answers the same bytes, kept in a variable, after one SELECT.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response
from werkzeug.test import EnvironBuilder

from bench.common import machine
from bench.search import databases
from directory.adapters.db import Database, departments
from directory.adapters.migrations import upgrade
from directory.app import app_of
from directory.parts import assemble
from directory.settings import load_settings
from directory.web.fragments import Shelf
from tests.invented import invent

ORIGIN = "http://contact.institute.example"


def request(app: Any, path: str, **headers: str) -> tuple[int, int, dict[str, str]]:
    """Ask *app* for *path*: status, bytes of the body, headers."""
    environ = EnvironBuilder(path, ORIGIN, headers={"Accept-Encoding": "gzip"} | headers)
    got: dict[str, Any] = {}

    def start(status: str, fields: Sequence[tuple[str, str]], *_: Any) -> Callable[..., Any]:
        got.update(status=int(status[:3]), headers=dict(fields))
        return lambda _: None

    body = app.wsgi_app(environ.get_environ(), start)
    length = sum(map(len, body))
    if hasattr(body, "close"):
        body.close()
    return got["status"], length, got["headers"]


def cost_ms(ask: Callable[[int], object], times: int) -> float:
    """Milliseconds of processor time of each of *times* calls, on average."""
    started = time.process_time()
    for n in range(times):
        ask(n)
    return (time.process_time() - started) / times * 1000


def installation(database: Database, desk: str, folder: Path) -> Flask:
    settings = load_settings(
        {
            "site": {"base_url": ORIGIN, "desk": desk, "timezone": "Asia/Shanghai"},
            "database": {"url": database.url.render_as_string(hide_password=False)},
        },
        environ={},
        env="test",
    )
    settings._root = folder
    return app_of(assemble(settings))


def bare(app: Flask, path: str) -> Any:
    """The alternative: the same bytes from a variable, after one SELECT."""
    parts = app.extensions["directory"]
    plain = Flask("bare")
    body = b"x" * request(app, path)[1]

    @plain.get(path)
    def view() -> Response:
        with parts.db.engine.connect() as connection:
            connection.exec_driver_sql("SELECT version FROM directory_version").fetchone()
        return Response(body)

    return plain


def measure(kind: str, size: int, app: Flask, slugs: list[str], times: int) -> None:
    parts = app.extensions["directory"]
    shelf: Shelf = parts.kept.setdefault("shelf", Shelf())

    def anew(path: str) -> None:
        shelf.clear()
        request(app, path)

    pages = {
        "home": ["/en/"],
        "list": ["/en/departments/"],
        "list, last page": [
            f"/zh-hans/departments/?page={-(-size // 100)}"
            if size > 200
            else "/zh-hans/departments/"
        ],
        "department": [f"/en/departments/{slug}" for slug in slugs],
        "vCard": [f"/en/departments/{slug}.vcf" for slug in slugs[:20]],
        "sitemap": ["/sitemap.xml"],
    }
    for name, paths in pages.items():
        for path in paths:  # what is loaded once for all is loaded
            assert request(app, path)[0] == 200, path
        few = max(3, min(20, times // 50))
        made = cost_ms(lambda n, paths=paths: anew(paths[n % len(paths)]), few)
        for path in paths:
            request(app, path)
        warm = cost_ms(lambda n, paths=paths: request(app, paths[n % len(paths)]), times)
        _, length, headers = request(app, paths[0])
        tag = headers["ETag"]
        again = cost_ms(
            lambda n, tag=tag, path=paths[0]: request(app, path, **{"If-None-Match": tag}), times
        )
        alone = bare(app, paths[0])
        floor = cost_ms(lambda n, alone=alone, path=paths[0]: request(alone, path), times)
        print(
            f"{kind:10} {size:>7,}  {name:16} warm {warm:6.2f} ms  304 {again:5.2f}  "
            f"anew {made:8.2f} (x {made / warm:5.0f})  bare {floor:5.2f} (x {warm / floor:4.1f})  "
            f"{length / 1000:6.1f} kB",
            flush=True,
        )
    for path in pages["department"]:
        request(app, path)
    print(f"{kind:10} {size:>7,}  kept: {len(shelf)} pages, {shelf.bytes / 1e6:.2f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--times", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="directory-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        print(machine(folder), flush=True)
        for kind, make in databases(options.databases, stack):
            for size in options.sizes:
                database = make()
                upgrade(database)
                with database.writing() as session:
                    ids = invent(session, size, seed=options.seed)
                    wanted = sa.select(departments.c.slug).where(departments.c.id.in_(ids[:200]))
                    slugs = list(session.scalars(wanted))
                app = installation(database, slugs[0], folder / secrets.token_hex(4))
                measure(kind, size, app, slugs, options.times)
                app.extensions["directory"].let_go()
                database.dispose()


if __name__ == "__main__":
    main()

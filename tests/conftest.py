"""Real databases, a real browser, and no test that quietly did not run."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings

from tests.support import CHROMIUM_NAMES, CHROMIUM_OPTIONS, chromium, memory_folder

# Fixtures import what they need when they are asked for: a test of the domain waits for neither
# database nor browser, and is not stopped by an error in them.
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from sqlalchemy.orm import Session
    from xdist.remote import Producer

    from directory.adapters.db import Database
    from directory.parts import Parts
    from tests.builders import SetClock
    from tests.commands import Done, Run
    from tests.postgres import PostgresServer
    from tests.sharing import Shares

# --- No test is skipped -------------------------------------------------------------------------


def _refuse_to_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped:
        # What is not tried is not known to work: a machine that lacks something fails.
        report.outcome = "failed"
        if isinstance(report.longrepr, tuple):
            path, line, reason = report.longrepr
            report.longrepr = f"{path}:{line}: {reason} (no test here may be skipped)"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_to_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_to_skip(report)
    return report


# --- Where tests run, and in how many processes --------------------------------------------------


def pytest_configure() -> None:
    # Thousands of databases that live for a moment: half the time went into waiting for a disk.
    if "TMPDIR" not in os.environ and (folder := memory_folder()):
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)

    # Before a test is read, since it is then that its settings are made. What takes long by the
    # clock may be waiting for a processor that other tests have.
    settings.register_profile(
        "beside-others", deadline=5_000, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("beside-others")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Shares | None:
    from tests.sharing import Shares

    return Shares(config, log) if config.getoption("dist") == "load" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # one of several processes
        from tests.sharing import in_order

        items[:] = in_order(items)


def pytest_collection_finish() -> None:
    # The libraries and all tests are there to stay. Python looked through them for garbage every
    # few hundred objects, which took a sixth of the time.
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


# --- Databases ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for all tests that only want a database; it does not sync."""
    from tests.postgres import FAST, PostgresServer

    server = PostgresServer(**FAST)
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "migrated.db"
    _migrate(f"sqlite:///{path}")
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no log beside it
    return path


@pytest.fixture(scope="session")
def _postgres_template(postgres: PostgresServer) -> str:
    _execute(postgres, "CREATE DATABASE migrated")
    _migrate(postgres.url("migrated"))
    return "migrated"


# Who asks for one of these gets the small institution with the database, where it was planted once
# for all: a copy is made in a fraction of the time that planting takes.
WITH_OFFICE = {"office", "quick_office"}


@pytest.fixture(scope="session")
def _sqlite_office(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("office") / "directory.db"
    shutil.copyfile(_sqlite_template, path)
    _plant(path.parent, f"sqlite:///{path}")
    assert not path.with_name("directory.db-wal").exists()
    return path


@pytest.fixture(scope="session")
def _postgres_office(
    postgres: PostgresServer, _postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    _execute(postgres, f"CREATE DATABASE planted TEMPLATE {_postgres_template}")
    _plant(tmp_path_factory.mktemp("office"), postgres.url("planted"))
    return "planted"


def _template(request: pytest.FixtureRequest, kind: str) -> str:
    with_office = WITH_OFFICE.intersection(request.fixturenames)
    return str(request.getfixturevalue(f"_{kind}_{'office' if with_office else 'template'}"))


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated SQLite database of the test's own, empty but for an office."""
    path = tmp_path / "directory.db"
    shutil.copyfile(_template(request, "sqlite"), path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, postgres: PostgresServer) -> Iterator[str]:
    """The URL of a migrated PostgreSQL database of the test's own, empty but for an office."""
    template = _template(request, "postgres")
    _execute(postgres, f"CREATE DATABASE trial TEMPLATE {template} STRATEGY FILE_COPY")
    yield postgres.url("trial")
    _execute(postgres, "DROP DATABASE trial WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of each kind, empty but for an office; for tests that start programs."""
    name = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    url = request.getfixturevalue(name)
    assert isinstance(url, str)
    return url


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """An empty migrated database, of each kind in turn."""
    from directory.adapters.db import Database

    database = Database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def session(db: Database) -> Iterator[Session]:
    """One writing transaction, committed after the test as an entry point would."""
    with db.writing() as session:
        yield session


@pytest.fixture
def clock() -> SetClock:
    """What the installations of this test take for the time."""
    from tests.builders import SetClock

    return SetClock()


@pytest.fixture
def office(database_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Parts]:
    """An installation with the small institution of tests/builders.py, on each database."""
    from tests.builders import parts_for

    parts = parts_for(tmp_path, database_url, clock)
    yield parts
    parts.let_go()


# --- The command line ---------------------------------------------------------------------------


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command with no configuration but what is given."""
    from tests.commands import commands

    return commands(monkeypatch)


@pytest.fixture
def installed(office: Parts, database_url: str, tmp_path: Path) -> Path:
    """A configuration for the small institution, on each database."""
    path = tmp_path / "config" / "directory.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        '[site]\nbase_url = "http://contact.institute.example"\n'
        'timezone = "Asia/Shanghai"\n'
        f'[database]\nurl = "{database_url}"\n'
        '[mail]\nfrom = "contact@institute.example"\n'
    )
    return path


@pytest.fixture
def run(bare: Run, installed: Path) -> Run:
    """Runs a command on that institution, outside production.

    There nothing starts on a database that does not synchronise, as that of the tests does not.
    """
    from tests.commands import KEY

    def run(*arguments: str, **more: Any) -> Done:
        said = {"SECRET_KEY": KEY, "ENV": "test"} | more
        return bare(*arguments, "--config", str(installed), **said)

    return run


@pytest.fixture
def ref(office: Parts, database_url: str, tmp_path: Path) -> Iterator[str]:
    """The reference of one enquiry, its links signed with the same key as the commands'."""
    from directory.domain.values import Reference
    from tests.builders import parts_for, submit
    from tests.commands import KEY

    parts = parts_for(tmp_path, database_url, None, secret_key=KEY)
    yield Reference(submit(parts).ref).display("ENQ")
    parts.let_go()


def _migrate(url: str) -> None:
    from directory.adapters.db import Database
    from directory.adapters.migrations import upgrade

    database = Database(url)
    upgrade(database)
    # Folds SQLite's log into the file, which is then the whole database; and PostgreSQL copies
    # only a database that nobody is connected to.
    database.dispose()


def _plant(root: Path, url: str) -> None:
    from tests.builders import parts_for, plant_office

    parts = parts_for(root, url)
    with parts.db.writing() as session:
        plant_office(session)
    parts.let_go()


def _execute(server: PostgresServer, statement: str) -> None:
    import psycopg

    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(statement.encode())


# --- Browser ------------------------------------------------------------------------------------


# Not for the whole session: while it is open, its event loop runs in this thread, and nothing
# else here could call asyncio.run.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, the same for all tests of a file."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        pytest.fail(
            "No Chromium: set DIRECTORY_CHROMIUM to one, or install "
            f"one that is called {', '.join(CHROMIUM_NAMES)}"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_OPTIONS))
        yield browser
        browser.close()


OpenPage = Callable[..., "Page"]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """``open_page(url, width=390, dark=True, …)`` opens *url* in a window of its own.

    After the test: no page asked another origin for anything, none had an error in a script, and
    nothing was refused by the content security policy.
    """
    contexts = []
    wrong: list[str] = []

    def open_page(
        url: str,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        language: str = "en",
        javascript: bool = True,
        **more: Any,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=language,
            java_script_enabled=javascript,
            **more,
        )
        contexts.append(context)
        host = urlsplit(url).netloc
        page = context.new_page()

        def ask(asked: str) -> None:
            parts = urlsplit(asked)
            if parts.scheme not in {"data", "blob", "about"} and parts.netloc != host:
                wrong.append(f"asked another origin: {asked}")

        def say(kind: str, text: str) -> None:
            # A page that answers 404 or 422 is an error to the console, and none to us.
            if kind == "error" and "the server responded with a status of" not in text:
                wrong.append(f"console: {text}")

        page.on("request", lambda request: ask(request.url))
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on("console", lambda message: say(message.type, message.text))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []

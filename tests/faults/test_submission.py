"""Submitting through the real web server while something goes wrong.

What must hold is in PROMISES: P1 to P4, under F1, F20, F21, F22 and F26.
"""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from directory.adapters import migrations
from directory.adapters.db import Database, decisions, deliveries, enquiries
from directory.parts import Parts
from tests.builders import parts_for, plant_office, submit
from tests.faults.processes import Served, serving
from tests.postgres import PostgresServer
from tests.support import eventually
from tests.web.conftest import client_of
from tests.web.pages import TYPED, Page, send, shown_form


def count(db: Database, table: sa.Table) -> int:
    with db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def refs(db: Database) -> set[str]:
    with db.reading() as session:
        return set(session.scalars(sa.select(enquiries.c.ref)))


def ref_shown(location: str) -> str:
    """The reference a visitor was shown, out of the address of the status page."""
    return location.partition("/e/")[2][:8]


@pytest.fixture
def site(office: Parts, database_url: str, tmp_path: Path) -> Iterator[Served]:
    """The institution behind gunicorn with two processes, by the machine's clock."""
    with serving(tmp_path, database_url, enquiry={"rate_per_hour": 0, "refuse_per_hour": 0}) as it:
        yield it


def at_once(number: int, act: Callable[[int], Any]) -> list[Any]:
    """What *number* calls of *act* give, all begun at the same moment."""
    gate = threading.Barrier(number)
    results: list[Any] = [None] * number

    def run(index: int) -> None:
        gate.wait()
        try:
            results[index] = act(index)
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# The same form, twenty times at once (F26, P4)


def test_the_same_form_twenty_times_at_once_is_one_enquiry_with_one_pair_of_mails(
    site: Served, office: Parts
) -> None:
    fields = site.form("permits") | TYPED

    answers = at_once(20, lambda _: site.ask("POST", "/en/enquiries", fields))

    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.location for answer in answers}) == 1
    assert {ref_shown(answers[0].location)} == refs(office.db)
    assert count(office.db, decisions) == 1
    with office.db.reading() as session:
        kinds = sorted(session.scalars(sa.select(deliveries.c.kind)))
    assert kinds == ["acknowledgement", "routed"]


def test_the_same_form_with_different_words_at_once_is_one_enquiry_and_the_rest_are_told(
    site: Served, office: Parts
) -> None:
    fields = site.form("permits") | TYPED

    answers = at_once(
        8, lambda n: site.ask("POST", "/en/enquiries", fields | {"message": f"Text {n}"})
    )

    told = sorted(answer.status_code for answer in answers)
    assert told == [303] + [422] * 7
    [sent] = [answer for answer in answers if answer.status_code == 303]
    assert refs(office.db) == {ref_shown(sent.location)}
    for number, answer in enumerate(answers):
        if answer.status_code == 422:
            page = Page(answer)
            assert "You already sent this form as ENQ-" in page.errors[0][1]
            assert page.values()["message"] == f"Text {number}"


def test_many_visitors_at_once_each_get_a_reference_of_their_own(
    site: Served, office: Parts
) -> None:
    def visit(_: int) -> str:
        fields = site.form("permits") | TYPED
        answer = site.ask("POST", "/en/enquiries", fields)
        assert answer.status_code == 303
        return ref_shown(answer.location)

    shown = at_once(16, visit)

    assert all(isinstance(ref, str) for ref in shown), shown
    assert len(set(shown)) == 16 and set(shown) == refs(office.db)


# kill -9 of web processes (F1, P1)


def test_web_processes_killed_while_visitors_send_lose_no_reference_that_was_shown(
    site: Served, office: Parts
) -> None:
    done = threading.Event()
    dice = random.Random(7)

    strikes = 0

    def strike() -> None:
        """One of them, whatever it is at, each time two visitors have got through."""
        nonlocal strikes
        while not done.wait(0.01):
            if len(shown) >= 2 * strikes and (workers := site.web_processes()):
                os.kill(dice.choice(workers), signal.SIGKILL)
                strikes += 1

    shown: list[str] = []

    def visit(_: int) -> None:
        for _i in range(6):
            fields = eventually(lambda: site.form("permits"), within=40) | TYPED
            while True:
                # As a visitor does whose page did not load: the same form again.
                try:
                    answer = site.ask("POST", "/en/enquiries", fields)
                except (OSError, http.client.HTTPException):
                    continue
                break
            assert answer.status_code == 303, answer.body
            shown.append(ref_shown(answer.location))

    striking = threading.Thread(target=strike)
    striking.start()
    wrong = [result for result in at_once(4, visit) if result is not None]
    done.set()
    striking.join()

    assert wrong == [] and strikes >= 10
    # Every reference shown is kept; one form never became two, killed under or not.
    assert len(shown) == len(set(shown)) == 24
    assert set(shown) == refs(office.db)
    # One mail each to the department; to one and the same address three receipts a day.
    assert count(office.db, decisions) == 24
    with office.db.reading() as session:
        kinds = list(session.scalars(sa.select(deliveries.c.kind)))
    assert (kinds.count("routed"), kinds.count("acknowledgement")) == (24, 3)


# One commit, synchronised, before the answer (P2)


def test_a_submission_is_exactly_one_commit_and_it_is_durable(office: Parts) -> None:
    client = client_of(office)
    fields = shown_form(client) | TYPED
    commits: list[dict[str, str]] = []

    def note(connection: Any) -> None:
        if connection.get_execution_options().get("reading"):
            return
        names = ("journal_mode", "synchronous") if office.db.is_sqlite else ("synchronous_commit",)
        ask = "PRAGMA " if office.db.is_sqlite else "SHOW "
        commits.append(
            {name: str(connection.exec_driver_sql(ask + name).scalar()) for name in names}
        )

    sa.event.listen(office.db.engine, "commit", note)
    response = client.post("/en/enquiries", data=fields)
    sa.event.remove(office.db.engine, "commit", note)

    assert response.status_code == 303
    durable = {"journal_mode": "wal", "synchronous": "2"}
    if not office.db.is_sqlite:
        durable = {"synchronous_commit": "on"}
    assert commits == [durable]


# The database locked, gone, and back (F20, F21, P3)


@contextmanager
def held_by_another(url: str) -> Iterator[None]:
    """Another program writes, and does not come to an end."""
    other = Database(url)
    try:
        with other.writing() as session:
            if other.is_sqlite:
                session.execute(sa.text("UPDATE directory_version SET version = version"))
            else:
                session.execute(sa.text("LOCK TABLE enquiry IN ACCESS EXCLUSIVE MODE"))
            yield
    finally:
        other.dispose()


def impatient(office: Parts, url: str) -> Parts:
    """The same installation, in a process that waits for its turn a fraction of a second."""
    parts = parts_for(office.settings.root, url, None)
    parts.db = Database(url, write_wait_s=0.3)
    parts.now = office.now
    return parts


def is_honest_refusal(answer: Any) -> Page:
    """503 without a reference, the text still there, and another way to make contact."""
    page = Page(answer)
    assert page.status == 503
    assert answer.headers.get("Retry-After") or answer.headers.get("retry-after")
    assert not page.all("#reference") and "ENQ-" not in page.text
    shown = page.values()
    assert {name: shown[name] for name in TYPED} == TYPED
    summary = page.one("#error-summary").text()
    assert "could not store" in summary
    assert "+86 25 0345 5100" in summary and "desk@institute.example" in summary
    return page


def test_a_database_locked_for_too_long_is_an_honest_503_and_the_next_press_sends_it(
    office: Parts, database_url: str
) -> None:
    parts = impatient(office, database_url)
    client = client_of(parts)
    fields = shown_form(client) | TYPED
    with held_by_another(database_url):
        page = is_honest_refusal(client.post("/en/enquiries", data=fields))

    again = client.post("/en/enquiries", data=page.values())

    assert again.status_code == 303
    assert refs(office.db) == {ref_shown(again.location)}
    assert page.values()["form_token"] == fields["form_token"]
    parts.let_go()


def test_a_503_speaks_the_visitors_language(office: Parts, database_url: str) -> None:
    parts = impatient(office, database_url)
    client = client_of(parts)
    fields = shown_form(client, "zh-hans") | TYPED
    with held_by_another(database_url):
        page = Page(client.post("/zh-hans/enquiries", data=fields))

    assert (page.status, page.one("html").attributes["lang"]) == (503, "zh-Hans")
    assert "+86 25 0345 5100" in page.one("#error-summary").text()
    assert count(office.db, enquiries) == 0
    parts.let_go()


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    """A server that may be stopped; it syncs as it would in service."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_postgresql_gone_is_an_honest_503_and_all_goes_on_when_it_is_back(
    own_postgres: PostgresServer, tmp_path: Path, clock: Any, how: str
) -> None:
    with psycopg.connect(own_postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {how}ped".encode())
    parts = parts_for(tmp_path, own_postgres.url(f"{how}ped"), clock)
    migrations.upgrade(parts.db)
    with parts.db.writing() as session:
        plant_office(session)
    client = client_of(parts)
    kept = send(client)
    assert kept.status_code == 303
    fields = shown_form(client) | TYPED

    getattr(own_postgres, how)()
    try:
        page = is_honest_refusal(client.post("/en/enquiries", data=fields))
        asked = client.get("/en/enquiries/new?topic=permits")
        assert asked.status_code == 503 and "+86 25 0345 5100" in asked.get_data(as_text=True)
    finally:
        own_postgres.start()

    again = client.post("/en/enquiries", data=page.values())
    assert again.status_code == 303
    assert refs(parts.db) == {ref_shown(kept.location), ref_shown(again.location)}
    parts.let_go()


def test_a_connection_that_dies_in_the_commit_gives_the_right_reference_or_none(
    postgres_url: str, tmp_path: Path, clock: Any
) -> None:
    """Whether it was stored nobody can say; sent again, it is one enquiry all the same."""
    parts = parts_for(tmp_path, postgres_url, clock)
    with parts.db.writing() as session:
        plant_office(session)
    client = client_of(parts)
    fields = shown_form(client) | TYPED

    def die(connection: Any) -> None:
        if connection.get_execution_options().get("reading"):
            return
        sa.event.remove(parts.db.engine, "commit", die)
        connection.connection.driver_connection.commit()
        raise sa.exc.OperationalError("COMMIT", None, OSError("connection lost"))

    sa.event.listen(parts.db.engine, "commit", die)
    first = client.post("/en/enquiries", data=fields)

    assert first.status_code == 503
    again = client.post("/en/enquiries", data=Page(first).values())
    assert again.status_code == 303
    assert refs(parts.db) == {ref_shown(again.location)}
    parts.let_go()


def test_a_full_disk_is_an_honest_503_and_reading_goes_on(
    sqlite_url: str, tmp_path: Path, clock: Any
) -> None:
    parts = parts_for(tmp_path, sqlite_url, clock)
    with parts.db.writing() as session:
        plant_office(session)
    submit(parts)
    client = client_of(parts)
    fields = shown_form(client) | TYPED | {"message": "字" * 5000}

    def full(connection: Any, _: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    parts.let_go()
    sa.event.listen(parts.db.engine, "connect", full)
    answers = [client.post("/en/enquiries", data=fields) for _ in range(2)]
    reading = client.get("/en/departments/parking").status_code
    sa.event.remove(parts.db.engine, "connect", full)
    parts.let_go()

    assert [answer.status_code for answer in answers] == [503, 503]
    assert Page(answers[1]).values()["message"] == "字" * 5000
    assert reading == 200
    assert client.post("/en/enquiries", data=fields).status_code == 303
    parts.let_go()

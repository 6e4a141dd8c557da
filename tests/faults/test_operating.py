"""What machines are told while something is wrong for real, and that it ends when that does."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from directory.adapters import migrations
from directory.cli import cli
from directory.parts import Parts
from directory.web import operating
from tests.builders import parts_for, plant_office
from tests.faults.serving import Service, running
from tests.postgres import PostgresServer
from tests.support import eventually
from tests.web.conftest import client_of

TOKEN = "a-token-for-the-scraper"


def status(client: FlaskClient) -> int:
    return client.get("/readyz").status_code


@contextmanager
def no_room() -> Iterator[None]:
    """Every file of this process is as long as it may be: what a full disk is to a database."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def patient_office(sqlite_url: str, tmp_path: Path) -> Iterator[Parts]:
    parts = parts_for(tmp_path, sqlite_url)
    with parts.db.writing() as session:
        plant_office(session)
    yield parts
    parts.let_go()


def test_f22_p3_a_full_disk_is_not_ready_and_ready_again_when_there_is_room(
    patient_office: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading goes on meanwhile, so only what writes can tell."""
    monkeypatch.setattr(operating, "_PROBED_FOR_S", 0.2)
    client = client_of(patient_office)
    client.get("/en/")  # whatever a first request writes is written
    assert status(client) == 200
    with no_room():
        eventually(lambda: status(client) == 503, within=5, what="not ready")
        told = [client.get(path).status_code for path in ("/healthz", "/en/departments/")]
        checks = client.get("/readyz").json
        patient_office.let_go()

    assert told == [200, 200]
    assert checks is not None and checks["checks"]["database"] == "unavailable"
    assert checks["checks"]["ledger"] == "ok"  # read, as all that is not written can be
    assert status(client) == 200


def test_f21_a_writer_that_keeps_the_lock_is_not_ready_within_the_limit(
    patient_office: Parts,
) -> None:
    client = client_of(patient_office)
    patient_office.db.write_wait_s = 0.3
    other = sqlite3.connect(patient_office.db.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    locked = status(client)
    waited = time.monotonic() - begun
    other.execute("ROLLBACK")
    other.close()

    assert locked == 503
    assert waited < 5
    assert status(client) == 200


def test_f20_a_database_that_is_restarted_is_not_ready_meanwhile(tmp_path: Path) -> None:
    server = PostgresServer()
    server.start()
    try:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(b"CREATE DATABASE contact")
        parts = parts_for(tmp_path, server.url("contact"))
        migrations.upgrade(parts.db)
        with parts.db.writing() as session:
            plant_office(session)
        client = client_of(parts)
        told = [status(client)]
        server.crash()
        # What was probed a moment ago holds for two seconds at most.
        eventually(lambda: status(client) == 503, within=10, what="not ready")
        told.append(client.get("/healthz").status_code)
        server.start()
        eventually(lambda: status(client) == 200, within=10, what="ready again")
        parts.let_go()
    finally:
        server.remove()

    assert told == [200, 200]


# The whole service


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Service]:
    made = CliRunner().invoke(cli, ["init", str(tmp_path / "site"), "--sample"])
    assert made.exit_code == 0, made.output
    arguments = ["serve", "--port", "0", "--config", str(tmp_path / "site/config/directory.toml")]
    with running(arguments, tmp_path / "log", DIRECTORY_METRICS__TOKEN=TOKEN) as service:
        yield service


def ask(service: Service, path: str, **headers: str) -> tuple[int, str]:
    """One request as a machine makes it, to the address of the process."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": "10.0.0.7:8000", **headers})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def pages_counted(service: Service) -> float:
    code, text = ask(service, "/metrics", Authorization=f"Bearer {TOKEN}")
    assert code == 200
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "directory_http_requests_total"
        and sample.labels["endpoint"] == "public.accessibility"
    )


def test_metrics_add_up_all_processes_also_one_that_was_killed(serving: Service) -> None:
    before = pages_counted(serving)
    threads = [threading.Thread(target=lambda: serving.get("/en/accessibility")) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [pages_counted(serving) for _ in range(4)] == [before + 24] * 4  # whoever answers

    gunicorn = [pid for pid in serving.children() if len(serving.children(pid)) == 2]
    for pid in serving.children(gunicorn[0]):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: pages_counted(serving) == before + 24, within=20)

    assert ask(serving, "/healthz") == (200, "ok")
    code, body = ask(serving, "/readyz")
    assert (code, json.loads(body)["checks"]["database"]) == (200, "ok")
    assert serving.stop() == 0

"""Lives, ready, and the figures: for machines, of any host name, and nothing of a person."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from directory.adapters import duties, migrations
from directory.adapters.mail import Accepted, NullTransport
from directory.adapters.metrics import Metrics, forget_the_dead
from directory.domain.delivery import Delivery
from directory.domain.errors import OurFailure, TemporaryFailure, Unavailable
from directory.parts import Parts
from directory.services import alarms
from directory.worker import Worker
from tests.builders import SetClock, a_submission, parts_for, plant_office, submit
from tests.web.conftest import client_of

TOKEN = "a-token-for-the-scraper"


def ready(client: FlaskClient) -> tuple[int, dict[str, Any]]:
    answer = client.get("/readyz")
    assert answer.json is not None
    return answer.status_code, answer.json


class Unreachable(NullTransport):
    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure = failure

    def send(self, *_: object, **__: object) -> Accepted:
        raise self.failure


# Lives


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_answered_for_any_host(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200
    assert client.get("/en/", headers={"Host": "elsewhere.example"}).status_code == 400


def test_healthz_says_ok_also_without_a_database(
    office: Parts, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office, "db", None)
    answer = client.get("/healthz")

    assert (answer.status_code, answer.text) == (200, "ok")
    assert answer.headers["Cache-Control"] == "no-store"


# Ready


def test_readyz_says_ok_when_all_is_well(client: FlaskClient) -> None:
    status, body = ready(client)

    assert (status, body["status"]) == (200, "ok")
    assert set(body["checks"].values()) == {"ok"}


def test_readyz_is_503_when_the_database_takes_no_enquiry(
    office: Parts, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise Unavailable("OperationalError")

    monkeypatch.setattr(duties, "done", full)
    status, body = ready(client)
    assert (status, body["status"]) == (503, "unavailable")
    assert body["checks"]["database"] == "unavailable"

    monkeypatch.undo()
    assert ready(client)[0] == 200


def test_readyz_is_503_when_a_migration_is_missing_and_not_when_the_database_is_ahead(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "newest", lambda: "9999")
    status, body = ready(client)
    assert (status, body["checks"]["migrations"]) == (503, "missing")

    monkeypatch.setattr(migrations, "newest", lambda: "0001")
    status, body = ready(client)
    assert (status, body["status"], body["checks"]["migrations"]) == (200, "ok", "ahead")


@pytest.mark.parametrize(
    "failure",
    [
        TemporaryFailure("connect", 0, "ConnectionRefusedError"),
        OurFailure("auth", 535, "5.7.8 Bad credentials"),
    ],
    ids=["down", "refuses us"],
)
def test_a_mail_server_that_is_down_is_a_warning_and_no_reason_to_turn_visitors_away(
    office: Parts, client: FlaskClient, failure: Exception
) -> None:
    submit(office)
    Worker(office, Unreachable(failure)).run_once()
    status, body = ready(client)

    assert (status, body["status"]) == (200, "warning")
    assert body["checks"]["mail"] == "unreachable"


def test_p8_mail_that_waits_fifteen_minutes_shows_and_four_hours_more_so(
    office: Parts, client: FlaskClient, clock: SetClock
) -> None:
    submit(office)
    seen = []
    for seconds in (900, 1, 14400 - 901, 1):
        clock.advance(seconds=seconds)
        seen.append(ready(client)[1]["checks"]["queue"])

    assert seen == ["ok", "late", "late", "alarm"]


def test_readyz_warns_of_an_imbalance_of_paused_mail_and_of_alarms(
    office: Parts, client: FlaskClient
) -> None:
    submit(office)
    with office.db.writing() as session:
        for it in session.scalars(sa.select(Delivery)):
            it.cancelled(office.now(), "by mistake")
    with office.db.writing() as session:
        duties.switch_on(session, duties.MAIL_PAUSED, now=office.now(), by="ops", reason="")
        alarms.watch(session, settings=office.settings, now=office.now(), free_mb=None)
    status, body = ready(client)

    assert (status, body["status"]) == (200, "warning")
    assert body["checks"]["ledger"] == "unbalanced"
    assert body["checks"]["delivery"] == "paused"
    assert body["checks"]["alarms"] == "ledger.unbalanced"


# Metrics


@pytest.fixture
def metered(sqlite_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Parts]:
    parts = parts_for(tmp_path, sqlite_url, clock, metrics={"token": TOKEN})
    with parts.db.writing() as session:
        plant_office(session)
    yield parts
    parts.let_go()


def scrape(client: FlaskClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels."""
    answer = client.get(
        "/metrics", headers={"Authorization": f"Bearer {TOKEN}", "Host": "10.1.2.3"}
    )
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_are_no_page_where_no_token_is_set(client: FlaskClient) -> None:
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_metrics_are_closed_to_whoever_has_another_token(metered: Parts) -> None:
    asked = client_of(metered)
    for given in ({}, {"Authorization": "Bearer no"}, {"Authorization": f"Basic {TOKEN}"}):
        answer = asked.get("/metrics", headers=given)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_metrics_tell_of_requests_deliveries_the_queue_and_the_ledger(
    metered: Parts, clock: SetClock
) -> None:
    client = client_of(metered)
    before = scrape(client)
    client.get("/en/departments/")
    client.get("/no-such-page")
    submit(metered)
    Worker(metered, NullTransport()).run_once()
    submit(metered, a_submission(form_token="another"))
    clock.advance(seconds=90)
    now = scrape(client)

    def grown(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return now[key] - before.get(key, 0)

    requests = "directory_http_requests_total"
    assert grown(requests, method="GET", endpoint="public.departments", status="200") == 1
    assert grown(requests, method="GET", endpoint="none", status="404") == 1
    assert grown("directory_http_request_seconds_count", endpoint="public.departments") == 1
    tries = "directory_delivery_attempts_total"
    assert grown(tries, kind="routed", outcome="accepted") == 1
    assert grown(tries, kind="acknowledgement", outcome="accepted") == 1
    assert now["directory_queue_messages", (("state", "queued"),)] == 2
    assert now["directory_queue_oldest_seconds", (("state", "queued"),)] == 90
    assert now["directory_enquiries", (("account", "waiting"),)] == 1
    assert now["directory_enquiries", (("account", "retrying"),)] == 1
    assert now["directory_enquiries_received", ()] == 2
    assert now["directory_ledger_missing", ()] == 0
    assert now["directory_database_up", ()] == 1
    assert now["directory_mail_paused", ()] == 0


def test_metrics_hold_nothing_of_a_person(metered: Parts) -> None:
    client = client_of(metered)
    submit(metered)
    client.get("/en/search?q=liwei@example.com")
    Worker(metered, NullTransport()).run_once()
    text = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text

    assert "directory_http_requests_total" in text
    assert not any(word in text for word in ("@", "liwei", "Li Wei", "/e/", "gate"))


def test_metrics_still_tell_of_requests_while_the_database_is_away(
    metered: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(metered)

    def away() -> None:
        raise Unavailable("OperationalError")

    monkeypatch.setattr(metered, "db", type("Away", (), {"reading": staticmethod(away)})())
    assert scrape(client)["directory_database_up", ()] == 0


def test_counts_of_processes_that_ended_are_forgotten_at_the_next_start(tmp_path: Path) -> None:
    mine, dead = tmp_path / f"counter_{os.getpid()}.db", tmp_path / "counter_4194999.db"
    for file in (mine, dead):
        file.touch()
    forget_the_dead(tmp_path)

    assert mine.exists() and not dead.exists()


def test_a_process_counts_nothing_where_nobody_may_ask(quick_office: Parts) -> None:
    assert quick_office.metrics is None
    assert not (quick_office.settings.var / "metrics").exists()
    assert Metrics(quick_office.settings.var / "metrics") is not None

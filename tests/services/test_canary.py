"""A test enquiry goes the whole way now and then, is counted nowhere, and is missed when lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.adapters import duties, ledger
from directory.adapters.db import deliveries, enquiries
from directory.adapters.mail import NullTransport
from directory.adapters.queries import moves_of_topics
from directory.domain.alarms import AlarmKind
from directory.domain.delivery import Delivery, DeliveryKind
from directory.domain.enquiry import Enquiry
from directory.domain.ledger import Ledger
from directory.parts import Parts
from directory.services import alarms
from directory.services.minute import go_round
from directory.worker import Worker
from tests.builders import SetClock, parts_for, plant_office


@pytest.fixture
def caged(database_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Parts]:
    """An installation that sends a canary every ten minutes, to be accepted within two."""
    canary = {"every_minutes": 10, "within_s": 120, "department": "admissions"}
    parts = parts_for(tmp_path, database_url, clock, canary=canary)
    with parts.db.writing() as session:
        plant_office(session)
    yield parts
    parts.let_go()


def sent(parts: Parts) -> Sequence[Enquiry]:
    with parts.db.reading() as session:
        return session.scalars(sa.select(Enquiry).order_by(enquiries.c.id)).all()


def standing(parts: Parts) -> list[AlarmKind]:
    with parts.db.reading() as session:
        return [kind for kind, _ in alarms.standing(session)]


def test_no_canary_is_sent_unless_somebody_asks_for_it(office: Parts) -> None:
    go_round(office)
    assert sent(office) == []


def test_a_canary_goes_the_whole_way_and_is_counted_nowhere(caged: Parts, clock: SetClock) -> None:
    go_round(caged)
    clock.advance(seconds=30)
    tally = Worker(caged, NullTransport()).run_once()
    clock.advance(seconds=300)
    go_round(caged)

    [canary] = sent(caged)
    assert (canary.test, canary.source, canary.status.value) == (True, "canary", "routed")
    assert tally.processed == 1  # its mail to the department, and no receipt to anybody
    with caged.db.reading() as session:
        [mail] = session.scalars(sa.select(Delivery).where(deliveries.c.enquiry_id == canary.id))
        assert (mail.kind, mail.recipient) == (
            DeliveryKind.ROUTED,
            "admissions@institute.example",
        )
        assert ledger.read(session) == ledger.count_anew(session) == Ledger()
        assert moves_of_topics(session, since=canary.received_at) == []
    assert standing(caged) == []


def test_a_canary_that_is_not_accepted_in_time_is_an_alarm_until_one_is(
    caged: Parts, clock: SetClock
) -> None:
    go_round(caged)
    clock.advance(seconds=120)
    go_round(caged)
    assert standing(caged) == []  # not yet

    clock.advance(seconds=1)
    go_round(caged)
    assert standing(caged) == [AlarmKind.CANARY]

    Worker(caged, NullTransport()).run_once()
    go_round(caged)
    assert standing(caged) == [AlarmKind.CANARY]  # late is lost

    clock.advance(minutes=10)
    go_round(caged)
    Worker(caged, NullTransport()).run_once()
    go_round(caged)
    assert standing(caged) == []


def test_one_canary_is_sent_in_each_period_however_often_workers_look(
    caged: Parts, clock: SetClock
) -> None:
    for _ in range(4):
        go_round(caged)
    clock.advance(minutes=9, seconds=59)
    go_round(caged)
    assert len(sent(caged)) == 1

    clock.advance(seconds=1)
    go_round(caged)
    assert len(sent(caged)) == 2


def test_no_canary_is_sent_or_missed_while_mail_is_paused(caged: Parts, clock: SetClock) -> None:
    go_round(caged)
    with caged.db.writing() as session:
        duties.switch_on(session, duties.MAIL_PAUSED, now=clock.at, by="ops", reason="")
    clock.advance(hours=1)
    go_round(caged)

    assert len(sent(caged)) == 1
    assert standing(caged) == []

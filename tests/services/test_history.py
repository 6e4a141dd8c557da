"""What happened, kept so that it can be trusted."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from directory.adapters.db import events
from directory.adapters.queries import events_of
from directory.services.history import digest, record
from tests.builders import MONDAY_NOON


def happen(session: Any, type: str, **more: Any) -> None:
    record(session, "enquiry:X", type, now=more.pop("now", MONDAY_NOON), **more)
    session.flush()


def test_events_are_chained_in_the_order_they_happened(session):
    happen(session, "received", first=True)
    for type in ("routed", "taken", "answered"):  # all within one millisecond
        happen(session, type, by="chen@x.example", before={"a": 1}, after={"a": 2})

    found = events_of(session, "enquiry:X")

    assert [event.type for event in found] == ["received", "routed", "taken", "answered"]
    assert [event.previous for event in found] == ["", *(event.digest for event in found[:-1])]
    assert len({event.digest for event in found}) == 4


def test_an_event_stays_last_though_the_clock_went_back(session, clock):
    happen(session, "received", now=clock.at, first=True)
    happen(session, "routed", now=clock.advance(days=-2))

    assert [event.type for event in events_of(session, "enquiry:X")] == ["received", "routed"]


def test_a_digest_can_be_worked_out_again_from_what_the_database_gives_back(db):
    with db.writing() as session:
        happen(session, "received", first=True, note="备注", after={"b": [1, None], "a": "“x”"})
        happen(session, "routed", before={"status": "received"})

    with db.reading() as session:
        for event in events_of(session, "enquiry:X"):
            assert digest(event) == event.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"note": "x"},
        {"by": "x"},
        {"type": "x"},
        {"at": MONDAY_NOON.replace(year=2025)},
        {"after": {"x": 1}},
        {"previous": "x"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_event_that_was_tampered_with_does_not_match_its_digest(db, changes):
    with db.writing() as session:
        happen(session, "received", first=True)
    with db.writing() as session:
        session.execute(sa.update(events).values(**changes))

    with db.reading() as session:
        [event] = events_of(session, "enquiry:X")
    assert digest(event) != event.digest


def test_two_histories_of_one_subject_cannot_be(db):
    with db.writing() as session:
        happen(session, "received", first=True)

    with pytest.raises(sa.exc.IntegrityError), db.writing() as session:
        happen(session, "forked", first=True)

    with db.reading() as session:
        assert len(events_of(session, "enquiry:X")) == 1

"""Done once in each period however many try and whatever the clock does; switches stay set."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from directory.adapters import duties
from directory.adapters.db import Database
from tests.builders import MONDAY_NOON

HOURLY = timedelta(hours=1)


def turn(db: Database, now: datetime) -> bool:
    with db.writing() as session:
        if duties.take(session, "tidy", now=now, every=HOURLY) is None:
            return False
        duties.done(session, "tidy", now=now, facts={"at": now.isoformat()})
        return True


def test_a_duty_is_done_once_in_each_period(db: Database) -> None:
    times = [MONDAY_NOON + timedelta(minutes=minutes) for minutes in (0, 1, 59, 60, 61, 121)]

    assert [turn(db, now) for now in times] == [True, False, False, True, False, True]


def test_of_many_who_try_at_once_one_does_it(db: Database) -> None:
    # The first time there is no row yet; the second there is one to wait for.
    for now in (MONDAY_NOON, MONDAY_NOON + 2 * HOURLY):
        did: list[bool] = []
        together = threading.Barrier(4)

        def attempt(now: datetime, did: list[bool], together: threading.Barrier) -> None:
            together.wait()
            did.append(turn(db, now))

        threads = [threading.Thread(target=attempt, args=(now, did, together)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(did) == [False, False, False, True]


def test_f23_a_clock_that_goes_back_neither_repeats_a_duty_nor_puts_it_off_for_days(
    db: Database,
) -> None:
    assert turn(db, MONDAY_NOON + timedelta(days=2))

    assert not turn(db, MONDAY_NOON)
    assert not turn(db, MONDAY_NOON + timedelta(minutes=59))
    assert turn(db, MONDAY_NOON + timedelta(minutes=60))


def test_a_duty_that_was_not_finished_is_still_to_be_done(db: Database) -> None:
    with db.writing() as session:
        assert duties.take(session, "tidy", now=MONDAY_NOON, every=HOURLY) is not None

    assert turn(db, MONDAY_NOON)
    with db.reading() as session:
        assert duties.look(session, "tidy").facts == {"at": MONDAY_NOON.isoformat()}
        assert duties.look(session, "another") == duties.Duty(None, {})


def test_a_switch_says_who_set_it_and_setting_it_twice_is_no_news(db: Database) -> None:
    with db.writing() as session:
        assert duties.switch_on(session, "lamp", now=MONDAY_NOON, by="li@x.example", reason="dusk")
        assert not duties.switch_on(
            session, "lamp", now=MONDAY_NOON + HOURLY, by="wu@x.example", reason=""
        )
        assert duties.is_on(session, "lamp")
        assert duties.switched(session, "lamp") == duties.Switched(
            MONDAY_NOON, "li@x.example", "dusk"
        )
        assert duties.switch_off(session, "lamp")
        assert not duties.switch_off(session, "lamp")
        assert duties.switched(session, "lamp") is None

"""What was used of an allowance: exact, shared, and forgotten in time."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from directory.adapters import limits
from directory.adapters.db import allowances
from tests.builders import MONDAY_NOON

HOUR = timedelta(hours=1)


def test_uses_are_counted_for_each_key_apart(session):
    limits.use(session, ["a", "b"], now=MONDAY_NOON)
    limits.use(session, ["a"], now=MONDAY_NOON)

    since = MONDAY_NOON - HOUR
    assert limits.used(session, {"a": since, "b": since, "c": since}) == {"a": 2, "b": 1}
    assert limits.used(session, {}) == {}


def test_a_use_falls_out_of_the_window_to_the_second(session):
    limits.use(session, ["a"], now=MONDAY_NOON)

    just_before_it = MONDAY_NOON - timedelta(seconds=1)
    assert limits.used(session, {"a": just_before_it}) == {"a": 1}
    assert limits.used(session, {"a": MONDAY_NOON}) == {}


def test_the_first_use_says_when_one_is_free_again(session):
    later = MONDAY_NOON + timedelta(minutes=20)
    limits.use(session, ["a"], now=later)
    limits.use(session, ["a"], now=MONDAY_NOON)

    assert limits.first_use(session, "a", since=MONDAY_NOON - HOUR) == MONDAY_NOON
    assert limits.first_use(session, "a", since=MONDAY_NOON) == later
    assert limits.first_use(session, "b", since=MONDAY_NOON) is None


def test_nothing_is_counted_of_what_was_not_stored(db):
    class Refused(Exception):
        pass

    with pytest.raises(Refused), db.writing() as session:
        limits.use(session, ["a"], now=MONDAY_NOON)
        raise Refused

    with db.reading() as session:
        assert limits.used(session, {"a": MONDAY_NOON - HOUR}) == {}


def test_what_no_window_reaches_is_forgotten(session):
    limits.use(session, ["old", "older"], now=MONDAY_NOON)
    limits.use(session, ["new"], now=MONDAY_NOON + limits.LONGEST)

    later = MONDAY_NOON + limits.LONGEST
    assert limits.forget(session, now=later) == 0
    assert limits.forget(session, now=later + timedelta(seconds=1)) == 2
    assert session.scalars(sa.select(allowances.c.key)).all() == ["new"]


def test_using_nothing_writes_nothing(session):
    limits.use(session, [], now=MONDAY_NOON)

    assert session.scalar(sa.select(sa.func.count()).select_from(allowances)) == 0

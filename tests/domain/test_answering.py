"""The answer clock: mornings, shares of working time, steps, and how long answers usually take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.domain.answering import (
    TYPICAL_FROM,
    Clock,
    Step,
    days_overdue,
    next_reminder,
    typical,
)
from directory.domain.calendars import WorkingCalendar
from directory.domain.hours import OpeningHours

SHANGHAI = ZoneInfo("Asia/Shanghai")
CHINA = Clock(WorkingCalendar(("CN",)), "Asia/Shanghai")


# Any hour of the year.
STARTS = st.integers(0, 8_000).map(lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n))


def china(text: str) -> datetime:
    """A wall time in China, "2026-11-23 12:00"."""
    return datetime.fromisoformat(f"{text}+08:00").astimezone(UTC)


def steps(received: datetime, answer_by: datetime, clock: Clock = CHINA) -> list[datetime]:
    """When each mail goes out if nobody ever answers."""
    times = []
    now, step = received, Step.NONE
    while due := next_reminder(step, received=received, answer_by=answer_by, clock=clock, now=now):
        times.append(due)
        now, step = due, Step(step + 1)
    return times


def test_who_does_not_answer_is_reminded_then_the_deputy_is_told_then_the_desk_three_times():
    assert steps(china("2026-11-23 12:00"), china("2026-11-25 17:30")) == [
        china("2026-11-25 09:00"),  # on the last morning there is, not after it
        china("2026-11-26 09:00"),
        china("2026-11-30 09:00"),
        china("2026-12-02 09:00"),
        china("2026-12-04 09:00"),
    ]


def test_a_long_time_to_answer_is_reminded_of_at_three_quarters():
    due = steps(china("2026-11-23 09:00"), china("2026-12-04 17:30"))[0]

    assert due == china("2026-12-03 09:00")


def test_nobody_is_reminded_on_a_holiday_or_on_a_day_the_department_is_closed():
    # National Day, 1 to 7 October; the Saturday after makes one of its days up.
    times = steps(china("2026-09-29 10:00"), china("2026-10-08 17:30"))
    assert times[0] == china("2026-10-08 09:00")

    hours = OpeningHours.parse("Tu-Th 10:00-16:00", "Asia/Shanghai")
    part_time = Clock(WorkingCalendar(("CN",)), "Asia/Shanghai", hours)
    for time in steps(china("2026-11-23 12:00"), china("2026-11-26 16:00"), part_time):
        assert time.astimezone(UTC).weekday() in {1, 2, 3}


def test_it_is_nine_where_the_reader_is_also_when_the_clocks_change():
    london = Clock(WorkingCalendar(("GB",)), "Europe/London")
    summer = london.morning_from(datetime(2026, 10, 23, 12, 0, tzinfo=UTC))
    friday = london.morning_from(datetime(2026, 10, 23, 7, 0, tzinfo=UTC))

    assert friday == datetime(2026, 10, 23, 8, 0, tzinfo=UTC)
    assert summer == datetime(2026, 10, 26, 9, 0, tzinfo=UTC)


@given(
    STARTS,
    st.integers(1, 10),
    st.integers(-5, 40),
)
def test_steps_never_go_back_and_never_come_before_now(start, days, late):
    received = start
    answer_by = CHINA.days_after(received, days)
    now = received + timedelta(days=max(0, late))
    for step in list(Step)[:-1]:
        due = next_reminder(step, received=received, answer_by=answer_by, clock=CHINA, now=now)
        assert due is not None and due >= now
        local = due.astimezone(SHANGHAI)
        assert CHINA.is_worked(local.date()) and (local.hour, local.minute) == (9, 0)
        now = due
    assert (
        next_reminder(Step.LAST, received=received, answer_by=answer_by, clock=CHINA, now=now)
        is None
    )


@given(STARTS, st.floats(0, 1))
def test_a_share_of_working_time_is_found_to_the_minute(start, share):
    begin = start
    end = CHINA.days_after(begin, 5)

    point = CHINA.point(begin, end, share)

    whole, part = CHINA.working_time(begin, end), CHINA.working_time(begin, point)
    assert abs(part - whole * share) <= timedelta(minutes=2)


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2026-11-23 09:00", "2026-11-23 17:30", 1.0),
        ("2026-11-23 16:30", "2026-11-24 10:00", 2 / 8.5),
        ("2026-11-27 17:30", "2026-11-30 09:00", 0.0),
        ("2026-11-23 12:00", "2026-11-23 11:00", 0.0),
    ],
)
def test_an_answer_is_measured_in_days_that_were_worked(start, end, days):
    assert CHINA.days_taken(china(start), china(end)) == pytest.approx(days)


def test_usually_means_four_of_five_answers_and_is_not_said_of_a_few():
    assert typical([1.0] * (TYPICAL_FROM - 1)) is None
    assert typical([1.0] * 16 + [9.0] * 4) == 1.0
    assert typical([1.0] * 15 + [9.0] * 5) == 9.0


@pytest.mark.parametrize(
    ("now", "days"),
    [
        ("2026-11-25 17:30", 0),
        ("2026-11-25 23:00", 0),
        ("2026-11-26 09:00", 1),
        ("2026-11-28 09:00", 2),
        ("2026-11-30 09:00", 3),
    ],
)
def test_overdue_is_counted_in_working_days(now, days):
    assert days_overdue(china("2026-11-25 17:30"), china(now), CHINA) == days

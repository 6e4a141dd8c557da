from __future__ import annotations

import subprocess
import sys
import time as stopwatch
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.domain.calendars import Override, WorkingCalendar
from directory.domain.errors import InvalidValue

CHINA = WorkingCalendar(("CN",))
SINGAPORE = WorkingCalendar(("SG",))
BOTH = WorkingCalendar(("SG", "CN"))
NANJING = "Asia/Shanghai"


def nanjing(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00")


@pytest.mark.parametrize(
    ("worked", "instead_of"),
    [
        ("2026-01-04", "2026-01-02"),
        ("2026-02-14", "2026-02-20"),
        ("2026-02-28", "2026-02-23"),
        ("2026-05-09", "2026-05-05"),
        ("2026-09-20", "2026-10-06"),
        ("2026-10-10", "2026-10-07"),
    ],
)
def test_china_works_six_weekend_days_of_2026_to_make_up_for_days_off(worked, instead_of):
    day, off = date.fromisoformat(worked), date.fromisoformat(instead_of)

    assert CHINA.is_working_day(day)
    assert CHINA.made_up_on(day) == off
    assert not CHINA.is_working_day(off)
    assert CHINA.holiday(off).bridge


def test_the_weekends_of_2026_are_otherwise_off_in_china():
    days = [date(2026, 1, 1) + timedelta(n) for n in range(365)]
    assert sum(CHINA.is_working_day(day) for day in days if day.weekday() >= 5) == 6


@pytest.mark.parametrize(
    ("day", "english", "chinese"),
    [
        ("2026-02-17", "Chinese New Year", "农历新年"),
        ("2026-03-21", "Hari Raya Puasa", "开斋节"),
        ("2026-04-03", "Good Friday", "耶稣受难日"),
        ("2026-06-01", "Vesak Day", "卫塞节"),
        ("2026-08-10", "National Day", "国庆日"),
        ("2026-11-09", "Deepavali", "屠妖节"),
        ("2026-12-25", "Christmas Day", "圣诞节"),
    ],
)
def test_singapore_has_its_holidays_and_the_mondays_after_those_on_a_sunday(day, english, chinese):
    holiday = SINGAPORE.holiday(date.fromisoformat(day))
    assert holiday.name == {"en": english, "zh-Hans": chinese}


@pytest.mark.parametrize("calendar", ["CN", "SG"])
def test_every_holiday_has_a_name_in_both_languages(calendar):
    days = [date(2025, 1, 1) + timedelta(n) for n in range(4 * 365)]
    found = [it for day in days if (it := WorkingCalendar((calendar,)).holiday(day))]

    assert len(found) > 40
    for holiday in found:
        assert set(holiday.name) == {"en", "zh-Hans"}
        assert "(" not in holiday.name["en"]
        assert holiday.name["zh-Hans"].isprintable() and not holiday.name["zh-Hans"].isascii()


def test_people_in_two_countries_keep_the_holidays_of_both_and_the_make_up_days():
    deepavali, national_day = date(2026, 11, 9), date(2026, 10, 5)
    assert not BOTH.is_working_day(deepavali) and CHINA.is_working_day(deepavali)
    assert not BOTH.is_working_day(national_day) and SINGAPORE.is_working_day(national_day)
    assert BOTH.is_working_day(date(2026, 10, 10))


def test_chinas_next_year_is_provisional_until_it_is_announced():
    assert not CHINA.is_provisional(date(2026, 10, 1))
    assert CHINA.is_provisional(date(2035, 10, 1))
    assert not SINGAPORE.is_provisional(date(2026, 3, 21))
    assert SINGAPORE.is_provisional(date(2028, 2, 27))


def test_an_override_comes_before_the_calendar():
    founders_day = Override(date(2026, 11, 24), working=False, name={"en": "Founders’ Day"})
    stocktaking = Override(date(2026, 11, 28), working=True)
    at_work_anyway = Override(date(2026, 10, 1), working=True)
    calendar = WorkingCalendar(("CN",), (founders_day, stocktaking, at_work_anyway))

    assert not calendar.is_working_day(founders_day.day)
    assert calendar.holiday(founders_day.day).name == {"en": "Founders’ Day"}
    assert calendar.is_working_day(stocktaking.day)
    assert calendar.made_up_on(stocktaking.day) == date(2026, 11, 27)
    assert calendar.is_working_day(at_work_anyway.day)
    assert calendar.holiday(at_work_anyway.day) is None


def test_an_unknown_calendar_is_refused():
    with pytest.raises(InvalidValue) as refusal:
        WorkingCalendar(("CN", "XX"))
    assert refusal.value.code == "calendar.unknown"


@pytest.mark.parametrize(
    ("received", "days", "due"),
    [
        ("2026-11-24T10:00", 2, "2026-11-26T17:30"),  # Tuesday → Thursday
        ("2026-11-24T17:30", 1, "2026-11-25T17:30"),  # closing time itself is in time
        ("2026-11-24T17:31", 1, "2026-11-26T17:30"),  # after closing: as if on Wednesday
        ("2026-11-27T10:00", 1, "2026-11-30T17:30"),  # over the weekend
        ("2026-11-28T10:00", 1, "2026-12-01T17:30"),  # Saturday: as if on Monday
        ("2026-11-28T10:00", 0, "2026-11-30T17:30"),
        ("2026-09-30T10:00", 2, "2026-10-09T17:30"),  # over the National Day week
        ("2026-10-08T10:00", 2, "2026-10-10T17:30"),  # a Saturday worked for it
    ],
)
def test_working_days_are_counted_from_the_day_after_receipt(received, days, due):
    assert CHINA.working_days_after(nanjing(received), days, NANJING) == nanjing(due)


def test_an_answer_is_due_when_the_department_closes_that_day():
    fridays_end_early = lambda day: time(16) if day.weekday() == 4 else time(18)  # noqa: E731
    received = nanjing("2026-11-25T17:45")

    due = CHINA.working_days_after(received, 2, NANJING, closes=fridays_end_early)

    assert due == nanjing("2026-11-27T16:00")


def test_days_on_which_nobody_is_there_do_not_count():
    open_on_thursdays = lambda day: time(12) if day.weekday() == 3 else None  # noqa: E731
    due = CHINA.working_days_after(
        nanjing("2026-11-24T10:00"), 1, NANJING, closes=open_on_thursdays
    )
    assert due == nanjing("2026-12-03T12:00")


def test_a_department_that_is_never_there_still_owes_an_answer():
    due = CHINA.working_days_after(nanjing("2026-11-24T10:00"), 1, NANJING, closes=lambda day: None)
    assert due == nanjing("2026-11-26T17:30")


def test_a_day_that_has_passed_already_is_nobodys_target():
    with pytest.raises(ValueError, match="past"):
        CHINA.working_days_after(nanjing("2026-11-24T10:00"), -1, NANJING)


def test_the_clocks_going_back_keep_the_closing_hour():
    uk = WorkingCalendar(("GB",))
    received = datetime(2026, 10, 23, 9, tzinfo=UTC)  # the Friday before; still summer time
    assert uk.working_days_after(received, 1, "Europe/London") == datetime(
        2026, 10, 26, 17, 30, tzinfo=UTC
    )


def test_working_time_leaves_out_nights_weekends_and_holidays():
    friday, tuesday = nanjing("2026-11-27T16:30"), nanjing("2026-12-01T10:00")
    assert CHINA.working_time_between(friday, tuesday, NANJING) == timedelta(hours=1 + 8.5 + 1)
    assert CHINA.working_time_between(tuesday, friday, NANJING) == timedelta()
    golden_week = nanjing("2026-10-01T00:00"), nanjing("2026-10-08T00:00")
    assert CHINA.working_time_between(*golden_week, NANJING) == timedelta()


INSTANTS = st.integers(0, 3 * 366 * 24 * 60).map(
    lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
CALENDARS = st.sampled_from([CHINA, SINGAPORE, BOTH, WorkingCalendar(("GB",)), WorkingCalendar()])
ZONES = st.sampled_from([NANJING, "Asia/Singapore", "Europe/London", "America/New_York"])


@given(INSTANTS, st.integers(0, 30), CALENDARS, ZONES)
def test_an_answer_falls_on_a_working_day_with_just_so_many_between(received, days, calendar, zone):
    from zoneinfo import ZoneInfo

    due = calendar.working_days_after(received, days, zone)
    first, last = (it.astimezone(ZoneInfo(zone)) for it in (received, due))

    assert due >= received
    assert calendar.is_working_day(last.date())
    between = [first.date() + timedelta(n) for n in range(1, (last.date() - first.date()).days + 1)]
    in_time = calendar.is_working_day(first.date()) and first.time() <= time(17, 30)
    assert sum(map(calendar.is_working_day, between)) == days + (not in_time)


@given(INSTANTS, st.timedeltas(timedelta(), timedelta(days=30)), st.integers(0, 9), CALENDARS)
def test_what_comes_later_or_is_given_longer_is_never_due_earlier(received, later, days, calendar):
    due = calendar.working_days_after(received, days, NANJING)
    assert calendar.working_days_after(received + later, days, NANJING) >= due
    assert calendar.working_days_after(received, days + 1, NANJING) > due


@given(st.lists(INSTANTS, min_size=3, max_size=3), CALENDARS)
def test_working_time_adds_up(instants, calendar):
    first, second, third = sorted(instants)
    assert calendar.working_time_between(first, second, NANJING) + calendar.working_time_between(
        second, third, NANJING
    ) == calendar.working_time_between(first, third, NANJING)


def test_an_answer_date_costs_little_once_the_year_is_known():
    received = nanjing("2026-09-30T10:00")
    BOTH.working_days_after(received, 5, NANJING)

    def seconds() -> float:
        begin = stopwatch.thread_time()
        for _ in range(200):
            BOTH.working_days_after(received, 5, NANJING)
        return (stopwatch.thread_time() - begin) / 200

    assert min(seconds() for _ in range(5)) < 50e-6


def test_one_countrys_holidays_do_not_load_the_worlds():
    script = (
        "import sys; from datetime import date; import directory.domain.calendars as c;"
        "assert 'holidays' not in sys.modules;"
        "c.WorkingCalendar(('CN',)).is_working_day(date(2026, 1, 4));"
        "print(sum(name.startswith('holidays.countries') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == 1

from __future__ import annotations

import time as stopwatch
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from directory.domain.calendars import Override, WorkingCalendar
from directory.domain.errors import InvalidValue
from directory.domain.hours import Closure, OpeningHours, SpecificationRow
from directory.domain.hours_words import (
    closed_in_words,
    date_in_words,
    dates_in_words,
    in_words,
    opens_in_words,
    utc_offset,
    week_table,
)

CHINA = WorkingCalendar(("CN",))
OFFICE = "Mo-Th 09:00-12:00,13:30-17:30; Fr 09:00-12:00,13:30-17:00; PH off"
NANJING = "Asia/Shanghai"
LONDON = "Europe/London"


def the_office(spec: str = OFFICE, timezone: str = NANJING, **changes) -> OpeningHours:
    return OpeningHours.parse(spec, timezone, **{"calendar": CHINA} | changes)


def nanjing(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00")


def london(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(LONDON))


@pytest.mark.parametrize(
    ("at", "is_open", "changes_at"),
    [
        ("2026-11-23T08:59", False, "2026-11-23T09:00"),
        ("2026-11-23T09:00", True, "2026-11-23T12:00"),
        ("2026-11-23T12:00", False, "2026-11-23T13:30"),
        ("2026-11-23T17:29", True, "2026-11-23T17:30"),
        ("2026-11-27T17:00", False, "2026-11-30T09:00"),  # Friday evening
        ("2026-10-01T10:00", False, "2026-10-08T09:00"),  # National Day, a week long
        ("2026-10-10T10:00", True, "2026-10-10T12:00"),  # a Saturday worked for it
    ],
)
def test_a_department_is_open_when_its_hours_say_so(at, is_open, changes_at):
    hours = the_office()
    assert hours.open_at(nanjing(at)) is is_open
    assert hours.next_change(nanjing(at)) == nanjing(changes_at)
    assert hours.next_change(nanjing(at)).tzinfo is UTC


def test_a_make_up_day_has_the_hours_of_the_day_it_gives_back():
    hours = the_office("Mo-We,Fr 09:00-17:30; Th 09:00-12:00; PH off")
    # Saturday 10 October was worked for Wednesday the 7th, 9 May for Tuesday the 5th.
    assert hours.closes_on(date(2026, 10, 10)) == time(17, 30)
    thursdays_only = the_office("Th 10:00-12:00; PH off")
    assert thursdays_only.periods(date(2026, 10, 10)) == ()


def test_a_saturday_with_hours_of_its_own_keeps_them_when_it_is_worked():
    hours = the_office("Mo-Fr 09:00-17:30; Sa 10:00-14:00; PH off")
    assert hours.closes_on(date(2026, 10, 10)) == time(14)


def test_hours_that_say_nothing_of_holidays_are_taken_at_their_word():
    hours = the_office("Mo-Fr 09:00-17:30")
    assert hours.open_at(nanjing("2026-10-01T10:00"))
    assert not hours.open_at(nanjing("2026-10-10T10:00"))
    assert hours.upcoming_closures(date(2026, 9, 28)) == []


def test_holidays_may_have_hours_of_their_own():
    hours = the_office("Mo-Fr 09:00-17:30; PH 10:00-12:00")
    assert hours.open_at(nanjing("2026-10-01T11:00"))
    assert not hours.open_at(nanjing("2026-10-01T13:00"))
    assert hours.state_at(nanjing("2026-10-01T13:00")).holiday is None


def test_holidays_are_ours_and_not_the_librarys():
    singapore = the_office("Mo-Fr 09:00-17:30; PH off", calendar=WorkingCalendar(("SG",)))
    assert singapore.open_at(nanjing("2026-10-01T10:00"))
    assert not singapore.open_at(nanjing("2026-11-09T10:00"))


def test_a_closure_shuts_the_department_and_says_why():
    moving = Closure(date(2026, 11, 25), date(2026, 11, 27), {"en": "moving house"})
    hours = the_office(closures=(moving,))

    state = hours.state_at(nanjing("2026-11-25T10:00"))

    assert not state.open
    assert state.closure is moving
    assert state.changes_at == nanjing("2026-11-30T09:00")


def test_a_holiday_is_the_reason_for_being_shut():
    state = the_office().state_at(nanjing("2026-10-01T10:00"))
    assert state.holiday.name["en"] == "National Day"
    assert the_office().state_at(nanjing("2026-11-28T10:00")).holiday is None


def test_an_override_opens_a_weekend_and_shuts_a_weekday():
    calendar = WorkingCalendar(
        ("CN",),
        (
            Override(date(2026, 11, 24), working=False, name={"en": "Founders’ Day"}),
            Override(date(2026, 11, 28), working=True),
        ),
    )
    hours = the_office(calendar=calendar)

    assert hours.state_at(nanjing("2026-11-24T10:00")).holiday.name == {"en": "Founders’ Day"}
    assert hours.closes_on(date(2026, 11, 28)) == time(17)  # as on Friday


def test_nights_belong_to_the_evening_they_begin_in():
    hours = the_office("Mo-Fr 22:00-02:00; PH off")

    assert hours.open_at(nanjing("2026-10-01T01:00"))  # the night of 30 September goes on
    assert not hours.open_at(nanjing("2026-10-01T23:00"))
    assert hours.closes_on(date(2026, 9, 30)) == time(23, 59)
    assert hours.specification(date(2026, 9, 28))[0] == SpecificationRow(
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"), "22:00", "02:00"
    )


def test_round_the_clock_never_changes():
    hours = the_office("24/7")
    assert hours.open_at(nanjing("2026-10-01T03:00"))
    assert hours.next_change(nanjing("2026-10-01T03:00")) is None
    assert hours.opens_next(nanjing("2026-10-01T03:00")) is None


def test_never_open_never_changes():
    hours = the_office("off")
    assert not hours.open_at(nanjing("2026-11-24T10:00"))
    assert hours.next_change(nanjing("2026-11-24T10:00")) is None
    assert opens_in_words(hours, nanjing("2026-11-24T10:00"), "en") == ""


def test_hours_marked_unknown_are_shown_and_not_counted_as_open():
    hours = the_office('Mo 09:00-12:00 unknown "ring first"')
    assert not hours.open_at(nanjing("2026-11-23T10:00"))
    assert week_table(hours, date(2026, 11, 24), "en")[0].hours == "09:00–12:00 (ring first)"


@pytest.mark.parametrize(
    ("at", "changes_at"),
    [
        ("2026-03-27T18:00", "2026-03-30T09:00"),  # the clocks go forward on the 29th
        ("2026-10-23T18:00", "2026-10-26T09:00"),  # and back on the 25th
    ],
)
def test_nine_is_nine_on_both_sides_of_a_change_of_the_clocks(at, changes_at):
    hours = the_office("Mo-Fr 09:00-17:00", LONDON)
    assert hours.next_change(london(at)) == london(changes_at)


def test_an_hour_that_the_clocks_skip_comes_when_they_have_moved():
    hours = the_office("Su 01:15-01:45", LONDON)
    opens = hours.next_change(london("2026-03-28T12:00"))
    assert opens == datetime(2026, 3, 29, 1, 15, tzinfo=UTC)  # 02:15 on their clocks
    assert hours.next_change(opens) == datetime(2026, 3, 29, 1, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "nine to five",
        "Mo-Fr 9-17",
        "Mo-Fr 25:00-27:00",
        "周一至周五 9:00",
        "Mo-Fr sunrise-sunset",
        "Mo-Fr 09:00-17:00; PH +1 day off",
        "Mo-Fr 09:00-17:00; SH off",
        "PH Mo-Fr 10:00-12:00",
        "Mo-Fr 09:00-17:00; " * 40,
    ],
)
def test_hours_that_cannot_be_known_are_refused(spec):
    with pytest.raises(InvalidValue) as refusal:
        the_office(spec)
    assert refusal.value.code == "hours.invalid"


@pytest.mark.parametrize("timezone", ["", "Nanjing", "../etc/passwd", "Asia", "Asia/Shanghai\0"])
def test_a_zone_that_does_not_exist_is_refused(timezone):
    with pytest.raises(InvalidValue) as refusal:
        the_office(timezone=timezone)
    assert refusal.value.code == "hours.timezone"


def test_a_closure_cannot_end_before_it_begins():
    with pytest.raises(InvalidValue) as refusal:
        Closure(date(2026, 11, 25), date(2026, 11, 24))
    assert refusal.value.code == "hours.closure_order"


def test_full_width_punctuation_reads_as_plain():
    typed = the_office("Mo–Fr 09：00～12：00，13:30–17:30；　PH off")
    assert typed.spec == "Mo-Fr 09:00-12:00,13:30-17:30; PH off"


def test_the_same_hours_are_worked_out_once():
    assert the_office() is the_office()


# In words


def test_the_week_is_told_in_as_few_lines_as_it_takes():
    monday = date(2026, 11, 23)
    assert [
        (row.days, row.hours, row.today, row.closed)
        for row in week_table(the_office(), monday, "en")
    ] == [
        ("Mon, today", "09:00–12:00, 13:30–17:30", True, False),
        ("Tue to Thu", "09:00–12:00, 13:30–17:30", False, False),
        ("Friday", "09:00–12:00, 13:30–17:00", False, False),
        ("Sat, Sun", "Closed", False, True),
    ]
    assert [(row.days, row.hours) for row in week_table(the_office(), monday, "zh-Hans")] == [
        ("周一，今天", "9:00–12:00，13:30–17:30"),
        ("周二至周四", "9:00–12:00，13:30–17:30"),
        ("周五", "9:00–12:00，13:30–17:00"),
        ("周六、周日", "休息"),
    ]


def test_today_in_the_middle_of_the_week_stands_alone():
    rows = week_table(the_office(), date(2026, 11, 25), "en")
    assert [row.days for row in rows] == [
        "Mon, Tue",
        "Wed, today",
        "Thursday",
        "Friday",
        "Sat, Sun",
    ]


def test_todays_line_has_what_really_holds_today():
    holiday = week_table(the_office(), date(2026, 10, 1), "en")
    assert ("Thu, today", "Closed (National Day)") in [(row.days, row.hours) for row in holiday]
    made_up = week_table(the_office(), date(2026, 10, 10), "zh-Hans")
    assert ("周六，今天", "9:00–12:00，13:30–17:30") in [(row.days, row.hours) for row in made_up]


@pytest.mark.parametrize(
    ("spec", "english", "chinese"),
    [
        (
            OFFICE,
            "Monday to Thursday, 09:00–12:00 and 13:30–17:30; Friday, 09:00–12:00 and "
            "13:30–17:00; closed Saturday, Sunday and public holidays; open on make-up "
            "working days",
            "周一至周四 9:00–12:00、13:30–17:30；周五 9:00–12:00、13:30–17:00；"
            "周六、周日、法定节假日休息；调休上班日照常",
        ),
        ("24/7", "Monday to Sunday, Open 24 hours", "周一至周日 24 小时"),
        (
            'Mo 22:00-02:00 "by appointment"',
            "Monday, 22:00–02:00 (by appointment); closed Tuesday to Sunday",
            "周一 22:00–次日2:00（by appointment）；周二至周日休息",
        ),
        (
            "May-Sep Mo-Fr 08:00-16:00; Oct-Apr Mo-Fr 09:00-17:00; PH 10:00-12:00",
            "Monday to Friday, 09:00–17:00; public holidays, 10:00–12:00; closed Saturday, "
            "Sunday; open on make-up working days; other hours in other seasons",
            "周一至周五 9:00–17:00；法定节假日 10:00–12:00；周六、周日休息；调休上班日照常；"
            "其他季节时间不同",
        ),
    ],
)
def test_hours_are_said_back_in_words(spec, english, chinese):
    today = date(2026, 11, 24)
    assert in_words(the_office(spec), "en", today) == english
    assert in_words(the_office(spec), "zh-Hans", today) == chinese


@pytest.mark.parametrize(
    ("at", "english", "chinese"),
    [
        ("2026-11-23T12:30", "opens 13:30", "今天 13:30 开始办公"),
        ("2026-11-27T18:00", "opens Mon 09:00", "周一 9:00 开始办公"),
        (
            "2026-09-30T18:00",
            "opens Thu 8 Oct 2026, 09:00",
            "2026年10月8日（周四）9:00 开始办公",
        ),
    ],
)
def test_the_next_opening_is_said_as_short_as_it_is_clear(at, english, chinese):
    assert opens_in_words(the_office(), nanjing(at), "en") == english
    assert opens_in_words(the_office(), nanjing(at), "zh-Hans") == chinese


def test_a_coming_holiday_takes_the_weekend_beside_it():
    (new_year,) = the_office().upcoming_closures(date(2025, 12, 20), 20)
    assert closed_in_words(new_year, "en") == "Closed for New Year: Thu 1 to Sat 3 Jan 2026"
    assert closed_in_words(new_year, "zh-Hans") == ("元旦放假：2026年1月1日（周四）至3日（周六）")


def test_what_is_not_announced_yet_is_said_to_be_so():
    (labour_day,) = the_office().upcoming_closures(date(2035, 4, 20), 14)
    assert labour_day.provisional
    assert closed_in_words(labour_day, "en").endswith("(not announced yet)")
    assert closed_in_words(labour_day, "zh-Hans").endswith("（以官方公布为准）")


def test_closures_are_told_in_order_and_one_that_has_begun_is_told_whole():
    summer = Closure(date(2026, 9, 21), date(2026, 9, 22), {"en": "Stocktaking", "zh-Hans": "盘点"})
    found = the_office(closures=(summer,)).upcoming_closures(date(2026, 9, 22), 14)
    assert [closed_in_words(period, "en") for period in found] == [
        "Closed: Mon 21 to Tue 22 Sep 2026 (Stocktaking)",
        "Closed for Mid-Autumn Festival: Fri 25 to Sun 27 Sep 2026",
        "Closed for National Day: Thu 1 to Wed 7 Oct 2026",
    ]
    assert closed_in_words(found[0], "zh-Hans") == (
        "暂停办公：2026年9月21日（周一）至22日（周二）（盘点）"
    )


@pytest.mark.parametrize(
    ("first", "last", "english", "chinese"),
    [
        ("2027-01-01", "2027-01-01", "Fri 1 Jan 2027", "2027年1月1日（周五）"),
        (
            "2026-09-30",
            "2026-10-02",
            "Wed 30 Sep to Fri 2 Oct 2026",
            "2026年9月30日（周三）至10月2日（周五）",
        ),
        (
            "2026-12-31",
            "2027-01-01",
            "Thu 31 Dec 2026 to Fri 1 Jan 2027",
            "2026年12月31日（周四）至2027年1月1日（周五）",
        ),
    ],
)
def test_ranges_of_days_repeat_nothing(first, last, english, chinese):
    days = date.fromisoformat(first), date.fromisoformat(last)
    assert dates_in_words(*days, "en") == english
    assert dates_in_words(*days, "zh-Hans") == chinese


@pytest.mark.parametrize(
    ("timezone", "said"),
    [
        (NANJING, "UTC+8"),
        ("Asia/Kolkata", "UTC+5:30"),
        ("America/Sao_Paulo", "UTC-3"),
        ("UTC", "UTC"),
        (LONDON, "UTC"),
    ],
)
def test_the_distance_from_utc_is_written(timezone, said):
    assert utc_offset(timezone, nanjing("2026-11-24T10:00")) == said


def test_a_date_has_its_weekday():
    assert date_in_words(date(2026, 11, 24), "en") == "Tue 24 Nov 2026"
    assert date_in_words(date(2026, 11, 24), "zh-Hans") == "2026年11月24日（周二）"


def test_the_specification_has_weekdays_holidays_and_closures():
    moving = Closure(date(2026, 12, 1), date(2026, 12, 2))
    rows = the_office("Mo-Fr 09:00-12:00,13:30-17:30; Su 00:00-24:00; PH off", closures=(moving,))
    weekdays = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
    assert rows.specification(date(2026, 11, 24)) == [
        SpecificationRow(("Sunday",), "00:00", "23:59"),
        SpecificationRow(weekdays, "09:00", "12:00"),
        SpecificationRow(weekdays, "13:30", "17:30"),
        SpecificationRow(("PublicHolidays",), "00:00", "00:00"),
        SpecificationRow(
            (*weekdays, "Saturday", "Sunday"),
            "00:00",
            "00:00",
            *(
                date(2026, 12, 1),
                date(2026, 12, 2),
            ),
        ),
    ]


# For any hours


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


TIMES = st.lists(st.integers(0, 24 * 4), min_size=2, max_size=4, unique=True).map(
    lambda quarters: ",".join(
        f"{_clock(opens * 15)}-{_clock(closes * 15)}"
        for opens, closes in zip(sorted(quarters)[::2], sorted(quarters)[1::2], strict=False)
    )
)
DAYS = st.sampled_from(["Mo-Fr", "Sa", "Su", "Mo-Su", "Tu,Th", "PH", "Dec-Feb Mo-We", "We-Mo"])
NIGHTS = st.sampled_from(["22:00-02:00", "18:00-06:00", "00:00-24:00", "off"])
SPECS = st.lists(
    st.builds("{} {}".format, DAYS, st.one_of(TIMES, NIGHTS)), min_size=1, max_size=4
).map("; ".join)
INSTANTS = st.integers(0, 3 * 366 * 24 * 60).map(
    lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
PLACES = st.sampled_from([NANJING, LONDON, "America/Sao_Paulo", "Pacific/Apia"])


@given(SPECS, PLACES, INSTANTS)
@example("Mo-Su 00:00-24:00; PH off", NANJING, datetime(2026, 9, 30, tzinfo=UTC))
@example("Sa 18:00-06:00; Su 00:00-24:00", LONDON, datetime(2026, 10, 24, 20, tzinfo=UTC))
def test_the_next_change_is_where_open_turns(spec, place, instant):
    hours = the_office(spec, place)
    now_open = hours.open_at(instant)
    change = hours.next_change(instant)

    if change is None:
        assert all(hours.open_at(instant + timedelta(days=n)) is now_open for n in range(60))
        return
    assert change > instant
    assert hours.open_at(change) is not now_open
    assert hours.open_at(change - timedelta(seconds=1)) is now_open
    halfway = instant + (change - instant) / 2
    assert hours.open_at(halfway) is now_open


@given(SPECS, st.dates(date(2025, 1, 1), date(2028, 1, 1)))
def test_any_hours_can_be_said_in_both_languages(spec, today):
    hours = the_office(spec)
    for language in ("en", "zh-Hans"):
        rows = week_table(hours, today, language)
        assert [row.today for row in rows].count(True) == 1
        assert in_words(hours, language, today)
    assert all(row.opens < "24:00" for row in hours.specification(today))


@given(
    st.one_of(st.text(max_size=60), st.text('Mo-FrSuPH off;,:0123456789+[]/"weekJan', max_size=40))
)
def test_any_text_is_hours_or_is_refused(text):
    try:
        hours = the_office(text)
    except InvalidValue as refusal:
        assert refusal.code == "hours.invalid"
    else:
        assert hours.open_at(nanjing("2026-11-24T10:00")) in (True, False)


def test_asking_whether_a_department_is_open_costs_little():
    hours, at = the_office(), nanjing("2026-11-24T10:00")
    hours.state_at(at)

    def seconds() -> float:
        begin = stopwatch.thread_time()
        for _ in range(200):
            hours.state_at(at)
        return (stopwatch.thread_time() - begin) / 200

    assert min(seconds() for _ in range(5)) < 50e-6

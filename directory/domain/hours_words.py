"""OpeningHours said in words, English or Simplified Chinese.

Kept apart from the calculation: each language groups, joins and writes times its own way.
Texts hold no markup; a dash between times is an en dash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from directory.domain import when
from directory.domain.hours import WEEKDAYS, ClosedPeriod, OpeningHours, Period
from directory.domain.messages import CHINESE, ENGLISH, is_chinese
from directory.domain.when import format_day

_DAY: Final = timedelta(days=1)
_MINUTES: Final = 24 * 60
# Not strftime: its names follow the locale of the process.
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
_DAYS: Final = tuple(day[:3] for day in WEEKDAYS)
_CHINESE_DAYS: Final = tuple(f"周{day}" for day in "一二三四五六日")


@dataclass(frozen=True, slots=True)
class WeekRow:
    """A line of the table of hours: "Tue to Thu", "09:00–12:00, 13:30–17:30"."""

    days: str
    hours: str
    today: bool
    closed: bool


def week_table(hours: OpeningHours, today: date, language: str) -> list[WeekRow]:
    """The regular week, Monday first; neighbouring days with equal hours share a line.

    *today* (in the department's zone) stands alone and has what really holds: a holiday's name,
    a closure's reason, a make-up day's hours.
    """
    chinese = is_chinese(language)
    week = list(hours.week(today))
    week[today.weekday()] = hours.periods(today)
    rows = []
    for first, last in _runs(week, alone=today.weekday()):
        is_today = first == today.weekday()
        said = _day_hours(week[first], chinese)
        if is_today and not week[first]:
            said = _with_reason(said, _reason(hours, today, language), chinese)
        rows.append(
            WeekRow(
                days=_today(first, chinese) if is_today else _days(first, last, chinese),
                hours=said,
                today=is_today,
                closed=not week[first],
            )
        )
    return rows


def plain_week(hours: OpeningHours, today: date, language: str) -> list[WeekRow]:
    """The regular week of *today* without a day standing out, for places that keep no date."""
    chinese = is_chinese(language)
    week = hours.week(today)
    return [
        WeekRow(
            days=_days(first, last, chinese),
            hours=_day_hours(week[first], chinese),
            today=False,
            closed=not week[first],
        )
        for first, last in _runs(week)
    ]


def in_words(hours: OpeningHours, language: str, today: date) -> str:
    """The schedule said back, for whoever typed it or reads it aloud.

    "Monday to Thursday, 09:00–12:00 and 13:30–17:30; Friday, 09:00–12:00; closed Saturday,
    Sunday and public holidays". *today* chooses the week where the year is not one rhythm.
    """
    chinese = is_chinese(language)
    week = hours.week(today)
    said = [
        f"{_long_days(first, last, chinese)}{' ' if chinese else ', '}"
        f"{_day_hours(week[first], chinese, joined=True)}"
        for first, last in _runs(week)
        if week[first]
    ]
    shut = [_long_days(first, last, chinese) for first, last in _runs(week) if not week[first]]
    if hours.follows_holidays:
        on_holidays = hours.on_holidays(today)
        holidays = "法定节假日" if chinese else "public holidays"
        if on_holidays:
            said.append(
                f"{holidays}{' ' if chinese else ', '}"
                f"{_day_hours(on_holidays, chinese, joined=True)}"
            )
        else:
            shut.append(holidays)
    if shut:
        said.append(f"{'、'.join(shut)}休息" if chinese else f"closed {_listed(shut)}")
    if hours.follows_holidays and "CN" in hours.calendar.calendars:
        said.append("调休上班日照常" if chinese else "open on make-up working days")
    if _changes_with_the_season(hours, today):
        said.append("其他季节时间不同" if chinese else "other hours in other seasons")
    text = ("；" if chinese else "; ").join(said)
    return text[:1].upper() + text[1:]


def opens_in_words(hours: OpeningHours, instant: datetime, language: str) -> str:
    """When somebody is there next: "opens 13:30", "opens Mon 09:00"; "" if not in a year."""
    opens = hours.opens_next(instant)
    if opens is None:
        return ""
    chinese = is_chinese(language)
    zone = ZoneInfo(hours.timezone)
    here, today = opens.astimezone(zone), instant.astimezone(zone).date()
    clock = _clock(here.hour * 60 + here.minute, chinese)
    distance = (here.date() - today).days
    if distance == 0:
        return f"今天 {clock} 开始办公" if chinese else f"opens {clock}"
    if distance < 7:
        day = (_CHINESE_DAYS if chinese else _DAYS)[here.weekday()]
        return f"{day} {clock} 开始办公" if chinese else f"opens {day} {clock}"
    day = date_in_words(here.date(), language)
    return f"{day}{clock} 开始办公" if chinese else f"opens {day}, {clock}"


def closed_in_words(period: ClosedPeriod, language: str) -> str:
    """A closure as one sentence without its full stop.

    "Closed for New Year: Fri 1 to Sun 3 Jan 2027", "元旦放假：2027年1月1日（周五）至3日（周日）".
    """
    chinese = is_chinese(language)
    names = [name for text in period.names if (name := _localised(text, language))]
    when = dates_in_words(period.starts, period.ends, language)
    if chinese:
        title = "、".join(names) + "放假" if period.holiday else "暂停办公"
        reason = f"（{names[0]}）" if names and not period.holiday else ""
        doubt = "（以官方公布为准）" if period.provisional else ""
        return f"{title}：{when}{reason}{doubt}"
    title = f"Closed for {_listed(names)}" if names and period.holiday else "Closed"
    reason = f" ({names[0]})" if names and not period.holiday else ""
    doubt = " (not announced yet)" if period.provisional else ""
    return f"{title}: {when}{reason}{doubt}"


def date_in_words(day: date, language: str) -> str:
    """ "Tue 24 Nov 2026" or "2026年11月24日（周二）"; any Chinese tag reads the second."""
    return format_day(day, CHINESE if is_chinese(language) else ENGLISH)


def dates_in_words(first: date, last: date, language: str) -> str:
    """A range of days, said as short as it is clear: "Fri 1 to Sun 3 Jan 2027"."""
    ends = date_in_words(last, language)
    if first == last:
        return ends
    if is_chinese(language):
        same_year, same_month = first.year == last.year, first.month == last.month
        ends = f"{last.day}日（{_CHINESE_DAYS[last.weekday()]}）"
        if not (same_year and same_month):
            ends = f"{last.month}月{ends}"
        if not same_year:
            ends = f"{last.year}年{ends}"
        return f"{date_in_words(first, language)}至{ends}"
    starts = f"{_DAYS[first.weekday()]} {first.day}"
    if (first.year, first.month) != (last.year, last.month):
        starts += f" {_MONTHS[first.month - 1]}"
    if first.year != last.year:
        starts += f" {first.year}"
    return f"{starts} to {ends}"


def utc_offset(timezone: str, instant: datetime) -> str:
    """How far *timezone* is ahead at *instant*: "UTC+8", "UTC+5:30", "UTC-3", "UTC"."""
    return when.utc_offset(instant.astimezone(ZoneInfo(timezone)))


def _runs(week: Sequence[tuple[Period, ...]], alone: int | None = None) -> list[tuple[int, int]]:
    """First and last weekday of each stretch of equal days; *alone* joins nobody."""
    runs: list[tuple[int, int]] = []
    for day in range(len(week)):
        joins = runs and week[runs[-1][1]] == week[day] and alone not in (day, runs[-1][1])
        if joins:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def _days(first: int, last: int, chinese: bool) -> str:
    if chinese:
        return _long_days(first, last, chinese)
    if first == last:
        return WEEKDAYS[first]
    joiner = ", " if last == first + 1 else " to "
    return f"{_DAYS[first]}{joiner}{_DAYS[last]}"


def _long_days(first: int, last: int, chinese: bool) -> str:
    names = _CHINESE_DAYS if chinese else WEEKDAYS
    if first == last:
        return names[first]
    if last == first + 1:
        return f"{names[first]}{'、' if chinese else ', '}{names[last]}"
    return f"{names[first]}{'至' if chinese else ' to '}{names[last]}"


def _today(day: int, chinese: bool) -> str:
    return f"{_CHINESE_DAYS[day]}，今天" if chinese else f"{_DAYS[day]}, today"


def _day_hours(periods: tuple[Period, ...], chinese: bool, *, joined: bool = False) -> str:
    if not periods:
        return "休息" if chinese else "Closed"
    said = [_period(period, chinese) for period in periods]
    if joined and not chinese:
        return _listed(said)
    if joined:
        return "、".join(said)
    return ("，" if chinese else ", ").join(said)


def _period(period: Period, chinese: bool) -> str:
    if (period.opens, period.closes) == (0, _MINUTES):
        said = "24 小时" if chinese else "Open 24 hours"
    else:
        closes = _clock(period.closes % _MINUTES or _MINUTES, chinese)
        night = "次日" if chinese and period.closes > _MINUTES else ""
        said = f"{_clock(period.opens, chinese)}–{night}{closes}"
    comment = period.comment
    if not comment and not period.certain:
        comment = "请先确认" if chinese else "ask first"
    if comment:
        said += f"（{comment}）" if chinese else f" ({comment})"
    return said


def _clock(minutes: int, chinese: bool) -> str:
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}" if chinese else f"{hour:02}:{minute:02}"


def _listed(items: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(items[:-1]), items[-1]) if part)


def _reason(hours: OpeningHours, day: date, language: str) -> str:
    if (closure := hours.closure(day)) is not None:
        return _localised(closure.reason, language)
    if (holiday := hours.holiday(day)) is not None and not holiday.bridge:
        return _localised(holiday.name, language)
    return ""


def _with_reason(said: str, reason: str, chinese: bool) -> str:
    if not reason:
        return said
    return f"{said}（{reason}）" if chinese else f"{said} ({reason})"


def _localised(text: Mapping[str, str], language: str) -> str:
    order = ("zh-Hans", "en") if is_chinese(language) else ("en", "zh-Hans")
    return next((text[key] for key in order if text.get(key)), "")


def _changes_with_the_season(hours: OpeningHours, today: date) -> bool:
    return len({hours.week(today + n * 28 * _DAY) for n in range(13)}) > 1

"""Which days people work: weekends, public holidays, make-up working days, our own exceptions.

The facts come from the ``holidays`` package, computed and without network. China publishes each
year's swapped days in the autumn before; until then that year holds only what follows from the
law and the lunar calendar, and is called provisional.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from types import MappingProxyType, ModuleType
from typing import Any, Final
from zoneinfo import ZoneInfo

from directory.domain.errors import InvalidValue

CLOSING: Final = time(17, 30)
"""When a working day ends where a department has not said."""
OPENING: Final = time(9)

_DAY: Final = timedelta(days=1)
_SATURDAY: Final = 5
# A department that is never open would otherwise be looked for until the end of time.
_SEARCHED_DAYS: Final = 400


@dataclass(frozen=True, slots=True)
class Holiday:
    """A day off that a calendar names.

    ``name`` is per language ("en", "zh-Hans"; the latter may be missing for other countries than
    China and Singapore). ``bridge``: it is off only because another day is worked instead, so it
    has no name of its own worth telling. ``provisional``: not announced yet, or estimated.
    """

    day: date
    calendar: str
    name: Mapping[str, str]
    bridge: bool = False
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class Override:
    """What an admin knows better about one day: worked after all, or off with a reason."""

    day: date
    working: bool
    name: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class WorkingCalendar:
    """The working days of people who keep one or several countries' public holidays.

    ``calendars`` are ISO 3166-1 alpha-2 codes. A day is off if *any* of them has a holiday, or
    if it is a Saturday or Sunday; a weekend day is worked if any of them makes it up (China's
    调休) and none has a holiday on it. So an answer promised by people in two countries waits for
    the holidays of both. ``overrides`` come before all that.

    Raises InvalidValue "calendar.unknown".
    """

    calendars: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()
    _own: dict[date, Override] = field(init=False, repr=False, compare=False)
    _working: dict[date, bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for code in self.calendars:
            if code not in known_calendars():
                raise InvalidValue("calendar.unknown", calendar=code)
        object.__setattr__(self, "_own", {override.day: override for override in self.overrides})
        object.__setattr__(self, "_working", {})

    def holiday(self, day: date) -> Holiday | None:
        """The public holiday on *day*, the first calendar's if several have one; else None.

        An override that is off counts as one; an override that works takes the holiday away.
        """
        if (own := self._own.get(day)) is not None:
            return None if own.working else Holiday(day, "", own.name)
        for code in self.calendars:
            if (found := _year(code, day.year).holidays.get(day)) is not None:
                return found
        return None

    def made_up_on(self, day: date) -> date | None:
        """The day off whose work is done on *day* instead; None if *day* is no make-up day.

        A weekend day that an override has worked stands in for the weekday before it.
        """
        if (own := self._own.get(day)) is not None:
            weekend = day.weekday() - _SATURDAY
            return day - (weekend + 1) * _DAY if own.working and weekend >= 0 else None
        if self.holiday(day) is not None:
            return None
        for code in self.calendars:
            if (instead_of := _year(code, day.year).made_up.get(day)) is not None:
                return instead_of
        return None

    def is_working_day(self, day: date) -> bool:
        working = self._working.get(day)
        if working is None:
            if (own := self._own.get(day)) is not None:
                working = own.working
            elif self.holiday(day) is not None:
                working = False
            else:
                working = day.weekday() < _SATURDAY or self.made_up_on(day) is not None
            if len(self._working) > 4_000:
                self._working.clear()
            self._working[day] = working
        return working

    def is_provisional(self, day: date) -> bool:
        """Whether *day* may still change: its year's holidays are not announced everywhere."""
        if day in self._own:
            return False
        return any(
            (table := _year(code, day.year)).provisional
            or ((found := table.holidays.get(day)) is not None and found.provisional)
            for code in self.calendars
        )

    def working_days_after(
        self,
        received: datetime,
        days: int,
        timezone: str,
        *,
        closes: time | Callable[[date], time | None] = CLOSING,
    ) -> datetime:
        """The instant (UTC) by which *days* working days have passed since *received*.

        The day of receipt does not count. What arrives after closing, or on a day off, counts
        as received on the next working day. The answer is due when that last day closes.

        *closes* is local wall time in *timezone* (IANA), or a function that gives it for a day
        and None for a day on which nobody is there, which then does not count either. If it
        gives nothing for more than a year, the calendar alone decides.
        Raises ValueError for fewer than 0 days.
        """
        if days < 0:
            raise ValueError(f"{days} working days lie in the past")
        zone = ZoneInfo(timezone)
        local = received.astimezone(zone)
        day = local.date()
        closing = self._closing(day, closes)
        if closing is None or local.time() > closing:
            day, closing = self._next_working(day, closes)
        for _ in range(days):
            day, closing = self._next_working(day, closes)
        return datetime.combine(day, closing, zone).astimezone(UTC)

    def working_time_between(
        self,
        start: datetime,
        end: datetime,
        timezone: str,
        *,
        periods: Callable[[date], Iterable[tuple[datetime, datetime]]] | None = None,
    ) -> timedelta:
        """How much working time lies between two instants; none if *end* comes first.

        *periods* gives the stretches (aware instants) worked on a local day; without it every
        working day is worked from 09:00 to 17:30.
        """
        zone = ZoneInfo(timezone)
        worked = timedelta()
        day, last = start.astimezone(zone).date(), end.astimezone(zone).date()
        if periods is None:
            periods = _office_hours(zone)
        else:
            day -= _DAY  # a stretch of the evening before may run past midnight
        while day <= last:
            if self.is_working_day(day):
                for opens, closes in periods(day):
                    worked += max(timedelta(), min(closes, end) - max(opens, start))
            day += _DAY
        return worked

    def _closing(self, day: date, closes: time | Callable[[date], time | None]) -> time | None:
        if not self.is_working_day(day):
            return None
        return closes(day) if callable(closes) else closes

    def _next_working(
        self, day: date, closes: time | Callable[[date], time | None]
    ) -> tuple[date, time]:
        after = day
        for _ in range(_SEARCHED_DAYS):
            after += _DAY
            if (closing := self._closing(after, closes)) is not None:
                return after, closing
        return self._next_working(day, CLOSING) if callable(closes) else (after, CLOSING)


@dataclass(frozen=True, slots=True)
class _Year:
    holidays: Mapping[date, Holiday]
    made_up: Mapping[date, date]  # the day worked, the day it gives back
    provisional: bool


def known_calendars() -> frozenset[str]:
    """The countries (ISO 3166-1 alpha-2) whose holidays can be computed."""
    return frozenset(_countries())


@cache
def _countries() -> Mapping[str, tuple[str, str]]:
    from holidays.registry import COUNTRIES

    return {codes[1]: (module, codes[0]) for module, codes in COUNTRIES.items()}


@cache
def _country(code: str) -> Any:
    """The class that computes the holidays of *code*.

    ``holidays.countries`` imports all 250 countries, 34 MB and half a second; a stand-in for
    the package lets one country's module be imported alone. It is taken away again so that
    anybody else who imports the package gets the real one.
    """
    import holidays

    module, name = _countries()[code]
    package = "holidays.countries"
    real = sys.modules.get(package)
    if real is None:
        stand_in = ModuleType(package)
        stand_in.__path__ = [f"{path}/countries" for path in holidays.__path__]
        sys.modules[package] = stand_in
    try:
        from importlib import import_module

        return getattr(import_module(f"{package}.{module}"), name)
    finally:
        if real is None:
            del sys.modules[package]


@lru_cache(maxsize=128)
def _year(code: str, year: int) -> _Year:
    days = _holidays(code, year)
    # A day off in January may be made up in the December before, and the other way round.
    made_up = {
        worked: day
        for near in (year - 1, year, year + 1)
        for day, worked in _swaps(code, near)
        if worked.year == year
    }
    return _Year(
        holidays=MappingProxyType(days),
        made_up=MappingProxyType(made_up),
        provisional=not _is_announced(code, year),
    )


def _holidays(code: str, year: int) -> dict[date, Holiday]:
    english, chinese = _names(code, year, "en"), _names(code, year, "zh")
    announced = _is_announced(code, year)
    return {
        day: Holiday(
            day=day,
            calendar=code,
            name=_spoken(code, english[day], chinese.get(day, "")),
            bridge=_SWAP.search(chinese.get(day, "")) is not None,
            provisional=not announced or "estimated" in english[day],
        )
        for day in sorted(english)
    }


def _names(code: str, year: int, language: str) -> dict[date, str]:
    """One year of a country, named in *language* or, if the package cannot, not at all."""
    country = _country(code)
    offered = country.supported_languages
    tag = next((tag for tag in offered if tag == f"{language}_{code}"), None)
    tag = tag or next((tag for tag in sorted(offered) if tag.startswith(language)), None)
    if tag is None and language != "en":
        return {}
    return dict(country(years=year, expand=False, language=tag or country.default_language))


# The Chinese label of a swapped day names the day that is worked instead:
# "休息日（由 2026-01-04 调休）".
_SWAP: Final = re.compile(r"由 (\d{4}-\d\d-\d\d) 调休")


def _swaps(code: str, year: int) -> list[tuple[date, date]]:
    if code != "CN":
        return []
    return [
        (day, date.fromisoformat(found[1]))
        for day, name in _names(code, year, "zh").items()
        if (found := _SWAP.search(name)) and date.fromisoformat(found[1]).weekday() >= _SATURDAY
    ]


def _is_announced(code: str, year: int) -> bool:
    # Only China moves days by decree, and the package holds each decree under its year.
    if code != "CN":
        return True
    country = _country(code)(years=year, expand=False)
    return year in country.special_public_holidays


def _spoken(code: str, english: str, chinese: str) -> Mapping[str, str]:
    """A holiday's name as people say it, without "(observed)" and the like."""
    english = re.sub(r"\s*\((?:observed|estimated|observed, estimated)\)", "", english)
    chinese = re.sub(r"（(?:补假|推定|补假，推定)）", "", chinese)
    # Two holidays on one day: the package joins them, the first is enough for a notice.
    english, chinese = english.split("; ")[0], chinese.split("; ")[0]
    if _SWAP.search(chinese):
        return MappingProxyType({"en": "Day off", "zh-Hans": "调休"})
    said = _SAID.get(code, {}).get(english) or _SAID_ANYWHERE.get(english)
    if said is not None:
        return MappingProxyType({"en": said[0], "zh-Hans": said[1]})
    return MappingProxyType(
        {language: name for language, name in (("en", english), ("zh-Hans", chinese)) if name}
    )


_SAID_ANYWHERE: Final[Mapping[str, tuple[str, str]]] = {
    "New Year's Day": ("New Year", "元旦"),
    "Labor Day": ("Labour Day", "劳动节"),
    "Labour Day": ("Labour Day", "劳动节"),
    "Good Friday": ("Good Friday", "耶稣受难日"),
    "Easter Monday": ("Easter Monday", "复活节星期一"),
    "Christmas Day": ("Christmas Day", "圣诞节"),
    "Boxing Day": ("Boxing Day", "节礼日"),
}
_SAID: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "CN": {
        "Chinese New Year's Eve": ("Spring Festival", "春节"),
        "Chinese New Year (Spring Festival)": ("Spring Festival", "春节"),
        "Tomb-Sweeping Day": ("Qingming Festival", "清明节"),
        "Dragon Boat Festival": ("Dragon Boat Festival", "端午节"),
        "Mid-Autumn Festival": ("Mid-Autumn Festival", "中秋节"),
        "National Day": ("National Day", "国庆节"),
    },
    "SG": {
        "Chinese New Year": ("Chinese New Year", "农历新年"),
        "Hari Raya Puasa": ("Hari Raya Puasa", "开斋节"),
        "Hari Raya Haji": ("Hari Raya Haji", "哈芝节"),
        "Vesak Day": ("Vesak Day", "卫塞节"),
        "National Day": ("National Day", "国庆日"),
        "Deepavali": ("Deepavali", "屠妖节"),
        "Polling Day": ("Polling Day", "投票日"),
    },
}


def _office_hours(zone: ZoneInfo) -> Callable[[date], Iterable[tuple[datetime, datetime]]]:
    def periods(day: date) -> Iterable[tuple[datetime, datetime]]:
        return (
            (
                datetime.combine(day, OPENING, zone).astimezone(UTC),
                datetime.combine(day, CLOSING, zone).astimezone(UTC),
            ),
        )

    return periods

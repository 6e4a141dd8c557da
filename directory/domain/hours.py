"""OpeningHours: when somebody is there. "Open at?", "opens next?", "closed when?".

The weekly syntax is that of OpenStreetMap's opening_hours key
(https://wiki.openstreetmap.org/wiki/Key:opening_hours/specification), read by the package
``opening-hours-py``. Its own tables of public holidays are not used, for the Chinese ones are
wrong: "PH" means a holiday of our :class:`~directory.domain.calendars.WorkingCalendar`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from directory.domain.calendars import Holiday, WorkingCalendar
from directory.domain.contacts import Department
from directory.domain.errors import InvalidValue

if TYPE_CHECKING:
    import opening_hours

LONGEST_SPEC: Final = 500
_DAY: Final = timedelta(days=1)
_MINUTES: Final = 24 * 60
# A stretch that ends later than noon of the day after is two days' hours, not a long night.
_LONGEST_NIGHT: Final = 12 * 60
# Who is closed for longer than this has no next opening worth naming.
_SEARCHED_DAYS: Final = 400
WEEKDAYS: Final = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)


@dataclass(frozen=True, slots=True)
class Closure:
    """Days, both included, on which nobody is there, with the reason per language."""

    starts: date
    ends: date
    reason: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.ends < self.starts:
            raise InvalidValue("hours.closure_order")


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch that begins on some day.

    ``opens`` and ``closes`` are minutes of wall time after that day's midnight; past 1440 it
    ends the day after. ``comment`` is what the hours say beside it ("by appointment").
    ``certain`` is False where they say "unknown": listed, but never counted as open.
    """

    opens: int
    closes: int
    comment: str = ""
    certain: bool = True


@dataclass(frozen=True, slots=True)
class State:
    """How things stand at an instant.

    ``changes_at``: the next opening or closing (UTC), None if none within a year. When closed
    for a reason, ``closure`` or ``holiday`` is that reason.
    """

    open: bool
    changes_at: datetime | None
    closure: Closure | None = None
    holiday: Holiday | None = None


@dataclass(frozen=True, slots=True)
class ClosedPeriod:
    """Days, both included, that are off beyond the weekly rhythm, weekends next to them too.

    ``names`` are the holidays met, each per language, or the one reason of a closure (then
    ``holiday`` is False). ``provisional``: the official calendar may still move it.
    """

    starts: date
    ends: date
    names: tuple[Mapping[str, str], ...] = field(hash=False)
    holiday: bool
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class SpecificationRow:
    """One OpeningHoursSpecification of schema.org, or a schedule of HSDS.

    ``days`` are schema.org's names ("Monday", "PublicHolidays"); ``opens`` and ``closes`` local
    "HH:MM", the second on the next day if it is earlier; both "00:00" means closed. The dates
    are None for what holds every week.
    """

    days: tuple[str, ...]
    opens: str
    closes: str
    valid_from: date | None = None
    valid_through: date | None = None


@dataclass(frozen=True)
class OpeningHours:
    """A weekly schedule with its holidays and closures, in one time zone.

    Where the schedule mentions "PH" it follows the public calendar: holidays have the hours
    given for PH, and a weekend day on which a holiday is made up (China) has those of the
    weekday it replaces, unless it has hours of its own. A schedule that says nothing of PH is
    taken at its word.

    All instants are aware; those returned are UTC.
    """

    spec: str
    timezone: str
    calendar: WorkingCalendar = field(default_factory=WorkingCalendar)
    closures: tuple[Closure, ...] = ()
    _zone: ZoneInfo = field(init=False, repr=False, compare=False)
    _days: dict[date, tuple[Period, ...]] = field(init=False, repr=False, compare=False)
    _spans: dict[date, tuple[tuple[datetime, datetime], ...]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "_zone", _zone(self.timezone))
        object.__setattr__(self, "_days", {})
        object.__setattr__(self, "_spans", {})
        _schedule(self.spec)
        _schedule(_on_holidays(self.spec))

    @staticmethod
    def parse(
        spec: str,
        timezone: str,
        *,
        calendar: WorkingCalendar | None = None,
        closures: tuple[Closure, ...] = (),
    ) -> OpeningHours:
        """Read *spec* ("Mo-Fr 09:00-12:00,13:30-17:30; PH off") in *timezone* (IANA).

        Full-width punctuation and long dashes are read as their plain forms. The same
        arguments give the same object, with what it has worked out already.

        Raises InvalidValue "hours.invalid" (also for what depends on the sun, on school
        holidays or on days counted from a holiday, which nobody here can know) and
        "hours.timezone".
        """
        if len(spec) > LONGEST_SPEC:
            raise InvalidValue("hours.invalid")
        return _parsed(_plain(spec), timezone, calendar or WorkingCalendar(), closures)

    @staticmethod
    def of(
        department: Department, *, timezone: str, calendar: WorkingCalendar
    ) -> OpeningHours | None:
        """When *department* says that somebody is there; None when it does not say.

        *timezone* (IANA) is the site's, for a department without its own.
        """
        if not department.hours:
            return None
        closures = tuple(
            Closure(
                date.fromisoformat(exception["from"]),
                date.fromisoformat(exception["to"]),
                exception.get("reason", {}),
            )
            for exception in department.exceptions
        )
        return OpeningHours.parse(
            department.hours,
            department.timezone or timezone,
            calendar=calendar,
            closures=closures,
        )

    @property
    def follows_holidays(self) -> bool:
        """Whether the schedule says anything about public holidays."""
        return _on_holidays(self.spec) != self.spec

    def regular(self, day: date) -> tuple[Period, ...]:
        """The stretches of *day* by the weekly schedule alone."""
        return _periods(self.spec, day)

    def on_holidays(self, day: date) -> tuple[Period, ...]:
        """The stretches of *day* by the weekly schedule, were it a public holiday."""
        return _periods(_on_holidays(self.spec), day)

    def week(self, today: date) -> tuple[tuple[Period, ...], ...]:
        """The regular week of *today*, Monday to Sunday."""
        monday = today - today.weekday() * _DAY
        return tuple(self.regular(monday + n * _DAY) for n in range(7))

    def periods(self, day: date) -> tuple[Period, ...]:
        """The stretches that begin on *day*, with holidays, make-up days and closures."""
        found = self._days.get(day)
        if found is None:
            found = self._on(day)
            if len(self._days) > 2 * _SEARCHED_DAYS:
                self._days.clear()
            self._days[day] = found
        return found

    def _on(self, day: date) -> tuple[Period, ...]:
        if self.closure(day) is not None:
            return ()
        if not self.follows_holidays:
            return self.regular(day)
        if self.calendar.holiday(day) is not None:
            return self.on_holidays(day)
        own = self.regular(day)
        if not own and (instead_of := self.calendar.made_up_on(day)) is not None:
            return self.regular(instead_of)
        return own

    def closure(self, day: date) -> Closure | None:
        """The closure that *day* falls into."""
        return next((it for it in self.closures if it.starts <= day <= it.ends), None)

    def holiday(self, day: date) -> Holiday | None:
        """The public holiday that keeps the doors shut on *day*."""
        if not self.follows_holidays or self.periods(day):
            return None
        return self.calendar.holiday(day)

    def open_at(self, instant: datetime) -> bool:
        day = instant.astimezone(self._zone).date()
        return any(
            opens <= instant < closes
            for near in (day - _DAY, day)
            for opens, closes in self.spans(near)
        )

    def next_change(self, instant: datetime) -> datetime | None:
        """The next instant at which :meth:`open_at` turns; None if none within 400 days."""
        now_open = self.open_at(instant)
        for opens, closes in self._stretches(instant):
            if now_open:
                return closes if closes is not _FAR else None
            if opens > instant:
                return opens
        return None

    def opens_next(self, instant: datetime) -> datetime | None:
        """The first opening after *instant*, whether open then or not."""
        return next(
            (opens for opens, _ in self._stretches(instant) if opens > instant),
            None,
        )

    def state_at(self, instant: datetime) -> State:
        changes_at = self.next_change(instant)
        if self.open_at(instant):
            return State(True, changes_at)
        day = instant.astimezone(self._zone).date()
        return State(False, changes_at, self.closure(day), self.holiday(day))

    def spans(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        """The stretches of *day* that are certainly open, as instants (UTC), end exclusive."""
        found = self._spans.get(day)
        if found is None:
            found = tuple(
                (self._instant(day, period.opens), self._instant(day, period.closes))
                for period in self.periods(day)
                if period.certain
            )
            if len(self._spans) > 2 * _SEARCHED_DAYS:
                self._spans.clear()
            self._spans[day] = found
        return found

    def _instant(self, day: date, minutes: int) -> datetime:
        # Wall time first, the zone after: "17:30" is 17:30 also on the day the clocks change.
        wall = datetime.combine(day, time()) + timedelta(minutes=minutes)
        return wall.replace(tzinfo=self._zone).astimezone(UTC)

    def _stretches(self, instant: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Open stretches that end after *instant*, in order, those that touch made one.

        The end of one that never ends is ``_FAR``.
        """
        first = instant.astimezone(self._zone).date() - _DAY
        current: tuple[datetime, datetime] | None = None
        for n in range(_SEARCHED_DAYS):
            for opens, closes in self.spans(first + n * _DAY):
                if current is not None and opens <= current[1]:
                    current = (current[0], max(current[1], closes))
                    continue
                if current is not None and current[1] > instant:
                    yield current
                current = (opens, closes)
            if current is not None and current[1] < self._instant(first + n * _DAY, _MINUTES):
                # Tomorrow cannot touch it any more, so it need not be asked for.
                if current[1] > instant:
                    yield current
                current = None
        if current is not None:
            yield current[0], _FAR

    def closes_on(self, day: date) -> time | None:
        """When the last stretch of *day* ends (local); None if nobody is there that day.

        Past midnight counts as 23:59, for whatever is due that day.
        """
        last = max((period.closes for period in self.periods(day) if period.certain), default=None)
        if last is None:
            return None
        return time(23, 59) if last >= _MINUTES else time(last // 60, last % 60)

    def upcoming_closures(self, today: date, days: int = 30) -> list[ClosedPeriod]:
        """What is closed, beyond the weekly rhythm, from *today* on within *days* days.

        One that has begun already is told whole.
        """
        last = today + days * _DAY
        found = [
            ClosedPeriod(closure.starts, closure.ends, (closure.reason,), holiday=False)
            for closure in self.closures
            if closure.ends >= today and closure.starts <= last
        ]
        day = today
        while day <= last:
            if self.holiday(day) is None:
                day += _DAY
                continue
            run = self._closed_around(day)
            found.append(run)
            day = run.ends + _DAY
        return sorted(found, key=lambda period: (period.starts, period.ends))

    def _closed_around(self, day: date) -> ClosedPeriod:
        starts = ends = day
        while day - starts < 30 * _DAY and self._is_shut(starts - _DAY):
            starts -= _DAY
        while ends - day < 30 * _DAY and self._is_shut(ends + _DAY):
            ends += _DAY
        holidays = [
            holiday
            for n in range((ends - starts).days + 1)
            if (holiday := self.calendar.holiday(starts + n * _DAY)) is not None
        ]
        names: list[Mapping[str, str]] = []
        for holiday in holidays:
            if not holiday.bridge and dict(holiday.name) not in names:
                names.append(dict(holiday.name))
        return ClosedPeriod(
            starts,
            ends,
            tuple(names) or (holidays[0].name,),
            holiday=True,
            provisional=any(self.calendar.is_provisional(holiday.day) for holiday in holidays),
        )

    def _is_shut(self, day: date) -> bool:
        return not self.periods(day) and self.closure(day) is None

    def specification(self, today: date) -> list[SpecificationRow]:
        """The regular week of *today*, then what public holidays have, then the closures."""
        days: dict[tuple[int, int], list[str]] = {}
        for name, periods in zip(WEEKDAYS, self.week(today), strict=True):
            for period in periods:
                days.setdefault((period.opens, period.closes), []).append(name)
        rows = [
            SpecificationRow(tuple(names), *_clock_times(*times))
            for times, names in sorted(days.items(), key=lambda item: item[0])
        ]
        if self.follows_holidays:
            rows += [
                SpecificationRow(("PublicHolidays",), *_clock_times(period.opens, period.closes))
                for period in self.on_holidays(today) or (Period(0, 0),)
            ]
        rows += [
            SpecificationRow(WEEKDAYS, "00:00", "00:00", closure.starts, closure.ends)
            for closure in self.closures
        ]
        return rows


_FAR: Final = datetime.max.replace(tzinfo=UTC)


def _clock_times(opens: int, closes: int) -> tuple[str, str]:
    # schema.org writes a whole day as 00:00 to 23:59.
    ends = "23:59" if closes and closes % _MINUTES == 0 else _clock(closes % _MINUTES)
    return _clock(opens), ends


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@lru_cache(maxsize=2_048)
def _parsed(
    spec: str,
    timezone: str,
    calendar: WorkingCalendar,
    closures: tuple[Closure, ...],
) -> OpeningHours:
    return OpeningHours(spec, timezone, calendar, closures)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        # A name that is a directory of the zone database is an OSError, "../x" a ValueError.
        raise InvalidValue("hours.timezone", timezone=name) from error


_PLAIN: Final = str.maketrans(dict(zip("，；：－–—−～", ",;:-----", strict=True)))
_QUOTED: Final = re.compile(r'("[^"]*")')


def _plain(spec: str) -> str:
    """*spec* with full-width punctuation and blanks made plain, comments left as they are."""
    parts = _QUOTED.split(spec)
    parts[::2] = [re.sub(r"\s+", " ", part.translate(_PLAIN)) for part in parts[::2]]
    return "".join(parts).strip()


_HOLIDAY: Final = re.compile(r"\bPH\b")
# The library would make up the sun of some other place, and has no school holidays.
_UNKNOWABLE: Final = re.compile(
    r"\b(?:sunrise|sunset|dawn|dusk|SH)\b|\bPH\s*[+-]\s*\d", re.IGNORECASE
)


@lru_cache(maxsize=2_048)
def _on_holidays(spec: str) -> str:
    """The schedule as it reads on a public holiday: "PH" holds, whatever the weekday."""
    parts = _QUOTED.split(spec)
    parts[::2] = [_HOLIDAY.sub("Mo-Su", part) for part in parts[::2]]
    return "".join(parts)


@lru_cache(maxsize=2_048)
def _schedule(spec: str) -> opening_hours.OpeningHours:
    # Imported with the first hours that are read; its type stub forgets the error.
    from opening_hours import OpeningHours as Schedule
    from opening_hours import ParserError  # type: ignore[attr-defined]

    if _UNKNOWABLE.search("".join(_QUOTED.split(spec)[::2])):
        raise InvalidValue("hours.invalid")
    try:
        return Schedule(spec)
    except ParserError as error:
        raise InvalidValue("hours.invalid") from error


def _periods(spec: str, day: date) -> tuple[Period, ...]:
    """The stretches that begin on *day* by *spec* alone, in order.

    The library knows intervals of time, not days: what began in the evening before and ends by
    noon belongs to that evening, what goes on for longer is cut at midnight.
    """
    midnight = datetime.combine(day, time())
    yesterday = midnight - _DAY
    found: list[Period] = []
    for starts, ends, state, comment in _schedule(spec).intervals(yesterday, midnight + 2 * _DAY):
        if str(state) == "closed":
            continue
        opens, closes = _minutes(starts - midnight), _minutes(ends - midnight)
        if closes <= 0 or opens >= _MINUTES:
            continue
        if opens < 0:
            if closes <= _LONGEST_NIGHT and starts > yesterday:
                continue
            opens = 0
        if closes > _MINUTES + _LONGEST_NIGHT or opens == 0:
            closes = min(closes, _MINUTES)
        found.append(Period(opens, closes, comment, certain=str(state) == "open"))
    return tuple(found)


def _minutes(distance: timedelta) -> int:
    return distance // timedelta(minutes=1)

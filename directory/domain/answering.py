"""The answer clock: when whoever has an enquiry is reminded, and who is told after that.

Reminders go out at nine in the morning where the reader is, on days on which somebody is there, so
that a mailbox gets one mail for all that waits in it. Targets and reminders are counted in working
days; see ``WorkingCalendar``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from math import ceil
from zoneinfo import ZoneInfo

from directory.domain.calendars import WorkingCalendar
from directory.domain.hours import OpeningHours

MORNING = time(9)
# Of the time there is to answer, so much is left to the department before it is reminded.
REMIND_AFTER = 0.75
# The desk is told again after so many working days.
DESK_EVERY = 2
# "Usually answers within N working days": of so many answers, so large a share took no longer.
TYPICAL_FROM = 20
TYPICAL_SHARE = 0.8
TYPICAL_OF = timedelta(days=90)

_DAY = timedelta(days=1)
_SEARCHED_DAYS = 400
_PRECISION = timedelta(minutes=1)


class Step(IntEnum):
    """How far it has come with an enquiry nobody answers; as many mails went out before it."""

    NONE = 0
    REMINDED = 1  # the department, at three quarters of its time
    ESCALATED = 2  # the department and its deputy, when its time is up
    DESK = 3  # the desk, two working days later
    DESK_AGAIN = 4
    LAST = 5  # and then it is on the list of what needs attention


@dataclass(frozen=True, slots=True)
class Clock:
    """Working time as one department counts it.

    *timezone* is an IANA name. Without *hours* every working day is worked from 09:00 to 17:30.
    """

    calendar: WorkingCalendar
    timezone: str
    hours: OpeningHours | None = None

    @property
    def _periods(self) -> Callable[[date], Iterable[tuple[datetime, datetime]]] | None:
        return self.hours.spans if self.hours else None

    def is_worked(self, day: date) -> bool:
        """Whether somebody is there on *day*."""
        if not self.calendar.is_working_day(day):
            return False
        return self.hours is None or self.hours.closes_on(day) is not None

    def morning_from(self, instant: datetime) -> datetime:
        """The first nine o'clock at or after *instant* (UTC) of a day that is worked.

        Of a day of the calendar's where the department is there on none for a year.
        """
        zone = ZoneInfo(self.timezone)
        first = instant.astimezone(zone).date()
        for worked in (self.is_worked, self.calendar.is_working_day):
            for n in range(_SEARCHED_DAYS):
                morning = self._morning(first + n * _DAY, zone)
                if morning >= instant and worked(first + n * _DAY):
                    return morning
        return self._morning(first + _DAY, zone)

    @staticmethod
    def _morning(day: date, zone: ZoneInfo) -> datetime:
        return datetime.combine(day, MORNING, zone).astimezone(UTC)

    def working_time(self, start: datetime, end: datetime) -> timedelta:
        """How much of the time between is worked."""
        return self.calendar.working_time_between(start, end, self.timezone, periods=self._periods)

    def point(self, start: datetime, end: datetime, share: float) -> datetime:
        """When *share* (0 to 1) of the working time between is over, to the minute."""
        wanted = self.working_time(start, end) * share
        low, high = start, end
        while high - low > _PRECISION:
            middle = low + (high - low) / 2
            if self.working_time(start, middle) < wanted:
                low = middle
            else:
                high = middle
        return high

    def days_after(self, instant: datetime, days: int) -> datetime:
        """The end of the working day *days* after *instant*."""
        closes = self.hours.closes_on if self.hours else None
        if closes is None:
            return self.calendar.working_days_after(instant, days, self.timezone)
        return self.calendar.working_days_after(instant, days, self.timezone, closes=closes)

    def days_taken(self, start: datetime, end: datetime) -> float:
        """How many working days lie between, in parts of the day that the department works."""
        worked = self.working_time(start, end)
        return worked / self._usual_day(start)

    def _usual_day(self, instant: datetime) -> timedelta:
        first = instant.astimezone(ZoneInfo(self.timezone)).date()
        week = [first + n * _DAY for n in range(14)]
        days = [day for day in week if self.is_worked(day)]
        if not days or self.hours is None:
            return timedelta(hours=8, minutes=30)
        total = sum(
            (closes - opens for day in days for opens, closes in self.hours.spans(day)), timedelta()
        )
        return total / len(days)


def next_reminder(
    step: Step, *, received: datetime, answer_by: datetime, clock: Clock, now: datetime
) -> datetime | None:
    """When the mail after *step* goes out; None after the last. Never before *now*.

    *received* and *answer_by* are the enquiry's; a mail that comes late leaves the next its
    distance, for whoever gets it must have had the time to act on the one before.
    """
    if step >= Step.LAST:
        return None
    if step is Step.NONE:
        due = clock.point(received, answer_by, REMIND_AFTER)
        morning = clock.morning_from(max(due, now))
        if morning > answer_by:
            # Rather early on the day it is due than after that.
            today = clock.morning_from(max(received, answer_by - _DAY))
            morning = today if now <= today <= answer_by else morning
        return morning
    if step is Step.REMINDED:
        return clock.morning_from(max(answer_by, now + _PRECISION))
    return clock.morning_from(clock.days_after(now, DESK_EVERY - 1))


def typical(days: Sequence[float]) -> float | None:
    """The working days within which most answers come; None of too few to tell."""
    if len(days) < TYPICAL_FROM:
        return None
    ordered = sorted(days)
    return ordered[min(len(ordered) - 1, ceil(TYPICAL_SHARE * len(ordered)) - 1)]


def days_overdue(answer_by: datetime, now: datetime, clock: Clock) -> int:
    """Whole working days since an answer was due; 0 on the day itself and before."""
    if now <= answer_by:
        return 0
    zone = ZoneInfo(clock.timezone)
    day, last = answer_by.astimezone(zone).date(), now.astimezone(zone).date()
    count = 0
    while day < last and count < _SEARCHED_DAYS:
        day += _DAY
        count += clock.is_worked(day)
    return count

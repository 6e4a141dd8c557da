"""What time it is. Everything below is told; only entry points ask."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from directory.domain.errors import SettingsInvalid
from directory.settings import PREFIX, Settings

Clock = Callable[[], datetime]


def real_clock() -> datetime:
    """The machine's clock, in UTC."""
    return datetime.now(UTC)


def clock_of(settings: Settings) -> Clock:
    """The clock this process runs by.

    ``DIRECTORY_NOW`` moves it, for tests: an RFC 3339 instant from which it runs on, or a signed
    offset in seconds. Raises SettingsInvalid when that is neither, or in production.
    """
    told = os.environ.get(f"{PREFIX}NOW", "")
    if not told:
        return real_clock
    if settings.env == "production":
        raise SettingsInvalid(f"{PREFIX}NOW: a clock that is set is for tests")
    try:
        if told[0] in "+-":
            ahead = timedelta(seconds=float(told))
        else:
            ahead = datetime.fromisoformat(told).astimezone(UTC) - real_clock()
    except ValueError:
        raise SettingsInvalid(
            f"{PREFIX}NOW: “{told}” is neither an instant like 2026-11-24T09:00:00Z nor seconds "
            "like +3600"
        ) from None
    return lambda: real_clock() + ahead

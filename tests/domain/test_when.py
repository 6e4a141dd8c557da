from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from directory.domain.when import format_when, utc_offset

INSTANT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "place", "text"),
    [
        ("en", "Singapore", "Tue 24 Nov 2026, 17:30 (Singapore, UTC+8)"),
        ("zh-Hans", "新加坡", "2026年11月24日（周二）17:30（新加坡时间，UTC+8）"),
        ("en", "", "Tue 24 Nov 2026, 17:30 (UTC+8)"),
        ("zh-Hans", "", "2026年11月24日（周二）17:30（UTC+8）"),
    ],
)
def test_an_instant_is_written_with_its_day_and_zone(language, place, text):
    assert format_when(INSTANT, ZoneInfo("Asia/Singapore"), place, language) == text


def test_the_offset_is_the_one_of_that_day():
    london = ZoneInfo("Europe/London")

    assert format_when(INSTANT, london, "London", "en").endswith("09:30 (London, UTC)")
    assert format_when(INSTANT - timedelta(days=150), london, "London", "en").endswith(
        "10:30 (London, UTC+1)"
    )


@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "UTC"), (330, "UTC+5:30"), (-210, "UTC-3:30"), (-720, "UTC-12")]
)
def test_offsets_of_half_hours_keep_their_minutes(minutes, text):
    assert utc_offset(INSTANT.astimezone(timezone(timedelta(minutes=minutes)))) == text

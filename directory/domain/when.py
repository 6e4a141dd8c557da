"""An instant as people read it, the zone always written."""

from __future__ import annotations

from datetime import date, datetime, tzinfo

# Not strftime: its names follow the process's locale, and mail is written in two languages.
_DAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAYS_ZH = "一二三四五六日"
_MONTHS_EN = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


def format_when(instant: datetime, zone: tzinfo, place: str, language: str) -> str:
    """``Tue 24 Nov 2026, 17:30 (Singapore, UTC+8)``, or the same in Chinese.

    *place* is the zone's city in *language* ("Singapore", "新加坡"); where there is no name for
    it the offset stands alone.
    """
    local = instant.astimezone(zone)
    offset = utc_offset(local)
    day = format_day(local, language)
    if language == "zh-Hans":
        where = f"{place}时间，{offset}" if place else offset
        return f"{day}{local:%H:%M}（{where}）"
    where = f"{place}, {offset}" if place else offset
    return f"{day}, {local:%H:%M} ({where})"


def format_day(local: date, language: str) -> str:
    """``Tue 24 Nov 2026`` or ``2026年11月24日（周二）``: the day *local* itself names."""
    if language == "zh-Hans":
        return f"{local.year}年{local.month}月{local.day}日（周{_DAYS_ZH[local.weekday()]}）"
    weekday, month = _DAYS_EN[local.weekday()], _MONTHS_EN[local.month - 1]
    return f"{weekday} {local.day} {month} {local.year}"


def utc_offset(local: datetime) -> str:
    """``UTC+8``, ``UTC-3:30``, ``UTC``."""
    offset = local.utcoffset()
    minutes = round(offset.total_seconds() / 60) if offset else 0
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '-'}{hours}" + (f":{rest:02}" if rest else "")

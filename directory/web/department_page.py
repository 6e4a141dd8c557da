"""What the page of one department says, in one language and, for paper, in the other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask import url_for
from markupsafe import Markup, escape
from sqlalchemy.orm import Session

from directory.adapters.queries import DepartmentRow
from directory.adapters.tree import Unit
from directory.domain.contacts import (
    PHONE_KINDS,
    Department,
    DepartmentStatus,
    PointKind,
    Topic,
    localised,
)
from directory.domain.errors import NotFound
from directory.domain.hours_words import date_in_words
from directory.domain.values import PostalAddress
from directory.services.contacts import place_of, usual_days_of
from directory.settings import Settings
from directory.web.context import _, other_language
from directory.web.present import (
    department_url,
    hours_line,
    hours_table,
    link_to,
    open_state,
    today_in,
    way,
    words,
    write_url,
)


@dataclass(frozen=True, slots=True)
class Around:
    """What stands beside a department in the directory.

    ``named`` are departments whose names may be links where texts mention them. ``cover`` answers
    while this one is closed for a time.
    """

    parents: Sequence[DepartmentRow]
    units: Sequence[Unit]
    units_total: int
    topics: Sequence[Topic]
    named: Sequence[DepartmentRow]
    cover: Department | None


def department_view(
    department: Department, around: Around, *, language: str, now: datetime, settings: Settings
) -> dict[str, Any]:
    """The page's content, in the shape ``public/department.html`` describes."""
    name, name_language = localised(department.name, language)
    other = other_language(name_language)
    checked = _checked(department)
    stale_before = (now - timedelta(days=settings.verify.warn_after_days)).date()
    public = department.public_points()
    phones = [point for point in department.points if point.kind in PHONE_KINDS]
    away = closure_today(department, now, settings)
    more = around.units_total - len(around.units)
    return {
        "slug": department.slug,
        "name": name,
        "name_lang": "" if name_language == language else name_language,
        "other_name": department.name.get(other, ""),
        "other_lang": other,
        "summary": words(department.summary, language),
        "not_here": _not_here(department, around.named, language),
        "open": open_state(department, language, now, settings),
        "reply_days": usual_days_of(department, None, settings=settings),
        "ways": [
            shown for point in public if (shown := way(point, language, settings))["copy_text"]
        ],
        "hours": hours_table(department, language, now, settings),
        "parents": [link_to(row, language) for row in around.parents],
        "children": [
            {**link_to(unit.row, language), "inside": unit.inside} for unit in around.units
        ],
        "more_children": more,
        "more_children_url": url_for("public.departments", lang=language, parent=department.slug)
        if more
        else "",
        "topics": [
            {**words(topic.label, language), "url": write_url(language, topic=topic.code)}
            for topic in around.topics
        ],
        "checked_on": checked,
        "stale": bool(checked and checked < stale_before),
        "write_url": write_url(language, department=department.slug),
        "place": place_of(department, language),
        "closed": _banner(away, around.cover, language) if away else None,
        "unpublished_phone": bool(phones) and not any(p.kind in PHONE_KINDS for p in public),
        "on_paper": _on_paper(department, other_language(language), now, settings),
    }


# Closed for a time


def closure_today(
    department: Department, now: datetime, settings: Settings
) -> dict[str, Any] | None:
    """The exception to the hours (from, to, reason) that holds today, in the department's zone."""
    if not department.exceptions:
        return None
    zone = department.timezone or settings.site.timezone
    today = today_in(zone, now).isoformat()
    return next((it for it in department.exceptions if it["from"] <= today <= it["to"]), None)


def cover_for(
    session: Session,
    department: Department,
    desk: Department | None,
    *,
    now: datetime,
    settings: Settings,
) -> Department | None:
    """Who answers while *department* is closed for a time: its deputy, or theirs, or the desk."""
    seen = {department.id}
    deputy_id = department.deputy_id
    while deputy_id is not None and deputy_id not in seen:
        seen.add(deputy_id)
        deputy = session.get_one(Department, deputy_id)
        if deputy.status is DepartmentStatus.ACTIVE and not closure_today(deputy, now, settings):
            return deputy
        deputy_id = deputy.deputy_id
    return desk if desk is not None and desk.id not in seen else None


def _banner(away: dict[str, Any], cover: Department | None, language: str) -> dict[str, Any]:
    last = date_in_words(date.fromisoformat(away["to"]), language)
    return {
        "text": _("Closed until the end of %(day)s", day=last),
        "reason": words(away.get("reason") or {}, language),
        "cover": {
            **words(cover.name, language),
            "url": department_url(cover.slug, language),
        }
        if cover
        else None,
    }


# What others do


def _not_here(
    department: Department, named: Sequence[DepartmentRow], language: str
) -> dict[str, str]:
    """What this department does not do, the departments it names being links."""
    found = words(department.not_here, language)
    written_in = found["lang"] or language
    slugs = {
        name: row.slug
        for row in named
        if row.id != department.id and (name := row.name.get(written_in))
    }
    if not found["text"] or not slugs:
        return found
    # The longest first, so that "Events and Visits" is not cut short by "Events".
    names = "|".join(map(re.escape, sorted(slugs, key=len, reverse=True)))
    # Chinese has no spaces to end a word at.
    pattern = names if written_in == "zh-Hans" else rf"(?<!\w)(?:{names})(?!\w)"
    pieces = []
    at = 0
    for match in re.finditer(pattern, found["text"]):
        url = department_url(slugs[match[0]], language)
        pieces += [
            escape(found["text"][at : match.start()]),
            Markup('<a href="{}">{}</a>').format(url, match[0]),
        ]
        at = match.end()
    return {**found, "text": Markup("").join([*pieces, escape(found["text"][at:])])}


def _checked(department: Department) -> date | None:
    """The oldest date among what is shown: the page is as checked as its least checked value."""
    dates = [point.verified_at for point in department.public_points()]
    known = [day.date() for day in dates if day is not None]
    return min(known) if known and len(known) == len(dates) else None


# Paper


def _on_paper(
    department: Department, language: str, now: datetime, settings: Settings
) -> dict[str, Any] | None:
    """What a printed sheet says in the other language beneath this one; None if nothing."""
    addresses = [
        "\n".join(address.compact(language))
        for point in department.public_points(PointKind.PHYSICAL, PointKind.POSTAL)
        if (address := PostalAddress.from_parts(point.address)).language_for(language) == language
    ]
    sheet = {
        "lang": language,
        "name": department.name.get(language, ""),
        "summary": department.summary.get(language, ""),
        "addresses": addresses,
        "hours": hours_line(department, language, now, settings),
    }
    said = sheet["name"] or sheet["summary"] or addresses
    return sheet if said else None


def successor_of(session: Session, closed: Department) -> Department:
    """The active department that took over from *closed*, however often that moved on.

    Raises NotFound where nobody did.
    """
    seen = {closed.id}
    found: Department | None = closed
    while found is not None and found.status is DepartmentStatus.CLOSED:
        found = session.get(Department, found.successor_id) if found.successor_id else None
        if found is None or found.id in seen:
            raise NotFound(f"“{closed.slug}” is closed")
        seen.add(found.id)
    assert found is not None
    return found

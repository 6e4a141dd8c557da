"""Records as pages show them, in one language: what the templates are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import url_for

from directory.adapters.queries import DepartmentRow, Published
from directory.domain.contacts import (
    PHONE_KINDS,
    ContactPoint,
    Department,
    PointKind,
    localised,
)
from directory.domain.enquiry import Enquiry, EnquiryStatus, ReplyBy
from directory.domain.hours_words import (
    closed_in_words,
    opens_in_words,
    plain_week,
    utc_offset,
    week_table,
)
from directory.domain.questions import Question
from directory.domain.values import PhoneNumber, PostalAddress, ServiceNumber
from directory.domain.when import format_day
from directory.services.contacts import hours_of, place_in_zone, place_of, usual_days_of
from directory.settings import Settings
from directory.web.context import SEGMENTS, _, lasts_until, other_language, parts

CLOSURES_AHEAD_DAYS = 45


def segment(language: str) -> str:
    """*language* as it stands in an address."""
    return SEGMENTS[language]


def department_url(slug: str, language: str) -> str:
    return url_for("public.department", lang=language, slug=slug)


def write_url(language: str, *, topic: str = "", department: str = "") -> str:
    if department:
        return url_for("enquiry.new", lang=language, department=department)
    return url_for("enquiry.new", lang=language, topic=topic)


def words(text: Mapping[str, str], language: str) -> dict[str, str]:
    """*text* as the template macro ``said`` takes it.

    ``lang`` is the language it stands in where that is not *language*, else "".
    """
    found, written_in = localised(text, language)
    return {"text": found, "lang": "" if written_in == language else written_in}


# Instants


def today_in(zone: str, now: datetime) -> date:
    """The day of *now* in *zone*; what is made with it lasts until that day ends."""
    lasts_until(next_midnight(zone, now))
    return now.astimezone(ZoneInfo(zone)).date()


def next_midnight(zone: str, now: datetime) -> datetime:
    """When the day of *now* ends in *zone*."""
    tomorrow = now.astimezone(ZoneInfo(zone)).date() + timedelta(1)
    return datetime.combine(tomorrow, time(), ZoneInfo(zone))


def moment(instant: datetime, zone: str, place: str, language: str) -> dict[str, str]:
    """A point in time as the template macro ``moment`` shows it."""
    local = instant.astimezone(ZoneInfo(zone))
    offset = utc_offset(zone, instant)
    if language == "zh-Hans":
        text = f"{format_day(local, language)}{local:%H:%M}"
        where = f"{place}时间，{offset}" if place else offset
    else:
        text = f"{format_day(local, language)}, {local:%H:%M}"
        where = f"{place}, {offset}" if place else offset
    return {"datetime": local.isoformat(timespec="minutes"), "text": text, "zone": where}


# Ways to reach a department


def way(point: ContactPoint, language: str, settings: Settings) -> dict[str, Any]:
    """One contact point as a row of "Ways to reach us"."""
    label = words(point.label, language)
    note = words(point.note, language)
    shown: dict[str, Any] = {
        "kind": point.kind.value,
        "label": label["text"] or default_label(point.kind),
        "label_lang": label["lang"],
        "display": "",
        "extension_text": "",
        "national": "",
        "national_region_name": "",
        "uri": "",
        "email": "",
        "website": "",
        "address": [],
        "address_lang": "",
        "copy_text": "",
        "languages_text": _languages(point.languages, language),
        "note": note["text"],
        "note_lang": note["lang"],
        "reach": "",
        "map_links": [],
    }
    if point.kind is PointKind.SERVICE:
        number = ServiceNumber(point.value, settings.site.default_country)
        shown |= {
            "display": number.digits,
            "uri": number.uri,
            "copy_text": number.digits,
            "reach": _only_from(number.region, language),
        }
    elif point.kind in PHONE_KINDS:
        shown |= _phone(point, language)
    elif point.kind is PointKind.EMAIL:
        shown |= {"email": point.value, "copy_text": point.value}
    elif point.kind is PointKind.WEBSITE:
        # Whatever was stored once: only what leads to a page becomes a link.
        if point.value.startswith(("http://", "https://")):
            shown |= {"website": point.value, "copy_text": point.value}
    else:
        shown |= _address(point, language)
    return shown


def _phone(point: ContactPoint, language: str) -> dict[str, Any]:
    number = PhoneNumber(point.value, point.extension)
    shown = number.display(language)
    region = number.region
    national = number.national
    if region == "CN":
        # As written in China: the area code, a hyphen, the subscriber's number.
        national = national.replace(" ", "-", 1)
    return {
        "display": number.international,
        "extension_text": shown.removeprefix(number.international).strip(),
        "national": national,
        "national_region_name": parts().countries[region][language] if len(region) == 2 else "",
        # Nobody should ring a fax by touching it.
        "uri": "" if point.kind is PointKind.FAX else number.uri,
        "copy_text": shown,
        "reach": _reach(number, language),
    }


def _reach(number: PhoneNumber, language: str) -> str:
    """Who reaches this number, and what it costs, where either is not as usual."""
    match number.type:
        case "toll_free" | "shared_cost" | "uan" if number.region == "CN":
            # 400 and 800 numbers are not connected from abroad.
            return _only_from("CN", language)
        case "toll_free" if len(number.region) == 2:
            country = parts().countries[number.region][language]
            return _("Free of charge from %(country)s", country=country)
        case "premium_rate":
            return _("Calls cost more than usual")
    return ""


def _only_from(region: str, language: str) -> str:
    if region == "CN":
        return _("Only from mainland China")
    return _("Only from %(country)s", country=parts().countries[region][language])


def default_label(kind: PointKind) -> str:
    """What a contact point is called that has no label of its own."""
    return {
        PointKind.VOICE: _("Phone"),
        PointKind.FAX: _("Fax"),
        PointKind.MOBILE: _("Mobile"),
        PointKind.TEXT: _("Text messages"),
        PointKind.SERVICE: _("Service number"),
        PointKind.EMAIL: _("Email"),
        PointKind.PHYSICAL: _("Visit"),
        PointKind.POSTAL: _("Post"),
        PointKind.WEBSITE: _("Website"),
    }[kind]


def _languages(tags: Sequence[str], language: str) -> str:
    if not tags:
        return ""
    names = {"en": _("English"), "zh-Hans": _("Chinese")}
    said = [names.get(tag, tag) for tag in tags]
    if language == "zh-Hans":
        return _("%(languages)s spoken", languages="和".join(said))
    return _("%(languages)s spoken", languages=" and ".join(said))


def _address(point: ContactPoint, language: str) -> dict[str, Any]:
    address = PostalAddress.from_parts(point.address)
    written_in = address.language_for(language)
    visiting = point.kind is PointKind.PHYSICAL
    return {
        "kind": "visiting" if visiting else "postal",
        "address": address.pieces(language),
        "address_lang": "" if written_in == language else written_in,
        "copy_text": "\n".join(address.compact(language)),
        "map_links": _maps(address, language) if visiting else [],
    }


def _maps(address: PostalAddress, language: str) -> list[dict[str, str]]:
    open_street_map = {
        "label": "OpenStreetMap",
        "url": f"https://www.openstreetmap.org/search?query={quote(address.one_line(language))}",
    }
    if address.country != "CN":
        return [open_street_map]
    # Searched by words and not by coordinates, so that no datum (GCJ-02, WGS-84) is to be told.
    chinese = quote(address.one_line("zh-Hans"))
    amap = {"label": _("Amap"), "url": f"https://www.amap.com/search?query={chinese}"}
    return [amap, open_street_map] if language == "zh-Hans" else [open_street_map, amap]


def phone_to_ring(department: Department, language: str, settings: Settings) -> Any:
    """The first number of *department* that somebody answers, or None."""
    for point in department.public_points(*PHONE_KINDS - {PointKind.FAX, PointKind.TEXT}):
        return way(point, language, settings)
    return None


# Hours


def open_state(
    department: Department, language: str, now: datetime, settings: Settings
) -> dict[str, str] | None:
    """Whether somebody is there, and until or from when."""
    hours = hours_of(department, settings=settings)
    if hours is None:
        return None
    state = hours.state_at(now)
    lasts_until(state.changes_at)
    lasts_until(next_midnight(hours.timezone, now))
    place = place_in_zone(department, settings, language)
    at = state.changes_at.astimezone(ZoneInfo(hours.timezone)) if state.changes_at else None
    when = at.isoformat(timespec="minutes") if at else ""
    if state.open:
        text = ""
        if at is not None:
            text = _("until %(time)s in %(place)s", time=f"{at:%H:%M}", place=place)
            if not place:
                text = _("until %(time)s", time=f"{at:%H:%M}")
        return {"state": "open", "text": text, "at": when}
    text = opens_in_words(hours, now, language)
    if text and place:
        text = _("%(opens)s, %(place)s time", opens=text, place=place)
    return {"state": "holiday" if state.holiday else "closed", "text": text, "at": when}


def hours_table(
    department: Department, language: str, now: datetime, settings: Settings
) -> dict[str, Any] | None:
    """The week, the zone and what is coming."""
    hours = hours_of(department, settings=settings)
    if hours is None:
        return None
    today = today_in(hours.timezone, now)
    place = place_in_zone(department, settings, language)
    offset = utc_offset(hours.timezone, now)
    if language == "zh-Hans":
        zone = f"{place}时间，{offset}" if place else offset
    else:
        zone = f"{place} time, {offset}" if place else offset
    return {
        "rows": [
            {"label": row.days, "text": row.hours, "today": row.today}
            for row in week_table(hours, today, language)
        ],
        "zone_text": zone,
        "closures": [
            closed_in_words(period, language)
            for period in hours.upcoming_closures(today, CLOSURES_AHEAD_DAYS)
        ],
    }


def hours_line(department: Department, language: str, now: datetime, settings: Settings) -> str:
    """The hours in one line: "Mon to Fri, 09:00–17:30 (Nanjing, UTC+8)"."""
    hours = hours_of(department, settings=settings)
    if hours is None:
        return ""
    today = today_in(hours.timezone, now)
    rows = [row for row in plain_week(hours, today, language) if not row.closed]
    place = place_in_zone(department, settings, language)
    offset = utc_offset(hours.timezone, now)
    if language == "zh-Hans":
        said = "；".join(f"{row.days} {row.hours}" for row in rows)
        return f"{said}（{place}时间，{offset}）" if place else f"{said}（{offset}）"
    said = "; ".join(f"{row.days}, {row.hours}" for row in rows)
    return f"{said} ({place}, {offset})" if place else f"{said} ({offset})"


# Pages


def link_to(row: DepartmentRow, language: str) -> dict[str, str]:
    """A department as lists name it: its name, and its other name under it."""
    name, named_in = localised(row.name, language)
    other = other_language(named_in)
    return {
        "name": name,
        "name_lang": "" if named_in == language else named_in,
        "url": department_url(row.slug, language),
        "other_name": row.name.get(other, ""),
        "other_lang": other,
    }


def node(
    row: DepartmentRow, language: str, department: Department | None, settings: Settings
) -> dict[str, Any]:
    """A department in a list: with its phone and its sentence, if *department* is at hand."""
    return {
        **link_to(row, language),
        "slug": row.slug,
        "phone": phone_to_ring(department, language, settings) if department else None,
        "summary": words(department.summary if department else {}, language),
        "children": [],
        "inside": 0,
        "inside_url": "",
    }


def tree(
    rows: Sequence[DepartmentRow],
    language: str,
    departments: Mapping[UUID, Department],
    settings: Settings,
) -> list[dict[str, Any]]:
    """Rows in reading order as nested nodes."""
    top: list[dict[str, Any]] = []
    path: list[dict[str, Any]] = []
    for row in rows:
        made = node(row, language, departments.get(row.id), settings)
        del path[row.depth :]
        (path[-1]["children"] if path else top).append(made)
        path.append(made)
    return top


def topic_groups(published: Published, language: str, settings: Settings) -> list[dict[str, Any]]:
    """The topics offered, under their headings in the order of the first of each."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for topic in published.topics.values():
        route = published.routes.topics[topic.code]
        target = published.routes.targets.get(route.department)
        department = None
        if target is not None:
            department = published.known(target.slug)
        label, hint = words(topic.label, language), words(topic.hint, language)
        name = words(target.name if target else {}, language)
        groups.setdefault(localised(topic.group, language)[0], []).append(
            {
                "code": topic.code,
                "label": label["text"],
                "label_lang": label["lang"],
                "hint": hint["text"],
                "hint_lang": hint["lang"],
                "department": name["text"],
                "department_lang": name["lang"],
                "reply_days": usual_days_of(department, topic, settings=settings)
                if department
                else settings.sla.target_working_days,
                "url": write_url(language, topic=topic.code),
            }
        )
    return [{"label": label, "topics": topics} for label, topics in groups.items()]


def topics_by_code(
    published: Published, language: str, settings: Settings
) -> dict[str, dict[str, Any]]:
    """The topics offered, as ``topic_groups`` has them."""
    groups = topic_groups(published, language, settings)
    return {topic["code"]: topic for group in groups for topic in group["topics"]}


def question(asked: Question, language: str) -> dict[str, Any]:
    """A topic's extra question, as the form shows it."""
    return {
        "code": asked.code,
        "label": words(asked.label, language),
        "hint": words(asked.hint, language),
        "required": asked.required,
        "choices": [
            (choice.value, (label := words(choice.label, language))["text"], label["lang"])
            for choice in asked.choices
        ],
    }


def destination(
    department: Department,
    *,
    language: str,
    reply_days: int,
    certain: bool = True,
    rule_text: str = "",
    may_change: str = "",
    notices: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Where an enquiry goes, for ``#destination``; *notices* have a code and a text each."""
    return {
        "department": department.slug,
        "name": localised(department.name, language)[0],
        "place": place_of(department, language),
        "reply_days": reply_days,
        "certain": certain,
        "url": department_url(department.slug, language),
        "rule_text": rule_text,
        "may_change": may_change,
        "notices": [notice["text"] for notice in notices],
    }


def closed_notices(
    department: Department, language: str, now: datetime, settings: Settings
) -> list[dict[str, str]]:
    """That nobody is there now, and when somebody is, as a notice; none while it is open."""
    state = open_state(department, language, now, settings)
    if state is None or state["state"] == "open" or not state["text"]:
        return []
    if state["state"] == "holiday":
        text = _("On holiday; %(opens)s", opens=state["text"])
    else:
        text = _("Closed now; %(opens)s", opens=state["text"])
    return [{"code": "closed", "text": text}]


def desk(
    department: Department | None, *, language: str, now: datetime, settings: Settings
) -> dict[str, Any] | None:
    """The help block at the foot of every page."""
    if department is None:
        return None
    mailboxes = department.public_points(PointKind.EMAIL)
    return {
        "name": localised(department.name, language)[0],
        "phone": phone_to_ring(department, language, settings),
        "email": mailboxes[0].value if mailboxes else "",
        "hours_line": hours_line(department, language, now, settings),
        "url": department_url(department.slug, language),
    }


def steps(
    enquiry: Enquiry,
    department_name: str,
    at: Any,
    expected: str,
    moves: Sequence[tuple[str, datetime | None]] = (),
) -> list[dict[str, Any]]:
    """Where an enquiry is: the steps behind it, the one it is at, those to come.

    *at* makes a Moment of an instant; *expected* says by when an answer is due; *moves* are the
    departments it was passed on to, and when.
    """
    words: list[tuple[str, str, datetime | None, str]] = [
        ("received", _("Received"), enquiry.received_at, ""),
        *(("moved", _("Passed on to %(name)s", name=name), when, "") for name, when in moves),
        (
            "routed",
            _("With %(name)s", name=department_name),
            enquiry.routed_at,
            _("Their mail server accepted it.") if enquiry.routed_at else "",
        ),
        ("answered", _("Answered"), enquiry.first_answer_at, expected),
        ("closed", _("Closed"), enquiry.closed_at, ""),
    ]
    over = enquiry.status in {EnquiryStatus.CLOSED, EnquiryStatus.WITHDRAWN}
    if enquiry.status is EnquiryStatus.WITHDRAWN:
        words[-1] = ("withdrawn", _("Withdrawn"), enquiry.closed_at, "")
        if enquiry.routed_at is None:
            words = [step for step in words if step[0] != "routed"]
    unanswered = enquiry.reply_by is ReplyBy.NONE or (over and enquiry.first_answer_at is None)
    if unanswered and enquiry.status is not EnquiryStatus.ANSWERED:
        words = [step for step in words if step[0] != "answered"]
    order = [step[0] for step in words]
    stands = {"taken": "routed", "held": "received"}.get(enquiry.status, enquiry.status.value)
    here = order.index(stands) if stands in order else 0
    if stands == "received":
        here += len(moves)
    shown = []
    for index, (_name, label, instant, detail) in enumerate(words):
        state = "done" if index < here else "current" if index == here else "todo"
        shown.append(
            {
                "label": label,
                "at": at(instant) if instant else None,
                "detail": detail,
                "state": state,
            }
        )
    return shown

"""JSON-LD in the terms of schema.org."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from directory.adapters.formats.record import Entry, Site
from directory.domain.contacts import (
    ADDRESS_KINDS,
    PHONE_KINDS,
    ContactPoint,
    PointKind,
    localised,
)
from directory.domain.hours import OpeningHours
from directory.domain.values import PhoneNumber, PostalAddress

_DAYS: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip


def organization(
    entry: Entry, site: Site, language: str, *, context: bool = True
) -> dict[str, Any]:
    """A department as an Organization, in *language* where its texts have it."""
    found = entry.department
    page = site.page(found.slug, language)
    name, written = localised(found.name, language)
    others = [text for tag, text in found.name.items() if tag != written and text]
    others += [text for text in found.short_name.values() if text and text not in others]
    value: dict[str, Any] = {
        "@context": "https://schema.org" if context else None,
        "@type": "Organization",
        "@id": page,
        "name": name,
        "alternateName": [*others, *found.other_names],
        "description": localised(found.summary, language)[0],
        "url": page,
        "mainEntityOfPage": page,
        "parentOrganization": _parent(entry, site, language),
        "contactPoint": _contact_points(entry, site, language),
        "sameAs": [point.value for point in found.public_points(PointKind.WEBSITE)],
    }
    places = [_place(point, language) for point in found.public_points(*ADDRESS_KINDS)]
    value["address"] = [place["address"] for place in places]
    value["location"] = [place for place in places if place.get("geo")]
    return _filled(value)


def institute(entries: Iterable[Entry], site: Site, language: str) -> Iterator[str]:
    """The institution with every department of *entries*, one a line."""
    head = {
        "@context": "https://schema.org",
        "@type": "ResearchOrganization",
        "@id": f"{site.base_url}/",
        "name": localised(site.name, language)[0],
        "url": f"{site.base_url}/{language.lower()}/",
    }
    yield safe_json(head)[:-1] + ', "department": ['
    for number, entry in enumerate(entries):
        value = organization(entry, site, language, context=False)
        yield ("," if number else "") + "\n" + safe_json(value)
    yield "\n]}\n"


def safe_json(value: Any) -> str:
    """JSON that may stand in a page's script element: nothing in it ends the element."""
    text = json.dumps(value, ensure_ascii=False)
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _filled(value: dict[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in value.items() if part not in (None, "", [], {})}


def _parent(entry: Entry, site: Site, language: str) -> dict[str, Any]:
    if entry.parent:
        return {"@type": "Organization", "@id": site.page(entry.parent, language)}
    return {
        "@type": "ResearchOrganization",
        "@id": f"{site.base_url}/",
        "name": localised(site.name, language)[0],
    }


def _contact_points(entry: Entry, site: Site, language: str) -> list[dict[str, Any]]:
    found = entry.department
    hours = _hours(entry.hours, entry, site) if entry.hours else []
    points = []
    for point in found.public_points(*PHONE_KINDS, PointKind.EMAIL):
        value = _filled(
            {
                "@type": "ContactPoint",
                "name": localised(point.label, language)[0],
                **_reached(point, site),
                "availableLanguage": point.languages or found.languages,
                "hoursAvailable": hours if point.kind is not PointKind.FAX else [],
            }
        )
        points.append(value)
    form = site.form(found.slug, language)
    for topic in entry.topics:
        points.append(
            _filled(
                {
                    "@type": "ContactPoint",
                    "contactType": localised(topic.label, language)[0],
                    "url": f"{form.partition('?')[0]}?topic={topic.code}",
                    "availableLanguage": found.languages,
                }
            )
        )
    if not entry.topics:
        points.append(_filled({"@type": "ContactPoint", "contactType": "enquiries", "url": form}))
    return points


def _reached(point: ContactPoint, site: Site) -> dict[str, Any]:
    if point.kind is PointKind.EMAIL:
        return {"email": point.value}
    if point.kind is PointKind.SERVICE:
        return {"telephone": point.value, "areaServed": site.default_country}
    number = PhoneNumber(point.value, point.extension)
    text = number.e164 + (f" ext. {number.extension}" if number.extension else "")
    return {"faxNumber" if point.kind is PointKind.FAX else "telephone": text}


def _place(point: ContactPoint, language: str) -> dict[str, Any]:
    address = PostalAddress.from_parts(point.address)
    written = address.language_for(language)
    value = _filled(
        {
            "@type": "PostalAddress",
            "streetAddress": ", ".join(address.lines.get(written, ())),
            "addressLocality": address.locality.get(written, ""),
            "addressRegion": address.region.get(written, ""),
            "postalCode": address.postcode,
            "addressCountry": address.country,
        }
    )
    place: dict[str, Any] = {"@type": "Place", "address": value}
    if "lat" in point.address and "lon" in point.address:
        place["geo"] = {
            "@type": "GeoCoordinates",
            "latitude": point.address["lat"],
            "longitude": point.address["lon"],
        }
    return place


def _hours(hours: OpeningHours, entry: Entry, site: Site) -> list[dict[str, Any]]:
    """The regular week, days of the same hours together; then the closures that are announced."""
    days: dict[tuple[int, int], list[str]] = {}
    for number, periods in enumerate(hours.week(site.now.date())):
        for period in periods:
            if period.certain:
                days.setdefault((period.opens, period.closes), []).append(_DAYS[number])
    shown: list[dict[str, Any]] = [
        {
            "@type": "OpeningHoursSpecification",
            "dayOfWeek": named,
            "opens": _time(opens),
            "closes": _time(closes),
        }
        for (opens, closes), named in days.items()
    ]
    # Closed all day is said by opening and closing at midnight: schema.org's own example.
    shown += [
        {
            "@type": "OpeningHoursSpecification",
            "opens": "00:00",
            "closes": "00:00",
            "validFrom": closed["from"],
            "validThrough": closed["to"],
        }
        for closed in entry.department.exceptions
    ]
    return shown


def _time(minutes: int) -> str:
    """Minutes after midnight. The end of a day is its last minute: "00:00" would be its first."""
    if minutes == 24 * 60:
        return "23:59"
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"

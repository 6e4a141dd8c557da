"""A department as one row of a table, and a row's cells put back into the department.

The columns are those of the CSV export: the command line sets them, imports will read them. A
number, an address or a mailbox beyond the first has its number in the column ("phone2").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from directory.domain.contacts import ContactPoint, Department, PointKind, PointState
from directory.domain.errors import DirectoryError, InvalidValue
from directory.domain.hours import OpeningHours
from directory.domain.numbers import PhoneNumber, ServiceNumber
from directory.domain.values import EmailAddress, LanguageTag, Slug

CLEAR = "-"

_LOCALISED = {
    f"{attribute}_{suffix}": (attribute, language)
    for attribute in ("name", "short_name", "summary", "not_here")
    for suffix, language in (("en", "en"), ("zh_hans", "zh-Hans"))
}
_PLAIN = ("timezone", "hours", "notes")
_LISTS = ("other_names", "languages")
_ADDRESS = {
    f"{part}_{suffix}": (part, language)
    for part in ("street", "locality", "region")
    for suffix, language in (("en", "en"), ("zh_hans", "zh-Hans"))
} | {"postcode": ("postcode", ""), "country": ("country", "")}
_NUMBERED = re.compile(r"(phone|fax|mobile|text|service|email)([2-9]|[1-9]\d)?(_ext)?")
_KINDS = {"phone": PointKind.VOICE} | {
    kind.value: kind
    for kind in (
        PointKind.FAX,
        PointKind.MOBILE,
        PointKind.TEXT,
        PointKind.SERVICE,
        PointKind.EMAIL,
    )
}


class CellInvalid(DirectoryError):
    """A cell that cannot be taken: ``column`` and the value's own error, or an unknown column."""

    def __init__(self, column: str, problem: str, code: str = "column.unknown") -> None:
        self.column = column
        self.code = code
        super().__init__(f"{column}: {problem}")


def columns_of(department: Department, *, slugs: Mapping[UUID, str]) -> dict[str, str]:
    """Every filled column of *department*; *slugs* names its relations."""
    row: dict[str, str] = {
        "id": str(department.id),
        "slug": department.slug,
        "parent": slugs.get(department.parent_id, "") if department.parent_id else "",
        "status": department.status.value,
        "sort": str(department.position),
    }
    for column, (attribute, language) in _LOCALISED.items():
        row[column] = getattr(department, attribute).get(language, "")
    for column in _LISTS:
        row[column] = "|".join(getattr(department, column))
    for name, kind in _KINDS.items():
        for number, point in enumerate(_points(department, kind), 1):
            column = name if number == 1 else f"{name}{number}"
            row[column] = _shown(point)
            row[f"{column}_ext"] = point.extension
    if website := _points(department, PointKind.WEBSITE):
        row["website"] = website[0].value
    if addresses := _points(department, PointKind.PHYSICAL):
        for column, (part, language) in _ADDRESS.items():
            row[column] = _address_part(addresses[0].address, part, language)
    for column in _PLAIN:
        row[column] = getattr(department, column)
    row["reply_days"] = str(department.reply_days or "")
    row["backup_email"] = department.backup_email
    row["owner_email"] = department.owner_email
    if (mailbox := _routing(department)) is not None:
        row["routing_email"] = mailbox.value
    row["deputy"] = slugs.get(department.deputy_id, "") if department.deputy_id else ""
    return {column: value for column, value in row.items() if value}


def set_columns(
    department: Department,
    cells: Mapping[str, str],
    *,
    region: str,
    find: Callable[[str], Department],
    now: datetime,
) -> None:
    """Put *cells* into *department*: empty leaves as is, "-" clears.

    *region* is the country local numbers are dialled in, *find* looks a department up by slug.
    A contact point whose value changes is "proposed" again: nobody has verified the new value.
    Raises CellInvalid for the first cell that cannot be taken.
    """
    for column, text in cells.items():
        text = text.strip()
        if not text:
            continue
        try:
            _set(department, column, "" if text == CLEAR else text, region=region, find=find)
        except InvalidValue as error:
            raise CellInvalid(column, str(error), error.code) from error
    department.updated_at = now


def _set(
    department: Department,
    column: str,
    text: str,
    *,
    region: str,
    find: Callable[[str], Department],
) -> None:
    if column in _LOCALISED:
        attribute, language = _LOCALISED[column]
        changed = {**getattr(department, attribute), language: text}
        setattr(department, attribute, {tag: value for tag, value in changed.items() if value})
    elif column in _LISTS:
        values = [value.strip() for value in text.split("|") if value.strip()]
        if column == "languages":
            values = [str(LanguageTag.parse(value)) for value in values]
        setattr(department, column, values)
    elif column == "hours":
        if text:
            OpeningHours.parse(text, department.timezone or "UTC")
        department.hours = text
    elif column in _PLAIN:
        setattr(department, column, text)
    elif column == "slug":
        department.slug = str(Slug.parse(text))
    elif column in {"parent", "deputy"}:
        setattr(department, f"{column}_id", find(text).id if text else None)
    elif column in {"sort", "reply_days"}:
        if text and not text.isdecimal():
            raise CellInvalid(column, "is a whole number", "column.number")
        if column == "sort":
            department.position = int(text or 0)
        else:
            department.reply_days = int(text) if text else None
    elif column in {"backup_email", "owner_email"}:
        setattr(department, column, str(EmailAddress.parse(text)) if text else "")
    elif column == "routing_email":
        _set_routing(department, text)
    elif column == "website":
        _set_value(department, PointKind.WEBSITE, 1, text, typed=text)
    elif column in _ADDRESS:
        _set_address(department, column, text)
    elif match := _NUMBERED.fullmatch(column):
        kind, number = _KINDS[match[1]], int(match[2] or 1)
        if match[3]:
            _set_extension(department, column, kind, number, text)
        else:
            _set_number(department, kind, number, text, region)
    else:
        raise CellInvalid(column, "there is no such column")


def _points(department: Department, kind: PointKind) -> list[ContactPoint]:
    found = [
        point
        for point in department.points
        if point.kind is kind and point.public and point.state is not PointState.RETIRED
    ]
    return sorted(found, key=lambda point: point.position)


def _shown(point: ContactPoint) -> str:
    if point.kind in {PointKind.EMAIL, PointKind.SERVICE}:
        return point.value
    return PhoneNumber(point.value).international


def _address_part(address: Mapping[str, Any], part: str, language: str) -> str:
    if part == "street":
        return "|".join(address.get("lines", {}).get(language, []))
    if not language:
        return str(address.get(part, ""))
    return str(address.get(part, {}).get(language, ""))


def _set_number(
    department: Department, kind: PointKind, number: int, text: str, region: str
) -> None:
    if not text:
        _set_value(department, kind, number, "", typed="")
    elif kind is PointKind.EMAIL:
        _set_value(department, kind, number, str(EmailAddress.parse(text)), typed=text)
    elif kind is PointKind.SERVICE:
        value = ServiceNumber.parse(text, region=region).digits
        _set_value(department, kind, number, value, typed=text)
    else:
        read = PhoneNumber.parse(text, region=region)
        _set_value(department, kind, number, read.e164, typed=text, extension=read.extension)


def _set_value(
    department: Department,
    kind: PointKind,
    number: int,
    value: str,
    *,
    typed: str,
    extension: str = "",
) -> None:
    present = _points(department, kind)
    if not value:
        if number <= len(present):
            # Kept with its history, and shown nowhere any more.
            present[number - 1].state = PointState.RETIRED
        return
    if number <= len(present):
        point = present[number - 1]
        if (point.value, point.extension) == (value, extension or point.extension):
            return
        _renew(point)
        point.value, point.typed = value, typed
        point.extension = extension
    else:
        last = max((point.position for point in department.points), default=0)
        department.points.append(
            ContactPoint(
                kind=kind, value=value, typed=typed, extension=extension, position=last + 1
            )
        )


def _renew(point: ContactPoint) -> None:
    point.state = PointState.PROPOSED
    point.verified_at, point.verified_by, point.verified_how = None, "", ""


def _set_extension(
    department: Department, column: str, kind: PointKind, number: int, text: str
) -> None:
    present = _points(department, kind)
    if number > len(present):
        raise CellInvalid(column, "there is no number for this extension", "column.no_number")
    point = present[number - 1]
    if point.extension != text:
        _renew(point)
        point.extension = text


def _routing(department: Department) -> ContactPoint | None:
    return next(
        (
            point
            for point in department.points
            if point.kind is PointKind.EMAIL
            and point.routing
            and point.state is not PointState.RETIRED
        ),
        None,
    )


def _set_routing(department: Department, text: str) -> None:
    address = str(EmailAddress.parse(text)) if text else ""
    for point in department.points:
        if point.kind is PointKind.EMAIL:
            point.routing = False
    if not address:
        return
    for point in department.points:
        if point.kind is PointKind.EMAIL and point.value == address and point.live:
            point.routing = True
            return
    last = max((point.position for point in department.points), default=0)
    department.points.append(
        ContactPoint(
            kind=PointKind.EMAIL,
            value=address,
            typed=text,
            public=False,
            routing=True,
            position=last + 1,
        )
    )


def _set_address(department: Department, column: str, text: str) -> None:
    part, language = _ADDRESS[column]
    present = _points(department, PointKind.PHYSICAL)
    if present:
        point = present[0]
    else:
        last = max((point.position for point in department.points), default=0)
        point = ContactPoint(kind=PointKind.PHYSICAL, position=last + 1)
        department.points.append(point)
    address = dict(point.address)
    if part == "street":
        lines = [line.strip() for line in text.split("|") if line.strip()]
        address["lines"] = {**address.get("lines", {}), language: lines}
    elif language:
        address[part] = {**address.get(part, {}), language: text}
    else:
        address[part] = text
    if address != point.address:
        _renew(point)
        point.address = address

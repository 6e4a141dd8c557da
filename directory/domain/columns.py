"""A department as one row of a table, and a row's cells put back into the department.

The columns are those of the CSV export; the command line sets them, every import is read into
them. Where a department has more than the usual columns hold (a third mailbox, a label on a fax,
a second address) further ones are named the same way, so that nothing is left out in silence:

    phone2_note_en      the second published telephone number's note
    postal_street_en    the street of the address for letters
    internal_email      a mailbox that is not published
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import zip_longest
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from directory.domain.contacts import (
    ADDRESS_KINDS,
    ContactPoint,
    Department,
    PointKind,
    PointState,
)
from directory.domain.errors import DirectoryError, InvalidValue
from directory.domain.hours import OpeningHours
from directory.domain.numbers import PhoneNumber, ServiceNumber
from directory.domain.text import clean, one_line
from directory.domain.values import EmailAddress, LanguageTag, PostalAddress, Slug

# What stands in a cell; None clears. A column that is not there is left as it is.
Cells = Mapping[str, str | None]

CLEAR: Final = "-"

# How each language stands at the end of a column's name.
SUFFIXES: Final = {"en": "en", "zh-Hans": "zh_hans"}

_CONTRACT: Final = """
id slug parent status sort name_en name_zh_hans short_name_en short_name_zh_hans other_names
summary_en summary_zh_hans phone phone_ext phone_label_en phone_label_zh_hans phone2 phone2_ext
phone3 phone3_ext fax fax_ext mobile email email2 website street_en locality_en region_en
street_zh_hans locality_zh_hans region_zh_hans postcode country lat lon timezone hours languages
topics reply_days verified_on updated_at
"""
PUBLIC_COLUMNS: Final = tuple(_CONTRACT.split())
PRIVATE_COLUMNS: Final = ("routing_email", "backup_email", "owner_email", "notes")
NUMERIC_COLUMNS: Final = frozenset(
    {"sort", "reply_days", "lat", "lon"}
)  # a formula cannot be a number, and "-1.5" must stay one
# Said by the service itself: read to match rows and to see conflicts, never set.
STAMPS: Final = ("id", "verified_on", "updated_at")

_FURTHER: Final = (
    *("not_here_en", "not_here_zh_hans", "closures", "closures_en", "closures_zh_hans"),
    *("successor", "deputy"),
)
_LOCALISED: Final = {
    f"{attribute}_{suffix}": (attribute, language)
    for attribute in ("name", "short_name", "summary", "not_here")
    for language, suffix in SUFFIXES.items()
}
_ONE_LINE: Final = frozenset({"name", "short_name"})
_PARTS: Final = {
    f"{part}_{suffix}": (part, language)
    for language, suffix in SUFFIXES.items()
    for part in ("street", "locality", "region")
} | {part: (part, "") for part in ("postcode", "country", "lat", "lon")}
_DETAILS: Final = {
    f"{attribute}_{suffix}": (attribute, language)
    for attribute in ("label", "note")
    for language, suffix in SUFFIXES.items()
}
_KINDS: Final = {
    "phone": PointKind.VOICE,
    "fax": PointKind.FAX,
    "mobile": PointKind.MOBILE,
    "text": PointKind.TEXT,
    "service": PointKind.SERVICE,
    "email": PointKind.EMAIL,
    "website": PointKind.WEBSITE,
    "address": PointKind.PHYSICAL,
    "postal": PointKind.POSTAL,
}
_WORDS: Final = {kind: word for word, kind in _KINDS.items()}
_SLOT: Final = re.compile(
    rf"(internal_)?({'|'.join(_KINDS)})([2-9]|[1-9]\d{{1,2}})?"
    rf"(?:_(ext|languages|{'|'.join((*_DETAILS, *_PARTS))}))?"
)
_LONGEST_VALUE: Final = 254


class CellInvalid(DirectoryError):
    """A cell that cannot be taken: ``column``, and the value's own error."""

    def __init__(self, column: str, error: InvalidValue) -> None:
        self.column = column
        self.error = error
        self.code = error.code
        super().__init__(f"{column}: {error}")

    def text(self, language: str) -> str:
        """The sentence in *language*, after the column it is about."""
        return f"{self.column}: {self.error.text(language)}"


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one contact point in a row: the second fax is Slot(False, FAX, 2, "")."""

    internal: bool
    kind: PointKind
    number: int
    detail: str

    @property
    def column(self) -> str:
        """The column's name. The parts of the first published address have none before them."""
        own = not self.internal and self.number == 1
        if own and self.kind is PointKind.PHYSICAL and self.detail in _PARTS:
            return self.detail
        number = str(self.number) if self.number > 1 else ""
        name = f"{'internal_' if self.internal else ''}{_WORDS[self.kind]}{number}"
        return f"{name}_{self.detail}" if self.detail else name


@lru_cache(maxsize=1_000)
def slot_of(column: str) -> Slot | None:
    """What contact point *column* is about, if any."""
    if column in _PARTS:
        return Slot(False, PointKind.PHYSICAL, 1, column)
    found = _SLOT.fullmatch(column)
    if found is None:
        return None
    kind, detail = _KINDS[found[2]], found[4] or ""
    fits = detail in _PARTS if kind in ADDRESS_KINDS else detail not in _PARTS
    if not (fits or detail in _DETAILS or detail == "languages"):
        return None
    return Slot(bool(found[1]), kind, int(found[3] or 1), detail)


@lru_cache(maxsize=1_000)
def is_column(column: str) -> bool:
    """Whether a row may have a column of this name."""
    return (
        column in PUBLIC_COLUMNS or column in (*PRIVATE_COLUMNS, *_FURTHER) or bool(slot_of(column))
    )


def is_private(column: str) -> bool:
    """Whether the column stands in private exports only."""
    return column in PRIVATE_COLUMNS or column == "deputy" or column.startswith("internal_")


def unknown_column(column: str) -> InvalidValue:
    """The error for a column that no row has, with the nearest name there is."""
    near = difflib.get_close_matches(
        column.lower(), [*PUBLIC_COLUMNS, *PRIVATE_COLUMNS, *_FURTHER], 1, 0.6
    )
    if near:
        return InvalidValue("column.unknown_near", column=column[:60], near=near[0])
    return InvalidValue("column.unknown", column=column[:60])


def in_order(columns: Iterable[str], *, private: bool) -> list[str]:
    """The contract's columns, and those of *columns* that it does not name, in a steady order."""
    fixed = [*PUBLIC_COLUMNS, *(PRIVATE_COLUMNS if private else ())]
    further = {column for column in columns if private or not is_private(column)} - set(fixed)
    return [*fixed, *sorted(further, key=_rank)]


def _rank(column: str) -> tuple[Any, ...]:
    slot = slot_of(column)
    if slot is None:
        return (0, _FURTHER.index(column))
    details = ("", "ext", *_DETAILS, "languages", *_PARTS)
    kinds = list(_WORDS)
    return (1, slot.internal, kinds.index(slot.kind), slot.number, details.index(slot.detail))


def typed_cells(cells: Mapping[str, str]) -> dict[str, str | None]:
    """Cells as people type them: an empty one leaves as is, "-" clears."""
    trimmed = {column: text.strip() for column, text in cells.items()}
    return {c: None if text == CLEAR else text for c, text in trimmed.items() if text}


# Lists in a cell: "a|b"; a bar inside an item is "\|", and a backslash "\\".


def join_list(items: Iterable[str]) -> str:
    return "|".join(item.replace("\\", "\\\\").replace("|", "\\|") for item in items)


def split_list(text: str, *, keep_empty: bool = False) -> list[str]:
    """The items of a cell, trimmed. Line breaks part items too: that is how people type them."""
    items, item = [], ""
    escaped = False
    for character in text:
        if escaped:
            item += character if character in "\\|" else f"\\{character}"
            escaped = False
        elif character == "\\":
            escaped = True
        elif character in "|\n":
            items.append(item)
            item = ""
        else:
            item += character
    items.append(item + ("\\" if escaped else ""))
    stripped = [item.strip() for item in items]
    return stripped if keep_empty else [item for item in stripped if item]


# From a department to its row


def columns_of(
    department: Department,
    *,
    slugs: Mapping[UUID, str],
    topics: Iterable[str] = (),
    private: bool = True,
) -> dict[str, str]:
    """Every filled column of *department*, but for the stamps of :func:`stamps_of`.

    *slugs* names its relations, *topics* are the codes it answers for. *private* False leaves out
    what is not published.
    """
    row: dict[str, str] = {
        "id": str(department.id),
        "slug": department.slug,
        "parent": slugs.get(department.parent_id, "") if department.parent_id else "",
        "status": department.status.value,
        "sort": str(department.position),
    }
    for column, (attribute, language) in _LOCALISED.items():
        row[column] = getattr(department, attribute).get(language, "")
    row["other_names"] = join_list(department.other_names)
    row["languages"] = join_list(department.languages)
    for point, slot in slots_of(department, private=private):
        row |= _slot_columns(point, slot)
    row["timezone"], row["hours"] = department.timezone, department.hours
    if department.exceptions:
        row |= _closures(department.exceptions)
    row["topics"] = join_list(topics)
    row["reply_days"] = str(department.reply_days or "")
    row["successor"] = slugs.get(department.successor_id, "") if department.successor_id else ""
    if private:
        mailbox = _routing(department)
        row["routing_email"] = mailbox.value if mailbox else ""
        row["backup_email"] = department.backup_email
        row["owner_email"] = department.owner_email
        row["notes"] = department.notes
        row["deputy"] = slugs.get(department.deputy_id, "") if department.deputy_id else ""
    return {column: value for column, value in row.items() if value}


def stamps_of(department: Department) -> dict[str, str]:
    """When its published values were last checked, and when it was last changed (RFC 3339)."""
    public = department.public_points()
    dates = [point.verified_at for point in public if point.verified_at]
    checked = min(dates).date().isoformat() if dates and len(dates) == len(public) else ""
    changed = department.updated_at
    return {
        "verified_on": checked,
        "updated_at": changed.isoformat(timespec="microseconds") if changed else "",
    }


def slots_of(department: Department, *, private: bool) -> list[tuple[ContactPoint, Slot]]:
    """Its contact points that are not retired, each with its place in the row."""
    found = []
    counts: dict[tuple[bool, PointKind], int] = {}
    for point in sorted(department.points, key=lambda point: point.position):
        if point.state is PointState.RETIRED or _is_hidden_routing(point):
            continue
        if not point.public and not private:
            continue
        number = counts[not point.public, point.kind] = (
            counts.get((not point.public, point.kind), 0) + 1
        )
        found.append((point, Slot(not point.public, point.kind, number, "")))
    return found


def _is_hidden_routing(point: ContactPoint) -> bool:
    """The unpublished mailbox that has a column of its own, ``routing_email``."""
    return point.kind is PointKind.EMAIL and point.routing and not point.public


def _slot_columns(point: ContactPoint, slot: Slot) -> dict[str, str]:
    def column(detail: str) -> str:
        return Slot(slot.internal, slot.kind, slot.number, detail).column

    if slot.kind in ADDRESS_KINDS:
        row = {column(detail): _part(point.address, detail) for detail in _PARTS}
    else:
        row = {column(""): _shown(point), column("ext"): point.extension}
    for detail, (attribute, language) in _DETAILS.items():
        if text := getattr(point, attribute).get(language):
            row[column(detail)] = text
    if point.languages:
        row[column("languages")] = join_list(point.languages)
    return row


def _shown(point: ContactPoint) -> str:
    if point.kind in {PointKind.EMAIL, PointKind.SERVICE, PointKind.WEBSITE}:
        return point.value
    return PhoneNumber(point.value).international


def _part(address: Mapping[str, Any], detail: str) -> str:
    part, language = _PARTS[detail]
    if part == "street":
        return join_list(address.get("lines", {}).get(language, []))
    if language:
        return str(address.get(part, {}).get(language, ""))
    value = address.get(part)
    return "" if value is None else str(value)


def _closures(exceptions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    row = {"closures": "|".join(f"{closed['from']}..{closed['to']}" for closed in exceptions)}
    for language, suffix in SUFFIXES.items():
        reasons = [closed.get("reason", {}).get(language, "") for closed in exceptions]
        row[f"closures_{suffix}"] = join_list(reasons) if any(reasons) else ""
    return row


# From a row back to the department


def set_columns(
    department: Department,
    cells: Cells,
    *,
    region: str,
    find: Callable[[str], UUID],
    now: datetime,
) -> None:
    """Put *cells* into *department*; None clears, what is not there is left as it is.

    *region* is the country local numbers are dialled in, *find* gives the id of the department of
    a slug. A contact point whose value changes is "proposed" again: nobody has verified the new
    one. Columns that say what a whole use-case must do (status, successor, topics) and the stamps
    are not set here. Raises CellInvalid for the first cell that cannot be taken, and what *find*
    raises.
    """
    slots: dict[tuple[bool, PointKind], dict[int, dict[str, str | None]]] = {}
    for column, text in sorted(cells.items(), key=lambda cell: cell[0] == "hours"):
        if slot := slot_of(column):
            place = slots.setdefault((slot.internal, slot.kind), {})
            place.setdefault(slot.number, {})[slot.detail] = text
            continue
        try:
            _set(department, column, text or "", find=find)
        except InvalidValue as error:
            raise CellInvalid(column, error) from error
    for (internal, kind), wanted in slots.items():
        _set_points(department, internal, kind, wanted, region)
    department.updated_at = now


def _set(department: Department, column: str, text: str, *, find: Callable[[str], UUID]) -> None:
    if column in _LOCALISED:
        attribute, language = _LOCALISED[column]
        kept = one_line(text) if attribute in _ONE_LINE else clean(text)
        setattr(department, attribute, _with(getattr(department, attribute), language, kept))
    elif column == "other_names":
        department.other_names = [one_line(name) for name in split_list(text)]
    elif column == "languages":
        department.languages = _languages(text)
    elif column == "timezone":
        if text:
            OpeningHours.parse(department.hours or "24/7", text)
        department.timezone = text
    elif column == "hours":
        if text:
            text = OpeningHours.parse(text, department.timezone or "UTC").spec
        department.hours = text
    elif column == "closures":
        department.exceptions = _read_closures(text, department.exceptions)
    elif column in {"closures_en", "closures_zh_hans"}:
        language = "en" if column == "closures_en" else "zh-Hans"
        department.exceptions = [
            {**closed, "reason": _with(closed.get("reason", {}), language, reason or "")}
            for closed, reason in zip_longest(
                department.exceptions, split_list(text, keep_empty=True) if text else []
            )
            if closed is not None
        ]
    elif column == "notes":
        department.notes = clean(text)
    elif column == "slug":
        department.slug = str(Slug.parse(text))
    elif column == "parent":
        department.parent_id = find(text) if text else None
    elif column == "deputy":
        department.deputy_id = find(text) if text else None
    elif column == "sort":
        department.position = _whole(text or "0", -1_000_000_000, 1_000_000_000)
    elif column == "reply_days":
        department.reply_days = _whole(text, 1, 365) if text else None
    elif column in {"backup_email", "owner_email"}:
        setattr(department, column, str(EmailAddress.parse(text)) if text else "")
    elif column == "routing_email":
        _set_routing(department, text)
    elif is_column(column):
        raise InvalidValue("column.not_set", column=column)
    else:
        raise unknown_column(column)


def _with(texts: Mapping[str, str], language: str, text: str) -> dict[str, str]:
    changed = {**texts, language: text}
    return {tag: value for tag, value in changed.items() if value}


def _languages(text: str) -> list[str]:
    return [str(LanguageTag.parse(tag)) for tag in split_list(text)]


def _whole(text: str, least: int, most: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise InvalidValue("column.number") from None
    if not least <= number <= most:
        raise InvalidValue("column.number")
    return number


def _read_closures(text: str, before: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    reasons = {(closed["from"], closed["to"]): closed.get("reason", {}) for closed in before}
    closures = []
    for item in split_list(text):
        first, _, last = item.partition("..")
        try:
            begins, ends = date.fromisoformat(first), date.fromisoformat(last or first)
        except ValueError:
            raise InvalidValue("column.dates") from None
        if ends < begins:
            raise InvalidValue("hours.closure_order")
        said = (begins.isoformat(), ends.isoformat())
        closures.append({"from": said[0], "to": said[1], "reason": reasons.get(said, {})})
    return closures


# Contact points


def _set_points(
    department: Department,
    internal: bool,
    kind: PointKind,
    wanted: Mapping[int, Mapping[str, str | None]],
    region: str,
) -> None:
    """Bring the points of one kind to what the cells want of each place in the row.

    A value that only moved to another place keeps its record, with what is known of it: the
    first number taken out of a list must not make the second one unverified.
    """
    present = [
        point
        for point, slot in slots_of(department, private=True)
        if slot.internal is internal and slot.kind is kind
    ]
    values = {
        number: _value(kind, details[""], region, Slot(internal, kind, number, "").column)
        for number, details in wanted.items()
        if details.get("") and kind not in ADDRESS_KINDS
    }
    emptied = {n for n, details in wanted.items() if "" in details and details[""] is None}
    placed: dict[int, ContactPoint] = {}
    free = {n: point for n, point in enumerate(present, 1) if n in values or n in emptied}
    for number in range(1, len(present) + 1):
        if number not in free:
            placed[number] = present[number - 1]
    for exact in (True, False):
        for number, value in values.items():
            if number not in placed:
                ext = wanted[number].get("ext", value.extension or None) if exact else None
                place = _same(free, number, value.text, ext or "", exact=exact)
                if place is not None:
                    placed[number] = free.pop(place)
    for number in values:
        if number not in placed and number in free:
            placed[number] = free.pop(number)
    for point in free.values():
        # Kept with its history, and shown nowhere any more.
        point.state = PointState.RETIRED
    for number in sorted(wanted):
        slot = Slot(internal, kind, number, "")
        _set_point(department, placed, slot, wanted[number], values, region)
    _keep_order([placed[number] for number in sorted(placed)])


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    extension: str
    typed: str


def _value(kind: PointKind, text: str | None, region: str, column: str) -> _Value:
    typed = text or ""
    try:
        if kind is PointKind.EMAIL:
            return _Value(str(EmailAddress.parse(typed)), "", typed)
        if kind is PointKind.SERVICE:
            return _Value(ServiceNumber.parse(typed, region=region).digits, "", typed)
        if kind is PointKind.WEBSITE:
            return _Value(_website(typed), "", typed)
        number = PhoneNumber.parse(typed, region=region)
        return _Value(number.e164, number.extension, typed)
    except InvalidValue as error:
        raise CellInvalid(column, error) from error


def _website(text: str) -> str:
    address = one_line(text)
    try:
        parts = urlsplit(address)
    except ValueError:
        raise InvalidValue("website.invalid") from None
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or " " in address
        or len(address) > _LONGEST_VALUE
    ):
        raise InvalidValue("website.invalid")
    return address


def _same(
    free: Mapping[int, ContactPoint], number: int, value: str, extension: str, *, exact: bool
) -> int | None:
    """The place of the point that has *value* already; its own place is looked at first."""
    for place in sorted(free, key=lambda place: place != number):
        point = free[place]
        if point.value == value and (not exact or point.extension == extension):
            return place
    return None


def _set_point(
    department: Department,
    placed: dict[int, ContactPoint],
    slot: Slot,
    details: Mapping[str, str | None],
    values: Mapping[int, _Value],
    region: str,
) -> None:
    def column(detail: str) -> str:
        return Slot(slot.internal, slot.kind, slot.number, detail).column

    point = placed.get(slot.number)
    filled = [detail for detail, text in details.items() if text]
    if point is None:
        if not filled:
            return
        if slot.kind not in ADDRESS_KINDS and slot.number not in values:
            raise CellInvalid(column(filled[0]), InvalidValue("column.no_number"))
        last = max((point.position for point in department.points), default=0)
        point = ContactPoint(kind=slot.kind, public=not slot.internal, position=last + 1)
        department.points.append(point)
        placed[slot.number] = point
    if slot.kind in ADDRESS_KINDS:
        _set_address(point, slot, details, region)
    elif (value := values.get(slot.number)) is not None:
        same = point.value == value.text
        extension = value.extension or (point.extension if same else "")
        if not same or point.extension != extension:
            point.changed()
            point.value, point.extension = value.text, extension
            point.typed = value.typed[:_LONGEST_VALUE]
    for detail, text in details.items():
        if detail == "" or detail in _PARTS:
            continue
        try:
            _set_detail(point, detail, text or "")
        except InvalidValue as error:
            raise CellInvalid(column(detail), error) from error


def _set_detail(point: ContactPoint, detail: str, text: str) -> None:
    if detail == "ext":
        if text != point.extension:
            if text:
                PhoneNumber(point.value, text)
            point.changed()
            point.extension = text
    elif detail == "languages":
        point.languages = _languages(text)
    else:
        attribute, language = _DETAILS[detail]
        kept = one_line(text) if attribute == "label" else clean(text)
        setattr(point, attribute, _with(getattr(point, attribute), language, kept))


def _keep_order(points: Sequence[ContactPoint]) -> None:
    """Give the points, in the order of their places, the positions they have between them."""
    positions = sorted(point.position for point in points)
    for point, position in zip(points, positions, strict=True):
        if point.position != position:
            point.position = position


def _set_address(
    point: ContactPoint, slot: Slot, details: Mapping[str, str | None], region: str
) -> None:
    address = dict(point.address)
    for detail, text in details.items():
        if detail not in _PARTS:
            continue
        part, language = _PARTS[detail]
        if part == "street":
            lines = dict(address.get("lines", {}))
            lines[language] = split_list(text or "")
            address["lines"] = {tag: several for tag, several in lines.items() if several}
        elif language:
            address[part] = _with(address.get(part, {}), language, text or "")
        elif text:
            address[part] = text
        else:
            address.pop(part, None)
    if address == point.address:
        return
    if not any(address.values()):
        point.state = PointState.RETIRED
        return
    address.setdefault("country", region)
    column = Slot(slot.internal, slot.kind, slot.number, "country").column
    try:
        read = PostalAddress.from_parts(address).to_parts()
        column = Slot(slot.internal, slot.kind, slot.number, "lat").column
        for part, limit in (("lat", 90.0), ("lon", 180.0)):
            if part in address:
                read[part] = _coordinate(address[part], limit)
    except InvalidValue as error:
        if error.code.startswith("postcode"):
            column = Slot(slot.internal, slot.kind, slot.number, "postcode").column
        raise CellInvalid(column, error) from error
    if read != point.address:
        point.changed()
        point.address = read


def _coordinate(value: Any, limit: float) -> float:
    try:
        number = float(value)
    except ValueError:
        raise InvalidValue("column.coordinate") from None
    if not -limit <= number <= limit:
        raise InvalidValue("column.coordinate")
    return number


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
        if point.kind is PointKind.EMAIL and point.routing:
            point.routing = False
            if not point.public and point.value != address:
                # It was there to receive enquiries and for nothing else.
                point.state = PointState.RETIRED
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
            typed=text[:_LONGEST_VALUE],
            public=False,
            routing=True,
            position=last + 1,
        )
    )

"""JSON, JSON Lines and the TOML of seed files, read and written a record at a time."""

from __future__ import annotations

import io
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, Final

from directory.adapters.formats.api import department_json
from directory.adapters.formats.encodings import text_of
from directory.adapters.formats.record import Entry, Reading, Row, Site
from directory.adapters.formats.rule_file import TABLES as RULE_TABLES
from directory.adapters.formats.rule_file import entries
from directory.adapters.formats.toml_text import inline, table
from directory.domain.columns import SUFFIXES, join_list
from directory.domain.contacts import (
    ADDRESS_KINDS,
    ContactPoint,
    DepartmentStatus,
    PointKind,
    PointState,
    Topic,
)
from directory.domain.errors import InvalidValue
from directory.domain.numbers import PhoneNumber

_WORDS: Final = {
    "voice": "phone",
    "physical": "address",
    **{word: word for word in ("fax", "mobile", "text", "service", "email", "postal", "website")},
}
_PHONES: Final = ("phone", "fax", "mobile", "text", "service")
_LABELS: Final = frozenset({"label_en", "label_zh_hans"})
_PLACE: Final = frozenset(
    {"postcode", "country", "lat", "lon"}
    | {
        f"{part}_{suffix}"
        for part in ("street", "locality", "region")
        for suffix in SUFFIXES.values()
    }
)
_PRIVATE: Final = ("routing_email", "backup_email", "owner_email", "notes", "deputy")
# Said of a department and not part of it: worked out again wherever it is read.
_DERIVED: Final = frozenset({"url", "enquiry_url", "reply_time", "verified_at", "links"})

_PART: Final = 65_536
_LONGEST_RECORD: Final = 8_000_000  # characters: enough for any record, and not for memory to end


# ------------------------------------------------------------------ JSON


def entry_json(entry: Entry, site: Site) -> dict[str, Any]:
    """A department as the API has it; what is not published beside it if it may leave."""
    found = entry.department
    value = department_json(
        found,
        slugs={found.parent_id: entry.parent} if found.parent_id else {},
        topics=entry.topics,
        hours=entry.hours,
        reply_days=entry.reply_days,
        base_url=site.base_url,
        default_country=site.default_country,
        now=site.now,
    )
    if entry.private:
        mailbox = next(
            (
                point.value
                for point in found.points
                if point.kind is PointKind.EMAIL and point.routing and point.live
            ),
            None,
        )
        value["private"] = {
            "routing_email": mailbox,
            "backup_email": found.backup_email or None,
            "owner_email": found.owner_email or None,
            "notes": found.notes or None,
            "deputy": entry.deputy or None,
        }
    return value


def write_json(items: Iterable[Mapping[str, Any]], total: int) -> Iterator[str]:
    """A list as the API has it, one item a line."""
    yield '{"items":['
    for number, item in enumerate(items):
        yield ("," if number else "") + "\n" + json.dumps(item, ensure_ascii=False)
    yield f'\n],"total":{total},"next":null}}\n'


def write_jsonl(items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One item a line, and nothing else."""
    for item in items:
        yield json.dumps(item, ensure_ascii=False) + "\n"


def json_items(file: IO[bytes]) -> Iterator[Any]:
    """The records of a JSON text without reading all of it: those of a list, of a list under
    "items" or "departments", or the one record there is.

    Raises InvalidValue "import.unreadable".
    """
    text = text_of(file)
    try:
        yield from _items(text)
    except (ValueError, RecursionError):
        raise InvalidValue("import.unreadable") from None
    finally:
        text.detach()


_INK: Final = re.compile(r"[^\s\ufeff]")


def _past_space(text: str, at: int = 0) -> int:
    found = _INK.search(text, at)
    return found.start() if found else len(text)


_LIST_UNDER: Final = re.compile(r'"(?:items|departments|topics)"\s*:\s*\[')


def _items(text: io.TextIOWrapper) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    buffer, ended = text.read(_PART), False
    at = _past_space(buffer)
    if buffer[at : at + 1] == "[" and not re.match(r'\[\s*"vcard"', buffer[at:]):
        at += 1
    elif buffer[at : at + 1] == "{" and (under := _LIST_UNDER.search(buffer, 0, 2_000)):
        # Only where nothing but the list's own name and plain values stand before it.
        if "{" in buffer[at + 1 : under.start()] or "[" in buffer[at + 1 : under.start()]:
            yield json.loads(buffer + text.read())
            return
        at = under.end()
    else:
        yield json.loads(buffer + text.read(_LONGEST_RECORD))
        return
    wanted = 0
    while True:
        at = _past_space(buffer, at)
        if buffer[at : at + 1] == ",":
            at = _past_space(buffer, at + 1)
        if buffer[at : at + 1] == "]":
            return
        try:
            if len(buffer) - at < wanted and not ended:
                raise ValueError
            item, at = decoder.raw_decode(buffer, at)
        except ValueError:
            if ended or len(buffer) - at > _LONGEST_RECORD:
                raise
            # Twice as much before the next try, so that a long record is not read over and over.
            wanted = max(2 * (len(buffer) - at), 1)
            more = text.read(max(_PART, wanted - len(buffer) + at))
            ended = not more
            buffer, at = buffer[at:] + more, 0
            continue
        wanted = 0
        yield item


def read_json(file: IO[bytes], how: Reading) -> Iterator[Row]:
    """Departments in the shape of the API, or topics."""
    del how
    number = 0
    for number, item in enumerate(json_items(file), 1):
        yield _json_row(number, item)
    if not number:
        raise InvalidValue("import.empty")


def read_jsonl(file: IO[bytes], how: Reading) -> Iterator[Row]:
    """The same, one a line."""
    text = text_of(file, how.encoding)
    try:
        number = 0
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            try:
                item = json.loads(line)
            except (ValueError, RecursionError):
                yield Row(
                    number, problem=("", line.strip()[:60], InvalidValue("import.bad_record"))
                )
            else:
                yield _json_row(number, item)
        if not number:
            raise InvalidValue("import.empty")
    except UnicodeDecodeError:
        raise InvalidValue("import.unreadable") from None
    finally:
        text.detach()


def _json_row(number: int, item: Any) -> Row:
    if isinstance(item, dict) and "code" in item and "label" in item:
        return Row(number, kind="topic", values=_topic_values(item))
    if not isinstance(item, dict):
        return Row(number, problem=("", str(item)[:60], InvalidValue("import.bad_record")))
    row = _Builder(number)
    try:
        _read_department_json(row, item)
    except (TypeError, ValueError, AttributeError, LookupError):
        row.problem("", str(item.get("slug", ""))[:60], InvalidValue("import.bad_record"))
    return row.row


class _Builder:
    """A row in the making."""

    def __init__(self, number: int) -> None:
        self.row = Row(number)
        self.whole: dict[str, frozenset[str]] = {}
        self.row.whole = self.whole
        self.counts: dict[str, int] = {}

    def problem(self, column: str, text: str, error: InvalidValue) -> None:
        self.row.problem = self.row.problem or (column, text, error)

    def set(self, column: str, value: Any) -> None:
        self.row.cells[column] = None if value is None or value == "" else str(value)

    def texts(self, attribute: str, value: Mapping[str, Any] | None) -> None:
        for tag, suffix in SUFFIXES.items():
            self.set(f"{attribute}_{suffix}", (value or {}).get(tag))

    def items(self, column: str, values: Iterable[Any] | None) -> None:
        self.set(column, _joined(values or ()))

    def place(self, word: str, *, internal: bool = False) -> str:
        """The column of the next contact point of its kind."""
        word = f"internal_{word}" if internal else word
        number = self.counts[word] = self.counts.get(word, 0) + 1
        return word if number == 1 else f"{word}{number}"

    def point(self, column: str, details: Mapping[str, Any]) -> None:
        bare = "" if column == "address" else f"{column}_"
        for detail, value in details.items():
            if detail == "":
                name = column
            else:
                name = f"{bare}{detail}" if detail in _PLACE else f"{column}_{detail}"
            self.set(name, value)


def _joined(values: Iterable[Any]) -> str:
    return join_list(str(value) for value in values)


def _labels(value: Mapping[str, Any] | None, attribute: str = "label") -> dict[str, Any]:
    return {f"{attribute}_{suffix}": (value or {}).get(tag) for tag, suffix in SUFFIXES.items()}


def _place_details(value: Mapping[str, Any]) -> dict[str, Any]:
    details: dict[str, Any] = {}
    for tag, suffix in SUFFIXES.items():
        details[f"street_{suffix}"] = _joined((value.get("lines") or {}).get(tag) or ())
        for part in ("locality", "region"):
            details[f"{part}_{suffix}"] = (value.get(part) or {}).get(tag)
    geo = value.get("geo") or value
    return details | {
        "postcode": value.get("postcode"),
        "country": value.get("country"),
        "lat": geo.get("lat"),
        "lon": geo.get("lon"),
    }


def _read_department_json(row: _Builder, item: Mapping[str, Any]) -> None:
    for key, value in item.items():
        match key:
            case "id" | "slug" | "status" | "updated_at" | "parent":
                row.set(key, value)
            case "name" | "short_name" | "summary" | "not_here":
                row.texts(key, value)
            case "other_names" | "languages" | "topics":
                row.items(key, value)
            case "phones":
                for phone in value or ():
                    word = _WORDS.get(phone.get("kind", "voice"), "phone")
                    shown = phone.get("e164") or phone.get("display") or phone.get("uri")
                    details = {"": shown, "ext": phone.get("ext"), **_labels(phone.get("label"))}
                    details["languages"] = _joined(phone.get("languages") or ())
                    row.point(row.place(word), details)
                row.whole |= {w: frozenset({"", "ext", "languages"}) | _LABELS for w in _PHONES}
            case "emails":
                for email in value or ():
                    details = {"": email.get("address"), **_labels(email.get("label"))}
                    row.point(row.place("email"), details)
                row.whole["email"] = frozenset({""}) | _LABELS
            case "addresses":
                for address in value or ():
                    word = "postal" if address.get("kind") == "postal" else "address"
                    row.point(row.place(word), _place_details(address))
                row.whole |= {"address": _PLACE, "postal": _PLACE}
            case "hours":
                hours = value or {}
                row.set("hours", hours.get("spec"))
                if value:
                    row.set("timezone", hours.get("timezone"))
                _read_exceptions(row, hours.get("exceptions") or ())
            case "private":
                for column in _PRIVATE:
                    if column in (value or {}):
                        row.set(column, value[column])
            case _ if key not in _DERIVED:
                row.problem(key, str(value)[:60], _unknown(key))


def _unknown(key: str) -> InvalidValue:
    return InvalidValue("column.unknown", column=key[:60])


def _read_exceptions(row: _Builder, exceptions: Iterable[Mapping[str, Any]]) -> None:
    closed = list(exceptions)
    row.set("closures", "|".join(f"{it['from']}..{it['to']}" for it in closed))
    for tag, suffix in SUFFIXES.items():
        reasons = [(it.get("reason") or {}).get(tag, "") for it in closed]
        row.set(f"closures_{suffix}", _joined(reasons) if any(reasons) else None)


# ------------------------------------------------------------------ TOML


def write_toml(entries: Iterable[Entry]) -> Iterator[str]:
    """Departments as a seed file has them."""
    for entry in entries:
        yield _department_toml(entry)


def topic_toml(topic: Topic, department: str) -> str:
    """A topic as a seed file has it; *department* is a slug."""
    values = topic_values(topic, department)
    return table("topics", {key: value for key, value in values.items() if value is not None})


def _department_toml(entry: Entry) -> str:
    found = entry.department
    values: dict[str, Any] = {
        "id": str(found.id),
        "slug": found.slug,
        "parent": entry.parent,
        "status": "" if found.status is DepartmentStatus.ACTIVE else found.status.value,
        "successor": entry.successor,
        "sort": found.position,
        "name": found.name,
        "short_name": found.short_name,
        "other_names": found.other_names,
        "summary": found.summary,
        "not_here": found.not_here,
        "hours": found.hours,
        "timezone": found.timezone,
        "exceptions": found.exceptions,
        "languages": found.languages,
        "reply_days": found.reply_days,
        "updated_at": found.updated_at.isoformat() if found.updated_at else "",
    }
    if entry.private:
        values |= {
            "deputy": entry.deputy,
            "backup_email": found.backup_email,
            "owner_email": found.owner_email,
            "notes": found.notes,
            "extra": found.extra,
        }
    kept = {k: v for k, v in values.items() if v not in ("", None, [], {})}
    points = [
        point
        for point in sorted(found.points, key=lambda point: point.position)
        if point.state is not PointState.RETIRED and (point.public or entry.private)
    ]
    text = table("departments", kept)
    if points:
        text += "points = [\n" + "".join(f"  {inline(_point_values(p))},\n" for p in points) + "]\n"
    return text


def _point_values(point: ContactPoint) -> dict[str, Any]:
    values: dict[str, Any] = {"kind": point.kind.value}
    if point.kind in ADDRESS_KINDS:
        values["address"] = {
            key: part for key, part in point.address.items() if part not in ("", None, [], {})
        }
    elif point.kind in {PointKind.EMAIL, PointKind.SERVICE, PointKind.WEBSITE}:
        values["value"] = point.value
    else:
        values["value"] = PhoneNumber(point.value).international
        values["extension"] = point.extension
    values |= {
        "label": point.label,
        "languages": point.languages,
        "note": point.note,
        "public": None if point.public else False,
        "routing": True if point.routing else None,
    }
    return {key: value for key, value in values.items() if value not in ("", None, [], {})}


_HEADER: Final = re.compile(r"\s*\[\[\s*(\w+)\s*\]\]\s*(?:#.*)?$")


def read_toml(file: IO[bytes], how: Reading) -> Iterator[Row]:
    """Departments, topics and rules of a seed file, a table at a time.

    All rules, with their examples and waivers, are one row. Raises InvalidValue
    "import.unreadable", "import.empty".
    """
    del how
    numbers: dict[str, int] = {}
    rules: dict[str, list[Any]] = {}
    for name, value in _tables(file):
        number = numbers[name] = numbers.get(name, 0) + 1
        if name == "departments":
            row = _Builder(number)
            try:
                _read_department_toml(row, value)
            except (TypeError, ValueError, AttributeError, LookupError):
                row.problem("", str(value.get("slug", ""))[:60], InvalidValue("import.bad_record"))
            yield row.row
        elif name == "topics":
            # A seed file says a topic whole; a table or the API only what it names.
            yield Row(number, kind="topic", values=value, whole={"topic": frozenset()})
        elif name in RULE_TABLES:
            rules.setdefault(name, []).append(value)
        else:
            yield Row(number, problem=(name, "", _unknown(name)))
    if rules:
        yield Row(1, kind="rules", values={name: entries(rules[name], name) for name in rules})
    if not numbers:
        raise InvalidValue("import.empty")


def _tables(file: IO[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each ``[[table]]`` of the file by itself: a whole file would not fit into memory."""
    text = text_of(file, "utf-8")
    name, lines = "", []
    quotes = ""  # inside a string of many lines, where a line may look like a header
    try:
        for line in text:
            header = None if quotes else _HEADER.match(line)
            if header is None:
                quotes = _quotes_after(line, quotes)
                lines.append(line)
                continue
            yield from _table_of(name, lines)
            name, lines = header[1], []
        yield from _table_of(name, lines)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        raise InvalidValue("import.unreadable") from None
    finally:
        text.detach()


def _quotes_after(line: str, quotes: str) -> str:
    at = 0
    while found := re.search(re.escape(quotes) if quotes else "\"\"\"|'''|#", line[at:]):
        if found[0] == "#":
            return ""
        quotes = "" if quotes else found[0]
        at += found.end()
    return quotes


def _table_of(name: str, lines: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    body = "".join(lines)
    if not name:
        for key, value in tomllib.loads(body).items():
            if key not in {"departments", "topics", *RULE_TABLES} or not isinstance(value, list):
                yield key, {}
                continue
            yield from ((key, item) for item in value)
        return
    prefix = re.compile(rf"^(\s*\[+\s*){re.escape(name)}\s*\.", re.MULTILINE)
    yield name, tomllib.loads(prefix.sub(r"\1", body))


def _read_department_toml(row: _Builder, item: Mapping[str, Any]) -> None:
    # A seed file says a department whole: what it does not name is empty, but for what an
    # export without private columns leaves out.
    public = ("short_name", "summary", "not_here")
    for attribute in ("name", *public):
        row.texts(attribute, item.get(attribute))
    for key in ("other_names", "languages"):
        row.items(key, item.get(key))
    for key in ("slug", "parent", "hours", "timezone", "reply_days"):
        row.set(key, item.get(key))
    _read_exceptions(row, item.get("exceptions") or ())
    known = {"name", *public, "other_names", "languages", "points", "exceptions", "extra"}
    for key in ("id", "sort", "status", "successor", "updated_at", *_PRIVATE):
        if key in item:
            row.set(key, item[key])
    if "extra" in item:
        row.row.values = item["extra"]
    known |= {"slug", "parent", "hours", "timezone", "reply_days", "status", "id", "sort"}
    known |= {"successor", "updated_at", *_PRIVATE}
    for key in item.keys() - known:
        row.problem(key, str(item[key])[:60], _unknown(key))
    internal = False
    for point in item.get("points") or ():
        internal |= _read_point(row, point)
    details = frozenset({"", "ext", "languages", "note_en", "note_zh_hans"}) | _LABELS
    for word in _WORDS.values():
        whole = (details | _PLACE) - {"", "ext"} if word in {"address", "postal"} else details
        row.whole[word] = whole
        if internal:
            row.whole[f"internal_{word}"] = whole


def _read_point(row: _Builder, point: Mapping[str, Any]) -> bool:
    """One of a department's points; whether it is an internal one."""
    kind = point["kind"]
    internal = not point.get("public", True)
    if kind == "email" and point.get("routing"):
        row.set("routing_email", point.get("value"))
        if internal:
            return True
    details = {
        **_labels(point.get("label")),
        **_labels(point.get("note"), "note"),
        "languages": _joined(point.get("languages") or ()),
    }
    if kind in {"physical", "postal"}:
        details |= _place_details(point.get("address") or {})
    else:
        details |= {"": point.get("value"), "ext": point.get("extension")}
    row.point(row.place(_WORDS[kind], internal=internal), details)
    return internal


# ------------------------------------------------------------------ topics


def topic_values(topic: Topic, department: str) -> dict[str, Any]:
    """A topic's own values in the words of a seed file; None for what is as always."""
    return {
        "code": topic.code,
        "label": topic.label,
        "hint": topic.hint or None,
        "group": topic.group or None,
        "department": department or None,
        "reply_days": topic.reply_days,
        "question": topic.question,
        "acknowledge": None if topic.acknowledge else False,
        "sensitive": True if topic.sensitive else None,
        "active": None if topic.active else False,
        "sort": topic.position,
    }


def _topic_values(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value is not None and key != "url"}

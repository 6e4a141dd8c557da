"""vCard 4.0 (RFC 6350) and 3.0 (RFC 2426), and jCard (RFC 7095), out and in.

A card is a list of properties; text and JSON are two ways to write it. Our own writer, because
the libraries escape the semicolon of ``tel:…;ext=12``, which RFC 6350 does not, and let line
breaks through into parameters.
"""

from __future__ import annotations

import json
import quopri
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any, Final, Literal
from uuid import UUID

from directory.adapters.formats.documents import json_items
from directory.adapters.formats.encodings import encoding_of, text_of
from directory.adapters.formats.record import Entry, Reading, Row, Site, language_of
from directory.domain.columns import SUFFIXES, join_list
from directory.domain.contacts import (
    LANGUAGES,
    PHONE_KINDS,
    ContactPoint,
    PointKind,
    localised,
)
from directory.domain.errors import InvalidValue
from directory.domain.messages import country_name
from directory.domain.values import PhoneNumber, PostalAddress, ServiceNumber

Version = Literal["4.0", "3.0"]

_WIDTH: Final = 75  # octets of a line, its break not counted: RFC 6350 section 3.2
_STRUCTURED: Final = frozenset({"ADR", "ORG", "N"})
_LISTS: Final = frozenset({"NICKNAME", "CATEGORIES"})
_VERBATIM: Final = {
    "URL": "uri", "SOURCE": "uri", "UID": "uri", "GEO": "uri", "CONTACT-URI": "uri",
    "LANG": "language-tag", "REV": "timestamp",
}  # fmt: skip
_TYPES: Final = {
    PointKind.VOICE: "voice",
    PointKind.FAX: "fax",
    PointKind.MOBILE: "cell",
    PointKind.TEXT: "text",
    PointKind.SERVICE: "voice",
}
_HOURS: Final = {"en": "Hours: ", "zh-Hans": "办公时间："}
_LANGUAGE: Final = "X-DIRECTORY-LANGUAGE"
_X_LINE: Final = re.compile(r"(?:[A-Za-z0-9-]+\.)?X-[A-Za-z0-9-]+[;:][^\r\n]*")


@dataclass(slots=True)
class Property:
    """One property: ``value`` is its components, each a list of texts (RFC 6350 section 5)."""

    name: str
    value: list[list[str]]
    params: dict[str, list[str]] = field(default_factory=dict)
    group: str = ""

    @property
    def text(self) -> str:
        """The value of a property that has but one."""
        return self.value[0][0] if self.value and self.value[0] else ""

    def types(self) -> set[str]:
        return {word.lower() for word in self.params.get("TYPE", ())}

    @property
    def verbatim(self) -> bool:
        """Whether its value is no text, and is not escaped."""
        if self.name.startswith("X-") and self.name not in {"X-ABLABEL", _LANGUAGE}:
            return True
        return self.name in _VERBATIM or self.params.get("VALUE", [""])[0].lower() == "uri"


# ------------------------------------------------------------------ a department as properties


def card_of(
    entry: Entry, site: Site, *, version: Version = "4.0", language: str = "en"
) -> list[Property]:
    """*entry* as a vCard's properties, only what is public.

    Version 4.0 carries every language side by side; 3.0 has but one, *language* where there is
    a text in it.
    """
    found = entry.department
    four = version == "4.0"
    card = [
        Property("VERSION", [[version]]),
        Property("PRODID", [["-//Contact Directory//EN"]]),
        Property("UID", [[f"urn:uuid:{found.id}"]]),
        Property("SOURCE", [[f"{site.page(found.slug)}.vcf"]]),
    ]
    if found.updated_at:
        card.append(Property("REV", [[f"{found.updated_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"]]))
    if four:
        card.append(Property("KIND", [["org"]]))
        for first, (tag, name) in _marked(found.name):
            params = {"LANGUAGE": [tag], "ALTID": ["1"], **({"PREF": ["1"]} if first else {})}
            card.append(Property("FN", [[name]], params))
            institute = localised(site.name, tag)[0]
            params = {"LANGUAGE": [tag], "ALTID": ["1"]}
            card.append(Property("ORG", [[institute], [name]], params))
    else:
        name, written = localised(found.name, language)
        card += [
            Property(_LANGUAGE, [[written]]),
            Property("N", [[name], [], [], [], []]),
            Property("FN", [[name]]),
            Property("ORG", [[localised(site.name, language)[0]], [name]]),
        ]
    for tag, short in found.short_name.items():
        if short and (four or tag == language):
            card.append(Property("NICKNAME", [[short]], {"LANGUAGE": [tag]}))
    if found.other_names:
        card.append(Property("NICKNAME", [list(found.other_names)]))
    card += _texts("NOTE", found.summary, "2", four, language)
    if found.hours:
        tags = LANGUAGES if four else (language,)
        for tag in tags:
            params = {"LANGUAGE": [tag], "ALTID": ["4"]} if four else {}
            card.append(Property("NOTE", [[_HOURS[tag] + found.hours]], params))
    card += _points(entry, site, four=four, language=language)
    card.append(Property("TZ", [[found.timezone or site.timezone]]))
    for number, tag in enumerate(found.languages, 1):
        card.append(Property("LANG", [[tag]], {"PREF": [str(number)]} if four else {}))
    if entry.topics:
        labels = [localised(topic.label, language)[0] for topic in entry.topics]
        card.append(Property("CATEGORIES", [labels]))
    card.append(Property("URL", [[site.page(found.slug, language)]]))
    form = site.form(found.slug, language)
    card.append(Property("CONTACT-URI" if four else "URL", [[form]]))
    if entry.private:
        for line in found.extra.get("vcard", []):
            if _X_LINE.fullmatch(line):
                card.append(_parsed(line))
    return card


def _marked(texts: Mapping[str, str]) -> Iterator[tuple[bool, tuple[str, str]]]:
    filled = [(tag, text) for tag, text in texts.items() if text]
    yield from ((at == 0, pair) for at, pair in enumerate(filled))


def _texts(
    name: str, texts: Mapping[str, str], altid: str, four: bool, language: str
) -> list[Property]:
    if four:
        return [
            Property(name, [[text]], {"LANGUAGE": [tag], "ALTID": [altid]})
            for tag, text in texts.items()
            if text
        ]
    text, written = localised(texts, language)
    return [Property(name, [[text]], {"LANGUAGE": [written]})] if text else []


def _points(entry: Entry, site: Site, *, four: bool, language: str) -> Iterator[Property]:
    counts = {"TEL": 0, "EMAIL": 0, "ADR": 2}
    labelled = 0
    for point in entry.department.public_points():
        group = ""
        if point.label:
            labelled += 1
            group = f"item{labelled}"
        if point.kind in PHONE_KINDS:
            counts["TEL"] += 1
            yield _tel(point, site, counts["TEL"], group, four=four)
        elif point.kind is PointKind.EMAIL:
            counts["EMAIL"] += 1
            params = {"TYPE": ["work"], "PREF": [str(counts["EMAIL"])]}
            if not four:
                params = {"TYPE": ["INTERNET"]}
            yield Property("EMAIL", [[point.value]], params, group)
        elif point.kind is PointKind.WEBSITE:
            yield Property("URL", [[point.value]], {"TYPE": ["work"]}, group)
        else:
            counts["ADR"] += 1
            yield from _adr(point, counts["ADR"], group, four=four, language=language)
        for tag, text in point.label.items() if group else ():
            params = {"LANGUAGE": [tag]}
            if four or tag == localised(point.label, language)[1]:
                yield Property("X-ABLABEL", [[text]], params, group)


def _tel(point: ContactPoint, site: Site, number: int, group: str, *, four: bool) -> Property:
    kind = _TYPES[point.kind]
    service = ServiceNumber(point.value, site.default_country)
    is_service = point.kind is PointKind.SERVICE
    if four:
        params = {"VALUE": ["uri"], "TYPE": [kind, "work"], "PREF": [str(number)]}
        uri = service.uri if is_service else PhoneNumber(point.value, point.extension).uri
        return Property("TEL", [[uri]], params, group)
    if is_service:
        shown = service.digits
    else:
        shown = PhoneNumber(point.value).international
        shown += f" x{point.extension}" if point.extension else ""
    words = {"text": "MSG"}.get(kind, kind.upper())
    return Property("TEL", [[shown]], {"TYPE": ["WORK", words]}, group)


def _adr(
    point: ContactPoint, altid: int, group: str, *, four: bool, language: str
) -> Iterator[Property]:
    address = PostalAddress.from_parts(point.address)
    kinds = ["work"] if point.kind is PointKind.PHYSICAL else ["work", "x-postal"]
    if not four:
        kinds = ["WORK"] if point.kind is PointKind.PHYSICAL else ["WORK", "POSTAL"]
    written = [tag for tag in LANGUAGES if any(tag in p for p in _languages_of(address))]
    tags = (written or [language]) if four else [address.language_for(language)]
    for tag in tags:
        params = {"TYPE": kinds}
        if four:
            params |= {
                "LANGUAGE": [tag],
                "ALTID": [str(altid)],
                "CC": [address.country],
                "LABEL": ["\n".join(address.formatted(tag))],
            }
        else:
            params |= {"LANGUAGE": [tag], "X-CC": [address.country]}
        street = list(address.lines.get(tag, ()))
        yield Property(
            "ADR",
            [
                [],
                [],
                street,
                [address.locality.get(tag, "")],
                [address.region.get(tag, "")],
                [address.postcode],
                [country_name(address.country, tag)],
            ],
            params,
            group,
        )
    if "lat" in point.address and "lon" in point.address:
        lat, lon = point.address["lat"], point.address["lon"]
        where = f"geo:{lat},{lon}" if four else f"{lat};{lon}"
        yield Property("GEO", [[where]], {"ALTID": [str(altid)]} if four else {})


def _languages_of(address: PostalAddress) -> tuple[Iterable[str], ...]:
    return address.lines, address.locality, address.region


# ------------------------------------------------------------------ properties as text


def write_card(card: Iterable[Property]) -> str:
    """A card as text: CRLF, lines folded at 75 octets and never inside a character."""
    lines = ["BEGIN:VCARD", *map(_content_line, card), "END:VCARD"]
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def write_cards(
    entries: Iterable[Entry], site: Site, *, version: Version = "4.0", language: str = "en"
) -> Iterator[str]:
    """Every entry as a card, one after the other."""
    for entry in entries:
        yield write_card(card_of(entry, site, version=version, language=language))


def _content_line(prop: Property) -> str:
    params = "".join(
        f";{name}={_parameter(name, values)}" for name, values in prop.params.items() if values
    )
    group = f"{prop.group}." if prop.group else ""
    name = "X-ABLabel" if prop.name == "X-ABLABEL" else prop.name
    return f"{group}{name}{params}:{_value(prop)}"


def _value(prop: Property) -> str:
    if prop.verbatim:
        # No line break can be in an address or a date; one that is would begin a new property.
        return re.sub(r"[\x00-\x1f\x7f]", "", prop.text)
    return ";".join(",".join(_escaped(text) for text in part) for part in prop.value)


_ESCAPES: Final = {"\\": "\\\\", ",": "\\,", ";": "\\;", "\n": "\\n"}
_ESCAPED: Final = re.compile("[\\\\,;\n]")
_BREAKS: Final = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_CONTROLS: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f]")


def _plain(text: str) -> str:
    """*text* with "\\n" for every line break and without characters a card may not have."""
    return _CONTROLS.sub("", _BREAKS.sub("\n", text))


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], _plain(text))


def _parameter(name: str, values: list[str]) -> str:
    if name == "TYPE" and len(values) > 1 and values[0].islower():
        return '"' + ",".join(map(_caret, values)) + '"'  # as RFC 6350 has it for TEL
    return ",".join(_quoted(value) for value in values)


def _quoted(value: str) -> str:
    value = _caret(value)
    return f'"{value}"' if re.search(r"[^A-Za-z0-9._/+-]", value) else value


def _caret(value: str) -> str:
    """RFC 6868 for the quotation mark, which no parameter may hold; "\\n" as RFC 6350's LABEL."""
    plain = _plain(value).replace("^", "^^").replace('"', "^'")
    return plain.replace("\n", "\\n")


def _folded(line: str) -> str:
    if len(line) <= _WIDTH and line.isascii():
        return line
    pieces, piece, room = [], "", _WIDTH
    for character in line:
        size = len(character.encode("utf-8", "replace"))
        if size > room:
            pieces.append(piece)
            piece, room = "", _WIDTH - 1  # the space that begins the next line counts
        piece += character
        room -= size
    return "\r\n ".join([*pieces, piece])


# ------------------------------------------------------------------ properties as JSON


def jcard_of(card: Iterable[Property]) -> list[Any]:
    """A card as RFC 7095 has it."""
    return ["vcard", [_json_property(prop) for prop in card]]


def write_jcards(entries: Iterable[Entry], site: Site) -> Iterator[str]:
    """An array of jCards, one a line."""
    yield "["
    for number, entry in enumerate(entries):
        card = json.dumps(jcard_of(card_of(entry, site)), ensure_ascii=False)
        yield f"{',' if number else ''}\n{card}"
    yield "\n]\n"


def _json_property(prop: Property) -> list[Any]:
    params: dict[str, Any] = {
        name.lower(): values[0] if len(values) == 1 else values
        for name, values in prop.params.items()
        if name != "VALUE" and values
    }
    if prop.group:
        params["group"] = prop.group
    kind = _VERBATIM.get(prop.name) or ("uri" if prop.verbatim else "text")
    if prop.name.startswith("X-"):
        kind = "unknown" if prop.name != "X-ABLABEL" else "text"
    name = prop.name.lower()
    if prop.name in _STRUCTURED:
        parts: list[Any] = [part[0] if len(part) == 1 else part or "" for part in prop.value]
        return [name, params, kind, parts]
    if prop.name in _LISTS:
        return [name, params, kind, *(prop.value[0] if prop.value else [])]
    if prop.name == "REV":
        at = datetime.strptime(prop.text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return [name, params, kind, f"{at:%Y-%m-%dT%H:%M:%SZ}"]
    return [name, params, kind, prop.text]


def _from_json(value: Any) -> Property:
    name, params, kind, *values = value
    prop = Property(str(name).upper(), [])
    for key, given in params.items():
        texts = [str(text) for text in (given if isinstance(given, list) else [given])]
        if key == "group":
            prop.group = texts[0]
        else:
            prop.params[str(key).upper()] = texts
    if kind == "uri":
        prop.params["VALUE"] = ["uri"]
    if prop.name in _STRUCTURED and values and isinstance(values[0], list):
        parts = [part if isinstance(part, list) else [part] for part in values[0]]
        prop.value = [[str(text) for text in part if text != ""] for part in parts]
    else:
        prop.value = [[str(text) for text in values]]
    return prop


# ------------------------------------------------------------------ reading


def read_vcards(file: IO[bytes], how: Reading) -> Iterator[Row]:
    """The cards of *file*, any version. Raises InvalidValue "import.unreadable", "import.empty"."""
    number = 0
    for card, broken in _cards(file, how):
        number += 1
        yield _row(number, card, broken)
    if not number:
        raise InvalidValue("import.empty")


def read_jcards(file: IO[bytes], how: Reading) -> Iterator[Row]:
    """The cards of a JSON array of jCards, or the one there is."""
    del how
    for number, item in enumerate(json_items(file), 1):
        try:
            if item[0] != "vcard":
                raise InvalidValue("import.bad_record")
            card = [_from_json(value) for value in item[1]]
        except (InvalidValue, LookupError, TypeError, ValueError, AttributeError):
            yield _row(number, [], True)
        else:
            yield _row(number, card, False)


def _cards(file: IO[bytes], how: Reading) -> Iterator[tuple[list[Property], bool]]:
    card: list[Property] | None = None
    broken = False
    for line in _content_lines(file, how):
        upper = line.upper()
        if upper == "BEGIN:VCARD":
            card, broken = [], False
        elif upper == "END:VCARD":
            if card is not None:
                yield card, broken
            card = None
        elif card is not None:
            try:
                card.append(_parsed(line))
            except ValueError:
                broken = True
    if card is not None:
        yield card, True


def _content_lines(file: IO[bytes], how: Reading) -> Iterator[str]:
    """Lines unfolded. In UTF-8 before they are decoded: some programs fold inside a character."""
    encoding = how.encoding or encoding_of(file)
    lines: Iterable[bytes] = file
    text = None
    if encoding not in {"utf-8", "utf-8-sig"}:
        text = text_of(file, encoding)
        lines = (line.encode("utf-8") for line in text)
    kept = b""
    try:
        for raw in lines:
            line = raw.rstrip(b"\r\n")
            if line[:1] in {b" ", b"\t"}:
                kept += line[1:]
            elif kept.endswith(b"=") and b"QUOTED-PRINTABLE" in kept.upper():
                kept = kept[:-1] + line  # vCard 2.1 goes on without a space
            else:
                if kept:
                    yield kept.decode("utf-8-sig")
                kept = line
        if kept:
            yield kept.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidValue("import.unreadable") from None
    finally:
        if text is not None:
            text.detach()


_NAME: Final = re.compile(r"(?:(?P<group>[A-Za-z0-9-]+)\.)?(?P<name>[A-Za-z0-9-]+)")
_PARAM: Final = re.compile(
    r';([A-Za-z0-9-]+)(?:=((?:"[^"]*"|[^":;,]*)(?:,(?:"[^"]*"|[^":;,]*))*))?'
)


def _parsed(line: str) -> Property:
    """One content line. Raises ValueError."""
    named = _NAME.match(line)
    if named is None:
        raise ValueError(line[:40])
    prop = Property(named["name"].upper(), [], group=named["group"] or "")
    at = named.end()
    while found := _PARAM.match(line, at):
        at = found.end()
        key, given = found[1].upper(), found[2]
        if given is None:  # vCard 2.1: ";WORK;FAX"
            prop.params.setdefault("TYPE", []).append(key.lower())
            continue
        for quoted, bare in re.findall(r'"([^"]*)"|([^",]+)', given):
            value = _uncaret(quoted or bare)
            values = value.split(",") if key == "TYPE" else [value]
            prop.params.setdefault(key, []).extend(values)
    if line[at : at + 1] != ":":
        raise ValueError(line[:40])
    value = line[at + 1 :]
    if prop.params.get("ENCODING", [""])[0].upper() in {"QUOTED-PRINTABLE", "Q"}:
        charset = prop.params.get("CHARSET", ["utf-8"])[0]
        value = quopri.decodestring(value.encode()).decode(charset or "utf-8").replace("\r\n", "\n")
    prop.value = _components(prop, value)
    return prop


def _uncaret(value: str) -> str:
    marks = {"^n": "\n", "^'": '"', "^^": "^"}
    return re.sub(r"\^[n'^]", lambda found: marks[found[0]], value)


def _components(prop: Property, value: str) -> list[list[str]]:
    if prop.verbatim:
        return [[value]]
    if prop.name not in _STRUCTURED | _LISTS:
        return [[_unescaped(value)]]
    parts = _split(value, ";") if prop.name in _STRUCTURED else [value]
    return [[_unescaped(text) for text in _split(part, ",") if text] for part in parts]


def _split(text: str, mark: str) -> list[str]:
    """*text* parted at each *mark* that no backslash stands before."""
    if "\\" not in text:
        return text.split(mark)
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == mark:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]


_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], text)


def _row(number: int, card: list[Property], broken: bool) -> Row:
    row = Row(number)
    if broken:
        row.problem = ("", "", InvalidValue("import.bad_record"))
        return row
    reader = _CardReader(card)
    row.cells, row.whole = reader.cells, reader.whole
    if reader.kept:
        row.values = {"vcard": reader.kept}
    return row


class _CardReader:
    """The cells of a card. What it does not speak of is not in them."""

    def __init__(self, card: list[Property]) -> None:
        self.cells: dict[str, str | None] = {}
        self.whole: dict[str, frozenset[str]] = {}
        self.kept: list[str] = []
        self.counts: dict[str, int] = {}
        self.places: dict[str, str] = {}  # group or ALTID to the column it belongs to
        self.default = next((prop.text for prop in card if prop.name == _LANGUAGE), "")
        self.page = next((p.text.removesuffix(".vcf") for p in card if p.name == "SOURCE"), "")
        named = [prop for prop in card if prop.name == "FN"]
        # Preference decides what is first; the order in the file decides between equals.
        ordered = sorted(card, key=_preference)
        for prop in ordered if named else [*ordered, *_named_by_org(card)]:
            self._read(prop)

    def _read(self, prop: Property) -> None:
        match prop.name:
            case "UID":
                self._uid(prop.text)
            case "REV":
                self.cells["updated_at"] = _instant(prop.text)
            case "SOURCE" if "/departments/" in prop.text:
                self.cells["slug"] = self.page.rpartition("/")[2]
            case "FN":
                self._text("name", prop)
            case "NICKNAME":
                if "LANGUAGE" in prop.params:
                    self._text("short_name", prop)
                else:
                    self.cells["other_names"] = join_list(prop.value[0])
            case "NOTE":
                for mark in _HOURS.values():
                    if prop.text.startswith(mark):
                        self.cells["hours"] = prop.text.removeprefix(mark)
                        return
                self._text("summary", prop)
            case "TEL":
                self._tel(prop)
            case "EMAIL":
                self._point("email", prop, prop.text, {"email": frozenset({""})})
            case "ADR":
                self._adr(prop)
            case "GEO":
                self._geo(prop)
            case "TZ":
                self.cells["timezone"] = prop.text
            case "LANG":
                before = self.cells.get("languages")
                self.cells["languages"] = f"{before}|{prop.text}" if before else prop.text
            case "URL":
                if "/enquiries/new?" not in prop.text and not self._is_page(prop.text):
                    self._point("website", prop, prop.text, {})
            case "X-ABLABEL":
                if column := self.places.get(prop.group):
                    self.cells[f"{column}_label_{SUFFIXES[self._language(prop)]}"] = prop.text
            case name if name.startswith("X-") and name != _LANGUAGE:
                self.kept.append(_content_line(prop))

    def _is_page(self, url: str) -> bool:
        return bool(self.page) and url.rpartition("/")[2] == self.page.rpartition("/")[2]

    def _language(self, prop: Property) -> str:
        tag = prop.params.get("LANGUAGE", [self.default])[0].lower()
        if tag.startswith("zh"):
            return "zh-Hans"
        if tag.startswith("en"):
            return "en"
        return language_of(prop.text)

    def _text(self, attribute: str, prop: Property) -> None:
        self.cells.setdefault(f"{attribute}_{SUFFIXES[self._language(prop)]}", prop.text)

    def _uid(self, text: str) -> None:
        try:
            self.cells["id"] = str(UUID(text.lower().removeprefix("urn:uuid:")))
        except ValueError:
            self.cells.pop("id", None)  # another program's own kind of id: matched by name

    def _point(
        self, word: str, prop: Property, text: str, whole: Mapping[str, frozenset[str]]
    ) -> str:
        number = self.counts[word] = self.counts.get(word, 0) + 1
        column = word if number == 1 else f"{word}{number}"
        self.cells[column] = text
        self.whole |= whole
        if prop.group:
            self.places[prop.group] = column
        return column

    def _tel(self, prop: Property) -> None:
        types = prop.types()
        text = prop.text
        word = "phone"
        if "fax" in types:
            word = "fax"
        elif types & {"cell", "mobile", "car"}:
            word = "mobile"
        elif types & {"text", "msg"} and "voice" not in types:
            word = "text"
        if text.lower().startswith("tel:"):
            text, *rest = text[4:].split(";")
            given = dict(part.partition("=")[::2] for part in rest)
            if "phone-context" in given:
                word = "service"
            extension = given.get("ext", "")
        else:
            text, _, extension = text.partition(" x")
            if extension and not extension.isdigit():
                text, extension = prop.text, ""
            if re.fullmatch(r"\d{3,6}", text.strip()):
                word = "service"
        words = ("phone", "fax", "mobile", "text", "service")
        whole = {each: frozenset({"", "ext"}) for each in words}
        column = self._point(word, prop, text, whole)
        if extension:
            self.cells[f"{column}_ext"] = extension

    def _adr(self, prop: Property) -> None:
        word = "postal" if prop.types() & {"x-postal", "postal"} else "address"
        altid = prop.params.get("ALTID", [""])[0]
        column = self.places.get(f"altid {altid}") if altid else None
        if column is None:
            number = self.counts[word] = self.counts.get(word, 0) + 1
            column = word if number == 1 else f"{word}{number}"
            if altid:
                self.places[f"altid {altid}"] = column
        if prop.group:
            self.places[prop.group] = column
        parts = [*prop.value, *([[]] * 7)][:7]
        _box, _extended, street, locality, region, postcode, country = parts
        tag = prop.params.get("LANGUAGE", [self.default])[0]
        written = "".join(text for part in parts for text in part)
        language = tag if tag in SUFFIXES else language_of(written)
        suffix = SUFFIXES[language]
        before = "" if column == "address" else f"{column}_"
        lines = [*_box, *_extended, *street]
        texts = {
            f"street_{suffix}": join_list(lines),
            f"locality_{suffix}": " ".join(locality),
            f"region_{suffix}": " ".join(region),
            "postcode": " ".join(postcode),
        }
        code = prop.params.get("CC", prop.params.get("X-CC", [""]))[0]
        texts["country"] = code or _country_code(" ".join(country))
        for detail, text in texts.items():
            if text:
                self.cells[before + detail] = text
        self.whole[word] = frozenset(
            {f"street_{suffix}", f"locality_{suffix}", f"region_{suffix}", "postcode"}
        ) | self.whole.get(word, frozenset())

    def _geo(self, prop: Property) -> None:
        altid = prop.params.get("ALTID", [""])[0]
        column = self.places.get(f"altid {altid}", "address")
        before = "" if column == "address" else f"{column}_"
        lat, _, lon = prop.text.removeprefix("geo:").replace(";", ",").partition(",")
        self.cells[f"{before}lat"] = lat.strip()
        self.cells[f"{before}lon"] = lon.partition(";")[0].partition(",")[0].strip()


def _preference(prop: Property) -> tuple[int, int]:
    """Labels and places after what they belong to; PREF before the order of the file."""
    late = {"X-ABLABEL": 2, "GEO": 1}.get(prop.name, 0)
    pref = prop.params.get("PREF", [""])[0]
    return late, int(pref) if pref.isdecimal() and prop.name in {"TEL", "EMAIL"} else 100


def _named_by_org(card: list[Property]) -> list[Property]:
    """A card without FN is called by the last unit of ORG."""
    return [
        Property("FN", [[prop.value[-1][0]]], prop.params)
        for prop in card
        if prop.name == "ORG" and prop.value and prop.value[-1]
    ][:1]


def _instant(text: str) -> str | None:
    """REV in its two notations as RFC 3339."""
    for style in ("%Y%m%dT%H%M%SZ", "%Y-%m-%dT%H:%M:%SZ", "%Y%m%dT%H%M%S%z"):
        try:
            at = datetime.strptime(text, style)  # noqa: DTZ007 - the zone is given next
        except ValueError:
            continue
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()
    return None


def _country_code(name: str) -> str:
    from phonenumbers import SUPPORTED_REGIONS

    plain = name.strip().casefold()
    if len(plain) == 2 and plain.upper() in SUPPORTED_REGIONS:
        return plain.upper()
    for code in SUPPORTED_REGIONS:
        if plain and plain in {country_name(code, tag).casefold() for tag in LANGUAGES}:
            return str(code)
    return ""

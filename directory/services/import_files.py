"""A file, or what a page gave, as rows of our columns: its format, what its headers mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from directory.adapters.formats import FORMATS, Reading, Row
from directory.adapters.formats.encodings import encoding_of, text_of
from directory.adapters.formats.record import language_of
from directory.adapters.formats.tables import delimiter_of
from directory.domain.columns import SUFFIXES, is_column, join_list, unknown_column
from directory.domain.errors import InvalidValue

if TYPE_CHECKING:
    # What finds records on pages takes a twentieth of a start, and few ever read one.
    from directory.adapters.extract import Extraction

READABLE: Final = tuple(name for name, known in FORMATS.items() if known.read)
_BY_SUFFIX: Final = {
    "csv": "csv", "tsv": "csv", "txt": "csv", "xlsx": "xlsx", "vcf": "vcf", "vcard": "vcf",
    "jsonl": "jsonl", "ndjson": "jsonl", "jcard": "jcard", "toml": "toml",
}  # fmt: skip
_LOOKED_AT: Final = 4_096

# What people write over their columns, folded: see _folded.
_ALIASES: Final = {
    "department": "name_en", "name": "name_en", "english_name": "name_en", "unit": "name_en",
    "office": "name_en", "名称": "name_zh_hans", "部门": "name_zh_hans", "部门名称": "name_zh_hans",
    "单位": "name_zh_hans", "中文名称": "name_zh_hans", "name_zh": "name_zh_hans",
    "chinese_name": "name_zh_hans", "英文名称": "name_en", "简称": "short_name_zh_hans",
    "tel": "phone", "telephone": "phone", "phone1": "phone", "phone_number": "phone",
    "电话": "phone", "联系电话": "phone", "座机": "phone", "ext": "phone_ext",
    "extension": "phone_ext", "分机": "phone_ext", "分机号": "phone_ext", "telefax": "fax",
    "fax_number": "fax", "传真": "fax", "mobile_phone": "mobile", "cell": "mobile",
    "手机": "mobile",
    "mail": "email", "e_mail": "email", "email_address": "email", "邮箱": "email",
    "电子邮箱": "email", "电子邮件": "email", "web": "website", "url": "website",
    "homepage": "website",
    "网址": "website", "网站": "website", "address": "street_en", "street": "street_en",
    "city": "locality_en", "town": "locality_en", "state": "region_en", "province": "region_en",
    "地址": "street_zh_hans", "城市": "locality_zh_hans", "省份": "region_zh_hans",
    "zip": "postcode", "zip_code": "postcode", "postal_code": "postcode", "邮编": "postcode",
    "邮政编码": "postcode", "国家": "country", "latitude": "lat", "longitude": "lon",
    "opening_hours": "hours", "办公时间": "hours", "time_zone": "timezone", "时区": "timezone",
    "languages_spoken": "languages", "语言": "languages", "上级部门": "parent", "备注": "notes",
    "description": "summary_en", "简介": "summary_zh_hans", "职责": "summary_zh_hans",
}  # fmt: skip


TOPIC_COLUMNS: Final = (
    *("code", "label_en", "label_zh_hans", "hint_en", "hint_zh_hans", "group_en", "group_zh_hans"),
    *("department", "reply_days", "acknowledge", "sensitive", "active", "sort"),
)


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is to be taken. What is "" is found out.

    ``mapping`` gives its headers our columns, "" leaving one out. ``delete_missing`` closes the
    departments that are not in it.
    """

    format: str = ""
    encoding: str = ""
    delimiter: str = ""
    mapping: Mapping[str, str] = field(default_factory=dict)
    raw: bool = False
    delete_missing: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"mapping": dict(self.mapping)}


class Source(Protocol):
    """Where rows come from. They are read twice: who is named first, then what is said."""

    @property
    def name(self) -> str: ...

    @property
    def format(self) -> str: ...

    def rows(self) -> Iterator[Row]: ...


class FileSource:
    """A file in one of the formats. *file* can be read from its beginning again.

    Raises InvalidValue "import.unreadable" for a format that is not known.
    """

    def __init__(self, file: IO[bytes], name: str, options: Options) -> None:
        self.name = PurePath(name).name[:200]
        self._file = file
        self._options = options
        self.format = options.format or format_of(file, name)
        if self.format not in READABLE:
            raise InvalidValue("import.unreadable")

    def rows(self) -> Iterator[Row]:
        """Every record. Raises InvalidValue for what makes the whole file unreadable."""
        read = FORMATS[self.format].read
        assert read is not None
        options = self._options
        self._file.seek(0)
        how = Reading(
            encoding=options.encoding,
            delimiter=options.delimiter,
            mapping=options.mapping,
            raw=options.raw,
        )
        of_topics = False

        def columns(header: Sequence[str]) -> list[str]:
            nonlocal of_topics
            of_topics = {"code", "label_en", "label_zh_hans"} & set(map(_folded, header)) > {"code"}
            if of_topics:
                return _topic_columns(header)
            return columns_of_header(header, options.mapping)

        for row in read(self._file, how, columns):
            yield _topic_row(row) if of_topics else row


class PageSource:
    """What was read off a page: each record is matched by its numbers and mailboxes."""

    format = "page"

    def __init__(self, extraction: Extraction, name: str) -> None:
        self.name = name[:200]
        self._extraction = extraction

    def rows(self) -> Iterator[Row]:
        for number, contact in enumerate(self._extraction.contacts, 1):
            row = Row(number, by_value=True)
            counts: dict[str, int] = {}

            def column(word: str, counts: dict[str, int] = counts) -> str:
                counts[word] = counts.get(word, 0) + 1
                return word if counts[word] == 1 else f"{word}{counts[word]}"

            if contact.name:
                row.cells[f"name_{SUFFIXES[language_of(contact.name)]}"] = contact.name
            for phone in contact.phones:
                word = {"voice": "phone"}.get(phone.kind, phone.kind)
                if phone.e164 is None:
                    # Published and wrong: said, never repaired in silence.
                    row.problem = (word, phone.published, InvalidValue("phone.invalid"))
                    continue
                place = column(word)
                row.cells[place] = phone.e164
                if phone.extension:
                    row.cells[f"{place}_ext"] = phone.extension
            for address, _evidence in contact.emails:
                row.cells[column("email")] = address
            for found in contact.addresses[:1]:
                suffix = SUFFIXES[language_of(found.text)]
                row.cells[f"street_{suffix}"] = join_list([found.text])
                row.cells["country"] = found.country or self._extraction.region
            if contact.languages:
                row.cells["languages"] = join_list(contact.languages)
            yield row


def format_of(file: IO[bytes], name: str) -> str:
    """The format of *file*, by what it begins with and, failing that, by the end of its name."""
    file.seek(0)
    head = file.read(_LOOKED_AT)
    file.seek(0)
    suffix = PurePath(name).suffix.lower().lstrip(".")
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    text = head.decode("utf-8-sig", "ignore").lstrip()
    if re.match(r"BEGIN:VCARD", text, re.IGNORECASE):
        return "vcf"
    if re.match(r'\[\s*(?:\[\s*)?"vcard"', text):
        return "jcard"
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if re.search(r"^\s*\[\[\s*(?:departments|topics|rules)\s*\]\]", text, re.MULTILINE):
        return "toml"
    if text.startswith("{") and re.match(r"\{.*\}\s*\n\s*\{", text):
        return "jsonl"
    return "json" if text.startswith(("{", "[")) else "csv"


def proposed_columns(header: Sequence[str], mapping: Mapping[str, str]) -> list[str]:
    """Our name for each header; "" where none is known."""
    known = {_folded(theirs): ours for theirs, ours in mapping.items()}
    names = []
    for cell in header:
        folded = _folded(cell)
        if folded in known:
            names.append(known[folded])
        elif is_column(folded):
            names.append(folded)
        else:
            names.append(_ALIASES.get(folded, ""))
    return names


def columns_of_header(header: Sequence[str], mapping: Mapping[str, str]) -> list[str]:
    """Our name for each header, "" for one that *mapping* leaves out.

    Raises InvalidValue "column.unknown", "import.column_twice" and "import.no_name_column".
    """
    left_out = {_folded(theirs) for theirs, ours in mapping.items() if not ours}
    for ours in mapping.values():
        if ours and not is_column(ours):
            raise unknown_column(ours)
    names = proposed_columns(header, mapping)
    for cell, name in zip(header, names, strict=True):
        if not name and _folded(cell) not in left_out:
            raise unknown_column(cell.strip() or "?")
        if name and names.count(name) > 1:
            raise InvalidValue("import.column_twice", column=name)
    if not {"id", "slug", "name_en", "name_zh_hans"} & set(names):
        raise InvalidValue("import.no_name_column")
    return names


def _topic_columns(header: Sequence[str]) -> list[str]:
    names = [_folded(cell) for cell in header]
    for name in names:
        if name not in TOPIC_COLUMNS:
            raise unknown_column(name)
    return names


_AS_ALWAYS: Final = {"acknowledge": True, "sensitive": False, "active": True}


def _topic_row(row: Row) -> Row:
    """A row of a table of topics, with the values that a seed file would give."""
    values: dict[str, Any] = {}
    for column, text in row.cells.items():
        name, _, suffix = column.partition("_")
        if name in {"label", "hint", "group"}:
            language = {suffix: tag for tag, suffix in SUFFIXES.items()}[suffix]
            values.setdefault(name, {})[language] = text or ""
        elif column in {"reply_days", "sort"}:
            try:
                values[column] = int(text) if text else None
            except ValueError:
                row.problem = (column, text or "", InvalidValue("column.number"))
        elif column in _AS_ALWAYS:
            yes = (text or "").strip().lower() in {"yes", "true", "1", "是"}
            # As a seed file has it: only what is not as always is said.
            values[column] = None if yes is _AS_ALWAYS[column] else yes
        else:
            values[column] = text
    return Row(row.number, kind="topic", values=values, problem=row.problem)


def _folded(header: str) -> str:
    text = unicodedata.normalize("NFKC", header).strip().strip("\ufeff*:").strip().lower()
    return re.sub(r"[\s\-./]+", "_", text)


@dataclass(frozen=True, slots=True)
class Glance:
    """A table as it would be read, for whoever is to say whether it looks right.

    ``columns`` are our names for ``header``, "" where one has to be chosen.
    """

    format: str
    encoding: str
    delimiter: str
    header: list[str]
    columns: list[str]
    sample: list[list[str]]


def glance(file: IO[bytes], name: str, options: Options, *, rows: int = 5) -> Glance:
    """The header and the first *rows* of *file*. Raises InvalidValue as :class:`FileSource`."""
    found = options.format or format_of(file, name)
    encoding = delimiter = ""
    header: list[str] = []
    if found == "csv":
        encoding = options.encoding or encoding_of(file)
        text = text_of(file, encoding)
        delimiter = options.delimiter or delimiter_of(text)
        text.detach()
    file.seek(0)

    def remember(cells: Sequence[str]) -> list[str]:
        header.extend(cells)
        return [str(number) for number in range(len(cells))]

    read = FORMATS[found].read if found in READABLE else None
    if read is None:
        raise InvalidValue("import.unreadable")
    how = Reading(encoding=encoding, delimiter=delimiter, raw=options.raw)
    first = list(islice(read(file, how, remember), rows))
    sample = [[row.cells.get(str(n)) or "" for n in range(len(header))] for row in first]
    if not header:
        header = sorted({column for row in first for column in row.cells})
        sample = [[row.cells.get(column) or "" for column in header] for row in first]
    return Glance(
        found, encoding, delimiter, header, proposed_columns(header, options.mapping), sample
    )

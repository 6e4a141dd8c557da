"""Records to and from files: one subject a module, every format in :data:`FORMATS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Final

from directory.adapters.formats import documents, schema_org, tables, vcard
from directory.adapters.formats.api import (
    delivery_row_json,
    department_json,
    enquiry_json,
    enquiry_row_json,
    listing,
    rfc3339,
)
from directory.adapters.formats.record import Entry, Reading, Row, Site
from directory.adapters.formats.tables import Columns
from directory.domain.columns import NUMERIC_COLUMNS, columns_of, stamps_of

__all__ = [
    "FORMATS",
    "Entry",
    "Format",
    "Reading",
    "Row",
    "Site",
    "Writing",
    "cells_of",
    "delivery_row_json",
    "department_json",
    "enquiry_json",
    "enquiry_row_json",
    "listing",
    "rfc3339",
]


@dataclass(frozen=True, slots=True)
class Writing:
    """How a file is to be written. ``columns`` for tables, in order; ``total`` is how many
    records follow; ``language`` for formats that carry but one."""

    columns: Sequence[str] = ()
    total: int = 0
    language: str = "en"
    version: vcard.Version = "4.0"
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: how it is called and sent, what writes it, what reads it back."""

    suffix: str
    media_type: str
    write: Callable[[Iterable[Entry], Site, Writing], Iterator[str]] | None = None
    pack: Callable[[Iterable[Entry], Site, Writing], bytes] | None = None
    read: Callable[[IO[bytes], Reading, Columns], Iterator[Row]] | None = None


def cells_of(entry: Entry) -> dict[str, str]:
    """The row of a table that *entry* is."""
    found = entry.department
    slugs = {
        id: slug
        for id, slug in (
            (found.parent_id, entry.parent),
            (found.deputy_id, entry.deputy),
            (found.successor_id, entry.successor),
        )
        if id is not None
    }
    codes = [topic.code for topic in entry.topics]
    return columns_of(found, slugs=slugs, topics=codes, private=entry.private) | stamps_of(found)


FORMATS: Final = {
    "csv": Format(
        "csv",
        "text/csv; charset=utf-8; header=present",
        write=lambda entries, site, how: tables.write_csv(
            how.columns, map(cells_of, entries), numeric=NUMERIC_COLUMNS, raw=how.raw
        ),
        read=lambda file, how, columns: tables.read_csv(
            file, how, columns=columns, numeric=NUMERIC_COLUMNS
        ),
    ),
    "xlsx": Format(
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        pack=lambda entries, site, how: tables.write_xlsx(how.columns, map(cells_of, entries)),
        read=lambda file, how, columns: tables.read_xlsx(
            file, how, columns=columns, numeric=NUMERIC_COLUMNS
        ),
    ),
    "json": Format(
        "json",
        "application/json; charset=utf-8",
        write=lambda entries, site, how: documents.write_json(
            (documents.entry_json(entry, site) for entry in entries), how.total
        ),
        read=lambda file, how, columns: documents.read_json(file, how),
    ),
    "jsonl": Format(
        "jsonl",
        "application/x-ndjson; charset=utf-8",
        write=lambda entries, site, how: documents.write_jsonl(
            documents.entry_json(entry, site) for entry in entries
        ),
        read=lambda file, how, columns: documents.read_jsonl(file, how),
    ),
    "vcf": Format(
        "vcf",
        "text/vcard; charset=utf-8",
        write=lambda entries, site, how: vcard.write_cards(
            entries, site, version=how.version, language=how.language
        ),
        read=lambda file, how, columns: vcard.read_vcards(file, how),
    ),
    "jcard": Format(
        "json",
        "application/vcard+json",
        write=lambda entries, site, how: vcard.write_jcards(entries, site),
        read=lambda file, how, columns: vcard.read_jcards(file, how),
    ),
    "jsonld": Format(
        "jsonld",
        "application/ld+json",
        write=lambda entries, site, how: schema_org.institute(entries, site, how.language),
    ),
    "toml": Format(
        "toml",
        "application/toml; charset=utf-8",
        write=lambda entries, site, how: documents.write_toml(entries),
        read=lambda file, how, columns: documents.read_toml(file, how),
    ),
}

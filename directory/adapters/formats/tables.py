"""CSV and XLSX: rows and columns, and what a spreadsheet would make of a cell.

A cell that a spreadsheet would run as a formula gets one apostrophe before it, and loses exactly
one when it is read, so that every text comes back as it was. Written by hand: the libraries guard
too little (full-width signs, tab) or change what they guard (bars).
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import IO, Any, Final

from directory.adapters.formats.encodings import text_of
from directory.adapters.formats.record import Reading, Row
from directory.domain.errors import InvalidValue
from directory.domain.messages import FileSize

BOM: Final = "\ufeff"
DELIMITERS: Final = (",", ";", "\t")

# The first visible character decides, whatever nobody sees before it, and behind apostrophes that
# are there already; tab, carriage return and NUL are swallowed by some programs.
_RISKY: Final = re.compile(
    "'*(?:[\t\r\0]|[\\s\0-\x20\x7f\xa0\xad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]*"
    "[=+\\-@＝＋－＠])"
)
# Also in a raw file: alone in its cell it would clear.
_LONE_DASH: Final = re.compile(r"'*-")
_NEEDS_QUOTES: Final = re.compile('[",;\t\r\n]|^\\s|\\s$')

_LONGEST_CELL: Final = 1_000_000
_LARGEST_SHEET: Final = 500_000_000


def guarded(text: str, *, raw: bool = False) -> str:
    """*text* as it stands in a cell, harmless to a spreadsheet."""
    if (_LONE_DASH.fullmatch(text) if raw else _RISKY.match(text)) is not None:
        return "'" + text
    return text


def unguarded(cell: str, *, raw: bool = False) -> str:
    """The text of a cell: the reverse of :func:`guarded`."""
    if cell.startswith("'"):
        risky = _LONE_DASH.fullmatch(cell) if raw else _RISKY.match(cell)
        return cell[1:] if risky else cell
    return cell


# Writing


def write_csv(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, str]],
    *,
    numeric: frozenset[str] = frozenset(),
    raw: bool = False,
) -> Iterator[str]:
    """RFC 4180, one line at a time; a byte order mark first so that Excel shows Chinese.

    *raw* drops mark and guards. *numeric* columns are never guarded: "-1.5" is a number.
    """
    if not raw:
        yield BOM
    yield ",".join(columns) + "\r\n"
    plain = [column in numeric for column in columns]
    for row in rows:
        cells = []
        for column, is_number in zip(columns, plain, strict=True):
            text = row.get(column, "")
            if text and not is_number:
                text = guarded(text, raw=raw)
            cells.append(_quoted(text) if text else "")
        yield ",".join(cells) + "\r\n"


def _quoted(cell: str) -> str:
    if _NEEDS_QUOTES.search(cell) is None:
        return cell
    return '"' + cell.replace('"', '""') + '"'


def write_xlsx(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    """A workbook of one sheet, every cell a text: what is typed as text is never a formula."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book = Workbook(write_only=True)
    sheet = book.create_sheet("departments")
    sheet.freeze_panes = "C2"
    sheet.append(list(columns))
    for row in rows:
        cells = []
        for column in columns:
            text = ILLEGAL_CHARACTERS_RE.sub("", row.get(column, ""))
            if text.startswith("'") or text == "-":
                text = guarded(text)
            cell = WriteOnlyCell(sheet, text or None)
            if text:
                cell.data_type = "s"
            cells.append(cell)
        sheet.append(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


# Reading

Columns = Callable[[Sequence[str]], Sequence[str]]


def read_csv(
    file: IO[bytes], how: Reading, *, columns: Columns, numeric: frozenset[str] = frozenset()
) -> Iterator[Row]:
    """The rows of *file*; the header is row 1.

    *columns* gives our name for each header, "" for one to leave out. Raises InvalidValue
    "import.unreadable", "import.empty" and what *columns* raises.
    """
    text = text_of(file, how.encoding)
    try:
        csv.field_size_limit(_LONGEST_CELL)
        delimiter = how.delimiter or delimiter_of(text)
        lines = csv.reader(text, delimiter=delimiter)
        # Excel's own hint to itself ("sep=;") is no row.
        shown = (line for line in lines if not (line and line[0].lower().startswith("sep=")))
        yield from _rows(shown, how, columns, numeric)
    except (UnicodeDecodeError, csv.Error):
        raise InvalidValue("import.unreadable") from None
    finally:
        text.detach()


def delimiter_of(text: io.TextIOWrapper) -> str:
    """The character that parts the header's cells. *text* is at its beginning afterwards."""
    head = text.read(65_536)
    text.seek(0)
    if hint := re.match(r"sep=([,;\t])", head.lstrip(BOM), re.IGNORECASE):
        return hint[1]
    first = re.sub(r'"(?:[^"]|"")*"', "", head.lstrip("\r\n" + BOM)).splitlines()[:1]
    counts = {delimiter: first[0].count(delimiter) if first else 0 for delimiter in DELIMITERS}
    return max(DELIMITERS, key=lambda delimiter: counts[delimiter])


def read_xlsx(
    file: IO[bytes], how: Reading, *, columns: Columns, numeric: frozenset[str] = frozenset()
) -> Iterator[Row]:
    """The rows of the first sheet. Raises as :func:`read_csv`, and "import.too_big"."""
    from openpyxl import load_workbook

    _refuse_bomb(file)
    try:
        book = load_workbook(file, read_only=True, data_only=True)
    except (KeyError, ValueError, OSError, SyntaxError, zipfile.BadZipFile):
        raise InvalidValue("import.unreadable") from None
    try:
        sheet = book.worksheets[0] if book.worksheets else None
        if sheet is None:
            raise InvalidValue("import.empty")
        shown = ([_as_text(value) for value in row] for row in sheet.iter_rows(values_only=True))
        yield from _rows(shown, how, columns, numeric)
    finally:
        book.close()


def _refuse_bomb(file: IO[bytes]) -> None:
    """A few kilobytes can unpack to gigabytes."""
    try:
        with zipfile.ZipFile(file) as packed:
            size = sum(part.file_size for part in packed.infolist())
    except zipfile.BadZipFile:
        raise InvalidValue("import.unreadable") from None
    finally:
        file.seek(0)
    if size > _LARGEST_SHEET:
        raise InvalidValue("import.too_big", max=FileSize(_LARGEST_SHEET))


def _as_text(value: Any) -> str:
    """A cell as a person reads it: numbers that spreadsheets made of digits, dates of dates."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
        case datetime() if value.time() == datetime.min.time():
            return value.date().isoformat()
        case datetime() | date():
            return value.isoformat()
    return str(value)


def _rows(
    lines: Iterable[list[str]], how: Reading, columns: Columns, numeric: frozenset[str]
) -> Iterator[Row]:
    """The rows under a header, numbered as a spreadsheet numbers them: empty ones count too."""
    table = enumerate(lines, 1)
    header = next((line for _, line in table if any(map(str.strip, line))), None)
    if header is None:
        raise InvalidValue("import.empty")
    while not header[-1].strip():
        header.pop()
    header[0] = header[0].lstrip(BOM)
    names = columns(header)
    plain = [name in numeric for name in names]
    for number, line in table:
        if not any(map(str.strip, line)):
            continue
        row = Row(number)
        if any(map(str.strip, line[len(names) :])):
            row.problem = ("", "", InvalidValue("import.too_many_cells"))
        for name, cell, is_number in zip(names, line, plain, strict=False):
            text = cell.strip()
            if not name or not text:
                continue
            if text == "-":
                row.cells[name] = None
            else:
                row.cells[name] = cell if is_number else unguarded(cell, raw=how.raw)
        yield row

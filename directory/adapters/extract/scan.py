"""From a page to the details on it: each number, fax, mailbox and address, with its label."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from directory.adapters.extract import numbers as found_numbers
from directory.adapters.extract.addresses import find_addresses
from directory.adapters.extract.lexicon import Found, Label, labels
from directory.adapters.extract.mails import find_mails
from directory.adapters.extract.numbers import (
    Number,
    Reader,
    Run,
    find_runs,
    is_noise,
    stands_alone,
)
from directory.adapters.extract.page import MASK, Cell, Link, Page

_CALLED: Final = frozenset((Label.VOICE, Label.FAX, Label.MOBILE))
_URL: Final = re.compile(
    r"(?:https?://|ftp://|www\.)[^\s<>\"'，。；、）)\]]{1,2000}", re.IGNORECASE
)
_JOINING: Final = re.compile(
    r"[\s.:)]*(?:[/&+、・,|·‧]|and|und|et|y|e|i|en|og|och|ja|ve|dan|和|及|与|與|или|и|та|a|или|or|oder|ou"
    r"|ili|και|و|או|&amp;)?[\s(./]*",
    re.IGNORECASE,
)
_JOINED_BY_WORD: Final = re.compile(
    r"[\s.:)]*(?:[/&+、・,|·‧-]|and|und|et|y|e|i|en|og|och|ja|ve|dan|和|及|与|與|и|та|a|or|oder|ou|ili|και|و|או)[\s(./]*",
    re.IGNORECASE,
)
_COLUMNS: Final = re.compile(r"\t|\s*\|\s*|\s{3,}|;\s?")
_DIGIT: Final = re.compile(r"\d")
_LETTERS: Final = re.compile(r"[^\W\d_]")
# "413.555.0101 (p) / 413.555.0102 (f)"
_BEHIND: Final = re.compile(r"\s?\(\s?([ptofmTPOFM])\.?\s?\)")
_LETTERS_BEHIND: Final = {
    "p": Label.VOICE,
    "t": Label.VOICE,
    "o": Label.VOICE,
    "f": Label.FAX,
    "m": Label.MOBILE,
}
_COUNTED: Final = re.compile(
    r"(?:№|#|\bno\.?|\bnr\.?|\bid|番号|번호|号|編號)\s*[:.]?\s*$", re.IGNORECASE
)
_PROPERTIES: Final = {"prop:telephone": Label.VOICE, "prop:faxNumber": Label.FAX}


@dataclass(slots=True)
class Item:
    """One detail of the page. ``kind``: "voice", "fax", "mobile", "mail" or "address"."""

    kind: str
    start: int
    end: int
    text: str
    line: int = 0
    label: int = -1  # where its label stands, to tell one label's numbers from another's
    number: Number | None = None
    address: str = ""
    country: str = ""
    evidence: tuple[int, int] | None = None


@dataclass(slots=True)
class _Line:
    start: int
    end: int
    text: str
    labels: list[Found] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    looked: bool = False


@dataclass(slots=True)
class Scan:
    """What was found on a page, in its order, and the lines it was found on."""

    items: list[Item]
    lines: list[tuple[int, int]]
    masked: str
    region: str


def scan(page: Page, region: str) -> Scan:
    mails = find_mails(page.text, region)
    masked = _masked(page.text, [(it.start, it.end) for it in mails])
    lines = _lines(masked)
    scanner = _Scanner(page, masked, region, lines)
    items = scanner.numbers()
    for mail in mails:
        items.append(
            Item(
                "mail",
                mail.start,
                mail.end,
                page.published(mail.start, mail.end),
                address=mail.address,
            )
        )
    items += _linked(page, items, region)
    taken = sorted((it.start, it.end) for it in items)
    for address in find_addresses(
        page, masked, [(it.start, it.end) for it in lines], taken, region
    ):
        items.append(
            Item("address", address.start, address.end, address.text, country=address.country)
        )
    items.sort(key=lambda it: (it.start, it.end))
    _number_lines(items, lines)
    return Scan(items, [(it.start, it.end) for it in lines], masked, region)


def _masked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """*text* with what is no place for numbers blanked out: mailboxes and web addresses."""
    spans = sorted([*spans, *(it.span() for it in _URL.finditer(text))])
    pieces: list[str] = []
    position = 0
    for start, end in spans:
        if start < position:
            start = position
        if end <= start:
            continue
        pieces.append(text[position:start])
        pieces.append(MASK * (end - start))
        position = end
    pieces.append(text[position:])
    return "".join(pieces)


def _lines(text: str) -> list[_Line]:
    lines: list[_Line] = []
    position = 0
    while position <= len(text):
        end = text.find("\n", position)
        if end < 0:
            end = len(text)
        lines.append(_Line(position, end, text[position:end]))
        position = end + 1
    return lines


def _number_lines(items: list[Item], lines: list[_Line]) -> None:
    n = 0
    for item in items:
        while n + 1 < len(lines) and lines[n + 1].start <= item.start:
            n += 1
        item.line = n


@dataclass(slots=True)
class _Active:
    """The label in force: its kinds (both for "Tel/Fax") and where it stands."""

    kinds: tuple[Label, ...] = ()
    at: int = -1
    end: int = -1

    @property
    def called(self) -> bool:
        return any(it in _CALLED for it in self.kinds)

    @property
    def noise(self) -> bool:
        return Label.NOISE in self.kinds


@dataclass(slots=True)
class _Scanner:
    page: Page
    text: str
    region: str
    lines: list[_Line]
    reader: Reader = field(init=False)
    items: list[Item] = field(default_factory=list)
    headers: dict[tuple[int, int], tuple[Label, ...]] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    carried: _Active = field(default_factory=_Active)
    columns: list[tuple[int, Label]] = field(default_factory=list)
    width: int = 0
    said: list[tuple[int, int, Label]] = field(default_factory=list)
    edges: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = Reader(self.text, self.region)
        self.cells = sorted(self.page.cells, key=lambda it: (it.start, -it.end))
        self._read_headers()
        self.said = sorted(
            (start, end, _PROPERTIES[meaning])
            for meaning, start, end in self.page.marks
            if meaning in _PROPERTIES and end > start
        )

        edges = {edge for start, end, _ in self.said for edge in (start, end)}
        edges |= {
            it for link in self.page.links if link.scheme == "tel" for it in (link.start, link.end)
        }
        self.edges = sorted(edges)

    def numbers(self) -> list[Item]:
        for n, line in enumerate(self.lines):
            if not _DIGIT.search(line.text):
                self._without_numbers(line)
                continue
            line.runs = [
                part
                for run in find_runs(self.text, line.start, line.end)
                for part in self._within_elements(run)
            ]
            self._look(line)
            self._with_numbers(n, line)
        return self.items

    def _within_elements(self, run: Run) -> list[Run]:
        """*run* cut where an element that holds one number begins or ends."""
        parts: list[Run] = []
        first = bisect_right(self.edges, run.start)
        start = run.start
        for edge in self.edges[first : bisect_left(self.edges, run.end)]:
            if re.search(r"\s$", self.text[start:edge]) or self.text[edge].isspace():
                parts += find_runs(self.text, start, edge)
                start = edge
        return parts + list(find_runs(self.text, start, run.end)) if parts else [run]

    def _look(self, line: _Line) -> None:
        if not line.looked:
            line.looked = True
            if len(line.text) <= 20_000:
                line.labels = [
                    Found(it.kind, it.start + line.start, it.end + line.start)
                    for it in labels(line.text, self.region)
                ]

    # -------------------------------------------------------------- lines without digits

    def _without_numbers(self, line: _Line) -> None:
        text = line.text
        if not text.strip():
            return  # an empty line between "Fax" and its number changes nothing
        if len(text) > 120:
            self.carried = _Active()
            self.columns = []
            return
        self._look(line)
        found = [it for it in line.labels if it.kind is not Label.NUMBER]
        self._text_header(line, found)
        if not found or MASK in text:
            self.carried = _Active()
            return
        active = self._combined(found)
        rest = _without(text, [(it.start - line.start, it.end - line.start) for it in line.labels])
        # "Phone (switchboard)", "Telefon der Zentrale:": a label with a word or two beside it.
        words = len(_LETTERS.findall(rest))
        ends_in_colon = text.rstrip().endswith((":", "-"))
        self.carried = active if words <= (40 if ends_in_colon else 14) else _Active()

    def _text_header(self, line: _Line, found: list[Found]) -> None:
        """A heading row of a table in plain text: labels apart, no values."""
        kinds = {it.kind for it in found}
        separated = _COLUMNS.split(line.text.strip(" |\t"))
        if (
            len(separated) >= 2
            and len(kinds & {Label.VOICE, Label.FAX, Label.MAIL, Label.MOBILE}) >= 2
        ):
            self.columns = []
            for n, cell in enumerate(separated):
                for it in labels(cell, self.region):
                    self.columns.append((n, it.kind))
                    break
            self.width = len(separated)
        elif found and not _COLUMNS.search(line.text.strip()):
            self.columns = []

    def _combined(self, found: list[Found]) -> _Active:
        active = _Active((found[0].kind,), found[0].start, found[0].end)
        for it in found[1:]:
            active = self._next_label(active, it, numbers_between=False)
        return active

    def _next_label(self, active: _Active, it: Found, *, numbers_between: bool) -> _Active:
        gap = self.text[active.end : it.start] if active.end >= 0 else ""
        after = self.text[it.end : it.end + 3]
        joined = (
            active.called
            and not numbers_between
            and it.kind in _CALLED
            and ":" not in gap
            and (
                _JOINED_BY_WORD.fullmatch(gap) is not None
                or (not gap and it.kind is Label.FAX)  # 电话传真
                or (gap.strip() in ("(", "[") and after.lstrip(" .")[:1] in (")", "]"))
            )
        )
        if joined and it.kind not in active.kinds:
            return _Active((*active.kinds, it.kind), active.at, it.end)
        if it.kind in active.kinds and _JOINING.fullmatch(gap) and not numbers_between:
            return _Active(active.kinds, active.at, it.end)
        # "Telefonnummer mobil", "Mobile phone", "电话传真": the second word is the finer one.
        return _Active((it.kind,), it.start, it.end)

    # -------------------------------------------------------------- lines with digits

    def _with_numbers(self, n: int, line: _Line) -> None:
        events: list[tuple[int, Found | Run]] = [(it.start, it) for it in line.labels]
        events += [(it.start, it) for it in line.runs]
        events.sort(key=lambda it: it[0])
        postposed = self._postposed(line)
        before = len(self.items)
        active = _Active()
        if self._begins_with_number(line):
            active = self.carried
        last_end = line.start
        numbers_between = False
        since_label: list[Item] = []
        for _, event in events:
            if isinstance(event, Found):
                if event.kind is Label.NUMBER or event.start in postposed:
                    continue
                active = self._next_label(active, event, numbers_between=numbers_between)
                numbers_between = False
                since_label = []
                continue
            if event.start < last_end:
                continue
            found, last_end = self._run(line, event, active, postposed, since_label)
            if active.noise or Label.AREA in active.kinds or Label.SMALL in active.kinds:
                active = _Active()
            if found:
                since_label += found
            numbers_between = True
        if len(self.items) > before and self.items[-1].label >= 0:
            self.carried = self._still(active)
        else:
            self.carried = _Active() if not self._only_label_after(line, last_end) else active

    def _still(self, active: _Active) -> _Active:
        return active if active.called else _Active()

    def _only_label_after(self, line: _Line, end: int) -> bool:
        return any(it.start >= end and it.kind in _CALLED for it in line.labels)

    def _begins_with_number(self, line: _Line) -> bool:
        first = line.runs[0].start if line.runs else line.end
        return not _LETTERS.search(self.text[line.start : first])

    def _postposed(self, line: _Line) -> dict[int, Label]:
        """Labels that follow their number: "030 1234 (Tel.), 030 1235 (Fax)".

        From the label's place to its kind.
        """
        found: dict[int, Label] = {}
        ends = {it.end: it for it in line.runs}
        for it in line.labels:
            if it.kind not in _CALLED:
                continue
            since = max(line.start, it.start - 60)
            before = self.text[since : it.start].rstrip()
            bracketed = before.endswith(("(", "["))
            run = ends.get(since + len(before.rstrip("([ -–,") if bracketed else before))
            if run is None or len(found_numbers.digits_of(self.text[run.start : run.end])) < 5:
                continue
            after = self.text[it.end : it.end + 8]
            if bracketed and re.match(r"[\s.]*[)\]]", after):
                found[it.start] = it.kind
        for run in line.runs:
            letter = _BEHIND.match(self.text, run.end)
            if letter is not None and run.end - run.start > 7:
                found[letter.start(1)] = _LETTERS_BEHIND[letter[1].lower()]
        if found:
            return found
        # Without brackets only if every number of the line has its word behind it.
        called = [it for it in line.labels if it.kind in _CALLED]
        long = [
            it
            for it in line.runs
            if len(found_numbers.digits_of(self.text[it.start : it.end])) >= 6
        ]
        if called and len(called) == len(long) and called[0].start > long[0].start:
            pairs = list(zip(long, called, strict=True))
            apart = all(
                re.fullmatch(r"[\s,-]{0,3}", self.text[run.end : label.start])
                and not re.match(r"\s*[:.]?\s*[+(]?\d", self.text[label.end : label.end + 8])
                for run, label in pairs
            )
            if apart:
                return {label.start: label.kind for _, label in pairs}
        return {}

    def _run(
        self,
        line: _Line,
        run: Run,
        active: _Active,
        postposed: dict[int, Label],
        siblings: list[Item],
    ) -> tuple[list[Item], int]:
        text = self.text
        kinds, at = active.kinds, active.at
        behind = next(
            (
                (at, postposed[at])
                for at in range(run.end, run.end + 5)
                if at in postposed and not re.search(r"\d", text[run.end : at])
            ),
            None,
        )
        if behind is not None:
            at, kinds = behind[0], (behind[1],)
        elif not kinds or not active.called:
            said = self._said_of(run) or self._column(line, run)
            if said:
                kinds, at = said, run.start
        if Label.AREA in kinds:
            self.reader.area = text[run.start : run.end]
            return [], run.end
        called = any(it in _CALLED for it in kinds)
        shortest = 1 if called else 8 if Label.SMALL in kinds else 7
        if len(found_numbers.digits_of(text[run.start : run.end])) < shortest:
            return [], run.end  # a year, a room: spared the closer look
        if called and active.end >= 0 and behind is None and run.start > active.end:
            gap = text[max(active.end, line.start) : run.start]
            if not siblings and len(_LETTERS.findall(gap)) > 60:
                called, kinds = False, ()
        if active.noise and behind is None and text[run.start] not in "+(":
            return [], run.end
        if kinds == (Label.FAX,) and siblings and behind is None:
            # "Fax: 02-626 6001; from abroad: +971 …": what comes next is named anew.
            gap = text[siblings[-1].end : run.start]
            if re.search(r"[^\W\d_]{3,}\s?:\s*[(\[]?$", gap):
                kinds, at = (Label.VOICE,), run.start
        end_of_run, before = run.end, len(self.items)
        adjacent = not _LETTERS.search(text[max(at, active.end, line.start) : run.start])
        letter = behind is None and active.end - active.at == 1
        found = self.reader.numbers(run, labelled=called)
        for number in found:
            if behind is not None and number is not found[-1]:
                # "86330000/86330001 (fax)" says it of the second alone.
                kinds = active.kinds if active.called else (Label.VOICE,)
            elif behind is not None:
                kinds = (behind[1],)
            end_of_run = max(end_of_run, number.end)
            digits = found_numbers.digits_of(number.text)
            if called:
                if not self._acceptable(number, digits, siblings, letter):
                    continue
                if number.service and (Label.FAX in kinds or not adjacent):
                    continue
            elif is_noise(text, number.start, number.end) or not self._alone(line, number):
                continue
            self._emit(number, kinds if called else (), at if called else -1, line)
        return self.items[before:], end_of_run

    def _acceptable(self, number: Number, digits: str, siblings: list[Item], letter: bool) -> bool:
        """Whether a stretch of digits behind a telephone label is a number at all.

        *letter*: the label is no more than one, which vouches for a known number only.
        """
        if found_numbers.is_years(number.text):
            return False
        if letter and (number.e164 is None or number.type == "unknown"):
            return False
        if number.e164 is not None:
            if number.type == "unknown" or siblings:
                return not is_noise(self.text, number.start, number.end) or number.text.lstrip(
                    "("
                ).startswith(("+", "0"))
            return not re.match(r"\s?[:,]\d", self.text[number.end : number.end + 3]) or (
                "+" in number.text
            )
        if is_noise(self.text, number.start, number.end):
            return False
        if number.service:
            return not siblings
        return 5 <= len(digits) <= 17 and not siblings

    def _alone(self, line: _Line, number: Number) -> bool:
        if number.text.startswith(("+", "(+")):
            # Nothing else is written so, and one that reaches nobody is worth telling.
            return 8 <= len(found_numbers.digits_of(number.text)) <= 16
        if not stands_alone(number, self.region):
            return self._in_company(number)
        international = "+" in number.text
        if international:
            return True
        return not _COUNTED.search(self.text[max(line.start, number.start - 30) : number.start])

    def _in_company(self, number: Number) -> bool:
        """Whether a number goes on with the one before: "010-62782051/62770334"."""
        if number.e164 is None or number.type == "unknown" or not self.items:
            return False
        last = self.items[-1]
        gap = self.text[last.end : number.start] if last.end <= number.start else ""
        return (
            last.number is not None
            and bool(gap)
            and re.fullmatch(r"\s?(?:[/,;、&]|or|and|und|oder|ou|et|y|e|和|或|及)\s?", gap)
            is not None
        )

    def _emit(self, number: Number, kinds: tuple[Label, ...], at: int, line: _Line) -> None:
        called = [it for it in kinds if it in _CALLED]
        if not called:
            called = [Label.MOBILE if number.type == "mobile" else Label.VOICE]
        if called == [Label.MOBILE] and number.type == "fixed_line":
            called = [Label.VOICE]  # "from mobiles: 03-…" names the caller's
        for kind in called:
            self.items.append(
                Item(
                    kind.value,
                    number.start,
                    number.end,
                    self.page.published(number.start, number.end),
                    label=at,
                    number=number,
                )
            )

    # -------------------------------------------------------------- tables

    def _read_headers(self) -> None:
        """Learn from the first rows of the page's tables what their columns hold."""
        first_rows: dict[int, int] = {}
        for cell in self.cells:
            row = first_rows.setdefault(cell.table, cell.row)
            if cell.row != row and not cell.header:
                continue
            text = self.text[cell.start : cell.end].strip()
            if not text or len(text) > 60 or re.search(r"\d{3}", text) or MASK in text:
                continue
            found = [it.kind for it in labels(text.replace("\n", " "), self.region)]
            found = [it for it in found if it is not Label.NUMBER]
            if found and cell.row == row:
                self.headers[cell.table, cell.column] = tuple(dict.fromkeys(found))

    def _column(self, line: _Line, run: Run) -> tuple[Label, ...]:
        """What the heading of the column says of a number."""
        if self.headers:
            cell = self._cell(run.start)
            if cell is not None:
                return self.headers.get((cell.table, cell.column), ())
        if self.columns:
            cells = list(_COLUMNS.finditer(line.text.strip(" |\t")))
            offset = line.start + len(line.text) - len(line.text.lstrip(" |\t"))
            column = sum(1 for it in cells if offset + it.start() < run.start)
            if cells:
                return tuple(kind for n, kind in self.columns if n == column)
        return ()

    def _said_of(self, run: Run) -> tuple[Label, ...]:
        """What microdata or an hCard calls a number."""
        at = bisect_right(self.said, (run.start, len(self.text) + 1, Label.WEB))
        for start, end, kind in reversed(self.said[max(0, at - 3) : at]):
            if start <= run.start and run.end <= end:
                return (kind,)
        return ()

    def _cell(self, position: int) -> Cell | None:
        # Cells are in order and nested ones come later; the last that holds the place is meant.
        low, high = 0, len(self.cells)
        while low < high:
            middle = (low + high) // 2
            if self.cells[middle].start <= position:
                low = middle + 1
            else:
                high = middle
        for cell in reversed(self.cells[max(0, low - 8) : low]):
            if cell.start <= position < cell.end:
                return cell
        return None


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end in spans:
        pieces.append(text[position:start])
        position = end
    pieces.append(text[position:])
    return "".join(pieces)


def _linked(page: Page, items: list[Item], region: str) -> list[Item]:
    """What only a link says: a mailbox or number behind words such as "write to us"."""
    found: list[Item] = []
    spans = sorted((it.start, it.end, it.kind) for it in items)
    for link in page.links:
        inside = [kind for start, end, kind in _between(spans, link.start, link.end)]
        if link.scheme == "mailto":
            if "mail" in inside:
                continue
            for mail in find_mails(link.value.strip(), ""):
                found.append(_from_link(page, "mail", link.start, link.source, mail.address))
        elif not any(it in ("voice", "fax", "mobile") for it in inside):
            found += _dialled_link(page, link, region)
    return found


def _between(spans: list[tuple[int, int, str]], start: int, end: int) -> list[tuple[int, int, str]]:
    first = bisect_left(spans, (max(0, start - 4), 0, ""))
    last = bisect_left(spans, (end, 0, ""))
    return [it for it in spans[first:last] if it[1] > start]


def _from_link(page: Page, kind: str, at: int, source: tuple[int, int], address: str) -> Item:
    return Item(kind, at, at, page.source[source[0] : source[1]], address=address, evidence=source)


def _dialled_link(page: Page, link: Link, region: str) -> list[Item]:
    reading = found_numbers.reading(link.value.strip(), region)
    if reading is None or reading.type == "unknown":
        return []
    at = link.start
    number = Number(at, at, link.value, reading.e164, reading.extension, reading.type)
    before = page.text[max(0, at - 40) : link.end].rpartition("\n")[2]
    said = [it.kind for it in labels(before, region) if it.kind in _CALLED]
    kind = "fax" if link.scheme == "fax" else said[-1].value if said else "voice"
    return [Item(kind, at, at, link.value, label=at, number=number, evidence=link.source)]

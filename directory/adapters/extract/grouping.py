"""Which details belong together: one record for each department, person or office of a page.

Read as a reader does, from top to bottom. A new record begins where a new name stands and the
details begin again: a second telephone after a heading, a new row with its own name, a new card
of the markup. Without a new name nothing is taken apart but what plainly repeats after a gap.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

from directory.adapters.extract.addresses import is_address_line
from directory.adapters.extract.lexicon import Label, is_generic, key, labels
from directory.adapters.extract.page import MASK, Cell, Page
from directory.adapters.extract.scan import Item, Scan

_LETTERS: Final = re.compile(r"[^\W\d_]")
_BULLETS: Final = " \t•*·‧–—-|:：;,.。、/>»→#()[]=~_＊●■◆▪○◇□★☆※"
# What a line of several numbers calls each of them, without being a department of its own.
_SIDE_NAMES: Final = """
    if you are calling can also from us on at by ring eller ili
    switch freecall lo-call free mesa central reception switchboard office emergency hotline
    general enquiries enquiry inquiries inquiry direct main day night hours after working home
    work private line lines international national local overseas abroad from within outside
    inside and or the for of in to please call us at or/and information info helpdesk toll free
    front desk operator zentrale vermittlung empfang pforte notfall notruf buro dienstlich
    privat durchwahl direktwahl oder per an direkte dir vx dvx hovednummer allgemein auskunft
    und oder fur aus dem ausland telefonisch erreichbar unter standard accueil urgence urgences
    et ou direction lada sin costo linea gratuita nacional centralita recepcion urgencias
    centralino informazioni e o y приемная приёмная секретарь дежурный канцелярия и общий
    справочная многоканальный centrala recepcja dyzurka 代表 直通 総合 夜間 受付 总机 值班 前台
    白天 夜间 办公室 值班室 国内 国际 大表
    numer broj cislo numar numarasi nomor numero رقم شماره تماس מס
    """
_SIDE_WORDS: Final = frozenset(key(it) for it in _SIDE_NAMES.split())
_LAST_LETTER: Final = re.compile(r"[\s|:·–-]+[A-Za-z]\.?$")
_BRACKETED: Final = re.compile(r"\([^()]{0,60}\)")
_PERSON: Final = re.compile(
    r"(?:\b(?:Herrn?|Frau|Mr|Mrs|Ms|Dr|Prof|Mme|Mlle|Sra?|Sig|Dott|Hr|Fru|Pan|Pani|mevr|dhr)\b\.?"
    r"\s+[A-ZÀ-Þ]|[\u4e00-\u9fff]{1,3}(?:老师|先生|女士|主任|经理|老師|小姐))"
)
_OR: Final = frozenset(
    ("หรือ", "または", "又は", "或", "或者", "또는", "hoặc", "أو", "או", "veya", "atau")
)
_ERRAND: Final = re.compile(
    "(?:值班|咨询|投诉|举报|监督|预约|挂号|急救|报修|服务|热线|查询|受理|客服|诊|報名|諮詢)$"
)
_IDEOGRAPHS: Final = re.compile("[\u4e00-\u9fff]{1,4}")
_SENTENCE: Final = re.compile(r"[.!?。！？؟]\s*$")
_HOURS: Final = re.compile(
    r"\d{1,2}\s?[:.h時时]\s?\d\d|\d\s?[時时点]|\d\s?(?:am|pm|uhr)\b|24\s?/\s?7", re.IGNORECASE
)


@dataclass(slots=True)
class Record:
    """Details that belong together, with the name that stands over them ("" if none)."""

    items: list[Item] = field(default_factory=list)
    name: str = ""
    kinds: set[str] = field(default_factory=set)
    last: dict[str, Item] = field(default_factory=dict)
    first: Item | None = None

    def add(self, item: Item) -> None:
        self.items.append(item)
        self.kinds.add(_kind(item))
        self.last[_kind(item)] = item
        if self.first is None and item.kind != "address":
            self.first = item

    def add_all(self, items: list[Item]) -> None:
        for item in items:
            self.add(item)


def group(page: Page, scan: Scan) -> list[Record]:
    """The records of *page*, in its order."""
    return _Grouper(page, scan).records()


@dataclass(slots=True)
class _Grouper:
    page: Page
    scan: Scan
    cards: list[tuple[int, int]] = field(default_factory=list)
    strong: list[tuple[int, int]] = field(default_factory=list)
    rows: list[Cell] = field(default_factory=list)
    _names: dict[int, tuple[str, bool]] = field(default_factory=dict)
    occupied: dict[int, list[Item]] = field(default_factory=dict)
    by_row: dict[tuple[int, int], list[Cell]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        marks = self.page.marks
        self.cards = sorted((s, e) for kind, s, e in marks if kind == "card" and e > s)
        self.strong = sorted((s, e) for kind, s, e in marks if kind in ("heading", "bold"))
        self.rows = sorted(self.page.cells, key=lambda it: (it.start, -it.end))
        for cell in self.rows:
            self.by_row.setdefault((cell.table, cell.row), []).append(cell)
        for item in self.scan.items:
            if item.evidence is None:
                self.occupied.setdefault(item.line, []).append(item)

    def records(self) -> list[Record]:
        records: list[Record] = []
        previous: Item | None = None
        addresses: list[Item] = []
        for item in self.scan.items:
            if item.kind == "address":
                addresses.append(item)
                continue
            if previous is None:
                records.append(Record())
                records[-1].add_all(addresses)
            elif self._begins(records[-1], previous, item):
                ours = [it for it in addresses if self._leads(previous, it, item)]
                records[-1].add_all([it for it in addresses if it not in ours])
                records.append(Record())
                records[-1].add_all(ours)
            else:
                records[-1].add_all(addresses)
            addresses = []
            records[-1].add(item)
            previous = item
        if not records and addresses:
            records.append(Record())
        if records:
            records[-1].add_all(addresses)
        for n, record in enumerate(records):
            before = records[n - 1].items[-1] if n else None
            record.name = self._name(record.items[0], before)
        return records

    # -------------------------------------------------------------- where a record begins

    def _leads(self, previous: Item, address: Item, item: Item) -> bool:
        """Whether an address between two records belongs to the second."""
        return bool(self._names_between(previous, address)) or not any(
            self._line_name(n)[0] for n in range(address.line + 1, item.line)
        )

    def _begins(self, record: Record, previous: Item, item: Item) -> bool:
        if item.evidence is not None and item.line == previous.line:
            return False
        if self.cards:
            mine, its = self._card(item.start), self._card(previous.start)
            if mine != its and (mine is None or its is None or not _nested(mine, its)):
                return True
        repeats = self._repeats(record, item)
        if item.line == previous.line:
            return repeats and not self._headed(record) and self._named_on_line(previous, item)
        if self._new_row(previous, item):
            return True
        names = self._names_between(previous, item)
        if any(strong for _, strong in names):
            return True
        if names:
            if repeats and self._line_of_ours(record, item):
                return False
            return repeats or self._parallel(record, previous, item)
        if not repeats:
            return False
        if record.first is None or item.kind != record.first.kind or len(record.kinds) < 2:
            return False
        return self._address_between(previous, item) or (
            not self.page.markup and self._gap(previous.line, item.line)
        )

    def _address_between(self, previous: Item, item: Item) -> bool:
        return any(
            is_address_line(self.scan.masked[slice(*self.scan.lines[n])])
            for n in range(max(previous.line + 1, item.line - 6), item.line)
        )

    def _line_of_ours(self, record: Record, item: Item) -> bool:
        """Whether a named number is one more line of the department above: "Press Office: …".

        So it is under a name of its own line, where each such line has one number and no more.
        """
        if record.first is None or len(self.occupied.get(item.line, ())) > 1:
            return False
        if any(self._line_name(n)[0] for n in range(record.items[-1].line + 1, item.line)):
            return False
        return len(self.occupied.get(record.first.line, ())) == 1 and self._headed(record)

    def _headed(self, record: Record) -> bool:
        """Whether a line above the record, with nothing between, names it."""
        if record.first is None:
            return False
        above = range(record.first.line - 1, max(-1, record.first.line - 5), -1)
        for n in above:
            if n in self.occupied and all(it.kind != "address" for it in self.occupied[n]):
                return False
            if self._line_name(n)[0]:
                return True
            if not self.scan.masked[slice(*self.scan.lines[n])].strip():
                return False
        return False

    def _repeats(self, record: Record, item: Item) -> bool:
        """Whether the record has what *item* is already, from another label."""
        it = record.last.get(_kind(item))
        if it is None:
            return False
        if it.kind == item.kind == "mail" and it.address == item.address:
            return False
        return not (it.label >= 0 and it.label == item.label and it.line == item.line)

    def _named_on_line(self, previous: Item, item: Item) -> bool:
        start, _ = self.scan.lines[item.line]
        first = self.occupied[item.line][0]
        leads = self.scan.masked[max(start, first.start - 60) : first.start]
        if (
            not _PERSON.search(leads)
            and not self._name_in(self.scan.masked[start : first.start])[0]
        ):
            return False  # only one of them is named: the name says which of ours it is
        between = self.scan.masked[previous.end : item.start]
        if "\t" in between:
            between = between.rpartition("\t")[0] if between.strip("\t ") else between
        # "1577-0199 (chargeable), 02-…": what stands in brackets is said of the number before.
        between = _BRACKETED.sub(" ", between)
        if _PERSON.search(between):
            return True
        name, _ = self._name_in(between, leading=True)
        return len(_LETTERS.findall(name)) > 2 - (not name.isascii()) and (
            name[:1].isupper() or not name[:1].isascii()
        )

    def _new_row(self, previous: Item, item: Item) -> bool:
        """Whether a new row of a table begins, with a name of its own in a cell before."""
        mine, its = self._cell(item.start), self._cell(previous.start)
        if mine is None or its is None or mine.table != its.table or mine.row == its.row:
            return False
        return bool(self._row_name(mine, item))

    def _row_name(self, cell: Cell, item: Item) -> str:
        """The name in the row of *item*: in a cell before its own, or in its own before it."""
        before = [it for it in self.by_row[cell.table, cell.row] if it.start < cell.start]
        spans = [(it.start, it.end) for it in before[:8]] or [(cell.start, item.start)]
        for start, end in spans:
            for line in self.scan.masked[start:end].split("\n", 4):
                name, _ = self._name_in(line)
                if name:
                    return name
        return ""

    def _names_between(self, previous: Item, item: Item) -> list[tuple[str, bool]]:
        names = [
            self._line_name(n) for n in range(max(previous.line + 1, item.line - 30), item.line)
        ]
        start = self.scan.lines[item.line][0]
        first = min((it.start for it in self.occupied.get(item.line, [item])), default=item.start)
        prefix = self.scan.masked[start : max(start, min(first, item.start))]
        name, _ = self._name_in(prefix)
        if name and item.kind != "address":
            names.append((name, self._is_strong(start, min(first, item.start))))
        return [it for it in names if it[0]]

    def _parallel(self, record: Record, previous: Item, item: Item) -> bool:
        """Whether names and details take turns: "Library: a@…", "Archive: 020 …"."""
        start, _ = self.scan.lines[item.line]
        name, _ = self._name_in(self.scan.masked[start : item.start])
        if not name:
            return (
                self._gap(previous.line, item.line)
                and bool(self._name(record.items[0], None))
                and len(record.kinds) > 1
            )
        first = record.items[0]
        begins, _ = self.scan.lines[first.line]
        own, _ = self._name_in(self.scan.masked[begins : first.start])
        return bool(own)

    def _gap(self, first: int, last: int) -> bool:
        return any(
            self.scan.lines[n][0] == self.scan.lines[n][1]
            or not self.scan.masked[self.scan.lines[n][0] : self.scan.lines[n][1]].strip()
            for n in range(first + 1, last)
        )

    # -------------------------------------------------------------- names

    def _name(self, item: Item, before: Item | None) -> str:
        """The name over *item*: in front of it on its line, or the nearest block above."""
        start, _ = self.scan.lines[item.line]
        if before is not None and before.line == item.line:
            start = before.end
        cell = self._cell(item.start)
        if cell is not None and cell.column and (name := self._row_name(cell, item)):
            return name
        name, _ = self._name_in(
            self.scan.masked[start : item.start] if item.start - start < 400 else ""
        )
        if name and item.kind != "address":
            return name
        nearest, under_generic = "", False
        lowest = before.line if before is not None else -1
        for n in range(item.line - 1, max(lowest, item.line - 15), -1):
            name, strong = self._line_name(n)
            if strong:
                return name
            if is_generic(self.scan.masked[slice(*self.scan.lines[n])][:80]):
                # "Contact us": what stands above it in plain text is the report before.
                if nearest or not self.page.markup:
                    return nearest
                under_generic = True
            elif name and not under_generic:
                nearest = name
            elif nearest and not self.scan.masked[slice(*self.scan.lines[n])].strip():
                return nearest
        return nearest

    def _line_name(self, n: int) -> tuple[str, bool]:
        """What line *n* names, and whether the markup makes it a heading."""
        found = self._names.get(n)
        if found is None:
            start, end = self.scan.lines[n]
            if n in self.occupied or end - start > 300:
                found = ("", False)
            else:
                strong = self._is_strong(start, end)
                name, _ = self._name_in(self.scan.masked[start:end], heading=strong)
                found = (name, bool(name) and strong)
            self._names[n] = found
        return found

    def _is_strong(self, start: int, end: int) -> bool:
        text = self.scan.masked[start:end]
        begins = start + len(text) - len(text.lstrip())
        at = bisect_right(self.strong, (begins, len(self.scan.masked)))
        for s, e in self.strong[max(0, at - 4) : at]:
            if s <= begins < e and e >= start + len(text.rstrip(" :.,;-|")) - 2:
                return True
        return False

    def _name_in(
        self, text: str, *, heading: bool = False, leading: bool = False
    ) -> tuple[str, bool]:
        """The name in a piece of a line, without labels; "" if it holds none.

        *leading*: only what stands before the first label counts.
        """
        if not text.strip() or len(text) > 300:
            return "", False
        marked = labels(text, self.scan.region)
        if (
            marked
            and marked[0].kind in (Label.ADDRESS, Label.HOURS, Label.WEB)
            and (":" in text[marked[0].end : marked[0].end + 3])
        ):
            return "", False
        pieces: list[str] = []
        position = 0
        for it in marked:
            if it.kind in (Label.NOISE, Label.SMALL, Label.NUMBER):
                continue
            pieces.append(text[position : it.start])
            position = it.end
        pieces.append(text[position:])
        pieces[1:] = [_BRACKETED.sub(" ", it) for it in pieces[1:]]
        # A name stands before the first label; what comes after belongs to the label.
        pieces = pieces[:1] if leading else pieces
        name = next((it for it in pieces if len(_LETTERS.findall(it)) >= 2), "")
        if marked and name is pieces[0] and _qualifies(name):
            return "", False
        name = " ".join(name.replace(MASK, " ").split()).strip(_BULLETS)
        name = _LAST_LETTER.sub("", name)  # the "T" of a number to come
        head, colon, _ = name.partition(": ")
        if colon and self._is_name(head.strip(_BULLETS), heading=heading):
            name = head.strip(_BULLETS)  # "Head Office: 12 High Street, Oxford"
        if not self._is_name(name, heading=heading):
            return "", False
        return name, True

    def _is_name(self, name: str, *, heading: bool) -> bool:
        letters = len(_LETTERS.findall(name))
        if letters < 2 or len(name) > 100 or is_generic(name):
            return False
        if sum(map(str.isdigit, name)) > 6 or _HOURS.search(name):
            return False
        words = [key(it) for it in re.findall(r"[^\W\d_]+", name)]
        if name in _OR:
            return False
        side = all(it in _SIDE_WORDS for it in words)
        if len(words) > 1 and words[-1] == "office" and name.istitle():
            side = False  # "International Office" is one; "office" and "main office" are lines
        if not heading and (side or _ERRAND.search(name)):
            return False
        if _SENTENCE.search(name) and len(words) > 6:
            return False
        if len(words) > 14:
            return False
        return not is_address_line(name, by_postcode=not heading)

    # -------------------------------------------------------------- markup

    def _card(self, position: int) -> tuple[int, int] | None:
        """The innermost card around *position*."""
        at = bisect_right(self.cards, (position, len(self.scan.masked) + 1))
        for start, end in reversed(self.cards[max(0, at - 6) : at]):
            if start <= position < end or (start == position == end):
                return start, end
        return None

    def _cell(self, position: int) -> Cell | None:
        low, high = 0, len(self.rows)
        while low < high:
            middle = (low + high) // 2
            if self.rows[middle].start <= position:
                low = middle + 1
            else:
                high = middle
        for cell in reversed(self.rows[max(0, low - 8) : low]):
            if cell.start <= position < cell.end:
                return cell
        return None


def _qualifies(text: str) -> bool:
    """Whether *text* only says which telephone: "急诊" before "电话", unlike "教务处"."""
    word = text.strip(_BULLETS)
    return (
        bool(_IDEOGRAPHS.fullmatch(word))
        and text.endswith(word)
        and word[-1] not in "部处處室科课課院系心局所办辦厅廳司组組馆館队隊会會社校团団店行"
    )


def _kind(item: Item) -> str:
    return "voice" if item.kind == "mobile" else item.kind


def _nested(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return (one[0] <= other[0] and other[1] <= one[1]) or (
        other[0] <= one[0] and one[1] <= other[1]
    )

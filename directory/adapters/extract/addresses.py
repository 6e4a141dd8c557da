"""Postal addresses as they stand on a page: behind a label, in <address>, or by their postcode."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from babel import Locale

from directory.adapters.extract.lexicon import Label, is_generic, labels
from directory.adapters.extract.page import MASK, Page


@dataclass(frozen=True, slots=True)
class FoundAddress:
    """``text`` on one line, parts joined by ", " where the page breaks the line."""

    text: str
    start: int
    end: int
    country: str


_LONGEST: Final = 300
_MOST_LINES: Final = 6
_DIGIT: Final = re.compile(r"\d")
_DIALLED: Final = re.compile(r"\+\s?\d|\d[\d ()-]{8,}\d")
_LABEL_GAP: Final = re.compile(r"[\s.]*[:：=\-|)\]]*\s*")
_STREET: Final = re.compile(
    r"\b(?:street|road|rd|avenue|ave|lane|drive|boulevard|blvd|square|highway|way|crescent"
    r"|terrace|parkway|campus|building|bldg|house|floor|p\.?\s?o\.?\s?box|rue|avenue|place|quai|chemin"
    r"|all[ée]e|impasse|cours|via|viale|piazza|corso|largo|calle|avda|avenida|paseo|plaza|carrera|cra"
    r"|rua|travessa|praça|praca|alameda|stra(?:ß|ss)e|platz|allee|weg|gasse|ring|ufer|damm"
    r"|straat|laan|plein|kade|gracht|vägen|gatan|gata|vej|gade|veien|gate|katu|tie|utca|út|tér|ulica"
    r"|ulice|náměstí|plac|aleja|cesta|trg|bulevar|strada|str|bd|cad|caddesi|sokak|sok"
    r"|mah|mahallesi|blv|jalan|jl|lorong|đường|phố|quận|ул|улица|просп|проспект|пр-т|пер|площадь|пл"
    r"|наб|бул|вул|вулиця|οδός|λεωφόρος|λεωφ|nagar|marg|sector|district|province|moo|soi|thanon)\b"
    r"|\b(?:st|str|ul|al|pl|av|bd|c|ctra|nám|tř|sos|jl|д|стр)\.\s?[^\W_]"
    r"|(?:straße|strasse|str\.|gasse|platz|weg|allee|straat|laan|gatan|vägen|vej|gade|veien|katu|utca)"
    r"(?=\W|\d|$)"
    r"|[路街道号號弄巷村镇区市省縣县丁目番地町]|대로|로\s?\d|길\s?\d|ถนน|แขวง|ตำบล|เขต|อำเภอ|شارع|خیابان|רחוב|שדרות",
    re.IGNORECASE,
)
_POSTCODE: Final = re.compile(
    r"\b(?:[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}|[A-Z]-?\d{4,5}|\d{4}\s?[A-Z]{2}|\d{5}-\d{3,4}|\d{2}-\d{3}"
    r"|\d{3}\s?\d{2}|\d{4,7}|[A-Z]\d[A-Z]\s?\d[A-Z]\d)\b|〒\s?\d{3}-?\d{4}"
)


def find_addresses(
    page: Page,
    masked: str,
    lines: Sequence[tuple[int, int]],
    taken: Sequence[tuple[int, int]],
    region: str,
) -> list[FoundAddress]:
    """The addresses of *page* that do not overlap *taken* (sorted spans of other details)."""
    found: list[FoundAddress] = []
    reader = _Reader(page, masked, lines, taken, region)
    covered = 0
    for start, end in sorted((it[1], it[2]) for it in page.marks if it[0] == "address"):
        # One inside another says nothing new, and a page of open <address> tags nests them all.
        if start >= covered:
            found += reader.marked(start, end)
            covered = end
    found += reader.labelled()
    found += reader.unlabelled(found)
    found.sort(key=lambda it: (it.start, -it.end))
    kept: list[FoundAddress] = []
    for it in found:
        if not kept or it.start >= kept[-1].end:
            kept.append(it)
    return kept


def is_address_line(text: str, *, by_postcode: bool = True) -> bool:
    """Whether a line reads like a part of an address: a street with a number, a postcode.

    Not *by_postcode*: digits alone do not make it one ("Department 1000").
    """
    if not _DIGIT.search(text):
        return False
    return bool(_STREET.search(text) or (by_postcode and len(text) < 60 and _POSTCODE.search(text)))


@dataclass(slots=True)
class _Reader:
    page: Page
    masked: str
    lines: Sequence[tuple[int, int]]
    taken: Sequence[tuple[int, int]]
    region: str

    def marked(self, start: int, end: int) -> list[FoundAddress]:
        """The lines of an <address> or adr that hold no other detail."""
        first = bisect_left(self.lines, (start + 1,)) - 1
        parts: list[tuple[int, int]] = []
        for line in self.lines[max(0, first) : first + 20]:
            if line[0] >= end:
                break
            part = self._plain(max(line[0], start), min(line[1], end))
            if part is None:
                if parts and self._is_address(parts):
                    break
                parts = []
                continue
            parts.append(part)
        return self._made(parts) if parts and self._is_address(parts) else []

    def labelled(self) -> list[FoundAddress]:
        found: list[FoundAddress] = []
        skip = -1
        for n, (start, end) in enumerate(self.lines):
            if start < skip or end - start > 2_000 or end == start:
                continue
            line = self.masked[start:end]
            marked = [it for it in labels(line, self.region) if it.kind is not Label.NUMBER]
            for k, label in enumerate(marked):
                if label.kind is not Label.ADDRESS:
                    continue
                after = _LABEL_GAP.match(line, label.end)
                begins = after.end() if after else label.end
                separated = ":" in line[label.end : begins] or "|" in line[label.end : begins]
                until = next(
                    (
                        it.start
                        for it in marked[k + 1 :]
                        if self._ends(it.kind, line, it.start, begins)
                    ),
                    len(line),
                )
                if line[label.end : label.end + 1].isalnum() and line[label.end].isascii():
                    continue
                if not line[begins:until].strip(" :,;|\t"):
                    if line[: label.start].strip(" •*·-–|\t") == "" and until == len(line):
                        parts = self._following(n + 1)
                        if parts and self._is_address(parts, labelled=True):
                            found += self._made(parts)
                    continue
                if not separated and not self._looks(line[begins:until]):
                    continue
                part = self._plain(start + begins, start + until, cut=True)
                if part is None:
                    continue
                parts = [part]
                if until == len(line) and part[1] >= start + len(line.rstrip()) - 1:
                    parts += self._following(n + 1, continued=True)
                if self._is_address(parts, labelled=True):
                    made = self._made(parts)
                    found += made
                    skip = max(skip, made[0].end)
        return found

    def _ends(self, kind: Label, line: str, at: int, begins: int) -> bool:
        if at <= begins:
            return False
        if kind in (Label.VOICE, Label.FAX, Label.MOBILE, Label.MAIL, Label.WEB, Label.HOURS):
            return True
        return kind is Label.ADDRESS and ":" in line[at : at + 20]

    def _following(self, n: int, *, continued: bool = False) -> list[tuple[int, int]]:
        """The lines after the label that go on with the address."""
        parts: list[tuple[int, int]] = []
        for start, end in self.lines[n : n + _MOST_LINES]:
            text = self.masked[start:end]
            if not text.strip():
                if parts or continued:
                    break
                continue
            if len(text) > 160 or MASK in text:
                break
            if any(
                it.kind is not Label.NUMBER
                and it.kind is not Label.SMALL
                and it.kind is not Label.NOISE
                and it.kind is not Label.ADDRESS
                for it in labels(text, self.region)
            ):
                break
            part = self._plain(start, end)
            if part is None or is_generic(text):
                break
            if continued and not self._looks(text):
                break
            parts.append(part)
        return parts

    def unlabelled(self, known: Sequence[FoundAddress]) -> list[FoundAddress]:
        """Blocks of lines next to other details with a street and a postcode."""
        found: list[FoundAddress] = []
        covered = sorted((it.start, it.end) for it in known)
        near: set[int] = set()
        n = 0
        for start, _ in self.taken:
            while n + 1 < len(self.lines) and self.lines[n + 1][0] <= start:
                n += 1
            near.update(range(max(0, n - 8), n))
        block: list[tuple[int, int]] = []
        previous = -2
        for n in [*sorted(near), -1]:
            part = self._plain(*self.lines[n]) if n >= 0 else None
            usable = (
                part is not None
                and part[1] - part[0] <= 100
                and not _overlaps(covered, part)
                and self._address_line(self.masked[part[0] : part[1]])
            )
            if usable and n == previous + 1 and part is not None:
                block.append(part)
            else:
                found += self._block(block)
                block = [part] if usable and part is not None else []
            previous = n
        return found

    def _address_line(self, text: str) -> bool:
        return bool(_STREET.search(text) or _POSTCODE.search(text) or country_named_in(text))

    def _block(self, block: list[tuple[int, int]]) -> list[FoundAddress]:
        text = ", ".join(self.masked[start:end] for start, end in block)
        if block and _STREET.search(text) and _POSTCODE.search(text) and re.search(r"\d", text):
            return self._made(block[-_MOST_LINES:])
        return []

    def _plain(self, start: int, end: int, *, cut: bool = False) -> tuple[int, int] | None:
        """The part of a line without blanks; None if another detail stands in it."""
        first = bisect_left(self.taken, (start,))
        for taken in self.taken[max(0, first - 1) : first + 4]:
            if taken[0] < end and taken[1] > start:
                if not cut:
                    return None
                end = min(end, taken[0])
        text = self.masked[start:end]
        if MASK in text:
            if not cut:
                return None
            text = text[: text.index(MASK)]
        stripped = text.strip(" \t,;|/·•*-–()[]>")
        if text.rstrip(" \t,;|/·•*-–").endswith(")") and stripped.count("(") > stripped.count(")"):
            stripped += ")"
        if not stripped:
            return None
        begins = start + text.index(stripped.rstrip(")"))
        return begins, begins + len(stripped)

    def _looks(self, text: str) -> bool:
        return bool(
            re.search(r"\d", text) or _STREET.search(text) or country_named_in(text) or "," in text
        )

    def _is_address(self, parts: list[tuple[int, int]], *, labelled: bool = False) -> bool:
        text = " ".join(self.masked[start:end] for start, end in parts)
        if not 4 <= len(text) <= _LONGEST or _DIALLED.search(text):
            return False
        if labelled:
            return bool(re.search(r"[^\W\d_]", text)) and self._looks(text)
        return bool(
            _STREET.search(text) or (_POSTCODE.search(text) and re.search(r"[^\W\d_]", text))
        )

    def _made(self, parts: list[tuple[int, int]]) -> list[FoundAddress]:
        text = ", ".join(
            " ".join(self.page.published(start, end).split()).strip(" ,") for start, end in parts
        )
        country = country_named_in(text) or self.region
        return [FoundAddress(text, parts[0][0], parts[-1][1], country)]


def _overlaps(spans: Sequence[tuple[int, int]], span: tuple[int, int]) -> bool:
    first = bisect_left(spans, (span[0],))
    return any(it[0] < span[1] and it[1] > span[0] for it in spans[max(0, first - 1) : first + 2])


_WORDS: Final = re.compile(r"[^\W\d_]+")


def country_named_in(text: str) -> str:
    """The country that *text* names (ISO 3166-1 alpha-2), "" if none: the last one named."""
    names = _countries()
    words = list(_WORDS.finditer(text))
    for n in range(len(words) - 1, -1, -1):
        for length in (4, 3, 2, 1):
            if n - length + 1 < 0:
                continue
            phrase = text[words[n - length + 1].start() : words[n].end()].casefold()
            if phrase in names:
                return names[phrase]
    for name, code in _chinese_countries():
        if name in text:
            return code
    return ""


_LANGUAGES: Final = ("en", "de", "fr", "es", "it", "pt", "nl")


@lru_cache(maxsize=1)
def _countries() -> dict[str, str]:
    names: dict[str, str] = {}
    for language in _LANGUAGES:
        for code, name in Locale(language).territories.items():
            if len(code) == 2 and code.isalpha() and code not in ("ZZ", "EU", "UN", "EZ"):
                names.setdefault(name.casefold(), code)
    # fmt: off
    names |= {
        "pr china": "CN", "p r china": "CN", "usa": "US", "uk": "GB", "prc": "CN",
        "united states of america": "US", "republic of korea": "KR", "russia": "RU",
        "viet nam": "VN", "czech republic": "CZ", "turkey": "TR", "the netherlands": "NL",
        "hong kong": "HK", "macau": "MO", "holland": "NL", "england": "GB", "scotland": "GB",
        "wales": "GB", "россия": "RU", "україна": "UA", "polska": "PL", "magyarország": "HU",
        "česká republika": "CZ", "slovensko": "SK", "ελλάδα": "GR", "türkiye": "TR",
        "sverige": "SE", "norge": "NO", "danmark": "DK", "suomi": "FI", "việt nam": "VN",
        "românia": "RO", "българия": "BG", "hrvatska": "HR", "srbija": "RS", "slovenija": "SI",
        "eesti": "EE",
    }
    # fmt: on
    # Names that are also words or cities of other countries.
    for doubtful in ("georgia", "jordan", "chad", "mali", "niger", "guinea", "turkey", "jersey"):
        names.pop(doubtful, None)
    return names


@lru_cache(maxsize=1)
def _chinese_countries() -> tuple[tuple[str, str], ...]:
    return (
        ("中国", "CN"), ("中國", "CN"), ("台灣", "TW"), ("台湾", "TW"), ("新加坡", "SG"),
        ("香港", "HK"),
        ("日本", "JP"), ("대한민국", "KR"), ("ประเทศไทย", "TH"), ("ישראל", "IL"), ("澳門", "MO"),
        ("السعودية", "SA"), ("مصر", "EG"), ("الإمارات", "AE"), ("ایران", "IR"), ("भारत", "IN"),
    )  # fmt: skip

"""Telephone and fax numbers in running text: where they begin and end, and what they are.

A matcher that takes each stretch of digits by itself is right nine times in ten. The tenth is
what people leave out: the area code the number before has already said, all but the last digits
of a second line, the main number before an extension. So numbers are read here in the company
of their neighbours, and their label says whether a stretch of digits is a number at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import phonenumbers

from directory.domain.errors import InvalidValue
from directory.domain.numbering import is_service_number
from directory.domain.numbers import Reading, read

LONGEST_RANGE: Final = 9
"""How far "5189~91" may count; a wider range is taken by its ends."""


@dataclass(slots=True)
class Run:
    """A stretch of digits and what stands between them, ``start`` to ``end`` of the text."""

    start: int
    end: int


@dataclass(slots=True)
class Number:
    """A number found: ``e164`` is None where the text, as it stands, reaches nobody."""

    start: int
    end: int
    text: str
    e164: str | None
    extension: str = ""
    type: str = "unknown"
    service: bool = False


# A stretch of digits as phone numbers have them. Three blanks end it, as does a line's end.
_RUN: Final = re.compile(r"(?:[+(\[]\s?){0,3}\d[\d()\[\]/.~+* -]*")
_APART: Final = re.compile(r"(\s{3,})")
_NO_DIGIT: Final = re.compile(r"\D")
_TAIL: Final = re.compile(r"[^\d)\]]+$")
_HARD: Final = re.compile(r"\s{3,}|\.\s+(?=[\d(+])|(?<=[\d)\]])[\s/.,~-]*(?=[(\[]?\s?\+\d)|\*+")
_SOFT: Final = re.compile(r"\s*/+\s*|\s*~\s*|\s+-+\s+")
# In running text an extension's word must be one: the single letters that a form may take
# ("p 12", "r 3") stand for pages and rooms here.
_EXTENSION_WORDS: Final = r"""
    extensions? extn exten exts? xtn x internal durchwahl durchw dw nebenstelle nebenst nst
    klappe kl apparat app poste internes? interno interni interna int extensi[óo]n extensi[óo]
    extens[ãa]o anexo anx derivaci[óo]n ramal ramais rml toestel tst doorkiesnummer lokalnummer
    lokalnr lokal lok local loc anknytning ankn alanumero alanro internt intern добавочный добав
    доб внутренний внутр вн вътрешен вътр додатковий дод wewnętrzny wewn wew linka klapka
    vidinis vid εσωτερικ[όο] εσωτ εσ mellék dahili dah تحويلة تحويله داخلي داخلی שלוחה विस्तार
    एक्सटेंशन máy\slẻ số\slẻ nhánh pesawat psw sambungan samb
    """
_MORE: Final = r"(?P<more>(?:\s?(?:{joins})\s?\d{{2,6}}(?!\d|[\s-]?\d{{3}}))*)[)\]]?"
_EXTENSION: Final = re.compile(
    rf"[ \t,;.:(\[/-]{{0,3}}(?:{'|'.join(_EXTENSION_WORDS.split())})(?![^\W\d_])"
    r" *(?:no|nr|n|nº|号|號|번)?[ .:=#'-]{0,3}(\d{1,4}-\d{2,4}|\d{1,6})(?!\d)"
    + _MORE.format(joins="[,/、&]|y|and|und|or|et|e|и")
    + r"|\s?[(\[]?#\s?(?P<hash>\d{1,6})(?!\d)[)\]]?",
    re.IGNORECASE,
)
_CJK_EXTENSION: Final = re.compile(
    r"[ \t,;(\[-]{0,3}(?:转分机|轉分機|转接|轉接|转拨|转|轉|分机号|分機號|分机|分機|内线|內線"
    r"|内線番号|内線|接|내선번호|내선|교환|구내|ต่อ)[ :.]{0,2}(\d{1,4}-\d{2,4}|\d{1,6})(?!\d)"
    + _MORE.format(joins="[,/、]")
)
_THEN_WORD: Final = re.compile(r"\s?[(]?(\d{1,6})\s?(?:号分机|分机|分機|内線|內線)[)]?")


def find_runs(text: str, start: int, end: int) -> Iterator[Run]:
    """The stretches of digits in ``text[start:end]`` that could hold numbers."""
    for found in _RUN.finditer(text, start, end):
        position = found.start()
        for part in _APART.split(found[0]) if "   " in found[0] else (found[0],):
            if trimmed := _trimmed(part):
                yield Run(position, position + len(trimmed))
            position += len(part)


def _trimmed(run: str) -> str:
    """*run* without what stands behind its last digit, and without a bracket never opened."""
    run = _TAIL.sub("", run)
    while run[-1:] in (")", "]") and run.count(run[-1]) > run.count("(" if run[-1] == ")" else "["):
        run = _TAIL.sub("", run[:-1])
    return run


def digits_of(text: str) -> str:
    return _NO_DIGIT.sub("", text)


@lru_cache(maxsize=20_000)
def reading(text: str, region: str) -> Reading | None:
    """*text* as dialled in *region*; None if it reaches nobody."""
    try:
        return read(text, region)
    except InvalidValue:
        return None


def read_alone(text: str, region: str) -> Number:
    """*text*, one number by itself; ``e164`` None if it reaches nobody."""
    found = reading(text, region)
    if found is None:
        digits = digits_of(text)
        return Number(0, 0, text, None, service=is_service_number(digits, region))
    return Number(0, 0, text, found.e164, found.extension, found.type)


def _known(found: Reading | None) -> bool:
    return found is not None and found.type != "unknown"


@lru_cache(maxsize=4_096)
def _country_digits(region: str) -> str:
    return str(phonenumbers.country_code_for_region(region) or "")


# "0-2215-0871-3" is said of three lines, "-3" being the last digit of the last; but not where a
# last digit after a hyphen is an extension of the main number.
_EXTENDING: Final = frozenset(("AT", "CH", "DE", "LI", "LU"))
# "(0-22) 55 20 000": a trunk zero that Poland and others have given up and pages still show.
_OLD_ZERO: Final = re.compile(r"(?:\(0[ -]?|0-)(?=\d)")
_AREA: Final = re.compile(r"0\d{1,3}")
_AREA_BEHIND: Final = re.compile(r"(\d[\d -]{4,}\d)\s?\((0\d{1,3})\)?")
_NEAR: Final = 200
_MOST_PIECES: Final = 30
_RANGE_WORD: Final = re.compile(
    r"\s?(?:to|bis|al|do|до|至|到|から|부터|ถึง)\s?(\d{1,4})(?![\d]|\s?\d)"
)
_RIGHT_TO_LEFT: Final = "AE AF BH DZ EG IL IQ IR JO KW LB LY MA OM PK PS QA SA SD SY TN YE"
_FROM_THE_RIGHT: Final = frozenset(_RIGHT_TO_LEFT.split())
_THROUGH_SLASH: Final = frozenset(("TR",))


@dataclass(slots=True)
class Reader:
    """Reads the numbers of one page, each in the company of the one before."""

    text: str
    region: str
    before: Number | None = None
    area: str = ""
    _area_used: bool = field(default=False)

    def numbers(self, run: Run, *, labelled: bool) -> list[Number]:
        """The numbers in *run*. Those that reach nobody are among them, ``e164`` None."""
        found: list[Number] = []
        for start, end in self._hard_pieces(run):
            found += self._pieces(start, end, labelled=labelled)
        if found and found[-1].e164 is not None and not found[-1].extension:
            on = _RANGE_WORD.match(self.text, found[-1].end)
            if on is not None:
                found += self._range(found[-1], on.start(1), on.end(1), on[1])
        return found

    def _hard_pieces(self, run: Run) -> Iterator[tuple[int, int]]:
        position = run.start
        for gap in _HARD.finditer(self.text, run.start, run.end):
            if gap.start() > position:
                yield from self._before_brackets(position, gap.start())
            position = gap.end()
        if position < run.end:
            yield from self._before_brackets(position, run.end)

    def _before_brackets(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Cut where a bracket opens behind a whole number: "020 7946 0000 (9-17)"."""
        at = self.text.find("(", start + 7, end)
        if at >= 0 and len(digits_of(self.text[start:at])) >= 7:
            inner = _trimmed(self.text[at + 1 : end])
            if _AREA.fullmatch(inner) and not _known(self._read(start, at)):
                yield start, end  # "24025555 (02)": the area code behind its number
                return
            yield start, start + len(_trimmed(self.text[start:at]))
            if inner:
                yield at + 1, at + 1 + len(inner)
        else:
            yield start, end

    def _pieces(self, start: int, end: int, *, labelled: bool) -> list[Number]:
        spans: list[tuple[int, int]] = []
        gaps: list[str] = []
        position = start
        for gap in _SOFT.finditer(self.text, start, end):
            if gap.start() > position:
                spans.append((position, gap.start()))
                gaps.append(gap[0].strip())
            position = gap.end()
        spans.append((position, end))
        spans = [it for it in spans if it[0] < it[1]]
        if len(spans) > _MOST_PIECES:
            return []
        found: list[Number] = []
        n = 0
        while n < len(spans):
            first, last = spans[n]
            used = n
            # "030 / 1234 - 0", "(0421) / 218 - 1": the longest stretch that is one number.
            if not _known(self._read(first, last)):
                for m in range(n + 1, min(n + 4, len(spans))):
                    if "~" in gaps[n:m]:
                        break
                    joined = self._read(first, spans[m][1], plain=True)
                    if _known(joined) or (joined is not None and m == len(spans) - 1):
                        used, last = m, spans[m][1]
                        if _known(joined):
                            break
            if used + 1 < len(spans) and gaps[used].startswith("-"):
                # " - 0" after a number that stands by itself: its last digits, if they make one.
                tail = self.text[spans[used + 1][0] : spans[used + 1][1]]
                joined = self._read(first, spans[used + 1][1], plain=True)
                if (
                    _known(joined)
                    and len(digits_of(tail)) <= 5
                    and not self._continues(tail, first, last)
                ):
                    used, last = used + 1, spans[used + 1][1]
            gap_before = gaps[n - 1] if n else ""
            found += self._one(first, last, gap_before, found, labelled=labelled)
            n = used + 1
        return found

    def _continues(self, tail: str, first: int, last: int) -> bool:
        """Whether *tail* names the last line of a range that ``text[first:last]`` begins."""
        start = digits_of(self.text[first:last])
        end = digits_of(tail)
        shortest = 2 if self.region in _EXTENDING else 1
        if not shortest <= len(end) <= 4:
            return False
        return 0 < int(end) - int(start[-len(end) :]) <= (60 if len(end) == 2 else 20)

    def _read(self, start: int, end: int, *, plain: bool = False) -> Reading | None:
        text = self.text[start:end]
        if plain:
            text = re.sub(r"[/~]", " ", text)
        if len(digits_of(text)) > 17:
            return None
        return self._dialled(text)

    def _dialled(self, text: str) -> Reading | None:
        found = reading(text.strip(" -./"), self.region)
        if _known(found):
            return found
        if behind := _AREA_BEHIND.fullmatch(text.strip()):
            found = reading(f"{behind[2]} {behind[1]}", self.region)
        if not _trunk(self.region) and (old := _OLD_ZERO.match(text.strip())):
            without = reading(text.strip()[old.end() :], self.region)
            found = without if _known(without) else found
        return self._with_country(text) or found

    def _with_country(self, text: str) -> Reading | None:
        """ "86-25-83455189" where the plus has been left out."""
        code, digits = _country_digits(self.region), digits_of(text)
        if "+" in text:
            return None
        abroad = re.match(r"\((?:00)?([1-9]\d{0,2})[ )-]", text)
        if (code and digits.startswith(code) and len(code) > 1) or (abroad and len(digits) > 9):
            found = reading(f"+{digits}", self.region)
            if _known(found):
                return found
        return None

    # -------------------------------------------------------------- one piece

    def _one(
        self, start: int, end: int, gap: str, siblings: list[Number], *, labelled: bool
    ) -> list[Number]:
        text = self.text[start:end]
        digits = digits_of(text)
        before = siblings[-1] if siblings else self._near(start, labelled=labelled)
        if siblings and gap.startswith("/") and self._extends_before(end, digits):
            siblings[-1].extension, siblings[-1].end = digits, end
            return []
        if gap == "~" and before is not None and before.e164 is not None and len(digits) <= 8:
            return self._range(before, start, end, digits)
        if before is not None and (shared := self._shared(start, digits, gap, before)):
            return self._kept(start - (self.text[start - 1 : start] == "-"), end, shared)
        if turned := self._turned_round(start, end):
            return self._kept(start, end + (self.text[end : end + 1] == "+"), turned)
        found = self._read(start, end)
        doubtful = not _known(found) or (found is not None and found.perhaps_local)
        if doubtful and before and (completed := self._completed(text, digits, before)):
            return self._kept(start, end, completed)
        if not _known(found):
            if ranged := self._range_inside(start, end):
                return ranged
            if self.area and (completed := self._dialled(f"{self.area} {text}")):
                return self._kept(start, end, completed)
            if labelled and (split := self._split(start, end)):
                return split
        elif found is not None and found.extension_inside:
            if ranged := self._range_inside(start, end):
                return ranged
            if len(found.extension) >= 5 and (pair := self._hyphenated_pair(start, end)):
                return pair
        if (
            found is None
            and is_service_number(digits, self.region)
            and len(digits) == len(text.strip().replace(" ", "").replace("-", ""))
        ):
            return [Number(start, end, text, None, service=True)]
        return self._kept(start, end, found)

    def _near(self, start: int, *, labelled: bool) -> Number | None:
        """The number before, if it is near enough for this one to lean on it."""
        if self.before is None or start - self.before.end > (_NEAR if labelled else 6):
            return None
        return self.before

    def _extends_before(self, end: int, digits: str) -> bool:
        """Whether digits behind a slash are the extension of the number before it."""
        if re.match(r"\s?-?(?:es )?mell[ée]k", self.text[end : end + 12], re.IGNORECASE):
            return True
        return self.region in _THROUGH_SLASH and 3 <= len(digits) <= 5

    def _turned_round(self, start: int, end: int) -> Reading | None:
        """ "4678294 11 966+": typed from the right, so that a browser would show it well."""
        text = self.text[start:end]
        plus = self.text[end : end + 1] == "+" and not self.text[end + 1 : end + 2].isdigit()
        if "+" in text or not (plus or self.region in _FROM_THE_RIGHT):
            return None
        groups = re.findall(r"\d+", text)
        if plus:
            return reading("+" + " ".join(reversed(groups)), self.region)
        if len(groups) < 2 or text.startswith("0") or not groups[-1].startswith("0"):
            return None
        for turned in (groups, groups[1:]):
            found = reading(" ".join(reversed(turned)), self.region)
            if _known(found) and found is not None and not found.extension:
                return found
        return None

    def _kept(self, start: int, end: int, found: Reading | None) -> list[Number]:
        text = self.text[start:end]
        if found is None:
            number = Number(start, end, text, None)
        else:
            number = Number(start, end, text, found.e164, found.extension, found.type)
        numbers = self._extended(number) if not number.extension else [number]
        if number.e164 is not None:
            self.before = number
        return numbers

    def _extended(self, number: Number) -> list[Number]:
        """*number* with the extension that follows it; one for each if several do."""
        marked = _EXTENSION.match(self.text, number.end) or _CJK_EXTENSION.match(
            self.text, number.end
        )
        if marked is None:
            then = _THEN_WORD.match(self.text, number.end)
            if then is None:
                return [number]
            number.extension, number.end = then[1], then.end()
            return [number]
        first = digits_of(marked[1] or marked.groupdict().get("hash") or "")
        number.extension = first
        number.end = marked.end()
        others = re.findall(r"\d+", marked["more"] or "")
        return [number] + [
            Number(number.start, number.end, number.text, number.e164, it, number.type)
            for it in others
        ]

    def _shared(self, start: int, digits: str, gap: str, before: Number) -> Reading | None:
        """A number given by its last digits alone: "/90", ", -123"."""
        if before.e164 is None or not 1 <= len(digits) <= 5:
            return None
        dashed = gap.startswith("-") or self._dashed(start)
        joined = gap.startswith("/") or gap == "、"
        if not (dashed or (joined and len(digits) <= 4)):
            return None
        main = re.match(r"(.*\d\)?)\s*-\s*\d{1,5}$", before.text)
        if main and (
            dashed or len(digits_of(before.text)) - len(digits_of(main[1])) == len(digits)
        ):
            found = self._dialled(f"{main[1]}{digits}")
            if found is not None:
                return found
        return reading(before.e164[: -len(digits)] + digits, self.region)

    def _dashed(self, start: int) -> bool:
        """Whether the digits are the end of a number: "-123" after "Fax:", "DW 12"."""
        before = self.text[max(0, start - 14) : start]
        if before.endswith("-"):
            return not before[-2:-1].isalnum()
        return re.search(r"(?:\bDW|\bKl|Durchwahl|Klappe)[.:]?\s?-?\Z", before) is not None

    def _completed(self, text: str, digits: str, before: Number) -> Reading | None:
        """A local number that shares the area code of the one before it."""
        if before.e164 is None or "+" in text or digits.startswith("00") or len(digits) < 5:
            return None
        number = phonenumbers.parse(before.e164)
        national = phonenumbers.national_significant_number(number)
        if len(digits) >= len(national) and len(digits) > 8:
            return None
        area = national[: phonenumbers.length_of_geographical_area_code(number)]
        for head in (area, national[: max(0, len(national) - len(digits))]):
            if head:
                found = reading(f"+{number.country_code}{head}{digits}", self.region)
                if _known(found):
                    return found
        return None

    def _range(self, before: Number, start: int, end: int, digits: str) -> list[Number]:
        """The numbers from the one before to the one that ends in *digits*."""
        whole = before.e164 or ""
        head, tail = whole[: -len(digits)], whole[-len(digits) :]
        if len(digits) > len(whole) - 3:
            return self._kept(start, end, self._dialled(digits))
        first, last = int(tail), int(digits)
        between = range(first + 1, last + 1) if 0 < last - first <= LONGEST_RANGE else (last,)
        found = [reading(head + str(it).zfill(len(digits)), self.region) for it in between]
        text = self.text[before.start : end]
        return [
            Number(before.start, end, text, one.e164, "", one.type)
            for one in found
            if one is not None
        ]

    def _range_inside(self, start: int, end: int) -> list[Number]:
        """ "2659 1234-37": a hyphen before digits that go on counting."""
        text = self.text[start:end]
        ranged = re.fullmatch(r"(.*\d)\s*-\s*(\d{1,4})", text)
        if ranged is None or not self._continues(ranged[2], start, start + len(ranged[1])):
            return []
        first = self._dialled(ranged[1])
        near = self._near(start, labelled=True)
        if first is None and near is not None:
            first = self._completed(ranged[1], digits_of(ranged[1]), near)
        if first is None or (first.type == "unknown"):
            return []
        head = self._kept(start, start + len(ranged[1]), first)
        return head + self._range(head[-1], start, end, ranged[2])

    def _hyphenated_pair(self, start: int, end: int) -> list[Number]:
        """ "0461/281111-281112": two lines of one exchange."""
        at = self.text.rindex("-", start, end)
        first = self._read(start, at)
        if first is None or not _known(first):
            return []
        rest = self.text[at + 1 : end]
        probe = Number(start, at, self.text[start:at], first.e164)
        second = self._completed(rest, digits_of(rest), probe)
        if second is None:
            return []
        return self._kept(start, at, first) + self._kept(at + 1, end, second)

    def _split(self, start: int, end: int) -> list[Number]:
        """Two numbers with nothing but a blank between them."""
        for blank in re.finditer(r"\s+", self.text[start:end]):
            first_end, second = start + blank.start(), start + blank.end()
            one, two = self._read(start, first_end), self._read(second, end)
            if one is None or not _known(one):
                continue
            rest = self.text[second:end]
            probe = Number(start, first_end, self.text[start:first_end], one.e164)
            if not _known(two):
                two = self._completed(rest, digits_of(rest), probe)
            if _known(two):
                return self._kept(start, first_end, one) + self._kept(second, end, two)
        return []


# ------------------------------------------------------------------ what is no number

_DATE: Final = re.compile(
    r"(?:0?[1-9]|[12]\d|3[01])\s?[./-]\s?(?:0?[1-9]|1[0-2])\s?[./-]\s?(?:19|20)?\d\d"
    r"|(?:0?[1-9]|1[0-2])[./-](?:0?[1-9]|[12]\d|3[01])[./-](?:19|20)\d\d"
    r"|(?:19|20)\d\d\s?[./-]\s?(?:0?[1-9]|1[0-2])\s?[./-]\s?(?:0?[1-9]|[12]\d|3[01])"
)
_YEARS: Final = re.compile(
    r"(?:19|20)\d\d\s*[-/~]\s*(?:(?:19|20)\d\d|\d\d)|(?:(?:19|20)\d\d\s+)+(?:19|20)\d\d"
)
_HOURS: Final = re.compile(r"\d{1,2}[.]?\d{0,2}\s*-\s*\d{1,2}[.]\d\d|\d{1,2}\.\d\d")
_DECIMAL: Final = re.compile(r"-?\d{1,3}\.\d{3,}|\d{1,3}(?:\.\d{3})+")
_ORCID: Final = re.compile(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]?|97[89][- ]?\d[\d -]{8,13}\d")
_POSTAL: Final = re.compile(r"\d{5}-\d{3,4}")
_STATE: Final = re.compile(r"(?:\b[A-Z]{2}|[,-])[\s.*#/]*$")  # "Boston, MA  02110-1301"
_NO_NUMBER: Final = re.compile(
    "|".join(it.pattern for it in (_DATE, _YEARS, _HOURS, _DECIMAL, _ORCID))
)
_ADDRESS_OF_HOST: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_MONEY_BEFORE: Final = re.compile(
    r"(?:[$€£¥₹₩₽฿₪₫₺]|(?:EUR|USD|GBP|CHF|CNY|RMB|SGD|HK\$|Rs\.?))\s?$"
)
_MONEY_AFTER: Final = re.compile(
    r"\s?(?:[$€£¥₹₩₽฿₪₫₺%°]|(?:EUR|USD|GBP|CHF|CNY|RMB|元|円|원|บาท|руб|kr|zł|Kč|Ft|km|kg|m²|MB|GB"
    r"|hours|students|people|Uhr|h|am|pm|人|名|年|月|日|号楼|号|室|楼|届|期)(?![^\W\d_]))",
    re.IGNORECASE,
)


_GLUED_BEFORE: Final = re.compile(r"\d[:,.]$|[A-Za-z_=№#§±`]$|\d\s?[×x]\s?$")
_GLUED_AFTER: Final = re.compile(r"[:,.]\d|[A-Za-z_%°′″]")


def is_years(text: str) -> bool:
    """Whether *text* is a span of years: "2017-2022"."""
    return _YEARS.fullmatch(text.strip()) is not None


def is_noise(text: str, start: int, end: int) -> bool:
    """Whether ``text[start:end]`` is plainly something else: a date, a price, a host."""
    run = text[start:end].strip()
    if _NO_NUMBER.fullmatch(run):
        return True
    if _ADDRESS_OF_HOST.fullmatch(run) and all(int(it) < 256 for it in run.split(".")):
        return True
    if _POSTAL.fullmatch(run) and _STATE.search(text[max(0, start - 8) : start]):
        return True
    before = text[max(0, start - 8) : start].rpartition("\n")[2]
    after = text[end : end + 8].partition("\n")[0]
    if _MONEY_BEFORE.search(before) or _MONEY_AFTER.match(after):
        return True
    # "12:30-13:30", "v1.2.3", "A1234567", "1,234,567", "±0.5"
    return bool(_GLUED_BEFORE.search(before) or _GLUED_AFTER.match(after))


# One kind of separator throughout, but for "514 555-0161".
_GROUPED: Final = re.compile(
    r"\d{1,4}(?:([ ./-])\d{2,4}(?:\1\d{2,4}){0,3}|[ /]\d{2,4}-\d{2,4}(?:-\d{2,4})?|[ /-]\d{5,8})"
)


def stands_alone(number: Number, region: str) -> bool:
    """Whether a number without any label looks like one to everybody in *region*.

    Known to the numbering plan, and written so: with "+", with the trunk prefix or brackets, or
    grouped as numbers are where there is no trunk prefix.
    """
    if number.e164 is None or number.type == "unknown":
        return False
    text = number.text.strip()
    if "[" in text:
        return False
    if text.startswith(("+", "00", "(+", "(0", "(")):
        return True
    digits = digits_of(text)
    if len(digits) < 7:
        return False
    if region == "CN" and re.fullmatch(r"1[3-9]\d[ -]?\d{4}[ -]?\d{4}", text):
        return True  # a mobile, dialled without anything before it
    trunk = _trunk(region)
    if trunk and digits.startswith(trunk) and len(digits) >= 8:
        return trunk != "8" or len(digits) == 11
    grouped = _GROUPED.fullmatch(text) is not None
    return grouped and (not trunk or number.type in ("toll_free", "uan", "mobile", "shared_cost"))


@lru_cache(maxsize=512)
def _trunk(region: str) -> str:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None) if region else None
    prefix = metadata.national_prefix if metadata is not None else None
    return prefix if prefix and prefix != "1" else ""

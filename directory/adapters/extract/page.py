"""A page as a reader sees it, each character with its place in the input.

Searching wants plain characters (ASCII digits, one kind of hyphen, no invisible marks) and the
proposal wants evidence: the exact characters of the input as it was given. So the visible text
is kept beside two arrays that lead from each of its characters back to the source.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

# Where something stands that is no character but must not be read across: a masked address.
MASK: Final = "\x01"
CELL: Final = "\t"
LINE: Final = "\n"
PARAGRAPH: Final = "\n\n"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table of the page, ``start`` to ``end`` of the visible text."""

    table: int
    row: int
    column: int
    start: int
    end: int
    header: bool


@dataclass(slots=True)
class Page:
    """The visible text, folded for searching, and what its markup says.

    ``text`` is folded and ``shown`` is not; both have one character for each place. ``marks``
    are regions of ``text`` that the markup gives a meaning: ("heading", start, end), ("address",
    …), ("card", …), ("prop:telephone", …). ``markup``: whether it was HTML, whose empty lines say
    little.

    Where the text comes from is kept by stretches, in order: from place ``at`` of the text on
    stands the source from ``begins`` on, character for character; or, where ``ends`` is not
    None, every place stands for the whole of ``source[begins:ends]``.
    """

    source: str
    text: str
    shown: str
    at: Sequence[int]
    begins: Sequence[int]
    ends: Sequence[int | None]
    marks: list[tuple[str, int, int]] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    data: list[Embedded] = field(default_factory=list)
    language: str = ""
    markup: bool = False

    def evidence(self, start: int, end: int) -> tuple[int, int]:
        """Code points of the source from which ``text[start:end]`` was made."""
        return self._place(start)[0], self._place(end - 1)[1]

    def _place(self, position: int) -> tuple[int, int]:
        n = bisect_right(self.at, position) - 1
        end = self.ends[n]
        if end is not None:
            return self.begins[n], end
        begins = self.begins[n] + position - self.at[n]
        return begins, begins + 1

    def published(self, start: int, end: int) -> str:
        """``text[start:end]`` as the page shows it."""
        return self.shown[start:end]


@dataclass(frozen=True, slots=True)
class Link:
    """An address behind a link: ``scheme`` "tel" or "mailto", its ``value`` decoded."""

    scheme: str
    value: str
    start: int
    end: int
    source: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Machine-readable data on the page: the text of a JSON-LD script, or properties."""

    text: str
    source: tuple[int, int]


class _Folding(dict[int, str]):
    """How single characters are folded; worked out once for each that is met."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = fold_character(chr(code))
        return folded


_SAME_AS: Final = {
    "\u30fc": "ー",
    "\u2212": "-",
    "\u2010": "-",
    "\u2011": "-",
    "\u301c": "~",
    "\u3030": "~",
    "\u223c": "~",
    "\u02dc": "~",
    "\u2053": "~",
    "\u3014": "(",
    "\u3015": ")",
    "\u3010": "(",
    "\u3011": ")",
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u3001": "、",
    "\u3002": "。",
    "\u2044": "/",
    "\u2215": "/",
    "\u29f8": "/",
    "\u2502": "|",
    "\u00a6": "|",
    "\u2028": "\n",
    "\u2029": "\n",
    "\x0b": "\n",
    "\x0c": "\n",
    "\x85": "\n",
    "\r": " ",
    "\x01": " ",
    "\x00": " ",
}


def fold_character(character: str) -> str:
    """*character* as search sees it: at most one character, "" for the invisible ones."""
    same = _SAME_AS.get(character)
    if same is not None:
        return same
    if character.isascii():
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    if category == "Pd":
        return "-"
    if category == "Zs":
        return " "
    # Cf: zero-width marks and marks of direction; variation selectors and the keycap are Mn, Me.
    if category == "Cf" or character in "\ufe0e\ufe0f\u20e3":
        return ""
    compatible = unicodedata.normalize("NFKC", character)
    return compatible if len(compatible) == 1 else character


_FOLDED: Final = _Folding()

# It holds until it is popped, or to the end of the line (Unicode Standard Annex 9).
_OVERRIDE: Final = "\u202e"
_TURNED: Final = re.compile("\u202e([^\u202c\u202e\n]*)\u202c?")


def fold(text: str) -> str:
    """*text* folded, for comparing; its length may change."""
    return text.translate(_FOLDED)


def read_text(source: str) -> Page:
    """Plain *source* as a page."""
    folded = source.translate(_FOLDED)
    if len(folded) == len(source):
        return Page(source, folded, source, (0,), (0,), (None,))
    builder = Builder(source)
    builder.add(source, 0)
    return builder.page()


class Builder:
    """Puts a page together from pieces of its source."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._text: list[str] = []
        self._shown: list[str] = []
        self._at: list[int] = []
        self._begins: list[int] = []
        self._ends: list[int | None] = []
        self.length = 0
        self.last = ""
        """The last character so far, "" at the beginning."""

    def add(self, piece: str, start: int) -> None:
        """Text that stands in the source as it is, from *start* on."""
        folded = piece.translate(_FOLDED)
        if len(folded) == len(piece):
            self._extend(folded, piece, start, None)
            return
        if _OVERRIDE in piece:
            self._add_turned(piece, start)
            return
        # Invisible characters are left out, so each stretch between them is one.
        begin = 0
        for n, character in enumerate(piece):
            if not _FOLDED[ord(character)]:
                self.add(piece[begin:n], start + begin)
                begin = n + 1
        self.add(piece[begin:], start + begin)

    def _add_turned(self, piece: str, start: int) -> None:
        """*piece* with what a right-to-left override shows backwards turned round."""
        position = 0
        for turned in _TURNED.finditer(piece):
            self.add(piece[position : turned.start()], start + position)
            for at in range(turned.end(1) - 1, turned.start(1) - 1, -1):
                self.add_made(piece[at], start + at, start + at + 1)
            position = turned.end()
        self.add(piece[position:], start + position)

    def add_made(self, characters: str, start: int, end: int) -> None:
        """Text that markup stands for: what an entity or a break makes of start to end."""
        visible = [it for it in characters if _FOLDED[ord(it)]]
        self._extend("".join(_FOLDED[ord(it)] for it in visible), "".join(visible), start, end)

    def _extend(self, text: str, shown: str, start: int, end: int | None) -> None:
        if not text:
            return
        self._text.append(text)
        self._shown.append(shown)
        self._at.append(self.length)
        self._begins.append(start)
        self._ends.append(end)
        self.length += len(text)
        self.last = text[-1]

    def page(self) -> Page:
        return Page(
            self._source,
            "".join(self._text),
            "".join(self._shown),
            self._at,
            self._begins,
            self._ends,
        )

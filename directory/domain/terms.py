"""Text to search terms, the same for whichever database keeps them.

A *term* is a word that is compared as a whole: all that makes a search forgiving is done here, by
giving a name more terms than it has words. A Latin word has its beginnings ("adm" finds
Admissions) and its spellings with a letter left out (two words one slip apart share one). Chinese
has its characters, its pairs of neighbours, its pinyin and the initials of that. A telephone
number has its last seven and more digits. So a query needs no dictionary, no wildcard and no
operator, and there is nothing in it that a visitor could type to make it dear.

Terms hold letters, digits and the marks below, which no text can bring along: no character of a
query language, no space, no quote. Whatever changes the terms of a text raises ``VERSION``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import combinations, pairwise
from typing import Final

from directory.domain.errors import InvalidValue
from directory.domain.number_text import number_and_extension, plain_text
from directory.domain.numbers import read
from directory.domain.traditional import TO_SIMPLIFIED
from directory.domain.values import Reference

VERSION: Final = 1

# The marks of terms that are not words: a whole name, a spelling with a slip, digits of a number.
WHOLE: Final = "≡"
SLIP: Final = "≈"
NUMBER: Final = "☎"

# Words are told apart by their first letters, this many; names by theirs.
_WORD_MAX: Final = 20
_WHOLE_MAX: Final = 80
_SLIP_MIN: Final = 4
_SLIP_MAX: Final = 16
# Fewer digits than these are a room or a year as often as a telephone number.
NUMBER_MIN: Final = 7

# A query is cut, never refused: what a search box is for fits many times.
_QUERY_MAX: Final = 200
_UNITS_MAX: Final = 8
_RUN_MAX: Final = 12
_LOOSE_MAX: Final = 5

# Scripts written without spaces: Han, kana, Thai, Lao, Myanmar, Khmer.
_NO_SPACES = (
    "\u2e80-\u2fdf\u3005\u3007\u3040-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff\u0e01-\u0e4e\u0e81-\u0ecd\u1000-\u109f\u1780-\u17d3"
)
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
# Vowel signs of Indic scripts and points of Hebrew and Arabic are part of their words.
_SIGNS = (
    "\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u0900-\u0963"
    "\u0966-\u0dff"
)
_UNIT: Final = re.compile(f"(?P<run>[{_NO_SPACES}]+)|(?:(?![{_NO_SPACES}])(?:[^\\W_]|[{_SIGNS}]))+")
_HAN_RUN: Final = re.compile(f"[{_HAN}]+")
_ACCENT: Final = re.compile("[\u0300-\u036f]")
_APOSTROPHE: Final = re.compile("(?<=[^\\W\\d_])['’ʼ`](?=[^\\W\\d_])")
# Letters that no normalisation takes apart, and are typed without their stroke.
_STROKES: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"}
)
_FOLDED: Final = TO_SIMPLIFIED | _STROKES

# Left out of a query that says anything else.
_STOP: Final = frozenset({"of", "the", "and", "for", "at", "in", "on", "to"})


# Words


def fold(text: str) -> str:
    """*text* without what people do not tell words apart by.

    Case, accents, width, ligatures, apostrophes inside words; traditional characters are made
    simplified.
    """
    if text.isascii():
        return _APOSTROPHE.sub("", text.lower())
    # NFKD before casefold, for "℡" is "TEL" only then; and after, for "ΐ" has a third form.
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    text = unicodedata.normalize("NFC", _ACCENT.sub("", text)).translate(_FOLDED)
    return _APOSTROPHE.sub("", text)


@dataclass(frozen=True, slots=True)
class Unit:
    """A word; or a *run* of a script that is written without spaces."""

    text: str
    run: bool = False


def units_of(folded: str) -> Iterator[Unit]:
    """The words and runs of a folded text, in order."""
    for found in _UNIT.finditer(folded):
        if found["run"]:
            yield Unit(found[0], run=True)
        else:
            yield Unit(found[0][:_WORD_MAX])


def beginnings(word: str) -> list[str]:
    """Every beginning of *word*, itself the last."""
    return [word[:length] for length in range(1, len(word) + 1)]


def slips(word: str) -> list[str]:
    """What *word* shares with every word one slip away: itself, and itself less one letter.

    Nothing for short words and for numbers, where one sign more is another thing, and for words
    so long that they are found by half of their letters.
    """
    if not _SLIP_MIN <= len(word) <= _SLIP_MAX or not word.isalpha():
        return []
    less = {word[:place] + word[place + 1 :] for place in range(len(word))}
    return [SLIP + spelling for spelling in sorted({word, *less})]


def _of_run(run: str) -> list[str]:
    """The characters of a run, and its pairs of neighbours."""
    return [*run, *map("".join, pairwise(run))]


@lru_cache(maxsize=8_192)
def _of_text(text: str) -> tuple[str, ...]:
    """The terms of a text that is found by its words: many departments share a building."""
    terms: list[str] = []
    for unit in units_of(fold(text)):
        if unit.run:
            terms += _of_run(unit.text)
        else:
            terms.append(unit.text)
    return tuple(terms)


@lru_cache(maxsize=8_192)
def _of_word(word: str) -> tuple[str, ...]:
    """The terms of one word of a name: a directory has few words and many names."""
    return (*beginnings(word), *slips(word))


def one_slip(a: str, b: str) -> bool:
    """Whether *a* is *b*, or one letter more, less or other, or two neighbours swapped."""
    if abs(len(a) - len(b)) > 1:
        return False
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    a, b = a[start:], b[start:]
    return (
        a[1:] == b[1:]
        or a == b[1:]
        or a[1:] == b
        or (a[:2] == b[1::-1] and len(b) > 1 and a[2:] == b[2:])
    )


# Chinese as it sounds


@lru_cache(maxsize=4_096)
def spoken(run: str) -> tuple[str, ...]:
    """The pinyin of Han characters, each with its tone as a digit ("zhao1"), 5 for the neutral.

    Characters nobody has a reading for are left out. The first call of a process reads a
    dictionary (about 40 MB): it is for those who change the directory, and nothing that a visitor
    asks for comes here.
    """
    from pypinyin import Style, lazy_pinyin

    read_as = lazy_pinyin(
        run, style=Style.TONE3, neutral_tone_with_five=True, errors="ignore", v_to_u=False
    )
    return tuple(syllable for syllable in read_as if syllable.isascii())


def in_order(text: str) -> str:
    """A key that puts names in the order of a Chinese list: by pinyin, and after Latin names."""
    return _HAN_RUN.sub(lambda run: " " + " ".join(spoken(run[0])) + " ", fold(text)).strip()


# What a record is found by


@dataclass(slots=True)
class Entry:
    """What is kept of one record, gathered part by part.

    ``terms`` are what finds it. ``names`` are its folded names with their pinyin and initials,
    by which the found are ranked. ``also`` are names it is found by and does not show.
    """

    terms: set[str] = field(default_factory=set)
    names: dict[str, None] = field(default_factory=dict)
    also: list[str] = field(default_factory=list)

    def add_key(self, name: str) -> list[Unit]:
        """A name as a whole, which alone finds it only by all of itself; its units."""
        units = list(units_of(fold(name)))
        self._add_key(" ".join(unit.text for unit in units), "".join(unit.text for unit in units))
        return units

    def add_name(self, name: str, *, shown: bool = True) -> None:
        """A name: found by its beginnings, by sound, with a slip, and as a whole.

        One that is not *shown* on the page is kept as it is written, to say why it was found.
        """
        if not shown:
            self.also.append(" ".join(name.split()))
        units = self.add_key(name)
        words = [unit.text for unit in units if not unit.run]
        for word in words:
            self.terms.update(_of_word(word))
        if len(words) > 1:
            self._add_initials([word[0] for word in words])
        for unit in units:
            if unit.run:
                self.terms.update(_of_run(unit.text))
                for found in _HAN_RUN.finditer(unit.text):
                    self._add_sound(spoken(found[0]))

    def add_text(self, text: str) -> None:
        """Words that stand on its page, such as a building: found whole."""
        self.terms.update(_of_text(text))

    def add_mailbox(self, address: str) -> None:
        """A mail address: found by the part before the @, and by its words."""
        local = fold(address.partition("@")[0])
        words = [unit.text for unit in units_of(local)]
        self.terms.update(words)
        self.terms.update(beginnings("".join(words)[:_WORD_MAX]))

    def add_number(self, value: str) -> None:
        """A telephone number in E.164 or the digits of a short one: found by how it ends."""
        digits = value.removeprefix("+")
        self.terms.add(digits[:_WORD_MAX])
        if value.startswith("+"):
            lengths = range(NUMBER_MIN, len(digits) + 1)
            self.terms.update(NUMBER + digits[-length:] for length in lengths)
        else:
            self.terms.add(NUMBER + digits)

    @property
    def keys(self) -> str:
        """The names, made for :meth:`Query.rank`: between line breaks, every word in spaces."""
        return "\n" + "".join(f" {name} \n" for name in self.names)

    def _add_key(self, key: str, whole: str) -> None:
        if whole:
            self.names[key] = None
            self.terms.add(WHOLE + whole[:_WHOLE_MAX])

    def _add_sound(self, toned: tuple[str, ...]) -> None:
        # "lü" is "lv" on Chinese keyboards and "lu" to everyone else.
        spoken = [syllable[:-1].replace("v", "u") for syllable in toned]
        joined = "".join(spoken)
        if not joined:
            return
        self._add_key(joined, joined)
        self.terms.update(beginnings(joined[:_WORD_MAX]))
        self.terms.update(slips(joined))
        for start in range(1, len(spoken)):
            for end in range(start + 1, min(start + 4, len(spoken)) + 1):
                self.terms.add("".join(spoken[start:end])[:_WORD_MAX])
        if len(spoken) > 1:
            self._add_initials([syllable[0] for syllable in spoken])

    def _add_initials(self, letters: list[str]) -> None:
        initials = "".join(letters)
        self._add_key(initials, initials)
        self.terms.update(beginnings(initials[:_WORD_MAX]))
        for start in range(1, len(initials) - 1):
            for end in range(start + 2, min(start + 5, len(initials)) + 1):
                self.terms.add(initials[start:end])


# What is asked for

# All of these, and of each any one.
Clauses = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody typed, as terms. Falsy when there is nothing in it to look for.

    ``whole`` finds what is called exactly that, ``strict`` what has all of its words, ``loose``
    what has nearly all, each with at most a slip; () where that would be the same.
    """

    text: str
    joined: str
    units: tuple[Unit, ...]
    whole: Clauses
    strict: Clauses
    loose: Clauses

    @classmethod
    def parse(cls, text: str) -> Query:
        """Read *text* as a search box takes it; everything can be read, and a long text is cut."""
        found = list(units_of(fold(text[:_QUERY_MAX])))
        said = [unit for unit in found if unit.text not in _STOP] or found
        units: list[Unit] = []
        for unit in said[:_UNITS_MAX]:
            cut = Unit(unit.text[:_RUN_MAX], run=True) if unit.run else unit
            if cut not in units:
                units.append(cut)
        strict = tuple(term for unit in units for term in _strict(unit))
        loose = tuple(term for unit in units for term in _loose(unit))
        whole = "".join(unit.text for unit in found)[:_WHOLE_MAX]
        return cls(
            text=" ".join(unit.text for unit in found),
            joined=whole,
            units=tuple(units),
            whole=((WHOLE + whole,),) if whole else (),
            strict=strict,
            loose=loose if loose != strict else (),
        )

    def __bool__(self) -> bool:
        return bool(self.units)

    def rank(self, keys: str) -> int:
        """How well a record with these ``Entry.keys`` answers; the smaller the better.

        0 it is called that, 1 a name begins so, 2 its names have all the words, 3 they have them
        as beginnings, 4 the words stand elsewhere on its page.
        """
        if f"\n {self.text} \n" in keys or f"\n {self.joined} \n" in keys:
            return 0
        if f"\n {self.text}" in keys:
            return 1
        best = 2
        for unit in self.units:
            if unit.run:
                if unit.text not in keys:
                    return 4
            elif f" {unit.text} " not in keys:  # its beginning, or its sound
                if unit.text not in keys:
                    return 4
                best = 3
        return best

    def misses(self, keys: str) -> int:
        """How many of the words and characters its names lack: the order of what comes near."""
        return sum(
            sum(character not in keys for character in unit.text)
            if unit.run
            else f" {unit.text}" not in keys
            for unit in self.units
        )

    def nearness(self) -> Callable[[str], bool]:
        """What tells whether a record found loosely is worth showing: every word within a slip
        of one of its names', for two words can share a spelling and be two slips apart.
        """
        asked = [unit.text for unit in self.units if not unit.run and slips(unit.text)]

        # Names are many and their words few, so each word is compared once.
        @cache
        def answered(word: str) -> frozenset[str]:
            return frozenset(text for text in asked if one_slip(text, word))

        def is_near(keys: str) -> bool:
            return len(frozenset().union(*map(answered, keys.split()))) == len(asked)

        return is_near


def _strict(unit: Unit) -> list[tuple[str, ...]]:
    if not unit.run or len(unit.text) == 1:
        return [(unit.text,)]
    return [(a + b,) for a, b in pairwise(unit.text)]


def _loose(unit: Unit) -> list[tuple[str, ...]]:
    if not unit.run:
        return [(unit.text, *slips(unit.text))]
    characters = list(dict.fromkeys(unit.text))[:_LOOSE_MAX]
    if len(characters) < _SLIP_MIN:
        # 招办 finds 招生办公室: the characters in any place.
        return [(character,) for character in characters]
    # All but one of them: of any two, one.
    return list(combinations(characters, 2))


# Who rang me?

_LABEL: Final = re.compile(
    r"^(?:(?:tele)?phone|tel|fax|telefax|mobile|t|f|电话|传真|手机|号码|number|no)[\s.:：/]*"
)
_NUMBER_SIGNS: Final = re.compile(r"[+(]?[\d\s().\-/+]+")


@dataclass(frozen=True, slots=True)
class Caller:
    """A telephone number that somebody asks about.

    ``whole`` are the digits of E.164 it may be, ``ending`` those it may end with ("" when it was
    written with its country).
    """

    whole: tuple[str, ...]
    ending: str

    @classmethod
    def parse(cls, text: str, *, region: str) -> Caller | None:
        """Read *text* as a number as a telephone shows it in *region*; None if it is none.

        Seven digits at least. A country code is believed, never dropped: "+1 258 345 5189" does
        not ring from +86 25 8345 5189, however alike they end.
        """
        plain = plain_text(text[:100]).lower()
        plain = _LABEL.sub("", plain).strip()
        try:
            number, _extension = number_and_extension(plain)
        except InvalidValue:
            number = plain
        if not _NUMBER_SIGNS.fullmatch(number):
            return None
        digits = "".join(filter(str.isdigit, number))
        if not NUMBER_MIN <= len(digits) <= _WORD_MAX:
            return None
        whole: list[str] = []
        try:
            reading = read(number, region)
        except InvalidValue:
            pass
        else:
            whole.append(reading.e164.removeprefix("+"))
        if number.lstrip("( ").startswith("+") or digits.startswith("00"):
            # 0086 25 …; and with a trunk zero that belongs there or not: the reading says.
            whole.append(digits.removeprefix("00"))
            return cls(tuple(dict.fromkeys(whole)), "")
        ending = digits.removeprefix("0")
        whole.append(digits)
        return cls(tuple(dict.fromkeys(whole)), ending if len(ending) >= NUMBER_MIN else "")

    @property
    def terms(self) -> Clauses:
        """What finds the departments to ask; their numbers decide, see :meth:`is_of`."""
        digits = dict.fromkeys((*self.whole, self.ending))
        return (tuple(NUMBER + one for one in digits if one),)

    def is_of(self, value: str) -> bool:
        """Whether the number *value* (E.164, or short digits) is the one asked about."""
        digits = value.removeprefix("+")
        return digits in self.whole or bool(self.ending and digits.endswith(self.ending))


def reference_in(text: str, *, prefix: str) -> str | None:
    """The reference that *text* is, displayed with *prefix*; "" if it is one mistyped; else None.

    A word of eight letters is a word, even if its check symbol is right by chance, and eight
    digits are a telephone number.
    """
    plain = re.sub(r"[\s\-_–—]", "", unicodedata.normalize("NFKC", text[:60])).upper()
    named = plain.startswith(prefix) and len(plain) == len(prefix) + 8
    symbols = plain[len(prefix) :] if named else plain
    if not re.fullmatch(r"[0-9A-Z]{8}", symbols):
        return None
    has_digit = any(map(str.isdigit, symbols))
    if not named and (symbols.isdigit() or not has_digit):
        return None
    try:
        return Reference.parse(symbols).display(prefix)
    except InvalidValue:
        # With its prefix and a digit it was meant for one; "enquiries" plus five letters was not.
        return "" if named and has_digit else None

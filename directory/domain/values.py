"""Small values, read once at the edge: what exists is right.

Those with a subject of their own live beside it and are named here too: telephone numbers in
``numbers``, mailboxes in ``mailboxes``, addresses of houses in ``postal``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Final, Self

from babel import Locale

from directory.domain.errors import InvalidValue
from directory.domain.mailboxes import EmailAddress
from directory.domain.messages import CHINESE, is_chinese
from directory.domain.numbers import PhoneNumber, ServiceNumber
from directory.domain.postal import PostalAddress

__all__ = [
    "EmailAddress",
    "LanguageTag",
    "PhoneNumber",
    "PostalAddress",
    "Reference",
    "ServiceNumber",
    "Slug",
]

# Douglas Crockford's base 32: no I, L, O (read as 1, 1, 0) and no U.
_SYMBOLS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE: Final = {symbol: value for value, symbol in enumerate(_SYMBOLS)}
_MISREAD: Final = str.maketrans("OIL", "011")
_EXAMPLE: Final = "ENQ-7K4M-2QXD"


@dataclass(frozen=True, slots=True)
class Reference:
    """What a visitor quotes: eight symbols of Crockford's base 32, the last one a check.

    The check is Luhn's modulo 32. It finds every single wrong symbol, and every swap of two
    neighbours except "0Z" and "Z0", the one pair the sum cannot tell apart. Raises InvalidValue
    "reference.invalid".
    """

    symbols: str

    def __post_init__(self) -> None:
        if (
            len(self.symbols) != 8
            or any(symbol not in _VALUE for symbol in self.symbols)
            or _check_symbol(self.symbols[:7]) != self.symbols[7]
        ):
            raise InvalidValue("reference.invalid", example=_EXAMPLE)

    @classmethod
    def new(cls, bits: int) -> Self:
        """A reference of 35 random *bits*, as from ``secrets.randbits(35)``."""
        symbols = "".join(_SYMBOLS[bits >> shift & 31] for shift in range(30, -1, -5))
        return cls(symbols + _check_symbol(symbols))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference as people write it: with or without its prefix, in any case, with
        spaces, hyphens or full-width letters, O for 0 and I or L for 1.

        Any prefix is taken, for a service may have changed its own; the check symbol decides.
        """
        wide = unicodedata.normalize("NFKC", text).upper()
        letters = re.sub(r"[\W_]", "", wide)
        if not 8 <= len(letters) <= 20:
            raise InvalidValue("reference.invalid", example=_EXAMPLE)
        return cls(letters[-8:].translate(_MISREAD))

    def display(self, prefix: str) -> str:
        """ "ENQ-7K4M-2QXD" for the prefix "ENQ"."""
        body = f"{self.symbols[:4]}-{self.symbols[4:]}"
        return f"{prefix}-{body}" if prefix else body

    def __str__(self) -> str:
        return self.symbols


def _check_symbol(symbols: str) -> str:
    total = 0
    for place, symbol in enumerate(reversed(symbols)):
        value = _VALUE[symbol]
        if place % 2 == 0:
            value *= 2
        total += value // 32 + value % 32
    return _SYMBOLS[-total % 32]


@dataclass(frozen=True, slots=True)
class Slug:
    """The part of an address that names a department: "student-services".

    Small letters, digits and single hyphens, at most 80. Raises InvalidValue "slug.invalid".
    """

    text: str

    def __post_init__(self) -> None:
        if not _SLUG.fullmatch(self.text) or len(self.text) > 80 or self.text in _NOT_SLUGS:
            raise InvalidValue("slug.invalid")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a slug; capitals are made small, for nobody means two departments by them."""
        return cls(text.strip().lower())

    @classmethod
    def from_name(cls, name: str) -> Self:
        """A slug to propose for *name*: "Büro für Presse" → "buro-fur-presse".

        Raises InvalidValue "slug.invalid" when the name has no Latin letter or digit.
        """
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        return cls(re.sub(r"[^a-z0-9]+", "-", plain.replace("'", ""))[:80].strip("-"))

    def __str__(self) -> str:
        return self.text


_SLUG: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# Words that stand where a slug would in the addresses of the admin pages.
_NOT_SLUGS: Final = frozenset({"new"})


@dataclass(frozen=True, slots=True)
class LanguageTag:
    """A language as BCP 47 writes it: "en", "zh-Hans", "pt-BR".

    Raises InvalidValue "language.unknown".
    """

    tag: str

    def __post_init__(self) -> None:
        if _canonical(self.tag) != self.tag:
            raise InvalidValue("language.unknown", tag=self.tag)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a tag in any case, with "-" or "_"; the way Chinese is written is told from the
        country where only that is given ("zh-CN" → "zh-Hans", "zh-TW" → "zh-Hant").
        """
        tag = _canonical(text.strip().replace("_", "-"))
        if not tag:
            raise InvalidValue("language.unknown", tag=text.strip()[:40])
        return cls(_CHINESE_BY_COUNTRY.get(tag, tag))

    @property
    def segment(self) -> str:
        """As it stands in our addresses: "zh-hans"."""
        return self.tag.lower()

    def name(self, language: str) -> str:
        """What *language* calls this one: "Chinese (Simplified)", "英语"."""
        reader = Locale.parse(CHINESE if is_chinese(language) else "en", sep="-")
        return Locale.parse(self.tag, sep="-").get_display_name(reader) or self.tag

    def __str__(self) -> str:
        return self.tag


_TAG: Final = re.compile(
    r"(?P<language>[a-z]{2,3})(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|\d{3}))?", re.I
)
_CHINESE_BY_COUNTRY: Final = {
    "zh": "zh-Hans", "zh-CN": "zh-Hans", "zh-SG": "zh-Hans", "zh-MY": "zh-Hans",
    "zh-TW": "zh-Hant", "zh-HK": "zh-Hant", "zh-MO": "zh-Hant",
}  # fmt: skip


def _canonical(tag: str) -> str:
    """*tag* with the capitals of RFC 5646 section 2.1.1; "" if it names no language we know."""
    found = _TAG.fullmatch(tag)
    if found is None:
        return ""
    language = found["language"].lower()
    if language not in _languages():
        return ""
    script, region = found["script"], found["region"]
    return "-".join(
        filter(None, [language, script and script.capitalize(), region and region.upper()])
    )


@cache
def _languages() -> frozenset[str]:
    """Codes of ISO 639 that CLDR has a name for."""
    return frozenset(Locale.parse("en").languages)

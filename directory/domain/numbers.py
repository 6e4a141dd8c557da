"""Telephone and fax numbers: read as people write them, shown and dialled.

The writing is taken apart in ``number_text``, the digits are judged in ``numbering``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import phonenumbers
from phonenumbers import PhoneNumberFormat

from directory.domain.errors import InvalidValue
from directory.domain.messages import is_chinese
from directory.domain.number_text import (
    EXTENSION_MAX,
    number_and_extension,
    plain_text,
    unwrapped_uri,
)
from directory.domain.numbering import (
    E164,
    is_service_number,
    known_region,
    main_region,
    reach,
    type_of,
    wrong_length,
)

_TEXT_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A telephone or fax number that can be dialled from any country.

    ``e164`` is as ITU-T E.164 has it: "+", country code, subscriber number, no more than 15
    digits, no spaces ("+442079460000"). ``extension`` is dialled once connected and is often
    empty; it keeps its leading zeros. Raises InvalidValue "phone.invalid" or "phone.extension"
    when made from anything else.
    """

    e164: str
    extension: str = ""

    def __post_init__(self) -> None:
        if not E164.fullmatch(self.e164):
            raise InvalidValue("phone.invalid")
        if self.extension and not _is_extension(self.extension):
            raise InvalidValue("phone.extension", max=EXTENSION_MAX)

    @classmethod
    def parse(cls, text: str, *, region: str = "") -> Self:
        """Read *text* as one would dial it in *region* (ISO 3166-1 alpha-2, "GB"; "" if unknown).

        The length is checked and the number range is not: the library learns of new ranges by
        release, and an office given one today should be able to list it today. Raises
        InvalidValue "phone.required", "phone.letters", "phone.two_numbers", "phone.too_short",
        "phone.too_long", "phone.extension" or "phone.invalid".
        """
        reading = read(text, region)
        return cls(reading.e164, reading.extension)

    @property
    def region(self) -> str:
        """The country of the number (ISO 3166-1 alpha-2), "001" for a worldwide service, "" if
        the country code is one nobody has yet.
        """
        number = _dialled(self.e164)
        return (
            phonenumbers.region_code_for_number(number)
            or main_region(number.country_code or 0)
            or ""
        )

    @property
    def type(self) -> str:
        """What the range is used for: "fixed_line", "mobile", "toll_free" … or "unknown"."""
        return type_of(_dialled(self.e164))

    @property
    def international(self) -> str:
        """Grouped as in its own country: "+86 25 8345 5189", without the extension."""
        return _formatted(self.e164, PhoneNumberFormat.INTERNATIONAL)

    @property
    def national(self) -> str:
        """As dialled inside its own country: "025 8345 5189", without the extension."""
        return _formatted(self.e164, PhoneNumberFormat.NATIONAL)

    @property
    def uri(self) -> str:
        """RFC 3966: "tel:+86-25-8345-5189;ext=12"."""
        number = _formatted(self.e164, PhoneNumberFormat.RFC3966)
        return f"{number};ext={self.extension}" if self.extension else number

    def display(self, language: str) -> str:
        """For readers of *language*: "+44 20 7946 0123 ext. 12", "+86 25 8345 5189 转 12"."""
        return self.international + _extension_words(self.extension, language)

    def display_national(self, language: str) -> str:
        """The same for readers in the number's own country."""
        return self.national + _extension_words(self.extension, language)

    def __str__(self) -> str:
        return self.display("en")


@dataclass(frozen=True, slots=True)
class ServiceNumber:
    """A short number that works inside one country and has no international form.

    ``digits`` as dialled ("95588", "12345"), ``region`` ISO 3166-1 alpha-2.
    """

    digits: str
    region: str

    @classmethod
    def parse(cls, text: str, *, region: str) -> Self:
        """Read a short number of *region*; "+86 95588" is read as 95588 there.

        Raises InvalidValue "phone.required", "phone.letters" or "phone.invalid".
        """
        plain = unwrapped_uri(plain_text(text))
        if not plain:
            raise InvalidValue("phone.required")
        region = known_region(region)
        digits = re.sub(r"[\s.()-]", "", plain)
        if any(character.isalpha() for character in digits):
            raise InvalidValue("phone.letters")
        code = f"+{phonenumbers.country_code_for_region(region)}"
        digits = digits.removeprefix(code)
        if not digits.isdecimal() or not region or not is_service_number(digits, region):
            raise InvalidValue("phone.invalid")
        return cls(digits, region)

    @property
    def uri(self) -> str:
        """RFC 3966: "tel:95588;phone-context=+86"."""
        return (
            f"tel:{self.digits};phone-context=+{phonenumbers.country_code_for_region(self.region)}"
        )

    def display(self, language: str) -> str:
        """The digits: nobody writes or says a short number otherwise."""
        del language
        return self.digits

    def __str__(self) -> str:
        return self.digits


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says when it is dialled.

    ``extension_inside`` is true when no word marks the extension, and the number would be wrong
    with it; ``perhaps_local`` when it may as well be a number without its area code. ``type`` is
    "unknown" for a range that, as far as we know, nobody has.
    """

    e164: str
    extension: str
    extension_inside: bool
    perhaps_local: bool
    type: str


def read(text: str, region: str) -> Reading:
    """Read *text* as one would dial it in *region* ("" if unknown).

    Raises InvalidValue with the codes of :meth:`PhoneNumber.parse`.
    """
    plain = plain_text(text)
    region = known_region(region)
    if not plain:
        raise InvalidValue("phone.required")
    if len(plain) > _TEXT_MAX:
        raise wrong_length("phone.too_long", region)
    number, extension = number_and_extension(plain)
    reached = reach(number, region, extended=bool(extension))
    return Reading(
        reached.e164,
        extension or reached.extension,
        extension_inside=bool(reached.extension),
        perhaps_local=reached.perhaps_local,
        type=reached.type,
    )


def _is_extension(text: str) -> bool:
    return len(text) <= EXTENSION_MAX and text.isascii() and text.isdigit()


def _extension_words(extension: str, language: str) -> str:
    if not extension:
        return ""
    return f" 转 {extension}" if is_chinese(language) else f" ext. {extension}"


@lru_cache(maxsize=4_096)
def _dialled(e164: str) -> phonenumbers.PhoneNumber:
    return phonenumbers.parse(e164)


@lru_cache(maxsize=4_096)
def _formatted(e164: str, style: int) -> str:
    return phonenumbers.format_number(_dialled(e164), style)

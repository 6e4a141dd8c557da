"""Where digits lead: the numbering plans of the world, and what counts as a number in them.

Google's metadata, through the ``phonenumbers`` package, knows the plans. It is lenient where a
directory must not be: it calls any length that occurs in a country possible everywhere in it, and
reads "0086" by the caller's own prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat, ValidationResult
from phonenumbers.phonenumberutil import PhoneNumberType

from directory.domain.errors import InvalidValue

E164: Final = re.compile(r"\+[1-9][0-9]{3,14}")

# Without this the library compiles its patterns again and again: they are more than the 512 that
# Python's own cache holds as soon as numbers of some sixty countries are mixed.
phonenumbers.enable_pattern_cache()

_TYPES: Final[dict[int, str]] = {
    PhoneNumberType.FIXED_LINE: "fixed_line",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_line_or_mobile",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PREMIUM_RATE: "premium_rate",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.PERSONAL_NUMBER: "personal_number",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "uan",
    PhoneNumberType.VOICEMAIL: "voicemail",
    PhoneNumberType.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a number written in digits leads.

    ``extension`` is a last group of digits with which the number would be too long, "" mostly.
    ``perhaps_local`` is true when it may as well be a number without its area code, as "12345678"
    in Germany. ``type`` is "unknown" for a range that, as far as we know, nobody has.
    """

    e164: str
    type: str
    extension: str = ""
    perhaps_local: bool = False


def reach(text: str, region: str, *, extended: bool = False) -> Reached:
    """Dial *text* (ASCII digits and signs) in *region* ("" if unknown).

    *extended* says that an extension was found before, so that there is no second one. Raises
    InvalidValue "phone.too_short", "phone.too_long" or "phone.invalid".
    """
    found = _dial(text, region)
    if isinstance(found, _Dialled) and _trunk_eight_counted(found, text):
        found = wrong_length("phone.too_short", _country_of(found.number, region))
    if isinstance(found, _Dialled) and found.type != "unknown":
        return Reached(found.e164, found.type, perhaps_local=_perhaps_local(found, text))
    inside = None if extended else _extension_inside(text, region, found)
    if inside is not None:
        return inside
    if isinstance(found, InvalidValue):
        raise found
    _refuse_length_of_range(found, text, region)
    return Reached(found.e164, found.type)


def type_of(number: phonenumbers.PhoneNumber) -> str:
    """What the range of *number* is used for: "fixed_line", "mobile" … or "unknown"."""
    return _TYPES.get(phonenumbers.number_type(number), "unknown")


def is_service_number(digits: str, region: str) -> bool:
    """Whether *digits* are a short number that answers calls in *region*.

    Codes that only take text messages do not count: nobody can ring them.
    """
    if not 2 <= len(digits) <= 8:
        return False
    number = _number_of(phonenumbers.country_code_for_region(region), digits)
    return phonenumbers.is_valid_short_number_for_region(
        number, region
    ) and not phonenumbers.is_sms_service_for_region(number, region)


_NOT_DIGIT: Final = re.compile(r"[^0-9]")
_EIGHT_APART: Final = re.compile(r"\(?8\)?[ (.-]")
_NOTHING: Final = re.compile(r"[^0-9]*")
_TRUNK_ZERO: Final = re.compile(r"\(\s*0\s*\)")
_LAST_GROUP: Final = re.compile(r"(?P<number>.*\d)\)?\s*[-(]\s*(?P<extension>\d{1,6})\s*\)?")


@dataclass(frozen=True, slots=True)
class _Dialled:
    number: phonenumbers.PhoneNumber
    e164: str
    type: str


def _dial(text: str, region: str) -> _Dialled | InvalidValue:
    """The number that *text* reaches: a known one if any way to read it gives one."""
    if _NOTHING.fullmatch(text):
        return InvalidValue("phone.invalid")
    possible: _Dialled | None = None
    refused: InvalidValue | None = None
    for digits, likely in _ways_to_dial(text, region):
        found = _dial_digits(digits, region)
        if isinstance(found, InvalidValue):
            refused = refused or found
        elif found.type != "unknown":
            return found
        elif likely:
            possible = possible or found
    return possible or refused or InvalidValue("phone.invalid")


def _ways_to_dial(text: str, region: str) -> Iterator[tuple[str, bool]]:
    """Digits with or without "+", the likeliest reading first.

    The flag is false for a reading that counts only if it gives a number we know.
    """
    digits = digits_of(text)
    abroad = "+" in text
    if abroad or digits.startswith("00"):
        # "(0)" is dialled at home and left out from abroad, but belongs to the number in Italy
        # and some African countries. "0086" means +86 whatever the caller's own prefix is: the
        # library reads it as 008 and +62 when the caller sits in Singapore.
        whole = "+" + digits.removeprefix("00")
        bare = "+" + digits_of(_TRUNK_ZERO.sub("", text)).removeprefix("00")
        if bare != whole:
            italian = bare.startswith(("+39", "+378"))
            yield (whole if italian else bare), True
            yield (bare if italian else whole), True
        else:
            yield whole, True
    if not abroad:
        # "62-21-7270020": where numbers begin with 0 at home, this one begins with the country.
        code, trunk = _plan(region)
        if trunk == "0" and digits.startswith(code):
            yield f"+{digits}", False
        yield digits, not digits.startswith("00")


def digits_of(text: str) -> str:
    """The ASCII digits of *text* alone."""
    return _NOT_DIGIT.sub("", text)


def _dial_digits(digits: str, region: str) -> _Dialled | InvalidValue:
    try:
        number = phonenumbers.parse(digits, region or None)
    except NumberParseException as error:
        return _refusal(error, digits, region)
    use = type_of(number)
    # The few numbers that are known and yet dialled without an area code (Canada's 310-1234)
    # are too short by the general rule.
    wrong = _wrong_length(number, region) if use == "unknown" else None
    if wrong is not None:
        return wrong
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if not E164.fullmatch(e164):
        return InvalidValue("phone.invalid")
    return _Dialled(number, e164, use)


def _wrong_length(number: phonenumbers.PhoneNumber, region: str) -> InvalidValue | None:
    # is_possible_number() alone would also let a number without its area code through.
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason == ValidationResult.IS_POSSIBLE:
        return None
    country = _country_of(number, region)
    if reason == ValidationResult.TOO_SHORT:
        return wrong_length("phone.too_short", country)
    if reason == ValidationResult.TOO_LONG:
        return wrong_length("phone.too_long", country)
    nsn = phonenumbers.national_significant_number(number)
    if reason == ValidationResult.INVALID_LENGTH:  # between the lengths that there are
        beside = _beside_known(number.country_code or 0, nsn, country)
        if beside is not None:
            return beside
    return InvalidValue("phone.invalid")


def _refusal(error: NumberParseException, digits: str, region: str) -> InvalidValue:
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return InvalidValue("phone.invalid")
    if error.error_type == NumberParseException.TOO_LONG:
        return wrong_length("phone.too_long", "" if digits.startswith("+") else region)
    return wrong_length("phone.too_short", "" if digits.startswith("+") else region)


def wrong_length(code: str, country: str) -> InvalidValue:
    """*code* with its country; the general sentence where no country can be named."""
    return InvalidValue(code, country=country) if country else InvalidValue("phone.invalid")


def _extension_inside(text: str, region: str, whole: _Dialled | InvalidValue) -> Reached | None:
    """The number before a last "-808" when it is one, and with the "-808" is none."""
    if isinstance(whole, InvalidValue) and whole.code != "phone.too_long":
        return None
    last = _LAST_GROUP.fullmatch(text)
    if last is None:
        return None
    number = _dial(last["number"], region)
    if isinstance(number, InvalidValue) or number.type == "unknown":
        return None
    return Reached(number.e164, number.type, extension=last["extension"])


def _refuse_length_of_range(found: _Dialled, text: str, region: str) -> None:
    """Refuse a number whose range is known in another length.

    A country's numbers come in several lengths, and the library calls each of them possible
    everywhere: nine digits for Nanjing, where eight after the area code is the rule. Raises
    InvalidValue "phone.invalid" for a number without its area code, "phone.too_short" or
    "phone.too_long" for one digit less or more than its neighbours have.
    """
    nsn = phonenumbers.national_significant_number(found.number)
    code = found.number.country_code or 0
    country = _country_of(found.number, region)
    trunk = _plan(main_region(code))[1]
    if nsn.startswith("0") and trunk == "0":
        # The library keeps the trunk zero when the rest would be too short without it.
        found_shorter = _wrong_length(_number_of(code, nsn.lstrip("0")), region)
        if found_shorter is not None:
            raise found_shorter
        return
    area, usual = _usual_landline(code)
    if area and len(nsn) < usual:
        local = len(area + nsn) == usual and _is_known(code, area + nsn)
        if local or (trunk and _without_trunk_zero(text)):
            raise InvalidValue("phone.invalid")
    wrong = _beside_known(code, nsn, country)
    if wrong is not None:
        raise wrong


def _trunk_eight_counted(found: _Dialled, text: str) -> bool:
    """Whether the "8" before "8 (495) 123-45-6" was taken into the number to make up its length.

    Only where 8 is the trunk prefix (Russia, Kazakhstan, Belarus, Turkmenistan), for numbers
    there begin with 8, too, but nobody sets that digit apart.
    """
    if not _EIGHT_APART.match(text):
        return False
    nsn = phonenumbers.national_significant_number(found.number)
    return _plan(main_region(found.number.country_code or 0))[1] == "8" and nsn == digits_of(text)


def _beside_known(code: int, nsn: str, country: str) -> InvalidValue | None:
    """Whether *nsn* is a known number with one digit less or more."""
    if any(_is_known(code, f"{nsn}{digit}") for digit in "0123456789"):
        return wrong_length("phone.too_short", country)
    if _is_known(code, nsn[:-1]):
        return wrong_length("phone.too_long", country)
    return None


def _perhaps_local(found: _Dialled, text: str) -> bool:
    """Whether a landline written without trunk zero is one with another area code before it, too.

    So it is only where the length of numbers varies (Germany, Austria, Finland).
    """
    if found.type != "fixed_line" or not _without_trunk_zero(text):
        return False
    code = found.number.country_code or 0
    nsn = phonenumbers.national_significant_number(found.number)
    if _plan(main_region(code))[1] != "0" or digits_of(text) != nsn:
        return False
    area, _ = _usual_landline(code)
    return bool(area) and _is_known(code, area + nsn)


@lru_cache(maxsize=512)
def _plan(region: str) -> tuple[str, str]:
    """The country code of *region* ("86"), and what is dialled before a number inside it: "0"
    mostly, "1", "8", "06" or "".
    """
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is None:
        return "0", ""
    return str(metadata.country_code), metadata.national_prefix or ""


def _without_trunk_zero(text: str) -> bool:
    return "+" not in text and not text.lstrip(" (").startswith("0")


@lru_cache(maxsize=256)
def _usual_landline(code: int) -> tuple[str, int]:
    """The area code of an example landline of country *code*, and the length of the whole."""
    example = phonenumbers.example_number_for_type(main_region(code), PhoneNumberType.FIXED_LINE)
    if example is None:
        return "", 0
    nsn = phonenumbers.national_significant_number(example)
    return nsn[: phonenumbers.length_of_geographical_area_code(example)], len(nsn)


def _number_of(code: int, nsn: str) -> phonenumbers.PhoneNumber:
    """The national significant digits *nsn* in country *code*, their leading zeros kept."""
    zeros = len(nsn) - len(nsn[:-1].lstrip("0") + nsn[-1:])  # "000" is two zeros before a 0
    return phonenumbers.PhoneNumber(
        country_code=code,
        national_number=int(nsn or "0"),
        italian_leading_zero=bool(zeros) or None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )


def _is_known(code: int, nsn: str) -> bool:
    return phonenumbers.is_valid_number(_number_of(code, nsn))


def known_region(region: str) -> str:
    """*region* in capitals, "" if the library has no numbering plan for it."""
    region = region.strip().upper()
    region = {"UK": "GB", "EL": "GR"}.get(region, region)
    return region if region in phonenumbers.SUPPORTED_REGIONS else ""


def main_region(code: int) -> str:
    """The country first named for the calling code *code* (86 → "CN"); "" if there is none."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code)
    return regions[0] if regions else ""


def _country_of(number: phonenumbers.PhoneNumber, region: str) -> str:
    """The country to name in a sentence: the writer's own if it shares the country code."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(number.country_code or 0, ())
    if region in regions:
        return region
    return "" if not regions or regions[0] == "001" else regions[0]

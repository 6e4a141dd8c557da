"""Telephone and fax numbers: read as people write them, checked for length, shown and dialled.

Google's metadata (through the ``phonenumbers`` package) knows the numbering plans. What people
write around the digits is read here first, because the library is built to find *some* number in
any text: it turns "010-6255xxxx" into the valid +86 10 6255 9999, glues "+44 20 7946 0123/24"
into one number, and does not know 转, DW, poste or доб.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat, ValidationResult
from phonenumbers.phonenumberutil import PhoneNumberType

from directory.domain.errors import InvalidValue
from directory.domain.messages import is_chinese

EXTENSION_MAX: Final = 9
"""Digits in an extension; the longest seen on real pages has seven."""

_TEXT_MAX: Final = 100
_E164: Final = re.compile(r"\+[1-9][0-9]{3,14}")

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
        if not _E164.fullmatch(self.e164):
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
            or _main_region(number.country_code or 0)
            or ""
        )

    @property
    def type(self) -> str:
        """What the range is used for: "fixed_line", "mobile", "toll_free" … or "unknown"."""
        return _TYPES.get(phonenumbers.number_type(_dialled(self.e164)), "unknown")

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
        plain = _unwrapped_uri(_plain(text))
        if not plain:
            raise InvalidValue("phone.required")
        region = _known_region(region)
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


def is_service_number(digits: str, region: str) -> bool:
    """Whether *digits* are a short number that answers calls in *region*.

    Codes that only take text messages do not count: nobody can ring them.
    """
    if not 2 <= len(digits) <= 8:
        return False
    number = _number(phonenumbers.country_code_for_region(region), digits)
    return phonenumbers.is_valid_short_number_for_region(
        number, region
    ) and not phonenumbers.is_sms_service_for_region(number, region)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says when it is dialled.

    ``extension_inside`` is true when no word marks the extension, and the number would be wrong
    with it. ``perhaps_local`` is true when it may as well be a number without its area code, as
    "12345678" in Germany. ``type`` is "unknown" for a range that, as far as we know, nobody has.
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
    plain = _plain(text)
    region = _known_region(region)
    if not plain:
        raise InvalidValue("phone.required")
    if len(plain) > _TEXT_MAX:
        raise _wrong("phone.too_long", region)
    extension = ""
    if not _PUNCTUATED.fullmatch(plain):
        plain, extension = _without_extension(_unwrapped_uri(plain))
        _refuse_two_numbers(plain)
        plain = _area_code_slash(plain)
        _refuse_other_characters(plain)
        if len(extension) > EXTENSION_MAX:
            raise InvalidValue("phone.extension", max=EXTENSION_MAX)
    found = _dial(plain, region)
    if isinstance(found, _Dialled) and _trunk_eight_counted(found, plain):
        found = _wrong("phone.too_short", _country_of(found.number, region))
    if isinstance(found, _Dialled) and found.type != "unknown":
        return Reading(found.e164, extension, False, _perhaps_local(found, plain), found.type)
    inside = None if extension else _extension_inside(plain, region, found)
    if inside is not None:
        return inside
    if isinstance(found, InvalidValue):
        raise found
    _refuse_length_of_range(found, plain, region)
    return Reading(found.e164, extension, False, False, found.type)


# ------------------------------------------------------------------ from text to plain characters

# A text made of these alone needs no second look before it is dialled.
_PUNCTUATED: Final = re.compile(r"\(?\+?[0-9 ().-]*")

_SAME_AS: Final = {
    "\u30fc": "-",  # the Japanese long-vowel mark, on the same key as the dash
    "\u2212": "-",  # minus sign
    "\u301c": "~",  # wave dash: a range, not a dash
    "\u3030": "~",
    "\u3014": "(",
    "\u3015": ")",
    "\u3010": "(",
    "\u3011": ")",
    "\u260e": " ",  # telephones drawn beside the number
    "\u260f": " ",
    "\u2706": " ",
    "\U0001f4de": " ",
    "\U0001f4e0": " ",
    "\U0001f4f1": " ",
    "\ufe0e": "",  # and how they are to be drawn
    "\ufe0f": "",
    "\u20e3": "",
    "\u00b7": " ",
    "\u2022": " ",
    "\u30fb": " ",
    "[": "(",
    "]": ")",
}


def _plain(text: str) -> str:
    """*text* with ASCII digits, hyphens and spaces, and without invisible characters."""
    if text.isascii() and "[" not in text:
        return text.strip()
    return "".join(map(_plain_character, unicodedata.normalize("NFKC", text))).strip()


def _plain_character(character: str) -> str:
    same = _SAME_AS.get(character)
    if same is not None:
        return same
    if character.isascii():
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    # Cf: marks of direction that come along when a number is copied from a right-to-left page.
    return {"Pd": "-", "Cf": "", "Zs": " "}.get(category, character)


# ------------------------------------------------------------------ extensions

_EXTENSION_WORDS: Final = (
    # Chinese, Japanese, Korean
    "转分机", "轉分機", "转接", "轉接", "转拨", "转", "轉", "分机号", "分機號", "分机", "分機",
    "内线番号", "内线", "內線", "内線番号", "内線", "接", "拨", "내선번호", "내선", "구내", "교환",
    # English; "local" as in the Philippines and Canada
    "extension", "extn", "exten", "ext", "xtn", "xt", "x", "internal", "local", "loc",
    # German
    "durchwahl", "durchw", "dw", "nebenstelle", "nebenst", "nst", "klappe", "kl", "apparat", "app",
    # French, Italian, Spanish, Portuguese, Romanian, Catalan
    "poste", "pte", "p", "interne", "interno", "interna", "interior", "int", "extensión",
    "extensió", "extensão", "anexo", "anx", "derivación", "ramal", "rml", "r", "estensione",
    # Dutch, Nordic
    "toestel", "tst", "doorkiesnummer", "lokalnummer", "lokalnr", "lokal", "lok", "anknytning",
    "ankn", "alanumero", "alanro", "internt", "intern",
    # Slavic, Baltic, Greek, Hungarian, Turkish
    "добавочный", "добав", "доб", "внутренний", "внутр", "вн", "вътрешен", "вътр", "дод",
    "додатковий", "wewnętrzny", "wewn", "wew", "linka", "klapka", "lok.", "vidinis", "vid",
    "εσωτερικό", "εσωτ", "εσ", "mellék", "dahili", "dah",
    # Semitic, Persian, Indic, South-East Asian
    "تحويلة", "تحويله", "داخلي", "داخلی", "שלוחה", "विस्तार", "एक्सटेंशन", "ต่อ", "máy lẻ",
    "số lẻ", "nhánh", "pesawat", "psw", "sambungan", "samb",
)  # fmt: skip

_WORDS: Final = "|".join(
    re.escape(unicodedata.normalize("NFKC", word))
    for word in sorted(_EXTENSION_WORDS, key=len, reverse=True)
)
_FIRST_MARK: Final = re.compile(r"#|[^\W\d_]")
_MARKED_EXTENSION: Final = re.compile(
    rf"(?:(?:{_WORDS})\s*(?:no|nr|n|nº|号|號|번)?|\#)[\s.:=#'-]*(\d+)[\s).#]*", re.IGNORECASE
)
_MARKED_EXTENSIONS: Final = re.compile(
    rf"(?:{_WORDS}|\#)[\s.:=#-]*\d+(?:\s*[-/,;、~&]\s*\d+)+[\s)]*", re.IGNORECASE
)
_EXTENSION_THEN_WORD: Final = re.compile(
    r"(?P<number>.*\d)[\s,/(-]+(?P<extension>\d{1,6})[\s.-]*"
    r"(?:号分机|分机|分機|内线|內線|内線|-?es mellék|mellék|번)\s*\)?",
    re.IGNORECASE,
)
_PAUSED_EXTENSION: Final = re.compile(r"(?P<number>[^,]*\d)\s*,{2,}\s*(?P<extension>\d{1,9})#?")
_URI_PARAMETER: Final = re.compile(r";\s*([a-z-]+)=([^;]*)", re.IGNORECASE)


def _unwrapped_uri(text: str) -> str:
    """A tel: URI (RFC 3966) as plain text; anything else unchanged."""
    prefix, colon, rest = text.partition(":")
    # "Tel: 025…" with a space is a label, which a value does not carry, and no URI.
    if colon and prefix.lower() in ("tel", "callto") and not rest.startswith(" "):
        text = rest.lstrip("/")
    elif ";" not in text:
        return text
    parameters = {name.lower(): value for name, value in _URI_PARAMETER.findall(text)}
    text = _URI_PARAMETER.sub("", text).strip()
    context = parameters.get("phone-context", "")
    if context.startswith("+") and not text.startswith("+"):
        text = f"{context} {text}"
    return f"{text} ext {parameters['ext']}" if parameters.get("ext") else text


def _without_extension(text: str) -> tuple[str, str]:
    """The number and its extension ("" if no word or sign marks one)."""
    mark = _FIRST_MARK.search(text)
    if mark is None:
        paused = _PAUSED_EXTENSION.fullmatch(text)
        return (paused["number"], paused["extension"]) if paused else (text, "")
    number, tail = text[: mark.start()], text[mark.start() :]
    if not any(map(str.isdigit, number)):
        return text, ""
    if marked := _MARKED_EXTENSION.fullmatch(tail):
        return number.rstrip(" \t,;:.(-/~"), marked[1]
    if _MARKED_EXTENSIONS.fullmatch(tail):
        raise InvalidValue("phone.two_numbers")
    if then_word := _EXTENSION_THEN_WORD.fullmatch(text):
        return then_word["number"], then_word["extension"]
    return text, ""


def _is_extension(text: str) -> bool:
    return len(text) <= EXTENSION_MAX and text.isascii() and text.isdigit()


def _extension_words(extension: str, language: str) -> str:
    if not extension:
        return ""
    return f" 转 {extension}" if is_chinese(language) else f" ext. {extension}"


# ------------------------------------------------------------------ one number, and digits alone

_TWO_NUMBERS: Final = re.compile(r"[;,、،|\\&\n~]|或|\d[^+]*\+")
_JOINING_WORD: Final = re.compile(
    r"\d[\s)]*(?:or|and|und|oder|ou|et|y|o|e|и|или|та|або|和|及|跟|または|又は|및|또는|หรือ|และ|"
    r"atau|dan|veya|ve|hoặc|và|أو|و|או|या)\s*[(+]?\d{3}",
    re.IGNORECASE,
)
_ZEROS_BEFORE_PLUS: Final = re.compile(r"^[\s(]*0{1,2}\s*\(?\s*\+")
_COUNTRY_ALONE: Final = re.compile(r"\s*\(?\s*(?:\+|00)\s*\d{1,3}\s*\)?\s*")
_OTHER: Final = re.compile(r"[^\d\s().+'’-]")


def _refuse_two_numbers(text: str) -> None:
    if _JOINING_WORD.search(text) or _TWO_NUMBERS.search(_ZEROS_BEFORE_PLUS.sub("+", text)):
        # A letter beside the comma ("Tel, 83455189") is the plainer mistake to name.
        if any(map(str.isalpha, text)) and not _digits_on_both_sides(text):
            raise InvalidValue("phone.letters")
        raise InvalidValue("phone.two_numbers")


def _digits_on_both_sides(text: str) -> bool:
    return len(re.findall(r"\d[\d\s().-]{2,}", text)) > 1 or "或" in text


def _area_code_slash(text: str) -> str:
    """*text* with the "/" after an area code ("030/123456", "+43 1/58801") made a space.

    Any other "/" joins two numbers: raises InvalidValue "phone.two_numbers".
    """
    if "/" not in text:
        return text
    country, slash, national = text.partition("/")
    if _COUNTRY_ALONE.fullmatch(country):
        if "/" not in national:
            return f"{country} {national}"
    else:
        country, slash, national = "", "", text
    before, _, after = national.partition("/")
    area = _digits(before.replace("(0)", ""))
    if before.lstrip(" (").startswith(("+", "00")):
        area = area.removeprefix("00")
        code = next((area[:n] for n in (1, 2, 3) if _main_region(int(area[:n] or 0))), "")
        area = area.removeprefix(code)
    area = area.lstrip("0")
    if "/" in after or not 0 < len(area) <= 5 or len(_digits(after)) < 3:
        raise InvalidValue("phone.two_numbers")
    return f"{country}{slash and ' '}{before} {after}"


def _refuse_other_characters(text: str) -> None:
    if any(map(str.isalpha, text)):
        raise InvalidValue("phone.letters")
    if _OTHER.search(text):
        raise InvalidValue("phone.invalid")


# ------------------------------------------------------------------ the numbering plan

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
    digits = _digits(text)
    abroad = "+" in text
    if abroad or digits.startswith("00"):
        # "(0)" is dialled at home and left out from abroad, but belongs to the number in Italy
        # and some African countries. "0086" means +86 whatever the caller's own prefix is: the
        # library reads it as 008 and +62 when the caller sits in Singapore.
        whole = "+" + digits.removeprefix("00")
        bare = "+" + _digits(_TRUNK_ZERO.sub("", text)).removeprefix("00")
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


def _digits(text: str) -> str:
    return _NOT_DIGIT.sub("", text)


def _dial_digits(digits: str, region: str) -> _Dialled | InvalidValue:
    try:
        number = phonenumbers.parse(digits, region or None)
    except NumberParseException as error:
        return _refusal(error, digits, region)
    use = _TYPES.get(phonenumbers.number_type(number), "unknown")
    # The few numbers that are known and yet dialled without an area code (Canada's 310-1234)
    # are too short by the general rule.
    wrong = _wrong_length(number, region) if use == "unknown" else None
    if wrong is not None:
        return wrong
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if not _E164.fullmatch(e164):
        return InvalidValue("phone.invalid")
    return _Dialled(number, e164, use)


def _wrong_length(number: phonenumbers.PhoneNumber, region: str) -> InvalidValue | None:
    # is_possible_number() alone would also let a number without its area code through.
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason == ValidationResult.IS_POSSIBLE:
        return None
    country = _country_of(number, region)
    if reason == ValidationResult.TOO_SHORT:
        return _wrong("phone.too_short", country)
    if reason == ValidationResult.TOO_LONG:
        return _wrong("phone.too_long", country)
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
        return _wrong("phone.too_long", "" if digits.startswith("+") else region)
    return _wrong("phone.too_short", "" if digits.startswith("+") else region)


def _wrong(code: str, country: str) -> InvalidValue:
    """*code* with its country; the general sentence where no country can be named."""
    return InvalidValue(code, country=country) if country else InvalidValue("phone.invalid")


def _extension_inside(text: str, region: str, whole: _Dialled | InvalidValue) -> Reading | None:
    """The number before a last "-808" when it is one, and with the "-808" is none."""
    if isinstance(whole, InvalidValue) and whole.code != "phone.too_long":
        return None
    last = _LAST_GROUP.fullmatch(text)
    if last is None:
        return None
    number = _dial(last["number"], region)
    if isinstance(number, InvalidValue) or number.type == "unknown":
        return None
    return Reading(number.e164, last["extension"], True, False, number.type)


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
    trunk = _plan(_main_region(code))[1]
    if nsn.startswith("0") and trunk == "0":
        # The library keeps the trunk zero when the rest would be too short without it.
        found_shorter = _wrong_length(_number(code, nsn.lstrip("0")), region)
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
    return _plan(_main_region(found.number.country_code or 0))[1] == "8" and nsn == _digits(text)


def _beside_known(code: int, nsn: str, country: str) -> InvalidValue | None:
    """Whether *nsn* is a known number with one digit less or more."""
    if any(_is_known(code, f"{nsn}{digit}") for digit in "0123456789"):
        return _wrong("phone.too_short", country)
    if _is_known(code, nsn[:-1]):
        return _wrong("phone.too_long", country)
    return None


def _perhaps_local(found: _Dialled, text: str) -> bool:
    """Whether a landline written without trunk zero is one with another area code before it, too.

    So it is only where the length of numbers varies (Germany, Austria, Finland).
    """
    if found.type != "fixed_line" or not _without_trunk_zero(text):
        return False
    code = found.number.country_code or 0
    nsn = phonenumbers.national_significant_number(found.number)
    if _plan(_main_region(code))[1] != "0" or _digits(text) != nsn:
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
    example = phonenumbers.example_number_for_type(_main_region(code), PhoneNumberType.FIXED_LINE)
    if example is None:
        return "", 0
    nsn = phonenumbers.national_significant_number(example)
    return nsn[: phonenumbers.length_of_geographical_area_code(example)], len(nsn)


def _number(code: int, nsn: str) -> phonenumbers.PhoneNumber:
    zeros = len(nsn) - len(nsn[:-1].lstrip("0") + nsn[-1:])  # "000" is two zeros before a 0
    return phonenumbers.PhoneNumber(
        country_code=code,
        national_number=int(nsn or "0"),
        italian_leading_zero=bool(zeros) or None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )


def _is_known(code: int, nsn: str) -> bool:
    return phonenumbers.is_valid_number(_number(code, nsn))


def _known_region(region: str) -> str:
    """*region* in capitals, "" if the library has no numbering plan for it."""
    region = region.strip().upper()
    region = {"UK": "GB", "EL": "GR"}.get(region, region)
    return region if region in phonenumbers.SUPPORTED_REGIONS else ""


def _main_region(code: int) -> str:
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code)
    return regions[0] if regions else ""


def _country_of(number: phonenumbers.PhoneNumber, region: str) -> str:
    """The country to name in a sentence: the writer's own if it shares the country code."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(number.country_code or 0, ())
    if region in regions:
        return region
    return "" if not regions or regions[0] == "001" else regions[0]


@lru_cache(maxsize=4_096)
def _dialled(e164: str) -> phonenumbers.PhoneNumber:
    return phonenumbers.parse(e164)


@lru_cache(maxsize=4_096)
def _formatted(e164: str, style: int) -> str:
    return phonenumbers.format_number(_dialled(e164), style)

"""What people write around the digits of a telephone number.

Full-width and Arabic digits, the words of many languages for an extension, a "/" that belongs to
the number and one that joins two. It is read before any library sees the text, because libraries
are built to find *some* number in any text: they turn "010-6255xxxx" into +86 10 6255 9999, glue
"+44 20 7946 0123/24" into one number, and do not know 转, DW, poste or доб.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from directory.domain.errors import InvalidValue
from directory.domain.numbering import digits_of, main_region

EXTENSION_MAX: Final = 9
"""Digits in an extension; the longest seen on real pages has seven."""


def number_and_extension(plain: str) -> tuple[str, str]:
    """The digits and signs of one number, and its extension ("" if no word or sign marks one).

    *plain* comes from :func:`plain_text`. Raises InvalidValue "phone.letters",
    "phone.two_numbers", "phone.extension" or, for signs no number has, "phone.invalid".
    """
    if _PUNCTUATED.fullmatch(plain):
        return plain, ""
    number, extension = _without_extension(unwrapped_uri(plain))
    _refuse_two_numbers(number)
    number = _area_code_slash(number)
    _refuse_other_characters(number)
    if len(extension) > EXTENSION_MAX:
        raise InvalidValue("phone.extension", max=EXTENSION_MAX)
    return number, extension


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


def plain_text(text: str) -> str:
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


def unwrapped_uri(text: str) -> str:
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
    area = digits_of(before.replace("(0)", ""))
    if before.lstrip(" (").startswith(("+", "00")):
        area = area.removeprefix("00")
        code = next((area[:n] for n in (1, 2, 3) if main_region(int(area[:n] or 0))), "")
        area = area.removeprefix(code)
    area = area.lstrip("0")
    if "/" in after or not 0 < len(area) <= 5 or len(digits_of(after)) < 3:
        raise InvalidValue("phone.two_numbers")
    return f"{country}{slash and ' '}{before} {after}"


def _refuse_other_characters(text: str) -> None:
    if any(map(str.isalpha, text)):
        raise InvalidValue("phone.letters")
    if _OTHER.search(text):
        raise InvalidValue("phone.invalid")

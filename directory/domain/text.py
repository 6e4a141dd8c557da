"""Plain text that people type: trimmed, its line breaks made one kind, its length counted.

The same functions serve every form field, the API, the command line and imports. What they
return is safe to keep and to send on: no NUL, no lone surrogate and no control character reaches
the database, a mail header or an XML file. Everything visible stays as it was typed, whatever the
script; so do joiners (family emoji, Persian, Indic) and marks of direction (Arabic, Hebrew).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from directory.domain.errors import InvalidValue

MESSAGE_MAX: Final = 5_000
SUBJECT_MAX: Final = 120
NAME_MAX: Final = 100
ORGANISATION_MAX: Final = 120

# NEL and the line and paragraph separators come from old terminals and word processors, vertical
# tab and form feed from pasted slides: all mean "next line".
_LINE_BREAK: Final = re.compile("\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")

# Controls, lone surrogates (they cannot be encoded) and the two code points that XML forbids.
_CONTROL: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")

_LINK: Final = re.compile(r"://|www\.|@", re.IGNORECASE)

# Letters by category that draw nothing: the Hangul fillers and the blank Braille pattern.
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def clean(text: str) -> str:
    """*text* with "\\n" for every line break and without space around it.

    Raises InvalidValue "text.control" for characters nobody can see and no mail carries.
    """
    if _CONTROL.search(text):
        raise InvalidValue("text.control")
    return _LINE_BREAK.sub("\n", text).strip().strip("\ufeff").strip()


def one_line(text: str) -> str:
    """*text* cleaned, a tab made a space.

    Raises InvalidValue "text.control", also for a line break inside: it would begin a new header
    in a mail and a new property in a vCard.
    """
    line = clean(text).replace("\t", " ")
    if "\n" in line:
        raise InvalidValue("text.control")
    return line


def is_blank(text: str) -> bool:
    """Whether a reader would see nothing: spaces, joiners and fillers alone."""
    return all(
        character in _BLANK or unicodedata.category(character)[0] in "ZC" for character in text
    )


def message_text(text: str, *, limit: int = MESSAGE_MAX) -> str:
    """The question itself, at most *limit* code points.

    Raises InvalidValue "message.required", "message.too_long" or "text.control".
    """
    cleaned = clean(text)
    if is_blank(cleaned):
        raise InvalidValue("message.required")
    if len(cleaned) > limit:
        raise InvalidValue("message.too_long", n=len(cleaned), max=limit)
    return cleaned


def subject_text(text: str, *, limit: int = SUBJECT_MAX) -> str:
    """A subject line, empty if there is none.

    Raises InvalidValue "subject.too_long" or "text.control".
    """
    return _optional_line(text, "subject.too_long", limit)


def organisation_text(text: str, *, limit: int = ORGANISATION_MAX) -> str:
    """The visitor's organisation, empty if there is none.

    Raises InvalidValue "organisation.too_long" or "text.control".
    """
    return _optional_line(text, "organisation.too_long", limit)


def person_name(text: str, *, limit: int = NAME_MAX) -> str:
    """What the visitor wants to be called; it goes into a mail's From, so it carries no address.

    Raises InvalidValue "name.required", "name.has_link", "name.too_long" or "text.control".
    """
    name = one_line(text)
    if is_blank(name):
        raise InvalidValue("name.required")
    # Full-width forms ("ｗｗｗ．", "＠") are read as links by people and by some mail clients.
    if _LINK.search(name) or (
        not name.isascii() and _LINK.search(unicodedata.normalize("NFKC", name))
    ):
        raise InvalidValue("name.has_link")
    if len(name) > limit:
        raise InvalidValue("name.too_long", max=limit)
    return name


def _optional_line(text: str, too_long: str, limit: int) -> str:
    line = one_line(text)
    if is_blank(line):
        return ""
    if len(line) > limit:
        raise InvalidValue(too_long, max=limit)
    return line
